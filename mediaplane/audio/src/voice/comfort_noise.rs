//! Comfort noise (RFC 3389): the level and the spectrum of background noise in a few bytes, and noise made from them.
//!
//! A payload is the level as a byte of negative dBov, then one byte for each reflection coefficient, (N - 127) * 258 /
//! 32768. The sign of the coefficients is that of other implementations: the first one is negative for low-pass noise.

use super::predict::{Autocorrelation, MOST_ORDER, autocorrelation, predict};
use super::{samples_per_ms, to_sample};

/// Bytes of the longest payload that is made.
pub const MOST_COMFORT_NOISE_BYTES: usize = 1 + MOST_ORDER;
/// Longest frame that is analysed at once, at 48 kHz.
const MOST_FRAME_SAMPLES: usize = 60 * 48;
/// Weight of a millisecond of new noise in the running description: it reaches back some 150 ms.
const NEWS_PER_MS: f32 = 1.0 / 150.0;
/// A step of the spectrum's coefficients.
const STEP: f32 = 258.0 / 32_768.0;
/// Noise follows a new payload in parts of 5 ms, each of which closes this much of the gap.
const FOLLOW_MS: usize = 5;
const FOLLOW: f32 = 0.15;
/// A level below everything.
const SILENT_DBOV: f32 = -127.0;

/// Describes the noise that it hears.
#[derive(Clone, Debug)]
pub struct NoiseAnalyser {
    per_ms: usize,
    /// Of a sample, averaged over time.
    running: Autocorrelation,
    heard_samples: usize,
    windowed: Box<[f32]>,
}

impl NoiseAnalyser {
    /// For noise of 8, 16, 24 or 48 kHz.
    pub fn new(rate: u32) -> Self {
        Self {
            per_ms: samples_per_ms(rate),
            running: [0.0; MOST_ORDER + 1],
            heard_samples: 0,
            windowed: vec![0.0; MOST_FRAME_SAMPLES].into_boxed_slice(),
        }
    }

    /// Takes a frame without speech, of up to 60 ms; what is longer is ignored.
    pub fn hear(&mut self, frame: &[i16]) {
        let windowed = &mut self.windowed[..frame.len().min(60 * self.per_ms)];
        if windowed.is_empty() {
            return;
        }
        let turn = std::f32::consts::TAU / windowed.len() as f32;
        let mut weights = 0.0;
        for (index, (windowed, sample)) in windowed.iter_mut().zip(frame).enumerate() {
            let weight = 0.54 - 0.46 * (turn * (index as f32 + 0.5)).cos();
            *windowed = weight * f32::from(*sample);
            weights += weight * weight;
        }
        self.heard_samples = self.heard_samples.saturating_add(windowed.len());
        // The first frames count alike.
        let length = windowed.len() as f32;
        let news = (length / self.heard_samples as f32).max(length / self.per_ms as f32 * NEWS_PER_MS).min(1.0);
        for (running, new) in self.running.iter_mut().zip(autocorrelation(windowed)) {
            *running += news * (new / weights - *running);
        }
    }

    /// Writes a payload with up to `order` coefficients (at most 12) that fit; gives its length. Before any noise was
    /// heard it describes silence.
    pub fn write(&self, order: usize, payload: &mut [u8]) -> usize {
        let Some((level, coefficients)) = payload.split_first_mut() else { return 0 };
        let power = f64::from(self.running[0]) / 32_768f64.powi(2);
        *level = (-10.0 * power.max(1e-13).log10()).round().clamp(0.0, 127.0) as u8;
        let reflection = predict(&self.running).reflection;
        let count = order.min(MOST_ORDER).min(coefficients.len());
        for (byte, coefficient) in coefficients.iter_mut().zip(&reflection[..count]) {
            *byte = (coefficient / STEP + 127.0).round().clamp(0.0, 254.0) as u8;
        }
        1 + count
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.running = [0.0; MOST_ORDER + 1];
        self.heard_samples = 0;
    }
}

/// A noise: its level and its spectrum.
#[derive(Clone, Copy, Debug)]
struct Description {
    dbov: f32,
    reflection: [f32; MOST_ORDER],
}

/// Makes noise of the kind that payloads describe; silence before the first.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    part_samples: usize,
    random: u32,
    /// What the last payload asked for.
    wanted: Option<Description>,
    now: Description,
    /// Amplitude of the excitation for `now`.
    amplitude: f32,
    /// Samples left of the part for which `now` holds.
    left_in_part: usize,
    /// Backward errors of the lattice filter.
    backward: [f32; MOST_ORDER + 1],
}

