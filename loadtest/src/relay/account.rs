//! What a relay says of itself.

use super::run::Percentiles;
use crate::peers::MediaPlane;
use shm::LatencySnapshot;
use stats::{CounterSet, MediaCounter};
use std::collections::BTreeMap;

/// Counters and the histogram of a relay, at one moment or between two.
#[derive(Default)]
pub struct Account {
    /// By name, all workers added up.
    pub counters: BTreeMap<&'static str, u64>,
    /// From the kernel's time of arrival to the send.
    pub latency: Option<Percentiles>,
    snapshot: Option<LatencySnapshot>,
}

impl Account {
    /// Reads that of a media plane.
    pub fn of(plane: &mut MediaPlane) -> Self {
        let region = plane.client().region();
        let mut account = Self::default();
        for worker in region.plan().workers() {
            let counters = region.media_counters(worker).read();
            for counter in MediaCounter::ALL {
                *account.counters.entry(counter.name()).or_default() += counters.get(*counter);
            }
            let latency = region.relay_latency(worker).read();
            match &mut account.snapshot {
                Some(all) => all.merge(&latency),
                none => *none = Some(latency),
            }
        }
        account
    }

    /// What came to it since `before`.
    pub fn since(self, before: &Self) -> Self {
        let since = |(name, value): (&&'static str, &u64)| {
            (*name, value.saturating_sub(before.counters.get(name).copied().unwrap_or(0)))
        };
        let snapshot = self.snapshot.zip(before.snapshot.as_ref()).map(|(now, before)| now.since(before));
        let latency = snapshot.as_ref().filter(|snapshot| snapshot.count() > 0).map(Percentiles::from);
        Self { counters: self.counters.iter().map(since).collect(), latency, snapshot }
    }
}

impl From<&LatencySnapshot> for Percentiles {
    fn from(latency: &LatencySnapshot) -> Self {
        let us = |percent| latency.percentile(percent).unwrap_or_default().as_secs_f64() * 1e6;
        Self { p50_us: us(50.0), p99_us: us(99.0), p999_us: us(99.9), max_us: us(100.0) }
    }
}
