//! G.711: eight bits for a sample of speech (ITU-T G.711, in the arithmetic of ITU-T G.191).

/// One of the two laws of G.711.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// u-law: PCMU, payload type 0.
    Mu = 0,
    /// A-law: PCMA, payload type 8.
    A = 1,
}

/// u-law code of every 14-bit sample, by its bits.
static MU_CODES: [u8; 1 << 14] = {
    let mut codes = [0; 1 << 14];
    let mut index = 0;
    while index < codes.len() {
        codes[index] = mu_code(sign_extend(index, 14));
        index += 1;
    }
    codes
};

/// A-law code of every sample in steps of 16, by its bits.
static A_CODES: [u8; 1 << 12] = {
    let mut codes = [0; 1 << 12];
    let mut index = 0;
    while index < codes.len() {
        codes[index] = a_code(sign_extend(index, 12));
        index += 1;
    }
    codes
};

static MU_SAMPLES: [i16; 256] = {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = mu_sample(code as u8);
        code += 1;
    }
    samples
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
            Self::Mu => MU_CODES[usize::from(sample as u16 >> 2)],
            Self::A => A_CODES[usize::from(sample as u16 >> 4)],
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

    /// Codes of many samples.
    pub fn encode_all(self, samples: &[i16]) -> Box<[u8]> {
        samples.iter().map(|sample| self.encode(*sample)).collect()
    }
}

const fn sign_extend(index: usize, bit_count: u32) -> i32 {
    ((index as i32) << (32 - bit_count)) >> (32 - bit_count)
}

/// From a sample of 14 bits.
const fn mu_code(sample: i32) -> u8 {
    const BIAS: i32 = 33;
    const LARGEST: i32 = 0x1fff;
    let negative = sample < 0;
    let magnitude = (if negative { !sample } else { sample }) + BIAS;
    let magnitude = if magnitude > LARGEST { LARGEST } else { magnitude };
    // The segment is where the highest bit stands, above bit 5.
    let segment = 31 - (magnitude as u32).leading_zeros() - 5;
    let step = (magnitude >> (segment + 1)) as u8 & 0x0f;
    let code = (segment as u8) << 4 | step;
    if negative { !code & 0x7f } else { !code }
}

const fn mu_sample(code: u8) -> i16 {
    let code_bits = !code;
    let segment = (code_bits >> 4) & 7;
    let step = (code_bits & 0x0f) as i32;
    let magnitude = (((step << 1) | 33) << segment) - 33;
    let sample = (magnitude << 2) as i16;
    if code_bits & 0x80 != 0 { -sample } else { sample }
}

/// From a sample of 12 bits.
const fn a_code(sample: i32) -> u8 {
    let negative = sample < 0;
    let magnitude = if negative { !sample } else { sample };
    let code = if magnitude < 32 {
        magnitude as u8
    } else {
        let segment = 31 - (magnitude as u32).leading_zeros() - 3;
        (segment as u8) << 4 | (magnitude >> (segment - 1)) as u8 & 0x0f
    };
    // Even bits are turned over, and the sign bit is set for positive samples.
    (if negative { code } else { code | 0x80 }) ^ 0x55
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

    /// The decision values of G.711 tables 1 and 2: a sample goes to the nearest of the 256 steps, or the one beside it.
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

    #[test]
    fn louder_is_never_quieter() {
        for law in Law::ALL {
            let decoded = (i16::MIN..=i16::MAX).map(|sample| law.decode(law.encode(sample)));
            assert!(decoded.is_sorted(), "{law:?}");
        }
    }
}
