//! What goes to senders whose address may be forged: three times what came from there, until they have shown that they
//! get our answers. They show it by an ACK, by credentials for a nonce of ours, or by answering a request.

use crate::flow::Flow;
use crate::message::incoming::{Incoming, Request};
use crate::proxy::{Proxy, ProxyId};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::proven::{address_key, is_acknowledged};
use crate::transactions::strangers::Source;
use clock::Instant;
use sip_wire::Method;

impl Proxy {
    /// The sender of a request has proven by its credentials who it is, and so that it gets what is sent there. Its requests
    /// may use the reserve of the tables.
    pub fn prove(&mut self, now: Instant, request: ProxyId) {
        self.prove_sender(now, request.0);
        if let Some(context) = self.transactions.servers.get(request.0) {
            let key = address_key(&self.transactions.keyed, &context.flow);
            self.authenticated.note(now, key, context.flow.remote.ip());
        }
    }

    /// The sender of a request has shown that it gets what is sent there.
    fn prove_sender(&mut self, now: Instant, handle: Handle) {
        self.transactions.prove_sender(now, handle);
        if self.transactions.servers.get(handle).is_some_and(|context| !context.is_invite) {
            self.release_stranger(handle);
        }
    }

    /// Its operator knows this source: it needs to show nothing.
    pub fn trust(&mut self, now: Instant, flow: &Flow) {
        self.transactions.prove(now, flow);
    }

    /// What an INVITE and the ACK for its 2xx have in common.
    pub(crate) fn ack_key(&self, inc: &Request<'_, '_>) -> Key {
        inc.merge_key_as(&self.transactions.keyed, Method::Invite)
    }

    /// An ACK for a 2xx that we relayed, with a Route that only its receiver can know, shows where the INVITE came from. It
    /// may have come by another way itself: that is no proof of its own source.
    pub(crate) fn note_ack(&mut self, inc: &Incoming<'_, '_>) {
        if let Some(handle) = self.ack_index.remove(&self.ack_key(inc)) {
            self.prove_sender(inc.now, handle);
            self.note_acknowledged_success(handle);
        }
    }

    /// The same for the ACK of a refusal.
    pub(crate) fn note_ack_of_refusal(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let refusal = self.transactions.servers.get(handle).map(|context| &context.response);
        if refusal.is_some_and(|refusal| is_acknowledged(refusal, inc.to_tag)) {
            self.prove_sender(inc.now, handle);
            self.note_acknowledged(handle);
        }
    }

    /// Whether a source that has shown nothing may begin another request beside those that it has in progress.
    pub(crate) fn may_begin_unproven(&self, inc: &Incoming<'_, '_>) -> bool {
        let key = inc.sender(&self.transactions.keyed).source;
        let open = self.room.strangers.count_of(Source { key, is_invite: inc.method == Method::Invite });
        match inc.method {
            Method::Invite => open < self.config.max_unproven_invites || !self.config.record_route,
            _ => open < self.config.max_unproven_others,
        }
    }

    /// The ACK for the 2xx of an INVITE will show that it has arrived, and where the INVITE came from.
    pub(crate) fn await_ack(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let key = self.ack_key(inc);
        if let Some(context) = self.transactions.servers.get_mut(handle) {
            context.ack_key = Some(key);
            self.ack_index.insert(key, handle);
        }
    }

    /// An INVITE is over, and so is the wait for the ACK of its 2xx.
    pub(crate) fn forget_ack(&mut self, handle: Handle) {
        let key = self.transactions.servers.get(handle).and_then(|context| context.ack_key);
        // A second INVITE with the same Call-ID may have taken its place.
        if let Some(key) = key.filter(|key| self.ack_index.get(key) == Some(&handle)) {
            self.ack_index.remove(&key);
        }
    }

    /// Notes whose request it is, before anything of it is counted. One of a sender that has shown nothing counts for that: an
    /// INVITE until it is forgotten, as the ACK for its 2xx will show where it came from, and any other until it is answered.
    pub(crate) fn note_source(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let Transactions { servers, proven, keyed, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        let sender = inc.sender(keyed);
        context.caller.source = Some(sender.source);
        if proven.has(inc.now, &sender.address) {
            return;
        }
        let source = Source { key: sender.source, is_invite: context.is_invite };
        self.room.enter_stranger(&mut context.caller, source);
    }

    /// Its request is over, or has shown where it came from.
    pub(crate) fn release_stranger(&mut self, handle: Handle) {
        if let Some(context) = self.transactions.servers.get_mut(handle) {
            self.room.release_stranger(&mut context.caller);
        }
    }

    /// Copies that a new branch may send by itself. Towards a target that has said nothing, a request of a sender that has
    /// shown nothing makes no more than three times what came, all targets together.
    pub(crate) fn copies_of_new_branch(&self, handle: Handle, sent_bytes: usize) -> u8 {
        match self.transactions.servers.get(handle) {
            Some(context) if context.caller.stranger.is_some() && !context.is_invite => {
                copies_for(context.request.len(), sent_bytes * context.targets.count).saturating_sub(1)
            }
            _ => u8::MAX,
        }
    }

    /// A copy of such a request came: it pays for further copies, which go when timer E says so.
    pub(crate) fn note_copy_of_stranger(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let Transactions { servers, clients, .. } = &mut self.transactions;
        let Some(context) = servers.get(handle).filter(|open| open.caller.stranger.is_some() && !open.is_invite) else {
            return;
        };
        for branch in &context.targets.branches {
            let Some(branch) = clients.get_mut(*branch).filter(|branch| branch.machine.is_unheard()) else { continue };
            let more = copies_for(inc.message.as_bytes().len(), branch.bytes.len() * context.targets.count);
            branch.copies_left = branch.copies_left.saturating_add(more);
        }
    }
}

/// How many times the bytes of a request go out at most where neither its sender nor its target has shown anything.
const SENT_TIMES: usize = 3;

/// How often so many bytes may go for a request of `received_bytes`.
fn copies_for(received_bytes: usize, sent_bytes: usize) -> u8 {
    u8::try_from(SENT_TIMES * received_bytes / sent_bytes.max(1)).unwrap_or(u8::MAX)
}
