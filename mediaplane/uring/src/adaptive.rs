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

/// Longest time that a packet waits for others, microseconds: a frame has 20 ms, and waking up a thread costs as much
/// CPU as relaying five packets.
pub(crate) const GATHER_US_MAX: u32 = 500;
/// Completions that end the gathering early.
pub(crate) const GATHER_COUNT: u32 = 64;
/// Up to this many packets a second nobody waits for others: the CPU is not short, and latency counts.
const CALM_PER_SECOND: u64 = 30_000;
/// From here on they wait for the longest time, between the two in proportion.
const CROWDED_PER_SECOND: u64 = 45_000;
/// The rate is looked at so often.
const WINDOW: Duration = Duration::from_millis(5);

/// Decides how long to gather, from the packet rate of the last tens of milliseconds.
#[derive(Debug)]
pub(crate) struct Gather {
    gather_us_max: u32,
    window_start: Instant,
    window_count: u64,
    /// Packets a second, smoothed over four windows so that one burst is no crowd.
    rate: u64,
    gather_us: u32,
}

impl Gather {
    pub(crate) fn new(gather_us_max: u32) -> Self {
        Self { gather_us_max, window_start: Instant::ZERO, window_count: 0, rate: 0, gather_us: 0 }
    }

    /// Notes the packets of a turn.
    pub(crate) fn received(&mut self, now: Instant, count: usize) {
        self.window_count += count as u64;
        let window = now - self.window_start;
        if window < WINDOW {
            return;
        }
        let rate = self.window_count * 1_000_000_000 / window.as_nanos() as u64;
        self.rate = (3 * self.rate + rate) / 4;
        let crowd = self.rate.clamp(CALM_PER_SECOND, CROWDED_PER_SECOND) - CALM_PER_SECOND;
        self.gather_us = (u64::from(self.gather_us_max) * crowd / (CROWDED_PER_SECOND - CALM_PER_SECOND)) as u32;
        (self.window_start, self.window_count) = (now, 0);
    }

    /// Microseconds to gather; 0: return with the first packet. Never longer than until the deadline.
    pub(crate) fn gather_us(&self, until_deadline: Duration) -> u32 {
        self.gather_us.min(u32::try_from(until_deadline.as_micros()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many packets in each millisecond, for 100 ms.
    fn gather_us_at(gather: &mut Gather, now: &mut Instant, per_ms: usize, until_deadline: Duration) -> u32 {
        for _ in 0..100 {
            *now += Duration::from_millis(1);
            gather.received(*now, per_ms);
        }
        gather.gather_us(until_deadline)
    }

    #[test]
    fn gathers_under_load_only_and_longer_under_more() {
        let far = Duration::from_secs(1);
        let (mut gather, mut now) = (Gather::new(500), Instant::ZERO);
        assert_eq!(gather_us_at(&mut gather, &mut now, 1, far), 0);
        assert_eq!(gather_us_at(&mut gather, &mut now, 25, far), 0);
        let some = gather_us_at(&mut gather, &mut now, 36, far);
        assert!((150..250).contains(&some), "{some}");
        assert_eq!(gather_us_at(&mut gather, &mut now, 60, far), 500);
        assert_eq!(gather.gather_us(Duration::from_micros(30)), 30);
        assert_eq!(gather_us_at(&mut gather, &mut now, 0, far), 0);
    }

    #[test]
    fn one_burst_is_no_crowd() {
        let (mut gather, mut now) = (Gather::new(500), Instant::ZERO);
        gather_us_at(&mut gather, &mut now, 10, Duration::from_secs(1));
        now += WINDOW;
        gather.received(now, 300);
        assert_eq!(gather.gather_us(Duration::from_secs(1)), 0);
    }
}
