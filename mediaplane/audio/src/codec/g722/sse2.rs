//! Both bands' adaptive differential coders in vector instructions (SSE2, which is part of x86-64), in two thirds of
//! the time and half of the instructions of `plain.rs`; a test compares both. AVX2 has shorter code and the same time.
//!
//! All of the recommendation's variables have 16 bits and most of its sums are limited to them, as these instructions
//! do by themselves. Lane 0 belongs to the lower band and lane 1 to the higher one; only the six zeros of each
//! predictor have a register for each band.
//!
//! Two facts save limits. A zero's coefficient that starts at 0 stays within -32,768 and 32,640, since it loses one
//! part in 256 of itself, rounded up, and gains at most 128. A difference is at most 10,228 (the largest scale factor
//! times the largest value of a code), so twice it needs no limit.

#![expect(unsafe_code, reason = "vector instructions")]

use super::mirror::TAPS;
use super::tables::*;
use std::arch::x86_64::*;

/// The coders of both bands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bands {
    /// The samples that are expected next (S), and the part of them that comes from the zeros (SZ).
    expected: __m128i,
    expected_by_zeros: __m128i,
    /// Coefficients of the poles (A1, A2).
    first_pole: __m128i,
    second_pole: __m128i,
    /// Twice the last reconstructed samples, and in the next two lanes those before (RLT).
    doubled: __m128i,
    /// The last two sums of a difference and the zeros' part, newer first (PLT), with their bits turned over; only
    /// signs count.
    turned_partial: [__m128i; 2],
    /// Logarithms of the scale factors (NB).
    log_scale: __m128i,
    lower_zeros: Zeros,
    higher_zeros: Zeros,
}

impl Bands {
    pub(super) fn new() -> Self {
        // SAFETY: SSE2 is part of x86-64.
        let (zero, ones) = unsafe { (_mm_setzero_si128(), _mm_set1_epi16(-1)) };
        let zeros = Zeros { coefficients: zero, differences: zero };
        Self {
            expected: zero,
            expected_by_zeros: zero,
            first_pole: zero,
            second_pole: zero,
            doubled: zero,
            turned_partial: [ones; 2],
            log_scale: zero,
            lower_zeros: zeros,
            higher_zeros: zeros,
        }
    }

    /// Encodes as many samples of the lower and the higher band as there are octets.
    pub(super) fn encode(&mut self, bands: &[[i16; 2]], octets: &mut [u8]) {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { self.encode_by_vectors(bands, octets) }
    }

    /// Decodes octets to the sum and the difference of both bands' samples.
    pub(super) fn decode(&mut self, octets: &[u8], pairs: &mut [[i16; 2]]) {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { self.decode_by_vectors(octets, pairs) }
    }

    #[target_feature(enable = "sse2")]
    fn encode_by_vectors(&mut self, bands: &[[i16; 2]], octets: &mut [u8]) {
        let mut state = *self;
        for ([low, high], octet) in bands.iter().zip(octets) {
            let [low_scale, high_scale] = state.scales();
            let low_error = i32::from(*low) - lane::<0>(state.expected);
            let low_sign = low_error >> 31;
            let (low_code, low_value) = quantize_low(low_error, _mm_extract_epi16(state.log_scale, 0));
            let low_difference = (low_value * ((low_scale ^ low_sign) - low_sign)) >> 15;

            let high_error = i32::from(*high) - lane::<1>(state.expected);
            let high_sign = high_error >> 31;
            let is_near = (high_error ^ high_sign) < (Q2 * high_scale) >> 12;
            let high_code = (!high_sign & 2) as u8 | u8::from(is_near);
            let high_difference = (high_scale * QM2[usize::from(high_code)]) >> 15;

            *octet = high_code << 6 | low_code;
            state.adapt_scales(*octet);
            state.push(two_lanes(low_difference, high_difference));
        }
        *self = state;
    }

