//! What a codec is called, and the shape of its sound and of its payloads.

use super::opus::Packet;
use super::{BadPayload, g722, l16};

/// A codec that can be decoded and encoded here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CodecKind {
    /// G.711 u-law (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 §4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s (RFC 3551 §4.5.2).
    G722,
    /// Samples as they are, in network order (RFC 3551 §4.5.11).
    L16,
    /// Opus (RFC 6716, RFC 7587).
    Opus,
}

impl CodecKind {
    /// Each codec once.
    pub const ALL: [Self; 5] = [Self::Pcmu, Self::Pcma, Self::G722, Self::L16, Self::Opus];

    /// The encoding name of `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::L16 => "L16",
            Self::Opus => "opus",
        }
    }

    /// The codec of an encoding name, in any case of letters (RFC 4855 §3).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// No codec has this rate and number of channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{name} has no {sample_rate} Hz with {channel_count} channels", name = kind.name())]
pub struct UnsupportedFormat {
    /// The codec.
    pub kind: CodecKind,
    /// The sampling or clock rate that was asked for, in Hz.
    pub sample_rate: u32,
    /// The channels that were asked for.
    pub channel_count: u8,
}

/// A codec with the sampling rate and the channels of its sound.
///
/// Sound is `i16`, channels interleaved: *samples* counts values of all channels, *frames* one sample of each channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CodecFormat {
    kind: CodecKind,
    sample_rate: u32,
    channel_count: u8,
}

/// Longest sound of a packet in milliseconds: Opus has no longer one (RFC 6716 §3.4), and no other codec needs it.
pub const PTIME_MS_MAX: u32 = 120;
/// Samples that a payload of any format decodes to at most: 120 ms of stereo at 48 kHz.
pub const PAYLOAD_SAMPLES_MAX: usize = 48 * PTIME_MS_MAX as usize * 2;
/// Bytes of the largest payload: L16 of [`PAYLOAD_SAMPLES_MAX`].
pub const PAYLOAD_BYTES_MAX: usize = PAYLOAD_SAMPLES_MAX * l16::SAMPLE_BYTES;
/// RTP ticks in a second that Opus counts with, at every sampling rate (RFC 7587 §4.1).
const OPUS_CLOCK_RATE: u32 = 48_000;

impl CodecFormat {
    /// PCMU.
    pub const PCMU: Self = Self { kind: CodecKind::Pcmu, sample_rate: 8_000, channel_count: 1 };
    /// PCMA.
    pub const PCMA: Self = Self { kind: CodecKind::Pcma, sample_rate: 8_000, channel_count: 1 };
    /// G.722.
    pub const G722: Self = Self { kind: CodecKind::G722, sample_rate: 16_000, channel_count: 1 };

    /// A codec with the rate of its sound in Hz: 8,000 for G.711, 16,000 for G.722, 8,000, 16,000, 24,000 or 48,000 for
    /// L16, these and 12,000 for Opus. One channel, or two with L16 and Opus.
    pub fn new(kind: CodecKind, sample_rate: u32, channel_count: u8) -> Result<Self, UnsupportedFormat> {
        let is_known = match kind {
            CodecKind::Pcmu | CodecKind::Pcma => (sample_rate, channel_count) == (8_000, 1),
            CodecKind::G722 => (sample_rate, channel_count) == (16_000, 1),
            CodecKind::L16 => matches!((sample_rate, channel_count), (8_000 | 16_000 | 24_000 | 48_000, 1 | 2)),
            CodecKind::Opus => {
                matches!((sample_rate, channel_count), (8_000 | 12_000 | 16_000 | 24_000 | 48_000, 1 | 2))
            }
        };
        if is_known {
            Ok(Self { kind, sample_rate, channel_count })
        } else {
            Err(UnsupportedFormat { kind, sample_rate, channel_count })
        }
    }

