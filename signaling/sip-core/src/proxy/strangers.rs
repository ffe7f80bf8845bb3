//! What goes to senders whose address may be forged: three times what came from there, until they have shown that they
//! get our answers. They show it by an ACK, by credentials for a nonce of ours, or by answering a request.

use crate::flow::Flow;
use crate::message::incoming::{Incoming, Request};
use crate::proxy::stored::STORED_TIMES;
use crate::proxy::{Proxy, ProxyId, ProxyOutput};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::proven::is_acknowledged;
use clock::Instant;
use sip_wire::Method;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

impl Proxy {
    /// The sender of a request has shown in another way that it gets what we send there.
    pub fn prove(&mut self, now: Instant, request: ProxyId) {
        self.transactions.prove_sender(now, request.0);
        if self.transactions.servers.get(request.0).is_some_and(|context| !context.is_invite) {
            self.release_stranger(request.0);
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
            self.prove(inc.now, ProxyId(handle));
        }
    }

    /// The same for the ACK of a refusal.
    pub(crate) fn note_ack_of_refusal(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let refusal = self.transactions.servers.get(handle).map(|context| &context.response);
        if refusal.is_some_and(|refusal| is_acknowledged(refusal, inc.to_tag)) {
            self.prove(inc.now, ProxyId(handle));
        }
    }

    /// Sends the last response upstream, or a copy of it, if it may go.
    pub(crate) fn send_answer(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Transactions { servers, proven, keyed, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        let is_proven = proven.has(now, keyed, &context.flow);
        if context.budget.admits(is_proven, &context.response) {
            out.send_copy(context.flow, &context.response);
        }
    }

    /// Whether another request from there may come.
    pub(crate) fn has_room_for(&self, inc: &Incoming<'_, '_>) -> bool {
        let way = inc.response_flow(inc.flow);
        let source = (block(way.remote.ip()), inc.method == Method::Invite);
        let open = self.strangers.by_source.get(&source).copied().unwrap_or_default();
        let is_few = match inc.method {
            Method::Invite => open < self.config.max_unproven_invites || !self.config.record_route,
            _ => open < self.config.max_unproven_others,
        };
        let has_place = is_few && self.strangers.count < self.config.max_requests.div_ceil(2);
        (has_place && self.may_store(true, STORED_TIMES * inc.message.as_bytes().len()))
            || self.transactions.is_proven(inc.now, &way)
    }

    /// The ACK for the 2xx of an INVITE will show that it has arrived, and where the INVITE came from.
    pub(crate) fn await_ack(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let key = self.ack_key(inc);
        if let Some(context) = self.transactions.servers.get_mut(handle) {
            context.caller.ack_key = Some(key);
            self.ack_index.insert(key, handle);
        }
    }

    /// An INVITE is over, and so is the wait for the ACK of its 2xx.
    pub(crate) fn forget_ack(&mut self, handle: Handle) {
        let key = self.transactions.servers.get(handle).and_then(|context| context.caller.ack_key);
        // A second INVITE with the same Call-ID may have taken its place.
        if let Some(key) = key.filter(|key| self.ack_index.get(key) == Some(&handle)) {
            self.ack_index.remove(&key);
        }
    }

    /// Counts the request of a sender that has shown nothing: an INVITE until it is forgotten, as the ACK for its 2xx will
    /// show where it came from, and any other until it is answered.
    pub(crate) fn note_stranger(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let Transactions { servers, proven, keyed, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        if proven.has(inc.now, keyed, &context.flow) {
            return;
        }
        let source = (block(context.flow.remote.ip()), context.is_invite);
        context.caller.stranger = Some(source);
        self.strangers.count += 1;
        *self.strangers.by_source.entry(source).or_default() += 1;
    }

    /// Its request is over, or has shown where it came from.
    pub(crate) fn release_stranger(&mut self, handle: Handle) {
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        let Some(source) = context.caller.stranger.take() else { return };
        self.stored.release_stranger(context);
        self.strangers.count = self.strangers.count.saturating_sub(1);
        match self.strangers.by_source.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.strangers.by_source.remove(&source)),
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

/// Requests in progress whose senders have shown nothing.
#[derive(Default)]
pub(crate) struct Strangers {
    /// By source, and whether they are INVITEs: neither kind takes the places of the other.
    by_source: HashMap<(IpAddr, bool), usize>,
    count: usize,
}

/// What is kept of the sender of a request, and what the request costs us on its account.
#[derive(Clone, Copy, Default)]
pub(crate) struct Caller {
    /// Bytes of the request's messages and of those of its branches, as they were counted last.
    pub(crate) stored_bytes: usize,
    /// The source of one that has shown nothing, and whether it is an INVITE; one that is no INVITE has it until its final
    /// response.
    pub(crate) stranger: Option<(IpAddr, bool)>,
    /// Of an INVITE: what the ACK of its 2xx has in common with it.
    pub(crate) ack_key: Option<Key>,
}

/// An IPv4 address, or the /64 that one IPv6 host has for itself.
fn block(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
        four => four,
    }
}
