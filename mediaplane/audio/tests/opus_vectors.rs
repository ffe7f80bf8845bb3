//! Opus packets of another encoder decode to what other decoders make of them.
//!
//! Each file has a number of packets, the packets, each after its length, and the wanted sound, all numbers in 16 bits,
//! little-endian. The packets were made by libopus 1.3.1 of the shipped prompt with tones above it. The sound of speech
//! and hybrid packets was decoded by libopus 1.3.1, that of music by FFmpeg's own decoder (`opus`, by the Python module
//! `av`). FFmpeg agrees about speech too, but converts its rate with another filter, which moves samples by parts of a
//! sample.
//!
//! RFC 8251's vectors are not in any package; libopus is tested against them before it is released.

use audio::codec::{CodecFormat, CodecKind, Decoder, PAYLOAD_SAMPLES_MAX};

struct Vector {
    name: &'static str,
    file: &'static [u8],
    sample_rate: u32,
    channel_count: u8,
    likeness_db: f64,
}

const VECTORS: [Vector; 5] = [
    Vector {
        name: "speech of 8 kHz",
        file: include_bytes!("vectors/opus-speech-8k.bin"),
        sample_rate: 8_000,
        channel_count: 1,
        likeness_db: 70.0,
    },
    Vector {
        name: "speech of 16 kHz",
        file: include_bytes!("vectors/opus-speech-16k.bin"),
        sample_rate: 16_000,
        channel_count: 1,
        likeness_db: 70.0,
    },
    Vector {
        name: "hybrid",
        file: include_bytes!("vectors/opus-hybrid-48k.bin"),
        sample_rate: 48_000,
        channel_count: 1,
        likeness_db: 70.0,
    },
    Vector {
        name: "music",
        file: include_bytes!("vectors/opus-music-48k.bin"),
        sample_rate: 48_000,
        channel_count: 1,
        likeness_db: 60.0,
    },
    Vector {
        name: "music in stereo",
        file: include_bytes!("vectors/opus-music-stereo-48k.bin"),
        sample_rate: 48_000,
        channel_count: 2,
        likeness_db: 40.0,
    },
];

fn number(file: &mut &[u8]) -> usize {
    let (bytes, rest) = file.split_first_chunk().expect("a whole file");
    *file = rest;
    u16::from_le_bytes(*bytes).into()
}

#[test]
fn packets_of_another_encoder() {
    for Vector { name, mut file, sample_rate, channel_count, likeness_db } in VECTORS {
        let format = CodecFormat::new(CodecKind::Opus, sample_rate, channel_count).unwrap();
        let mut decoder = Decoder::new(format);
        let (mut heard, mut samples) = (Vec::new(), vec![0; PAYLOAD_SAMPLES_MAX]);
        for _ in 0..number(&mut file) {
            let length = number(&mut file);
            let (payload, rest) = file.split_at(length);
            file = rest;
            let count = decoder.decode(payload, &mut samples).unwrap();
            heard.extend_from_slice(&samples[..count]);
        }
        let wanted: Vec<i16> = file.as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect();
        assert_eq!(heard.len(), wanted.len(), "{name}");
        let energy: f64 = wanted.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let difference: f64 = wanted.iter().zip(&heard).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        let likeness = 10.0 * (energy / difference.max(1.0)).log10();
        println!("{name}: {likeness:.1} dB");
        assert!(likeness > likeness_db, "{name}: {likeness:.1} dB");
    }
}
