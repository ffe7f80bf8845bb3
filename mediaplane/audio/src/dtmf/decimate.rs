//! Sound of any rate to 8 kHz for the detector: what could fold onto the digits' frequencies is removed.

use crate::voice::{dot, samples_per_ms};
use std::f64::consts::PI;

/// Taps of the filter for each step of the decimation.
const TAPS_PER_STEP: usize = 10;
/// Everything below 2 kHz passes, everything above 6 kHz does not.
const CUTOFF_HERTZ: f64 = 3_600.0;

#[derive(Clone, Debug)]
pub(super) struct Decimator {
    step: usize,
    taps: Box<[f32]>,
    /// The last samples, twice, so that they always lie in one piece.
    recent: Box<[f32]>,
    next: usize,
    until_output: usize,
}

impl Decimator {
    pub(super) fn new(rate: u32) -> Self {
        let step = samples_per_ms(rate) / 8;
        let count = if step == 1 { 1 } else { TAPS_PER_STEP * step };
        let cutoff = 2.0 * CUTOFF_HERTZ / f64::from(rate);
        let weights = (0..count).map(|tap| {
            let distance = tap as f64 - (count - 1) as f64 / 2.0;
            let x = PI * cutoff * distance;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
            sinc * (0.54 + 0.46 * (2.0 * PI * distance / count as f64).cos())
        });
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        let taps: Box<[f32]> = weights.into_iter().map(|weight| (weight / sum) as f32).collect();
        Self { step, recent: vec![0.0; 2 * count].into_boxed_slice(), taps, next: 0, until_output: step }
    }

    /// Takes a sample; gives one at 8 kHz when it is complete.
    #[inline]
    pub(super) fn push(&mut self, sample: i16) -> Option<f32> {
        if self.step == 1 {
            return Some(f32::from(sample));
        }
        let count = self.taps.len();
        self.recent[self.next] = f32::from(sample);
        self.recent[self.next + count] = f32::from(sample);
        self.next = (self.next + 1) % count;
        self.until_output -= 1;
        if self.until_output > 0 {
            return None;
        }
        self.until_output = self.step;
        let oldest_first = &self.recent[self.next..self.next + count];
        Some(dot(&self.taps, oldest_first))
    }
}
