//! How late packets of a stream are, beside those that came fastest, and how long to wait for the wanted part of them.

use clock::{Duration, Instant};

/// Width of a class of delays.
pub(super) const CLASS: Duration = Duration::from_millis(5);
/// Classes: half a second.
const CLASSES: usize = 100;
/// Weight of all classes together.
const WHOLE: u32 = 1 << 24;
/// A packet's weight is this part of the whole: what was 5 s ago at 50 packets a second counts a third of today's.
const PART: u32 = 256;
/// The fastest packet is looked for in windows of this length, so that a clock that runs slowly is followed.
const WINDOW: Duration = Duration::from_secs(5);

/// Delays of one stream.
#[derive(Clone, Debug)]
pub(super) struct Delays {
    /// Shortest way, in microseconds between two clocks that have nothing to do with each other: in this window and in
    /// the one before.
    shortest: [i64; 2],
    window_end: Instant,
    /// How many packets, weighted, have come late by so many classes.
    weights: [u32; CLASSES],
    /// Packets since the beginning, up to [`PART`]: the first ones count more.
    seen: u32,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self { shortest: [i64::MAX; 2], window_end: Instant::ZERO, weights: [0; CLASSES], seen: 0 }
    }

    /// A packet that was sampled at `sampled_us` of its stream came at `now`. Returns how late it is beside the fastest.
    pub(super) fn arrived(&mut self, now: Instant, sampled_us: i64) -> Duration {
        let way = (now.as_nanos() / 1_000) as i64 - sampled_us;
        if now >= self.window_end {
            self.shortest = [way, self.shortest[0]];
            self.window_end = now + WINDOW;
        }
        self.shortest[0] = self.shortest[0].min(way);
        let late = Duration::from_micros((way - self.fastest()).max(0) as u64);
        self.count(late);
        late
    }

    /// When the fastest way would have brought what was sampled at `sampled_us`, as microseconds of our clock.
    pub(super) fn fastest(&self) -> i64 {
        self.shortest[0].min(self.shortest[1])
    }

    /// The time within which all but one packet in `one_in` came.
    pub(super) fn within(&self, one_in: u32) -> Duration {
        let total: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        let late = total / u64::from(one_in.max(1));
        let mut behind = 0;
        let classes = self.weights.iter().rposition(|weight| {
            behind += u64::from(*weight);
            behind > late
        });
        CLASS * (classes.unwrap_or(0) as u32 + 1)
    }

    fn count(&mut self, late: Duration) {
        self.seen = (self.seen + 1).min(PART);
        match self.seen {
            // A constant is a shift for all classes at once, and this is each packet's work.
            PART => fade(&mut self.weights, PART),
            seen => fade(&mut self.weights, seen),
        }
        let class = (late.as_micros() / CLASS.as_micros()) as usize;
        self.weights[class.min(CLASSES - 1)] += WHOLE / self.seen;
    }
}

/// Takes this part of each weight away, rounded up.
#[inline(always)]
fn fade(weights: &mut [u32; CLASSES], part: u32) {
    for weight in weights {
        *weight -= weight.div_ceil(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate after packets of 20 ms, each with its delay in milliseconds.
    fn after(delays: &mut Delays, from: u64, lates: impl IntoIterator<Item = u64>) -> Duration {
        for (index, late) in lates.into_iter().enumerate() {
            let sampled = (from + index as u64) * 20;
            let now = Instant::ZERO + Duration::from_millis(1_000 + sampled + late);
            delays.arrived(now, sampled as i64 * 1_000);
        }
        delays.within(50)
    }

    #[test]
    fn the_time_to_wait_follows_the_network() {
        let mut delays = Delays::new();
        assert_eq!(after(&mut delays, 0, [0; 100]), CLASS, "an even network");
        let uneven = after(&mut delays, 100, (0..500).map(|index| index * 7 % 60));
        assert!((50..=65).contains(&uneven.as_millis()), "{uneven:?}");
        // 20 s later it has shrunk again.
        assert_eq!(after(&mut delays, 600, [0; 1_500]), CLASS);
    }

    #[test]
    fn one_late_packet_in_a_thousand_costs_no_delay() {
        let mut delays = Delays::new();
        let time = after(&mut delays, 0, (0..5_000).map(|index| if index % 1_000 == 999 { 200 } else { index % 3 }));
        assert_eq!(time, CLASS);
    }

    #[test]
    fn a_clock_that_runs_slowly_is_followed() {
        let mut delays = Delays::new();
        let mut late = Duration::ZERO;
        for index in 0..60_000_u64 {
            // 20 minutes at 200 ppm: 240 ms.
            let now = Instant::ZERO + Duration::from_micros(1_000_000 + index * 20_004);
            late = delays.arrived(now, index as i64 * 20_000);
        }
        assert!(late < Duration::from_millis(5), "{late:?}");
    }
}
