//! Both bands' adaptive differential coders in numbers of 32 bits, for architectures without vector instructions here,
//! and to compare those with.

use super::mirror::TAPS;
use super::tables::*;

/// The coders of both bands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bands {
    lower: Lower,
    higher: Higher,
}

impl Bands {
    pub(super) fn new() -> Self {
        Self { lower: Lower::new(), higher: Higher::new() }
    }

    /// Encodes as many samples of the lower and the higher band as there are octets.
    pub(super) fn encode(&mut self, bands: &[[i16; 2]], octets: &mut [u8]) {
        for ([low, high], octet) in bands.iter().zip(octets) {
            *octet = self.higher.encode(i32::from(*high)) << 6 | self.lower.encode(i32::from(*low));
        }
    }

    /// Decodes octets to the sum and the difference of both bands' samples.
    pub(super) fn decode(&mut self, octets: &[u8], pairs: &mut [[i16; 2]]) {
        for (octet, pair) in octets.iter().zip(pairs) {
            let (low, high) = (self.lower.decode(octet & 0x3f), self.higher.decode(octet >> 6));
            *pair = [(low + high) as i16, (low - high) as i16];
        }
    }
}

/// The lower band, in six bits.
#[derive(Clone, Copy, Debug)]
struct Lower {
    predictor: Predictor,
    /// Logarithm of the scale factor (NBL), and the scale factor itself (DETL).
    log_scale: i32,
    scale: i32,
}

impl Lower {
    fn new() -> Self {
        Self { predictor: Predictor::new(), log_scale: 0, scale: 32 }
    }

    /// The code of a sample.
    #[inline]
    fn encode(&mut self, sample: i32) -> u8 {
        let error = sample - self.predictor.expected;
        let (code, _) = quantize_low(error, self.log_scale);
        self.adapt(code >> 2);
        code
    }

    /// The sample of a code, within -16,384 and 16,383.
    #[inline]
    fn decode(&mut self, code: u8) -> i32 {
        let sample = limit(self.predictor.expected + ((self.scale * QM6[usize::from(code & 0x3f)]) >> 15));
        self.adapt(code >> 2 & 0x0f);
        sample
    }

    /// Adapts to the upper four bits of a code (INVQAL, LOGSCL, SCALEL).
    #[inline]
    fn adapt(&mut self, code: u8) {
        let difference = (self.scale * QM4[usize::from(code & 0x0f)]) >> 15;
        self.log_scale = next_log_scale(self.log_scale, LOG_STEP_LOW[usize::from(code & 0x0f)], LOG_SCALE_MAX_LOW);
        self.scale = i32::from(SCALES[(self.log_scale >> 6) as usize + LOW_SCALES]);
        self.predictor.push(difference);
    }
}

/// The higher band, in two bits.
#[derive(Clone, Copy, Debug)]
struct Higher {
    predictor: Predictor,
    /// Logarithm of the scale factor (NBH), and the scale factor itself (DETH).
    log_scale: i32,
    scale: i32,
}

impl Higher {
    fn new() -> Self {
        Self { predictor: Predictor::new(), log_scale: 0, scale: 8 }
    }

    /// The code of a sample (QUANTH).
    #[inline]
    fn encode(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.predictor.expected);
        let sign = error >> 31;
        let is_near = (error ^ sign) < (Q2 * self.scale) >> 12;
        let code = (!sign & 2) as u8 | u8::from(is_near);
        self.adapt(code);
        code
    }

    /// The sample of a code, within -16,384 and 16,383.
    #[inline]
    fn decode(&mut self, code: u8) -> i32 {
        let difference = self.difference(code);
        let sample = limit(self.predictor.expected + difference);
        self.adapt(code);
        sample
    }

    #[inline]
    fn difference(&self, code: u8) -> i32 {
        (self.scale * QM2[usize::from(code & 3)]) >> 15
    }

    /// Adapts to a code (INVQAH, LOGSCH, SCALEH).
    #[inline]
    fn adapt(&mut self, code: u8) {
        let difference = self.difference(code);
        self.log_scale = next_log_scale(self.log_scale, LOG_STEP_HIGH[usize::from(code & 3)], LOG_SCALE_MAX_HIGH);
        self.scale = i32::from(SCALES[(self.log_scale >> 6) as usize]);
        self.predictor.push(difference);
    }
}

