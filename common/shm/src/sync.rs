//! Atomics: the real ones, or loom's when the algorithms are checked over every interleaving.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Memory that both sides see, as 64-bit atomics: the mapped region, or plain memory in tests.
///
/// Everything shared is read and written through these words, so that a peer that writes where it must not can
/// produce nonsense, but never a data race. What is read is checked before it is used.
pub trait Words {
    /// The words.
    fn words(&self) -> &[AtomicU64];
}

impl Words for std::sync::Arc<[AtomicU64]> {
    fn words(&self) -> &[AtomicU64] {
        self
    }
}
