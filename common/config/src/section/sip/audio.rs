use super::SECTION;
use crate::reading::reader::{List, Reader};
use crate::reading::suggest::did_you_mean;

/// The keys of `[sip]` about what calls may sound like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audio {
    /// Audio codecs, the preferred one first.
    pub codecs: Vec<AudioCodec>,
    /// Which side's order of codecs decides.
    pub codec_order: CodecOrder,
    /// Whether telephone events are agreed on.
    pub dtmf: bool,
}

/// An audio codec by its SDP name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioCodec {
    /// G.711 u-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, wideband at 64 kbit/s.
    G722,
    /// Opus.
    Opus,
    /// L16 of 8, 16 and 24 kHz, one channel.
    L16,
}

/// Which side's order of codecs decides in an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecOrder {
    /// The offerer's (RFC 3264 §6.1 recommends it).
    Caller,
    /// The order of `[sip] codecs`.
    Ours,
}

impl Audio {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let codecs = List {
            count: 1..=5,
            whole: r#"must be a list of different codecs out of "PCMU", "PCMA", "G722", "opus", "L16""#,
        };
        let orders = [("caller", CodecOrder::Caller), ("ours", CodecOrder::Ours)];
        Self {
            codecs: reader.list(SECTION, "codecs", &codecs, AudioCodec::named),
            codec_order: reader.word(SECTION, "codec_order", &orders),
            dtmf: reader.get(SECTION, "dtmf", "must be true or false", |value| value.as_bool()),
        }
    }
}

impl AudioCodec {
    fn named(name: &str) -> Result<Self, String> {
        match name.to_ascii_uppercase().as_str() {
            "PCMU" => Ok(Self::Pcmu),
            "PCMA" => Ok(Self::Pcma),
            "G722" => Ok(Self::G722),
            "OPUS" => Ok(Self::Opus),
            "L16" => Ok(Self::L16),
            other => {
                let hint = match other {
                    "ULAW" | "MULAW" | "G711U" => "; did you mean \"PCMU\"?".to_owned(),
                    "ALAW" | "G711A" => "; did you mean \"PCMA\"?".to_owned(),
                    "G.722" => "; did you mean \"G722\"?".to_owned(),
                    _ => did_you_mean(name, ["PCMU", "PCMA", "G722", "opus", "L16"]),
                };
                Err(format!("must be \"PCMU\", \"PCMA\", \"G722\", \"opus\" or \"L16\"{hint}"))
            }
        }
    }
}
