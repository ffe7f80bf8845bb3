use clock::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ticks of an RTP clock in a second, as one of the rates that audio formats are registered with (RFC 3551 and the IANA
/// registry of media types). As small as a byte: every leg keeps one for each of its payload types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct ClockRate(u8);

/// By number. The order is part of the layout.
const RATES_HZ: [u32; 12] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 90_000, 96_000, 192_000];

impl ClockRate {
    /// All of them, by number.
    pub const ALL: [Self; RATES_HZ.len()] = {
        let mut all = [Self(0); RATES_HZ.len()];
        let mut number = 0;
        while number < all.len() {
            all[number] = Self(number as u8);
            number += 1;
        }
        all
    };

    /// 8,000 ticks a second, the clock of most codecs of telephones.
    pub const HZ_8000: Self = Self(0);

    /// 16,000 ticks a second.
    pub const HZ_16000: Self = Self(3);
    /// 24,000 ticks a second.
    pub const HZ_24000: Self = Self(5);

    /// 48,000 ticks a second, the clock of Opus (RFC 7587 §4.1).
    pub const HZ_48000: Self = Self(8);

    /// The clock of so many ticks a second; `None` for a rate that no audio format has.
    pub fn from_hz(hz: u32) -> Option<Self> {
        let number = RATES_HZ.iter().position(|rate| *rate == hz)?;
        Some(Self(number as u8))
    }

    /// Ticks in a second.
    pub const fn hz(self) -> u32 {
        RATES_HZ[self.number()]
    }

    /// Whole ticks in a time.
    pub fn ticks(self, time: Duration) -> u64 {
        let hz = u64::from(self.hz());
        let rest = u64::from(time.subsec_nanos()) * hz / 1_000_000_000;
        time.as_secs().saturating_mul(hz).saturating_add(rest)
    }

    /// The time that so many ticks take.
    pub fn time(self, ticks: u64) -> Duration {
        let hz = u64::from(self.hz());
        Duration::new(ticks / hz, (ticks % hz * 1_000_000_000 / hz) as u32)
    }

    /// Its place in [`Self::ALL`].
    pub const fn number(self) -> usize {
        // What came out of shared memory has been checked; this makes every other byte harmless as well.
        if self.is_known() { self.0 as usize } else { 0 }
    }

    pub(crate) const fn is_known(self) -> bool {
        (self.0 as usize) < RATES_HZ.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_comes_back_as_it_went() {
        for hz in RATES_HZ {
            assert_eq!(ClockRate::from_hz(hz).map(ClockRate::hz), Some(hz));
        }
        let named = [ClockRate::HZ_8000, ClockRate::HZ_16000, ClockRate::HZ_24000, ClockRate::HZ_48000];
        assert_eq!(named.map(ClockRate::hz), [8_000, 16_000, 24_000, 48_000]);
        assert_eq!(ClockRate::from_hz(7_999), None);
        assert!(!ClockRate(RATES_HZ.len() as u8).is_known());
    }

    #[test]
    fn ticks_and_times_are_of_the_same_clock() {
        for clock in ClockRate::ALL {
            let hz = u64::from(clock.hz());
            for seconds in [0, 1, 86_400] {
                let time = Duration::from_secs(seconds);
                assert_eq!((clock.ticks(time), clock.time(seconds * hz)), (seconds * hz, time));
            }
            assert_eq!(clock.ticks(Duration::MAX), u64::MAX);
        }
        let wideband = ClockRate::from_hz(16_000).unwrap();
        assert_eq!(
            (wideband.ticks(Duration::from_micros(20_062)), wideband.ticks(Duration::from_micros(20_063))),
            (320, 321)
        );
        assert_eq!(wideband.time(321), Duration::from_nanos(20_062_500));
    }
}