impl ComfortNoise {
    /// For noise of 8, 16, 24 or 48 kHz. Different seeds give different noise.
    pub fn new(rate: u32, seed: u32) -> Self {
        let silence = Description { dbov: SILENT_DBOV, reflection: [0.0; MOST_ORDER] };
        Self {
            part_samples: FOLLOW_MS * samples_per_ms(rate),
            random: seed.wrapping_mul(0x9e37_79b9) | 1,
            wanted: None,
            now: silence,
            amplitude: 0.0,
            left_in_part: 0,
            backward: [0.0; MOST_ORDER + 1],
        }
    }

    /// Takes a payload; `false` if it is empty. More coefficients than 12 are ignored, as is what follows a coefficient of
    /// 255, which is reserved.
    pub fn receive(&mut self, payload: &[u8]) -> bool {
        let Some((level, coefficients)) = payload.split_first() else { return false };
        let mut description = Description { dbov: -f32::from(level & 0x7f), reflection: [0.0; MOST_ORDER] };
        for (reflection, byte) in
            description.reflection.iter_mut().zip(coefficients).take_while(|(_, byte)| **byte != 255)
        {
            *reflection = (f32::from(*byte) - 127.0) * STEP;
        }
        if self.wanted.is_none() {
            self.now = description;
        }
        self.wanted = Some(description);
        true
    }

    /// Fills the frame with the next of the noise.
    pub fn fill(&mut self, frame: &mut [i16]) {
        for sample in frame {
            if self.left_in_part == 0 {
                self.follow();
            }
            self.left_in_part -= 1;
            let mut forward = self.excitation();
            for order in (0..MOST_ORDER).rev() {
                let reflection = self.now.reflection[order];
                forward -= reflection * self.backward[order];
                self.backward[order + 1] = self.backward[order] + reflection * forward;
            }
            // Coefficients close to 1 resonate: the filter is held within what a sample can be.
            forward = forward.clamp(-65_536.0, 65_536.0);
            self.backward[0] = forward;
            *sample = to_sample(forward);
        }
    }

    fn follow(&mut self) {
        self.left_in_part = self.part_samples;
        let Some(wanted) = self.wanted else { return };
        self.now.dbov += FOLLOW * (wanted.dbov - self.now.dbov);
        for (now, wanted) in self.now.reflection.iter_mut().zip(wanted.reflection) {
            *now += FOLLOW * (wanted - *now);
        }
        let residual: f32 = self.now.reflection.iter().map(|reflection| 1.0 - reflection * reflection).product();
        // Evenly distributed noise of amplitude 1 has a power of a third.
        self.amplitude = 32_768.0 * 10f32.powf(self.now.dbov / 20.0) * (3.0 * residual).sqrt();
        if self.now.dbov <= SILENT_DBOV {
            self.amplitude = 0.0;
        }
    }

