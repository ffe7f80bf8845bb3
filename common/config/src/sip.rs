use crate::reader::{Reader, integer, strings};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most shards. Each is a control client of the media plane, which has places for the shards of two lives of signaling.
const SHARD_COUNT_MAX: u64 = 8;

/// `[sip]`: signaling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sip {
    /// UDP addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Address for Via, Contact and SDP; `None`: the one that the request came to.
    pub advertised_address: Option<IpAddr>,
    /// Threads that run calls; 0: see [`Sip::shard_count`].
    pub shards: usize,
    /// Timer T1.
    pub t1: Duration,
    /// Calls at once.
    pub max_calls: usize,
    /// What a refused caller is asked to wait.
    pub retry_after: Duration,
    /// How long a call may wait for a deferred decision.
    pub decision_timeout: Duration,
    /// Audio codecs, in our order.
    pub codecs: Vec<AudioCodec>,
    /// Whose order decides.
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
}

/// Whose order of codecs decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecOrder {
    /// The offerer's (RFC 3264 §6.1 recommends it).
    Caller,
    /// Ours.
    Ours,
}

impl Sip {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "sip";
        let addresses = r#"must be a list of 1 to 16 different "address:port" strings, such as "192.0.2.1:5060" or "[2001:db8::1]:5060""#;
        let codecs = r#"must be a list of different codecs out of "PCMU", "PCMA""#;
        let mut number = |name, low, high| {
            let allowed = format!("must be a whole number from {low} to {high}");
            reader.get(section, name, &allowed, |value| integer(value, low..=high))
        };
        let shards = number("shards", 0, SHARD_COUNT_MAX) as usize;
        let t1 = Duration::from_millis(number("t1_ms", 50, 5_000));
        let max_calls = number("max_calls", 1, 1_000_000) as usize;
        let retry_after = Duration::from_secs(number("retry_after_s", 1, 3_600));
        let decision_timeout = Duration::from_secs(number("decision_timeout_s", 1, 600));
        Self {
            listen: reader.get(section, "listen", addresses, |value| {
                unique(strings(value)?.into_iter().map(|text| text.parse().ok()).collect::<Option<Vec<_>>>()?, 16)
            }),
            advertised_address: reader.get(section, "advertised_address", "must be an IP address, or empty", |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified()).map(Some),
                }
            }),
            shards,
            t1,
            max_calls,
            retry_after,
            decision_timeout,
            codecs: reader.get(section, "codecs", codecs, |value| {
                unique(strings(value)?.into_iter().map(AudioCodec::from_name).collect::<Option<Vec<_>>>()?, 2)
            }),
            codec_order: reader.get(section, "codec_order", r#"must be "caller" or "ours""#, |value| {
                match value.as_str()? {
                    "caller" => Some(CodecOrder::Caller),
                    "ours" => Some(CodecOrder::Ours),
                    _ => None,
                }
            }),
            dtmf: reader.get(section, "dtmf", "must be true or false", |value| value.as_bool()),
        }
    }

    /// The number of shards on a host with `cores`.
    pub fn shard_count(&self, cores: usize) -> usize {
        if self.shards == 0 { (cores / 2).clamp(1, SHARD_COUNT_MAX as usize) } else { self.shards }
    }
}

impl AudioCodec {
    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PCMU" => Some(Self::Pcmu),
            "PCMA" => Some(Self::Pcma),
            _ => None,
        }
    }
}

/// The list, if it has 1 to `most` entries and none twice.
fn unique<T: PartialEq>(list: Vec<T>, most: usize) -> Option<Vec<T>> {
    let twice = list.iter().enumerate().any(|(index, item)| list[..index].contains(item));
    (!list.is_empty() && list.len() <= most && !twice).then_some(list)
}
