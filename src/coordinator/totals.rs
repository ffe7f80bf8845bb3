use clock::Instant;
use session::{EndKind, EndReason};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Sessions that have ended since the coordinator was made.
#[derive(Default)]
pub(crate) struct Totals {
    completed: AtomicU64,
    failed: AtomicU64,
    last_end: Mutex<Option<Instant>>,
}

impl Totals {
    pub(crate) fn ended(&self, reason: EndReason, now: Instant) {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let count = if reason.kind() == EndKind::Completed { &self.completed } else { &self.failed };
        count.fetch_add(1, Relaxed);
    }

    /// When the last session ended.
    pub(crate) fn last_end(&self) -> Option<Instant> {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions that were answered and came to a proper end.
    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }

    /// Sessions that were refused, cancelled or broke.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }
}
