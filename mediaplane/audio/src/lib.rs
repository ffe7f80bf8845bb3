//! Sound: codecs behind one joint ([`codec`]), resampling, tones as precomputed loops, prompts from WAV, FLAC, MP3 and Ogg files, and a meter
//! that finds a tone in samples; what a leg that decodes does with its sound ([`Concealer`], [`Stretcher`],
//! [`ComfortNoise`], [`VoiceActivity`]), digits as tones ([`DtmfDetector`]), conferences ([`Mixer`]), the tones of
//! countries ([`ToneSignal`]) and the E-model ([`r_factor`]).
//!
//! This crate opens no file, reads no clock and, after loading, allocates nothing. Prompts and tones are encoded as G.711
//! ahead of time, so that making a frame of them for G.711 is copying bytes. Read [`codec`] first, then [`Law`], [`Loop`] and
//! [`Prompt`].
//!
//! Tests: `cargo test -p ringplane-audio`.

#![deny(unsafe_code)]

pub mod codec;

mod call_tones;
mod dtmf;
mod emodel;
mod file;
mod g711;
mod meter;
mod mix;
mod ogg;
mod oscillator;
mod prompt;
mod resample;
#[cfg(test)]
mod testing;
mod tone;
mod voice;

pub use call_tones::{CallTone, ToneError, ToneGenerator, ToneSignal, tone_countries};
pub use dtmf::{DtmfDetector, DtmfEvent, DtmfGenerator, dtmf_char, dtmf_number};
pub use emodel::{BEST_R_WIDE, CodecImpairment, Connection, LossRuns, mos, mos_wide, r_factor, r_factor_wide};
pub use file::{MOST_PROMPT_SECONDS, SoundError};
pub use g711::Law;
pub use meter::ToneMeter;
pub use mix::{HeardBy, Hears, MemberSlot, Mixer, MixerLimits};
pub use ogg::OggWriter;
pub use prompt::{Prompt, WELCOME_WAV};
pub use resample::{Resampler, mono_to_stereo, stereo_to_mono};
pub use tone::{Loop, ToneIndex, Tones};
pub use voice::{
    ComfortNoise, Concealer, MOST_COMFORT_NOISE_BYTES, NoiseAnalyser, SilenceMeter, Stretched, Stretcher,
    SuspendedVoice, VoiceActivity, VoiceParts, VoiceProcessor, level_dbov, level_minus_dbov,
};

/// Samples of G.711 in a second (ITU-T G.711 §2), which everything in this crate is encoded with.
pub(crate) const SAMPLE_RATE: u32 = 8_000;

/// Samples of the longest frame that is made at once: 60 ms.
pub const MOST_FRAME_SAMPLES: usize = 480;