    #[target_feature(enable = "sse2")]
    fn decode_by_vectors(&mut self, octets: &[u8], pairs: &mut [[i16; 2]]) {
        let mut state = *self;
        for (octet, pair) in octets.iter().zip(pairs) {
            let [low_scale, high_scale] = state.scales();
            let scales = two_lanes(low_scale, high_scale);
            let differences = products(_mm_cvtsi32_si128(VALUES[usize::from(octet >> 2)] as i32), scales);
            // The lower band's sample has all six bits (QM6), its predictor four.
            let fine_difference = (low_scale * QM6[usize::from(octet & 0x3f)]) >> 15;
            let fine_differences = _mm_insert_epi16(differences, fine_difference & 0xffff, 0);
            let samples = _mm_adds_epi16(state.expected, fine_differences);
            let samples = _mm_max_epi16(_mm_min_epi16(samples, _mm_set1_epi16(16_383)), _mm_set1_epi16(-16_384));
            // The lower band in both lanes, and the higher band and its negative.
            let low = _mm_shufflelo_epi16(samples, 0b00_00);
            let high = _mm_shufflelo_epi16(samples, 0b01_01);
            let turned = _mm_set_epi16(0, 0, 0, 0, 0, 0, -1, 0);
            let sums = _mm_cvtsi128_si32(_mm_add_epi16(low, negate(high, turned)));
            *pair = [sums as i16, (sums >> 16) as i16];

            state.adapt_scales(*octet);
            state.push(differences);
        }
        *self = state;
    }

    /// Scale factors of the lower and the higher band (DET).
    #[target_feature(enable = "sse2")]
    #[inline]
    fn scales(&self) -> [i32; 2] {
        let index = |log_scale: i32| (log_scale >> 6) as usize;
        let low = SCALES[(index(_mm_extract_epi16(self.log_scale, 0)) + LOW_SCALES) & 511];
        let high = SCALES[index(_mm_extract_epi16(self.log_scale, 1)) & 511];
        [low.into(), high.into()]
    }

    /// LOGSCL, LOGSCH.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn adapt_scales(&mut self, octet: u8) {
        let step = _mm_cvtsi32_si128(LOG_STEPS[usize::from(octet >> 2)] as i32);
        let max = _mm_set_epi16(0, 0, 0, 0, 0, 0, LOG_SCALE_MAX_HIGH as i16, LOG_SCALE_MAX_LOW as i16);
        let next = _mm_add_epi16(leak::<-512>(self.log_scale), step);
        self.log_scale = _mm_min_epi16(_mm_max_epi16(next, _mm_setzero_si128()), max);
    }

    /// Takes the quantized differences and expects the next samples (block 4 of the recommendation).
    #[target_feature(enable = "sse2")]
    #[inline]
    fn push(&mut self, differences: __m128i) {
        let reconstructed = _mm_adds_epi16(self.expected, differences);
        let doubled = _mm_adds_epi16(reconstructed, reconstructed);
        let partial = _mm_adds_epi16(self.expected_by_zeros, differences);
        let [is_same, is_same_before] =
            self.turned_partial.map(|before| _mm_srai_epi16(_mm_xor_si128(partial, before), 15));

        // UPPOL2: 128 more where the last but one sum has the same sign, else 128 less. UPPOL1: by 192.
        let turn = _mm_adds_epi16(self.first_pole, self.first_pole);
        let turn = negate(_mm_adds_epi16(turn, turn), is_same);
        let second = _mm_sub_epi16(leak::<-512>(self.second_pole), _mm_set1_epi16(128));
        let second = _mm_add_epi16(second, _mm_and_si128(is_same_before, _mm_set1_epi16(256)));
        let second = _mm_add_epi16(second, _mm_srai_epi16(turn, 7));
        let second = _mm_max_epi16(_mm_min_epi16(second, _mm_set1_epi16(12_288)), _mm_set1_epi16(-12_288));
        let first = _mm_sub_epi16(leak::<-256>(self.first_pole), _mm_set1_epi16(192));
        let first = _mm_add_epi16(first, _mm_and_si128(is_same, _mm_set1_epi16(384)));
        let bound = _mm_sub_epi16(_mm_set1_epi16(15_360), second);
        let first = _mm_max_epi16(_mm_min_epi16(first, bound), _mm_sub_epi16(_mm_setzero_si128(), bound));

        // FILTEP, FILTEZ, PREDIC.
        let doubled = _mm_unpacklo_epi32(doubled, self.doubled);
        let by_poles = products(_mm_unpacklo_epi32(first, second), doubled);
        let by_poles = _mm_adds_epi16(by_poles, _mm_srli_si128(by_poles, 4));
        let low = self.lower_zeros.push(_mm_shufflelo_epi16(differences, 0b00_00_00_00));
        let high = self.higher_zeros.push(_mm_shufflelo_epi16(differences, 0b01_01_01_01));
        let halves = _mm_add_epi32(_mm_unpacklo_epi32(low, high), _mm_unpackhi_epi32(low, high));
        let sums = _mm_add_epi32(halves, _mm_srli_si128(halves, 8));
        self.expected_by_zeros = _mm_packs_epi32(sums, sums);
        self.expected = _mm_adds_epi16(by_poles, self.expected_by_zeros);
        (self.first_pole, self.second_pole, self.doubled) = (first, second, doubled);
        self.turned_partial = [_mm_xor_si128(partial, _mm_set1_epi16(-1)), self.turned_partial[0]];
    }
}

