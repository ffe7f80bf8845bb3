//! Tells speech from background noise by its level above the noise and by how far its spectrum is from flat.

use super::predict::{autocorrelation, predict};
use super::{dot, samples_per_ms};

/// Decisions are made in blocks of this length, at 8 kHz.
const BLOCK_MS: usize = 10;
const BLOCK_SAMPLES: usize = BLOCK_MS * 8;
/// How much of the sample before is taken off each: low frequencies count less. White noise keeps its level.
const EMPHASIS: f32 = 0.9;
const EMPHASIS_GAIN: f32 = 0.743;
/// Speech is told until this long after its last block.
const HANGOVER_BLOCKS: u32 = 20;
/// Speech is told from this many active blocks in a row: a click is no speech.
const ONSET_BLOCKS: u32 = 2;
/// The noise is the quietest of the last 8 of these: 2 s.
const FLOOR_PARTS: usize = 8;
const BLOCKS_PER_PART: u32 = 25;
/// Noise is taken to be at most this loud before it is known.
const FIRST_FLOOR_DBOV: f32 = -45.0;
/// Quieter noise, such as digital silence, counts as this.
const LEAST_FLOOR_DBOV: f32 = -70.0;
/// Nothing quieter is speech.
const LEAST_SPEECH_DBOV: f32 = -60.0;
/// This far above the noise any sound is speech ...
const CLEAR_DB: f32 = 11.0;
/// ... and this far above it a sound whose spectrum is this much less flat than that of the noise.
const NEAR_DB: f32 = 4.0;
const LESS_FLAT_DB: f32 = 3.0;

/// Hears one leg and says when there is speech.
#[derive(Clone, Debug)]
pub struct VoiceActivity {
    decimation: usize,
    block: [f32; BLOCK_SAMPLES],
    last: f32,
    /// Sum of the samples that make the next one at 8 kHz, and how many they are.
    partial: (f32, usize),
    filled: usize,
    floor: Floor,
    active_blocks: u32,
    hangover_blocks: u32,
}

/// The background noise.
#[derive(Clone, Debug)]
struct Floor {
    /// The quietest blocks of the last parts of time; the last part is unfinished.
    quietest_dbov: [f32; FLOOR_PARTS],
    blocks_in_part: u32,
    smoothed_dbov: f32,
    /// How far the noise's own spectrum is from flat.
    shape_db: f32,
    /// Level of the blocks without speech, with all their low frequencies.
    plain_dbov: f32,
}

impl VoiceActivity {
    /// For sound of 8, 16, 24 or 48 kHz.
    pub fn new(rate: u32) -> Self {
        let floor = Floor {
            quietest_dbov: [FIRST_FLOOR_DBOV; FLOOR_PARTS],
            blocks_in_part: 0,
            smoothed_dbov: FIRST_FLOOR_DBOV,
            shape_db: 0.0,
            plain_dbov: FIRST_FLOOR_DBOV,
        };
        Self {
            decimation: samples_per_ms(rate) / 8,
            block: [0.0; BLOCK_SAMPLES],
            last: 0.0,
            partial: (0.0, 0),
            filled: 0,
            floor,
            active_blocks: 0,
            hangover_blocks: 0,
        }
    }

    /// Takes the next frame and says whether there is speech in it, or was within the last 200 ms.
    pub fn hear(&mut self, frame: &[i16]) -> bool {
        let mut is_speech = self.is_speech();
        for sample in frame {
            self.partial = (self.partial.0 + f32::from(*sample), self.partial.1 + 1);
            if self.partial.1 < self.decimation {
                continue;
            }
            self.block[self.filled] = self.partial.0 / self.decimation as f32;
            self.partial = (0.0, 0);
            self.filled += 1;
            if self.filled == BLOCK_SAMPLES {
                self.filled = 0;
                self.judge();
                is_speech |= self.is_speech();
            }
        }
        is_speech
    }

    /// Whether there is speech now, or was within the last 200 ms.
    pub fn is_speech(&self) -> bool {
        self.hangover_blocks > 0
    }

