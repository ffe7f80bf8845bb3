//! One leg in a room: what it says comes in by its decoder, what it hears goes out by its encoder.

use super::{FRAME_SAMPLES, RATE, Said};
use crate::decoding::CHANGE_TIME;
use crate::decoding::coders::settings_of;
use crate::decoding::jitter::Arrival;
use crate::decoding::playout::{Playout, PlayoutCounts};
use audio::codec::{CodecFormat, Encoder};
use audio::{MemberSlot, Resampler};
use clock::{Duration, Instant};
use contract::LegRef;

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
    voice: Voice,
    said: Said,
    pub(super) ear: Ear,
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
        let samples = vec![0; format.samples_in_ms(super::FRAME_MS.into())].into();
        Self { encoder, resampler: resampler(RATE, rate), samples }
    }

    pub(super) fn encode(&mut self, frame: &[i16], payload: &mut [u8]) -> usize {
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
            decoded: vec![0; format.samples_in_ms(super::FRAME_MS.into())].into(),
            frame: vec![0; FRAME_SAMPLES].into(),
        }
    }
}

impl Member {
    pub(super) fn new(
        leg: LegRef,
        room: u16,
        slot: MemberSlot,
        (said, format): (Said, CodecFormat),
        seed: u32,
    ) -> Self {
        Self { leg, room, slot, voice: Voice::new(format, seed), said, ear: Ear::new(format, said) }
    }

    /// Whether it is sent this; what its peer wants of Opus is followed.
    pub(super) fn suits(&mut self, said: Said) -> bool {
        if said.codec == self.said.codec && said.opus != self.said.opus {
            self.said = said;
            self.ear.encoder.set_opus(&settings_of(said.opus));
        }
        said == self.said
    }

    pub(super) fn said(&self) -> Said {
        self.said
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
