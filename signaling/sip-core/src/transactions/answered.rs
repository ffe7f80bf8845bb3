//! Requests other than INVITE that have their final response. Until timer J ends only copies of them need their
//! transactions (RFC 3261 §17.2.2), so these give way, the oldest first, where there is no room for new requests.

use crate::table::slab::Handle;
use std::collections::VecDeque;

/// Fewer entries than this are not worth a sweep.
const SWEEP_FROM_COUNT: usize = 1_024;

/// Their server transactions, the oldest first. Some may be forgotten already.
#[derive(Default)]
pub(crate) struct Answered(VecDeque<Handle>);

impl Answered {
    /// A request has its final response.
    pub(crate) fn push(&mut self, handle: Handle) {
        self.0.push_back(handle);
    }

    /// The one that has been answered for the longest time.
    pub(crate) fn pop(&mut self) -> Option<Handle> {
        self.0.pop_front()
    }

    /// Drops the entries of requests that were forgotten. `live_count`: server transactions that there are.
    pub(crate) fn sweep(&mut self, live_count: usize, lives: impl Fn(&Handle) -> bool) {
        while self.0.front().is_some_and(|handle| !lives(handle)) {
            self.0.pop_front();
        }
        if self.0.len() > SWEEP_FROM_COUNT.max(2 * live_count) {
            self.0.retain(lives);
        }
        if self.0.capacity() > SWEEP_FROM_COUNT && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}