    /// The level of the background noise, as far as it is known; at least -70 dBov.
    pub fn noise_dbov(&self) -> f32 {
        self.floor.plain_dbov
    }

    fn judge(&mut self) {
        let plain_dbov = power_dbov(dot(&self.block, &self.block));
        // Most noise is low, and its level fluctuates: the higher frequencies tell speech from it.
        for sample in &mut self.block {
            let last = std::mem::replace(&mut self.last, *sample);
            *sample = (*sample - EMPHASIS * last) * EMPHASIS_GAIN;
        }
        let correlation = autocorrelation(&self.block);
        let dbov = power_dbov(correlation[0]);
        let shape_db = -10.0 * predict(&correlation).residual.max(1e-5).log10();
        let above = dbov - self.floor.dbov();
        let is_shaped = shape_db > self.floor.shape_db + LESS_FLAT_DB;
        let is_active = dbov > LEAST_SPEECH_DBOV && (above > CLEAR_DB || above > NEAR_DB && is_shaped);
        self.floor.hear(dbov, shape_db);
        if !is_active {
            self.floor.plain_dbov += 0.05 * (plain_dbov.max(LEAST_FLOOR_DBOV) - self.floor.plain_dbov);
        }
        self.active_blocks = if is_active { self.active_blocks + 1 } else { 0 };
        if self.active_blocks >= ONSET_BLOCKS {
            self.hangover_blocks = HANGOVER_BLOCKS;
        } else {
            self.hangover_blocks = self.hangover_blocks.saturating_sub(1);
        }
    }
}

/// The level of a block whose squares have this sum.
fn power_dbov(sum: f32) -> f32 {
    10.0 * (sum / BLOCK_SAMPLES as f32 / (32_768.0 * 32_768.0)).max(1e-13).log10()
}

impl Floor {
    fn dbov(&self) -> f32 {
        self.quietest_dbov.iter().copied().fold(f32::MAX, f32::min).max(LEAST_FLOOR_DBOV)
    }

