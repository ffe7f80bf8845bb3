//! The relay step: a packet that one leg received leaves on the legs that take from it.

use crate::decoding::coders;
use crate::decoding::jitter::Arrival;
use crate::incoming::digits::events_pass;
use crate::incoming::packets::Turn;
use crate::incoming::tap::{Passing, Side};
use crate::io::{BUFFER_BYTES, Buffers, Received, Send, Span};
use crate::leg::{Leg, Payload, Sound};
use crate::outgoing::program::Program;
use crate::rooms::MemberIndex;
use crate::voice::{SoundPacket, VoiceIndex};
use rtp_wire::{Header, overwrite};

/// Sends a packet on every sink of the leg at `source_leg`. Byte for byte where nothing has to change.
#[inline]
pub(crate) fn relay<B: Buffers>(
    legs: &mut [Leg],
    source_leg: usize,
    received: &Received,
    header: &Header,
    payload: Payload,
    turn: &mut Turn<'_, B>,
) {
    let member = legs[source_leg].links.member;
    if member != MemberIndex::NONE {
        return say_in_room(member, received, header, payload, turn);
    }
    let has_to_be_transcoded = payload.has_to_be_transcoded();
    if has_to_be_transcoded && !is_g711_only(legs, source_leg, payload) {
        return coders::hear(legs, source_leg, received, header, payload, turn);
    }
    let is_event = payload.is_event();
    let passing = legs[source_leg].flow.digits.passing();
    let (first, is_tapped) = (legs[source_leg].links.first_sink, legs[source_leg].is_heard());
    let mut next = first;
    while let Some(place) = next.get() {
        let sink = &mut legs[place];
        next = sink.links.next_sink;
        // Bytes that several sends share, or a recording, stay as they are.
        let alone = next.get().is_none() && first.get() == Some(place) && !is_tapped;
        if !sink.sending.ready {
            *(if sink.sending.allowance.bounded {
                &mut turn.tally.unproven
            } else {
                &mut turn.tally.dropped.direction
            }) += 1;
            continue;
        }
        if sink.making.sound == Sound::Transcoded {
            if is_event {
                // Packets of our own are around it: the digit gets packets of its own as well.
                continue;
            }
            // Both sides have a codec in common again.
            sink.stop_transcoding(turn.coders);
            (sink.making.begun, sink.making.began_at) = (true, received.at);
            sink.sending.change_source();
        }
        if sink.dialling.is_pressing() || sink.yields_to_program() || (is_event && !events_pass(passing, sink)) {
            sink.sending.hold_back();
            turn.tally.held_back += 1;
            continue;
        }
        if turn.out.sends.len() == turn.out.sends.capacity() {
            turn.tally.dropped.no_room += 1;
            continue;
        }
        let source_law = if has_to_be_transcoded { payload.law() } else { None };
        let payload = if has_to_be_transcoded { in_law_of(sink, payload) } else { payload };
        let payload_type = payload.peer_payload_type;
        let sending = &mut sink.sending;
        if !payload.is_event() {
            sending.clock = payload.clock;
        }
        let changes_law = source_law.is_some_and(|law| Some(law) != payload.law());
        let is_changed = sending.continuous || sending.muted || payload_type != header.payload_type || changes_law;
        let (span, sent) = if is_changed {
            let Some((span, sent)) = change(sink, received, header, payload, alone, turn.buffers) else {
                turn.tally.held_back += 1;
                continue;
            };
            if let Some(law) = source_law.filter(|_| changes_law && !sink.sending.muted)
                && let Some(codes) = turn.buffers.bytes_mut(span).get_mut(header.payload_range())
            {
                law.transcode(codes);
            }
            (span, sent)
        } else {
            sending.pass(header, received.at);
            (received.span, *header)
        };
        if sink.sending.allowance.bounded && !sink.sending.allowance.spend(usize::from(span.bytes)) {
            turn.tally.unproven += 1;
            continue;
        }
        let (codec, clock) = (payload.codec, payload.clock);
        let passing = Passing { side: Side::Sent, codec, clock, header: &sent, packet: span, at: received.at };
        if !sink.show(&passing, turn.out) {
            turn.tally.taps_lost += 1;
        }
        if sink.links.voice != VoiceIndex::NONE && !is_event {
            let sound = SoundPacket { codec, clock, header: &sent, at: received.at };
            turn.voices.hear_sent(sink.links.voice, &sound, sent.payload(turn.buffers.bytes(span)));
        }
        let sending = &mut sink.sending;
        sending.count(usize::from(span.bytes), header.payload_bytes);
        turn.tally.sent.add(span.bytes);
        let (to, received_at) = (sending.to(), received.at);
        turn.out.sends.push(Send { socket: sink.rtp_socket(), span, to, received_at });
    }
}

