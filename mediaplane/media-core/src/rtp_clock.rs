//! Ticks of RTP clocks in a time, at the cost of one multiplication.

use clock::{Duration, Instant};
use contract::ClockRate;

/// Ticks in a nanosecond, times 2^64, by the clock's number; rounded up, so that a whole number of ticks stays one. Over
/// the life of a host the error stays below a tenth of a tick.
const TICKS_IN_NANO: [u64; ClockRate::ALL.len()] = {
    let mut ticks = [0; ClockRate::ALL.len()];
    let mut number = 0;
    while number < ticks.len() {
        ticks[number] = (((ClockRate::ALL[number].hz() as u128) << 64).div_ceil(1_000_000_000)) as u64;
        number += 1;
    }
    ticks
};

fn in_nanos(clock: ClockRate, nanos: u64) -> u64 {
    ((u128::from(nanos) * u128::from(TICKS_IN_NANO[clock.number()])) >> 64) as u64
}

/// Whole ticks in a time.
#[inline]
pub(crate) fn ticks(clock: ClockRate, time: Duration) -> u64 {
    in_nanos(clock, time.as_nanos() as u64)
}

/// What the clock shows at `at`, wrapped as a timestamp is.
#[inline]
pub(crate) fn reading(clock: ClockRate, at: Instant) -> u32 {
    in_nanos(clock, at.as_nanos()) as u32
}

/// Microseconds of so many ticks.
pub(crate) fn micros(clock: ClockRate, ticks: u64) -> u32 {
    let micros = ticks.saturating_mul(1_000_000) / u64::from(clock.hz());
    u32::try_from(micros).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_ticks_stay_whole_for_years() {
        for clock in ClockRate::ALL {
            let year = Duration::from_secs(365 * 86_400);
            for time in [Duration::from_millis(20), Duration::from_secs(1), year, 5 * year] {
                let exact = time.as_nanos() * u128::from(clock.hz()) / 1_000_000_000;
                assert_eq!(u128::from(ticks(clock, time)), exact, "{clock:?} {time:?}");
            }
            assert_eq!(micros(clock, clock.hz().into()), 1_000_000);
            assert_eq!(reading(clock, Instant::ZERO + Duration::from_secs(10)), 10 * clock.hz());
        }
    }
}
