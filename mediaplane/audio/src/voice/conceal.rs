//! Conceals lost packets, in the way of ITU-T G.711 Appendix I: the last periods of speech go on, ever more of them, and
//! fade out.
//!
//! Appendix I delays all sound by 3.75 ms to blend into a loss. This concealer delays nothing: it blends out the step
//! between the last sample that was heard and the first one that is repeated.

use super::pitch::{Period, PitchFinder};
use super::{samples_per_ms, to_sample};
use std::f32::consts::PI;

// Where these lengths differ from those of Appendix I, PESQ of recorded speech with lost packets is the better for it.

/// Periods that are searched: 66 to 333 Hz.
const SHORTEST_PERIOD_MS: usize = 3;
const LONGEST_PERIOD_MS: usize = 15;
/// Length of the sound whose like is searched. Appendix I takes 20 ms; a shorter one follows a changing pitch better.
const MATCHED_MS: usize = 6;
/// Most periods that are repeated in turn.
const MOST_PERIODS: usize = 3;
/// A further period is repeated after each of these, so that a long loss does not buzz.
const PERIOD_ADDED_AFTER_MS: usize = 20;
/// Repeated sound is as loud as before for this long ...
const FULL_FOR_MS: usize = 10;
/// ... and silent from then on.
const SILENT_AFTER_MS: usize = 60;
/// Below this similarity sound has no period: the longest one is repeated, which sounds least like a tone.
const LEAST_SIMILARITY: f32 = 0.35;
/// At the end of a loss the blend into real sound is a quarter of a period, and for every 10 ms that were lost this
/// much longer (Appendix I takes twice as much of what is real away) ...
const BLEND_MS_PER_10_MS: usize = 2;
/// ... up to this.
const LONGEST_BLEND_MS: usize = 5;

/// Hears the sound of one leg and continues it where packets are missing.
#[derive(Clone, Debug)]
pub struct Concealer {
    per_ms: usize,
    /// What was heard and made up last: [`MOST_PERIODS`] of the longest periods and a quarter.
    history: Box<[i16]>,
    /// The history at the beginning of the loss.
    before_loss: Box<[i16]>,
    finder: PitchFinder,
    loss: Option<Loss>,
}

/// A loss that lasts.
#[derive(Clone, Copy, Debug)]
struct Loss {
    period: usize,
    /// Length of the blends between repetitions: a quarter of the period.
    quarter: usize,
    /// Samples that were made up.
    position: usize,
    /// The last sample that was heard, less the one before the first that is repeated.
    step: f32,
}

impl Concealer {
    /// For sound of 8, 16, 24 or 48 kHz.
    pub fn new(rate: u32) -> Self {
        let per_ms = samples_per_ms(rate);
        let longest = LONGEST_PERIOD_MS * per_ms;
        let history = vec![0; MOST_PERIODS * longest + longest / 4].into_boxed_slice();
        let finder = PitchFinder::new(rate, longest + MATCHED_MS * per_ms);
        Self { per_ms, before_loss: history.clone(), history, finder, loss: None }
    }

    /// Takes a frame that arrived. After a loss its beginning is blended with what was made up.
    pub fn hear(&mut self, frame: &mut [i16]) {
        if let Some(mut loss) = self.loss.take() {
            let longer = loss.position * BLEND_MS_PER_10_MS / 10;
            let count = (loss.quarter + longer).min(LONGEST_BLEND_MS * self.per_ms).min(frame.len());
            for (index, sample) in frame[..count].iter_mut().enumerate() {
                let real = (index + 1) as f32 / (count + 1) as f32;
                *sample =
                    to_sample(f32::from(*sample) * real + loss.next(&self.before_loss, self.per_ms) * (1.0 - real));
            }
        }
        self.remember(frame);
    }

    /// Makes up a frame that did not arrive. From 60 ms after the beginning of the loss it is silent.
    pub fn conceal(&mut self, frame: &mut [i16]) {
        let mut loss = match self.loss {
            Some(loss) => loss,
            None => self.begin(),
        };
        for sample in &mut *frame {
            *sample = to_sample(loss.next(&self.before_loss, self.per_ms));
        }
        self.loss = Some(loss);
        self.remember(frame);
    }

    /// Whether the last frame was made up.
    pub fn is_concealing(&self) -> bool {
        self.loss.is_some()
    }

    /// Forgets what was heard, as at a change of the source.
    pub fn reset(&mut self) {
        self.history.fill(0);
        self.loss = None;
    }

    fn begin(&mut self) -> Loss {
        self.before_loss.copy_from_slice(&self.history);
        let (shortest, longest) = (SHORTEST_PERIOD_MS * self.per_ms, LONGEST_PERIOD_MS * self.per_ms);
        let matched = MATCHED_MS * self.per_ms;
        let recent = &self.history[self.history.len() - longest - matched..];
        let Period { sample_count, similarity } = self.finder.find(recent, shortest..=longest, matched);
        let period = if similarity < LEAST_SIMILARITY { longest } else { sample_count };
        let last = |back: usize| f32::from(self.history[self.history.len() - back]);
        Loss { period, quarter: period / 4, position: 0, step: last(1) - last(period + 1) }
    }

