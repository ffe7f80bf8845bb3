//! How many bytes the messages of requests in progress take, and what gives way when there is no room.

use crate::proxy::Proxy;
use crate::proxy::context::Context;
use crate::table::slab::Handle;
use crate::transactions::{Server, Transactions};
use std::collections::VecDeque;

/// How many times the bytes of a request are kept at least: as it came, and as it goes to one target.
pub(crate) const STORED_TIMES: usize = 2;
/// Fewer entries than this are not worth a sweep.
const SWEEP_FROM_COUNT: usize = 1_024;

/// What is counted.
#[derive(Default)]
pub(crate) struct Stored {
    bytes: usize,
    /// Those of them for senders that have shown nothing.
    stranger_bytes: usize,
    /// Requests other than INVITE that have their final response, the oldest first. Some may be forgotten already.
    answered: VecDeque<Handle>,
}

impl Stored {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn count(&mut self, context: &mut Server<Context>, bytes: usize) {
        let before = std::mem::replace(&mut context.caller.stored_bytes, bytes);
        self.bytes = self.bytes.saturating_sub(before) + bytes;
        if context.caller.stranger.is_some() {
            self.stranger_bytes = self.stranger_bytes.saturating_sub(before) + bytes;
        }
    }

    /// A request is not a stranger's any more.
    pub(crate) fn release_stranger(&mut self, context: &Server<Context>) {
        self.stranger_bytes = self.stranger_bytes.saturating_sub(context.caller.stored_bytes);
    }

    /// A request was forgotten that is no stranger's, or not any more.
    pub(crate) fn uncount(&mut self, context: &Server<Context>) {
        self.bytes = self.bytes.saturating_sub(context.caller.stored_bytes);
    }
}

impl Proxy {
    /// Counts what is kept for a request, after any change of it.
    pub(crate) fn count_stored(&mut self, handle: Handle) {
        let Transactions { servers, clients, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        let of_branches = context.targets.branches.iter().filter_map(|branch| clients.get(*branch));
        let bytes = context.request.len()
            + context.response.len()
            + context.outcome.challenges.len()
            + context.outcome.best.as_ref().map_or(0, |best| best.bytes.len())
            + context.targets.redirects.iter().map(|redirect| redirect.bytes.len()).sum::<usize>()
            + of_branches.map(|branch| branch.bytes.len()).sum::<usize>();
        self.stored.count(context, bytes);
    }

    /// Whether so many more bytes may be kept; for senders that have shown nothing that is half of the room.
    pub(crate) fn may_store(&self, is_stranger: bool, bytes: usize) -> bool {
        let limit = self.config.max_stored_bytes;
        match is_stranger {
            true => self.stored.stranger_bytes.saturating_add(bytes) <= limit / 2,
            false => self.stored.bytes.saturating_add(bytes) <= limit,
        }
    }

    /// Makes room for one more request of so many bytes; `false`: there is none.
    pub(crate) fn make_room_for(&mut self, bytes: usize) -> bool {
        while self.transactions.servers.is_full() || !self.may_store(false, bytes) {
            if !self.forget_oldest_answered() {
                return false;
            }
        }
        true
    }

    /// Whether the request may be sent to one more target with so many bytes.
    pub(crate) fn has_room_to_send(&mut self, handle: Handle, bytes: usize) -> bool {
        let is_stranger =
            self.transactions.servers.get(handle).is_some_and(|context| context.caller.stranger.is_some());
        if is_stranger && !self.may_store(true, bytes) {
            return false;
        }
        while !self.may_store(false, bytes) {
            if !self.forget_oldest_answered() {
                return false;
            }
        }
        true
    }

    /// A request has its final response, or will never get one. Of one that is no INVITE, copies need nothing else (timer J
    /// of RFC 3261 §17.2.2), and it gives way when the table is full.
    pub(crate) fn note_answered(&mut self, handle: Handle) {
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        self.unanswered.remove(context.is_call());
        if context.is_invite {
            return;
        }
        context.request = Box::default();
        context.outcome.challenges = Vec::new();
        context.targets.tried = Vec::new();
        self.release_stranger(handle);
        self.stored.answered.push_back(handle);
    }

    /// Forgets the request that has been answered for the longest time, with its branches. Its client has its response,
    /// unless all copies of it were lost: then a further copy of the request is one that is new. Late copies of its
    /// targets' responses belong to nothing. `false`: there is none.
    fn forget_oldest_answered(&mut self) -> bool {
        while let Some(handle) = self.stored.answered.pop_front() {
            let Some(context) = self.transactions.servers.get_mut(handle) else { continue };
            for branch in std::mem::take(&mut context.targets.branches) {
                self.transactions.forget_client(branch);
            }
            self.forget_context(handle);
            return true;
        }
        false
    }

    /// Drops the entries of requests that were forgotten.
    pub(crate) fn sweep_answered(&mut self) {
        let Self { transactions, stored, .. } = self;
        let lives = |handle: &Handle| transactions.servers.get(*handle).is_some();
        while stored.answered.front().is_some_and(|handle| !lives(handle)) {
            stored.answered.pop_front();
        }
        if stored.answered.len() > SWEEP_FROM_COUNT.max(2 * transactions.servers.count()) {
            stored.answered.retain(lives);
        }
        if stored.answered.capacity() > SWEEP_FROM_COUNT && stored.answered.len() < stored.answered.capacity() / 8 {
            stored.answered.shrink_to(2 * stored.answered.len());
        }
    }
}
