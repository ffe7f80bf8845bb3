//! Sines, sample by sample, by a recurrence.

use std::f64::consts::{PI, TAU};

/// Amplitude of a sine of 0 dBm0, where a sine of full scale is +3.14 dBm0 (ITU-T G.711 §4).
const AMPLITUDE_OF_0_DBM0: f64 = 32_767.0 / 1.435_49;

/// The amplitude of a sine of that level.
pub(crate) fn amplitude_of_dbm0(level: f64) -> f64 {
    AMPLITUDE_OF_0_DBM0 * 10f64.powf(level / 20.0)
}

/// The level of a sine of that amplitude.
pub(crate) fn dbm0_of_amplitude(amplitude: f64) -> f64 {
    20.0 * (amplitude / AMPLITUDE_OF_0_DBM0).log10()
}

/// The gain of the sample that is the `index`th, from 1, of an edge on which a tone swells or fades; 1 behind it.
#[inline]
pub(crate) fn edge_gain(index: usize, edge_samples: usize) -> f64 {
    if index >= edge_samples { 1.0 } else { 0.5 - 0.5 * (PI * index as f64 / edge_samples as f64).cos() }
}

/// A sine that starts at phase 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oscillator {
    coefficient: f64,
    next: f64,
    last: f64,
}

impl Oscillator {
    pub(crate) fn new(rate: u32, hertz: f64, amplitude: f64) -> Self {
        let turn = TAU * hertz / f64::from(rate);
        Self { coefficient: 2.0 * turn.cos(), next: 0.0, last: -amplitude * turn.sin() }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> f64 {
        let sample = self.next;
        (self.next, self.last) = (self.coefficient * self.next - self.last, self.next);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_stays_true_for_an_hour() {
        let mut oscillator = Oscillator::new(8_000, 425.0, 7_000.0);
        for _ in 0..8_000 * 3_600 {
            oscillator.next();
        }
        for index in 0..800 {
            let expected = 7_000.0 * (TAU * 425.0 * f64::from(index) / 8_000.0).sin();
            assert!((oscillator.next() - expected).abs() < 0.5, "sample {index}");
        }
    }

    #[test]
    fn full_scale_is_3_14_dbm0() {
        assert!((3.13..3.15).contains(&dbm0_of_amplitude(32_767.0)));
        assert!((amplitude_of_dbm0(-10.0) - 7_218.0).abs() < 10.0);
    }
}
