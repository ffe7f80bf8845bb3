//! What a leg is to be, in the three parts that the media plane is told: transport, formats and flow.

use crate::LegId;
use crate::topology::EdgeKind;
use contract::{
    Address, DigitRules, Direction, FlowSpec, FormatSpec, Latching, LegRef, LegSpec, LegUpdate, NamedTone,
    OpusParameters, PayloadMap, PlayerId, PortRef, PromptPlay, Rewriting, RoomMember, RtcpMode, Source, TransportSpec,
    VoiceProcessing,
};

/// What the owner of a leg wants it to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LegWish {
    /// Where the peer is, and what it has shown.
    pub transport: Transport,
    /// What was agreed on.
    pub formats: Formats,
    /// What is sent, and which ways media flows.
    pub flow: FlowWish,
}

/// The transport of a leg's packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transport {
    /// Where the peer wants RTP; none while unknown.
    pub remote_rtp: Address,
    /// Where the peer wants RTCP; none with multiplexing, or where it is the port above RTP.
    pub remote_rtcp: Address,
    /// Where the peer's signaling comes from; its port does not matter.
    pub signaling: Address,
    /// How RTCP travels.
    pub rtcp: Rtcp,
    /// Whether packets may come from elsewhere than `remote_rtp`.
    pub latching: Latching,
    /// Bytes of RTP that may be sent before the peer has shown that it is there; [`u32::MAX`]: there is no limit.
    pub unproven_bytes: u32,
    /// Silence of the peer after which the leg stops; 0: it never does.
    pub media_timeout_ms: u32,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// Counts offers and answers, and wraps: with each one the leg learns anew where the peer is.
    pub negotiation: u8,
}

/// How a leg's RTCP travels, and what is in it; in one byte, for each leg keeps it several times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtcp(u8);

impl Rtcp {
    /// The same with extended reports (RFC 3611), or without.
    pub fn with_extended_reports(self, is_set: bool) -> Self {
        Self(self.0 & !TransportSpec::EXTENDED | if is_set { TransportSpec::EXTENDED } else { 0 })
    }

    /// As a byte, for what is stored.
    pub(crate) fn to_byte(self) -> u8 {
        self.0
    }

    /// From [`Self::to_byte`]; `None`: there is no such mode.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        (byte & !TransportSpec::EXTENDED <= RtcpMode::Off as u8).then_some(Self(byte))
    }
}

impl From<RtcpMode> for Rtcp {
    /// Without extended reports.
    fn from(mode: RtcpMode) -> Self {
        Self(mode as u8)
    }
}

/// The payload types of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Formats {
    /// The payload types that the peer and we agreed on, most preferred first; empty: nothing is agreed on yet. The
    /// numbers on the other leg of an edge are filled in by this crate.
    pub payloads: PayloadMap,
    /// Milliseconds of audio in a packet that the media plane makes: 10, 20, 30, 40 or 60.
    pub ptime_ms: u8,
    /// What the peer wants of the Opus that it is sent, where that is among the payload types.
    pub opus: OpusParameters,
    /// What is done to the sound of the peer before anything else hears it.
    pub voice: VoiceProcessing,
}

/// What a leg sends, and which ways media flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowWish {
    /// Seen from us.
    pub direction: Direction,
    /// What the media plane makes is replaced by silence.
    pub is_muted: bool,
    /// What is played while no other leg is heard; none: nothing is sent.
    pub player: Option<Player>,
    /// The other legs that are heard once both run on one worker and the other one has agreed on formats.
    pub hears: Sources,
    /// The player is heard also where another leg could be: the peer is on hold.
    pub is_held: bool,
    /// What becomes of the peer's digits, and who sends those for the peer.
    pub digits: DigitRules,
    /// The peer gets one stream with numbers of ours, also where another leg's packets are passed on. Once true for a leg,
    /// it stays so, and it is true for every leg that has heard another one (RFC 3550 §8).
    pub is_continuous: bool,
}

/// The other legs that a leg is to hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sources {
    /// No other leg.
    #[default]
    None,
    /// This one, and no other.
    One(Hears),
    /// Those that it was connected with ([`crate::Legs::connect`]): the wish leaves the topology as it is.
    AsConnected,
}

/// The source of an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hears {
    /// The leg whose media is heard.
    pub leg: LegId,
    /// How its media gets from one leg to the other.
    pub kind: EdgeKind,
}

/// Audio that the media plane makes itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Player {
    /// Silence, as packets.
    Silence,
    /// A sine of 440 Hz.
    Tone440,
    /// The European ringing tone.
    Ringing,
    /// A prompt, by its number.
    Prompt(u32),
    /// A prompt from a place in it, several times, louder or more quiet.
    PromptPlay(PromptPlay),
    /// A tone of a country's network.
    CallTone(NamedTone),
    /// What the peer sends comes back.
    Echo,
    /// The other members of a room. The leg comes to the room's worker first, and is a member from then on.
    Room(RoomMember),
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            remote_rtp: Address::NONE,
            remote_rtcp: Address::NONE,
            signaling: Address::NONE,
            rtcp: RtcpMode::Pair.into(),
            latching: Latching::Probation,
            unproven_bytes: u32::MAX,
            media_timeout_ms: 60_000,
            dscp: 46,
            negotiation: 0,
        }
    }
}

impl Default for Formats {
    fn default() -> Self {
        Self {
            payloads: PayloadMap::default(),
            ptime_ms: 20,
            opus: OpusParameters::default(),
            voice: VoiceProcessing::default(),
        }
    }
}

impl Default for FlowWish {
    fn default() -> Self {
        Self {
            direction: Direction::Inactive,
            is_muted: false,
            player: None,
            hears: Sources::None,
            is_held: false,
            digits: DigitRules::default(),
            is_continuous: false,
        }
    }
}

