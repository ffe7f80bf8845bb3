use crate::{AudioFormat, Packets};
use contract::{Direction, OpusParameters, PayloadMapping};
use std::net::{IpAddr, SocketAddr};

/// What we can and want.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'s> {
    /// Audio formats, most preferred first.
    pub codecs: &'s [AudioFormat],
    /// Whether an offer may have formats beside these that the media plane does not understand, to be relayed to a side that
    /// has them as well.
    pub relays_all: bool,
    /// Whose order decides.
    pub order: CodecOrder,
    /// Whether telephone events are agreed on.
    pub telephone_event: bool,
    /// Which ways we want media to flow.
    pub direction: Direction,
    /// What our descriptions say about packets: what the other side of a relay says. None: what we make ourselves.
    pub packets: Option<Packets>,
    /// What our descriptions say of the Opus that is to be sent to us: what the other side of a relay wants. None: what the
    /// media plane wants.
    pub opus: Option<OpusParameters>,
    /// Where the peer's signaling comes from: media goes there where a description has a host name in `c=`.
    /// None: then it goes to where the peer's comes from.
    pub source: Option<IpAddr>,
    /// What our descriptions say of RTCP XR.
    pub rtcp_xr: RtcpXr,
}

/// What descriptions say of extended reports with VoIP metrics (`a=rtcp-xr:voip-metrics`, RFC 3611 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RtcpXr {
    /// Nothing.
    Off,
    /// Our answers ask for them where the offer does.
    #[default]
    Answered,
    /// Our offers ask for them as well.
    Offered,
}

impl Settings<'_> {
    /// Whether a payload type carries one of the formats.
    pub fn has(&self, mapping: &PayloadMapping) -> bool {
        self.codecs.iter().any(|format| format.is_carried_by(mapping))
    }
}

/// Whose order of codecs decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecOrder {
    /// The offerer's, as RFC 3264 §6.1 recommends.
    Offerer,
    /// That of this switch, by its settings.
    Ours,
}

/// Where we take media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// The address for `c=` and `o=`.
    pub ip: IpAddr,
    /// RTP port; RTCP is one above unless multiplexed.
    pub port: u16,
}

impl Local {
    /// Address and port.
    pub fn rtp(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// Our `o=` line: the version grows whenever a description of ours differs from the one before (RFC 3264 §8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    id: u64,
    version: u64,
    last: u64,
}

impl Origin {
    /// A session of ours by a number that nobody else has.
    pub fn new(id: u64) -> Self {
        // RFC 3264 §5: the number must fit a 64-bit signed integer.
        Self { id: id >> 2, version: 0, last: 0 }
    }

    /// The session's number and the version for a description whose other lines are `rest`.
    pub(crate) fn next(&mut self, rest: &str) -> (u64, u64) {
        let print = fnv(rest);
        if self.version == 0 || print != self.last {
            self.version += 1;
            self.last = print;
        }
        (self.id, self.version)
    }
}

/// FNV-1a: only ever compared with a description of our own, so nobody gains by a collision.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The media lines of a session that we do not take part in, before and after ours: every later description repeats
/// them with port 0 (RFC 3264 §8).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OtherMedia {
    pub(crate) before: Box<str>,
    pub(crate) after: Box<str>,
}
