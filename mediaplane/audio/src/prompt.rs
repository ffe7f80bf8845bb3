//! Prompts: sound with an end, encoded by both laws when it is loaded.

use crate::wav;
use crate::{Law, WavError};
use std::io::Read;

/// The prompt that comes with the project: "Welcome to Ringplane. Your call works."
pub const WELCOME_WAV: &[u8] = include_bytes!("../prompts/welcome.wav");

/// A prompt, ready to be sent.
#[derive(Clone, Debug)]
pub struct Prompt {
    codes: [Box<[u8]>; 2],
}

impl Prompt {
    /// From a WAV file of 8, 16, 24 or 32 bits and 8 to 192 kHz.
    pub fn from_wav(file: impl Read) -> Result<Self, WavError> {
        Ok(Self::new(&wav::read(file)?))
    }

    /// From samples of 8 kHz.
    pub fn new(samples: &[i16]) -> Self {
        Self { codes: Law::ALL.map(|law| law.encode_all(samples)) }
    }

    /// The prompt that comes with the project.
    pub fn welcome() -> Self {
        Self::from_wav(WELCOME_WAV).expect("the shipped prompt is a sound WAV file")
    }

    /// Samples in it.
    pub fn sample_count(&self) -> u64 {
        self.codes[0].len() as u64
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.codes.iter().map(|codes| codes.len()).sum()
    }

    /// Copies the frame that starts at sample `position`; silence after the end.
    #[inline]
    pub fn copy_frame(&self, law: Law, position: u64, frame: &mut [u8]) {
        let codes = &self.codes[law as usize];
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(codes.len());
        let count = frame.len().min(codes.len() - start);
        let (sound, rest) = frame.split_at_mut(count);
        sound.copy_from_slice(&codes[start..start + count]);
        rest.fill(law.silence());
    }
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
