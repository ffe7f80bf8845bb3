//! Making the frames that are due: one for each leg, never two at once.

use crate::Worker;
use crate::decoding::coders::Sink;
use crate::incoming::tap::{Passing, Side};
use crate::io::{BUFFER_BYTES, Buffers, Lateness, Output, Send, Span};
use crate::leg::{Leg, LegIndex, Sound};
use crate::outgoing::clip::Clip;
use crate::outgoing::pace::{Due, instant_of, lateness, missed, whole_ms};
use crate::outgoing::program::BLOCK_SAMPLES_MAX;
use crate::rooms::DuePacket;
use crate::rtp_clock;
use crate::voice::{SoundPacket, VoiceIndex};
use audio::{Law, MOST_FRAME_SAMPLES};
use clock::{Duration, Instant};
use contract::{ClockRate, Event, PromptPlay};
use rtp_wire::{FIXED_HEADER_BYTES, Header};
use stats::MediaCounter;

/// Room for a payload that we make: 60 ms of G.711 or G.722, and any packet of Opus (RFC 6716 §3.2.1).
const PAYLOAD_ROOM: usize = 1_500;
/// The faster rate of a program's blocks, for codecs that carry more than 8 kHz.
const PROGRAM_RATE: u32 = 16_000;
/// Samples of the longest packet, 60 ms, at the faster rate of a program.
const PROGRAM_SAMPLES_MAX: usize = 6 * BLOCK_SAMPLES_MAX;
const _: () = assert!(FIXED_HEADER_BYTES + PAYLOAD_ROOM <= BUFFER_BYTES);
/// Samples in a second of G.711, in which tones are kept and positions are counted.
const KEPT_RATE: u32 = 8_000;
/// Samples of the longest frame at the highest rate of a prompt.
const MOST_SAMPLES: usize = MOST_FRAME_SAMPLES * 6;