    fn remember(&mut self, frame: &[i16]) {
        let kept = self.history.len().saturating_sub(frame.len());
        let start = self.history.len() - kept;
        self.history.copy_within(start.., 0);
        let taken = self.history.len() - kept;
        self.history[kept..].copy_from_slice(&frame[frame.len() - taken..]);
    }
}

impl Loss {
    fn next(&mut self, sound: &[i16], per_ms: usize) -> f32 {
        let at = self.position;
        self.position += 1;
        let silent_at = SILENT_AFTER_MS * per_ms;
        if at >= silent_at {
            self.position = silent_at; // no longer counted
            return 0.0;
        }
        let stage = PERIOD_ADDED_AFTER_MS * per_ms;
        let count = (at / stage + 1).min(MOST_PERIODS);
        let mut value = self.repeated(sound, count);
        let since_added = at - (count - 1) * stage;
        if count > 1 && since_added < self.quarter {
            let new = since_added as f32 / self.quarter as f32;
            value = value * new + self.repeated(sound, count - 1) * (1.0 - new);
        }
        if at < self.quarter {
            value += self.step * (0.5 + 0.5 * (PI * (at + 1) as f32 / (self.quarter + 1) as f32).cos());
        }
        let full = FULL_FOR_MS * per_ms;
        let fading = at.saturating_sub(full) as f32 / (silent_at - full) as f32;
        value * (1.0 - fading)
    }

