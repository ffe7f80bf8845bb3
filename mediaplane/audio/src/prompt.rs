//! Prompts: sound with an end, encoded by both laws when it is loaded, and kept as it is for codecs that have more than 8 kHz.

use crate::file::{self, Sound};
use crate::resample::convert;
use crate::{Law, SAMPLE_RATE, SoundError};

/// The prompt that comes with the project: "Welcome to Ringplane. Your call works."
pub const WELCOME_WAV: &[u8] = include_bytes!("../prompts/welcome.wav");

/// A prompt, ready to be sent.
#[derive(Clone, Debug)]
pub struct Prompt {
    codes: [Box<[u8]>; 2],
    wideband: Option<Wideband>,
}

/// The sound of a file of more than 8 kHz.
#[derive(Clone, Debug)]
struct Wideband {
    rate: u32,
    samples: Box<[i16]>,
}

impl Prompt {
    /// From a WAV, FLAC, MP3 or Ogg file (Vorbis or Opus) of 8 to 192 kHz. This takes long: it is nothing for a worker.
    pub fn decode(file: &[u8]) -> Result<Self, SoundError> {
        let sound = file::decode(file)?;
        let mut prompt = Self::new(&samples_at(&sound, SAMPLE_RATE));
        if sound.rate > SAMPLE_RATE {
            // The rates that a stream can be converted between.
            let rate = [16_000, 24_000].into_iter().find(|rate| sound.rate <= *rate).unwrap_or(48_000);
            prompt.wideband = Some(Wideband { rate, samples: samples_at(&sound, rate).into() });
        }
        if prompt.sample_count() == 0 { Err(SoundError::Empty) } else { Ok(prompt) }
    }

    /// From samples of 8 kHz.
    pub fn new(samples: &[i16]) -> Self {
        Self { codes: Law::ALL.map(|law| law.encode_all(samples)), wideband: None }
    }

    /// The prompt that comes with the project.
    pub fn welcome() -> Self {
        Self::decode(WELCOME_WAV).expect("the shipped prompt is a sound WAV file")
    }

    /// Samples of 8 kHz in it.
    pub fn sample_count(&self) -> u64 {
        self.codes[0].len() as u64
    }

    /// Samples in a second of [`Self::copy_samples`]: 8,000, 16,000, 24,000 or 48,000, as the file had at least.
    pub fn sample_rate(&self) -> u32 {
        self.wideband.as_ref().map_or(SAMPLE_RATE, |wideband| wideband.rate)
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        let wideband = self.wideband.as_ref().map_or(0, |wideband| size_of_val(&*wideband.samples));
        self.codes.iter().map(|codes| codes.len()).sum::<usize>() + wideband
    }

    /// Copies the frame that starts at sample `position` of 8 kHz; silence after the end.
    #[inline]
    pub fn copy_frame(&self, law: Law, position: u64, frame: &mut [u8]) {
        let codes = &self.codes[law as usize];
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(codes.len());
        let count = frame.len().min(codes.len() - start);
        let (sound, rest) = frame.split_at_mut(count);
        sound.copy_from_slice(&codes[start..start + count]);
        rest.fill(law.silence());
    }

    /// Copies the samples from `position` on, both counted at [`Self::sample_rate`]; silence after the end.
    pub fn copy_samples(&self, position: u64, frame: &mut [i16]) {
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        match &self.wideband {
            Some(Wideband { samples, .. }) => {
                let sound = samples.get(start..).unwrap_or_default();
                let (heard, rest) = frame.split_at_mut(frame.len().min(sound.len()));
                heard.copy_from_slice(&sound[..heard.len()]);
                rest.fill(0);
            }
            None => {
                let codes = self.codes[Law::Mu as usize].get(start..).unwrap_or_default();
                let (heard, rest) = frame.split_at_mut(frame.len().min(codes.len()));
                heard.iter_mut().zip(codes).for_each(|(sample, code)| *sample = Law::Mu.decode(*code));
                rest.fill(0);
            }
        }
    }
}

/// A float that is no number becomes 0, one that is too loud is clipped.
fn samples_at(sound: &Sound, rate: u32) -> Vec<i16> {
    convert(&sound.samples, sound.rate, rate).iter().map(|x| (x * 32_767.0).round() as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_frame_is_filled_up() {
        let prompt = Prompt::new(&[1_000; 200]);
        let mut frame = [0; 160];
        prompt.copy_frame(Law::A, 160, &mut frame);
        assert!(frame[..40].iter().all(|code| *code == Law::A.encode(1_000)));
        assert!(frame[40..].iter().all(|code| *code == Law::A.silence()));
        prompt.copy_frame(Law::Mu, u64::MAX, &mut frame);
        assert_eq!(frame, [0xff; 160]);
        let mut samples = [7; 160];
        prompt.copy_samples(160, &mut samples);
        assert!(samples[..40].iter().all(|sample| (960..1_040).contains(sample)) && samples[40..] == [0; 120]);
    }

    #[test]
    fn the_shipped_prompt_is_speech_of_a_few_seconds() {
        assert!(WELCOME_WAV.len() < 100_000);
        let prompt = Prompt::welcome();
        assert!((8_000..48_000).contains(&prompt.sample_count()), "{} samples", prompt.sample_count());
        let loudest = prompt.codes[0].iter().map(|code| Law::Mu.decode(*code).unsigned_abs()).max();
        assert!((8_000..32_000).contains(&loudest.unwrap()), "{loudest:?}");
    }
}
