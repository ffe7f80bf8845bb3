//! Formats of audio: codecs that the media plane understands, and formats that it only relays between two sides that both
//! have them.

use contract::{ClockRate, Codec, FormatId, PayloadMapping};
use std::sync::Arc;

/// Longest encoding name that is taken.
pub(crate) const NAME_BYTES_MAX: usize = 32;
/// Longest `a=fmtp` that is taken.
pub(crate) const PARAMETER_BYTES_MAX: usize = 256;
/// Most channels that are taken.
const CHANNEL_COUNT_MAX: u8 = 8;

/// Names whose packets depend on the payload types of their own leg (RFC 2198, RFC 4588, RFC 5109, RFC 8627) or carry no
/// speech: they cannot be relayed to another leg, where the numbers are others.
const NEVER_RELAYED: [&str; 8] = ["red", "rtx", "ulpfec", "parityfec", "flexfec", "tone", "telephone-event", "CN"];

/// Audio that a session can offer and accept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AudioFormat {
    /// The media plane decodes and encodes it.
    Known(Codec, ClockRate),
    /// It is passed on between two sides that both have it, and never decoded.
    Relayed(Arc<RelayedFormat>),
}

impl AudioFormat {
    /// A codec with its usual clock.
    pub const fn of(codec: Codec) -> Self {
        Self::Known(codec, codec.clock_rate())
    }

    /// Whether a payload type carries it.
    pub fn is_carried_by(&self, mapping: &PayloadMapping) -> bool {
        match self {
            Self::Known(codec, clock) => (*codec, *clock) == (mapping.codec, mapping.clock_rate),
            Self::Relayed(format) => mapping.codec == Codec::Other && format.id().is_same_format(mapping.format),
        }
    }
}

impl From<Codec> for AudioFormat {
    fn from(codec: Codec) -> Self {
        Self::of(codec)
    }
}

/// A format that is only relayed, as the session description of one peer names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayedFormat {
    /// The number that the peer has given it.
    pub(crate) payload_type: u8,
    name: Box<str>,
    clock: ClockRate,
    channel_count: u8,
    /// What the peer says in `a=fmtp`; empty: nothing.
    parameters: Box<str>,
    /// What has to be equal on both sides, beside name, clock and channels.
    agreement: Agreement,
    id: FormatId,
}

/// The parameters of a format in which both sides have to agree.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Agreement {
    /// Equal from the start.
    fixed: Box<str>,
    /// The mode that every peer takes: either side may demand it, and both use it then.
    is_restricted: bool,
}

impl RelayedFormat {
    /// Reads what `a=rtpmap` and `a=fmtp` say; `None`: it cannot be relayed.
    pub(crate) fn read(payload_type: u8, (name, hz, channel_count): (&str, u32, u8), parameters: &str) -> Option<Self> {
        let clock = ClockRate::from_hz(hz)?;
        let parameters = parameters.trim();
        let is_name = name.len() <= NAME_BYTES_MAX && !name.is_empty() && name.bytes().all(is_token);
        let is_never = NEVER_RELAYED.iter().any(|never| never.eq_ignore_ascii_case(name));
        let is_sound = (1..=CHANNEL_COUNT_MAX).contains(&channel_count) && parameters.len() <= PARAMETER_BYTES_MAX;
        let agreement = Agreement::read(name, parameters);
        (is_name && is_sound && !is_never).then(|| {
            let (name, parameters) = (name.into(), parameters.into());
            let mut format =
                Self { payload_type, name, clock, channel_count, parameters, agreement, id: FormatId::NONE };
            format.id = format.make_id();
            format
        })
    }

    /// What tells it apart from other formats.
    pub fn id(&self) -> FormatId {
        self.id
    }

    /// Ticks of its RTP clock in a second.
    pub fn clock(&self) -> ClockRate {
        self.clock
    }

    /// The encoding name, as the peer spells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Channels, as `a=rtpmap` names them.
    pub(crate) fn channel_count(&self) -> u8 {
        self.channel_count
    }

    /// What the peer says in `a=fmtp`.
    pub(crate) fn parameters(&self) -> &str {
        &self.parameters
    }

