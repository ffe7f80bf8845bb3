//! What goes to senders whose address may be forged: three times what came from there, until they have shown that they
//! get our answers. They show it by an ACK, by credentials for a nonce of ours, or by answering a request.

use crate::flow::Flow;
use crate::message::incoming::{Incoming, Request};
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

    /// Whether another INVITE from there may come.
    pub(crate) fn has_room_for(&self, inc: &Incoming<'_, '_>) -> bool {
        let way = inc.response_flow(inc.flow);
        let waiting = self.strangers.by_source.get(&block(way.remote.ip())).copied().unwrap_or_default();
        let is_few = waiting < self.config.max_unproven_invites || !self.config.record_route;
        (is_few && self.strangers.count < self.config.max_requests.div_ceil(2))
            || self.transactions.is_proven(inc.now, &way)
    }

    /// Counts the INVITE of a sender that has shown nothing. The ACK for its 2xx will show where it came from.
    pub(crate) fn note_stranger(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        let ack_key = self.ack_key(inc);
        let Transactions { servers, proven, keyed, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        if proven.has(inc.now, keyed, &context.flow) {
            return;
        }
        let source = block(context.flow.remote.ip());
        context.stranger = Some(Stranger { source, ack_key });
        self.ack_index.insert(ack_key, handle);
        self.strangers.count += 1;
        *self.strangers.by_source.entry(source).or_default() += 1;
    }

    /// Its INVITE is over.
    pub(crate) fn forget_stranger(&mut self, handle: Handle, stranger: Option<Stranger>) {
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
}

/// INVITEs in progress whose senders have shown nothing.
#[derive(Default)]
pub(crate) struct Strangers {
    by_source: HashMap<IpAddr, usize>,
    count: usize,
}

/// What is kept of one of them.
pub(crate) struct Stranger {
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
