//! Sound files: WAV, FLAC, MP3, and Ogg with Vorbis or Opus, decoded as a whole into mono samples.
//!
//! A file is a stranger: what its header claims about lengths is never allocated, what it decodes to has a limit, and a
//! decoder of another project that panics costs the file and nothing else. Decoding takes up to seconds and a few hundred
//! megabytes; it belongs into a thread of its own.

mod flac;
mod mp3;
mod opus;
#[cfg(test)]
mod tests;
mod vorbis;
mod wav;

use crate::ogg::OggPackets;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest sound that is loaded.
pub const MOST_PROMPT_SECONDS: u32 = 600;
/// Sampling rates that are taken.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Most channels that are mixed down.
const MOST_CHANNELS: u16 = 8;

/// Why a sound file is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SoundError {
    /// No format that is known.
    #[error("not a WAV, FLAC, MP3 or Ogg file")]
    Unknown,
    /// Not a WAV file that can be read.
    #[error("not a WAV file that can be read: {0}")]
    Wav(&'static str),
    /// Not a FLAC file that can be read.
    #[error("not a FLAC file that can be read: {0}")]
    Flac(String),
    /// Not an MP3 file that can be read.
    #[error("not an MP3 file that can be read: {0}")]
    Mp3(String),
    /// Not an Ogg file that can be read.
    #[error("not an Ogg file of Vorbis or Opus that can be read: {0}")]
    Ogg(String),
    /// A sampling rate outside 8 to 192 kHz.
    #[error("sampling rate of {0} Hz; convert it to 8,000 to 192,000 Hz")]
    Rate(u32),
    /// No channel, or too many.
    #[error("{0} channels; convert it to mono or stereo")]
    Channels(u16),
    /// Too long.
    #[error("longer than {MOST_PROMPT_SECONDS} seconds; cut it")]
    TooLong,
    /// No sample in it.
    #[error("no sound in it")]
    Empty,
    /// The decoder gave up.
    #[error("so broken that its decoder fails")]
    Broken,
}

/// The sound of a file, its channels mixed down.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    /// Samples in a second.
    pub(crate) rate: u32,
    /// From -1 to 1, where the file keeps to that.
    pub(crate) samples: Vec<f32>,
}

/// Decodes a file by what its first bytes say it is.
pub(crate) fn decode(file: &[u8]) -> Result<Sound, SoundError> {
    let decoder = match file {
        [b'R', b'I', b'F', b'F', ..] => wav::decode,
        [b'f', b'L', b'a', b'C', ..] => flac::decode,
        [b'O', b'g', b'g', b'S', ..] => decode_ogg,
        _ if nanomp3::detect(file) => mp3::decode,
        _ => return Err(SoundError::Unknown),
    };
    let sound = catch_unwind(AssertUnwindSafe(|| decoder(file))).unwrap_or(Err(SoundError::Broken))?;
    if sound.samples.is_empty() { Err(SoundError::Empty) } else { Ok(sound) }
}

fn decode_ogg(file: &[u8]) -> Result<Sound, SoundError> {
    let mut packets = OggPackets::new(file);
    let first = packets.next().ok_or(SoundError::Empty)?.map_err(|error| SoundError::Ogg(error.to_string()))?;
    match first.data.as_slice() {
        head if head.starts_with(b"OpusHead") => opus::decode(head, packets),
        head if head.starts_with(b"\x01vorbis") => vorbis::decode(head, packets),
        _ => Err(SoundError::Ogg("its first stream is neither Vorbis nor Opus".into())),
    }
}

/// Takes samples as they are decoded, mixes them down, and stops at the longest sound.
struct Collector {
    rate: u32,
    channels: usize,
    limit: usize,
    samples: Vec<f32>,
}

impl Collector {
    fn new(rate: u32, channels: u16) -> Result<Self, SoundError> {
        if !RATES.contains(&rate) {
            return Err(SoundError::Rate(rate));
        }
        if channels == 0 || channels > MOST_CHANNELS {
            return Err(SoundError::Channels(channels));
        }
        let limit = MOST_PROMPT_SECONDS as usize * rate as usize;
        Ok(Self { rate, channels: usize::from(channels), limit, samples: Vec::new() })
    }

    /// Takes samples of all channels, interleaved, in whole frames.
    fn push(&mut self, interleaved: impl Iterator<Item = f32>) -> Result<(), SoundError> {
        let (mut sum, mut count) = (0.0, 0);
        for sample in interleaved {
            sum += sample;
            count += 1;
            if count == self.channels {
                if self.samples.len() == self.limit {
                    return Err(SoundError::TooLong);
                }
                self.samples.push(sum / self.channels as f32);
                (sum, count) = (0.0, 0);
            }
        }
        Ok(())
    }

    /// Leaves out so many frames from the beginning, and keeps at most so many behind them.
    fn trim(&mut self, start: usize, most: usize) {
        self.samples.drain(..start.min(self.samples.len()));
        self.samples.truncate(most);
    }

    fn finish(self) -> Sound {
        Sound { rate: self.rate, samples: self.samples }
    }
}
