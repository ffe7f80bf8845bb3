//! The frame of a prompt: from where it begins, as often as it is played, as loud as it is to be.

use audio::{Law, Prompt};
use contract::PromptPlay;

/// Samples in a millisecond of G.711, in which positions are counted.
const PER_MS: u64 = 8;

/// Where a frame lies in a prompt.
#[derive(Clone, Copy)]
pub(crate) struct Clip {
    /// In samples of 8 kHz, within the prompt.
    position: u64,
    /// What follows its end is its beginning.
    repeats: bool,
    /// In 4,096ths; [`UNITY`] leaves it as it is.
    gain: i32,
}

const UNITY: i32 = 1 << GAIN_BITS;
const GAIN_BITS: u32 = 12;

impl Clip {
    /// The frame of `count` samples that begins `elapsed` samples after the player began; and whether it is the last one.
    pub(crate) fn of(prompt: &Prompt, play: PromptPlay, elapsed: u64, count: u64) -> (Self, bool) {
        let length = prompt.sample_count().max(1);
        let position = elapsed.saturating_add(u64::from(play.start_ms) * PER_MS);
        let end = if play.times == 0 { u64::MAX } else { length * u64::from(play.times) };
        let gain = match play.gain_db {
            0 => UNITY,
            gain_db => (10f32.powf(f32::from(gain_db) / 20.0) * UNITY as f32) as i32,
        };
        // Before the last time is over there is another one.
        let repeats = position.saturating_add(length) < end;
        let position = if position >= end { length } else { position % length };
        let rest = end.saturating_sub(elapsed.saturating_add(u64::from(play.start_ms) * PER_MS));
        (Self { position, repeats, gain }, rest <= count)
    }

    /// As codes of G.711.
    pub(crate) fn copy_codes(&self, prompt: &Prompt, law: Law, frame: &mut [u8]) {
        let before = self.before_end(prompt.sample_count(), frame.len());
        let (sound, rest) = frame.split_at_mut(before);
        prompt.copy_frame(law, self.position, sound);
        match self.repeats {
            true => prompt.copy_frame(law, 0, rest),
            false => rest.fill(law.silence()),
        }
        if self.gain != UNITY {
            frame.iter_mut().for_each(|code| *code = law.encode(self.louder(law.decode(*code))));
        }
    }

    /// As samples in the rate of the prompt.
    pub(crate) fn copy_samples(&self, prompt: &Prompt, frame: &mut [i16]) {
        let ratio = u64::from(prompt.sample_rate()) / (1_000 * PER_MS);
        let before = self.before_end(prompt.sample_count(), frame.len() / ratio as usize);
        let (sound, rest) = frame.split_at_mut(before * ratio as usize);
        prompt.copy_samples(self.position * ratio, sound);
        match self.repeats {
            true => prompt.copy_samples(0, rest),
            false => rest.fill(0),
        }
        if self.gain != UNITY {
            frame.iter_mut().for_each(|sample| *sample = self.louder(*sample));
        }
    }

    /// Samples of a frame before the prompt's end, both at 8 kHz.
    fn before_end(&self, length: u64, count: usize) -> usize {
        let left = usize::try_from(length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        count.min(left)
    }

    fn louder(&self, sample: i16) -> i16 {
        ((i32::from(sample) * self.gain) >> GAIN_BITS).clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Prompt {
        Prompt::new(&(0..400).map(|n| 20 * n).collect::<Vec<i16>>())
    }

    /// The frames that are heard, each of 160 samples, until the player ends.
    fn play(play: PromptPlay) -> Vec<Vec<i16>> {
        let prompt = prompt();
        let mut heard = Vec::new();
        for elapsed in (0..3_200).step_by(160) {
            let (clip, is_last) = Clip::of(&prompt, play, elapsed, 160);
            let (mut codes, mut samples) = ([0; 160], [0; 160]);
            clip.copy_codes(&prompt, Law::A, &mut codes);
            clip.copy_samples(&prompt, &mut samples);
            for (code, sample) in codes.iter().zip(samples) {
                // What both laws round becomes louder with the sound.
                let difference = (i32::from(Law::A.decode(*code)) - i32::from(sample)).abs();
                assert!(difference <= 512 || play.gain_db > 0, "{difference}");
            }
            heard.push(samples.to_vec());
            if is_last {
                break;
            }
        }
        heard
    }

    #[test]
    fn a_prompt_is_played_from_its_place_as_often_and_as_loud_as_asked() {
        let once = play(PromptPlay::once(0));
        assert_eq!(once.len(), 3, "400 samples");
        assert!(once[2][79] > 7_500 && once[2][80..] == [0; 80]);
        let from = play(PromptPlay { start_ms: 20, ..PromptPlay::once(0) });
        assert_eq!((from.len(), &from[..], from[0][0]), (2, &once[1..], once[1][0]));
        let twice = play(PromptPlay { times: 2, ..PromptPlay::once(0) });
        assert_eq!(twice.len(), 5);
        assert_eq!(twice[2][80..], once[0][..80], "the second time follows at once");
        assert_eq!(twice[4][159], once[2][79]);
        assert_eq!(play(PromptPlay { times: 0, ..PromptPlay::once(0) }).len(), 20, "it never ends");
        assert_eq!(
            play(PromptPlay { start_ms: 60, times: 2, ..PromptPlay::once(0) })[0],
            twice[3],
            "in the second time"
        );
        let late = play(PromptPlay { start_ms: 9_999, ..PromptPlay::once(0) });
        assert_eq!(late, [vec![0; 160]]);
        let quiet = play(PromptPlay { gain_db: -6, ..PromptPlay::once(0) });
        assert!((i32::from(once[1][0]) - 2 * i32::from(quiet[1][0])).abs() < 40);
        let loud = play(PromptPlay { gain_db: 20, ..PromptPlay::once(0) });
        assert_eq!(loud[2][79], i16::MAX, "it does not wrap");
    }
}
