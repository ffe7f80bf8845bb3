//! How many ICMP messages a shard looks into that name no request. Each has all requests searched for those to its address,
//! anybody can send one (RFC 5927), and one that is passed over comes again with the next copy of the request.

use clock::{Duration, Instant};

/// So many of them are looked into.
const COUNT_MAX: u32 = 4;
/// Within so long.
const WINDOW: Duration = Duration::from_millis(100);

/// Counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DoubtfulIcmp {
    window_end: Instant,
    count: u32,
}

impl DoubtfulIcmp {
    /// Whether one that comes now is looked into.
    pub(crate) fn takes(&mut self, now: Instant) -> bool {
        if now >= self.window_end {
            *self = Self { window_end: now + WINDOW, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= COUNT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_looked_into_so_often_whatever_the_pace_of_turns() {
        let (mut doubtful, start) = (DoubtfulIcmp::default(), Instant::ZERO + Duration::from_secs(9));
        let taken_in = |doubtful: &mut DoubtfulIcmp, second: u64| {
            (0..100_000).filter(|n| doubtful.takes(start + Duration::from_micros(1_000_000 * second + 10 * n))).count()
        };
        assert_eq!((taken_in(&mut doubtful, 0), taken_in(&mut doubtful, 1)), (40, 40));
        let later = start + Duration::from_secs(60);
        assert!((0..4).all(|_| doubtful.takes(later)) && !doubtful.takes(later), "a pause saves up nothing");
    }
}
