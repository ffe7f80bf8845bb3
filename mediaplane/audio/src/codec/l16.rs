//! L16: samples of 16 bits in network order, channels interleaved (RFC 3551 §4.5.11).

/// Bytes of a sample.
pub(crate) const SAMPLE_BYTES: usize = 2;

/// Writes samples until either side ends; returns the number of bytes.
#[inline]
pub(super) fn encode(samples: &[i16], payload: &mut [u8]) -> usize {
    let places = payload.as_chunks_mut::<SAMPLE_BYTES>().0;
    let count = samples.len().min(places.len());
    for (place, sample) in places.iter_mut().zip(samples) {
        *place = sample.to_be_bytes();
    }
    count * SAMPLE_BYTES
}

/// Reads samples until either side ends; returns how many.
#[inline]
pub(super) fn decode(payload: &[u8], samples: &mut [i16]) -> usize {
    let bytes = payload.as_chunks::<SAMPLE_BYTES>().0;
    let count = samples.len().min(bytes.len());
    for (sample, bytes) in samples.iter_mut().zip(bytes) {
        *sample = i16::from_be_bytes(*bytes);
    }
    count
}