#[inline]
fn next_log_scale(log_scale: i32, step: i32, max: i32) -> i32 {
    (((log_scale * 127) >> 7) + step).clamp(0, max)
}

const ZERO_COUNT: usize = 6;

/// What expects a band's next sample, the same on both sides of a stream (block 4 of the recommendation).
#[derive(Clone, Copy, Debug)]
struct Predictor {
    /// Coefficients of the zeros (B), and the differences that they weigh, newer first (D).
    zeros: [i32; ZERO_COUNT],
    differences: [i32; ZERO_COUNT],
    /// The sample that is expected next (S), and the part of it that comes from the zeros (SZ).
    expected: i32,
    expected_by_zeros: i32,
    /// Coefficients of the poles (A).
    poles: [i32; 2],
    /// Twice the last reconstructed sample (RLT).
    doubled: i32,
    /// The last two sums of a difference and the zeros' part, newer first (PLT); only their signs count.
    partial: [i32; 2],
}

impl Predictor {
    fn new() -> Self {
        Self {
            zeros: [0; ZERO_COUNT],
            differences: [0; ZERO_COUNT],
            expected: 0,
            expected_by_zeros: 0,
            poles: [0; 2],
            doubled: 0,
            partial: [0; 2],
        }
    }

    /// Takes a quantized difference and expects the next sample.
    #[inline]
    fn push(&mut self, difference: i32) {
        let doubled = saturate(2 * saturate(self.expected + difference));
        let partial = self.expected_by_zeros + difference;
        let [is_same, is_same_before] = self.partial.map(|before| (before ^ partial) >= 0);

        // UPPOL2, UPPOL1.
        let turn = saturate(self.poles[0] << 2);
        let turn = if is_same { (-turn).min(32_767) } else { turn };
        let second = (turn >> 7) + if is_same_before { 128 } else { -128 } + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let first = if is_same { 192 } else { -192 } + ((self.poles[0] * 32_640) >> 15);
        let bound = 15_360 - second;
        let first = first.clamp(-bound, bound);

        // FILTEP, FILTEZ, PREDIC.
        let by_poles = saturate(((first * doubled) >> 15) + ((second * self.doubled) >> 15));
        self.expected_by_zeros = saturate(self.adapt_zeros(difference));
        self.expected = saturate(by_poles + self.expected_by_zeros);
        self.poles = [first, second];
        self.doubled = doubled;
        self.partial = [partial, self.partial[0]];
    }

    /// UPZERO, DELAYA, FILTEZ. Coefficients need no limit: see `sse2.rs`.
    fn adapt_zeros(&mut self, difference: i32) -> i32 {
        let size = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(&self.differences) {
            let step = if (*before < 0) == (difference < 0) { size } else { -size };
            *zero = ((*zero * 32_640) >> 15) + step;
        }
        self.differences.copy_within(0..ZERO_COUNT - 1, 1);
        self.differences[0] = difference;
        self.zeros.iter().zip(&self.differences).map(|(zero, before)| (zero * before) >> 14).sum()
    }
}

#[inline]
fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[inline]
fn limit(value: i32) -> i32 {
    value.clamp(-16_384, 16_383)
}

/// Four pairs of sums of products: of pair `n` those of the samples from `2 * n` on with each of both filters.
pub(super) fn filter_four(samples: &[i16; TAPS + 6], filters: &[[i16; TAPS]; 2]) -> [[i32; 2]; 4] {
    std::array::from_fn(|pair| {
        filters.each_ref().map(|taps| {
            taps.iter().zip(&samples[2 * pair..]).map(|(tap, sample)| i32::from(*tap) * i32::from(*sample)).sum()
        })
    })
}
