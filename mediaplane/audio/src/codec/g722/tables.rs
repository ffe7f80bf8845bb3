//! Tables of ITU-T G.722, and what is precomputed of them.

/// Thresholds of the lower band's quantizer (table 14 of the recommendation, Q6).
const Q6: [usize; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219,
    1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Values of the lower band's four-bit codes, by which both sides adapt (QM4).
pub(super) const QM4: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];
/// Values of the lower band's six-bit codes (QM6).
pub(super) static QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];
/// Values of the higher band's codes (QM2).
pub(super) const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// Threshold of the higher band's quantizer (Q2).
pub(super) const Q2: i32 = 564;
/// Steps of the lower band's logarithmic scale factor, by four-bit code (WL through RL42).
pub(super) const LOG_STEP_LOW: [i32; 16] =
    [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
/// Steps of the higher band's logarithmic scale factor, by code (WH through RH2).
pub(super) const LOG_STEP_HIGH: [i32; 4] = [798, -214, 798, -214];
/// Mantissas of powers of two (ILB).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];
/// Largest logarithms of a scale factor (LOGSCL, LOGSCH).
pub(super) const LOG_SCALE_MAX_LOW: i32 = 18_432;
pub(super) const LOG_SCALE_MAX_HIGH: i32 = 22_528;

/// Scale factors of the higher band (SCALEH) by the upper bits of their logarithm, then zeros that no logarithm
/// reaches. Those of the lower band (SCALEL) stand [`LOW_SCALES`] further on.
pub(super) static SCALES: [i16; 512] = {
    let mut scales = [0; 512];
    let mut index = 0;
    while index <= (LOG_SCALE_MAX_HIGH >> 6) as usize {
        let (mantissa, shift) = (ILB[index % 32], 10 - (index / 32) as i32);
        scales[index] = (if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2) as i16;
        index += 1;
    }
    scales
};
pub(super) const LOW_SCALES: usize = 64;

/// Binary digits of the fraction of [`RECIPROCALS`]: enough for exact quotients up to the last threshold (2,919 times
/// the square of the largest scale factor takes 40), few enough for a product with 28 bits to fit 64.
const RECIPROCAL_BITS: u32 = 40;
/// One by each scale factor of the lower band, in the order of [`SCALES`].
static RECIPROCALS: [u64; 512] = {
    let mut reciprocals = [0; 512];
    let mut index = 0;
    while index <= (LOG_SCALE_MAX_LOW >> 6) as usize {
        reciprocals[index] = (1 << RECIPROCAL_BITS) / SCALES[index + LOW_SCALES] as u64 + 1;
        index += 1;
    }
    reciprocals
};

/// Codes of the lower band by the quotient of an error and the scale factor (QUANTL, table 16 of the recommendation):
/// that of a positive error, that of a negative one, and in the upper half the size of the value that both sides take
/// it for (QM4).
static LOW_CODES: [u32; Q6[29] + 1] = {
    let mut codes = [0; Q6[29] + 1];
    let (mut quotient, mut level) = (0, 0);
    while quotient < codes.len() {
        while level + 1 < Q6.len() && Q6[level + 1] <= quotient {
            level += 1;
        }
        let positive = 61 - level;
        let negative = if level < 2 { 63 - level } else { 33 - level };
        codes[quotient] = (positive | negative << 8) as u32 | QM4[positive >> 2].unsigned_abs() << 16;
        quotient += 1;
    }
    codes
};

/// Quantizes an error of the lower band (QUANTL): its code, and the size of the value that both sides take it for. A
/// threshold is reached by what reaches the whole part of a 4,096th of its product with the scale factor, which is the
/// case if the threshold is at most this quotient.
#[inline(always)]
pub(super) fn quantize_low(error: i32, log_scale: i32) -> (u8, i32) {
    let sign = error >> 31;
    let magnitude = (error ^ sign) as u64;
    let reciprocal = RECIPROCALS[(log_scale >> 6) as usize & 511];
    let quotient = (((magnitude << 12 | 0xfff) * reciprocal) >> RECIPROCAL_BITS) as usize;
    let entry = LOW_CODES[quotient.min(LOW_CODES.len() - 1)];
    ((entry >> (sign & 8)) as u8, (entry >> 16) as i32)
}

/// Values of the lower and the higher band that both sides adapt by (QM4, QM2), and their steps of the logarithmic
/// scale factors, by the upper six bits of an octet: the lower band's in the lower half.
pub(super) static VALUES: [u32; 64] = by_octet(&QM4, &QM2);
pub(super) static LOG_STEPS: [u32; 64] = by_octet(&LOG_STEP_LOW, &LOG_STEP_HIGH);

const fn by_octet(low: &[i32; 16], high: &[i32; 4]) -> [u32; 64] {
    let mut pairs = [0; 64];
    let mut index = 0;
    while index < pairs.len() {
        pairs[index] = low[index % 16] as u32 & 0xffff | (high[index / 16] as u32) << 16;
        index += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition (QUANTL): a level is reached by what reaches its threshold times the scale factor.
    #[test]
    fn quotients_find_the_level_of_every_error() {
        for log_scale in (0..=LOG_SCALE_MAX_LOW).step_by(64) {
            let scale = usize::try_from(SCALES[(log_scale >> 6) as usize + LOW_SCALES]).unwrap();
            let mut level = 0;
            // Errors go up to 16 bits, and beyond where the sample and what was expected of it are far apart.
            for magnitude in 0..65_536_usize {
                while Q6.get(level + 1).is_some_and(|threshold| magnitude.min(32_767) >= (threshold * scale) >> 12) {
                    level += 1;
                }
                let positive = 61 - level;
                let negative = if level < 2 { 63 - level } else { 33 - level };
                for (error, code) in [(magnitude as i32, positive), (!(magnitude as i32), negative)] {
                    let (found, value) = quantize_low(error, log_scale);
                    assert_eq!(usize::from(found), code, "error {error} with scale factor {scale}");
                    assert_eq!(value, QM4[code >> 2].abs(), "error {error} with scale factor {scale}");
                }
            }
        }
    }
}