/// Coefficients of a band's zeros (B) and the differences that they weigh, newer first (D). Lanes 6 and 7 of the
/// coefficients stay 0.
#[derive(Clone, Copy, Debug)]
struct Zeros {
    coefficients: __m128i,
    differences: __m128i,
}

impl Zeros {
    /// Takes a difference, in lanes 0 to 3 (UPZERO, DELAYA, FILTEZ); returns four numbers whose sum is the zeros' part
    /// of the next sample.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn push(&mut self, difference: __m128i) -> __m128i {
        let new = _mm_unpacklo_epi64(difference, difference);
        // 128 with the sign of old times new difference; 0 where the new one is 0, and in the unused lanes.
        let differ = _mm_srai_epi16(_mm_xor_si128(new, self.differences), 15);
        let used = _mm_set_epi16(0, 0, 128, 128, 128, 128, 128, 128);
        let size = _mm_andnot_si128(_mm_cmpeq_epi16(new, _mm_setzero_si128()), used);
        self.coefficients = _mm_add_epi16(leak::<-256>(self.coefficients), negate(size, differ));
        let newest = _mm_and_si128(difference, _mm_set_epi16(0, 0, 0, 0, 0, 0, 0, -1));
        self.differences = _mm_or_si128(_mm_slli_si128(self.differences, 2), newest);
        let low = _mm_mullo_epi16(self.coefficients, self.differences);
        let high = _mm_mulhi_epi16(self.coefficients, self.differences);
        _mm_add_epi32(
            _mm_srai_epi32(_mm_unpacklo_epi16(low, high), 14),
            _mm_srai_epi32(_mm_unpackhi_epi16(low, high), 14),
        )
    }
}

/// A number of the lower and one of the higher band.
#[target_feature(enable = "sse2")]
#[inline]
fn two_lanes(low: i32, high: i32) -> __m128i {
    _mm_cvtsi32_si128((low & 0xffff) | high << 16)
}

#[target_feature(enable = "sse2")]
#[inline]
fn lane<const LANE: i32>(lanes: __m128i) -> i32 {
    i32::from(_mm_extract_epi16::<LANE>(lanes) as i16)
}

/// The negatives of the lanes whose mask is -1, within 16 bits.
#[target_feature(enable = "sse2")]
#[inline]
fn negate(lanes: __m128i, mask: __m128i) -> __m128i {
    _mm_subs_epi16(_mm_xor_si128(lanes, mask), mask)
}

/// Lanes without the part of them that a negative factor names in 65,536ths, rounded up.
#[target_feature(enable = "sse2")]
#[inline]
fn leak<const FACTOR: i16>(lanes: __m128i) -> __m128i {
    _mm_add_epi16(lanes, _mm_mulhi_epi16(lanes, _mm_set1_epi16(FACTOR)))
}

/// Products of lanes 0 to 3 without their lowest 15 bits, within 16 bits.
#[target_feature(enable = "sse2")]
#[inline]
fn products(a: __m128i, b: __m128i) -> __m128i {
    let products = _mm_unpacklo_epi16(_mm_mullo_epi16(a, b), _mm_mulhi_epi16(a, b));
    let products = _mm_srai_epi32(products, 15);
    _mm_packs_epi32(products, products)
}

