//! The tones that a room makes by itself: when members join and leave, and while one waits alone.

use super::{FRAME_SAMPLES, RATE};
use std::f32::consts::TAU;

/// -21 dB below full scale.
const AMPLITUDE: f32 = 3_000.0;
/// A note swells and fades for this long, so that nothing clicks.
const RAMP_SAMPLES: usize = RATE as usize / 200;
const PER_MS: usize = RATE as usize / 1_000;
/// After so long the tone of waiting comes again.
const WAITING_MS: usize = 5_000;

/// What a room tells by a tone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chime {
    Joined,
    Left,
    Waiting,
}

/// A sine within a tone.
struct Note {
    start_ms: usize,
    end_ms: usize,
    hertz: f32,
}

impl Chime {
    fn notes(self) -> &'static [Note] {
        const LOW: f32 = 660.0;
        const HIGH: f32 = 880.0;
        const UP: [Note; 2] =
            [Note { start_ms: 0, end_ms: 120, hertz: LOW }, Note { start_ms: 120, end_ms: 240, hertz: HIGH }];
        const DOWN: [Note; 2] =
            [Note { start_ms: 0, end_ms: 120, hertz: HIGH }, Note { start_ms: 120, end_ms: 240, hertz: LOW }];
        const WAITING: [Note; 1] = [Note { start_ms: 1_000, end_ms: 1_160, hertz: 440.0 }];
        match self {
            Self::Joined => &UP,
            Self::Left => &DOWN,
            Self::Waiting => &WAITING,
        }
    }

    fn samples(self) -> usize {
        let last = self.notes().last().map_or(0, |note| note.end_ms);
        PER_MS * if self == Self::Waiting { WAITING_MS } else { last }
    }

    /// Adds nothing where the tone is silent.
    fn fill(self, from: usize, frame: &mut [i16]) {
        frame.fill(0);
        for Note { start_ms, end_ms, hertz } in self.notes() {
            let (start, end) = (start_ms * PER_MS, end_ms * PER_MS);
            for (at, sample) in (from..).zip(frame.iter_mut()).filter(|(at, _)| (start..end).contains(at)) {
                let ramp = (at - start).min(end - at).min(RAMP_SAMPLES) as f32 / RAMP_SAMPLES as f32;
                *sample = (AMPLITUDE * ramp * (TAU * hertz * (at - start) as f32 / RATE as f32).sin()) as i16;
            }
        }
    }
}

/// The tone that is heard in a room, and how far it has come.
#[derive(Debug)]
pub(super) struct Chimes {
    playing: Option<(Chime, usize)>,
    frame: Box<[i16]>,
}

impl Chimes {
    pub(super) fn new() -> Self {
        Self { playing: None, frame: vec![0; FRAME_SAMPLES].into() }
    }

    /// Begins a tone, unless one is heard already: many members that come at once make one.
    pub(super) fn ring(&mut self, chime: Chime) {
        if self.playing.is_none_or(|(playing, _)| playing == Chime::Waiting) {
            self.playing = Some((chime, 0));
        }
    }

    /// Makes the next frame; `None`: nothing is heard. `waits`: a member is alone and wants to hear that the line is there.
    pub(super) fn make(&mut self, waits: bool) -> bool {
        match self.playing {
            None if waits => self.playing = Some((Chime::Waiting, 0)),
            // A note that has begun is finished.
            Some((Chime::Waiting, at)) if !waits && (at == 0 || at >= 1_160 * PER_MS) => self.playing = None,
            _ => {}
        }
        let Some((chime, at)) = self.playing else { return false };
        chime.fill(at, &mut self.frame);
        let next = at + self.frame.len();
        self.playing = (next < chime.samples()).then_some((chime, next));
        true
    }

    pub(super) fn frame(&self) -> &[i16] {
        &self.frame
    }
}
