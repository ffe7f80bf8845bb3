//! Finds out how much of a sound is one tone (Goertzel's filter).

use crate::SAMPLE_RATE;
use std::f64::consts::TAU;

/// A meter for one frequency.
#[derive(Clone, Copy, Debug)]
pub struct ToneMeter {
    radians_per_sample: f64,
}

impl ToneMeter {
    /// For a frequency below 4,000 Hz.
    pub fn new(hertz: f64) -> Self {
        Self { radians_per_sample: TAU * hertz / f64::from(SAMPLE_RATE) }
    }

    /// Amplitude of the tone in the samples; a sine of full scale has 32,767. Take at least 20 ms.
    pub fn amplitude(&self, samples: &[i16]) -> f64 {
        if samples.is_empty() {
            return 0.0;
        }
        let coefficient = 2.0 * self.radians_per_sample.cos();
        let (mut last, mut before) = (0.0, 0.0);
        for sample in samples {
            (last, before) = (f64::from(*sample) + coefficient * last - before, last);
        }
        let power = last * last + before * before - coefficient * last * before;
        2.0 * power.max(0.0).sqrt() / samples.len() as f64
    }

    /// The tone's part of the whole energy, 0 to 1: 1 for a pure tone; 0 for silence.
    pub fn purity(&self, samples: &[i16]) -> f64 {
        let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        if energy == 0.0 {
            return 0.0;
        }
        let amplitude = self.amplitude(samples);
        (amplitude * amplitude / 2.0 * samples.len() as f64 / energy).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_told_from_noise() {
        let tone: Vec<i16> =
            (0..1_600).map(|index| (10_000.0 * (TAU * 440.0 * f64::from(index) / 8_000.0).sin()) as i16).collect();
        let meter = ToneMeter::new(440.0);
        assert!((meter.amplitude(&tone) - 10_000.0).abs() < 20.0);
        assert!(meter.purity(&tone) > 0.999);
        let mut state = 1_u32;
        let noise: Vec<i16> = (0..1_600)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16
            })
            .collect();
        assert!(meter.purity(&noise) < 0.05);
        assert_eq!((meter.purity(&[]), meter.purity(&[0; 160])), (0.0, 0.0));
    }
}
