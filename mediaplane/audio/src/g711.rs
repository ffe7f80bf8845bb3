//! G.711: eight bits for a sample of speech (ITU-T G.711, in the arithmetic of ITU-T G.191).

/// One of the two laws of G.711.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// u-law: PCMU, payload type 0.
    Mu = 0,
    /// A-law: PCMA, payload type 8.
    A = 1,
}

static MU_SAMPLES: [i16; 256] = {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = mu_sample(code as u8);
        code += 1;
    }
    samples
};

static MU_TO_A: [u8; 256] = {
    let mut codes = [0; 256];
    let mut code = 0;
    while code < 256 {
        codes[code] = a_code(mu_sample(code as u8));
        code += 1;
    }
    codes
};

static A_TO_MU: [u8; 256] = {
    let mut codes = [0; 256];
    let mut code = 0;
    while code < 256 {
        codes[code] = mu_code(a_sample(code as u8));
        code += 1;
    }
    codes
};

static A_SAMPLES: [i16; 256] = {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = a_sample(code as u8);
        code += 1;
    }
    samples
};

impl Law {
    /// Both.
    pub const ALL: [Law; 2] = [Law::Mu, Law::A];

    /// The code of a sample.
    #[inline]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => mu_code(sample),
            Self::A => a_code(sample),
        }
    }

    /// The sample of a code.
    #[inline]
    pub fn decode(self, code: u8) -> i16 {
        match self {
            Self::Mu => MU_SAMPLES[usize::from(code)],
            Self::A => A_SAMPLES[usize::from(code)],
        }
    }

    /// The code of silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xff,
            Self::A => 0xd5,
        }
    }

    /// Codes of samples, until either side ends; returns how many.
    #[inline]
    pub fn encode_slice(self, samples: &[i16], codes: &mut [u8]) -> usize {
        let count = samples.len().min(codes.len());
        let pairs = codes.iter_mut().zip(samples);
        match self {
            Self::Mu => pairs.for_each(|(code, sample)| *code = mu_code(*sample)),
            Self::A => pairs.for_each(|(code, sample)| *code = a_code(*sample)),
        }
        count
    }

    /// Samples of codes, until either side ends; returns how many.
    #[inline]
    pub fn decode_slice(self, codes: &[u8], samples: &mut [i16]) -> usize {
        let count = samples.len().min(codes.len());
        let table = match self {
            Self::Mu => &MU_SAMPLES,
            Self::A => &A_SAMPLES,
        };
        samples.iter_mut().zip(codes).for_each(|(sample, code)| *sample = table[usize::from(*code)]);
        count
    }

    /// Turns codes of this law into those of the other, as decoding and encoding would.
    #[inline]
    pub fn transcode(self, codes: &mut [u8]) {
        let table = match self {
            Self::Mu => &MU_TO_A,
            Self::A => &A_TO_MU,
        };
        codes.iter_mut().for_each(|code| *code = table[usize::from(*code)]);
    }

    /// Codes of many samples.
    pub fn encode_all(self, samples: &[i16]) -> Box<[u8]> {
        let mut codes = vec![0; samples.len()].into_boxed_slice();
        self.encode_slice(samples, &mut codes);
        codes
    }
}

/// A float's exponent finds the segment of a magnitude and its first four binary digits the step, which works on as
/// many samples at once as a register holds; tables of codes would take 20 KB of a core's nearest memory.
#[inline(always)]
const fn exponent_and_step(magnitude: i32, exponent_of_zero: i32) -> i32 {
    ((magnitude as f32).to_bits() >> 19) as i32 - ((127 + exponent_of_zero) << 4)
}

/// u-law works on 14 bits.
#[inline(always)]
const fn mu_code(sample: i16) -> u8 {
    const BIAS: i32 = 33;
    const LARGEST: i32 = 0x1fff;
    let sample = (sample >> 2) as i32;
    let sign = sample >> 31;
    let magnitude = (sample ^ sign) + BIAS;
    let magnitude = if magnitude > LARGEST { LARGEST } else { magnitude };
    !(exponent_and_step(magnitude, 5) | sign & 0x80) as u8
}

/// A-law works on 12 bits.
#[inline(always)]
const fn a_code(sample: i16) -> u8 {
    let sample = (sample >> 4) as i32;
    let sign = sample >> 31;
    let magnitude = sample ^ sign;
    // The first two segments are one straight line.
    let code = if magnitude < 32 { magnitude } else { exponent_and_step(magnitude, 3) };
    // Even bits are turned over, and the sign bit is set for positive samples.
    ((code | !sign & 0x80) ^ 0x55) as u8
}

const fn mu_sample(code: u8) -> i16 {
    let code_bits = !code;
    let segment = (code_bits >> 4) & 7;
    let step = (code_bits & 0x0f) as i32;
    let magnitude = (((step << 1) | 33) << segment) - 33;
    let sample = (magnitude << 2) as i16;
    if code_bits & 0x80 != 0 { -sample } else { sample }
}

