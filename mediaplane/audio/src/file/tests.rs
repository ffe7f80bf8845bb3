use super::*;
use crate::resample::convert;
use crate::{Law, OggWriter, Prompt, ToneMeter};
use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;
use std::f64::consts::TAU;
use std::io::Cursor;

/// 0.5 s of 1 kHz at half of full scale, by programs of others: lame (which lowers loud sound by 5 %), oggenc, opusenc, flac and sox.
const FILES: [(&str, u32, &[u8]); 6] = [
    ("MP3", 24_000, include_bytes!("../../tests/files/stereo_24000.mp3")),
    ("Vorbis", 44_100, include_bytes!("../../tests/files/stereo_44100_vorbis.ogg")),
    ("Opus", 48_000, include_bytes!("../../tests/files/stereo_opus.ogg")),
    ("FLAC", 24_000, include_bytes!("../../tests/files/mono_24000.flac")),
    ("A-law", 8_000, include_bytes!("../../tests/files/a_law.wav")),
    ("mu-law", 8_000, include_bytes!("../../tests/files/mu_law.wav")),
];

fn wav(rate: u32, channels: u16, bits: u16, format: SampleFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for index in 0..rate {
        let x = 0.5 * (TAU * 1_000.0 * f64::from(index) / f64::from(rate)).sin();
        for _ in 0..channels {
            match format {
                SampleFormat::Float => writer.write_sample(x as f32).unwrap(),
                SampleFormat::Int => writer.write_sample((x * 2f64.powi(i32::from(bits) - 1)) as i32).unwrap(),
            }
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn at_8_khz(file: &[u8]) -> Vec<i16> {
    let sound = decode(file).unwrap();
    convert(&sound.samples, sound.rate, 8_000).iter().map(|x| (x * 32_767.0).round() as i16).collect()
}

#[test]
fn every_kind_of_wav_file_sounds_the_same() {
    use SampleFormat::{Float, Int};
    for (rate, channels, bits, format) in [
        (8_000, 1, 8, Int),
        (8_000, 1, 16, Int),
        (16_000, 2, 16, Int),
        (32_000, 1, 24, Int),
        (44_100, 2, 24, Int),
        (48_000, 1, 32, Int),
        (48_000, 2, 32, Float),
    ] {
        let samples = at_8_khz(&wav(rate, channels, bits, format));
        assert_eq!(samples.len(), 8_000);
        let amplitude = ToneMeter::new(1_000.0).amplitude(&samples[400..7_600]);
        assert!((amplitude - 16_384.0).abs() < 200.0, "{rate} {channels} {bits} {format:?}: {amplitude}");
    }
}

#[test]
fn files_of_other_programs_have_their_length_rate_and_tone() {
    for (name, rate, file) in FILES {
        let sound = decode(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((sound.rate, sound.samples.len()), (rate, rate as usize / 2), "{name}");
        let samples = at_8_khz(file);
        let amplitude = ToneMeter::new(1_000.0).amplitude(&samples[400..3_600]);
        assert!((amplitude - 16_384.0).abs() < 1_000.0, "{name}: {amplitude}");
        let prompt = Prompt::decode(file).unwrap();
        assert_eq!(prompt.sample_count(), 4_000, "{name}");
        let rate = if rate == 44_100 { 48_000 } else { rate };
        assert_eq!(prompt.sample_rate(), rate, "{name}");
        let mut frame = vec![0; rate as usize / 4];
        prompt.copy_samples(u64::from(rate) / 10, &mut frame);
        let loudest = frame.iter().map(|sample| i32::from(*sample)).max().unwrap();
        assert!((15_000..17_400).contains(&loudest), "{name}: {loudest}");
    }
}

/// A program that writes to a pipe does not know how long its file becomes.
#[test]
fn a_wav_file_without_its_length_is_read_to_its_end() {
    for length in [0_u32, u32::MAX] {
        let mut file = wav(8_000, 1, 16, SampleFormat::Int);
        file[40..44].copy_from_slice(&length.to_le_bytes());
        assert_eq!(decode(&file).unwrap().samples.len(), 8_000);
    }
}

#[test]
fn what_is_no_prompt_is_refused_with_its_reason() {
    let refused = |file: &[u8]| decode(file).unwrap_err();
    assert!(matches!(refused(b"RIFF"), SoundError::Wav(_)));
    assert_eq!(refused(b"text"), SoundError::Unknown);
    assert_eq!(refused(&[]), SoundError::Unknown);
    assert_eq!(refused(&wav(4_000, 1, 16, SampleFormat::Int)), SoundError::Rate(4_000));
    assert_eq!(refused(&wav(8_000, 9, 16, SampleFormat::Int)), SoundError::Channels(9));
    assert_eq!(refused(&wav(8_000, 1, 16, SampleFormat::Int)[..44]), SoundError::Empty);
    for (name, _, file) in &FILES[..4] {
        let error = refused(&file[..file.len().min(30)]).to_string();
        assert!(error.contains("not a") || error.contains("no sound"), "{name}: {error}");
    }
    let mut ogg = Vec::new();
    OggWriter::new(1).write_page(&[b"Speex   1.2"], 0, true, &mut ogg);
    assert!(refused(&ogg).to_string().contains("neither Vorbis nor Opus"));
    // Ten minutes and one sample of A-law.
    let mut long = FILES[4].2.to_vec();
    let start = long.len() - 4_000;
    long.truncate(start);
    long.resize(start + 4_800_001, Law::A.silence());
    let at = start - 4;
    long[at..start].copy_from_slice(&4_800_001_u32.to_le_bytes());
    assert_eq!(refused(&long), SoundError::TooLong);
}

/// A header of Vorbis whose one codebook claims 16 million vectors of 65,535 numbers.
#[test]
fn a_codebook_that_lies_takes_no_memory() {
    let (mut file, mut writer) = (Vec::new(), OggWriter::new(1));
    let mut ident = b"\x01vorbis".to_vec();
    ident.extend([0, 0, 0, 0, 1, 0x40, 0x1f, 0, 0]);
    ident.extend([0; 12]);
    ident.extend([0xb8, 1]);
    let mut setup = b"\x05vorbis".to_vec();
    setup.extend([0, 0x42, 0x43, 0x56, 0xff, 0xff, 0xff, 0xff, 0xff, 0x2f, 0xff, 0xff, 0xff, 0x1f]);
    setup.extend([0x55; 64]);
    writer.write_page(&[&ident], 0, false, &mut file);
    writer.write_page(&[b"\x03vorbis", &setup], 0, true, &mut file);
    assert!(decode(&file).unwrap_err().to_string().contains("codebooks"));
}

fn harmless(file: &[u8]) {
    let outcome = decode(file);
    assert_ne!(outcome.as_ref().err(), Some(&SoundError::Broken), "a decoder has panicked");
    assert!(outcome.is_err() || outcome.is_ok_and(|sound| sound.samples.len() <= 600 * 192_000));
}

proptest! {
    #![proptest_config(crate::testing::cases(1_000))]

    #[test]
    fn broken_wav_files_do_no_harm(changes in proptest::collection::vec((0usize..60, any::<u8>()), 1..6), cut in 0usize..400) {
        let mut file = wav(8_000, 1, 16, SampleFormat::Int);
        for (at, value) in changes {
            file[at] = value;
        }
        file.truncate(cut);
        harmless(&file);
    }

    #[test]
    fn broken_files_of_every_format_do_no_harm(
        which in 0usize..4,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        is_at_start: bool,
        cut: proptest::sample::Index,
    ) {
        let mut file = FILES[which].2.to_vec();
        let reach = if is_at_start { file.len().min(400) } else { file.len() };
        for (at, value) in changes {
            file[at.index(reach)] = value;
        }
        file.truncate(file.len() - cut.index(file.len()) / 4);
        harmless(&with_right_checksums(file));
    }

    #[test]
    fn random_bytes_do_no_harm(start in 0usize..5, mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let start: &[u8] = [&b"RIFF\0\0\0\0WAVEfmt "[..], b"fLaC", b"OggS\0\x02", b"\xff\xfb\x90\x64", b"ID3"][start];
        bytes.splice(..0, start.iter().copied());
        harmless(&bytes);
    }
}

/// Changes of an Ogg file would all end at the checksum of a page.
fn with_right_checksums(mut file: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(bytes) = crate::ogg::page_bytes(&file[at..]) {
        crate::ogg::seal(&mut file[at..at + bytes]);
        at += bytes;
    }
    file
}
