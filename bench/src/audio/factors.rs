//! How much faster than real time each codec encodes and decodes, on one core.

use super::coding::{Coding, sound};
use audio::codec::{Decoder, Encoder, PAYLOAD_BYTES_MAX, PAYLOAD_SAMPLES_MAX};
use serde::Serialize;
use std::hint::black_box;

/// Seconds of sound that are coded.
const SECONDS: usize = 10;

/// One codec.
#[derive(Clone, Debug, Serialize)]
pub struct Factors {
    /// Its name.
    pub codec: &'static str,
    /// Seconds of sound encoded in a second.
    pub encoding: f64,
    /// Seconds of sound decoded in a second.
    pub decoding: f64,
    /// Encoding of a packet of 20 ms, microseconds.
    pub encode_us: f64,
    /// Decoding of such a packet, microseconds.
    pub decode_us: f64,
}

/// Of each codec; the best of so many rounds.
pub(super) fn factors(rounds: usize) -> Vec<Factors> {
    Coding::ALL.map(|coding| of(coding, rounds)).to_vec()
}

fn of(coding: Coding, rounds: usize) -> Factors {
    let format = coding.format();
    let count = format.samples_in_ms(20);
    let samples = sound(format.sample_rate(), count * 50);
    let packets = SECONDS * 50;
    let (mut encode_us, mut decode_us) = (f64::MAX, f64::MAX);
    for _ in 0..rounds.max(1) {
        let mut encoder = Encoder::new(format);
        let mut payloads = vec![[0; PAYLOAD_BYTES_MAX]; 50];
        let mut lengths = [0; 50];
        let from = clock::now();
        for packet in 0..packets {
            let at = packet % 50;
            lengths[at] = encoder.encode(black_box(&samples[at * count..][..count]), &mut payloads[at]);
        }
        encode_us = encode_us.min(clock::now().since(from).as_secs_f64() * 1e6 / packets as f64);
        let mut decoder = Decoder::new(format);
        let mut decoded = vec![0; PAYLOAD_SAMPLES_MAX];
        let from = clock::now();
        for packet in 0..packets {
            let at = packet % 50;
            let made = decoder.decode(black_box(&payloads[at][..lengths[at]]), &mut decoded);
            let _ = black_box(made);
        }
        decode_us = decode_us.min(clock::now().since(from).as_secs_f64() * 1e6 / packets as f64);
    }
    let factor = |us: f64| 20_000.0 / us;
    Factors { codec: coding.name(), encoding: factor(encode_us), decoding: factor(decode_us), encode_us, decode_us }
}
