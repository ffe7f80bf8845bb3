//! What requests take, and which of them give way when there is no room.

use crate::proxy::Proxy;
use crate::proxy::context::Context;
use crate::proxy::limits::admission::places_of_branch;
use crate::table::slab::Handle;
use crate::transactions::answered::{Answered, Needed};
use crate::transactions::proven::is_success;
use crate::transactions::quota::Usage;
use crate::transactions::{Cancel, Transactions};

impl Proxy {
    /// Counts what a request takes, after any change of it.
    pub(crate) fn recount(&mut self, handle: Handle) {
        let Transactions { servers, clients, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        let of_messages = context.request.len() + context.response.len() + context.outcome.bytes();
        let mut usage = Usage { requests: 1, branches: 0, bytes: of_messages + context.targets.bytes() };
        for branch in context.targets.branches.iter().filter_map(|branch| clients.get(*branch)) {
            let may_be_cancelled = branch.machine.is_invite() && branch.machine.is_waiting();
            usage.branches += places_of_branch(may_be_cancelled || matches!(branch.cancel, Cancel::Sent(_)));
            usage.bytes += branch.bytes.len() + branch.again.as_ref().map_or(0, |again| again.target.bytes());
        }
        self.room.quota.change(&mut context.caller, usage);
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
        self.note_done(handle);
    }

    /// A request counts for its source no longer, and gives way when there is no room: one that was answered 2xx after all
    /// others, where it is an INVITE.
    fn note_done(&mut self, handle: Handle) {
        self.recount(handle);
        if let Some(context) = self.transactions.servers.get_mut(handle) {
            let is_success = context.is_invite && is_success(&context.response);
            let needed = if is_success { Needed::ForSuccess } else { Needed::ForCopies };
            self.room.note_done(&mut context.caller, handle, needed);
        }
    }

    /// The final answer to an INVITE was acknowledged. While other targets of it are still being cancelled, it stays.
    pub(crate) fn note_acknowledged(&mut self, handle: Handle) {
        let is_over = |context: &Context| context.outcome.is_answered && context.targets.open_count == 0;
        if self.transactions.servers.get(handle).is_some_and(|context| is_over(context)) {
            self.note_done(handle);
        }
    }

    /// The same where its last target is through, or the ACK does not pass here. That of a refusal always does.
    pub(crate) fn note_over(&mut self, handle: Handle) {
        let context = self.transactions.servers.get(handle);
        let is_refused = context.is_some_and(|context| context.machine.is_refusal_unacknowledged());
        if !is_refused && !self.awaits_ack(handle) {
            self.note_acknowledged(handle);
        }
    }

    /// The same where its answer is a 2xx. The ACK of one that came after a refusal acknowledges no refusal.
    pub(crate) fn note_acknowledged_success(&mut self, handle: Handle) {
        if self.transactions.servers.get(handle).is_some_and(|context| is_success(&context.response)) {
            self.note_acknowledged(handle);
        }
    }

    /// Forgets the request that gives way next, with its branches. Its client has its response, unless all copies of it were
    /// lost: then a further copy of the request is one that is new. Late copies of its targets' responses belong to nothing.
    /// `false`: there is none.
    pub(crate) fn forget_oldest_answered(&mut self) -> bool {
        self.forget_next(Answered::pop)
    }

    /// Forgets the request that gives way next, as long as it is no INVITE that was answered 2xx. `false`: there is none.
    pub(crate) fn forget_oldest_copy(&mut self) -> bool {
        self.forget_next(Answered::pop_for_copies)
    }

    fn forget_next(&mut self, pop: fn(&mut Answered) -> Option<Handle>) -> bool {
        while let Some(handle) = pop(&mut self.room.answered) {
            let Some(context) = self.transactions.servers.get_mut(handle) else { continue };
            for branch in std::mem::take(&mut context.targets.branches) {
                self.transactions.forget_client(branch);
            }
            self.forget_context(handle);
            return true;
        }
        false
    }

    /// Drops what stands for requests that were forgotten.
    pub(crate) fn sweep_room(&mut self) {
        let Self { transactions, room, .. } = self;
        room.sweep(transactions.servers.count(), |handle| transactions.servers.get(*handle).is_some());
    }
}
