//! Messages in.

use crate::flow::Flow;
use crate::message::incoming::Incoming;
use crate::proxy::context::{Context, Targets};
use crate::proxy::routes::own_routes::Normal;
use crate::proxy::targets::forward::MAX_BREADTH;
use crate::proxy::{Proxy, ProxyEvent, ProxyId, ProxyOutput, Standing};
use crate::table::slab::Handle;
use crate::transactions::ServerInput;
use clock::Instant;
use sip_wire::{Message, Method};

impl Proxy {
    /// Takes one message: a datagram, or what framing cut out of a stream.
    pub fn receive(&mut self, now: Instant, flow: &Flow, datagram: &[u8], out: &mut ProxyOutput) {
        if let Some(message) = self.transactions.parse(datagram) {
            self.receive_parsed(now, flow, &message, out);
        }
    }

    /// The same for a message that is parsed already.
    pub fn receive_parsed(&mut self, now: Instant, flow: &Flow, message: &Message<'_>, out: &mut ProxyOutput) {
        if !self.transactions.takes(message) {
            return;
        }
        if !message.is_request() {
            return self.receive_response(now, message, out);
        }
        let Some(inc) = self.transactions.read(now, flow, message, out) else { return };
        let known = self.transactions.server_of(&inc);
        match (inc.method, known) {
            (Method::Ack, _) => self.receive_ack(known, &inc, out),
            (_, Some(handle)) => {
                self.transactions.note_copy(handle, &inc);
                self.note_copy_of_stranger(handle, &inc);
                self.drive_context(now, handle, ServerInput::Request, out);
            }
            (Method::Cancel, None) => self.receive_cancel(&inc, out),
            (_, None) => self.receive_new(&inc, out),
        }
    }

    /// Whether a message belongs to a transaction of this proxy, or to a dialog by a Route that the proxy wrote for it.
    pub fn knows(&self, flow: &Flow, message: &Message<'_>) -> bool {
        let in_dialog = || message.is_request() && matches!(self.standing(flow, message), Standing::InDialog { .. });
        self.transactions.knows(message) || in_dialog()
    }

    /// The ACK for a refusal ends here; the one for a 2xx goes the way of the dialog (RFC 3261 §16, §17.1.1.3).
    fn receive_ack(&mut self, known: Option<Handle>, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        let is_refused = |handle: &Handle| {
            self.transactions.servers.get(*handle).is_some_and(|context| context.machine.is_refused_invite())
        };
        if let Some(handle) = known.filter(is_refused) {
            self.note_ack_of_refusal(handle, inc);
            self.drive_context(inc.now, handle, ServerInput::Ack, out);
        } else if known.is_some() || !self.transactions.acknowledges_forgotten(inc) {
            self.pass_stateless(inc, out);
        }
    }

    /// An ACK that has no transaction here: its user says where it goes.
    fn pass_stateless(&mut self, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        if inc.message.max_forwards().ok().flatten() == Some(0) || self.is_loop(inc) {
            self.transactions.counters.refused += 1;
            return; // an ACK is never answered
        }
        let mut bytes = Vec::new();
        let Some(Normal { standing, flow: named, next_hop }) = self.put_normal(inc.flow, inc, &mut bytes) else {
            self.transactions.counters.malformed += 1;
            return;
        };
        if let Standing::InDialog { .. } = standing {
            self.note_ack(inc);
        }
        // No ACK begins anything.
        let standing = match standing {
            Standing::New | Standing::Prerouted => Standing::Unproven,
            other => other,
        };
        let is_for_us = named.is_none() && self.is_ours_text(inc.flow, &next_hop);
        let (message, next_hop) = (out.keep(&bytes), out.keep(&next_hop));
        out.event(ProxyEvent::Stateless { message, next_hop, standing, flow: named, is_for_us });
    }

    fn receive_new(&mut self, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        if let Some(refusal) = self.inspect(inc) {
            return self.transactions.refuse(inc, refusal.status, &refusal.lines, out);
        }
        if inc.to_tag.is_none() && self.is_stopping() {
            self.transactions.counters.refused_stopping += 1;
            return self.transactions.reply_overload(inc, out);
        }
        if !self.has_room_for(inc, out) {
            return;
        }
        let mut request = Vec::new();
        let Some(Normal { standing, flow: named_flow, next_hop }) = self.put_normal(inc.flow, inc, &mut request) else {
            return self.transactions.refuse(inc, 513, b"", out);
        };
        if !self.make_room_for(inc) {
            return self.transactions.refuse_overload(inc, out);
        }
        let is_invite = inc.method == Method::Invite;
        let context = Context {
            named_flow,
            targets: Targets::new(breadth(inc.message), self.config.max_redirects),
            ..Context::new(inc, request.into_boxed_slice(), self.loop_mark(inc), standing)
        };
        let is_call = context.is_call();
        let Some(handle) = self.transactions.open_server(inc, context) else {
            return self.transactions.refuse_overload(inc, out);
        };
        self.unanswered.add(is_call);
        if is_invite {
            self.await_ack(handle, inc);
        }
        self.note_source(handle, inc);
        self.recount(handle);
        if let Standing::InDialog { from } = standing {
            self.note_refresh(inc, from);
        }
        self.hand_up(handle, &next_hop, out);
    }

    fn hand_up(&mut self, handle: Handle, next_hop: &[u8], out: &mut ProxyOutput) {
        let Some(context) = self.transactions.servers.get(handle) else { return };
        let (request, standing, flow) = (ProxyId(handle), context.standing, context.named_flow);
        let is_for_us = flow.is_none() && self.is_ours_text(&context.in_flow, next_hop);
        let (message, next_hop) = (out.keep(&context.request), out.keep(next_hop));
        out.event(ProxyEvent::Request { request, message, next_hop, standing, flow, is_for_us });
    }
}

/// What is left of the breadth; one branch is always possible once the request was admitted.
fn breadth(message: &Message<'_>) -> u8 {
    let left = message.max_breadth().ok().flatten().map_or(MAX_BREADTH, |left| left.min(MAX_BREADTH.into()) as u8);
    left.max(1)
}