impl Leg {
    /// Whether a program speaks now in the place of the leg that is relayed.
    #[inline]
    fn yields_to_program(&self) -> bool {
        self.listeners.program.as_deref().is_some_and(Program::has_sound)
    }
}

/// Takes a packet of a leg that is a member of a room. Its digits are told, and not heard by the others.
#[cold]
fn say_in_room<B: Buffers>(
    member: MemberIndex,
    received: &Received,
    header: &Header,
    payload: Payload,
    turn: &mut Turn<'_, B>,
) {
    if payload.is_event() {
        return;
    }
    let arrival = Arrival::of(received, header, turn.buffers);
    if !turn.rooms.hear(member, payload.codec, &arrival) {
        turn.tally.dropped.no_transcoder += 1;
    }
}

/// Whether a packet of G.711 goes only to legs that have the other one of its two laws: each byte is turned into one of the
/// other, in the packet's place, so that nothing has to wait or be decoded. What is lost on the way stays lost, as in a relay.
#[cold]
fn is_g711_only(legs: &[Leg], source_leg: usize, payload: Payload) -> bool {
    let mut next = legs[source_leg].links.first_sink;
    while let Some(sink) = next.get().map(|place| &legs[place]) {
        next = sink.links.next_sink;
        if sink.payloads.audio_law().is_none() {
            return false;
        }
    }
    payload.law().is_some()
}

/// What a payload of G.711 is on a leg that has the other law.
fn in_law_of(sink: &Leg, payload: Payload) -> Payload {
    let (codec, peer_payload_type) = (sink.payloads.audio_codec, sink.payloads.audio_type);
    Payload { codec, peer_payload_type, ..payload }
}

/// The packet with our numbers, the sink's payload type, or silence in it. `None`: it must not go out.
fn change(
    sink: &mut Leg,
    received: &Received,
    header: &Header,
    payload: Payload,
    alone: bool,
    buffers: &mut impl Buffers,
) -> Option<(Span, Header)> {
    // A muted leg goes on with silence where we know what silence is, and says no digits.
    let silence = match (sink.sending.muted, payload.law()) {
        (true, Some(law)) => Some(law.silence()),
        (true, None) => return None,
        (false, _) => None,
    };
    let mut changed = if sink.sending.continuous {
        sink.sending.map(header, received.at)?
    } else {
        sink.sending.pass(header, received.at);
        *header
    };
    changed.payload_type = payload.peer_payload_type;
    let span = if alone { received.span } else { copy(received.span, buffers)? };
    let bytes = buffers.bytes_mut(span);
    overwrite(bytes, &changed);
    if let (Some(silence), Some(sound)) = (silence, bytes.get_mut(header.payload_range())) {
        sound.fill(silence);
    }
    Some((span, changed))
}

/// The same bytes in a buffer of their own.
pub(crate) fn copy(span: Span, buffers: &mut impl Buffers) -> Option<Span> {
    let mut bytes = [0; BUFFER_BYTES];
    let original = buffers.bytes(span);
    let place = bytes.get_mut(..original.len())?;
    place.copy_from_slice(original);
    let copied = Span { buffer: buffers.take()?, start: 0, bytes: span.bytes };
    buffers.bytes_mut(copied).copy_from_slice(&bytes[..usize::from(span.bytes)]);
    Some(copied)
}
