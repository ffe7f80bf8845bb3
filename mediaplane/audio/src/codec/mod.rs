//! Codecs behind one joint: sound in, payload out, and back.
//!
//! [`CodecFormat`] names a codec with the rate and the channels of its sound, and tells lengths without decoding.
//! [`Encoder`] and [`Decoder`] hold the state of one direction of one stream; choosing the codec is one branch for each
//! packet. Sound is `i16`, channels interleaved, at the format's own rate: [`crate::Resampler`] converts rates.
//!
//! Both are made once and then kept in a pool: [`Encoder::reset`] and [`Decoder::reset`] make them as new, and no call
//! but `new` allocates. What a peer sends is never trusted: a payload is decoded or refused with a [`BadPayload`].

mod format;
pub mod g722;
mod l16;
pub mod opus;

pub use format::{CodecFormat, CodecKind, PAYLOAD_BYTES_MAX, PAYLOAD_SAMPLES_MAX, PTIME_MS_MAX, UnsupportedFormat};

use crate::Law;
use opus::OpusSettings;

/// Why a payload is not decoded. The decoder goes on with the next one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum BadPayload {
    /// No byte in it.
    #[error("a payload without a byte")]
    Empty,
    /// It ends within a sample, or with samples of fewer channels than the format has.
    #[error("a payload that ends within a sample")]
    Cut,
    /// It breaks the rules of its codec.
    #[error("a payload that breaks the rules of its codec")]
    Corrupt,
    /// It has more sound than a packet may have (120 ms), or than there is room for.
    #[error("a payload with more sound than there is room for")]
    TooLong,
}

/// Makes payloads of sound: one direction of one stream.
#[derive(Debug)]
pub struct Encoder {
    format: CodecFormat,
    state: EncoderState,
}

#[derive(Debug)]
enum EncoderState {
    G711(Law),
    G722(Box<g722::Encoder>),
    L16,
    Opus(opus::Encoder),
}

impl Encoder {
    /// A new encoder. Memory: nothing for G.711 and L16, 0.6 KB for G.722, some 45 KB (mono) or 50 KB (stereo) for
    /// Opus.
    pub fn new(format: CodecFormat) -> Self {
        let state = match format.kind() {
            CodecKind::Pcmu => EncoderState::G711(Law::Mu),
            CodecKind::Pcma => EncoderState::G711(Law::A),
            CodecKind::G722 => EncoderState::G722(Box::default()),
            CodecKind::L16 => EncoderState::L16,
            CodecKind::Opus => EncoderState::Opus(opus::Encoder::new(format)),
        };
        Self { format, state }
    }

    /// What it takes and makes.
    pub fn format(&self) -> CodecFormat {
        self.format
    }

    /// Encodes the samples of one packet; returns the bytes of the payload.
    ///
    /// 0 means that there is nothing to send for this packet: the encoder left silence out (Opus with `dtx`), there is
    /// not enough room for a payload, or Opus has no packet of this length
    /// ([`CodecFormat::nearest_ptime_ms`] gives those that it has). G.711, G.722 and L16 encode as much as there is
    /// room for.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match &mut self.state {
            EncoderState::G711(law) => law.encode_slice(samples, payload),
            EncoderState::G722(encoder) => encoder.encode(samples, payload),
            EncoderState::L16 => l16::encode(samples, payload),
            EncoderState::Opus(encoder) => encoder.encode(samples, payload),
        }
    }

    /// Follows what the receiver wants and what the network does, between any two packets. Only Opus has a choice.
    pub fn set_opus(&mut self, settings: &OpusSettings) {
        if let EncoderState::Opus(encoder) = &mut self.state {
            encoder.set(settings);
        }
    }

    /// As new, for another stream, with the settings that it has.
    pub fn reset(&mut self) {
        match &mut self.state {
            EncoderState::G711(_) | EncoderState::L16 => {}
            EncoderState::G722(encoder) => **encoder = g722::Encoder::default(),
            EncoderState::Opus(encoder) => encoder.reset(),
        }
    }
}

/// Makes sound of payloads: one direction of one stream.
#[derive(Debug)]
pub struct Decoder {
    format: CodecFormat,
    state: DecoderState,
}

#[derive(Debug)]
enum DecoderState {
    G711(Law),
    G722(Box<g722::Decoder>),
    L16,
    Opus(opus::Decoder),
}

impl Decoder {
    /// A new decoder. Memory: nothing for G.711 and L16, 0.6 KB for G.722, some 20 KB (mono) or 30 KB (stereo) for
    /// Opus.
    pub fn new(format: CodecFormat) -> Self {
        let state = match format.kind() {
            CodecKind::Pcmu => DecoderState::G711(Law::Mu),
            CodecKind::Pcma => DecoderState::G711(Law::A),
            CodecKind::G722 => DecoderState::G722(Box::default()),
            CodecKind::L16 => DecoderState::L16,
            CodecKind::Opus => DecoderState::Opus(opus::Decoder::new(format)),
        };
        Self { format, state }
    }

    /// What it takes and makes.
    pub fn format(&self) -> CodecFormat {
        self.format
    }

    /// Decodes a payload into the beginning of `samples`; returns how many samples of all channels it made. Room for
    /// [`PAYLOAD_SAMPLES_MAX`] is always enough. After an error `samples` may hold anything.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, BadPayload> {
        let wanted = self.format.samples_in(payload)?;
        let samples = samples.get_mut(..wanted).ok_or(BadPayload::TooLong)?;
        match &mut self.state {
            DecoderState::G711(law) => Ok(law.decode_slice(payload, samples)),
            DecoderState::G722(decoder) => Ok(decoder.decode(payload, samples)),
            DecoderState::L16 => Ok(l16::decode(payload, samples)),
            DecoderState::Opus(decoder) => decoder.decode(payload, samples),
        }
    }

    /// Fills `samples` with what the codec itself puts in the place of a lost packet; returns how many, 0 if the codec
    /// has no concealment. Opus has, for whole steps of 2.5 ms up to 120 ms (RFC 6716 §4.4).
    pub fn decode_lost(&mut self, samples: &mut [i16]) -> usize {
        match &mut self.state {
            DecoderState::Opus(decoder) => decoder.decode_lost(samples),
            _ => 0,
        }
    }

    /// Fills `samples`, as long as the packet that was lost (whole steps of 2.5 ms), from the payload of the packet
    /// after it; returns how many, 0 if that payload carries no copy ([`opus::Packet::repairs_the_one_before`]). The
    /// payload itself is to be decoded after that.
    pub fn decode_fec(&mut self, next_payload: &[u8], samples: &mut [i16]) -> Result<usize, BadPayload> {
        match &mut self.state {
            DecoderState::Opus(decoder) => decoder.decode_fec(next_payload, samples),
            _ => Ok(0),
        }
    }

    /// As new, for another stream.
    pub fn reset(&mut self) {
        match &mut self.state {
            DecoderState::G711(_) | DecoderState::L16 => {}
            DecoderState::G722(decoder) => **decoder = g722::Decoder::default(),
            DecoderState::Opus(decoder) => decoder.reset(),
        }
    }
}

#[cfg(test)]
mod tests;
