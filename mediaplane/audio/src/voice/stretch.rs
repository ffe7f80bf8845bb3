//! Takes one period out of a block of sound, or puts one in, without a click: how a jitter buffer shrinks and grows and
//! follows a clock that drifts.
//!
//! The first and the last samples of a block stay as they are, so that blocks join as before.

use super::pitch::PitchFinder;
use super::{level_dbov, samples_per_ms, to_sample};

/// Periods that are taken out or put in: 66 to 400 Hz.
const SHORTEST_PERIOD_TENTHS_MS: usize = 25;
const LONGEST_PERIOD_MS: usize = 15;
/// Longest block.
const LONGEST_BLOCK_MS: usize = 60;
/// Parts less similar than this are not blended.
const LEAST_SIMILARITY: f32 = 0.8;
/// In a block below this level any parts fit.
const SILENCE_DBOV: f32 = -55.0;

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stretched {
    /// Samples of the block now. As many as before if no parts of it were alike enough.
    pub sample_count: usize,
    /// Normalised cross-correlation of the two parts that were most alike, -1 to 1; 0 for silence.
    pub similarity: f32,
}

/// Changes the length of blocks of 10 to 60 ms.
#[derive(Clone, Debug)]
pub struct Stretcher {
    per_ms: usize,
    finder: PitchFinder,
    /// The block before it changes.
    block: Box<[i16]>,
    silence_dbov: f32,
}

/// Two parts of a block, one period apart, that are to be blended.
struct Fit {
    period: usize,
    similarity: f32,
}

impl Stretcher {
    /// For sound of 8, 16, 24 or 48 kHz.
    pub fn new(rate: u32) -> Self {
        let per_ms = samples_per_ms(rate);
        let most = LONGEST_BLOCK_MS * per_ms;
        let block = vec![0; most].into_boxed_slice();
        Self { per_ms, finder: PitchFinder::new(rate, most), block, silence_dbov: SILENCE_DBOV }
    }

    /// Blocks up to this level count as silence, in which any parts fit: the level of the background noise, where it is
    /// known, and a little more. At the beginning it is -55 dBov.
    pub fn set_silence_dbov(&mut self, dbov: f32) {
        self.silence_dbov = dbov;
    }

    /// Takes one period out of the block. The samples behind the new length mean nothing.
    pub fn shorten(&mut self, samples: &mut [i16]) -> Stretched {
        let count = samples.len();
        let Some(fit) = self.fit(samples) else { return Stretched { sample_count: count, similarity: 0.0 } };
        if !self.is_good(&fit, samples) {
            return Stretched { sample_count: count, similarity: fit.similarity };
        }
        let new = count - fit.period;
        let blend = fit.period.min(new);
        let start = (new - blend) / 2;
        for index in start..start + blend {
            let weight = weight(index - start, blend);
            samples[index] = blended(samples[index], samples[index + fit.period], weight, fit.similarity);
        }
        samples.copy_within(start + blend + fit.period.., start + blend);
        Stretched { sample_count: new, similarity: fit.similarity }
    }

    /// Puts one period into the block, which are the first `sample_count` of the samples. The others are room for what
    /// is put in: 15 ms are always enough. A period for which there is no room is not put in.
    pub fn lengthen(&mut self, samples: &mut [i16], sample_count: usize) -> Stretched {
        let old = &samples[..sample_count];
        let Some(fit) = self.fit(old) else { return Stretched { sample_count, similarity: 0.0 } };
        let new = sample_count + fit.period;
        if !self.is_good(&fit, old) || new > samples.len() {
            return Stretched { sample_count, similarity: fit.similarity };
        }
        let block = &mut self.block[..sample_count];
        block.copy_from_slice(old);
        // The block goes on until `start`, blends into what it was one period earlier, and goes on from there.
        let blend = fit.period.min(sample_count - fit.period);
        let start = (sample_count + fit.period - blend) / 2;
        for index in start..start + blend {
            let weight = weight(index - start, blend);
            samples[index] = blended(block[index], block[index - fit.period], weight, fit.similarity);
        }
        samples[start + blend..new].copy_from_slice(&block[start + blend - fit.period..]);
        Stretched { sample_count: new, similarity: fit.similarity }
    }

    /// The parts that are most alike; `None` if the block is too short or too long to have any.
    fn fit(&mut self, samples: &[i16]) -> Option<Fit> {
        let shortest = SHORTEST_PERIOD_TENTHS_MS * self.per_ms / 10;
        if samples.len() < 3 * shortest || samples.len() > self.block.len() {
            return None;
        }
        // What is compared is at least as long as the shortest period, and two thirds of the period.
        let longest = (LONGEST_PERIOD_MS * self.per_ms).min(samples.len() * 3 / 5).min(samples.len() - shortest);
        let found = self.finder.find(samples, shortest..=longest, samples.len());
        Some(Fit { period: found.sample_count, similarity: found.similarity })
    }

    fn is_good(&self, fit: &Fit, samples: &[i16]) -> bool {
        fit.similarity >= LEAST_SIMILARITY || level_dbov(samples) <= self.silence_dbov
    }
}

/// How much of the second part there is at a sample of the blend.
fn weight(index: usize, blend: usize) -> f32 {
    (index + 1) as f32 / (blend + 1) as f32
}

