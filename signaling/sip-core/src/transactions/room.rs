//! The books on the requests of peers: what is kept for them, on whose account, and which of them give way.

use crate::table::slab::Handle;
use crate::transactions::answered::{Answered, Needed};
use crate::transactions::quota::{Caller, Quota, Usage};
use crate::transactions::strangers::{Source, Strangers};

/// What is kept for requests of peers. A transaction user says what each of them takes, and which it takes in.
pub(crate) struct Room {
    pub(crate) quota: Quota,
    pub(crate) answered: Answered,
    pub(crate) strangers: Strangers,
}

impl Room {
    pub(crate) fn new(capacity: Usage) -> Self {
        Self { quota: Quota::new(capacity), answered: Answered::default(), strangers: Strangers::default() }
    }

    /// A request comes from a source that has shown nothing. Nothing of it is counted yet.
    pub(crate) fn enter_stranger(&mut self, caller: &mut Caller, source: Source) {
        caller.stranger = Some(source);
        self.strangers.enter(source);
    }

    /// A request is answered, or its source has shown that it gets our answers.
    pub(crate) fn release_stranger(&mut self, caller: &mut Caller) {
        if let Some(source) = caller.stranger.take() {
            self.strangers.leave(source);
            self.quota.release_stranger(caller);
        }
    }

    /// A request has its final response. It counts for its source no longer, and gives way as it is `needed`.
    pub(crate) fn note_done(&mut self, caller: &mut Caller, handle: Handle, needed: Needed) {
        if self.quota.note_done(caller) {
            self.answered.push(handle, needed);
        }
    }

    /// Drops what stands for requests that were forgotten. `live_count`: server transactions that there are.
    pub(crate) fn sweep(&mut self, live_count: usize, lives: impl Fn(&Handle) -> bool) {
        self.quota.sweep();
        self.strangers.sweep();
        self.answered.sweep(live_count, lives);
    }
}
