//! What a leg that decodes does with its sound: conceal lost packets, change the length of what waits to be played,
//! describe and make comfort noise, measure levels and tell speech from noise.

mod activity;
mod comfort_noise;
mod conceal;
mod level;
mod pitch;
mod predict;
mod processing;
mod stretch;

pub use activity::VoiceActivity;
pub use comfort_noise::{ComfortNoise, MOST_COMFORT_NOISE_BYTES, NoiseAnalyser};
pub use conceal::Concealer;
pub use level::{SilenceMeter, level_dbov, level_minus_dbov};
pub use processing::{SuspendedVoice, VoiceParts, VoiceProcessor};
pub use stretch::{Stretched, Stretcher};

/// Samples of a millisecond at one of the rates that voice is processed at.
pub(crate) fn samples_per_ms(rate: u32) -> usize {
    assert!(
        matches!(rate, 8_000 | 16_000 | 24_000 | 48_000),
        "voice is processed at 8, 16, 24 or 48 kHz, not {rate} Hz"
    );
    rate as usize / 1_000
}

/// The nearest sample, limited to what 16 bits hold. A float that is no number becomes 0.
#[inline]
pub(crate) fn to_sample(value: f32) -> i16 {
    // `round` is a call where the processor may lack SSE 4.1.
    (value + 0.5_f32.copysign(value)) as i16
}

/// The sum of products. Eight sums at a time, so that they can be one vector.
#[inline]
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (one_chunks, other_chunks) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest = one_chunks.remainder().iter().zip(other_chunks.remainder()).map(|(one, other)| one * other).sum::<f32>();
    let mut sums = [0.0; 8];
    for (one, other) in one_chunks.zip(other_chunks) {
        for lane in 0..8 {
            sums[lane] += one[lane] * other[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
