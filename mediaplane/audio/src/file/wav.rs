//! WAV: PCM of 8, 16, 24 and 32 bits, floating point of 32 and 64 bits, and G.711 by both laws.

use super::{Collector, Sound, SoundError};
use crate::Law;

/// Format tags of the `fmt ` chunk (RFC 2361).
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The tag stands in the first two bytes of the sub-format instead.
const EXTENSIBLE: u16 = 0xfffe;
/// Where the sub-format begins in a `fmt ` chunk.
const SUB_FORMAT_START: usize = 24;

#[derive(Clone, Copy)]
enum Encoding {
    Pcm8,
    Pcm16,
    Pcm24,
    Pcm32,
    Float32,
    Float64,
    G711(Law),
}

pub(super) fn decode(file: &[u8]) -> Result<Sound, SoundError> {
    let wrong = SoundError::Wav;
    let body = file.get(12..).filter(|_| file.get(8..12) == Some(b"WAVE")).ok_or(wrong("no WAVE header"))?;
    let (mut rest, mut format) = (body, None);
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let (name, length) = head.split_at(4);
        let length = length.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
        // Programs that write to a pipe leave lengths at 0 or at their maximum: the sound goes on to the end then.
        let chunk = after.get(..length).unwrap_or(after);
        match name {
            b"fmt " => format = Some(Format::read(chunk)?),
            b"data" => {
                let format = format.ok_or(wrong("no format before its samples"))?;
                return format.decode(if length == 0 { after } else { chunk });
            }
            _ => {}
        }
        rest = after.get(length + length % 2..).unwrap_or_default();
    }
    Err(wrong("no samples in it"))
}

struct Format {
    encoding: Encoding,
    channels: u16,
    rate: u32,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Self, SoundError> {
        let word = |at: usize| match chunk.get(at..at + 2) {
            Some(bytes) => Ok(u16::from_le_bytes([bytes[0], bytes[1]])),
            None => Err(SoundError::Wav("a format that ends early")),
        };
        let (channels, bits) = (word(2)?, word(14)?);
        let rate = u32::from(word(4)?) | u32::from(word(6)?) << 16;
        let tag = match word(0)? {
            EXTENSIBLE => word(SUB_FORMAT_START)?,
            tag => tag,
        };
        let encoding = match (tag, bits) {
            (PCM, 8) => Encoding::Pcm8,
            (PCM, 16) => Encoding::Pcm16,
            (PCM, 24) => Encoding::Pcm24,
            (PCM, 32) => Encoding::Pcm32,
            (FLOAT, 32) => Encoding::Float32,
            (FLOAT, 64) => Encoding::Float64,
            (A_LAW, 8) => Encoding::G711(Law::A),
            (MU_LAW, 8) => Encoding::G711(Law::Mu),
            _ => return Err(SoundError::Wav("samples that are neither PCM, floating point nor G.711")),
        };
        Ok(Self { encoding, channels, rate })
    }

    fn decode(&self, data: &[u8]) -> Result<Sound, SoundError> {
        let mut sound = Collector::new(self.rate, self.channels)?;
        let scaled = |value: i32| (f64::from(value) / 2_147_483_648.0) as f32;
        match self.encoding {
            Encoding::Pcm8 => sound.push(data.iter().map(|byte| (f32::from(*byte) - 128.0) / 128.0)),
            Encoding::Pcm16 => sound.push(words(data).map(|[a, b]| scaled(i32::from_le_bytes([0, 0, a, b])))),
            Encoding::Pcm24 => sound.push(words(data).map(|[a, b, c]| scaled(i32::from_le_bytes([0, a, b, c])))),
            Encoding::Pcm32 => sound.push(words(data).map(|word| scaled(i32::from_le_bytes(word)))),
            Encoding::Float32 => sound.push(words(data).map(f32::from_le_bytes)),
            Encoding::Float64 => sound.push(words(data).map(|word| f64::from_le_bytes(word) as f32)),
            Encoding::G711(law) => sound.push(data.iter().map(|code| f32::from(law.decode(*code)) / 32_768.0)),
        }?;
        Ok(sound.finish())
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    data.chunks_exact(N).map(|word| word.try_into().expect("a chunk of exactly this length"))
}
