use crate::Region;
use crate::sync::{AtomicU64, Ordering::Relaxed, Words};
use clock::Duration;
use std::ops::Range;

/// Each doubling of the latency is cut into so many buckets: none is wider than 1/32 of its values.
const STEPS: usize = 32;
const STEP_BITS: u32 = STEPS.ilog2();
/// Below 2^10 ns (1 us) there is one bucket.
const FIRST_BIT: u32 = 10;
/// From 2^30 ns (1.07 s) on there is one bucket.
const END_BIT: u32 = 30;
const BUCKETS: usize = (END_BIT - FIRST_BIT) as usize * STEPS + 2;
/// The buckets, then the greatest value.
pub(crate) const WORDS: usize = BUCKETS + 1;

/// A histogram of latencies in shared memory: written by one worker, read by anybody.
#[derive(Clone, Debug)]
pub struct Latency {
    region: Region,
    words: Range<usize>,
}

/// The numbers of a [`Latency`] at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LatencySnapshot {
    buckets: Box<[u64]>,
    max_ns: u64,
}

impl Latency {
    pub(crate) fn new(region: Region, words: Range<usize>) -> Self {
        Self { region, words }
    }

    /// One more value. Plain loads and stores: only the owner may.
    pub fn record(&self, ns: u64) {
        let words = self.all();
        let count = &words[bucket(ns)];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed); // pairs with `read`; each count stands for itself
        if ns > words[BUCKETS].load(Relaxed) {
            words[BUCKETS].store(ns, Relaxed);
        }
    }

    /// The numbers now.
    pub fn read(&self) -> LatencySnapshot {
        let words = self.all();
        let buckets = words[..BUCKETS].iter().map(|word| word.load(Relaxed)).collect();
        LatencySnapshot { buckets, max_ns: words[BUCKETS].load(Relaxed) }
    }

    fn all(&self) -> &[AtomicU64] {
        &self.region.words()[self.words.clone()]
    }
}

impl LatencySnapshot {
    /// How many values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// The value that so many percent of all do not exceed, at most 3.2 % too high; `None` without values.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let total = self.count();
        let wanted = ((percent / 100.0 * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0u64;
        let index = self.buckets.iter().position(|count| {
            seen = seen.wrapping_add(*count);
            seen >= wanted
        })?;
        Some(Duration::from_nanos(upper_ns(index).min(self.max_ns)))
    }

    /// The greatest value since the worker started.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// What was recorded since an earlier snapshot; its maximum is still that of the worker's whole life.
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| now.wrapping_sub(*then)).collect();
        Self { buckets, max_ns: self.max_ns }
    }

    /// Both together, as if one worker had recorded them.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours = ours.wrapping_add(*theirs);
        }
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

fn bucket(ns: u64) -> usize {
    if ns < 1 << FIRST_BIT {
        return 0;
    }
    if ns >= 1 << END_BIT {
        return BUCKETS - 1;
    }
    let bit = ns.ilog2();
    let step = (ns >> (bit - STEP_BITS)) as usize & (STEPS - 1);
    1 + (bit - FIRST_BIT) as usize * STEPS + step
}

/// The greatest value of a bucket.
fn upper_ns(index: usize) -> u64 {
    let Some(index) = index.checked_sub(1) else { return (1 << FIRST_BIT) - 1 };
    if index == BUCKETS - 2 {
        return u64::MAX;
    }
    let (bit, step) = (FIRST_BIT + (index / STEPS) as u32, (index % STEPS) as u64);
    ((STEPS as u64 + step + 1) << (bit - STEP_BITS)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_what_it_says_within_its_error() {
        for ns in (0..40).flat_map(|bit| [0, 1, 7, 1 << bit >> 1].map(|more| (1u64 << bit) + more)) {
            let upper = upper_ns(bucket(ns));
            assert!(ns <= upper, "{ns} in a bucket up to {upper}");
            if (1 << FIRST_BIT..1 << END_BIT).contains(&ns) {
                assert!((upper - ns) as f64 <= ns as f64 * 0.032, "{ns} reported as {upper}");
            }
        }
    }
}