const fn a_sample(code: u8) -> i16 {
    let bits = code ^ 0x55;
    let segment = (bits >> 4) & 7;
    let step = (bits & 0x0f) as i32;
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if bits & 0x80 != 0 { magnitude as i16 } else { -(magnitude as i16) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes() {
        for (sample, mu, a) in [
            (0, 0xff, 0xd5),
            (-1, 0x7f, 0x55),
            (8, 0xfe, 0xd5),
            (32_767, 0x80, 0xaa),
            (-32_768, 0x00, 0x2a),
            (1_000, 0xce, 0xfa),
            (-1_000, 0x4e, 0x7a),
        ] {
            assert_eq!(Law::Mu.encode(sample), mu, "u-law of {sample}");
            assert_eq!(Law::A.encode(sample), a, "A-law of {sample}");
        }
        assert_eq!((Law::Mu.decode(0x00), Law::Mu.decode(0x80), Law::Mu.decode(0xff)), (-32_124, 32_124, 0));
        assert_eq!((Law::A.decode(0x2a), Law::A.decode(0xaa), Law::A.decode(0xd5)), (-32_256, 32_256, 8));
    }

    #[test]
    fn every_code_is_the_code_of_its_sample() {
        for law in Law::ALL {
            for code in 0..=255 {
                let again = law.encode(law.decode(code));
                // u-law knows two zeros.
                let wanted = if law == Law::Mu && code == 0x7f { 0xff } else { code };
                assert_eq!(again, wanted, "{law:?} {code:#x}");
            }
        }
    }

    /// The decision values of G.711 tables 1 and 2: a sample goes to the nearest of the 256 steps, or the one beside
    /// it.
    #[test]
    fn every_sample_goes_to_its_step() {
        for law in Law::ALL {
            for sample in i16::MIN..=i16::MAX {
                let decoded = i32::from(law.decode(law.encode(sample)));
                let error = (decoded - i32::from(sample)).abs();
                let step = match law {
                    Law::Mu => (i32::from(sample).abs() + 132) / 16,
                    Law::A => (i32::from(sample).abs() / 16).max(16),
                };
                // Beyond the last step (32,635 and 32,256) there is only clipping.
                assert!(error <= step || sample.unsigned_abs() > 32_000, "{law:?} {sample} became {decoded}");
            }
        }
        assert_eq!(Law::Mu.encode(Law::Mu.decode(Law::Mu.silence())), Law::Mu.silence());
    }

    /// By the definition of the laws: the segment is where the highest bit of the magnitude stands.
    #[test]
    fn codes_are_those_of_the_definition() {
        let defined = |law: Law, sample: i16| {
            let is_negative = sample < 0;
            match law {
                Law::Mu => {
                    let sample = sample >> 2;
                    let magnitude = ((if is_negative { !sample } else { sample }) + 33).min(0x1fff);
                    let segment = 10 - magnitude.leading_zeros() as i16;
                    let code = (segment << 4 | magnitude >> (segment + 1) & 0x0f) as u8;
                    if is_negative { !code & 0x7f } else { !code }
                }
                Law::A => {
                    let sample = sample >> 4;
                    let magnitude = if is_negative { !sample } else { sample };
                    let segment = (12 - magnitude.max(16).leading_zeros() as i16).max(1);
                    let linear = if magnitude < 16 { 0 } else { segment << 4 };
                    let code = (linear | magnitude >> (segment - 1) & 0x0f) as u8;
                    (if is_negative { code } else { code | 0x80 }) ^ 0x55
                }
            }
        };
        for law in Law::ALL {
            let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
            let wanted: Vec<u8> = samples.iter().map(|sample| defined(law, *sample)).collect();
            assert!(law.encode_all(&samples)[..] == wanted[..], "{law:?}");
        }
    }

    #[test]
    fn slices_end_where_the_shorter_one_ends() {
        let (mut samples, mut codes) = ([7; 4], [7; 2]);
        assert_eq!(Law::Mu.encode_slice(&[1_000, -1_000, 0], &mut codes), 2);
        assert_eq!(codes, [0xce, 0x4e]);
        assert_eq!(Law::Mu.decode_slice(&codes, &mut samples), 2);
        assert_eq!(samples, [Law::Mu.decode(0xce), Law::Mu.decode(0x4e), 7, 7]);
    }

    #[test]
    fn transcoding_is_decoding_and_encoding() {
        for (law, other_law) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
            let codes: Vec<u8> = (0..=255).collect();
            let mut other = codes.clone();
            law.transcode(&mut other);
            for (code, other) in codes.iter().zip(other) {
                assert_eq!(other, other_law.encode(law.decode(*code)), "{law:?} {code:#x}");
            }
        }
    }

    #[test]
    fn louder_is_never_quieter() {
        for law in Law::ALL {
            let decoded = (i16::MIN..=i16::MAX).map(|sample| law.decode(law.encode(sample)));
            assert!(decoded.is_sorted(), "{law:?}");
        }
    }
}
