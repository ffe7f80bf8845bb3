//! Sound: G.711 (ITU-T), tones as precomputed loops, prompts from WAV files, and a meter that finds a tone in samples.
//!
//! Everything that a media worker sends is encoded ahead of time, so that making a frame is copying bytes. This crate
//! opens no file, reads no clock and, after loading, allocates nothing. Read [`Law`] first, then [`Loop`] and
//! [`Prompt`].
//!
//! Tests: `cargo test -p ringplane-audio`.

#![forbid(unsafe_code)]

mod g711;
mod meter;
mod prompt;
mod resample;
mod tone;
mod wav;

pub use g711::Law;
pub use meter::ToneMeter;
pub use prompt::{Prompt, WELCOME_WAV};
pub use tone::{Loop, Tones};
pub use wav::{MOST_PROMPT_SECONDS, WavError};

/// Samples of G.711 in a second (ITU-T G.711 §2), which everything in this crate is encoded with.
pub(crate) const SAMPLE_RATE: u32 = 8_000;

/// Samples of the longest frame that is made at once: 60 ms.
pub const MOST_FRAME_SAMPLES: usize = 480;