    /// The format of an `a=rtpmap`, where G.722 is told with 8,000 Hz (RFC 3551 §4.5.2) and Opus with 48,000 Hz and two
    /// channels (RFC 7587 §7), whatever they carry; peers that tell one channel are understood too. Opus comes out as
    /// mono of 48 kHz: [`Self::new`] makes other ones.
    pub fn from_rtpmap(kind: CodecKind, clock_rate: u32, channel_count: u8) -> Result<Self, UnsupportedFormat> {
        match (kind, clock_rate, channel_count) {
            (CodecKind::G722, 8_000, 1) => Ok(Self::G722),
            (CodecKind::Opus, OPUS_CLOCK_RATE, 1 | 2) => Self::new(kind, OPUS_CLOCK_RATE, 1),
            (CodecKind::G722 | CodecKind::Opus, sample_rate, channel_count) => {
                Err(UnsupportedFormat { kind, sample_rate, channel_count })
            }
            _ => Self::new(kind, clock_rate, channel_count),
        }
    }

    /// The codec.
    pub const fn kind(self) -> CodecKind {
        self.kind
    }

    /// Frames of sound in a second, which decoding makes and encoding takes.
    pub const fn sample_rate(self) -> u32 {
        self.sample_rate
    }

    /// Channels of the sound, 1 or 2.
    pub const fn channel_count(self) -> u8 {
        self.channel_count
    }

    /// RTP ticks in a second, as `a=rtpmap` tells them.
    pub const fn clock_rate(self) -> u32 {
        match self.kind {
            CodecKind::G722 => 8_000,
            CodecKind::Opus => OPUS_CLOCK_RATE,
            _ => self.sample_rate,
        }
    }

    /// The longest time of a packet that the codec can make, up to the wanted one, in milliseconds: whole steps of
    /// 10 ms, 10 to 120; Opus also leaves out 30, 50, 70, 90 and 110 (RFC 6716 §2.1.4 lists what one frame, two and
    /// three make).
    pub const fn nearest_ptime_ms(self, wanted_ms: u32) -> u32 {
        let steps = if wanted_ms > PTIME_MS_MAX { PTIME_MS_MAX / 10 } else { wanted_ms / 10 };
        match (self.kind, steps) {
            (_, 0) => 10,
            (CodecKind::Opus, 1) => 10,
            (CodecKind::Opus, _) => steps / 2 * 20,
            _ => steps * 10,
        }
    }

    /// Samples of all channels in a packet of so many milliseconds.
    pub const fn samples_in_ms(self, ms: u32) -> usize {
        (self.sample_rate / 1_000 * ms) as usize * self.channel_count as usize
    }

    /// RTP ticks in a packet of so many milliseconds.
    pub const fn ticks_in_ms(self, ms: u32) -> u32 {
        self.clock_rate() / 1_000 * ms
    }

    /// Samples of all channels that a payload decodes to, found without decoding. That the payload is sound beyond its
    /// length is only known after decoding.
    pub fn samples_in(self, payload: &[u8]) -> Result<usize, BadPayload> {
        if payload.is_empty() {
            return Err(BadPayload::Empty);
        }
        let channels = usize::from(self.channel_count);
        let samples = match self.kind {
            CodecKind::Pcmu | CodecKind::Pcma => payload.len(),
            CodecKind::G722 => payload.len() * g722::SAMPLES_IN_OCTET,
            CodecKind::L16 if !payload.len().is_multiple_of(l16::SAMPLE_BYTES * channels) => {
                return Err(BadPayload::Cut);
            }
            CodecKind::L16 => payload.len() / l16::SAMPLE_BYTES,
            // Durations are multiples of 2.5 ms, a whole number of frames at every rate.
            CodecKind::Opus => {
                Packet::parse(payload)?.ticks() as usize * self.sample_rate as usize / OPUS_CLOCK_RATE as usize
                    * channels
            }
        };
        if samples > self.samples_in_ms(PTIME_MS_MAX) { Err(BadPayload::TooLong) } else { Ok(samples) }
    }

