//! Sound for tests, and measures of sound that know nothing of how it was made.

mod measure;
mod speech;

pub(crate) use measure::{largest_bend, largest_click, level_dbov, loss_pattern, segmental_snr, spectral_distance};
pub(crate) use speech::{espeak, recordings, speech, welcome};

use std::f64::consts::TAU;

/// A sine of an amplitude.
pub(crate) fn sine(rate: u32, hertz: f64, amplitude: f64, sample_count: usize) -> Vec<i16> {
    (0..sample_count)
        .map(|index| (amplitude * (TAU * hertz * index as f64 / f64::from(rate)).sin()).round() as i16)
        .collect()
}

/// Sums of sounds, clipped.
pub(crate) fn sum(one: &[i16], other: &[i16]) -> Vec<i16> {
    one.iter().zip(other).map(|(one, other)| one.saturating_add(*other)).collect()
}

/// White noise that is the same in every run.
#[derive(Clone, Debug)]
pub(crate) struct Noise(u32);

impl Noise {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761) | 1)
    }

    /// Evenly distributed, -1 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        for (left, shift) in [(true, 13), (false, 17), (true, 5)] {
            self.0 ^= if left { self.0 << shift } else { self.0 >> shift };
        }
        f64::from(self.0) / f64::from(u32::MAX) * 2.0 - 1.0
    }

    /// Of a level, in decibels relative to a square wave of full scale.
    pub(crate) fn samples(&mut self, dbov: f64, sample_count: usize) -> Vec<i16> {
        let amplitude = 32_768.0 * 10f64.powf(dbov / 20.0) * 3f64.sqrt();
        (0..sample_count).map(|_| (amplitude * self.next()).round() as i16).collect()
    }
}

/// So many cases of a property, and a hundred times as many with `make test-all`.
pub(crate) fn cases(count: u32) -> proptest::test_runner::Config {
    let is_full_run = std::env::var_os("RINGPLANE_TEST_ALL").is_some_and(|value| value == "1");
    proptest::test_runner::Config::with_cases(if is_full_run { 100 * count } else { count })
}
