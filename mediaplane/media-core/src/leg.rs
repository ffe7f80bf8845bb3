//! One leg: everything that a worker keeps of it.

use crate::decoding::coders::{CoderIndex, Coders, format_of};
use crate::incoming::digits::Hearing;
use crate::incoming::statistics::Receiving;
use crate::incoming::tap::TapId;
use crate::io::SocketIndex;
use crate::latching::source_filter::SourceFilter;
use crate::outgoing::digits::Dialling;
use crate::outgoing::program::Program;
use crate::outgoing::stream::Sending;
use crate::rooms::{MemberIndex, Rooms, Said};
use crate::rtcp::reports::Reports;
use crate::voice::VoiceIndex;
use audio::codec::CodecFormat;
use audio::{Law, ToneIndex};
use clock::Instant;
use contract::{
    ClockRate, Codec, FlowSpec, LegRef, LegState, OpusParameters, PayloadMap, PayloadMapping, TransportSpec,
    VoiceProcessing,
};
use std::sync::Arc;

/// A leg's place in the worker's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LegIndex(u32);

impl LegIndex {
    pub(crate) const NONE: LegIndex = LegIndex(u32::MAX);

    pub(crate) fn new(place: usize) -> Self {
        Self(place as u32)
    }

    /// `None` for [`Self::NONE`].
    #[inline]
    pub(crate) fn get(self) -> Option<usize> {
        (self != Self::NONE).then_some(self.0 as usize)
    }
}

/// The state of a leg. The order is the one of use: what every packet touches stands first.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Leg {
    pub(crate) filter: SourceFilter,
    pub(crate) payloads: Payloads,
    pub(crate) links: Links,
    pub(crate) receiving: Receiving,
    pub(crate) sending: Sending,
    pub(crate) listeners: Listeners,
    pub(crate) dialling: Dialling,
    /// Digits of the peer.
    pub(crate) hearing: Option<Box<Hearing>>,
    pub(crate) making: Making,
    pub(crate) reports: Reports,
    pub(crate) transport: TransportSpec,
    pub(crate) flow: FlowSpec,
    /// Milliseconds of audio in a packet that the leg makes.
    pub(crate) ptime_ms: u8,
    /// What the peer wants of the Opus that it is sent.
    pub(crate) opus: OpusParameters,
    pub(crate) leg: LegRef,
    pub(crate) opened_at: Instant,
    /// The media timeout counts from here, or from the last packet.
    pub(crate) listening_since: Instant,
    pub(crate) state: LegState,
}

/// Who else hears a leg, besides its peer.
#[derive(Clone, Default, Debug)]
pub(crate) struct Listeners {
    /// The number that the leg is recorded under.
    pub(crate) recording: Option<TapId>,
    /// A program that hears the leg, or speaks on it.
    pub(crate) program: Option<Arc<Program>>,
}

/// Memory of one leg.
pub const LEG_BYTES: usize = size_of::<Leg>();
const _: () = assert!(LEG_BYTES <= 784, "a leg, relayed or not, takes at most 1 KB of the 3 KB that it may have");

/// A leg's places in the worker's lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    /// First leg that sends what this one receives.
    pub(crate) first_sink: LegIndex,
    /// Next leg that sends the same as this one.
    pub(crate) next_sink: LegIndex,
    /// The leg whose packets this one sends.
    pub(crate) source_leg: LegIndex,
    /// Neighbours in the slot of the 20 ms frame.
    pub(crate) slot_before: LegIndex,
    pub(crate) slot_after: LegIndex,
    /// Neighbours in the timer wheel.
    pub(crate) timer_before: LegIndex,
    pub(crate) timer_after: LegIndex,
    pub(crate) slot: u16,
    pub(crate) timer: u16,
    /// When the timer wheel wakes the leg, in its own steps.
    pub(crate) timer_point: u64,
    /// The worker's port pair.
    pub(crate) pair: u16,
    /// What makes packets of this leg of sound that is not in a codec of its own.
    pub(crate) coder: CoderIndex,
    /// Its place in a room.
    pub(crate) member: MemberIndex,
    /// What processes the sound of the peer.
    pub(crate) voice: VoiceIndex,
}

