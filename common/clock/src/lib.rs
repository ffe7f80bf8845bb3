//! Time: our own monotonic [`Instant`], and the one place in the tree that reads a clock.
//!
//! Protocol code takes an `Instant` as an argument and never calls [`now`]; only processes (`signald`, `mediad`) and
//! tools do. An `Instant` is nanoseconds of `CLOCK_MONOTONIC`, which all processes of a host share, so it may cross
//! shared memory.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
pub use std::time::Duration;

/// A point in monotonic time, in nanoseconds since an arbitrary start (the host's boot).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The earliest instant; virtual time in tests starts here.
    pub const ZERO: Instant = Instant(0);
    /// Later than every deadline.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// From nanoseconds, as kept in shared memory.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds, to keep in shared memory.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, after: Duration) -> Instant {
        Instant(self.0.saturating_add(after.as_nanos() as u64))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, before: Duration) -> Instant {
        Instant(self.0.saturating_sub(before.as_nanos() as u64))
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// Saturates at zero, like [`Instant::since`].
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A point in calendar time, nanoseconds since 1970-01-01T00:00:00Z. Only for logs, CDRs and RTCP reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct WallTime(u64);

impl WallTime {
    /// From nanoseconds since 1970.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970.
    pub const fn as_unix_nanos(self) -> u64 {
        self.0
    }

    /// The 64-bit NTP timestamp of RTCP sender reports (RFC 3550 §4): seconds since 1900, then a binary fraction.
    pub const fn as_ntp(self) -> u64 {
        const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
        let seconds = self.0 / 1_000_000_000 + SECONDS_1900_TO_1970;
        let fraction = ((self.0 % 1_000_000_000) << 32) / 1_000_000_000;
        (seconds << 32) | fraction
    }
}

/// The monotonic clock, read now.
pub fn now() -> Instant {
    read(rustix::time::ClockId::Monotonic, Instant)
}

/// The calendar clock, read now.
pub fn wall_now() -> WallTime {
    read(rustix::time::ClockId::Realtime, WallTime)
}

fn read<T>(id: rustix::time::ClockId, make: fn(u64) -> T) -> T {
    let t = rustix::time::clock_gettime(id);
    make(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_and_orders() {
        let t = Instant::from_nanos(5);
        assert_eq!(t + Duration::from_nanos(7), Instant::from_nanos(12));
        assert_eq!(t - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(t - Instant::from_nanos(9), Duration::ZERO);
        assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
        assert!(now() >= Instant::ZERO && now() <= now());
    }

    #[test]
    fn ntp_epoch_and_fraction() {
        assert_eq!(WallTime::from_unix_nanos(0).as_ntp(), 2_208_988_800 << 32);
        assert_eq!(WallTime::from_unix_nanos(500_000_000).as_ntp() as u32, 1 << 31);
    }
}
