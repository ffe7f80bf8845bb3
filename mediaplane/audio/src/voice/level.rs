//! Levels relative to overload (dBov), where a square wave of full scale has 0 and a sine of full scale -3 (RFC 6464 §3,
//! RFC 3389 §3.1).

use std::time::Duration;

/// The least level that is told.
const LEAST_DBOV: f32 = -127.0;

/// The level of the samples, -127 to 0 dBov; -127 for none.
pub fn level_dbov(samples: &[i16]) -> f32 {
    // 32 squares of at most 2^30 fit into 36 bits; 2^27 of those fit into 63.
    let sum: u64 = samples
        .chunks(32)
        .map(|chunk| chunk.iter().map(|sample| u64::from(i32::from(*sample).pow(2).unsigned_abs())).sum::<u64>())
        .sum();
    if sum == 0 {
        return LEAST_DBOV;
    }
    let power = sum as f64 / samples.len() as f64 / (32_768.0 * 32_768.0);
    (10.0 * power.log10()).clamp(f64::from(LEAST_DBOV), 0.0) as f32
}

/// The level of the samples as the RTP header extension of RFC 6464 has it: 0 for 0 dBov to 127 for -127 dBov or silence.
pub fn level_minus_dbov(samples: &[i16]) -> u8 {
    (-level_dbov(samples)).round() as u8
}

/// Measures for how long there has been silence or sound.
#[derive(Clone, Debug)]
pub struct SilenceMeter {
    rate: u32,
    threshold_dbov: f32,
    silent_samples: u64,
    sounding_samples: u64,
}

impl SilenceMeter {
    /// Frames of at most this level are silent.
    pub fn new(rate: u32, threshold_dbov: f32) -> Self {
        assert!(rate > 0, "a rate is not 0");
        Self { rate, threshold_dbov, silent_samples: 0, sounding_samples: 0 }
    }

    /// Takes the next frame.
    pub fn hear(&mut self, frame: &[i16]) {
        let (grows, ends) = if level_dbov(frame) <= self.threshold_dbov {
            (&mut self.silent_samples, &mut self.sounding_samples)
        } else {
            (&mut self.sounding_samples, &mut self.silent_samples)
        };
        *grows += frame.len() as u64;
        *ends = 0;
    }

    /// For how long it has been silent; nothing if the last frame was not.
    pub fn silent_for(&self) -> Duration {
        self.duration(self.silent_samples)
    }

    /// For how long there has been sound without a silent frame.
    pub fn sounding_for(&self) -> Duration {
        self.duration(self.sounding_samples)
    }

    fn duration(&self, samples: u64) -> Duration {
        Duration::from_nanos((u128::from(samples) * 1_000_000_000 / u128::from(self.rate)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sine;

    #[test]
    fn levels_are_relative_to_overload() {
        assert_eq!(level_dbov(&[-32_768; 160]), 0.0);
        assert!((level_dbov(&sine(8_000, 1_000.0, 32_767.0, 160)) + 3.01).abs() < 0.01);
        assert!((level_dbov(&sine(48_000, 1_000.0, 327.67, 4_800)) + 43.01).abs() < 0.05);
        assert_eq!((level_dbov(&[0; 160]), level_dbov(&[])), (-127.0, -127.0));
        assert_eq!((level_minus_dbov(&[0; 160]), level_minus_dbov(&[32_767; 80])), (127, 0));
        assert_eq!(level_minus_dbov(&sine(8_000, 1_000.0, 3_276.7, 160)), 23);
    }

    #[test]
    fn silence_is_timed_until_it_ends() {
        let mut meter = SilenceMeter::new(16_000, -50.0);
        for _ in 0..75 {
            meter.hear(&[20; 320]);
        }
        assert_eq!((meter.silent_for(), meter.sounding_for()), (Duration::from_millis(1_500), Duration::ZERO));
        meter.hear(&sine(16_000, 500.0, 3_000.0, 160));
        assert_eq!((meter.silent_for(), meter.sounding_for()), (Duration::ZERO, Duration::from_millis(10)));
    }
}