/// In no list.
pub(crate) const NOWHERE: u16 = u16::MAX;

impl Links {
    pub(crate) fn none(pair: u16) -> Self {
        let none = LegIndex::NONE;
        Self {
            first_sink: none,
            next_sink: none,
            source_leg: none,
            slot_before: none,
            slot_after: none,
            timer_before: none,
            timer_after: none,
            slot: NOWHERE,
            timer: NOWHERE,
            timer_point: 0,
            pair,
            coder: CoderIndex::NONE,
            member: MemberIndex::NONE,
            voice: VoiceIndex::NONE,
        }
    }
}

/// What the leg makes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sound {
    /// Nothing: it sends another leg's packets, or none.
    None,
    Silence,
    Tone440,
    Ringing,
    Prompt(u32),
    /// A tone of a country.
    CallTone(ToneIndex),
    /// Another leg's sound, which comes in a codec that this one does not have.
    Transcoded,
    /// The other members of its room.
    Room,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    pub(crate) sound: Sound,
    /// When the sound began; its position is always the time since then.
    pub(crate) began_at: Instant,
    /// The next frame's place in time, in milliseconds.
    pub(crate) next_due_ms: u64,
    /// The next frame starts a talkspurt.
    pub(crate) marker: bool,
    /// The sound began already.
    pub(crate) begun: bool,
}

/// What a payload type is to the leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Payload {
    pub(crate) payload_type: u8,
    pub(crate) peer_payload_type: u8,
    /// A [`Codec`] as number.
    pub(crate) codec: u8,
    pub(crate) clock: ClockRate,
}

impl Payload {
    #[inline]
    pub(crate) fn has_to_be_transcoded(self) -> bool {
        self.peer_payload_type == PayloadMapping::NOT_THERE
    }

    #[inline]
    pub(crate) fn is_event(self) -> bool {
        self.codec == Codec::TelephoneEvent as u8
    }

    pub(crate) fn law(self) -> Option<Law> {
        law_of(Codec::from_number(self.codec)?)
    }
}

/// How the sound of a codec is decoded; `None` for what is only relayed.
pub fn law_of(codec: Codec) -> Option<Law> {
    match codec {
        Codec::Pcmu => Some(Law::Mu),
        Codec::Pcma => Some(Law::A),
        _ => None,
    }
}

/// The agreed payload types, ready for one look per packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Payloads {
    entries: [Payload; PayloadMap::CAPACITY],
    count: u8,
    /// What the leg sends by itself.
    pub(crate) audio_type: u8,
    pub(crate) audio_codec: u8,
    pub(crate) audio_clock: ClockRate,
    pub(crate) event_type: Option<u8>,
    /// Of the telephone events: their durations are told in it.
    pub(crate) event_clock: ClockRate,
    /// Digits may be in the packets of sound, or the end of one; or the sound is processed.
    pub(crate) watches_sound: bool,
    /// What is done to the sound of the peer.
    pub(crate) voice: VoiceProcessing,
}

impl Payloads {
    pub(crate) fn new(map: &PayloadMap) -> Self {
        let mut payloads = Self::default();
        for (entry, agreed) in payloads.entries.iter_mut().zip(map.entries()) {
            let PayloadMapping { payload_type, codec, peer_payload_type, clock_rate: clock, .. } = agreed;
            *entry = Payload { payload_type, peer_payload_type, codec: codec as u8, clock };
            payloads.count += 1;
        }
        let agreed = &payloads.entries[..usize::from(payloads.count)];
        // Where one is agreed on that can be made here, the leg's own sound is in that one.
        let is_made = |payload: &&Payload| Codec::from_number(payload.codec).is_some_and(Codec::is_audio);
        let audio = agreed.iter().find(is_made).or_else(|| agreed.iter().find(|payload| !payload.is_event()));
        if let Some(audio) = audio.copied() {
            (payloads.audio_type, payloads.audio_codec) = (audio.payload_type, audio.codec);
            payloads.audio_clock = audio.clock;
        }
        // Events share the clock of the sound (RFC 4733 §2.1), where the peer keeps to that.
        let mut events = agreed.iter().filter(|payload| payload.is_event());
        let event = events.clone().find(|event| event.clock == payloads.audio_clock).or(events.next());
        payloads.event_type = event.map(|event| event.payload_type);
        payloads.event_clock = event.map(|event| event.clock).unwrap_or_default();
        payloads
    }

