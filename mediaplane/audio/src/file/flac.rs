//! FLAC, by claxon.

use super::{Collector, Sound, SoundError};
use claxon::{FlacReader, FlacReaderOptions};

pub(super) fn decode(file: &[u8]) -> Result<Sound, SoundError> {
    let wrong = |error: claxon::Error| SoundError::Flac(error.to_string());
    let options = FlacReaderOptions { metadata_only: false, read_vorbis_comment: false };
    let mut reader = FlacReader::new_ext(file, options).map_err(wrong)?;
    let info = reader.streaminfo();
    if !(4..=32).contains(&info.bits_per_sample) {
        return Err(SoundError::Flac(format!("samples of {} bits", info.bits_per_sample)));
    }
    let mut sound = Collector::new(info.sample_rate, info.channels as u16)?;
    let scale = 1.0 / 2f32.powi(info.bits_per_sample as i32 - 1);
    let (mut blocks, mut buffer) = (reader.blocks(), Vec::new());
    while let Some(block) = blocks.read_next_or_eof(buffer).map_err(wrong)? {
        if block.channels() != info.channels {
            return Err(SoundError::Flac("its number of channels changes".into()));
        }
        let frames = 0..block.duration();
        let samples = frames.flat_map(|at| (0..block.channels()).map(move |channel| (channel, at)));
        sound.push(samples.map(|(channel, at)| block.sample(channel, at) as f32 * scale))?;
        buffer = block.into_buffer();
    }
    Ok(sound.finish())
}
