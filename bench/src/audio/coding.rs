//! The codecs of the measurement, and the sound that is sent in them.

use audio::codec::{CodecFormat, CodecKind, Decoder, Encoder, PAYLOAD_BYTES_MAX, PAYLOAD_SAMPLES_MAX};
use contract::{Codec, OpusParameters};
use serde::Serialize;
use std::f64::consts::TAU;

/// Packets of one round of the sound: a second.
pub(super) const ROUND_PACKETS: usize = 50;
/// The first packet of a round that is loud; those before it are quiet.
pub(super) const LOUD_FROM: usize = 25;
/// A packet is loud from this mean of its samples' amounts on.
const LOUD: f64 = 1_500.0;
/// What there is most of in the sound: a voice at 200 Hz with its overtones.
pub(super) const PITCH_HZ: f64 = 200.0;

/// A codec as a call's side has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Coding {
    /// G.711 u-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// Opus, one channel of 48 kHz.
    Opus,
}

impl Coding {
    /// Each once.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        self.codec().name()
    }

    pub(super) fn codec(self) -> Codec {
        match self {
            Self::Pcmu => Codec::Pcmu,
            Self::Pcma => Codec::Pcma,
            Self::G722 => Codec::G722,
            Self::Opus => Codec::Opus,
        }
    }

    pub(super) fn payload_type(self) -> u8 {
        self.codec().static_payload_type().unwrap_or(96)
    }

    pub(super) fn rtpmap(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// Opus of one channel on both sides.
    pub(super) fn fmtp(self) -> &'static str {
        match self {
            Self::Opus => "stereo=0;sprop-stereo=0;maxaveragebitrate=32000",
            _ => "",
        }
    }

    /// The same as [`Self::fmtp`] for the media plane.
    pub(super) fn opus(self) -> OpusParameters {
        match self {
            Self::Opus => OpusParameters::default().with_bitrate(32_000),
            _ => OpusParameters::default(),
        }
    }

    /// What is encoded and decoded.
    pub fn format(self) -> CodecFormat {
        match self {
            Self::Pcmu => CodecFormat::PCMU,
            Self::Pcma => CodecFormat::PCMA,
            Self::G722 => CodecFormat::G722,
            Self::Opus => CodecFormat::new(CodecKind::Opus, 48_000, 1).expect("Opus has 48 kHz"),
        }
    }

    /// A second of sound, encoded: half of it quiet, half of it loud.
    pub(super) fn round(self) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(self.format());
        let rate = self.format().sample_rate();
        let count = self.format().samples_in_ms(20);
        let sound = sound(rate, count * ROUND_PACKETS);
        sound
            .chunks_exact(count)
            .map(|samples| {
                let mut payload = vec![0; PAYLOAD_BYTES_MAX];
                let bytes = encoder.encode(samples, &mut payload);
                payload.truncate(bytes);
                payload
            })
            .collect()
    }
}

/// A second of a voice-like sound: overtones up to 3.4 kHz that fall off, quiet and then loud.
pub(super) fn sound(rate: u32, sample_count: usize) -> Vec<i16> {
    let rate = f64::from(rate);
    let overtones = (3_400.0 / PITCH_HZ) as u32;
    let sample = |at: usize| -> f64 {
        let time = at as f64 / rate;
        (1..=overtones).map(|n| (TAU * PITCH_HZ * f64::from(n) * time).sin() / f64::from(n)).sum()
    };
    let gain = |at: usize| if at * ROUND_PACKETS < LOUD_FROM * sample_count { 150.0 } else { 6_000.0 };
    (0..sample_count).map(|at| (gain(at) * sample(at)) as i16).collect()
}

/// What one stream made of the sound.
pub(super) struct Judged {
    /// Positions of the first packet of each loud half.
    pub(super) loud_from: Vec<usize>,
    /// Whether the loud packets have the pitch of the sound that was sent.
    pub(super) is_the_sound: bool,
}

/// Decodes what came in a stream.
pub(super) fn judge<'p>(coding: Coding, payloads: impl Iterator<Item = &'p [u8]>) -> Judged {
    let mut decoder = Decoder::new(coding.format());
    let rate = f64::from(coding.format().sample_rate());
    let mut samples = vec![0; PAYLOAD_SAMPLES_MAX];
    let (mut was_loud, mut loud_from, mut loud) = (true, Vec::new(), Vec::new());
    for (position, payload) in payloads.enumerate() {
        let count = decoder.decode(payload, &mut samples).unwrap_or(0);
        let amount: f64 = samples[..count].iter().map(|sample| f64::from(sample.unsigned_abs())).sum();
        let is_loud = count > 0 && amount / count as f64 > LOUD;
        if is_loud && !was_loud {
            loud_from.push(position);
        }
        if is_loud {
            loud.extend_from_slice(&samples[..count]);
        }
        was_loud = is_loud;
    }
    // The fundamental is the strongest of the overtones: nearly two thirds of the energy.
    let energy: f64 = loud.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let pieces = loud.chunks(coding.format().samples_in_ms(20));
    let tone: f64 = pieces.map(|piece| tone_energy(piece, rate)).sum();
    Judged { loud_from, is_the_sound: energy > 0.0 && (0.4..0.9).contains(&(tone / energy)) }
}

/// The energy of a piece at the pitch.
fn tone_energy(samples: &[i16], rate: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let phase = TAU * PITCH_HZ * at as f64 / rate;
        sine += f64::from(*sample) * phase.sin();
        cosine += f64::from(*sample) * phase.cos();
    }
    2.0 * (sine * sine + cosine * cosine) / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_brings_the_sound_and_its_edge() {
        for coding in Coding::ALL {
            let round = coding.round();
            assert_eq!(round.len(), ROUND_PACKETS);
            let judged = judge(coding, round.iter().chain(&round).map(Vec::as_slice));
            assert!(judged.is_the_sound, "{coding:?}");
            assert_eq!(judged.loud_from, [LOUD_FROM, ROUND_PACKETS + LOUD_FROM], "{coding:?}");
        }
    }

    #[test]
    fn noise_is_not_the_sound() {
        let mut seed = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .take(160 * 50)
        .collect();
        assert!(!judge(Coding::Pcmu, noise.chunks(160)).is_the_sound);
    }
}
