mod talk_off;
mod tolerances;

use super::*;
use crate::oscillator::amplitude_of_dbm0;
use std::f64::consts::TAU;

/// A digit as a telephone presses it.
#[derive(Clone, Copy)]
struct Press {
    number: u8,
    ms: f64,
    /// Deviations of both tones.
    deviations: [f64; 2],
    dbm0: [f64; 2],
}

impl Press {
    fn new(number: u8, ms: f64) -> Self {
        Self { number, ms, deviations: [0.0; 2], dbm0: [-10.0; 2] }
    }

    /// The sound between two pauses.
    fn sound(self, rate: u32, before_ms: f64, after_ms: f64) -> Vec<i16> {
        let (row, column) = row_and_column(self.number).expect("a digit");
        let per_ms = f64::from(rate) / 1_000.0;
        let hertz = [LOW_HERTZ[row] * (1.0 + self.deviations[0]), HIGH_HERTZ[column] * (1.0 + self.deviations[1])];
        let amplitudes = self.dbm0.map(amplitude_of_dbm0);
        let tones = (0..(self.ms * per_ms) as usize).map(|index| {
            let sine =
                |tone: usize| amplitudes[tone] * (TAU * hertz[tone] * index as f64 / f64::from(rate) + 0.7).sin();
            (sine(0) + sine(1)).round() as i16
        });
        let silence = |ms: f64| std::iter::repeat_n(0, (ms * per_ms) as usize);
        silence(before_ms).chain(tones).chain(silence(after_ms)).collect()
    }
}

/// What is found in a sound, with the milliseconds that had been heard when it was told.
fn found(rate: u32, sound: &[i16]) -> Vec<(DtmfEvent, usize)> {
    let mut detector = DtmfDetector::new(rate);
    let mut found = Vec::new();
    for (index, millisecond) in sound.chunks(rate as usize / 1_000).enumerate() {
        detector.hear(millisecond, |event| found.push((event, index + 1)));
    }
    found
}

/// The digits that begin in a sound.
fn digits(rate: u32, sound: &[i16]) -> String {
    let begun = found(rate, sound).into_iter().filter_map(|(event, _)| match event {
        DtmfEvent::Began { number, .. } => dtmf_char(number),
        DtmfEvent::Ended { .. } => None,
    });
    begun.collect()
}
