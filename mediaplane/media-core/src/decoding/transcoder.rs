//! One direction of a call whose sides have no codec in common: packets of one leg become payloads of the other.

use super::jitter::{Arrival, Inserted};
use super::playout::{Playout, PlayoutCounts};
use audio::Resampler;
use audio::codec::{CodecFormat, CodecKind, Encoder, PTIME_MS_MAX, opus::OpusSettings};
use clock::{Duration, Instant};

/// From one format to another.
#[derive(Debug)]
pub struct Transcoder {
    playout: Playout,
    resampler: Option<Resampler>,
    encoder: Encoder,
    heard: Box<[i16]>,
    said: Box<[i16]>,
}

/// The two formats of a transcoder have no common way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("sound of {from} Hz cannot become sound of {to} Hz")]
pub struct NoConversion {
    /// Samples in a second of what is heard.
    pub from: u32,
    /// Samples in a second of what is said.
    pub to: u32,
}

impl Transcoder {
    /// Between two formats, both mono where the codec lets us choose ([`Self::formats`]).
    pub fn new(from: CodecFormat, to: CodecFormat, noise_type: Option<u8>, seed: u32) -> Result<Self, NoConversion> {
        let (heard_rate, said_rate) = (from.sample_rate(), to.sample_rate());
        let resampler = match heard_rate == said_rate {
            true => None,
            false => {
                Some(Resampler::new(heard_rate, said_rate, 1).ok_or(NoConversion { from: heard_rate, to: said_rate })?)
            }
        };
        let room = |rate: u32| vec![0; (rate / 1_000 * PTIME_MS_MAX) as usize].into_boxed_slice();
        Ok(Self {
            playout: Playout::new(from, noise_type, seed),
            resampler,
            encoder: Encoder::new(to),
            heard: room(heard_rate),
            said: room(said_rate),
        })
    }

    /// The formats to decode and encode with, of two codecs as they were agreed on: Opus decodes and encodes at any rate
    /// (RFC 7587 §4.1), so it takes that of the other side, and no sound is resampled.
    pub fn formats(from: CodecFormat, to: CodecFormat) -> (CodecFormat, CodecFormat) {
        let mono = |format: CodecFormat, rate| CodecFormat::new(format.kind(), rate, 1).unwrap_or(format);
        match (from.kind(), to.kind()) {
            (CodecKind::Opus, CodecKind::Opus) => (mono(from, 48_000), mono(to, 48_000)),
            (CodecKind::Opus, _) => (mono(from, to.sample_rate()), mono(to, to.sample_rate())),
            (_, CodecKind::Opus) => (mono(from, from.sample_rate()), mono(to, from.sample_rate())),
            _ => (from, mono(to, to.sample_rate())),
        }
    }

    /// Takes a packet of the leg that is heard.
    pub fn insert(&mut self, arrival: &Arrival<'_>) -> Inserted {
        self.playout.insert(arrival)
    }

    /// The payload of the next `ptime_ms` milliseconds that are due at `now`, or silence where the leg is muted; 0 bytes: the
    /// codec leaves this packet out.
    pub fn make(&mut self, now: Instant, ptime_ms: u32, is_muted: bool, payload: &mut [u8]) -> usize {
        let ptime_ms = self.encoder.format().nearest_ptime_ms(ptime_ms);
        let heard = &mut self.heard[..(self.playout.format().sample_rate() / 1_000 * ptime_ms) as usize];
        self.playout.pull(now, heard);
        if is_muted {
            heard.fill(0);
        }
        encode(heard, self.resampler.as_mut(), &mut self.said, &mut self.encoder, payload)
    }

    /// Leaves out what is due at `now`: something else is sent in its place.
    pub fn skip(&mut self, now: Instant, ptime_ms: u32) {
        let count = (self.playout.format().sample_rate() / 1_000 * ptime_ms) as usize;
        if let Some(heard) = self.heard.get_mut(..count) {
            self.playout.pull(now, heard);
        }
    }

    /// The payload of other sound than that of packets: samples of the format that is heard, as long as a packet is to be.
    pub fn say(&mut self, sound: &[i16], payload: &mut [u8]) -> usize {
        encode(sound, self.resampler.as_mut(), &mut self.said, &mut self.encoder, payload)
    }

    /// Samples in a second of what is heard, and of what [`Self::say`] takes.
    pub fn heard_rate(&self) -> u32 {
        self.playout.format().sample_rate()
    }

    /// As new, for another call.
    pub fn reset(&mut self) {
        self.playout.reset();
        self.encoder.reset();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// What the encoder is to do: only Opus has a choice.
    pub fn set_opus(&mut self, settings: &OpusSettings) {
        self.encoder.set_opus(settings);
    }

    /// How long packets wait, beside the fastest one.
    pub fn delay(&self) -> Duration {
        self.playout.delay()
    }

    /// What has been counted since the beginning.
    pub fn counts(&self) -> PlayoutCounts {
        self.playout.counts()
    }
}

fn encode(
    sound: &[i16],
    resampler: Option<&mut Resampler>,
    said: &mut [i16],
    encoder: &mut Encoder,
    payload: &mut [u8],
) -> usize {
    let Some(resampler) = resampler else { return encoder.encode(sound, payload) };
    if resampler.output_samples(sound.len()) > said.len() {
        return 0;
    }
    let count = resampler.push(sound, said);
    encoder.encode(&said[..count], payload)
}

#[cfg(test)]
mod tests;
