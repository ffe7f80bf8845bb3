//! Opus in Ogg (RFC 7845), by libopus.

use super::{Collector, Sound, SoundError};
use crate::codec::{CodecFormat, CodecKind, Decoder, PAYLOAD_SAMPLES_MAX};
use crate::ogg::OggPackets;

/// Opus is decoded at this rate, in which positions and the pre-skip are counted (RFC 7845 §4).
const RATE: u32 = 48_000;

/// `head` is the first packet.
pub(super) fn decode(head: &[u8], packets: OggPackets<'_>) -> Result<Sound, SoundError> {
    let wrong = |words: &str| SoundError::Ogg(words.into());
    let head: [u8; 19] = *head.first_chunk().ok_or(wrong("its Opus header ends early"))?;
    let [version, channels] = [head[8], head[9]];
    let (pre_skip, gain) = (u16::from_le_bytes([head[10], head[11]]), i16::from_le_bytes([head[16], head[17]]));
    // Families other than 0 have several streams in a packet; family 1 with up to two channels is the same as 0.
    if version >> 4 != 0 || head[18] > 1 || !matches!(channels, 1 | 2) {
        return Err(wrong("more than two channels of Opus, or a version that is not known"));
    }
    let format = CodecFormat::new(CodecKind::Opus, RATE, channels).map_err(|error| wrong(&error.to_string()))?;
    // In 256ths of a decibel (RFC 7845 §5.1).
    let gain = 10f32.powf(f32::from(gain) / 256.0 / 20.0) / 32_768.0;
    let mut sound = Collector::new(RATE, channels.into())?;
    let (mut decoder, mut samples) = (Decoder::new(format), vec![0; PAYLOAD_SAMPLES_MAX]);
    let mut end = None;
    for (index, packet) in packets.enumerate() {
        let packet = packet.map_err(|error| wrong(&error.to_string()))?;
        match index {
            0 if packet.data.starts_with(b"OpusTags") => continue,
            0 => return Err(wrong("no tags behind its Opus header")),
            _ => {}
        }
        let count = decoder.decode(&packet.data, &mut samples).map_err(|error| wrong(&error.to_string()))?;
        sound.push(samples[..count].iter().map(|sample| f32::from(*sample) * gain))?;
        if packet.ends_stream {
            end = packet.granule;
        }
    }
    // The position of the last page cuts what the encoder filled up.
    let most = end.map_or(usize::MAX, |end| usize::try_from(end.saturating_sub(pre_skip.into())).unwrap_or(usize::MAX));
    sound.trim(pre_skip.into(), most);
    Ok(sound.finish())
}
