//! WAV files to samples of 8 kHz.

use crate::resample::to_8_khz;
use hound::{SampleFormat, WavReader};
use std::io::Read;

/// Longest prompt that is loaded; it takes 16 KB of memory a second.
pub const MOST_PROMPT_SECONDS: u32 = 600;
/// Sampling rates that are taken.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Most channels that are mixed down.
const MOST_CHANNELS: u16 = 8;

/// Why a WAV file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// Not a sound WAV file.
    #[error("not a WAV file that can be read: {0}")]
    Format(#[from] hound::Error),
    /// A sampling rate outside 8 to 192 kHz.
    #[error("sampling rate of {0} Hz; convert it to 8,000 to 192,000 Hz")]
    Rate(u32),
    /// No channel, or too many.
    #[error("{0} channels; convert it to mono or stereo")]
    Channels(u16),
    /// Too long.
    #[error("longer than {MOST_PROMPT_SECONDS} seconds; cut it")]
    TooLong,
    /// No sample in it.
    #[error("no sound in it")]
    Empty,
}

/// Reads samples of 8, 16, 24 or 32 bits or of 32-bit floating point, mixes them down and resamples them.
pub(crate) fn read(file: impl Read) -> Result<Vec<i16>, WavError> {
    let mut reader = WavReader::new(file)?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        return Err(WavError::Rate(spec.sample_rate));
    }
    if spec.channels == 0 || spec.channels > MOST_CHANNELS {
        return Err(WavError::Channels(spec.channels));
    }
    let most = MOST_PROMPT_SECONDS as usize * spec.sample_rate as usize * usize::from(spec.channels);
    let interleaved = match spec.sample_format {
        SampleFormat::Float => collect(reader.samples::<f32>(), most)?,
        SampleFormat::Int => {
            let scale = 1.0 / 2f32.powi(i32::from(spec.bits_per_sample) - 1);
            collect(reader.samples::<i32>().map(|sample| sample.map(|value| value as f32 * scale)), most)?
        }
    };
    let channels = usize::from(spec.channels);
    let mono: Vec<f32> =
        interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    let samples = to_8_khz(&mono, spec.sample_rate);
    if samples.is_empty() {
        return Err(WavError::Empty);
    }
    // A float that is no number becomes 0, one that is too loud is clipped.
    Ok(samples.iter().map(|x| (x * 32_767.0).round() as i16).collect())
}

/// Stops at `most` samples: what the header claims is not believed.
fn collect(samples: impl Iterator<Item = hound::Result<f32>>, most: usize) -> Result<Vec<f32>, WavError> {
    let mut collected = Vec::new();
    for sample in samples {
        if collected.len() == most {
            return Err(WavError::TooLong);
        }
        collected.push(sample?);
    }
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToneMeter;
    use hound::{WavSpec, WavWriter};
    use proptest::prelude::*;
    use std::f64::consts::TAU;
    use std::io::Cursor;

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

    #[test]
    fn every_kind_of_file_sounds_the_same() {
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
            let samples = read(&wav(rate, channels, bits, format)[..]).unwrap();
            assert_eq!(samples.len(), 8_000);
            let amplitude = ToneMeter::new(1_000.0).amplitude(&samples[400..7_600]);
            assert!((amplitude - 16_384.0).abs() < 200.0, "{rate} {channels} {bits} {format:?}: {amplitude}");
        }
    }

    #[test]
    fn what_is_no_prompt_is_refused_with_its_reason() {
        assert!(matches!(read(&b"RIFF"[..]), Err(WavError::Format(_))));
        assert!(matches!(read(&wav(4_000, 1, 16, SampleFormat::Int)[..]), Err(WavError::Rate(4_000))));
        assert!(matches!(read(&wav(8_000, 9, 16, SampleFormat::Int)[..]), Err(WavError::Channels(9))));
        let empty = wav(8_000, 1, 16, SampleFormat::Int)[..44].to_vec();
        assert!(read(&empty[..]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn broken_files_do_no_harm(changes in proptest::collection::vec((0usize..60, any::<u8>()), 1..6), cut in 0usize..400) {
            let mut file = wav(8_000, 1, 16, SampleFormat::Int);
            for (at, value) in changes {
                file[at] = value;
            }
            file.truncate(cut);
            let _ = read(&file[..]);
        }
    }
}
