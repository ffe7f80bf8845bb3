use clock::{Duration, Instant};

/// How a worker waits for packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WaitMode {
    /// Sleeps until the first packet.
    Block,
    /// Sleeps, but under load for up to `gather_us_max` so that several packets share a wake-up.
    #[default]
    Adaptive,
    /// Never sleeps: for cores that do nothing else.
    Busy,
}

/// Longest time that a packet waits for others, microseconds.
pub(crate) const GATHER_US_MAX: u32 = 100;
/// Completions that end the gathering early.
pub(crate) const GATHER_COUNT: u32 = 64;
/// Fewer packets than this in [`GATHER_US_MAX`] are not worth waiting for.
const WORTH_COUNT: u64 = 2;
/// The rate is looked at so often.
const WINDOW: Duration = Duration::from_millis(5);

/// Decides how long to gather, from the packet rate of the last few milliseconds.
#[derive(Debug)]
pub(crate) struct Gather {
    gather_us_max: u32,
    window_start: Instant,
    window_count: u64,
    gathering: bool,
}

impl Gather {
    pub(crate) fn new(gather_us_max: u32) -> Self {
        Self { gather_us_max, window_start: Instant::ZERO, window_count: 0, gathering: false }
    }

    /// Notes the packets of a turn.
    pub(crate) fn received(&mut self, now: Instant, count: usize) {
        self.window_count += count as u64;
        let window = now - self.window_start;
        if window >= WINDOW {
            let per_gather = self.window_count * u64::from(self.gather_us_max) * 1_000 / window.as_nanos() as u64;
            self.gathering = per_gather >= WORTH_COUNT;
            self.window_start = now;
            self.window_count = 0;
        }
    }

    /// Microseconds to gather; 0: return with the first packet. Never longer than until the deadline.
    pub(crate) fn gather_us(&self, until_deadline: Duration) -> u32 {
        if !self.gathering {
            return 0;
        }
        self.gather_us_max.min(u32::try_from(until_deadline.as_micros()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_under_load_only() {
        let (ms, far) = (Duration::from_millis(1), Duration::from_secs(1));
        let mut gather = Gather::new(100);
        let mut now = Instant::ZERO;
        for _ in 0..10 {
            now += ms;
            gather.received(now, 1);
        }
        assert_eq!(gather.gather_us(far), 0);
        for _ in 0..10 {
            now += ms;
            gather.received(now, 50);
        }
        assert_eq!(gather.gather_us(far), 100);
        assert_eq!(gather.gather_us(Duration::from_micros(30)), 30);
        for _ in 0..10 {
            now += ms;
            gather.received(now, 0);
        }
        assert_eq!(gather.gather_us(far), 0);
    }
}
