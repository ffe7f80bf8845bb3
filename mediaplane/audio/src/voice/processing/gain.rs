//! Automatic gain control: speech that is too quiet or too loud is brought to a target, noise is not raised into audibility.

use super::super::level::level_dbov;
use super::super::to_sample;

/// The level of speech that is aimed at; ITU-T P.56 speech of -26 dBov is common, louder ones are as well.
const TARGET_DBOV: f32 = -22.0;
/// Most gain, and most attenuation.
const GAIN_MAX_DB: f32 = 30.0;
const GAIN_MIN_DB: f32 = -12.0;
/// Noise is raised to this level at most.
const NOISE_MAX_DBOV: f32 = -50.0;
/// How fast the gain rises, while there is speech, and falls, per block of 10 ms: 10 and 30 dB in a second.
const RISE_DB: f32 = 0.1;
const FALL_DB: f32 = 0.3;
/// Blocks of speech after which the level is known well enough to raise the gain.
const KNOWN_BLOCKS: f32 = 20.0;
/// Blocks of speech over which the level is averaged: 3 s.
const AVERAGED_BLOCKS: f32 = 300.0;
/// Blocks this far below the loudest of the last ones are pauses between syllables, and do not count.
const PAUSE_DB: f32 = 20.0;
/// How fast the loudest level is forgotten, per block: 5 dB in a second.
const FORGET_DB: f32 = 0.05;
/// No sample leaves louder than this: -1 dB of full scale.
const PEAK_MAX: f32 = 29_200.0;

/// Follows the level of speech with a gain, block by block of 10 ms, at any rate.
#[derive(Clone, Debug)]
pub(super) struct GainControl {
    /// Mean power of the blocks of speech that count, 1 being overload; and how many those are.
    power: f32,
    counted: f32,
    loudest_dbov: f32,
    gain_db: f32,
    /// The factor that the last sample got.
    factor: f32,
}

impl GainControl {
    pub(super) fn new() -> Self {
        Self { power: 0.0, counted: 0.0, loudest_dbov: -90.0, gain_db: 0.0, factor: 1.0 }
    }

    pub(super) fn gain_db(&self) -> f32 {
        self.gain_db
    }

    pub(super) fn process(&mut self, block: &mut [i16], is_speech: bool, noise_dbov: f32) {
        let dbov = level_dbov(block);
        if is_speech {
            self.measure(dbov);
        }
        self.follow(is_speech, noise_dbov);
        let peak = block.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        let wanted = 10f32.powf(self.gain_db / 20.0);
        let limit = PEAK_MAX / f32::from(peak.max(1));
        let to = wanted.min(limit);
        // A block that would be too loud is not: from its first sample on.
        let from = self.factor.min(limit);
        self.factor = to;
        if from == 1.0 && to == 1.0 {
            return;
        }
        let step = (to - from) / block.len() as f32;
        for (index, sample) in block.iter_mut().enumerate() {
            *sample = to_sample(f32::from(*sample) * (from + step * (index + 1) as f32));
        }
    }

    fn measure(&mut self, dbov: f32) {
        self.loudest_dbov = (self.loudest_dbov - FORGET_DB).max(dbov);
        if dbov < self.loudest_dbov - PAUSE_DB {
            return;
        }
        self.counted = (self.counted + 1.0).min(AVERAGED_BLOCKS);
        self.power += (10f32.powf(dbov / 10.0) - self.power) / self.counted;
    }

    fn follow(&mut self, is_speech: bool, noise_dbov: f32) {
        if self.counted < KNOWN_BLOCKS {
            return;
        }
        let level_dbov = 10.0 * self.power.max(1e-9).log10();
        let most = GAIN_MAX_DB.min(NOISE_MAX_DBOV - noise_dbov).max(0.0);
        let wanted = (TARGET_DBOV - level_dbov).clamp(GAIN_MIN_DB, most);
        if wanted < self.gain_db {
            self.gain_db = (self.gain_db - FALL_DB).max(wanted);
        } else if is_speech {
            self.gain_db = (self.gain_db + RISE_DB).min(wanted);
        }
    }
}