impl Formats {
    /// Whether there is an agreement.
    pub(crate) fn is_agreed(&self) -> bool {
        !self.payloads.is_empty()
    }

    /// These payload types with the numbers that they have on the leg that gets them. A type that the other leg does
    /// not know keeps its number: the other peer ignores it.
    pub(crate) fn mapped_to(&self, sink: Option<&Formats>) -> PayloadMap {
        self.payloads.mapped_to(sink.map(|sink| &sink.payloads))
    }
}

impl Player {
    /// As the source of this leg.
    pub(crate) fn source(self, leg: LegRef) -> Source {
        match self {
            Self::Silence => Source::Silence,
            Self::Tone440 => Source::Tone440,
            Self::Ringing => Source::Ringing,
            Self::Prompt(number) => Source::Prompt(number),
            Self::PromptPlay(play) => Source::PromptPlay(play),
            Self::CallTone(tone) => Source::CallTone(tone),
            Self::Echo => Source::Leg(leg),
            Self::Room(member) => Source::Room(member),
        }
    }
}

/// What a leg is to be in terms of the media plane: the other legs' places and numbers are filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Desired {
    pub(crate) transport: Transport,
    pub(crate) formats: Formats,
    pub(crate) flow: Flow,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flow {
    pub(crate) source: Source,
    /// The player that makes the source; none where nothing is made.
    pub(crate) player: PlayerId,
    pub(crate) direction: Direction,
    pub(crate) is_muted: bool,
    pub(crate) rewriting: Rewriting,
    pub(crate) digits: DigitRules,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            source: Source::None,
            player: PlayerId::NONE,
            direction: Direction::Inactive,
            is_muted: false,
            rewriting: Rewriting::None,
            digits: DigitRules::default(),
        }
    }
}

/// Some of the three parts of a desired state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Parts(u8);

impl Parts {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const TRANSPORT: Self = Self(1);
    pub(crate) const FORMATS: Self = Self(2);
    pub(crate) const FLOW: Self = Self(4);
    pub(crate) const ALL: Self = Self(7);

    fn when(self, differs: bool) -> Self {
        if differs { self } else { Self::NONE }
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    pub(crate) fn has(self, part: Self) -> bool {
        self.0 & part.0 != 0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Desired {
    /// The parts in which this is not the same as the other one.
    pub(crate) fn differing(&self, other: &Self) -> Parts {
        Parts::TRANSPORT
            .when(self.transport != other.transport)
            .and(Parts::FORMATS.when(self.formats != other.formats))
            .and(Parts::FLOW.when(self.flow != other.flow))
    }

    /// Takes these parts over from another one.
    pub(crate) fn take(&mut self, parts: Parts, other: &Self) {
        if parts.has(Parts::TRANSPORT) {
            self.transport = other.transport;
        }
        if parts.has(Parts::FORMATS) {
            self.formats = other.formats;
        }
        if parts.has(Parts::FLOW) {
            self.flow = other.flow;
        }
    }

    /// All three parts, as the contract carries them.
    pub(crate) fn spec(&self, port: PortRef) -> LegSpec {
        LegSpec { transport: self.transport.spec(port), formats: self.formats.spec(), flow: self.flow.spec() }
    }

    /// Some of the parts, as the contract carries them.
    pub(crate) fn update(&self, parts: Parts, port: PortRef) -> LegUpdate {
        LegUpdate {
            transport: parts.has(Parts::TRANSPORT).then(|| self.transport.spec(port)),
            formats: parts.has(Parts::FORMATS).then(|| self.formats.spec()),
            flow: parts.has(Parts::FLOW).then(|| self.flow.spec()),
        }
    }
}

impl Transport {
    fn spec(&self, port: PortRef) -> TransportSpec {
        TransportSpec {
            port,
            remote_rtp: self.remote_rtp,
            remote_rtcp: self.remote_rtcp,
            signaling: self.signaling,
            media_timeout_ms: self.media_timeout_ms,
            unproven_bytes: self.unproven_bytes,
            rtcp: self.rtcp.0,
            latching: self.latching as u8,
            dscp: self.dscp,
            negotiation: self.negotiation,
        }
    }
}

impl Formats {
    fn spec(&self) -> FormatSpec {
        FormatSpec { payloads: self.payloads, ptime_ms: self.ptime_ms, opus: self.opus, voice: self.voice }
    }
}

impl Flow {
    fn spec(&self) -> FlowSpec {
        FlowSpec {
            source: self.source.into(),
            player: self.player,
            direction: self.direction as u8,
            rewriting: self.rewriting as u8,
            muted: self.is_muted.into(),
            digits: self.digits,
            ..FlowSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Codec;

    #[test]
    fn a_wish_of_nothing_is_the_default_of_the_contract() {
        let spec = Desired::default().spec(PortRef::NONE);
        assert_eq!(spec, LegSpec::default().with(|spec| spec.flow.direction = Direction::Inactive as u8));
    }

    #[test]
    fn payload_types_get_the_numbers_of_the_leg_that_sends_them() {
        let formats = |events| {
            let mut formats = Formats::default();
            assert!(formats.payloads.push(8, Codec::Pcma) && formats.payloads.push(events, Codec::TelephoneEvent));
            formats
        };
        let (here, there) = (formats(101), formats(96));
        let map: Vec<_> = here.mapped_to(Some(&there)).iter().map(|(own, _, other)| (own, other)).collect();
        assert_eq!(map, [(8, 8), (101, 96)]);
        assert_eq!(here.mapped_to(None), here.payloads);
    }
}