/// Both samples in such parts that the power stays, by how similar the sounds are.
fn blended(one: i16, other: i16, weight: f32, similarity: f32) -> i16 {
    let power = weight * weight + (1.0 - weight) * (1.0 - weight) + 2.0 * similarity.max(0.0) * weight * (1.0 - weight);
    to_sample((f32::from(one) * (1.0 - weight) + f32::from(other) * weight) / power.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Noise, largest_bend, largest_click, level_dbov, sine, speech, welcome};

    /// The sound after each of its blocks that can be was shortened or lengthened; and how many were.
    fn stretched(rate: u32, block_ms: usize, sound: &[i16], grow: bool) -> (Vec<i16>, usize) {
        let mut stretcher = Stretcher::new(rate);
        let block = block_ms * rate as usize / 1_000;
        let (mut out, mut changed) = (Vec::new(), 0);
        for part in sound.chunks_exact(block) {
            let mut samples = part.to_vec();
            let done = if grow {
                samples.resize(block + 15 * rate as usize / 1_000, 0);
                stretcher.lengthen(&mut samples, block)
            } else {
                stretcher.shorten(&mut samples)
            };
            changed += usize::from(done.sample_count != block);
            samples.truncate(done.sample_count);
            assert!(done.sample_count == block || (done.sample_count > block) == grow);
            out.extend(samples);
        }
        (out, changed)
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_does_not_click() {
        for rate in [8_000, 16_000, 24_000, 48_000] {
            for hertz in [110.0, 200.0, 317.0] {
                let sound = sine(rate, hertz, 9_000.0, 2 * rate as usize);
                let steady = largest_bend(&sound);
                for (block_ms, grow) in [(20, false), (30, false), (60, false), (20, true), (40, true)] {
                    let (out, changed) = stretched(rate, block_ms, &sound, grow);
                    assert!(changed > 2_000 / block_ms / 2, "{rate} {hertz} {block_ms} {grow}: {changed}");
                    let bend = largest_bend(&out);
                    assert!(
                        bend <= steady + steady / 3 + 60,
                        "{rate} {hertz} {block_ms} {grow}: {bend} beside {steady}"
                    );
                    // Zero crossings count the periods.
                    let crossings = out.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
                    let heard = crossings as f64 * f64::from(rate) / out.len() as f64;
                    assert!((heard - hertz).abs() < 0.02 * hertz, "{rate} {hertz} {block_ms} {grow}: {heard}");
                }
            }
        }
    }

    #[test]
    fn speech_becomes_shorter_and_longer_without_clicks() {
        for (rate, sound) in [(8_000, welcome()), (8_000, speech(8_000, 8)), (16_000, speech(16_000, 8))] {
            let click = largest_click(rate, &sound);
            for block_ms in [20, 30, 60] {
                let blocks = sound.len() / (block_ms * rate as usize / 1_000);
                for grow in [false, true] {
                    let (out, changed) = stretched(rate, block_ms, &sound, grow);
                    println!(
                        "{rate} {block_ms} {grow}: {changed} of {blocks}, click {:.2} beside {click:.2}",
                        largest_click(rate, &out)
                    );
                    assert!(changed > blocks / 4, "{rate} {block_ms} {grow}: {changed} of {blocks}");
                    assert!(largest_click(rate, &out) <= 1.3 * click, "{rate} {block_ms} {grow}");
                    assert!((level_dbov(&out) - level_dbov(&sound)).abs() < 1.5);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_alone_unless_it_is_silence() {
        let mut stretcher = Stretcher::new(8_000);
        let loud = Noise::new(5).samples(-20.0, 160);
        let mut samples = loud.clone();
        let done = stretcher.shorten(&mut samples);
        assert!(done.sample_count == 160 && done.similarity < 0.8, "{done:?}");
        assert_eq!(samples, loud);
        let mut quiet = Noise::new(5).samples(-60.0, 160);
        let before = level_dbov(&quiet);
        let done = stretcher.shorten(&mut quiet);
        assert!(done.sample_count < 160, "{done:?}");
        assert!((level_dbov(&quiet[..done.sample_count]) - before).abs() < 2.0);
        stretcher.set_silence_dbov(-18.0);
        assert!(stretcher.shorten(&mut samples).sample_count < 160, "where there is noise it is the silence");
        let mut zeros = [0; 300];
        assert!(stretcher.lengthen(&mut zeros, 160).sample_count > 160);
    }

    #[test]
    fn blocks_join_as_before() {
        let mut stretcher = Stretcher::new(8_000);
        let sound = sine(8_000, 200.0, 9_000.0, 240);
        let mut shorter = sound.clone();
        let count = stretcher.shorten(&mut shorter).sample_count;
        assert_eq!(
            (shorter[..8].to_vec(), shorter[count - 8..count].to_vec()),
            (sound[..8].to_vec(), sound[232..].to_vec())
        );
        let mut longer = sound.clone();
        longer.resize(360, 0);
        let count = stretcher.lengthen(&mut longer, 240).sample_count;
        assert_eq!(
            (longer[..8].to_vec(), longer[count - 8..count].to_vec()),
            (sound[..8].to_vec(), sound[232..].to_vec())
        );
    }

    #[test]
    fn any_block_is_taken() {
        let mut noise = Noise::new(11);
        let mut stretcher = Stretcher::new(16_000);
        for length in 0..1_100 {
            let mut samples: Vec<i16> =
                (0..length).map(|_| if noise.next() > 0.0 { 32_767 } else { -32_768 }).collect();
            stretcher.set_silence_dbov(0.0);
            stretcher.shorten(&mut samples.clone());
            stretcher.lengthen(&mut samples.clone(), length);
            samples.resize(length + 240, 0);
            stretcher.lengthen(&mut samples, length);
        }
    }
}
