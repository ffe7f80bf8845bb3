//! Requests that have their final response: they give way, the oldest first, where there is no room for new ones. Until
//! timer J ends only copies of such a request need its transaction (RFC 3261 §17.2.2). An INVITE that a proxy has passed a
//! 2xx for gives way after all others: copies of the 2xx still have to find their way through it (RFC 6026 §7.1).

use crate::table::slab::Handle;
use std::collections::VecDeque;

/// Fewer entries than this are not worth a sweep.
const SWEEP_FROM_COUNT: usize = 1_024;

/// What else than copies of the request may need the transaction of one that has its final response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needed {
    /// Nothing.
    ForCopies,
    /// Copies of the 2xx, which their maker repeats until it gets the ACK.
    ForSuccess,
}

/// Their server transactions, each list with the oldest first. Some may be forgotten already.
#[derive(Default)]
pub(crate) struct Answered {
    for_copies: VecDeque<Handle>,
    for_success: VecDeque<Handle>,
}

impl Answered {
    /// A request has its final response.
    pub(crate) fn push(&mut self, handle: Handle, needed: Needed) {
        match needed {
            Needed::ForCopies => self.for_copies.push_back(handle),
            Needed::ForSuccess => self.for_success.push_back(handle),
        }
    }

    /// The next one that gives way.
    pub(crate) fn pop(&mut self) -> Option<Handle> {
        self.pop_for_copies().or_else(|| self.for_success.pop_front())
    }

    /// The next one that only copies of its request need.
    pub(crate) fn pop_for_copies(&mut self) -> Option<Handle> {
        self.for_copies.pop_front()
    }

    /// Drops the entries of requests that were forgotten. `live_count`: server transactions that there are.
    pub(crate) fn sweep(&mut self, live_count: usize, lives: impl Fn(&Handle) -> bool) {
        for list in [&mut self.for_copies, &mut self.for_success] {
            while list.front().is_some_and(|handle| !lives(handle)) {
                list.pop_front();
            }
            if list.len() > SWEEP_FROM_COUNT.max(2 * live_count) {
                list.retain(&lives);
            }
            if list.capacity() > SWEEP_FROM_COUNT && list.len() < list.capacity() / 8 {
                list.shrink_to(2 * list.len());
            }
        }
    }
}
