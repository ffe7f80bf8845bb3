//! Detects digits in sound, within the tolerances of ITU-T Q.24.
//!
//! Every 5 ms a window of 16 ms is compared with the eight frequencies. How far a tone is off its frequency is read from
//! the advance of its phase between two windows, to a hertz or so. A window shows a digit if two tones near the digit's
//! frequencies are loud enough, of similar level, and nearly all that there is in the window: speech seldom is that for
//! long, because it has more harmonics than two and changes its pitch.

use super::decimate::Decimator;
use super::{HIGH_HERTZ, KEYPAD, LOW_HERTZ};
use crate::oscillator::dbm0_of_amplitude;
use crate::voice::dot;
use std::f64::consts::{PI, TAU};
use std::sync::LazyLock;

/// Samples of a window at 8 kHz, and between the beginnings of two.
const WINDOW: usize = 128;
const HOP: usize = 40;
const HOP_MS: u32 = 5;
/// A digit begins once this many windows in a row have shown it: reached by 32 ms of tone and not by 23 ms.
const BEGIN_WINDOWS: u32 = 5;
/// A digit may have begun once this many windows in a row have shown it.
const SUSPECT_WINDOWS: u32 = 2;
/// A digit ends once this many windows in a row have not shown it: tones that are interrupted for 20 ms go on, and a
/// pause of 40 ms is one.
const END_WINDOWS: u32 = 6;
/// Amplitude of the quietest tone: -34 dBm0.
const LEAST_AMPLITUDE: f32 = 456.0;
/// The low tone may be this much louder than the high one (8 dB, and 1.5 dB for noise) ...
const MOST_LOW_TO_HIGH: f32 = 8.9;
/// ... and the high one this much louder than the low one (4 dB, and 1.5 dB for noise), as ratios of power.
const MOST_HIGH_TO_LOW: f32 = 3.55;
/// The part of a window's power that its two tones make up at least.
const LEAST_PURITY: f32 = 0.87;
/// Off the frequency by this much on average a tone belongs to no digit. Between 1.5 % and 3.5 %, near the lower bound:
/// from 1.85 % on neighbouring harmonics of a voice (1:2, 2:3, 3:4) come to lie on a row and a column.
const MOST_DEVIATION: f32 = 0.0185;
/// In one window the measure may err to this.
const MOST_DEVIATION_IN_WINDOW: f32 = 0.04;
/// Between the windows of one tone its frequency changes by at most this part: a voice glides faster.
const MOST_GLIDE: f32 = 0.02;
/// Between the windows of one tone its power changes by at most this ratio (4 dB).
const MOST_CHANGE: f32 = 2.5;

/// What the detector found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum DtmfEvent {
    /// A digit is being pressed.
    Began {
        /// The digit: 0 to 15 as in RFC 4733.
        number: u8,
        /// Level of both tones together.
        dbm0: f32,
    },
    /// It is no longer pressed.
    Ended {
        /// The digit: 0 to 15 as in RFC 4733.
        number: u8,
        /// For how long there were tones, to about 5 ms.
        duration_ms: u32,
    },
}

/// The eight frequencies and the window; cosines and sines of one sample lie together.
struct Table {
    waves: [[[f32; 8]; 2]; WINDOW],
    window: [f32; WINDOW],
    window_sum: f32,
    window_power: f32,
    /// Advance of the phase within a hop at the digit's own frequency.
    advance: [f64; 8],
}

static TABLE: LazyLock<Box<Table>> = LazyLock::new(|| {
    let window: [f32; WINDOW] =
        std::array::from_fn(|index| (0.5 - 0.5 * (TAU * (index as f64 + 0.5) / WINDOW as f64).cos()) as f32);
    let turn = |tone: usize| TAU * hertz(tone) / 8_000.0;
    let wave = |index: usize, shift: f64| std::array::from_fn(|tone| (turn(tone) * index as f64 + shift).cos() as f32);
    Box::new(Table {
        // The sine is the cosine a quarter of a turn earlier.
        waves: std::array::from_fn(|index| [wave(index, 0.0), wave(index, -PI / 2.0)]),
        window,
        window_sum: window.iter().sum(),
        window_power: window.iter().map(|weight| weight * weight).sum(),
        advance: std::array::from_fn(|tone| turn(tone) * HOP as f64),
    })
});

