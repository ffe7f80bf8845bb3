//! G.722: 16 kHz sound in 64 kbit/s, two samples in each octet (ITU-T G.722 09/2012, mode 1).
//!
//! A pair of mirror filters splits the sound into a lower and a higher band of 8,000 samples a second each; the lower
//! one takes six bits of an octet, the higher one two: each is an adaptive differential coder (§3.2 to §3.6, §4.1 to
//! §4.3), a predictor with two poles and six zeros and a quantizer whose steps follow the signal. RTP counts it with a
//! clock of 8,000 Hz although it is sampled with 16,000 (RFC 3551 §4.5.2): an octet is one tick. The arithmetic is that
//! of the recommendation, bit for bit.

mod mirror;
#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain;
#[cfg(target_arch = "x86_64")]
mod sse2;
mod tables;

use mirror::{CHUNK, Merge, Split};
#[cfg(not(target_arch = "x86_64"))]
use plain::Bands;
#[cfg(target_arch = "x86_64")]
use sse2::Bands;

/// Samples of sound in one octet.
pub const SAMPLES_IN_OCTET: usize = 2;

/// Makes octets of sound; its state is that of one stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    split: Split,
    bands: Bands,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { split: Split::new(), bands: Bands::new() }
    }
}

impl Encoder {
    /// Encodes pairs of samples until either side ends; returns the number of octets. A last single sample is left.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) -> usize {
        let count = (samples.len() / SAMPLES_IN_OCTET).min(octets.len());
        let samples = &samples[..count * SAMPLES_IN_OCTET];
        let mut bands = [[0; 2]; CHUNK / SAMPLES_IN_OCTET];
        for (chunk, octets) in samples.chunks(CHUNK).zip(octets.chunks_mut(CHUNK / SAMPLES_IN_OCTET)) {
            self.split.split(chunk, &mut bands);
            self.bands.encode(&bands, octets);
        }
        count
    }
}

/// Makes sound of octets; its state is that of one stream.
#[derive(Clone, Debug)]
pub struct Decoder {
    merge: Merge,
    bands: Bands,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { merge: Merge::new(), bands: Bands::new() }
    }
}

impl Decoder {
    /// Decodes octets, two samples each, until either side ends; returns the number of samples.
    pub fn decode(&mut self, octets: &[u8], samples: &mut [i16]) -> usize {
        let count = (samples.len() / SAMPLES_IN_OCTET).min(octets.len());
        let (octets, samples) = (&octets[..count], &mut samples[..count * SAMPLES_IN_OCTET]);
        for (octets, chunk) in octets.chunks(CHUNK / SAMPLES_IN_OCTET).zip(samples.chunks_mut(CHUNK)) {
            self.bands.decode(octets, self.merge.pairs());
            self.merge.merge(chunk);
        }
        count * SAMPLES_IN_OCTET
    }
}

#[cfg(test)]
mod tests;
