//! Echo and noise, by the crate `aec3`.

use super::BLOCK_SAMPLES_MAX;
use aec3::api::config::EchoCanceller3Config;
use aec3::api::control::EchoControl;
use aec3::audio_processing::aec3::echo_canceller3::EchoCanceller3;
use aec3::audio_processing::audio_buffer::AudioBuffer;
use aec3::audio_processing::ns::{NoiseSuppressor, NsConfig, SuppressionLevel};
use aec3::audio_processing::stream_config::StreamConfig;
use std::fmt;

/// The lowest rate that the library works at: sound of 8 kHz is resampled.
const LIBRARY_RATE_MIN: usize = 16_000;
const FULL: f32 = 32_768.0;

/// Takes echo and noise out of blocks of 10 ms. What leaves is late by 6 to 11 ms.
pub(super) struct Filter {
    stream: StreamConfig,
    echo: Option<Box<Echo>>,
    noise: Option<NoiseSuppressor>,
    capture: AudioBuffer,
    /// Blocks since the filter began, as far as they matter for its beginning.
    begun: u8,
}

struct Echo {
    canceller: EchoCanceller3,
    render: AudioBuffer,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("echo", &self.echo.is_some())
            .field("noise", &self.noise.is_some())
            .finish_non_exhaustive()
    }
}

impl Filter {
    pub(super) fn new(rate: u32, echo: bool, noise: bool) -> Self {
        let rate = rate as usize;
        let inner = rate.max(LIBRARY_RATE_MIN);
        let buffer = || AudioBuffer::from_sample_rates(rate, 1, inner, 1, rate);
        let config = NsConfig { target_level: SuppressionLevel::K18dB, ..NsConfig::default() };
        Self {
            stream: StreamConfig::new(rate, 1, false),
            echo: echo.then(|| {
                let canceller = EchoCanceller3::new(EchoCanceller3Config::default(), inner as i32, 1, 1);
                Box::new(Echo { canceller, render: buffer() })
            }),
            noise: noise.then(|| NoiseSuppressor::new(config, inner, 1)),
            capture: buffer(),
            begun: 0,
        }
    }

    /// `sent` is what the phone was sent at the time of the block.
    pub(super) fn process(&mut self, sent: &[i16], block: &mut [i16]) {
        let mut floats = [0.0; BLOCK_SAMPLES_MAX];
        let floats = &mut floats[..block.len()];
        if let Some(echo) = &mut self.echo {
            load(&mut echo.render, &self.stream, sent, floats);
            echo.render.split_into_frequency_bands();
            echo.canceller.analyze_render(&mut echo.render);
        }
        load(&mut self.capture, &self.stream, block, floats);
        if let Some(echo) = &mut self.echo {
            echo.canceller.analyze_capture(&mut self.capture);
        }
        self.capture.split_into_frequency_bands();
        if let Some(echo) = &mut self.echo {
            echo.canceller.process_capture(&mut self.capture, false);
        }
        if let Some(noise) = &mut self.noise {
            noise.analyze(&self.capture);
            noise.process(&mut self.capture);
        }
        self.capture.merge_frequency_bands();
        self.capture.copy_to_stream(&self.stream, &mut [floats]);
        match self.begun {
            // What the filter makes first is silence, as long as it is late: the sound itself goes on, and is faded out.
            0 => self.begun = 1,
            1 => {
                self.begun = 2;
                let step = 1.0 / block.len() as f32;
                for (index, (sample, filtered)) in block.iter_mut().zip(floats).enumerate() {
                    let part = index as f32 * step;
                    *sample = super::super::to_sample(f32::from(*sample) * (1.0 - part) + *filtered * FULL * part);
                }
            }
            _ => {
                for (sample, filtered) in block.iter_mut().zip(floats) {
                    *sample = super::super::to_sample(*filtered * FULL);
                }
            }
        }
    }
}

fn load(buffer: &mut AudioBuffer, stream: &StreamConfig, block: &[i16], floats: &mut [f32]) {
    for (float, sample) in floats.iter_mut().zip(block) {
        *float = f32::from(*sample) / FULL;
    }
    buffer.copy_from(&[floats], stream);
}
