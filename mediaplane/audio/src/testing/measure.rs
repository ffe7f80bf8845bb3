//! Measures of sound beside its original.

use super::Noise;
use std::f64::consts::TAU;

fn energy(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

/// Power relative to a square wave of full scale, in decibels.
pub(crate) fn level_dbov(samples: &[i16]) -> f64 {
    10.0 * (energy(samples) / samples.len() as f64 / 32_768f64.powi(2)).max(1e-13).log10()
}

/// Mean signal-to-noise ratio of the segments of 10 ms in which the sounds differ and the original is not silent, each
/// limited to -10 to 35 dB.
pub(crate) fn segmental_snr(rate: u32, original: &[i16], other: &[i16]) -> f64 {
    let segment = rate as usize / 100;
    let ratios: Vec<f64> = original
        .chunks_exact(segment)
        .zip(other.chunks_exact(segment))
        .filter(|(original, other)| original != other && level_dbov(original) > -50.0)
        .map(|(original, other)| {
            let noise: f64 = original.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            (10.0 * (energy(original) / noise.max(1.0)).log10()).clamp(-10.0, 35.0)
        })
        .collect();
    ratios.iter().sum::<f64>() / ratios.len() as f64
}

/// Root mean square of the difference of the power spectra in 16 bands, in decibels, over windows of 20 ms in which the
/// sounds differ and the original is not silent.
pub(crate) fn spectral_distance(rate: u32, original: &[i16], other: &[i16]) -> f64 {
    let spectrum = Spectrum::new(rate);
    let window = spectrum.hann.len();
    let (mut squares, mut count) = (0.0, 0.0);
    for start in (0..original.len().min(other.len()).saturating_sub(window)).step_by(window / 2) {
        let (original, other) = (&original[start..start + window], &other[start..start + window]);
        if original == other || level_dbov(original) < -50.0 {
            continue;
        }
        let (one, two) = (spectrum.bands(original), spectrum.bands(other));
        squares += one.iter().zip(two).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        count += one.len() as f64;
    }
    (squares / count).sqrt()
}

/// The transform of a window into parts of 50 Hz.
struct Spectrum {
    hann: Vec<f64>,
    /// Cosine and sine of each part's phase at each sample.
    waves: Vec<Vec<(f64, f64)>>,
}

impl Spectrum {
    fn new(rate: u32) -> Self {
        let window = rate as usize / 50;
        let wave = |part: usize| {
            let turn = TAU * (225.0 + 50.0 * part as f64) / f64::from(rate);
            (0..window).map(|index| ((turn * index as f64).cos(), (turn * index as f64).sin())).collect()
        };
        Self {
            hann: (0..window).map(|index| 0.5 - 0.5 * (TAU * (index as f64 + 0.5) / window as f64).cos()).collect(),
            waves: (0..64).map(wave).collect(),
        }
    }

    /// Decibels in bands of 200 Hz from 200 to 3,400 Hz. What lies 30 dB below the loudest band is not heard beside it.
    fn bands(&self, samples: &[i16]) -> [f64; 16] {
        let windowed: Vec<f64> =
            self.hann.iter().zip(samples).map(|(hann, sample)| hann * f64::from(*sample)).collect();
        let part = |part: usize| {
            let (mut re, mut im) = (0.0, 0.0);
            for (sample, (cos, sin)) in windowed.iter().zip(&self.waves[part]) {
                re += sample * cos;
                im += sample * sin;
            }
            re * re + im * im
        };
        let powers: [f64; 16] = std::array::from_fn(|band| (4 * band..4 * band + 4).map(part).sum());
        let floor = 1_000.0 * samples.len() as f64 + powers.iter().copied().fold(0.0, f64::max) / 1_000.0;
        powers.map(|power| 10.0 * (power + floor).log10())
    }
}

/// The largest second difference of neighbouring samples: what an ear hears as a click when it is far above that of the
/// sound around it.
pub(crate) fn largest_bend(samples: &[i16]) -> i32 {
    samples
        .windows(3)
        .map(|three| (i32::from(three[0]) - 2 * i32::from(three[1]) + i32::from(three[2])).abs())
        .max()
        .unwrap_or(0)
}

/// How much a sample stands out of the 10 ms around it, at most: its bend in relation to the largest of theirs, which
/// counts as at least 500.
pub(crate) fn largest_click(rate: u32, samples: &[i16]) -> f64 {
    let bends: Vec<i32> = samples.windows(3).map(largest_bend).collect();
    let millisecond = rate as usize / 1_000;
    let clicks = bends.iter().enumerate().filter(|(_, bend)| **bend > 500).map(|(index, bend)| {
        let before = &bends[index.saturating_sub(10 * millisecond)..index.saturating_sub(millisecond)];
        let after = &bends[(index + millisecond).min(bends.len())..(index + 10 * millisecond).min(bends.len())];
        let around = before.iter().chain(after).copied().max().unwrap_or(0).max(500);
        f64::from(*bend) / f64::from(around)
    });
    clicks.fold(0.0, f64::max)
}

/// Which of the frames are lost, each with the same probability.
pub(crate) fn loss_pattern(seed: u32, probability: f64, frame_count: usize) -> Vec<bool> {
    let mut noise = Noise::new(seed);
    (0..frame_count).map(|_| noise.next() * 0.5 + 0.5 < probability).collect()
}