    fn hear(&mut self, dbov: f32, shape_db: f32) {
        self.smoothed_dbov += 0.3 * (dbov - self.smoothed_dbov);
        if dbov < self.dbov() + NEAR_DB {
            self.shape_db += 0.05 * (shape_db - self.shape_db);
        }
        let last = &mut self.quietest_dbov[FLOOR_PARTS - 1];
        *last = last.min(self.smoothed_dbov);
        self.blocks_in_part += 1;
        if self.blocks_in_part == BLOCKS_PER_PART {
            self.blocks_in_part = 0;
            self.quietest_dbov.rotate_left(1);
            self.quietest_dbov[FLOOR_PARTS - 1] = self.smoothed_dbov;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Noise, level_dbov, speech, sum, welcome};

    /// Shares of the frames with speech, and of those without it for 300 ms, in which speech is told.
    fn shares(rate: u32, clean: &[i16], heard: &[i16]) -> (f64, f64) {
        let frame = rate as usize / 50;
        let mut detector = VoiceActivity::new(rate);
        let (mut hits, mut spoken, mut false_alarms, mut silent, mut since_speech) = (0, 0, 0, 0, 0);
        for (index, (clean, heard)) in clean.chunks_exact(frame).zip(heard.chunks_exact(frame)).enumerate() {
            let told = detector.hear(heard);
            if level_dbov(clean) > -40.0 {
                since_speech = 0;
                spoken += 1;
                hits += usize::from(told);
            } else {
                since_speech = if level_dbov(clean) > -60.0 { 0 } else { since_speech + 1 };
                if since_speech > 15 && index > 25 {
                    silent += 1;
                    false_alarms += usize::from(told);
                }
            }
        }
        (hits as f64 / f64::from(spoken), false_alarms as f64 / f64::from(silent.max(1)))
    }

    /// The speech with a second of silence before it and after every 2 s of it.
    fn with_pauses(rate: u32, speech: &[i16]) -> Vec<i16> {
        let second = vec![0; rate as usize];
        let parts = speech.chunks(2 * rate as usize).flat_map(|part| [&second[..], part]);
        parts.flatten().copied().chain(second.iter().copied()).collect()
    }

    #[test]
    fn speech_is_told_from_noise() {
        for (rate, speech) in
            [(8_000, welcome()), (8_000, speech(8_000, 10)), (16_000, speech(16_000, 10)), (48_000, speech(48_000, 6))]
        {
            let clean = with_pauses(rate, &speech);
            for (noise_dbov, least_hits, most_alarms) in [(-90.0, 0.97, 0.02), (-55.0, 0.95, 0.03), (-45.0, 0.90, 0.05)]
            {
                let noise = Noise::new(4).samples(noise_dbov, clean.len());
                let (hits, alarms) = shares(rate, &clean, &sum(&clean, &noise));
                println!("{rate} Hz, noise of {noise_dbov} dBov: {hits:.3} of speech, {alarms:.3} of noise");
                assert!(hits >= least_hits && alarms <= most_alarms, "{rate} {noise_dbov}: {hits} {alarms}");
            }
        }
    }

    /// Noise as in a car: most of it is low.
    fn low_noise(dbov: f64, sample_count: usize) -> Vec<i16> {
        let mut noise = Noise::new(6);
        let mut last = 0.0;
        let raw: Vec<f64> = (0..sample_count)
            .map(|_| {
                last = 0.95 * last + noise.next();
                last
            })
            .collect();
        let power = raw.iter().map(|sample| sample * sample).sum::<f64>() / sample_count as f64;
        let gain = 32_768.0 * 10f64.powf(dbov / 20.0) / power.sqrt();
        raw.into_iter().map(|sample| (sample * gain).round() as i16).collect()
    }

    #[test]
    fn recorded_speech_is_told_from_low_noise() {
        let recordings = crate::testing::recordings();
        let speech: Vec<i16> = match recordings.is_empty() {
            true => welcome(),
            false => recordings
                .into_iter()
                .filter(|(_, sound)| sound.len() > 16_000)
                .take(20)
                .flat_map(|(_, sound)| sound)
                .collect(),
        };
        let clean = with_pauses(8_000, &speech);
        for (noise_dbov, least_hits, most_alarms) in [(-60.0, 0.96, 0.02), (-50.0, 0.93, 0.05), (-40.0, 0.85, 0.08)] {
            let (hits, alarms) = shares(8_000, &clean, &sum(&clean, &low_noise(noise_dbov, clean.len())));
            println!("low noise of {noise_dbov} dBov: {hits:.3} of speech, {alarms:.3} of noise");
            assert!(hits >= least_hits && alarms <= most_alarms, "{noise_dbov}: {hits} {alarms}");
        }
    }

    #[test]
    fn noise_that_rises_becomes_the_background() {
        let mut detector = VoiceActivity::new(8_000);
        let mut noise = Noise::new(9);
        let mut told =
            |dbov: f64, frames: usize| (0..frames).filter(|_| detector.hear(&noise.samples(dbov, 160))).count();
        assert_eq!(told(-70.0, 200), 0);
        assert!(told(-40.0, 150) > 80, "a sudden noise could be speech");
        assert_eq!(told(-40.0, 200), 0);
        let floor = detector.noise_dbov();
        assert!((floor + 40.0).abs() < 2.5, "{floor}");
    }

    #[test]
    fn speech_goes_on_for_the_hangover_and_a_click_is_none() {
        let mut detector = VoiceActivity::new(8_000);
        (0..100).for_each(|_| _ = detector.hear(&[0; 160]));
        let mut click = [0; 160];
        click[40] = 30_000;
        assert!(!detector.hear(&click));
        detector.hear(&crate::testing::sine(8_000, 300.0, 8_000.0, 400));
        assert!(detector.is_speech());
        let silent = (0..).take_while(|_| detector.hear(&[0; 80])).count();
        assert!((19..=21).contains(&silent), "{silent} blocks of 10 ms");
    }
}
