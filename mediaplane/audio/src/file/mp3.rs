//! MP3, by nanomp3. Tags are skipped, and so is what an encoder adds at both ends.

use super::{Collector, Sound, SoundError};
use nanomp3::{Channels, Options, SliceReader};

pub(super) fn decode(file: &[u8]) -> Result<Sound, SoundError> {
    let wrong = |error: nanomp3::Error| SoundError::Mp3(error.to_string());
    let mut reader = SliceReader::<f32>::with_options(file, Options::default());
    let mut sound = None;
    loop {
        // Copied, so that the reader can be asked about what it has read.
        let frame = match reader.read_frame().map_err(wrong)? {
            Some(frame) if !frame.is_empty() => frame.to_vec(),
            _ => break,
        };
        let channels = match reader.channels() {
            Some(Channels::Stereo) => 2,
            _ => 1,
        };
        let sound = match &mut sound {
            Some(sound) => sound,
            None => sound.insert(Collector::new(reader.sample_rate(), channels)?),
        };
        sound.push(frame.into_iter())?;
    }
    sound.map(Collector::finish).ok_or(SoundError::Empty)
}
