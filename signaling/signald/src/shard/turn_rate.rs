//! Whether a shard turns so often that what can wait for the next turn may do so.

use clock::{Duration, Instant};

/// Turns are counted over so long.
const WINDOW: Duration = Duration::from_millis(10);
/// How long what can wait does so in a shard that turns more often anyway.
pub(crate) const PATIENCE: Duration = Duration::from_millis(8);
/// From so many turns of a window on the next turn is near: 500 a second, which 200 to 500 calls make. A shard that only
/// wakes up to look for what could wait makes fewer, so that it stops by itself.
const HIGH_COUNT: u32 = 5;

/// Counts turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnRate {
    window_end: Instant,
    count: u32,
    is_high: bool,
}

impl TurnRate {
    /// One more turn.
    pub(crate) fn turn(&mut self, now: Instant) {
        self.count += 1;
        if now >= self.window_end {
            // Where the window ended long ago, the shard slept.
            self.is_high = self.count >= HIGH_COUNT && now < self.window_end + WINDOW;
            (self.window_end, self.count) = (now + WINDOW, 0);
        }
    }

    /// Whether the turns of the last window were many.
    pub(crate) fn is_high(&self) -> bool {
        self.is_high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_turns_in_a_row_are_a_high_rate_and_a_pause_ends_it() {
        let (mut rate, mut now) = (TurnRate::default(), Instant::ZERO + Duration::from_secs(1));
        let mut turns = |rate: &mut TurnRate, count: usize, pause: Duration| {
            for _ in 0..count {
                now += pause;
                rate.turn(now);
            }
            rate.is_high()
        };
        assert!(!turns(&mut rate, 100, PATIENCE), "one that only looks again");
        assert!(turns(&mut rate, 100, Duration::from_micros(300)));
        assert!(!turns(&mut rate, 1, Duration::from_millis(100)), "it slept");
        assert!(turns(&mut rate, 100, Duration::from_micros(300)));
        assert!(!turns(&mut rate, 20, PATIENCE));
    }
}
