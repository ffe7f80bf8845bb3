//! Makes the sound of a tone.

use super::{Part, Sound, ToneSignal};
use crate::oscillator::{Oscillator, amplitude_of_dbm0, edge_gain};
use crate::voice::{samples_per_ms, to_sample};

/// Level of a tone of one frequency, and of two together.
const LEVEL_DBM0: f64 = -10.0;
const LEVEL_OF_EACH_DBM0: f64 = -13.0;
/// How far a modulating frequency moves the amplitude.
const MODULATION_DEPTH: f64 = 0.85;
/// Parts swell and fade over this time.
const EDGE_MS: usize = 3;

/// Plays a tone from its beginning.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    rate: u32,
    per_ms: usize,
    parts: Box<[Part]>,
    /// The part that is played.
    index: usize,
    played: usize,
    oscillators: [Oscillator; 2],
}

impl ToneGenerator {
    /// For sound of 8, 16, 24 or 48 kHz.
    pub fn new(signal: &ToneSignal, rate: u32) -> Self {
        let mut generator = Self {
            rate,
            per_ms: samples_per_ms(rate),
            parts: signal.parts.clone(),
            index: 0,
            played: 0,
            oscillators: [Oscillator::new(rate, 0.0, 0.0); 2],
        };
        generator.begin(0);
        generator
    }

    /// Goes back to the beginning.
    pub fn restart(&mut self) {
        self.begin(0);
    }

    /// Fills the frame with what comes next.
    pub fn fill(&mut self, frame: &mut [i16]) {
        for sample in frame {
            *sample = self.next();
        }
    }

    fn begin(&mut self, index: usize) {
        (self.index, self.played) = (index, 0);
        let sine = |hertz: u32, amplitude: f64| Oscillator::new(self.rate, f64::from(hertz), amplitude);
        let each = amplitude_of_dbm0(LEVEL_OF_EACH_DBM0);
        self.oscillators = match self.parts[index].sound {
            Sound::Silence => [sine(0, 0.0); 2],
            Sound::One(hertz) => [sine(hertz, amplitude_of_dbm0(LEVEL_DBM0)), sine(0, 0.0)],
            Sound::Both(one, other) => [sine(one, each), sine(other, each)],
            Sound::Modulated(carrier, modulation) => {
                [sine(carrier, amplitude_of_dbm0(LEVEL_DBM0)), sine(modulation, MODULATION_DEPTH)]
            }
        };
    }

    fn next(&mut self) -> i16 {
        let part = self.parts[self.index];
        let [first, second] = &mut self.oscillators;
        let sound = match part.sound {
            Sound::Modulated(..) => first.next() * (1.0 + second.next()),
            _ => first.next() + second.next(),
        };
        let left = part.duration_ms.map_or(usize::MAX, |ms| ms as usize * self.per_ms - self.played);
        let edge_samples = EDGE_MS * self.per_ms;
        let edge = (self.played + 1).min(left).min(edge_samples);
        let gain = edge_gain(edge, edge_samples);
        self.played = self.played.saturating_add(1);
        if left == 1 {
            let first_repeated = self.parts.iter().position(|part| !part.is_played_once).unwrap_or(0);
            self.begin(if self.index + 1 < self.parts.len() { self.index + 1 } else { first_repeated });
        }
        to_sample((sound * gain) as f32)
    }
}
