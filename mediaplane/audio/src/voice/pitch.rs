//! The period of voiced speech, by normalised cross-correlation: coarsely at about 4 kHz, then at the full rate.

use super::samples_per_ms;
use std::ops::RangeInclusive;

/// Lags are searched in steps of this many to the millisecond first.
const COARSE_PER_MS: usize = 4;
/// Parts whose energy is below this are silent: an amplitude of 1 over the whole part.
const LEAST_POWER: f32 = 1.0;
const LANES: usize = 8;

/// A lag at which sound resembles itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    /// The lag.
    pub(super) sample_count: usize,
    /// Normalised cross-correlation of the two parts, -1 to 1; 0 if one of them is silent.
    pub(super) similarity: f32,
}

/// Searches periods in blocks of bounded length.
#[derive(Clone, Debug)]
pub(super) struct PitchFinder {
    decimation: usize,
    coarse: Vec<f32>,
}

impl PitchFinder {
    /// For blocks of up to `most_samples`.
    pub(super) fn new(rate: u32, most_samples: usize) -> Self {
        let decimation = samples_per_ms(rate) / COARSE_PER_MS;
        Self { decimation, coarse: vec![0.0; most_samples / decimation] }
    }

    /// The lag within `lags` at which the end of `sound` resembles most what came before it. Compared are the last
    /// `window` samples, or as many as the lag leaves. The sound is longer than the longest lag.
    pub(super) fn find(&mut self, sound: &[i16], lags: RangeInclusive<usize>, window: usize) -> Period {
        let step = self.decimation;
        let count = (sound.len() / step).min(self.coarse.len());
        let recent = &sound[sound.len() - count * step..];
        for (coarse, fine) in self.coarse.iter_mut().zip(recent.chunks_exact(step)) {
            *coarse = fine.iter().map(|sample| f32::from(*sample)).sum::<f32>() / step as f32;
        }
        let coarse = &self.coarse[..count];
        let last = (lags.end() / step).min(count.saturating_sub(1));
        let rough = best(coarse, lags.start().div_ceil(step).min(last)..=last, window / step).sample_count * step;
        let first = rough.saturating_sub(step).max(*lags.start());
        best(sound, first..=(rough + step).clamp(first, *lags.end()), window)
    }
}

fn best<T: Copy + Into<f32>>(sound: &[T], lags: RangeInclusive<usize>, window: usize) -> Period {
    let mut best = Period { sample_count: *lags.start(), similarity: f32::MIN };
    for lag in lags {
        let similarity = similarity_at(sound, lag, window);
        if similarity > best.similarity {
            best = Period { sample_count: lag, similarity };
        }
    }
    best
}

/// How much the last `window` samples of `sound`, or as many as there are, resemble those `lag` samples earlier.
fn similarity_at<T: Copy + Into<f32>>(sound: &[T], lag: usize, window: usize) -> f32 {
    let count = window.min(sound.len() - lag);
    let start = sound.len() - count;
    similarity(&sound[start..], &sound[start - lag..sound.len() - lag])
}

/// Normalised cross-correlation of two parts of equal length: -1 to 1, 0 if one of them is silent.
pub(super) fn similarity<T: Copy + Into<f32>>(one: &[T], other: &[T]) -> f32 {
    let (mut products, mut ones, mut others) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let mut add = |lane: usize, one: f32, other: f32| {
        products[lane] += one * other;
        ones[lane] += one * one;
        others[lane] += other * other;
    };
    let (one_chunks, other_chunks) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest = one_chunks.remainder().iter().zip(other_chunks.remainder());
    for (one, other) in one_chunks.zip(other_chunks) {
        for lane in 0..LANES {
            add(lane, one[lane].into(), other[lane].into());
        }
    }
    rest.enumerate().for_each(|(lane, (one, other))| add(lane, (*one).into(), (*other).into()));
    let sum = |lanes: [f32; LANES]| lanes.iter().sum::<f32>();
    let (ones, others) = (sum(ones), sum(others));
    if ones.min(others) < LEAST_POWER * one.len() as f32 { 0.0 } else { sum(products) / (ones * others).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Noise, sine};

    #[test]
    fn a_tone_repeats_after_its_period() {
        for rate in [8_000, 16_000, 24_000, 48_000] {
            let per_ms = samples_per_ms(rate);
            let mut finder = PitchFinder::new(rate, 40 * per_ms);
            for hertz in [80.0, 123.0, 190.0] {
                let found =
                    finder.find(&sine(rate, hertz, 9_000.0, 40 * per_ms), 5 * per_ms..=15 * per_ms, 20 * per_ms);
                let period = f64::from(rate) / hertz;
                let cycles = (found.sample_count as f64 / period).round();
                let error = found.sample_count as f64 - cycles * period;
                assert!(cycles >= 1.0 && error.abs() <= 1.0, "{hertz} Hz at {rate}: {found:?}");
                assert!(found.similarity > 0.99, "{hertz} Hz at {rate}: {found:?}");
            }
        }
    }

    #[test]
    fn noise_and_silence_have_no_period() {
        let mut noise = Noise::new(7);
        let sound: Vec<i16> = (0..320).map(|_| (noise.next() * 5_000.0) as i16).collect();
        let mut finder = PitchFinder::new(8_000, 320);
        assert!(finder.find(&sound, 40..=120, 160).similarity < 0.5);
        assert_eq!(finder.find(&[0; 320], 40..=120, 160).similarity, 0.0);
    }
}
