//! One leg in a room: what it says comes in by its decoder, what it hears goes out by its encoder.

use super::speaking::Speaking;
use super::{FRAME_MS, FRAME_SAMPLES, RATE, Said};
use crate::decoding::CHANGE_TIME;
use crate::decoding::coders::settings_of;
use crate::decoding::jitter::Arrival;
use crate::decoding::playout::{Playout, PlayoutCounts};
use audio::codec::{CodecFormat, Encoder};
use audio::{MemberSlot, Resampler};
use clock::{Duration, Instant};
use contract::{LegRef, RoomMember};

/// A member's place among those of its worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MemberIndex(u16);

impl MemberIndex {
    pub(crate) const NONE: Self = Self(u16::MAX);

    /// Most members of a worker.
    pub(super) const COUNT_MAX: usize = u16::MAX as usize;

    pub(super) fn new(place: usize) -> Self {
        Self(u16::try_from(place).unwrap_or(u16::MAX))
    }

    /// `None` for [`Self::NONE`].
    pub(crate) fn get(self) -> Option<usize> {
        (self != Self::NONE).then_some(usize::from(self.0))
    }
}

/// A leg in a room.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) leg: LegRef,
    pub(super) room: u16,
    pub(super) slot: MemberSlot,
    pub(super) part: RoomMember,
    pub(super) speaking: Speaking,
    voice: Voice,
    said: Said,
    ear: Ear,
    /// What it hears, where its packets are not of one frame.
    kept: Option<Kept>,
    /// It was sent silence in the last packet, as its leg is muted.
    was_silenced: bool,
}

/// Sound that waits for the packet in which it leaves.
#[derive(Debug)]
struct Kept {
    samples: Box<[i16]>,
    count: usize,
    /// Samples of a packet.
    packet_samples: usize,
}

impl Kept {
    fn new(ptime_ms: u8) -> Self {
        let packet_samples = RATE as usize / 1_000 * usize::from(ptime_ms);
        let samples = vec![0; packet_samples + 2 * FRAME_SAMPLES].into();
        // Packets of 30 ms are due between two frames every second time.
        let is_between = packet_samples > FRAME_SAMPLES && !packet_samples.is_multiple_of(FRAME_SAMPLES);
        let count = if is_between { FRAME_SAMPLES } else { 0 };
        Self { samples, count, packet_samples }
    }

    /// Without room the oldest are left out: no packet was due for them.
    fn push(&mut self, frame: &[i16]) {
        let over = (self.count + frame.len()).saturating_sub(self.samples.len());
        self.drop_first(over);
        self.samples[self.count..self.count + frame.len()].copy_from_slice(frame);
        self.count += frame.len();
    }

    fn drop_first(&mut self, count: usize) {
        let count = count.min(self.count);
        self.samples.copy_within(count..self.count, 0);
        self.count -= count;
    }
}

/// What a member says.
#[derive(Debug)]
struct Voice {
    playout: Playout,
    resampler: Option<Resampler>,
    since: Instant,
    has_begun: bool,
    seed: u32,
    /// As it is decoded.
    decoded: Box<[i16]>,
    /// As it is mixed.
    frame: Box<[i16]>,
}

/// Makes payloads of what is mixed: for one member, or for all that hear the same.
#[derive(Debug)]
pub(super) struct Ear {
    encoder: Encoder,
    resampler: Option<Resampler>,
    samples: Box<[i16]>,
    /// The frame that it has encoded last.
    encoded: Option<u64>,
}

/// A frame that is due, with the one that came before it in the mix.
#[derive(Clone, Copy)]
pub(super) struct Lead<'f> {
    pub(super) number: u64,
    pub(super) before: &'f [i16],
}

/// Between the rate of a codec and that of the mix.
fn resampler(from: u32, to: u32) -> Option<Resampler> {
    if from == to { None } else { Resampler::new(from, to, 1) }
}

impl Ear {
    pub(super) fn new(format: CodecFormat, said: Said) -> Self {
        let mut encoder = Encoder::new(format);
        encoder.set_opus(&settings_of(said.opus));
        let rate = format.sample_rate();
        let samples = vec![0; format.samples_in_ms(said.ptime_ms.into())].into();
        Self { encoder, resampler: resampler(RATE, rate), samples, encoded: None }
    }

    /// The payload of a frame. An ear that has not encoded the frame before hears it first, so that resampler and codec go on
    /// where the other ear has left off that the listener was sent until now.
    pub(super) fn encode_after(&mut self, lead: Lead<'_>, frame: &[i16], payload: &mut [u8]) -> usize {
        let last = self.encoded.replace(lead.number);
        if last.is_some_and(|last| last + 1 != lead.number) || (last.is_none() && lead.number > 0) {
            self.encode(lead.before, payload);
        }
        self.encode(frame, payload)
    }

    fn encode(&mut self, frame: &[i16], payload: &mut [u8]) -> usize {
        match &mut self.resampler {
            None => self.encoder.encode(frame, payload),
            Some(resampler) => {
                if resampler.output_samples(frame.len()) > self.samples.len() {
                    return 0;
                }
                let count = resampler.push(frame, &mut self.samples);
                self.encoder.encode(&self.samples[..count], payload)
            }
        }
    }
}