    /// Whether packets of one side can be relayed to the other, once both use the same mode.
    pub(crate) fn is_same_format(&self, other: &Self) -> bool {
        (self.clock, self.channel_count) == (other.clock, other.channel_count)
            && canonical_name(&self.name).eq_ignore_ascii_case(canonical_name(&other.name))
            && self.agreement.fixed == other.agreement.fixed
    }

    /// This format as it is used once the other side's word counts as well.
    pub(crate) fn meeting(mut self, other: &Self) -> Self {
        self.agreement.is_restricted |= other.agreement.is_restricted;
        self.id = self.make_id();
        self
    }

    /// FNV-1a of what has to be equal.
    fn make_id(&self) -> FormatId {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let name = canonical_name(&self.name).bytes().map(|byte| byte.to_ascii_uppercase());
        let numbers = [0, self.clock.number() as u8, self.channel_count];
        let hash = name.chain(numbers).chain(self.agreement.fixed.bytes()).fold(0xcbf2_9ce4_8422_2325, step);
        FormatId::new(hash, self.agreement.is_restricted)
    }
}

impl Agreement {
    fn read(name: &str, parameters: &str) -> Self {
        let value = |wanted: &str| {
            let pairs = parameters.split(';').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let is_on = |name: &str| value(name).is_some_and(|(_, value)| value == "1");
        let canonical = canonical_name(name).to_ascii_uppercase();
        match &*canonical {
            // RFC 4867 §8.1: all others depend on, or are limits of, what is sent; peers settle these between them.
            "AMR" | "AMR-WB" => {
                let has = [is_on("crc"), is_on("robust-sorting"), value("interleaving").is_some()];
                let is_aligned = is_on("octet-align") || has.contains(&true);
                let flags = [is_aligned, has[0], has[1], has[2]].map(|is_set| if is_set { '1' } else { '0' });
                Self { fixed: flags.iter().collect::<String>().into(), is_restricted: false }
            }
            // RFC 3952 §5: with different modes both sides use 30 ms, which is also what holds without one.
            "ILBC" => Self { is_restricted: value("mode").is_none_or(|(_, mode)| mode != "20"), ..Self::default() },
            // RFC 4856 §2.1.9, RFC 7261: unless it says no, Annex B is understood.
            "G729" => Self {
                is_restricted: value("annexb").is_some_and(|(_, annexb)| annexb.eq_ignore_ascii_case("no")),
                ..Self::default()
            },
            // RFC 5577 §4.1: the bit rate of a payload type is one.
            "G7221" => Self { fixed: value("bitrate").unwrap_or_default().1.into(), ..Self::default() },
            // RFC 6416 §6.3, RFC 3640 §4.1: nothing can be decoded without the same configuration.
            "MP4A-LATM" | "MPEG4-GENERIC" => {
                let mut pairs: Vec<String> =
                    parameters.split(';').map(|pair| pair.replace(' ', "").to_ascii_lowercase()).collect();
                pairs.sort_unstable();
                Self { fixed: pairs.join(";").into(), is_restricted: false }
            }
            _ => Self::default(),
        }
    }
}

/// Formats that are only relayed, of one session description.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RelayedFormats(Box<[Arc<RelayedFormat>]>);

impl RelayedFormats {
    /// The one that a payload type carries.
    pub fn find(&self, id: FormatId) -> Option<&Arc<RelayedFormat>> {
        self.0.iter().find(|format| format.id == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RelayedFormat>> {
        self.0.iter()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let text = |format: &Arc<RelayedFormat>| format.name.len() + format.parameters.len();
        self.0.iter().map(|format| size_of::<Arc<RelayedFormat>>() + size_of::<RelayedFormat>() + text(format)).sum()
    }
}

impl From<Vec<Arc<RelayedFormat>>> for RelayedFormats {
    fn from(formats: Vec<Arc<RelayedFormat>>) -> Self {
        Self(formats.into())
    }
}

/// What RFC 3551 §6 means by a payload type without an `a=rtpmap`, beside the codecs that the media plane understands.
pub(crate) fn static_format(payload_type: u8) -> Option<(&'static str, u32, u8)> {
    Some(match payload_type {
        3 => ("GSM", 8_000, 1),
        4 => ("G723", 8_000, 1),
        5 => ("DVI4", 8_000, 1),
        6 => ("DVI4", 16_000, 1),
        7 => ("LPC", 8_000, 1),
        10 => ("L16", 44_100, 2),
        11 => ("L16", 44_100, 1),
        12 => ("QCELP", 8_000, 1),
        14 => ("MPA", 90_000, 1),
        15 => ("G728", 8_000, 1),
        16 => ("DVI4", 11_025, 1),
        17 => ("DVI4", 22_050, 1),
        18 => ("G729", 8_000, 1),
        _ => return None,
    })
}

/// Names of annexes of G.729 that its decoders take alike, as some phones spell them.
fn canonical_name(name: &str) -> &str {
    let is_g729 = ["G729A", "G729B", "G729AB"].iter().any(|annex| annex.eq_ignore_ascii_case(name));
    if is_g729 { "G729" } else { name }
}

/// RFC 8866 §9: a character of a token. A slash would end the name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, parameters: &str) -> RelayedFormat {
        RelayedFormat::read(96, (name, 8_000, 1), parameters).expect("it can be relayed")
    }

