//! What is done to a received packet of which more is wanted than to be relayed.

use super::{SoundPacket, VoiceIndex};
use crate::incoming::digits;
use crate::incoming::packets::{LATE_AFTER, Turn, show_received};
use crate::incoming::relay::relay;
use crate::io::{BUFFER_BYTES, Buffers, Received, Span};
use crate::leg::{Leg, Payload};
use rtp_wire::Header;

/// The padding bit in the first byte of a packet (RFC 3550 §5.1).
const PADDING: u8 = 0x20;

/// Looks for digits in a packet, and processes its sound where that is wanted; then it is passed on from here. `Some`: it is
/// to be passed on as it is.
#[cold]
#[inline(never)]
pub(crate) fn look_closer<B: Buffers>(
    legs: &mut [Leg],
    place: usize,
    packet: &Received,
    (header, payload): (&Header, Payload),
    turn: &mut Turn<'_, B>,
) -> Option<Payload> {
    let leg = &mut legs[place];
    let has_digits = payload.is_event() || leg.flow.digits.listens() || leg.hearing.is_some();
    let goes_on = !has_digits || digits::look_at(legs, place, packet, (header, payload), turn);
    let leg = &legs[place];
    let index = leg.links.voice;
    if index == VoiceIndex::NONE || payload.is_event() || !goes_on {
        show_received(&mut legs[place], (packet, header), payload, turn);
        return goes_on.then_some(payload);
    }
    let receiver = leg.links.first_sink.get().map_or(leg.opus, |sink| legs[sink].opus);
    let sound = SoundPacket { codec: payload.codec, clock: payload.clock, header, at: packet.at };
    let is_late = turn.now.since(packet.at) > LATE_AFTER;
    let processed = if is_late { None } else { process(index, packet, (&sound, receiver), turn) };
    let (packet, header) = match processed {
        Some((span, header)) => (Received { span, ..*packet }, header),
        None => {
            turn.tally.voice_unprocessed += 1;
            (*packet, *header)
        }
    };
    if let Some(event) = turn.voices.get(index).and_then(|voice| voice.activity(packet.at)) {
        turn.out.events.push(event);
    }
    show_received(&mut legs[place], (&packet, &header), payload, turn);
    if is_late {
        turn.tally.dropped.late += 1;
    } else {
        relay(legs, place, &packet, &header, payload, turn);
    }
    None
}

/// The packet with its sound processed, where it lies.
fn process<B: Buffers>(
    index: VoiceIndex,
    packet: &Received,
    (sound, receiver): (&SoundPacket<'_>, contract::OpusParameters),
    turn: &mut Turn<'_, B>,
) -> Option<(Span, Header)> {
    let header = sound.header;
    let voices = &mut *turn.voices;
    let voice = voices.working.get_mut(usize::from(index.0))?.as_deref_mut()?;
    let old = header.payload(turn.buffers.bytes(packet.span));
    let bytes = voice.process(sound, receiver, old, &mut voices.samples, &mut voices.payload)?;
    let whole = usize::from(header.payload_start) + bytes;
    if usize::from(packet.span.start) + whole > BUFFER_BYTES {
        return None;
    }
    let span = Span { bytes: whole as u16, ..packet.span };
    let place = turn.buffers.bytes_mut(span);
    place[usize::from(header.payload_start)..].copy_from_slice(&voices.payload[..bytes]);
    place[0] &= !PADDING;
    turn.tally.voice_processed += 1;
    Some((span, Header { payload_bytes: bytes as u16, ..*header }))
}