/// Four pairs of sums of products: of pair `n` those of the samples from `2 * n` on with each of both filters.
#[inline]
pub(super) fn filter_four(samples: &[i16; TAPS + 6], filters: &[[i16; TAPS]; 2]) -> [[i32; 2]; 4] {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { filter_four_by_vectors(samples, filters) }
}

#[target_feature(enable = "sse2")]
#[inline]
fn filter_four_by_vectors(samples: &[i16; TAPS + 6], filters: &[[i16; TAPS]; 2]) -> [[i32; 2]; 4] {
    let mut sums = [_mm_setzero_si128(); 2];
    for (window, index) in samples.windows(8).step_by(2).zip((0..TAPS).step_by(2)) {
        // SAFETY: a window of eight samples is read whole.
        let window = unsafe { _mm_loadu_si128(window.as_ptr().cast()) };
        for (sum, taps) in sums.iter_mut().zip(filters) {
            let two_taps = _mm_set1_epi32(i32::from(taps[index]) & 0xffff | i32::from(taps[index + 1]) << 16);
            *sum = _mm_add_epi32(*sum, _mm_madd_epi16(window, two_taps));
        }
    }
    let pairs = [_mm_unpacklo_epi32(sums[0], sums[1]), _mm_unpackhi_epi32(sums[0], sums[1])];
    let [first, second] = pairs.map(|two| _mm_cvtsi128_si64(two));
    let [third, fourth] = [pairs[0], pairs[1]].map(|two| _mm_cvtsi128_si64(_mm_srli_si128(two, 8)));
    [first, third, second, fourth].map(|pair| [pair as i32, (pair >> 32) as i32])
}

#[cfg(test)]
mod tests {
    use super::super::plain;
    use super::*;
    use proptest::prelude::*;

    fn compare_decoders(octets: &[u8]) {
        let (mut by_vectors, mut by_numbers) = (vec![[0; 2]; octets.len()], vec![[0; 2]; octets.len()]);
        Bands::new().decode(octets, &mut by_vectors);
        plain::Bands::new().decode(octets, &mut by_numbers);
        assert!(by_vectors == by_numbers);
    }

    fn compare_encoders(bands: &[[i16; 2]]) {
        let (mut by_vectors, mut by_numbers) = (vec![0; bands.len()], vec![0; bands.len()]);
        Bands::new().encode(bands, &mut by_vectors);
        plain::Bands::new().encode(bands, &mut by_numbers);
        assert!(by_vectors == by_numbers);
    }

    proptest! {
        #[test]
        fn vectors_do_what_numbers_do(octets in proptest::collection::vec(any::<u8>(), 0..2_000), bands in proptest::collection::vec(any::<[i16; 2]>(), 0..2_000)) {
            compare_decoders(&octets);
            compare_encoders(&bands);
        }

        #[test]
        fn filters_agree(samples in proptest::array::uniform30(any::<i16>()), taps in proptest::array::uniform24(-4_000_i16..4_000)) {
            let filters = [taps, taps.map(|tap| 7 - tap)];
            prop_assert_eq!(filter_four(&samples, &filters), plain::filter_four(&samples, &filters));
        }
    }

    /// Runs in which everything that has a bound reaches it.
    #[test]
    fn vectors_do_what_numbers_do_at_the_bounds() {
        for period in [1, 2, 3, 4, 7, 20, 100] {
            for pair in [[0x00, 0xff], [0x20, 0x04], [0xa0, 0x04], [0x84, 0x60], [0xa0, 0xa0], [0x04, 0x04]] {
                let octets: Vec<u8> = (0..4_000).map(|n| pair[n / period % 2]).collect();
                compare_decoders(&octets);
            }
            for pair in [[i16::MIN, i16::MAX], [-16_384, 16_383], [i16::MAX, i16::MAX], [i16::MIN, 0]] {
                let bands: Vec<[i16; 2]> =
                    (0..4_000).map(|n| [pair[n / period % 2], pair[(n + 1) / period % 2]]).collect();
                compare_encoders(&bands);
            }
        }
    }
}