    #[test]
    fn what_has_to_agree_makes_another_format_and_nothing_else_does() {
        for (one, other, is_same) in [
            (("AMR", ""), ("amr", "octet-align=0; mode-set=0,2,4,7"), true),
            (("AMR", "octet-align=1"), ("AMR", ""), false),
            (("AMR", "octet-align=1"), ("AMR", "mode-change-period=2;Octet-Align=1; max-red=0"), true),
            (("AMR", "octet-align=1; crc=1"), ("AMR", "octet-align=1"), false),
            (("AMR", "interleaving=30"), ("AMR", "octet-align=1;interleaving=20"), true),
            (("AMR-WB", ""), ("AMR", ""), false),
            (("G729", "annexb=no"), ("G729A", ""), true),
            (("G729", ""), ("G729D", ""), false),
            (("iLBC", "mode=20"), ("ILBC", "mode=30"), true),
            (("G7221", "bitrate=24000"), ("G7221", "bitrate=32000"), false),
            (("speex", "mode=any"), ("SPEEX", "vbr=on"), true),
            (("speex", ""), ("GSM", ""), false),
            (("MP4A-LATM", "config=1; object=2"), ("MP4A-LATM", "object=2;config=1"), true),
            (("MP4A-LATM", "config=1"), ("MP4A-LATM", "config=2"), false),
        ] {
            let (first, second) = (format(one.0, one.1), format(other.0, other.1));
            assert_eq!(first.is_same_format(&second), is_same, "{one:?} {other:?}");
            assert_eq!(first.id().is_same_format(second.id()), is_same, "{one:?} {other:?}");
        }
        let wideband = RelayedFormat::read(96, ("speex", 16_000, 1), "").unwrap();
        let stereo = RelayedFormat::read(96, ("speex", 8_000, 2), "").unwrap();
        assert!(!wideband.is_same_format(&format("speex", "")) && wideband.id() != stereo.id());
        assert!(!stereo.is_same_format(&format("speex", "")));
    }

    #[test]
    fn two_modes_meet_in_the_one_that_every_peer_takes() {
        for (name, free, restricted) in [("iLBC", "mode=20", ""), ("G729", "", "annexb=no")] {
            let (free, restricted) = (format(name, free), format(name, restricted));
            assert_ne!(free.id(), restricted.id());
            assert_eq!(free.clone().meeting(&restricted).id(), restricted.id());
            assert_eq!(restricted.clone().meeting(&free).id(), restricted.id());
            assert_eq!(free.clone().meeting(&free).id(), free.id());
        }
    }

    #[test]
    fn what_cannot_be_relayed_is_no_format() {
        let read = |name: &str, hz, channels, parameters: &str| {
            RelayedFormat::read(96, (name, hz, channels), parameters).is_some()
        };
        assert!(read("EVS", 16_000, 1, "br=5.9-24.4; bw=nb-swb"));
        assert!(!read("red", 8_000, 1, "0/0") && !read("RTX", 48_000, 1, "apt=96") && !read("cn", 8_000, 1, ""));
        assert!(!read("EVS", 15_999, 1, "") && !read("EVS", 0, 1, "") && !read("EVS", 16_000, 0, ""));
        assert!(!read("EVS", 16_000, 9, "") && !read("", 16_000, 1, "") && !read("E VS", 16_000, 1, ""));
        assert!(!read(&"x".repeat(33), 8_000, 1, "") && !read("x", 8_000, 1, &"y".repeat(257)));
    }
}
