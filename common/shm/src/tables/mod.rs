//! What one side writes and everybody reads: rows of legs, counters, latencies.

pub(crate) mod seqlock;

#[cfg(not(loom))]
mod counters;
#[cfg(not(loom))]
pub(crate) mod latency;
#[cfg(not(loom))]
mod legs;

#[cfg(not(loom))]
pub use {
    counters::CounterBlock,
    latency::{Latency, LatencySnapshot},
    legs::{LegTable, NoSuchRow},
};