    fn excitation(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The upper bits are the better ones.
        self.amplitude * ((self.random >> 8) as f32 / 8_388_608.0 - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Noise, level_dbov, sine, spectral_distance};
    use proptest::prelude::*;

    /// Noise through one pole and one zero.
    fn coloured(dbov: f64, pole: f64, zero: f64, sample_count: usize) -> Vec<i16> {
        let mut noise = Noise::new(21);
        let (mut last, mut last_in) = (0.0, 0.0);
        let raw: Vec<f64> = (0..sample_count)
            .map(|_| {
                let input = noise.next();
                last = pole * last + input + zero * last_in;
                last_in = input;
                last
            })
            .collect();
        let power = raw.iter().map(|sample| sample * sample).sum::<f64>() / sample_count as f64;
        let gain = 32_768.0 * 10f64.powf(dbov / 20.0) / power.sqrt();
        raw.into_iter().map(|sample| (sample * gain).round() as i16).collect()
    }

    fn through_payload(rate: u32, order: usize, original: &[i16]) -> (Vec<u8>, Vec<i16>) {
        let mut analyser = NoiseAnalyser::new(rate);
        original.chunks(rate as usize / 50).for_each(|frame| analyser.hear(frame));
        let mut payload = [0; MOST_COMFORT_NOISE_BYTES];
        let count = analyser.write(order, &mut payload);
        let mut generator = ComfortNoise::new(rate, 5);
        assert!(generator.receive(&payload[..count]));
        let mut sound = vec![0; original.len()];
        sound.chunks_mut(rate as usize / 50).for_each(|frame| generator.fill(frame));
        (payload[..count].to_vec(), sound)
    }

    #[test]
    fn energy_and_spectrum_stay() {
        for rate in [8_000, 16_000] {
            for dbov in [-30.0, -45.0, -60.0] {
                for (pole, zero) in [(0.0, 0.0), (0.9, 0.0), (0.7, -0.5), (-0.6, 0.3), (0.95, 0.8)] {
                    let original = coloured(dbov, pole, zero, 2 * rate as usize);
                    for order in [0, 4, 10, 12] {
                        let (payload, sound) = through_payload(rate, order, &original);
                        assert_eq!(payload.len(), 1 + order);
                        let change = level_dbov(&sound) - level_dbov(&original);
                        assert!(change.abs() < 2.0, "{rate} {dbov} {pole} {zero} {order}: {change} dB");
                        assert!((f64::from(payload[0]) + dbov).abs() <= 1.0, "{payload:?}");
                    }
                    if dbov > -50.0 {
                        let (_, sound) = through_payload(rate, 10, &original);
                        let (_, white) = through_payload(rate, 0, &original);
                        let (shaped, white) =
                            (spectral_distance(rate, &original, &sound), spectral_distance(rate, &original, &white));
                        println!("{rate} {dbov} {pole} {zero}: {shaped} dB, without coefficients {white} dB");
                        // Two noises of the same kind are some 5 dB apart in narrow bands.
                        assert!(shaped < 6.5, "{rate} {dbov} {pole} {zero}: {shaped}");
                    }
                }
            }
        }
    }

    #[test]
    fn low_pass_noise_has_a_negative_first_coefficient() {
        let (payload, _) = through_payload(8_000, 1, &coloured(-40.0, 0.9, 0.0, 16_000));
        assert!((i32::from(payload[1]) - 127 + (0.9 / STEP) as i32).abs() <= 4, "{payload:?}");
    }

    #[test]
    fn a_new_level_is_reached_without_a_jump() {
        let mut generator = ComfortNoise::new(8_000, 1);
        let mut frame = [0; 160];
        generator.fill(&mut frame);
        assert_eq!(frame, [0; 160], "silence before the first payload");
        assert!(generator.receive(&[60]));
        generator.fill(&mut frame);
        assert!((level_dbov(&frame) + 60.0).abs() < 1.5);
        assert!(generator.receive(&[40]));
        let mut sound = [0; 1_600];
        generator.fill(&mut sound);
        let levels: Vec<f64> = sound.chunks(80).map(level_dbov).collect();
        assert!(levels[0] < -50.0 && (levels[19] + 40.0).abs() < 2.0, "{levels:?}");
        assert!(generator.receive(&[127]));
        (0..100).for_each(|_| generator.fill(&mut frame));
        assert!(level_dbov(&frame) < -95.0);
    }

    #[test]
    fn silence_is_described_as_silence() {
        let (payload, sound) = through_payload(8_000, 10, &[0; 1_600]);
        assert_eq!(payload[0], 127);
        assert!(sound.iter().all(|sample| *sample == 0));
        assert_eq!(NoiseAnalyser::new(8_000).write(10, &mut []), 0);
        // A tone is no noise, and does no harm.
        through_payload(8_000, 12, &sine(8_000, 440.0, 20_000.0, 8_000));
    }

    proptest! {
        #![proptest_config(crate::testing::cases(100))]

        #[test]
        fn any_payload_makes_bounded_noise(payload in proptest::collection::vec(any::<u8>(), 0..40), wide in any::<bool>()) {
            let mut generator = ComfortNoise::new(if wide { 16_000 } else { 8_000 }, 3);
            prop_assert_eq!(generator.receive(&payload), !payload.is_empty());
            let mut frame = [0; 320];
            for _ in 0..10 {
                generator.fill(&mut frame);
            }
            // The next payload is followed whatever the last one was.
            generator.receive(&[50]);
            for _ in 0..40 {
                generator.fill(&mut frame);
            }
            prop_assert!((level_dbov(&frame) + 50.0).abs() < 3.0, "{} dBov", level_dbov(&frame));
        }
    }
}
