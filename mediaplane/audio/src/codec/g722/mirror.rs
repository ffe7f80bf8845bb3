//! The quadrature mirror filters that split sound into two bands and merge them again (ITU-T G.722 §3.1, §4.4).

#[cfg(not(target_arch = "x86_64"))]
use super::plain::filter_four;
#[cfg(target_arch = "x86_64")]
use super::sse2::filter_four;

/// Half of the 24 coefficients; the other half mirrors them (table 4).
const HALF: [i16; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];
pub(super) const TAPS: usize = 24;
/// Filters for 24 samples, older first: the lower band is the sum of both phases, the higher one their difference.
static BANDS: [[i16; TAPS]; 2] = [line(1, 1), line(-1, 1)];
/// The phases by themselves, in the order in which merging makes two samples of them.
static PHASES: [[i16; TAPS]; 2] = [line(0, 1), line(1, 0)];

/// Samples of a stream that one call works on.
pub(super) const CHUNK: usize = 160;
/// Samples before a pair that the filters reach back to.
const HISTORY: usize = TAPS - 2;

const fn line(even: i16, odd: i16) -> [i16; TAPS] {
    let mut taps = [0; TAPS];
    let mut index = 0;
    while index < HALF.len() {
        taps[2 * index] = even * HALF[index];
        taps[2 * index + 1] = odd * HALF[HALF.len() - 1 - index];
        index += 1;
    }
    taps
}

/// A chunk of a stream and the samples before it.
#[derive(Clone, Debug)]
struct Line([i16; HISTORY + CHUNK]);

impl Line {
    fn new() -> Self {
        Self([0; HISTORY + CHUNK])
    }

    /// The last `HISTORY` of the first samples become the history of the next chunk.
    #[inline]
    fn forget(&mut self, sample_count: usize) {
        self.0.copy_within(sample_count..sample_count + HISTORY, 0);
    }

    /// Filters pairs of samples, four at a time; `take` gets the index of a pair and both filters' sums.
    #[inline(always)]
    fn filter(&self, pair_count: usize, filters: &'static [[i16; TAPS]; 2], mut take: impl FnMut(usize, [i32; 2])) {
        for first in (0..pair_count).step_by(4) {
            let samples = self.0[2 * first..].first_chunk().expect("room for whole fours of pairs");
            for (index, sums) in filter_four(samples, filters).into_iter().enumerate().take(pair_count - first) {
                take(first + index, sums);
            }
        }
    }
}

/// Splits a stream into its lower and its higher band.
#[derive(Clone, Debug)]
pub(super) struct Split(Line);

impl Split {
    pub(super) fn new() -> Self {
        Self(Line::new())
    }

    /// Splits an even number of at most [`CHUNK`] samples to pairs of a sample of the lower and one of the higher band.
    #[inline]
    pub(super) fn split(&mut self, samples: &[i16], bands: &mut [[i16; 2]]) {
        self.0.0[HISTORY..HISTORY + samples.len()].copy_from_slice(samples);
        self.0.filter(samples.len() / 2, &BANDS, |index, sums| bands[index] = sums.map(|sum| (sum >> 14) as i16));
        self.0.forget(samples.len());
    }
}

/// Merges two bands into one stream.
#[derive(Clone, Debug)]
pub(super) struct Merge(Line);

impl Merge {
    pub(super) fn new() -> Self {
        Self(Line::new())
    }

    /// Where the sum and the difference of both bands' samples (each -16,384 to 16,383) go, in pairs.
    #[inline]
    pub(super) fn pairs(&mut self) -> &mut [[i16; 2]] {
        self.0.0[HISTORY..].as_chunks_mut().0
    }

    /// Makes samples, an even number up to [`CHUNK`], of as many in [`Self::pairs`].
    #[inline]
    pub(super) fn merge(&mut self, samples: &mut [i16]) {
        let pairs = samples.as_chunks_mut::<2>().0;
        self.0.filter(pairs.len(), &PHASES, |index, sums| pairs[index] = sums.map(|sum| saturate(sum >> 11)));
        self.0.forget(samples.len());
    }
}

#[inline(always)]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
