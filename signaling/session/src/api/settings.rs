use crate::{CrossingPolicy, Destinations, DigitWay, PlannedSource, Sources, UserLimit};
use clock::Duration;
use contract::{Codec, DigitPassing, Direction, VoiceProcessing};
use sdp_core::{AudioFormat, CodecOrder};
use std::net::IpAddr;

/// How long a peer's change may wait for another one to end. A phone gives an UPDATE up after 32 s (RFC 3261 §17.1.2.2).
pub const CHANGE_WAIT_LIMIT: Duration = Duration::from_secs(10);
/// How long an operation of the user's may wait for another change of its call to end: as long as a request of the peer may
/// take (64*T1).
pub const OPERATION_WAIT_LIMIT: Duration = Duration::from_secs(32);
/// Most redirections (3xx) that one call follows.
pub const REDIRECTS_MAX: usize = 5;
/// Longest URI, Call-ID or user name that a session remembers; the rest is cut off.
pub const REMEMBERED_BYTES_MAX: usize = 256;

/// Settings of all sessions of a shard.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What is offered and agreed on, and what legs are told.
    pub media: MediaSettings,
    /// How many calls there may be.
    pub limits: CallLimits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Which header fields cross from one side of a call to the other.
    pub crossing: CrossingPolicy,
    /// Where calls may go because a peer says so.
    pub destinations: Destinations,
    /// Where our session numbers start.
    pub seed: u64,
}

/// Media of all sessions of a shard.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Audio codecs that the media plane decodes and encodes, most preferred first.
    pub codecs: Vec<AudioFormat>,
    /// Whether formats that the media plane cannot decode are passed on between two sides that both have them.
    pub relays_all: bool,
    /// Whether the order of the offerer or of the answerer decides on the codec.
    pub codec_order: CodecOrder,
    /// Whether two sides of a call that have no codec in common are transcoded. Otherwise such a call is refused.
    pub transcoding: bool,
    /// What is done to the sound of every peer of which nothing else is wanted.
    pub voice: VoiceProcessing,
    /// Whether telephone events are agreed on, where `digit_way` has them.
    pub telephone_event: bool,
    /// How digits travel between the switch and its peers.
    pub digit_way: DigitWay,
    /// What becomes of a digit of one side of a call on its way to the other side.
    pub digit_passing: DigitPassing,
    /// Silence from the peer that ends a call; zero: it never does.
    pub silence_limit: Duration,
    /// How much early media is sent to a caller whose address is not proven, as time of G.711.
    pub early_unproven: Duration,
    /// What a caller whose call goes on hears while the called side rings and sends no early media; none: nothing of ours.
    pub ringback: Option<PlannedSource>,
    /// Differentiated services code point of RTP.
    pub dscp: u8,
    /// What our descriptions say of RTCP XR.
    pub rtcp_xr: sdp_core::RtcpXr,
    /// Every peer is sent RTCP XR, whatever its description says.
    pub forces_rtcp_xr: bool,
    /// A peer whose call is degraded is offered the codec that copes best with loss, where both have it.
    pub codec_change: bool,
    /// Our address for session descriptions of calls that we place, when it is not the one that they leave from.
    pub advertised: Option<IpAddr>,
}

/// How many calls a shard, a user and a source may have.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// Sessions at once.
    pub max_calls: usize,
    /// `Retry-After` of a 503.
    pub retry_after: Duration,
    /// How many calls one user may have, as the From field names it; none: as many as there is room for.
    pub user_limit: Option<UserLimit>,
    /// How many calls one source may have that it has not acknowledged; none: as many as there is room for.
    pub sources: Option<Sources>,
}

/// How long the parts of a call may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// How long a deferred call may ring.
    pub decision: Duration,
    /// How long a call that we place may ring.
    pub answer: Duration,
    /// How long a target may send no other response than 100 Trying before it counts as unanswered.
    pub progress: Duration,
    /// How long a transfer that we asked for may take.
    pub transfer: Duration,
    /// How long a call may last, ringing included; zero: for ever.
    pub age: Duration,
    /// How long a call may go on in which the peer sends nothing by agreement, as on hold; zero: for ever.
    pub idle: Duration,
    /// How often a peer that has nothing to send is asked whether it is still there; zero: never.
    pub probe_interval: Duration,
    /// How long a dialog that we ended may take to say that it is over: more than 64*T1.
    pub ending: Duration,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Pcmu.into(), Codec::Pcma.into()],
            relays_all: true,
            codec_order: CodecOrder::Offerer,
            transcoding: true,
            voice: VoiceProcessing::default(),
            telephone_event: true,
            digit_way: DigitWay::default(),
            digit_passing: DigitPassing::default(),
            silence_limit: Duration::from_secs(60),
            early_unproven: Duration::from_millis(160),
            ringback: None,
            dscp: 46,
            rtcp_xr: Default::default(),
            forces_rtcp_xr: false,
            codec_change: false,
            advertised: None,
        }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { max_calls: 5_000, retry_after: Duration::from_secs(5), user_limit: None, sources: None }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            decision: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            progress: Duration::from_secs(40),
            transfer: Duration::from_secs(180),
            age: Duration::ZERO,
            idle: Duration::ZERO,
            probe_interval: Duration::ZERO,
            ending: Duration::from_secs(64),
        }
    }
}

impl MediaSettings {
    /// Whether telephone events may be agreed on.
    pub(crate) fn offers_events(&self) -> bool {
        self.telephone_event && self.digit_way.has_events()
    }

    /// All codecs, and what can be relayed, of a peer whose signaling comes from this address.
    pub(crate) fn for_peer(&self, source: Option<IpAddr>) -> sdp_core::Settings<'_> {
        sdp_core::Settings {
            codecs: &self.codecs,
            relays_all: self.relays_all,
            order: self.codec_order,
            telephone_event: self.offers_events(),
            direction: Direction::Both,
            packets: None,
            opus: None,
            source,
            rtcp_xr: self.rtcp_xr,
        }
    }

    /// Bytes of RTP that are early media to an unproven address: packets of 20 ms of G.711.
    pub(crate) fn early_unproven_bytes(&self) -> u32 {
        let packets = self.early_unproven.as_millis() / 20;
        u32::try_from(packets * 172).unwrap_or(u32::MAX - 1)
    }

    /// How long a peer may be silent that is to send, in milliseconds; 0: for ever.
    pub(crate) fn silence_limit_ms(&self) -> u32 {
        u32::try_from(self.silence_limit.as_millis()).unwrap_or(u32::MAX)
    }
}