/// What a frame is to have: a sound, and where in it.
struct Excerpt {
    sound: Sound,
    /// Of a prompt that is heard.
    clip: Option<Clip>,
    /// Samples of 8 kHz since the sound began.
    position: u64,
}

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
            if leg.making.sound == Sound::Room && leg.dialling.is_idle() && !leg.speaks_now() {
                self.coders.release(&mut self.legs[place].links.coder);
                continue;
            }
            if leg.making.sound == Sound::None && leg.dialling.is_idle() && leg.speaker().is_none() {
                // Tones may have needed an encoder.
                self.coders.release(&mut self.legs[place].links.coder);
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
        let leg = &mut self.legs[place];
        if leg.making.sound == Sound::Transcoded && leg.links.source_leg == LegIndex::NONE {
            // The other leg is gone.
            leg.stop_transcoding(&mut self.coders);
        }
        let at = instant_of(due.due_ms);
        let digit = self.press(place, at, due.ptime_ms);
        let leg = &mut self.legs[place];
        let has_tones = digit.is_none() && !leg.payloads.has_events() && leg.dialling.has_tones(at);
        if digit.is_none() && !has_tones && leg.making.sound == Sound::None && !leg.speaks_now() {
            return None; // a relay between two digits, or while its program says nothing
        }
        let room = FIXED_HEADER_BYTES + PAYLOAD_ROOM;
        let mut span = Span { buffer: buffers.take()?, start: 0, bytes: room as u16 };
        let (head, payload) = buffers.bytes_mut(span).split_first_chunk_mut::<FIXED_HEADER_BYTES>()?;
        let (header, is_sound) = match digit {
            Some((header, event)) => {
                // What is said meanwhile is not heard later.
                if let Some(transcoder) = self.coders.get(self.legs[place].links.coder) {
                    transcoder.skip(at, due.ptime_ms.into());
                }
                payload[..event.len()].copy_from_slice(&event);
                (header, false)
            }
            None if has_tones => {
                let bytes = self.make_tones(place, at, due.ptime_ms, payload) as u16;
                let leg = &mut self.legs[place];
                if bytes == 0 {
                    leg.making.marker = true;
                    return Some(0);
                }
                leg.sending.clock = leg.payloads.audio_clock;
                let (time, marker) = (leg.sending.time_at(at), std::mem::take(&mut leg.making.marker));
                (leg.sending.inserted_header(time, leg.payloads.audio_type, marker, bytes), true)
            }
            None => match self.make_sound(place, at, due.ptime_ms, payload, out) {
                0 => {
                    // The codec leaves silence out; what follows starts a talkspurt (RFC 3551 §4.1).
                    self.legs[place].making.marker = true;
                    return Some(0);
                }
                bytes => (self.sound_header(place, at, bytes as u16), true),
            },
        };
        header.write(head);
        span.bytes = FIXED_HEADER_BYTES as u16 + header.payload_bytes;
        let leg = &mut self.legs[place];
        if leg.sending.allowance.bounded && !leg.sending.allowance.spend(usize::from(span.bytes)) {
            self.counts.add(MediaCounter::HeldBackUnproven, 1);
            return Some(0);
        }
        if is_sound {
            let (codec, clock) = (leg.payloads.audio_codec, leg.payloads.audio_clock);
            let passing = Passing { side: Side::Sent, codec, clock, header: &header, packet: span, at };
            self.counts.add(MediaCounter::RecordingOverflow, u64::from(!leg.show(&passing, out)));
            if leg.links.voice != VoiceIndex::NONE {
                let sound = SoundPacket { codec, clock, header: &header, at };
                self.voices.hear_sent(leg.links.voice, &sound, header.payload(buffers.bytes(span)));
            }
        }
        leg.sending.count(usize::from(span.bytes), header.payload_bytes);
        let (socket, to) = (leg.rtp_socket(), leg.sending.to());
        out.sends.push(Send { socket, span, to, received_at: Instant::ZERO });
        Some(usize::from(span.bytes))
    }

    /// The payload of the packet that is due at `at`; says its bytes.
    fn make_sound(&mut self, place: usize, at: Instant, ptime_ms: u8, payload: &mut [u8], out: &mut Output) -> usize {
        if self.legs[place].speaks_now() {
            return self.make_program_sound(place, at, ptime_ms, payload);
        }
        let leg = &mut self.legs[place];
        if leg.making.sound == Sound::Transcoded {
            let transcoder = self.coders.get(leg.links.coder);
            return transcoder.map_or(0, |it| it.make(at, ptime_ms.into(), leg.sending.muted, payload));
        }
        if leg.making.sound == Sound::Room {
            let sounds = &self.sounds;
            let due = DuePacket { due_ms: whole_ms(at), is_muted: leg.sending.muted, sounds };
            return self.rooms.make(leg.links.member, &due, payload);
        }
        if !leg.making.begun {
            (leg.making.begun, leg.making.began_at) = (true, at);
        }
        // Sound follows the clock: after a pause of the worker it is where it would have been. Positions are those of G.711,
        // of which a sample is a tick and a byte.
        let ticks = |time| rtp_clock::ticks(ClockRate::default(), time);
        let position = ticks(at.since(leg.making.began_at));
        let count = ticks(Duration::from_millis(ptime_ms.into())) as usize;
        let sound = if leg.sending.muted { Sound::Silence } else { leg.making.sound };
        let mut clip = None;
        if let Sound::Prompt(number) = leg.making.sound {
            let play = leg.flow.source().prompt().unwrap_or(PromptPlay::once(number));
            let frame =
                self.sounds.prompts.get(number as usize).map(|prompt| Clip::of(prompt, play, position, count as u64));
            clip = frame.map(|(clip, _)| clip).filter(|_| !leg.sending.muted);
            if frame.is_none_or(|(_, is_last)| is_last) {
                leg.making.sound = Sound::Silence;
                out.events.push(Event::PlayerEnded { leg: leg.leg, player: leg.flow.player });
            }
        }
        let excerpt = Excerpt { sound, clip, position };
        match leg.payloads.audio_law() {
            Some(law) => {
                let Some(frame) = payload.get_mut(..count) else { return 0 };
                self.copy_sound(&excerpt, law, frame);
                count
            }
            None => self.encode(place, at, (&excerpt, ptime_ms), payload),
        }
    }

    /// What the leg's program says, in the leg's codec.
    fn make_program_sound(&mut self, place: usize, at: Instant, ptime_ms: u8, payload: &mut [u8]) -> usize {
        let leg = &mut self.legs[place];
        let (law, is_transcoded) = (leg.payloads.audio_law(), leg.making.sound == Sound::Transcoded);
        let to = Sink { codec: leg.payloads.audio_codec, opus: leg.opus };
        let needs_encoder = law.is_none() && !is_transcoded;
        if needs_encoder && !self.coders.provide_encoder(at, &mut leg.links.coder, PROGRAM_RATE, &to) {
            return 0;
        }
        let mut transcoder = self.coders.get(leg.links.coder);
        if let Some(transcoder) = transcoder.as_mut().filter(|_| is_transcoded) {
            // What the other leg says meanwhile is not heard later.
            transcoder.skip(at, ptime_ms.into());
        }
        let rate = match (law, &transcoder) {
            (Some(_), _) | (None, None) => 8_000,
            (None, Some(transcoder)) => transcoder.heard_rate(),
        };
        let mut samples = [0; PROGRAM_SAMPLES_MAX];
        let count = usize::from(ptime_ms) * if rate > 8_000 { 16 } else { 8 };
        let (Some(samples), Some(program)) = (samples.get_mut(..count), &leg.listeners.program) else { return 0 };
        program.take(rate > 8_000, samples);
        if leg.sending.muted {
            samples.fill(0);
        }
        match (law, transcoder) {
            (Some(law), _) if payload.len() >= count => law.encode_slice(samples, payload),
            (None, Some(transcoder)) if rate <= 16_000 => transcoder.say(samples, payload),
            _ => 0,
        }
    }

    /// The frame of a sound in G.711.
    fn copy_sound(&self, &Excerpt { sound, clip, position }: &Excerpt, law: Law, frame: &mut [u8]) {
        match sound {
            Sound::Tone440 => self.sounds.tones.a440.copy_frame(law, position, frame),
            Sound::Ringing => self.sounds.tones.ringing.copy_frame(law, position, frame),
            Sound::CallTone(tone) => self.sounds.tones.copy_tone(tone, law, position, frame),
            Sound::Prompt(number) => match clip.zip(self.sounds.prompts.get(number as usize)) {
                Some((clip, prompt)) => clip.copy_codes(prompt, law, frame),
                None => frame.fill(law.silence()),
            },
            Sound::Silence | Sound::None | Sound::Transcoded | Sound::Room => frame.fill(law.silence()),
        }
    }

    /// A sound in the codec of a leg that is sent another one than G.711. A prompt is
    /// taken in the rate of its file.
    fn encode(&mut self, place: usize, at: Instant, (excerpt, ptime_ms): (&Excerpt, u8), payload: &mut [u8]) -> usize {
        let leg = &mut self.legs[place];
        let sound = excerpt.sound;
        let prompt = match sound {
            Sound::Prompt(number) => self.sounds.prompts.get(number as usize).zip(excerpt.clip),
            _ => None,
        };
        let rate = match (prompt, sound) {
            (Some((prompt, _)), _) => prompt.sample_rate(),
            // Any rate does, so the encoder goes on.
            (_, Sound::Silence) => self.coders.heard_rate(leg.links.coder).unwrap_or(KEPT_RATE),
            _ => KEPT_RATE,
        };
        let to = Sink { codec: leg.payloads.audio_codec, opus: leg.opus };
        if !self.coders.provide_encoder(at, &mut leg.links.coder, rate, &to) {
            return 0;
        }
        let coder = leg.links.coder;
        let mut samples = [0; MOST_SAMPLES];
        let Some(samples) = samples.get_mut(..rate as usize / 1_000 * usize::from(ptime_ms)) else { return 0 };
        match (prompt, sound) {
            (Some((prompt, clip)), _) => clip.copy_samples(prompt, samples),
            (_, Sound::Silence) => {}
            _ => {
                let mut codes = [0; MOST_FRAME_SAMPLES];
                let Some(codes) = codes.get_mut(..samples.len()) else { return 0 };
                self.copy_sound(excerpt, Law::Mu, codes);
                Law::Mu.decode_slice(codes, samples);
            }
        }
        self.coders.get(coder).map_or(0, |transcoder| transcoder.say(samples, payload))
    }

    /// The header of a packet of sound.
    fn sound_header(&mut self, place: usize, at: Instant, payload_bytes: u16) -> Header {
        let leg = &mut self.legs[place];
        let marker = std::mem::take(&mut leg.making.marker);
        leg.sending.clock = leg.payloads.audio_clock;
        leg.sending.next_header(at, leg.payloads.audio_type, marker, payload_bytes)
    }
}

impl Leg {
    /// Whether the next packet is the program's: a leg that relays, or is in a room, has its program's only while that says
    /// something, any other leg has them as long as the program is there.
    fn speaks_now(&self) -> bool {
        let hears_others = self.is_relay() || self.making.sound == Sound::Room;
        self.speaker().is_some_and(|program| !hears_others || program.has_sound())
    }
}
