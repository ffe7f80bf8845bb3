//! What goes to senders whose address may be forged: three times what came from there, until they have shown that they
//! get our answers. They show it by an ACK, by credentials for a nonce of ours, or by answering a request.

use super::{Proxy, ProxyId, ProxyOutput};
use crate::flow::Flow;
use crate::hash::Key;
use crate::incoming::Incoming;
use crate::proven::{address_bytes, is_acknowledged};
use crate::slab::Handle;
use crate::token::Token;
use clock::Instant;
use sip_wire::Method;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

impl Proxy {
    /// The sender of a request has shown in another way that it gets what we send there.
    pub fn prove(&mut self, now: Instant, request: ProxyId) {
        if let Some(context) = self.contexts.get(request.0) {
            self.proven.note(now, &self.keyed, &context.reply_flow);
        }
    }

    /// Its operator knows this source: it needs to show nothing.
    pub fn trust(&mut self, now: Instant, flow: &Flow) {
        self.proven.note(now, &self.keyed, flow);
    }

    /// What an INVITE and the ACK for its 2xx have in common.
    pub(super) fn ack_key(&self, inc: &Incoming<'_, '_>) -> Key {
        inc.merge_key_as(&self.keyed, Method::Invite)
    }

    /// An ACK for a 2xx that we relayed, with a Route that only its receiver can know, shows where the INVITE came from. It
    /// may have come by another way itself: that is no proof of its own source.
    pub(super) fn note_ack(&mut self, now: Instant, inc: &Incoming<'_, '_>) {
        if let Some(handle) = self.ack_index.remove(&self.ack_key(inc)) {
            self.prove(now, ProxyId(handle));
        }
    }

    /// The same for the ACK of a refusal.
    pub(super) fn note_ack_of_refusal(&mut self, now: Instant, handle: Handle, inc: &Incoming<'_, '_>) {
        let refusal = self.contexts.get(handle).map(|context| &context.response);
        if refusal.is_some_and(|refusal| is_acknowledged(refusal, inc.to_tag)) {
            self.prove(now, ProxyId(handle));
        }
    }

    /// Sends the last response upstream, or a copy of it, if it may go.
    pub(super) fn send_answer(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(context) = self.contexts.get_mut(handle) else { return };
        let is_proven = self.proven.has(now, &self.keyed, &context.reply_flow);
        if context.budget.admits(is_proven, &context.response) {
            out.send_copy(context.reply_flow, &context.response);
        }
    }

    /// A copy of a request pays for more.
    pub(super) fn earn(&mut self, handle: Handle, byte_count: usize) {
        if let Some(context) = self.contexts.get_mut(handle) {
            context.budget.received(byte_count);
        }
    }

    /// The final answer that has waited for a copy of the request goes now, unless that went with the copy already.
    pub(super) fn send_owed(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        if self.contexts.get(handle).is_some_and(|context| context.is_answered && context.budget.is_owing()) {
            self.send_answer(now, handle, out);
        }
    }

    /// Whether another INVITE from there may come.
    pub(super) fn has_room_for(&self, now: Instant, flow: &Flow, inc: &Incoming<'_, '_>) -> bool {
        let way = inc.response_flow(flow);
        let waiting = self.strangers.by_source.get(&block(way.remote.ip())).copied().unwrap_or_default();
        let is_few = waiting < self.config.max_unproven_invites || !self.config.record_route;
        (is_few && self.strangers.count < self.config.max_requests.div_ceil(2))
            || self.proven.has(now, &self.keyed, &way)
    }

    /// Counts the INVITE of a sender that has shown nothing. The ACK for its 2xx will show where it came from.
    pub(super) fn note_stranger(&mut self, now: Instant, handle: Handle, inc: &Incoming<'_, '_>) {
        let ack_key = self.ack_key(inc);
        let Some(context) = self.contexts.get_mut(handle) else { return };
        if self.proven.has(now, &self.keyed, &context.reply_flow) {
            return;
        }
        let source = block(context.reply_flow.remote.ip());
        context.stranger = Some(Stranger { source, ack_key });
        self.ack_index.insert(ack_key, handle);
        self.strangers.count += 1;
        *self.strangers.by_source.entry(source).or_default() += 1;
    }

    /// Its INVITE is over.
    pub(super) fn forget_stranger(&mut self, handle: Handle, stranger: Option<Stranger>) {
        let Some(Stranger { source, ack_key }) = stranger else { return };
        // A second INVITE with the same Call-ID may have taken its place.
        if self.ack_index.get(&ack_key) == Some(&handle) {
            self.ack_index.remove(&ack_key);
        }
        self.strangers.count = self.strangers.count.saturating_sub(1);
        match self.strangers.by_source.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.strangers.by_source.remove(&source)),
        }
    }

    /// The To tag of a refusal without memory stands for where that goes as well.
    pub(super) fn stateless_tag(&self, way: &Flow, inc: &Incoming<'_, '_>) -> Token {
        let (address, cseq) = (address_bytes(way), inc.cseq.to_be_bytes());
        self.tokens.derived(&[b"stateless", &address, inc.call_id, inc.from_tag, &cseq, inc.uri])
    }

    /// Whether this ACK is for such a refusal: only who got that knows the tag.
    pub(super) fn is_ack_of_forgotten(&self, flow: &Flow, inc: &Incoming<'_, '_>) -> bool {
        let own = || self.stateless_tag(&inc.response_flow(flow), inc);
        inc.to_tag.is_some_and(|tag| tag == own().as_str().as_bytes())
    }
}

/// INVITEs in progress whose senders have shown nothing.
#[derive(Default)]
pub(super) struct Strangers {
    by_source: HashMap<IpAddr, usize>,
    count: usize,
}

/// What is kept of one of them.
pub(super) struct Stranger {
    source: IpAddr,
    /// Stands for the INVITE in the ACK of its 2xx.
    ack_key: Key,
}

/// An IPv4 address, or the /64 that one IPv6 host has for itself.
fn block(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
        four => four,
    }
}
