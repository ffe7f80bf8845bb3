//! Decoding, repairing, encoding, resampling and starting anew allocate nothing, counted over packets of every codec.

mod counting;

use audio::codec::opus::OpusSettings;
use audio::codec::{CodecFormat, CodecKind, Decoder, Encoder, PAYLOAD_BYTES_MAX, PAYLOAD_SAMPLES_MAX};
use audio::{Law, Resampler};
use counting::ALLOCATIONS;

fn formats() -> Vec<CodecFormat> {
    let mut formats = vec![CodecFormat::PCMU, CodecFormat::PCMA, CodecFormat::G722];
    for rate in [8_000, 16_000, 24_000, 48_000] {
        for channels in [1, 2] {
            formats
                .extend([CodecKind::L16, CodecKind::Opus].map(|kind| CodecFormat::new(kind, rate, channels).unwrap()));
        }
    }
    formats
}

/// A second of a chord that swells and fades.
fn sound(format: CodecFormat) -> Vec<i16> {
    let channels = usize::from(format.channel_count());
    let sample = |n: usize| {
        let t = (n / channels) as f64 / f64::from(format.sample_rate());
        let swell = (3.0 * t).sin();
        (6_000.0 * swell * ((1_400.0 * t).sin() + (4_100.0 * t).sin())) as i16
    };
    (0..format.samples_in_ms(1_000)).map(sample).collect()
}

#[test]
fn packets_of_every_codec() {
    for format in formats() {
        let sound = sound(format);
        let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
        let mut repaired = vec![0; format.samples_in_ms(20)];
        let (mut payload, mut samples) = (vec![0; PAYLOAD_BYTES_MAX], vec![0; PAYLOAD_SAMPLES_MAX]);
        let before = ALLOCATIONS.get();
        for round in 0..4 {
            let settings = OpusSettings {
                loss_percent: 10 * round,
                ..OpusSettings { inband_fec: true, stereo: true, ..OpusSettings::default() }
            };
            encoder.set_opus(&settings);
            for (number, packet) in sound.chunks_exact(format.samples_in_ms(20)).enumerate() {
                let bytes = encoder.encode(packet, &mut payload);
                assert!(bytes > 0, "{format:?}");
                assert_eq!(format.samples_in(&payload[..bytes]), Ok(packet.len()), "{format:?}");
                if number % 7 == 3 {
                    decoder.decode_lost(&mut repaired);
                    decoder.decode_fec(&payload[..bytes], &mut repaired).unwrap();
                }
                assert_eq!(decoder.decode(&payload[..bytes], &mut samples), Ok(packet.len()), "{format:?}");
                assert!(decoder.decode(&[], &mut samples).is_err());
            }
            encoder.reset();
            decoder.reset();
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{format:?}");
    }
}

#[test]
fn other_rates_and_laws() {
    let sound = sound(CodecFormat::new(CodecKind::L16, 24_000, 2).unwrap());
    for to in [8_000, 16_000, 24_000, 48_000] {
        let mut resampler = Resampler::new(24_000, to, 2).unwrap();
        let mut out = vec![0; resampler.output_samples(960)];
        let before = ALLOCATIONS.get();
        for packet in sound.chunks_exact(960) {
            assert_eq!(resampler.push(packet, &mut out), out.len());
        }
        resampler.reset();
        assert_eq!(ALLOCATIONS.get() - before, 0, "to {to} Hz");
    }
    let (mut codes, mut other) = ([0; 160], [0; 160]);
    let before = ALLOCATIONS.get();
    Law::Mu.encode_slice(&sound[..160], &mut codes);
    other.copy_from_slice(&codes);
    Law::Mu.transcode(&mut other);
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