    /// RTP ticks of a payload's sound, found without decoding: how far the next packet's timestamp is from this one's.
    pub fn ticks_in(self, payload: &[u8]) -> Result<u32, BadPayload> {
        let frames = self.samples_in(payload)? / usize::from(self.channel_count);
        Ok((frames as u64 * u64::from(self.clock_rate()) / u64::from(self.sample_rate)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_rtp_and_of_sound() {
        for (name, clock_rate, channels, sample_rate, samples, ticks) in [
            ("pcmu", 8_000, 1, 8_000, 160, 160),
            ("PCMA", 8_000, 1, 8_000, 160, 160),
            ("g722", 8_000, 1, 16_000, 320, 160),
            ("OPUS", 48_000, 2, 48_000, 960, 960),
            ("L16", 24_000, 2, 24_000, 960, 480),
        ] {
            let kind = CodecKind::from_name(name).unwrap();
            let format = CodecFormat::from_rtpmap(kind, clock_rate, channels).unwrap();
            assert_eq!(format.sample_rate(), sample_rate, "{name}");
            assert_eq!((format.samples_in_ms(20), format.ticks_in_ms(20)), (samples, ticks), "{name}");
            assert_eq!(format.clock_rate(), clock_rate, "{name}");
        }
        assert_eq!(CodecKind::from_name("G729"), None);
    }

    #[test]
    fn formats_that_no_codec_has() {
        for (kind, clock_rate, channels) in [
            (CodecKind::Pcmu, 16_000, 1),
            (CodecKind::Pcma, 8_000, 2),
            (CodecKind::G722, 16_000, 1),
            (CodecKind::L16, 11_025, 1),
            (CodecKind::L16, 8_000, 3),
            (CodecKind::L16, 8_000, 0),
            (CodecKind::Opus, 48_000, 3),
            (CodecKind::Opus, 16_000, 2),
        ] {
            let refused = CodecFormat::from_rtpmap(kind, clock_rate, channels).unwrap_err();
            assert_eq!(refused, UnsupportedFormat { kind, sample_rate: clock_rate, channel_count: channels });
        }
        let refused = CodecFormat::new(CodecKind::Opus, 44_100, 2).unwrap_err();
        assert_eq!(refused.to_string(), "opus has no 44100 Hz with 2 channels");
    }

    #[test]
    fn packet_times() {
        let opus = CodecFormat::new(CodecKind::Opus, 48_000, 1).unwrap();
        for (wanted, plain, in_opus) in [
            (0, 10, 10),
            (5, 10, 10),
            (20, 20, 20),
            (30, 30, 20),
            (55, 50, 40),
            (60, 60, 60),
            (90, 90, 80),
            (500, 120, 120),
        ] {
            assert_eq!(CodecFormat::G722.nearest_ptime_ms(wanted), plain, "{wanted} ms");
            assert_eq!(opus.nearest_ptime_ms(wanted), in_opus, "{wanted} ms");
        }
    }

    #[test]
    fn lengths_that_no_payload_has() {
        let l16 = CodecFormat::new(CodecKind::L16, 16_000, 2).unwrap();
        assert_eq!(l16.samples_in(&[0; 8]), Ok(4));
        assert_eq!(l16.ticks_in(&[0; 8]), Ok(2));
        assert_eq!(l16.samples_in(&[0; 6]), Err(BadPayload::Cut));
        assert_eq!(CodecFormat::PCMU.ticks_in(&[0; 960]), Ok(960));
        assert_eq!(CodecFormat::PCMU.samples_in(&[0; 961]), Err(BadPayload::TooLong));
        assert_eq!(CodecFormat::G722.samples_in(&[0; 160]), Ok(320));
        assert_eq!(CodecFormat::G722.ticks_in(&[0; 160]), Ok(160));
        for kind in CodecKind::ALL {
            let rate = if kind == CodecKind::G722 { 16_000 } else { 8_000 };
            assert_eq!(CodecFormat::new(kind, rate, 1).unwrap().samples_in(&[]), Err(BadPayload::Empty));
        }
    }
}