    /// The sample before this position's next when the last `count` periods are repeated in turn. The end of each turn is
    /// blended into what came before its beginning.
    fn repeated(&self, sound: &[i16], count: usize) -> f32 {
        let turn = count * self.period;
        let start = sound.len() - turn;
        let at = (self.position - 1) % turn;
        let sample = f32::from(sound[start + at]);
        let left = turn - at;
        if left > self.quarter {
            return sample;
        }
        let weight = left as f32 / (self.quarter + 1) as f32;
        sample * weight + f32::from(sound[start - left]) * (1.0 - weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Noise, largest_bend, largest_click, level_dbov, loss_pattern, segmental_snr, sine, spectral_distance, speech,
        welcome,
    };

    /// What is played for the original when these of its frames are lost.
    fn heard(frame: usize, original: &[i16], lost: &[bool], mut play: impl FnMut(&mut [i16], bool)) -> Vec<i16> {
        let mut sound = original.to_vec();
        for (frame, is_lost) in sound.chunks_exact_mut(frame).zip(lost) {
            play(frame, *is_lost);
        }
        sound
    }

    fn concealed(rate: u32, frame: usize, original: &[i16], lost: &[bool]) -> Vec<i16> {
        let mut concealer = Concealer::new(rate);
        heard(frame, original, lost, |frame, is_lost| match is_lost {
            true => concealer.conceal(frame),
            false => concealer.hear(frame),
        })
    }

    fn silenced(frame: usize, original: &[i16], lost: &[bool]) -> Vec<i16> {
        heard(frame, original, lost, |frame, is_lost| {
            if is_lost {
                frame.fill(0)
            }
        })
    }

    fn repeated(frame: usize, original: &[i16], lost: &[bool]) -> Vec<i16> {
        let mut last = vec![0; frame];
        heard(frame, original, lost, |frame, is_lost| match is_lost {
            true => frame.copy_from_slice(&last),
            false => last.copy_from_slice(frame),
        })
    }

    /// Segmental SNR and spectral distance of what was lost: concealed, as silence, and as the last frame once more.
    fn judged(rate: u32, frame_ms: usize, percent: u32, original: &[i16]) -> [(f64, f64); 3] {
        let frame = frame_ms * rate as usize / 1_000;
        let lost = loss_pattern(percent, f64::from(percent) / 100.0, original.len() / frame);
        let ways = [
            concealed(rate, frame, original, &lost),
            silenced(frame, original, &lost),
            repeated(frame, original, &lost),
        ];
        ways.map(|way| {
            // What was received is judged as it is; its blend with what was made up is not.
            let only_lost = heard(frame, &way, &lost, |_, _| ());
            let mut blended = only_lost.chunks_exact(frame).zip(original.chunks_exact(frame)).zip(&lost);
            let in_lost: Vec<i16> = blended
                .by_ref()
                .flat_map(|((way, original), is_lost)| if *is_lost { way.to_vec() } else { original.to_vec() })
                .collect();
            (segmental_snr(rate, original, &in_lost), spectral_distance(rate, original, &way))
        })
    }

    #[test]
    fn concealed_speech_is_nearer_to_the_original_than_silence_and_repetition() {
        for (rate, original) in
            [(8_000, welcome()), (8_000, speech(8_000, 8)), (16_000, speech(16_000, 8)), (48_000, speech(48_000, 3))]
        {
            let (mut mean_snr, mut distances) = (0.0, [0.0; 2]);
            for frame_ms in [10, 20, 30] {
                for percent in [5, 10] {
                    let [(snr, far), (snr_silence, far_silence), (snr_repetition, far_repetition)] =
                        judged(rate, frame_ms, percent, &original);
                    let told = format!(
                        "{rate} Hz, {frame_ms} ms, {percent} %: SNR {snr:.2}, silence {snr_silence:.2}, repetition \
                         {snr_repetition:.2}; distance {far:.2}, silence {far_silence:.2}, repetition {far_repetition:.2}"
                    );
                    println!("{told}");
                    assert!(snr > snr_repetition + 1.0, "{told}");
                    assert!(far < 0.9 * far_silence && far < 1.1 * far_repetition, "{told}");
                    mean_snr += snr / 6.0;
                    distances = [distances[0] + far, distances[1] + far_repetition];
                }
            }
            // Silence has 0 dB.
            assert!(mean_snr > 0.3, "{rate}: {mean_snr}");
            assert!(distances[0] < 0.95 * distances[1], "{rate}: {distances:?}");
        }
    }

    #[test]
    fn a_loss_in_a_tone_is_hardly_heard() {
        for rate in [8_000, 16_000, 24_000, 48_000] {
            let frame = rate as usize / 50;
            let original = sine(rate, 200.0, 8_000.0, 50 * frame);
            let lost: Vec<bool> = (0..50).map(|index| index % 7 == 6).collect();
            let sound = concealed(rate, frame, &original, &lost);
            let steady = largest_bend(&original);
            assert!(
                largest_bend(&sound) <= steady + steady / 4 + 8,
                "{rate}: {} beside {steady}",
                largest_bend(&sound)
            );
            assert!(
                segmental_snr(rate, &original, &sound) > 15.0,
                "{rate}: {}",
                segmental_snr(rate, &original, &sound)
            );
        }
    }

    #[test]
    fn no_loss_clicks() {
        for (rate, original) in [(8_000, welcome()), (8_000, speech(8_000, 8)), (16_000, speech(16_000, 8))] {
            let frame = rate as usize / 50;
            let click = largest_click(rate, &original);
            for seed in 0..10 {
                let lost = loss_pattern(seed, 0.1, original.len() / frame);
                let sound = concealed(rate, frame, &original, &lost);
                let (concealed, silenced) =
                    (largest_click(rate, &sound), largest_click(rate, &silenced(frame, &original, &lost)));
                println!("{rate} {seed}: {concealed:.1}, original {click:.1}, silence {silenced:.1}");
                assert!(concealed <= 2.0 * click && concealed <= silenced, "{rate} {seed}");
            }
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_and_sound_comes_back() {
        let original = sine(8_000, 150.0, 10_000.0, 16_000);
        let lost: Vec<bool> = (0..100).map(|index| (20..40).contains(&index)).collect();
        let sound = concealed(8_000, 160, &original, &lost);
        let level = |ms: usize| level_dbov(&sound[ms * 8..(ms + 10) * 8]);
        assert!((level(400) - level(390)).abs() < 1.0, "full for 10 ms: {} {}", level(390), level(400));
        assert!(level(420) < level(400) - 1.0 && level(440) < level(420) - 3.0, "{} {}", level(420), level(440));
        assert!(sound[460 * 8..800 * 8].iter().all(|sample| *sample == 0), "silent after 60 ms");
        assert_eq!(sound[811 * 8..], original[811 * 8..], "as it was after the blend");
        assert!(largest_bend(&sound[790 * 8..820 * 8]) < 4 * largest_bend(&original));
    }

    #[test]
    fn noise_does_not_become_a_tone() {
        let original = Noise::new(1).samples(-40.0, 8_000);
        let lost = loss_pattern(3, 0.1, 50);
        let sound = concealed(8_000, 160, &original, &lost);
        assert!((level_dbov(&sound) - level_dbov(&original)).abs() < 1.0);
    }

    #[test]
    fn any_frames_and_any_sound_are_taken() {
        let mut noise = Noise::new(8);
        for rate in [8_000, 24_000] {
            let mut concealer = Concealer::new(rate);
            for turn in 0..2_000 {
                let length = (noise.next().abs() * 3_000.0) as usize * (turn % 5) / 4;
                let mut frame: Vec<i16> =
                    (0..length).map(|_| if noise.next() > 0.0 { 32_767 } else { -32_768 }).collect();
                if noise.next() > 0.0 { concealer.conceal(&mut frame) } else { concealer.hear(&mut frame) }
            }
            concealer.reset();
            let mut frame = [1; 160];
            concealer.conceal(&mut frame);
            assert_eq!(frame, [0; 160]);
            assert!(concealer.is_concealing());
        }
    }
}
