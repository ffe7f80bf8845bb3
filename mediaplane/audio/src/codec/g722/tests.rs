//! Against other implementations, bit for bit in both directions.
//!
//! The wanted values are FNV-1a hashes of octets and of decoded samples in little-endian order, made with libg722 (by
//! the Python module `G722` 1.2.8: `G722(16000, 64000).encode(samples)` and `.decode(octets)`); FFmpeg's G.722 (by the
//! Python module `av`) makes the same octets and samples of all of these sounds.

use super::*;
use proptest::prelude::*;

const SAMPLES: usize = 32_000;

fn noise(count: usize, seed: u32) -> impl Iterator<Item = u16> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u16
    })
    .take(count)
}

/// A triangle whose pitch rises from 0 to 8 kHz.
fn sweep() -> Vec<i16> {
    let mut phase = 0_u16;
    let triangle = |n: usize| {
        phase = phase.wrapping_add((n + 1) as u16);
        let height = i32::from(phase.min(0xffff - phase));
        (2 * height - 32_768).min(32_767) as i16
    };
    (0..SAMPLES).map(triangle).collect()
}

/// The shipped prompt, each sample twice.
fn speech() -> Vec<i16> {
    let mut reader = hound::WavReader::new(crate::WELCOME_WAV).unwrap();
    let samples = reader.samples::<i16>().take(SAMPLES / 2);
    samples.flat_map(|sample| [sample.unwrap(); 2]).collect()
}

fn sounds() -> [(&'static str, Vec<i16>, u32, u32); 7] {
    let square = |n| if n / 37 % 2 == 0 { i16::MAX } else { i16::MIN };
    let impulse = |n| match n % 800 {
        0 => i16::MAX,
        400 => i16::MIN,
        _ => 0,
    };
    let quiet = noise(SAMPLES, 1).map(|bits| bits as i16 >> 8);
    [
        ("noise", noise(SAMPLES, 1).map(|bits| bits as i16).collect(), 0x560f_6d21, 0x0a22_fd7a),
        ("quiet noise", quiet.collect(), 0x0a7c_c1da, 0x2b16_204d),
        ("square", (0..SAMPLES).map(square).collect(), 0xc86e_5180, 0xffad_fe23),
        ("impulses", (0..SAMPLES).map(impulse).collect(), 0x3b98_113e, 0x61c3_4445),
        ("silence", vec![0; SAMPLES], 0xe7ec_4081, 0x46c9_2cd6),
        ("sweep", sweep(), 0xf75a_4868, 0xdee8_65af),
        ("speech", speech(), 0xf092_de3a, 0x409b_7416),
    ]
}

fn hash(bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn hash_samples(samples: &[i16]) -> u32 {
    hash(samples.iter().flat_map(|sample| sample.to_le_bytes()))
}

#[test]
fn the_same_as_other_implementations() {
    for (name, sound, wanted_octets, wanted_samples) in sounds() {
        let mut octets = vec![0; SAMPLES / SAMPLES_IN_OCTET];
        assert_eq!(Encoder::default().encode(&sound, &mut octets), octets.len());
        assert_eq!(hash(octets.iter().copied()), wanted_octets, "octets of {name}");
        let mut samples = vec![0; SAMPLES];
        assert_eq!(Decoder::default().decode(&octets, &mut samples), SAMPLES);
        assert_eq!(hash_samples(&samples), wanted_samples, "samples of {name}");
    }
    let octets: Vec<u8> = noise(SAMPLES / 2, 7).map(|bits| (bits >> 8) as u8).collect();
    let mut samples = vec![0; SAMPLES];
    Decoder::default().decode(&octets, &mut samples);
    assert_eq!(hash_samples(&samples), 0x1f23_f05e, "samples of random octets");
}

#[test]
fn packets_of_any_length_make_one_stream() {
    let (_, sound, ..) = &sounds()[6];
    let (mut whole, mut decoded) = (vec![0; SAMPLES / 2], vec![0; SAMPLES]);
    Encoder::default().encode(sound, &mut whole);
    Decoder::default().decode(&whole, &mut decoded);
    for octet_count in [1, 7, 79, 80, 81, 160, 480] {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let pieces = sound.chunks(2 * octet_count).zip(whole.chunks(octet_count)).zip(decoded.chunks(2 * octet_count));
        for ((piece, wanted_octets), wanted_samples) in pieces {
            let (mut octets, mut samples) = (vec![0; wanted_octets.len()], vec![0; wanted_samples.len()]);
            assert_eq!(encoder.encode(piece, &mut octets), wanted_octets.len());
            assert_eq!(decoder.decode(&octets, &mut samples), wanted_samples.len());
            assert!(octets == wanted_octets && samples == wanted_samples, "{octet_count} octets at a time");
        }
    }
}

#[test]
fn the_shorter_side_ends_it() {
    let (mut octets, mut samples) = ([0; 3], [0; 5]);
    assert_eq!(Encoder::default().encode(&[1, 2, 3, 4, 5], &mut octets), 2);
    assert_eq!(Encoder::default().encode(&[1; 100], &mut octets), 3);
    assert_eq!(Decoder::default().decode(&[0; 100], &mut samples), 4);
    assert_eq!(Decoder::default().decode(&[], &mut samples), 0);
}

proptest! {
    /// In debug builds no sum overflows, whatever is said.
    #[test]
    fn any_octets_and_any_samples(octets in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let mut samples = vec![0; 2 * octets.len()];
        let mut again = vec![0; octets.len()];
        Decoder::default().decode(&octets, &mut samples);
        Encoder::default().encode(&samples, &mut again);
        let bytes: Vec<i16> = octets.iter().map(|octet| i16::from(*octet as i8) << 8).collect();
        Encoder::default().encode(&bytes, &mut again);
    }
}