    /// What the payload type is; a leg without any agreed ones takes all, unchanged.
    #[inline]
    pub(crate) fn find(&self, payload_type: u8) -> Option<Payload> {
        if self.count == 0 {
            let codec = Codec::Other as u8;
            let clock = ClockRate::default();
            return Some(Payload { payload_type, peer_payload_type: payload_type, codec, clock });
        }
        let agreed = &self.entries[..usize::from(self.count)];
        agreed.iter().find(|entry| entry.payload_type == payload_type).copied()
    }

    /// Whether the peer has agreed to telephone events.
    pub(crate) fn has_events(&self) -> bool {
        self.event_type.is_some()
    }

    /// Whether telephone events may be relayed to the leg: it has agreed to them, or to nothing yet.
    #[inline]
    pub(crate) fn takes_events(&self) -> bool {
        self.event_type.is_some() || self.count == 0
    }

    pub(crate) fn audio_law(&self) -> Option<Law> {
        Codec::from_number(self.audio_codec).and_then(law_of)
    }

    /// What the leg is sent, where sound can be made for it here.
    pub(crate) fn format(&self) -> Option<CodecFormat> {
        Codec::from_number(self.audio_codec).and_then(format_of)
    }
}

impl Leg {
    /// Its sound is made of another leg's packets no more: these are relayed, or nothing comes.
    pub(crate) fn stop_transcoding(&mut self, coders: &mut Coders) {
        coders.release(&mut self.links.coder);
        if self.making.sound == Sound::Transcoded {
            self.making.sound = Sound::None;
        }
    }

    /// Packets of sound are looked at where digits may be in them, or where their sound is processed.
    pub(crate) fn watch_sound(&mut self, for_digits: bool) {
        self.payloads.watches_sound = for_digits || self.links.voice != VoiceIndex::NONE;
    }

    /// A program that the leg may send the sound of.
    pub(crate) fn speaker(&self) -> Option<&Program> {
        self.listeners.program.as_deref().filter(|program| program.speaks())
    }

    /// Whether digits that come from another leg are sent to this one by the media plane: as telephone events, or as tones.
    pub(crate) fn makes_digits(&self) -> bool {
        let has_tones = self.payloads.format().is_some() && !self.flow.digits.are_sent_by_signaling();
        self.payloads.has_events() || has_tones
    }

    /// What it would be sent as a member of a room.
    pub(crate) fn said(&self) -> Said {
        Said {
            codec: Codec::from_number(self.payloads.audio_codec).unwrap_or(Codec::Other),
            opus: self.opus,
            ptime_ms: self.ptime_ms,
        }
    }

    /// It is a member of the room that its flow names, with the part that it names; `false`: it cannot be.
    pub(crate) fn be_member(&mut self, rooms: &mut Rooms) -> bool {
        let contract::Source::Room(part) = self.flow.source() else {
            rooms.leave(&mut self.links.member);
            return true;
        };
        let said = self.said();
        if rooms.send_as(self.links.member, said) && rooms.change(self.links.member, &part) {
            return true;
        }
        rooms.leave(&mut self.links.member);
        self.links.member = rooms.join(self.leg, &part, said).unwrap_or(MemberIndex::NONE);
        self.links.member != MemberIndex::NONE
    }

    pub(crate) fn rtp_socket(&self) -> SocketIndex {
        SocketIndex(2 * u32::from(self.links.pair))
    }

    pub(crate) fn rtcp_socket(&self) -> SocketIndex {
        SocketIndex(2 * u32::from(self.links.pair) + 1)
    }

    /// The leg that we relay from, if any.
    pub(crate) fn is_relay(&self) -> bool {
        matches!(self.flow.source(), contract::Source::Leg(_))
    }
}
