//! Vorbis in Ogg, by lewton. Its reader of headers believes the sizes of codebooks, so they are read here first.

use super::{Collector, Sound, SoundError};
use crate::ogg::OggPackets;
use lewton::audio::{PreviousWindowRight, read_audio_packet_generic};
use lewton::header::{read_header_ident, read_header_setup};

/// Most numbers in all codebooks together; encoders use some 100,000.
const CODEBOOK_VALUES_MAX: u64 = 4_000_000;
const CODEBOOK_SYNC: u64 = 0x56_43_42;

/// `head` is the first packet.
pub(super) fn decode(head: &[u8], mut packets: OggPackets<'_>) -> Result<Sound, SoundError> {
    let wrong = |words: &str| SoundError::Ogg(words.into());
    let ident = read_header_ident(head).map_err(|error| wrong(&error.to_string()))?;
    let mut sound = Collector::new(ident.audio_sample_rate, ident.audio_channels.into())?;
    let mut next = || match packets.next() {
        Some(packet) => packet.map(Some).map_err(|error| SoundError::Ogg(error.to_string())),
        None => Ok(None),
    };
    // Comments, which nobody hears.
    next()?;
    let setup = next()?.ok_or(wrong("it ends in its Vorbis headers"))?.data;
    check_codebooks(&setup).ok_or(wrong("codebooks that are broken or too large"))?;
    let sizes = (ident.blocksize_0, ident.blocksize_1);
    let setup = read_header_setup(&setup, ident.audio_channels, sizes).map_err(|error| wrong(&error.to_string()))?;
    let (mut window, mut end) = (PreviousWindowRight::new(), None);
    while let Some(packet) = next()? {
        let channels: Vec<Vec<f32>> = read_audio_packet_generic(&ident, &setup, &packet.data, &mut window)
            .map_err(|error| wrong(&error.to_string()))?;
        let frames = channels.first().map_or(0, Vec::len);
        sound.push(
            (0..frames).flat_map(|at| channels.iter().map(move |channel| channel.get(at).copied().unwrap_or(0.0))),
        )?;
        if packet.ends_stream {
            end = packet.granule;
        }
    }
    sound.trim(0, end.map_or(usize::MAX, |end| usize::try_from(end).unwrap_or(usize::MAX)));
    Ok(sound.finish())
}

/// Goes through the codebooks of a setup header (Vorbis I §3.2.1) and adds up what they would take.
fn check_codebooks(setup: &[u8]) -> Option<()> {
    let mut bits = Bits { bytes: setup.strip_prefix(b"\x05vorbis")?, at: 0 };
    let mut values = 0;
    for _ in 0..=bits.take(8)? {
        if bits.take(24)? != CODEBOOK_SYNC {
            return None;
        }
        let (dimensions, entries) = (bits.take(16)?, bits.take(24)?);
        values += entries * dimensions.max(1);
        if values > CODEBOOK_VALUES_MAX || dimensions == 0 || entries == 0 {
            return None;
        }
        match bits.take(1)? {
            0 => {
                let is_sparse = bits.take(1)? == 1;
                for _ in 0..entries {
                    if !is_sparse || bits.take(1)? == 1 {
                        bits.take(5)?;
                    }
                }
            }
            _ => {
                bits.take(5)?;
                let mut entry = 0;
                while entry < entries {
                    entry += bits.take(64 - (entries - entry).leading_zeros())?;
                }
                if entry > entries {
                    return None;
                }
            }
        }
        let value_count = match bits.take(4)? {
            0 => continue,
            1 => (1..=entries)
                .take_while(|root| root.checked_pow(dimensions as u32).is_some_and(|it| it <= entries))
                .last()?,
            2 => entries * dimensions,
            _ => return None,
        };
        bits.take(64)?;
        let value_bits = bits.take(4)? as u32 + 1;
        bits.take(1)?;
        for _ in 0..value_count {
            bits.take(value_bits)?;
        }
    }
    Some(())
}

/// Reads bits as Vorbis packs them: lowest first (Vorbis I §2).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u64> {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value |= u64::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Some(value)
    }
}
