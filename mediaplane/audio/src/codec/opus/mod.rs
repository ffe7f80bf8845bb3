//! Opus (RFC 6716, RFC 8251) by libopus, and its packets and parameters in RTP (RFC 7587).

mod packet;

pub use packet::Packet;

use super::{BadPayload, CodecFormat};
use ::opus::{Application, Bandwidth, Bitrate, Channels};

/// Bytes of a packet without a frame, which stands for silence that is not sent (RFC 7587 §3.1.3).
const SILENCE_BYTES_MAX: usize = 2;
/// Bit/s of speech in mono that was sampled with 8 kHz; each Hz more takes half a bit/s more. RFC 7587 §3.1.1 names 8
/// to 12 kbit/s for 8 kHz, 16 to 20 for 16 kHz and 28 to 40 for 48 kHz.
const BITRATE_AT_8_KHZ: u32 = 12_000;

/// How an encoder weighs quality, network and processor. Every value may change between two packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpusSettings {
    /// Bit/s on average, 6,000 to 510,000; `None` for what speech of this rate, these channels and copies needs.
    pub bitrate: Option<u32>,
    /// So much of it is used, in percent: less where the network loses packets.
    pub bitrate_percent: u8,
    /// Sampling rate in Hz beyond which nothing is sent, 8,000 to 48,000.
    pub max_playback_rate: u32,
    /// Two channels are sent as two; else as their mean. Only for an encoder of two channels.
    pub stereo: bool,
    /// Every packet has the same size.
    pub constant_bitrate: bool,
    /// Packets carry a copy of the sound before them, coarser, as soon as `loss_percent` is above 0.
    pub inband_fec: bool,
    /// Silence and steady noise are left out: [`super::Encoder::encode`] returns 0 then, and a packet every 400 ms.
    /// Below a complexity of 7 steady tones may be taken for noise.
    pub dtx: bool,
    /// The loss that packets are made for, 0 to 100 percent.
    pub loss_percent: u8,
    /// Work for quality, 0 to 10.
    pub complexity: u8,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            bitrate: None,
            bitrate_percent: 100,
            max_playback_rate: 48_000,
            stereo: false,
            constant_bitrate: false,
            inband_fec: false,
            dtx: false,
            loss_percent: 0,
            complexity: 5,
        }
    }
}

/// The lowest sampling rate that Opus has for sound that was sampled with so many Hz.
fn enough_for(rate: u32) -> u32 {
    [8_000, 12_000, 16_000, 24_000].into_iter().find(|enough| rate <= *enough).unwrap_or(48_000)
}

fn channels(format: CodecFormat) -> Channels {
    if format.channel_count() == 2 { Channels::Stereo } else { Channels::Mono }
}

/// An encoder of speech.
#[derive(Debug)]
pub(super) struct Encoder {
    format: CodecFormat,
    libopus: ::opus::Encoder,
}

impl Encoder {
    pub(super) fn new(format: CodecFormat) -> Self {
        let libopus = ::opus::Encoder::new(format.sample_rate(), channels(format), Application::Voip)
            .expect("a format is one that libopus has, and there is memory for it");
        let mut encoder = Self { format, libopus };
        encoder.set(&OpusSettings::default());
        encoder
    }

    pub(super) fn set(&mut self, settings: &OpusSettings) {
        let rate = self.format.sample_rate().min(enough_for(settings.max_playback_rate));
        let is_stereo = settings.stereo && self.format.channel_count() == 2;
        let mut for_speech = BITRATE_AT_8_KHZ + (rate - 8_000) / 2;
        if settings.inband_fec && settings.loss_percent > 0 {
            // Less would leave no room for copies, also where only a part of it is used.
            for_speech += for_speech * 3 / 4;
        }
        let bitrate = settings.bitrate.unwrap_or(if is_stereo { 2 * for_speech } else { for_speech }).min(510_000);
        let bitrate = bitrate * u32::from(settings.bitrate_percent.min(100)) / 100;
        let bandwidth = match rate {
            8_000 => Bandwidth::Narrowband,
            12_000 => Bandwidth::Mediumband,
            16_000 => Bandwidth::Wideband,
            24_000 => Bandwidth::Superwideband,
            _ => Bandwidth::Fullband,
        };
        let libopus = &mut self.libopus;
        libopus
            .set_bitrate(Bitrate::Bits(bitrate.clamp(6_000, 510_000) as i32))
            .and_then(|()| libopus.set_max_bandwidth(bandwidth))
            .and_then(|()| libopus.set_force_channels((!is_stereo).then_some(Channels::Mono)))
            .and_then(|()| libopus.set_vbr(!settings.constant_bitrate))
            .and_then(|()| libopus.set_inband_fec(settings.inband_fec))
            .and_then(|()| libopus.set_dtx(settings.dtx))
            .and_then(|()| libopus.set_packet_loss_perc(settings.loss_percent.min(100).into()))
            .and_then(|()| libopus.set_complexity(settings.complexity.min(10).into()))
            .expect("libopus takes every value in its range");
    }

    pub(super) fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self.libopus.encode(samples, payload) {
            Ok(bytes) if bytes > SILENCE_BYTES_MAX => bytes,
            _ => 0,
        }
    }

    pub(super) fn reset(&mut self) {
        self.libopus.reset_state().expect("libopus can always be reset");
    }
}

/// A decoder.
#[derive(Debug)]
pub(super) struct Decoder {
    format: CodecFormat,
    libopus: ::opus::Decoder,
}

impl Decoder {
    pub(super) fn new(format: CodecFormat) -> Self {
        let libopus = ::opus::Decoder::new(format.sample_rate(), channels(format))
            .expect("a format is one that libopus has, and there is memory for it");
        Self { format, libopus }
    }

    /// Decodes a payload whose framing has been checked into as many samples as it has.
    pub(super) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, BadPayload> {
        self.samples(payload, samples, false)
    }

    pub(super) fn decode_lost(&mut self, samples: &mut [i16]) -> usize {
        self.samples(&[], samples, false).unwrap_or(0)
    }

    pub(super) fn decode_fec(&mut self, next_payload: &[u8], samples: &mut [i16]) -> Result<usize, BadPayload> {
        if Packet::parse(next_payload)?.repairs_the_one_before() {
            self.samples(next_payload, samples, true)
        } else {
            Ok(0)
        }
    }

    /// Without a payload libopus makes up what a lost packet might have been.
    fn samples(&mut self, payload: &[u8], samples: &mut [i16], is_repair: bool) -> Result<usize, BadPayload> {
        let frames = self.libopus.decode(payload, samples, is_repair).map_err(|_| BadPayload::Corrupt)?;
        Ok(frames * usize::from(self.format.channel_count()))
    }

    pub(super) fn reset(&mut self) {
        self.libopus.reset_state().expect("libopus can always be reset");
    }
}
