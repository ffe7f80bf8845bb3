use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bit/s of one unit of the bit rate.
const BITRATE_UNIT: u32 = 2_000;
/// Playback rates, Hz, by number: those that Opus has (RFC 6716 §2).
const PLAYBACK_RATES: [u32; 5] = [48_000, 24_000, 16_000, 12_000, 8_000];

const STEREO: u8 = 1 << 3;
const CONSTANT_BITRATE: u8 = 1 << 4;
const INBAND_FEC: u8 = 1 << 5;
const DTX: u8 = 1 << 6;
const RATE: u8 = 7;

/// What a peer wants of the Opus that it is sent (RFC 7587 §6.1), in two bytes: each session and each leg keeps them. The
/// default is what holds when nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct OpusParameters {
    /// In units of [`BITRATE_UNIT`]; 0: the sender chooses.
    bitrate: u8,
    /// [`RATE`] and flags.
    flags: u8,
}

impl OpusParameters {
    /// `maxplaybackrate` in Hz: the lowest rate of Opus that is enough for it.
    pub fn with_playback_rate(mut self, hz: u32) -> Self {
        let number = PLAYBACK_RATES.iter().rposition(|rate| *rate >= hz).unwrap_or(0);
        self.flags = self.flags & !RATE | number as u8;
        self
    }

    /// `maxaveragebitrate` in bit/s, 6,000 to 510,000, rounded down to whole 2,000.
    pub fn with_bitrate(mut self, bits_a_second: u32) -> Self {
        self.bitrate = (bits_a_second.clamp(6_000, 510_000) / BITRATE_UNIT) as u8;
        self
    }

    /// `stereo`.
    pub fn with_stereo(self, is_set: bool) -> Self {
        self.with(STEREO, is_set)
    }

    /// `cbr`.
    pub fn with_constant_bitrate(self, is_set: bool) -> Self {
        self.with(CONSTANT_BITRATE, is_set)
    }

    /// `useinbandfec`.
    pub fn with_inband_fec(self, is_set: bool) -> Self {
        self.with(INBAND_FEC, is_set)
    }

    /// `usedtx`.
    pub fn with_dtx(self, is_set: bool) -> Self {
        self.with(DTX, is_set)
    }

    /// Hz beyond which the peer hears nothing, of those that Opus has.
    pub fn playback_rate(self) -> u32 {
        PLAYBACK_RATES.get(usize::from(self.flags & RATE)).copied().unwrap_or(PLAYBACK_RATES[0])
    }

    /// Bit/s that the peer takes on average; `None`: the sender chooses.
    pub fn bitrate(self) -> Option<u32> {
        (self.bitrate != 0).then_some(u32::from(self.bitrate) * BITRATE_UNIT)
    }

    /// The peer prefers two channels.
    pub fn is_stereo(self) -> bool {
        self.flags & STEREO != 0
    }

    /// The peer prefers a constant bit rate.
    pub fn is_constant_bitrate(self) -> bool {
        self.flags & CONSTANT_BITRATE != 0
    }

    /// The peer repairs lost packets from the ones after them.
    pub fn has_inband_fec(self) -> bool {
        self.flags & INBAND_FEC != 0
    }

    /// The peer prefers that silence is not sent.
    pub fn has_dtx(self) -> bool {
        self.flags & DTX != 0
    }

    /// As two bytes, for what is stored.
    pub fn to_bytes(self) -> [u8; 2] {
        [self.bitrate, self.flags]
    }

    /// From [`Self::to_bytes`]; `None`: these are no parameters.
    pub fn from_bytes([bitrate, flags]: [u8; 2]) -> Option<Self> {
        Some(Self { bitrate, flags }).filter(|parameters| parameters.is_sound())
    }

    pub(crate) fn is_sound(self) -> bool {
        usize::from(self.flags & RATE) < PLAYBACK_RATES.len() && self.flags >> 7 == 0
    }

    fn with(mut self, flag: u8, is_set: bool) -> Self {
        self.flags = if is_set { self.flags | flag } else { self.flags & !flag };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bytes_hold_what_a_peer_says() {
        let nothing = OpusParameters::default();
        assert_eq!((nothing.playback_rate(), nothing.bitrate(), nothing.is_stereo()), (48_000, None, false));
        let all = nothing.with_playback_rate(16_000).with_bitrate(21_000).with_inband_fec(true).with_dtx(true);
        assert_eq!(
            (all.playback_rate(), all.bitrate(), all.has_inband_fec(), all.has_dtx()),
            (16_000, Some(20_000), true, true)
        );
        assert!(all.is_sound() && !all.is_stereo() && !all.is_constant_bitrate());
        assert!(!all.with_dtx(false).with_stereo(true).with_constant_bitrate(true).has_dtx());
        for (wanted, enough) in [(8_000, 8_000), (8_001, 12_000), (44_100, 48_000), (1, 8_000), (96_000, 48_000)] {
            assert_eq!(nothing.with_playback_rate(wanted).playback_rate(), enough);
        }
        assert_eq!(
            (nothing.with_bitrate(1).bitrate(), nothing.with_bitrate(u32::MAX).bitrate()),
            (Some(6_000), Some(510_000))
        );
        assert!(
            !OpusParameters { bitrate: 0, flags: 5 }.is_sound()
                && !OpusParameters { bitrate: 0, flags: 0x80 }.is_sound()
        );
    }
}