fn hertz(tone: usize) -> f64 {
    if tone < 4 { LOW_HERTZ[tone] } else { HIGH_HERTZ[tone - 4] }
}

/// Hears the sound of one leg.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    decimator: Decimator,
    /// The samples of a window, the oldest first; the last hop is filled up to `filled`.
    recent: [f32; WINDOW],
    filled: usize,
    /// The last window beside the eight frequencies: real and imaginary parts.
    last: [[f32; 8]; 2],
    candidate: Option<Candidate>,
    pressed: Option<Pressed>,
}

/// Two tones in one window.
#[derive(Clone, Copy, Debug)]
struct Tones {
    number: u8,
    /// Powers of the tones, low and high.
    powers: [f32; 2],
    /// Relative deviations from the digit's frequencies.
    deviations: [f32; 2],
}

/// A digit that the last windows have shown.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    number: u8,
    windows: u32,
    /// Sums over the windows without the first, in which the tone may have begun.
    deviations: [f32; 2],
    /// Least and greatest deviations and powers of the tones in those windows.
    deviation_range: [[f32; 2]; 2],
    powers: [[f32; 2]; 2],
}

/// A digit that has begun.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    number: u8,
    windows: u32,
    missing: u32,
}

impl DtmfDetector {
    /// For sound of 8, 16, 24 or 48 kHz.
    pub fn new(rate: u32) -> Self {
        LazyLock::force(&TABLE);
        Self {
            decimator: Decimator::new(rate),
            recent: [0.0; WINDOW],
            filled: WINDOW - HOP,
            last: [[0.0; 8]; 2],
            candidate: None,
            pressed: None,
        }
    }

    /// Takes the next samples, any number of them, and gives each event as it is found.
    pub fn hear(&mut self, samples: &[i16], mut on_event: impl FnMut(DtmfEvent)) {
        for sample in samples {
            let Some(sample) = self.decimator.push(*sample) else { continue };
            self.recent[self.filled] = sample;
            self.filled += 1;
            if self.filled == WINDOW {
                let tones = self.tones();
                self.judge(tones, &mut on_event);
                self.recent.copy_within(HOP.., 0);
                self.filled = WINDOW - HOP;
            }
        }
    }

    /// The digit that is pressed now.
    pub fn pressed(&self) -> Option<u8> {
        self.pressed.map(|pressed| pressed.number)
    }

    /// Whether the last windows may belong to a digit: one is pressed, or may have begun.
    pub fn suspects(&self) -> bool {
        self.pressed.is_some() || self.candidate.is_some_and(|candidate| candidate.windows >= SUSPECT_WINDOWS)
    }

    /// Two tones that make a digit, if the window has nothing else.
    fn tones(&mut self) -> Option<Tones> {
        let table = &**TABLE;
        let mut windowed = self.recent;
        windowed.iter_mut().zip(&table.window).for_each(|(sample, weight)| *sample *= weight);
        let power = dot(&windowed, &windowed);
        if power < LEAST_AMPLITUDE * LEAST_AMPLITUDE * table.window_power / 2.0 {
            self.last = [[0.0; 8]; 2];
            return None;
        }
        let (mut real, mut imaginary) = ([0.0; 8], [0.0; 8]);
        for (sample, [cosines, sines]) in windowed.iter().zip(&table.waves) {
            add_scaled(&mut real, *sample, cosines);
            add_scaled(&mut imaginary, *sample, sines);
        }
        let last = std::mem::replace(&mut self.last, [real, imaginary]);
        let strongest = |tones: std::ops::Range<usize>| {
            let strength = |tone: usize| real[tone] * real[tone] + imaginary[tone] * imaginary[tone];
            tones.max_by(|one, other| strength(*one).total_cmp(&strength(*other))).expect("four tones")
        };
        let found = [strongest(0..4), strongest(4..8)];
        let (mut powers, mut deviations) = ([0.0; 2], [0.0; 2]);
        for (index, tone) in found.into_iter().enumerate() {
            // A cheap look first: most windows of speech end here.
            let amplitude = 2.0 * real[tone].hypot(imaginary[tone]) / table.window_sum;
            if amplitude < LEAST_AMPLITUDE / 2.0 {
                return None;
            }
            let turned = -f64::from(imaginary[tone].atan2(real[tone])) + f64::from(last[1][tone].atan2(last[0][tone]));
            let beyond = (turned - table.advance[tone]).rem_euclid(TAU);
            let beyond = if beyond > PI { beyond - TAU } else { beyond };
            let off_hertz = beyond / TAU * 8_000.0 / HOP as f64;
            deviations[index] = (off_hertz / hertz(tone)) as f32;
            if deviations[index].abs() > MOST_DEVIATION_IN_WINDOW {
                return None;
            }
            let amplitude = amplitude / main_lobe(off_hertz * WINDOW as f64 / 8_000.0) as f32;
            powers[index] = amplitude * amplitude / 2.0;
        }
        let [low, high] = powers;
        let is_digit = low.min(high) >= LEAST_AMPLITUDE * LEAST_AMPLITUDE / 2.0
            && low <= high * MOST_LOW_TO_HIGH
            && high <= low * MOST_HIGH_TO_LOW
            && (low + high) * table.window_power >= LEAST_PURITY * power;
        is_digit.then(|| Tones { number: KEYPAD[found[0]][found[1] - 4], powers, deviations })
    }