impl Voice {
    fn new(format: CodecFormat, seed: u32) -> Self {
        Self {
            playout: Playout::new(format, None, seed),
            resampler: resampler(format.sample_rate(), RATE),
            since: Instant::ZERO,
            has_begun: false,
            seed,
            decoded: vec![0; format.samples_in_ms(FRAME_MS.into())].into(),
            frame: vec![0; FRAME_SAMPLES].into(),
        }
    }
}

impl Member {
    pub(super) fn new(
        leg: LegRef,
        (room, slot): (u16, MemberSlot),
        part: &RoomMember,
        (said, format): (Said, CodecFormat),
        seed: u32,
    ) -> Self {
        Self {
            leg,
            room,
            slot,
            part: *part,
            speaking: Speaking::SILENT,
            voice: Voice::new(format, seed),
            said,
            ear: Ear::new(format, said),
            kept: Self::kept_for(said),
            was_silenced: false,
        }
    }

    fn kept_for(said: Said) -> Option<Kept> {
        (said.ptime_ms != FRAME_MS).then(|| Kept::new(said.ptime_ms))
    }

    /// It is sent this from now on, in a format that it may have had already; what its peer wants of Opus is followed.
    pub(super) fn send_as(&mut self, said: Said, format: CodecFormat) {
        if said.ptime_ms != self.said.ptime_ms {
            self.kept = Self::kept_for(said);
        }
        if (said.codec, said.ptime_ms) != (self.said.codec, self.said.ptime_ms) {
            self.ear = Ear::new(format, said);
        } else if said.opus != self.said.opus {
            self.ear.encoder.set_opus(&settings_of(said.opus));
        }
        self.said = said;
    }

    pub(super) fn said(&self) -> Said {
        self.said
    }

    /// Whether its packets are of more or less than a frame.
    pub(super) fn keeps_sound(&self) -> bool {
        self.kept.is_some()
    }

    pub(super) fn was_silenced(&self) -> bool {
        self.was_silenced
    }

    /// Keeps a frame of what it hears.
    pub(super) fn keep(&mut self, frame: &[i16]) {
        if let Some(kept) = &mut self.kept {
            kept.push(frame);
        }
    }

    /// The payload of what was kept.
    pub(super) fn say_kept(&mut self, is_muted: bool, payload: &mut [u8]) -> usize {
        let Self { kept: Some(kept), ear, was_silenced, .. } = self else { return 0 };
        let count = kept.packet_samples;
        if kept.count < count {
            // Its first packet is due before enough was mixed.
            kept.samples[kept.count..count].fill(0);
            kept.count = count;
        }
        silence(&mut kept.samples[..count], is_muted, was_silenced);
        let bytes = ear.encode(&kept.samples[..count], payload);
        // More than a frame is left only where packets were left out.
        kept.drop_first(count);
        kept.drop_first(kept.count.saturating_sub(FRAME_SAMPLES));
        bytes
    }

    /// The payload of a frame, or of silence where its leg is muted.
    pub(super) fn say(&mut self, lead: Lead<'_>, frame: &mut [i16], is_muted: bool, payload: &mut [u8]) -> usize {
        silence(frame, is_muted, &mut self.was_silenced);
        self.ear.encode_after(lead, frame, payload)
    }

    pub(super) fn hear(&mut self, format: CodecFormat, arrival: &Arrival<'_>) -> bool {
        if format != self.voice.playout.format() {
            if arrival.at.since(self.voice.since) < CHANGE_TIME {
                return false;
            }
            let seed = self.voice.seed;
            self.voice = Voice { since: arrival.at, ..Voice::new(format, seed) };
        }
        self.voice.has_begun = true;
        self.voice.playout.insert(arrival);
        true
    }

    pub(super) fn playout(&self) -> (Duration, PlayoutCounts) {
        (self.voice.playout.delay(), self.voice.playout.counts())
    }

    /// Makes the next frame of what it says; `None` while its peer has sent nothing.
    pub(super) fn speak(&mut self, now: Instant) {
        let Voice { playout, resampler, decoded, frame, has_begun, .. } = &mut self.voice;
        if !*has_begun {
            return;
        }
        match resampler {
            None => playout.pull(now, frame),
            Some(resampler) => {
                playout.pull(now, decoded);
                let count = if resampler.output_samples(decoded.len()) <= frame.len() {
                    resampler.push(decoded, frame)
                } else {
                    0
                };
                frame[count..].fill(0);
            }
        }
    }

    /// The frame that it says; `None` while its peer has sent nothing.
    pub(super) fn frame(&self) -> Option<&[i16]> {
        self.voice.has_begun.then_some(&self.voice.frame)
    }
}

/// Samples of a ramp between sound and silence: 10 ms.
const RAMP_SAMPLES: usize = RATE as usize / 100;

/// Puts silence in the place of the sound of a leg that is muted, with a ramp where that has changed.
fn silence(frame: &mut [i16], is_muted: bool, was_muted: &mut bool) {
    let changes = std::mem::replace(was_muted, is_muted) != is_muted;
    let ramp = if changes { RAMP_SAMPLES.min(frame.len()) } else { 0 };
    for (index, sample) in frame[..ramp].iter_mut().enumerate() {
        let part = if is_muted { ramp - 1 - index } else { index } as i32;
        *sample = (i32::from(*sample) * part / ramp as i32) as i16;
    }
    if is_muted {
        frame[ramp..].fill(0);
    }
}
