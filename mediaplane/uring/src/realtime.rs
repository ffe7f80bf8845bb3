use clock::{Duration, Instant};

/// How often the distance between the two clocks is measured: NTP slews at most 500 ppm, so 50 us between measurements.
const MEASURE_EVERY: Duration = Duration::from_millis(100);
/// An age that makes us look whether the clock was set.
const AGE_SUSPECT: Duration = Duration::from_millis(50);
/// A timestamp older than this is a clock that was set, not a packet that waited.
const AGE_MAX: Duration = Duration::from_secs(10);

/// Turns the kernel's receive timestamps (`CLOCK_REALTIME`) into our monotonic instants.
#[derive(Debug)]
pub(crate) struct Realtime {
    ahead_ns: u64,
    now: Instant,
    measure_at: Instant,
    /// Measured in this turn.
    is_fresh: bool,
}

impl Realtime {
    pub(crate) fn new() -> Self {
        let mut realtime = Self { ahead_ns: 0, now: Instant::ZERO, measure_at: Instant::ZERO, is_fresh: false };
        realtime.turn(clock::now());
        realtime
    }

    /// Called once a turn, so that a clock that is set meanwhile is noticed.
    pub(crate) fn turn(&mut self, now: Instant) {
        (self.now, self.is_fresh) = (now, false);
        if now >= self.measure_at {
            self.measure_at = now + MEASURE_EVERY;
            (self.ahead_ns, self.is_fresh) = (measure(), true);
        }
    }

    /// When the kernel took a packet; `None` (no timestamp) and nonsense count as now.
    pub(crate) fn instant(&mut self, realtime_ns: Option<u64>) -> Instant {
        let Some(realtime_ns) = realtime_ns else { return self.now };
        let mut at = Instant::from_nanos(realtime_ns.wrapping_sub(self.ahead_ns));
        if at <= self.now && self.now - at > AGE_SUSPECT && !self.is_fresh {
            // We are behind, or the clock was set back a moment ago: that packet must not look late.
            (self.ahead_ns, self.is_fresh) = (measure(), true);
            at = Instant::from_nanos(realtime_ns.wrapping_sub(self.ahead_ns));
        }
        if at > self.now || self.now - at > AGE_MAX { self.now } else { at }
    }
}

/// `CLOCK_REALTIME - CLOCK_MONOTONIC`, from the tightest of three readings.
fn measure() -> u64 {
    let reading = |_| {
        let (before, wall, after) = (clock::now(), clock::wall_now(), clock::now());
        let middle = before + (after - before) / 2;
        (after - before, wall.as_unix_nanos().wrapping_sub(middle.as_nanos()))
    };
    (0..3).map(reading).min().map_or(0, |(_, ahead)| ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_becomes_monotonic() {
        let mut realtime = Realtime::new();
        let wall = clock::wall_now();
        realtime.turn(clock::now());
        let at = realtime.instant(Some(wall.as_unix_nanos()));
        assert!(clock::now() - at < Duration::from_millis(50), "{at:?}");
        let now = realtime.now;
        assert_eq!(realtime.instant(Some(0)), now);
        assert_eq!(realtime.instant(Some(u64::MAX)), now);
        assert_eq!(realtime.instant(None), now);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_packet_late() {
        let mut realtime = Realtime::new();
        realtime.turn(clock::now());
        // As if it had been a second ahead when it was last measured.
        realtime.ahead_ns += 1_000_000_000;
        realtime.is_fresh = false;
        let wall = clock::wall_now();
        let at = realtime.instant(Some(wall.as_unix_nanos()));
        assert!(realtime.now - at < AGE_SUSPECT, "{:?} old", realtime.now - at);
    }
}