    fn judge(&mut self, tones: Option<Tones>, on_event: &mut impl FnMut(DtmfEvent)) {
        if let Some(pressed) = &mut self.pressed {
            if tones.is_some_and(|tones| tones.number == pressed.number) {
                pressed.windows += pressed.missing + 1;
                pressed.missing = 0;
            } else {
                pressed.missing += 1;
            }
        }
        let followed = tones.map(|tones| match self.candidate {
            Some(candidate) if candidate.number == tones.number => candidate.and(&tones),
            _ => Candidate::new(&tones),
        });
        self.candidate = followed;
        let begins = followed.filter(|candidate| candidate.is_digit() && self.pressed() != Some(candidate.number));
        if let Some(pressed) = self.pressed
            && (pressed.missing >= END_WINDOWS || begins.is_some())
        {
            on_event(DtmfEvent::Ended { number: pressed.number, duration_ms: pressed.windows * HOP_MS + HOP_MS });
            self.pressed = None;
        }
        if let Some(digit) = begins {
            let amplitude = digit.powers[1].iter().sum::<f32>().sqrt() * std::f32::consts::SQRT_2;
            let dbm0 = dbm0_of_amplitude(f64::from(amplitude)) as f32;
            on_event(DtmfEvent::Began { number: digit.number, dbm0 });
            self.pressed = Some(Pressed { number: digit.number, windows: digit.windows, missing: 0 });
        }
    }
}

impl Candidate {
    fn new(tones: &Tones) -> Self {
        Self {
            number: tones.number,
            windows: 1,
            deviations: [0.0; 2],
            deviation_range: [[f32::MAX; 2], [f32::MIN; 2]],
            powers: [[f32::MAX; 2], [0.0; 2]],
        }
    }

    fn and(mut self, tones: &Tones) -> Self {
        self.windows += 1;
        for tone in 0..2 {
            self.deviations[tone] += tones.deviations[tone];
            self.deviation_range[0][tone] = self.deviation_range[0][tone].min(tones.deviations[tone]);
            self.deviation_range[1][tone] = self.deviation_range[1][tone].max(tones.deviations[tone]);
            self.powers[0][tone] = self.powers[0][tone].min(tones.powers[tone]);
            self.powers[1][tone] = self.powers[1][tone].max(tones.powers[tone]);
        }
        self
    }

    fn is_digit(&self) -> bool {
        let measured = self.windows.saturating_sub(1) as f32;
        self.windows >= BEGIN_WINDOWS
            && self.deviations.iter().all(|sum| (sum / measured).abs() <= MOST_DEVIATION)
            && (0..2).all(|tone| {
                self.powers[1][tone] <= self.powers[0][tone] * MOST_CHANGE
                    && self.deviation_range[1][tone] - self.deviation_range[0][tone] <= MOST_GLIDE
            })
    }
}

#[inline]
fn add_scaled(sums: &mut [f32; 8], factor: f32, values: &[f32; 8]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

/// What a window of Hann leaves of the amplitude of a tone that is `bins` off.
fn main_lobe(bins: f64) -> f64 {
    if bins.abs() < 1e-6 {
        return 1.0;
    }
    (PI * bins).sin() / (PI * bins) / (1.0 - bins * bins)
}
