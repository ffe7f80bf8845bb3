//! Room for the requests of peers: how many of them wait, how many bytes are kept for them, and what gives way.
//!
//! A source that has shown nothing has few requests outside dialogs that wait for their answer, any source has a quarter of the
//! table and of the bytes, and a part of both is for requests in dialogs alone, so that calls that are up go on. What is
//! answered gives way, the oldest first, to what is new. How many calls one source may have waiting is decided above.

use crate::endpoint::Endpoint;
use crate::message::incoming::Incoming;
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::answered::Needed;
use crate::transactions::quota::Usage;
use crate::transactions::room::Room;
use crate::transactions::strangers::Source;
use sip_wire::Method;

/// What one more request takes at most, as long as nothing was answered.
fn need_of(inc: &Incoming<'_, '_>) -> Usage {
    Usage { requests: 1, branches: 0, bytes: inc.message.as_bytes().len() }
}

impl Endpoint {
    /// Whether one more request outside dialogs may be kept on the account of its source.
    pub(crate) fn has_room_for(&self, inc: &Incoming<'_, '_>) -> bool {
        let Transactions { keyed, proven, .. } = &self.transactions;
        let (sender, need, is_invite) = (inc.sender(keyed), need_of(inc), inc.method == Method::Invite);
        let Room { quota, strangers, .. } = &self.room;
        let source = Source { key: sender.source, is_invite };
        let is_few = || is_invite || strangers.count_of(source) < self.config.limits.max_unproven_others;
        let may_begin = proven.has(inc.now, &sender.address) || (is_few() && quota.has_room_for_strangers(need, false));
        may_begin && (is_invite || self.source_has_room(inc, need, false))
    }

    fn source_has_room(&self, inc: &Incoming<'_, '_>, need: Usage, is_in_dialog: bool) -> bool {
        let source = || inc.sender(&self.transactions.keyed).source;
        self.room.quota.is_calm(need) || self.room.quota.has_room_for_source(source(), need, is_in_dialog)
    }

    /// Whether the table takes one more request, where what is answered gives way. Nothing gives way yet.
    pub(crate) fn table_has_room_for(&self, inc: &Incoming<'_, '_>) -> bool {
        let (need, is_in_dialog) = (need_of(inc), inc.to_tag.is_some());
        let is_limited = is_in_dialog && inc.method != Method::Invite;
        self.room.quota.has_room(need, is_in_dialog) && (!is_limited || self.source_has_room(inc, need, true))
    }

    /// Makes room for one more request; `false`: there is none.
    pub(crate) fn make_room_for(&mut self, inc: &Incoming<'_, '_>) -> bool {
        if !self.table_has_room_for(inc) {
            return false;
        }
        while !self.room.quota.has_room_now(need_of(inc)) {
            let Some(oldest) = self.room.answered.pop() else { return false };
            self.forget_server(oldest);
        }
        !self.transactions.servers.is_full()
    }

    /// Notes whose request it is, before anything of it is counted.
    pub(crate) fn note_source(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let Transactions { servers, proven, keyed, .. } = &mut self.transactions;
        let Some(transaction) = servers.get_mut(handle) else { return };
        let (sender, is_invite) = (inc.sender(keyed), transaction.kind.is_invite());
        if !is_invite {
            transaction.caller.source = Some(sender.source);
        }
        // Who sends in a dialog knows the tag that went to its address.
        if inc.to_tag.is_none() && !proven.has(inc.now, &sender.address) {
            let source = Source { key: sender.source, is_invite };
            self.room.enter_stranger(&mut transaction.caller, source);
        }
    }

    /// A request is answered, or its source has shown that it gets our answers.
    pub(crate) fn release_stranger(&mut self, handle: Handle) {
        if let Some(transaction) = self.transactions.servers.get_mut(handle) {
            self.room.release_stranger(&mut transaction.caller);
        }
    }

    /// Counts what is kept for a request, after any change of it.
    pub(crate) fn recount(&mut self, handle: Handle) {
        let Some(transaction) = self.transactions.servers.get_mut(handle) else { return };
        let wish = transaction.wish.as_ref().map_or(0, |wish| wish.bytes());
        let bytes = transaction.head.len() + transaction.response.len() + transaction.target.len() + wish;
        self.room.quota.change(&mut transaction.caller, Usage { requests: 1, branches: 0, bytes });
    }

    /// A request has its final response: nothing but copies of it, and the ACK for a refusal, needs its transaction (timers
    /// H and J of RFC 3261 §17.2). An accepted INVITE is a call: its answer is repeated until the ACK.
    pub(crate) fn note_answered(&mut self, handle: Handle, status: u16) {
        let Some(transaction) = self.transactions.servers.get_mut(handle) else { return };
        if transaction.kind.is_invite() && status < 300 {
            return;
        }
        (transaction.wish, transaction.target) = (None, Box::default());
        self.room.release_stranger(&mut transaction.caller);
        self.room.note_done(&mut transaction.caller, handle, Needed::ForCopies);
    }

    pub(crate) fn forget_server(&mut self, handle: Handle) {
        self.release_stranger(handle);
        if let Some(mut transaction) = self.transactions.forget_server(handle) {
            self.room.quota.change(&mut transaction.caller, Usage::default());
        }
    }

    /// Drops what stands for requests that were forgotten.
    pub(crate) fn sweep_room(&mut self) {
        let Self { transactions, room, .. } = self;
        room.sweep(transactions.servers.count(), |handle| transactions.servers.get(*handle).is_some());
    }
}
