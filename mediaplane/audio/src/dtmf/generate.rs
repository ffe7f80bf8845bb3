//! Generates digits as tones, with clean beginnings and ends.

use super::{HIGH_HERTZ, LOW_HERTZ, row_and_column};
use crate::oscillator::{Oscillator, amplitude_of_dbm0, edge_gain};
use crate::voice::{samples_per_ms, to_sample};
use std::time::Duration;

/// Levels of the tones: together -1.9 dBm0, and never clipped. The high one is the louder one, because lines damp it more.
const LOW_DBM0: f64 = -6.0;
const HIGH_DBM0: f64 = -4.0;
/// Tones swell and fade over this time.
const EDGE_MS: usize = 2;

/// Makes one digit after another.
#[derive(Clone, Debug)]
pub struct DtmfGenerator {
    rate: u32,
    edge_samples: usize,
    tones: [Oscillator; 2],
    played: usize,
    tone_samples: usize,
    total_samples: usize,
}

impl DtmfGenerator {
    /// For sound of 8, 16, 24 or 48 kHz.
    pub fn new(rate: u32) -> Self {
        let edge_samples = EDGE_MS * samples_per_ms(rate);
        let tones = [Oscillator::new(rate, 0.0, 0.0); 2];
        Self { rate, edge_samples, tones, played: 0, tone_samples: 0, total_samples: 0 }
    }

    /// Starts a digit (0 to 15 as in RFC 4733) and the pause behind it, in place of one that is still being made. `false`
    /// if there is no such digit.
    pub fn start(&mut self, number: u8, tone: Duration, pause: Duration) -> bool {
        let Some((row, column)) = row_and_column(number) else { return false };
        let sample_count = |time: Duration| (time.as_nanos() * u128::from(self.rate) / 1_000_000_000) as usize;
        (self.tone_samples, self.total_samples) = (sample_count(tone), sample_count(tone + pause));
        self.played = 0;
        self.tones = [
            Oscillator::new(self.rate, LOW_HERTZ[row], amplitude_of_dbm0(LOW_DBM0)),
            Oscillator::new(self.rate, HIGH_HERTZ[column], amplitude_of_dbm0(HIGH_DBM0)),
        ];
        true
    }

    /// Ends the digit that is being made once it has been made for so long, and not before it can fade; the pause follows.
    pub fn end_after(&mut self, tone: Duration, pause: Duration) {
        let sample_count = |time: Duration| (time.as_nanos() * u128::from(self.rate) / 1_000_000_000) as usize;
        let earliest = (self.played + self.edge_samples).min(self.tone_samples);
        self.tone_samples = sample_count(tone).clamp(earliest, self.tone_samples.max(earliest));
        self.total_samples = self.tone_samples + sample_count(pause);
    }

    /// Whether a digit or the pause behind it is still to be made.
    pub fn is_playing(&self) -> bool {
        self.played < self.total_samples
    }

    /// Fills the frame with the digit, its pause, and silence behind them. Gives how many samples of the frame belong to
    /// digit and pause: the next digit may be started for the rest.
    pub fn fill(&mut self, frame: &mut [i16]) -> usize {
        let count = (self.total_samples - self.played).min(frame.len());
        let (sound, rest) = frame.split_at_mut(count);
        for sample in sound {
            *sample = if self.played < self.tone_samples {
                let edge = (self.played + 1).min(self.tone_samples - self.played).min(self.edge_samples);
                let [low, high] = &mut self.tones;
                let sound = low.next() + high.next();
                to_sample((sound * edge_gain(edge, self.edge_samples)) as f32)
            } else {
                0
            };
            self.played += 1;
        }
        rest.fill(0);
        count
    }
}
