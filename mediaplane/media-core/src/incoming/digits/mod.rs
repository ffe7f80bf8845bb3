//! Digits of a leg's peer: telephone events (RFC 4733) and tones in its sound. Each press is told once, whichever way it comes,
//! and so is its end; legs that cannot take it as it is are sent one of their own.

mod events;
mod press;
#[cfg(test)]
mod tests;
mod tones;

pub(crate) use press::{Hearing, Telling};

use crate::incoming::packets::Turn;
use crate::io::{Buffers, Received};
use crate::leg::{Leg, LegIndex, Payload, Sound};
use clock::Instant;
use contract::{DigitPassing, Event};
use press::{Change, Changes};
use rtp_wire::{Header, TelephoneEvent};

/// Looks at a packet of events, or of sound in which digits may be. `false`: it must go no further.
#[cold]
#[inline(never)]
pub(crate) fn look_at<B: Buffers>(
    legs: &mut [Leg],
    place: usize,
    packet: &Received,
    (header, payload): (&Header, Payload),
    turn: &mut Turn<'_, B>,
) -> bool {
    let leg = &mut legs[place];
    let payload_bytes = header.payload(turn.buffers.bytes(packet.span));
    let hearing = leg.hearing.get_or_insert_default();
    let mut changes = Changes::default();
    if !payload.is_event() {
        let listens = leg.flow.digits.listens();
        hearing.take_sound(header, (payload.codec, payload_bytes), packet.at, listens, &mut changes);
    } else if let Ok(event) = TelephoneEvent::parse(payload_bytes) {
        hearing.take_event((header, &event), payload.clock, packet.at, &mut changes);
    }
    let has_changed = !changes.is_empty();
    let is_cut = !payload.is_event() && hearing.suspects_tone();
    let hears_on = hearing.has_to_hear(leg.flow.digits.listens());
    leg.watch_sound(hears_on);
    if has_changed {
        let is_relayed = payload.is_event() && !payload.has_to_be_transcoded();
        turn.proved.push(LegIndex::new(place));
        let mut telling = Telling { events: &mut turn.out.events, proved: turn.proved, too_fast: 0 };
        tell(legs, place, &changes, is_relayed, &mut telling);
        turn.tally.digits_too_fast += telling.too_fast;
    }
    !is_cut
        || !hides_tones(legs, place)
        || silence(&legs[place], packet, (header, payload), turn)
        || hold_back(legs, place)
}

/// The ends of presses whose packets come no more.
pub(crate) fn give_up(legs: &mut [Leg], place: usize, now: Instant, telling: &mut Telling<'_>) {
    let leg = &mut legs[place];
    let Some(hearing) = leg.hearing.as_deref_mut() else { return };
    let mut changes = Changes::default();
    hearing.give_up(now, &mut changes);
    let hears_on = hearing.has_to_hear(leg.flow.digits.listens());
    leg.watch_sound(hears_on);
    tell(legs, place, &changes, false, telling);
}

/// Tells of presses, and has legs that do not get their packets send their own. `is_relayed`: packets of the press go on.
fn tell(legs: &mut [Leg], place: usize, changes: &Changes, is_relayed: bool, telling: &mut Telling<'_>) {
    let (leg, passing) = (legs[place].leg, legs[place].flow.digits.passing());
    for change in changes.iter() {
        match change {
            Change::TooFast => telling.too_fast += 1,
            // A hook flash is no digit, but may mean something to the other side.
            Change::Began { digit, .. } if digit > 15 => {}
            Change::Began { digit, .. } => telling.events.push(Event::Digit { leg, digit }),
            Change::Ended { digit, .. } if digit > 15 => {}
            Change::Ended { digit, duration_ms } => telling.events.push(Event::DigitEnded { leg, digit, duration_ms }),
        }
        let mut next = legs[place].links.first_sink;
        while let Some(sink_place) = next.get() {
            let sink = &mut legs[sink_place];
            next = sink.links.next_sink;
            match change {
                Change::TooFast => {}
                Change::Ended { duration_ms, .. } => sink.dialling.release(duration_ms),
                Change::Began { digit, is_tone } => {
                    let replaced = match passing {
                        DigitPassing::Pass => None,
                        DigitPassing::Remove => continue,
                        DigitPassing::Replace(digit) => Some(digit),
                    };
                    let passes_by_itself = replaced.is_none()
                        && if is_tone {
                            !sink.payloads.has_events()
                        } else {
                            is_relayed && sink.payloads.has_events() && sink.making.sound != Sound::Transcoded
                        };
                    if passes_by_itself || sink.sending.muted || !sink.makes_digits() {
                        continue;
                    }
                    if !sink.dialling.push_held(replaced.unwrap_or(digit)) {
                        telling.too_fast += 1;
                        continue;
                    }
                    if sink.is_relay() {
                        sink.sending.take_over();
                    }
                    telling.proved.push(LegIndex::new(sink_place));
                }
            }
        }
    }
}

/// Whether tones must not reach the legs that hear this one: they are to be removed, or reach one of them another way.
fn hides_tones(legs: &[Leg], place: usize) -> bool {
    if legs[place].flow.digits.passing() != DigitPassing::Pass {
        return true;
    }
    let mut next = legs[place].links.first_sink;
    while let Some(sink) = next.get().map(|place| &legs[place]) {
        if !sink.payloads.has_events() && sink.flow.digits.are_sent_by_signaling() {
            return true;
        }
        next = sink.links.next_sink;
    }
    false
}

/// Puts silence in the place of the sound of a packet, where silence can be written down as easily.
fn silence<B: Buffers>(
    leg: &Leg,
    packet: &Received,
    (header, payload): (&Header, Payload),
    turn: &mut Turn<'_, B>,
) -> bool {
    debug_assert!(leg.payloads.watches_sound || leg.hearing.is_some());
    let Some(law) = payload.law() else { return false };
    if let Some(sound) = turn.buffers.bytes_mut(packet.span).get_mut(header.payload_range()) {
        sound.fill(law.silence());
    }
    true
}

/// The packet leaves no hole in the numbers of those that send what the leg receives.
fn hold_back(legs: &mut [Leg], place: usize) -> bool {
    let mut next = legs[place].links.first_sink;
    while let Some(sink) = next.get() {
        legs[sink].sending.hold_back();
        next = legs[sink].links.next_sink;
    }
    false
}

/// Whether telephone events of the leg at `place` go on as they are to the leg `sink`.
#[inline]
pub(crate) fn events_pass(passing: DigitPassing, sink: &Leg) -> bool {
    passing == DigitPassing::Pass && sink.payloads.takes_events()
}
