//! Making the frames that are due: one for each leg, never two at once.

use crate::Worker;
use crate::incoming::tap::{Passing, Side};
use crate::io::{Buffers, Lateness, Output, Send, Span};
use crate::leg::Sound;
use crate::outgoing::pace::{Due, instant_of, lateness, missed};
use crate::rtp_clock;
use clock::{Duration, Instant};
use contract::Event;
use rtp_wire::{FIXED_HEADER_BYTES, Header, TelephoneEvent};
use stats::MediaCounter;

/// Frames of one slot.
#[derive(Default)]
struct Made {
    frames: u32,
    bytes: u64,
    skipped: u64,
}

impl Worker {
    /// Makes the frames of every slot that fell due. A worker that comes late makes the last frame of each leg only, and
    /// counts the others: a burst would do the peer no good.
    pub(crate) fn make_frames(&mut self, now: Instant, buffers: &mut impl Buffers, out: &mut Output) {
        let mut due_slots = [None; crate::io::LATENESS_ENTRIES];
        let mut count = 0;
        self.pace.advance(now, |due| {
            due_slots[count] = Some(due);
            count += 1;
        });
        for due in due_slots.iter().take(count).flatten() {
            let made = self.make_slot(due, buffers, out);
            if made.frames > 0 && out.lateness.len() < out.lateness.capacity() {
                out.lateness.push(Lateness { late: lateness(now, due.due_ms), frame_count: made.frames });
            }
            self.counts.add(MediaCounter::RtpSent, u64::from(made.frames));
            self.counts.add(MediaCounter::RtpSentBytes, made.bytes);
            self.counts.add(MediaCounter::FramesSkipped, made.skipped);
        }
    }

    fn make_slot(&mut self, due: &Due, buffers: &mut impl Buffers, out: &mut Output) -> Made {
        let mut made = Made::default();
        let mut next = self.pace.head(due.slot);
        while let Some(place) = next.get() {
            let leg = &mut self.legs[place];
            next = leg.links.slot_after;
            if leg.making.next_due_ms > due.due_ms {
                continue; // came into the slot after it was due
            }
            made.skipped += missed(leg.making.next_due_ms, due.due_ms, due.ptime_ms);
            leg.making.next_due_ms = due.due_ms + u64::from(due.ptime_ms);
            match self.make_frame(place, due, buffers, out) {
                // The peer has not shown that it is there: the sound goes on unheard, and comes to its end.
                Some(0) => {}
                Some(bytes) => {
                    made.frames += 1;
                    made.bytes += bytes as u64;
                }
                None => made.skipped += u64::from(self.legs[place].making.sound != Sound::None),
            }
            let leg = &self.legs[place];
            if leg.making.sound == Sound::None && leg.dialling.is_idle() {
                self.pace.leave(&mut self.legs, place);
            }
        }
        made
    }

    /// The packet of one leg; says its bytes.
    fn make_frame(&mut self, place: usize, due: &Due, buffers: &mut impl Buffers, out: &mut Output) -> Option<usize> {
        if !self.legs[place].sending.ready || out.sends.len() == out.sends.capacity() {
            return None;
        }
        let at = instant_of(due.due_ms);
        let digit = self.press(place, at, due.ptime_ms);
        if digit.is_none() && self.legs[place].making.sound == Sound::None {
            return None; // a relay between two digits
        }
        let payload_bytes = match digit {
            Some(_) => TelephoneEvent::BYTES as u16,
            // A sample of G.711, which is all that is made here, is a tick and a byte.
            None => {
                let clock = self.legs[place].payloads.audio_clock;
                rtp_clock::ticks(clock, Duration::from_millis(due.ptime_ms.into())) as u16
            }
        };
        let span = Span { buffer: buffers.take()?, start: 0, bytes: FIXED_HEADER_BYTES as u16 + payload_bytes };
        let packet = buffers.bytes_mut(span);
        let (head, payload) = packet.split_first_chunk_mut::<FIXED_HEADER_BYTES>()?;
        let sound = match digit {
            Some((header, event)) => {
                header.write(head);
                payload.copy_from_slice(&event);
                None
            }
            None => Some(self.make_sound(place, at, head, payload, out)),
        };
        let leg = &mut self.legs[place];
        if leg.sending.allowance.bounded && !leg.sending.allowance.spend(usize::from(span.bytes)) {
            self.counts.add(MediaCounter::HeldBackUnproven, 1);
            return Some(0);
        }
        if let Some(header) = &sound {
            let (codec, clock) = (leg.payloads.audio_codec, leg.payloads.audio_clock);
            let passing = Passing { side: Side::Sent, codec, clock, header, packet: span, at };
            self.counts.add(MediaCounter::RecordingOverflow, u64::from(!leg.show(&passing, out)));
        }
        leg.sending.count(usize::from(span.bytes), payload_bytes);
        let (socket, to) = (leg.rtp_socket(), leg.sending.to());
        out.sends.push(Send { socket, span, to, received_at: Instant::ZERO });
        Some(usize::from(span.bytes))
    }

    /// The next packet of a digit, if one is on its way or its turn has come.
    fn press(&mut self, place: usize, at: Instant, ptime_ms: u8) -> Option<(Header, [u8; TelephoneEvent::BYTES])> {
        let leg = &mut self.legs[place];
        if leg.dialling.is_idle() {
            return None;
        }
        let payload_type = leg.payloads.event_type?;
        let time = leg.sending.time_at(at);
        let packet = leg.dialling.next(at, time, leg.sending.clock, ptime_ms)?;
        leg.making.marker = true; // sound after a digit starts a talkspurt
        let bytes = TelephoneEvent::BYTES as u16;
        let header = leg.sending.inserted_header(packet.time, payload_type, packet.marker, bytes);
        Some((header, packet.event.write()))
    }

    fn make_sound(
        &mut self,
        place: usize,
        at: Instant,
        head: &mut [u8; FIXED_HEADER_BYTES],
        payload: &mut [u8],
        out: &mut Output,
    ) -> Header {
        let leg = &mut self.legs[place];
        let law = leg.payloads.audio_law().unwrap_or(audio::Law::Mu);
        let making = &mut leg.making;
        if !making.begun {
            (making.begun, making.began_at) = (true, at);
        }
        let marker = std::mem::take(&mut making.marker);
        // Sound follows the clock: after a pause of the worker it is where it would have been.
        let clock = leg.payloads.audio_clock;
        let position = rtp_clock::ticks(clock, at.since(making.began_at));
        leg.sending.clock = clock;
        let header = leg.sending.next_header(at, leg.payloads.audio_type, marker, payload.len() as u16);
        header.write(head);
        match making.sound {
            _ if leg.sending.muted => payload.fill(law.silence()),
            Sound::Tone440 => self.tones.a440.copy_frame(law, position, payload),
            Sound::Ringing => self.tones.ringing.copy_frame(law, position, payload),
            Sound::Prompt(number) => match self.prompts.get(number as usize) {
                Some(prompt) => prompt.copy_frame(law, position, payload),
                None => payload.fill(law.silence()),
            },
            Sound::Silence | Sound::None => payload.fill(law.silence()),
        }
        if let Sound::Prompt(number) = leg.making.sound {
            let end = self.prompts.get(number as usize).map_or(0, |prompt| prompt.sample_count());
            if position + payload.len() as u64 >= end {
                leg.making.sound = Sound::Silence;
                out.events.push(Event::PlayerEnded { leg: leg.leg, player: leg.flow.player });
            }
        }
        header
    }
}
