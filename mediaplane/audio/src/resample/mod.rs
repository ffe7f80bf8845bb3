//! Any sampling rate to another: a windowed sinc, its coefficients computed once per phase.

mod prototype;
mod streaming;

pub use streaming::{Resampler, mono_to_stereo, stereo_to_mono};

use std::f64::consts::PI;

/// Zero crossings of the sinc on either side: steep enough to keep 3.4 kHz and remove what would fold back.
const ZERO_CROSSINGS: f64 = 24.0;
/// Cut-off below half the lower rate, to leave room for the slope.
const PASSBAND: f64 = 0.92;
/// Kaiser's beta for about 80 dB of attenuation.
const KAISER_BETA: f64 = 8.0;

/// The samples of a sound of `from` Hz at `to` Hz. Neither is 0.
pub(crate) fn convert(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let divisor = greatest_common_divisor(from, to);
    // Output sample n lies at input position n * step / phase_count.
    let (step, phase_count) = ((from / divisor) as usize, (to / divisor) as usize);
    let cutoff = PASSBAND * f64::from(to.min(from)) / f64::from(from);
    let reach = (ZERO_CROSSINGS / cutoff).ceil() as usize;
    let phases: Vec<Vec<f64>> =
        (0..phase_count).map(|phase| coefficients(phase as f64 / phase_count as f64, cutoff, reach)).collect();
    let count = (samples.len() as u64 * u64::from(to) / u64::from(from)) as usize;
    (0..count)
        .map(|index| {
            let position = index * step;
            let (center, phase) = (position / phase_count, position % phase_count);
            // Tap t stands at input index center + t - reach + 1.
            let first = (reach - 1).saturating_sub(center);
            let taps = phases[phase].iter().enumerate().skip(first);
            taps.map_while(|(tap, weight)| Some(f64::from(*samples.get(center + tap + 1 - reach)?) * weight))
                .sum::<f64>() as f32
        })
        .collect()
}

fn coefficients(fraction: f64, cutoff: f64, reach: usize) -> Vec<f64> {
    let weights: Vec<f64> = (0..2 * reach)
        .map(|tap| {
            let distance = tap as f64 - (reach - 1) as f64 - fraction;
            let x = PI * cutoff * distance;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
            sinc * kaiser(distance / reach as f64)
        })
        .collect();
    // Every phase passes a constant unchanged.
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn kaiser(x: f64) -> f64 {
    if x.abs() >= 1.0 { 0.0 } else { bessel_i0(KAISER_BETA * (1.0 - x * x).sqrt()) / bessel_i0(KAISER_BETA) }
}

fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToneMeter;

    fn tone(hertz: f64, rate: u32) -> Vec<f32> {
        (0..rate).map(|index| (0.5 * (2.0 * PI * hertz * f64::from(index) / f64::from(rate)).sin()) as f32).collect()
    }

    fn amplitude(hertz: f64, rate: u32, at: f64) -> f64 {
        let out: Vec<i16> = convert(&tone(hertz, rate), rate, 8_000).iter().map(|x| (x * 32_767.0) as i16).collect();
        assert_eq!(out.len(), 8_000, "one second stays one second");
        ToneMeter::new(at).amplitude(&out[400..7_600]) / 32_767.0
    }

    #[test]
    fn speech_stays_and_what_would_fold_back_goes() {
        for rate in [16_000, 22_050, 32_000, 44_100, 48_000, 11_025] {
            for hertz in [300.0, 1_000.0, 3_400.0] {
                let kept = amplitude(hertz, rate, hertz);
                assert!((kept - 0.5).abs() < 0.01, "{hertz} Hz from {rate}: {kept}");
            }
            if rate > 12_000 {
                let folded = amplitude(5_000.0, rate, 3_000.0);
                assert!(folded < 0.001, "5 kHz from {rate} folds back as {folded}");
            }
        }
    }

    #[test]
    fn sound_that_comes_to_a_higher_rate_stays_as_it_is() {
        for (from, to) in [(44_100, 48_000), (22_050, 24_000), (11_025, 16_000)] {
            let out: Vec<i16> = convert(&tone(3_000.0, from), from, to).iter().map(|x| (x * 32_767.0) as i16).collect();
            assert_eq!(out.len(), to as usize);
            let power: f64 =
                out[1_000..].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / (out.len() - 1_000) as f64;
            let amplitude = (2.0 * power).sqrt() / 32_767.0;
            assert!((amplitude - 0.5).abs() < 0.01, "{from} to {to}: {amplitude}");
        }
    }
}
