//! Messages in.

use super::context::Context;
use super::forward::MAX_BREADTH;
use super::own_routes::Normal;
use super::{Proxy, ProxyEvent, ProxyId, ProxyOutput, SenderIdentity, Standing};
use crate::flow::Flow;
use crate::hash::Key;
use crate::incoming::{Incoming, refuse_unreadable};
use crate::proven::Budget;
use crate::slab::Handle;
use crate::timer::Alarm;
use crate::transaction::{InviteServer, InviteServerInput, NonInviteServer, NonInviteServerInput};
use crate::transactions::ServerMachine;
use clock::Instant;
use sip_wire::{ErrorKind, Message, Method, Name, ParseError};

impl Proxy {
    /// Takes one message: a datagram, or what framing cut out of a stream.
    pub fn receive(&mut self, now: Instant, flow: &Flow, datagram: &[u8], out: &mut ProxyOutput) {
        let max_bytes = self.config.max_message_bytes;
        let Some(message) = crate::incoming::parse(datagram, max_bytes, &mut self.counters.malformed) else { return };
        if !message.is_request() {
            return self.receive_response(now, &message, out);
        }
        let inc = match check_request(&message).and_then(|()| Incoming::new(&message)) {
            Ok(inc) => inc,
            Err(fault) => return self.refuse_malformed(flow, &message, &fault, out),
        };
        self.counters.received += 1;
        self.counters.foreign_maddr += u64::from(inc.has_foreign_maddr(flow));
        let key = inc.key(&self.keyed, inc.method);
        let known = self.context_index.get(&key).copied();
        match inc.method {
            Method::Ack => self.receive_ack(now, flow, known, &inc, out),
            _ if known.is_some() => self.receive_copy(now, known, &inc, out),
            Method::Cancel => self.receive_cancel(now, flow, &inc, out),
            _ => self.receive_new(now, flow, key, &inc, out),
        }
    }

    fn refuse_malformed(&mut self, flow: &Flow, message: &Message<'_>, fault: &ParseError, out: &mut ProxyOutput) {
        self.counters.malformed += 1;
        let Some(status) = message.answer_to(fault) else { return };
        match Incoming::broken(message) {
            Ok(inc) => self.put_refusal(flow, &inc, status.code(), b"", out),
            Err(_) => {
                let tag = self.tokens.derived(&[b"unreadable", message.header(Name::CallId).unwrap_or_default()]);
                refuse_unreadable(flow, message, status, fault, tag.as_str(), out);
            }
        }
    }

    fn receive_copy(&mut self, now: Instant, known: Option<Handle>, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        self.counters.retransmissions += 1;
        let Some(handle) = known else { return };
        self.earn(handle, inc.message.as_bytes().len());
        match self.contexts.get(handle).map(|context| context.is_invite) {
            Some(true) => self.drive_invite(now, handle, InviteServerInput::Request, out),
            Some(false) => self.drive_other(now, handle, NonInviteServerInput::Request, out),
            None => {}
        }
        self.send_owed(now, handle, out);
    }

    /// The ACK for a refusal ends here; the one for a 2xx goes the way of the dialog (RFC 3261 §16, §17.1.1.3).
    fn receive_ack(
        &mut self,
        now: Instant,
        flow: &Flow,
        known: Option<Handle>,
        inc: &Incoming<'_, '_>,
        out: &mut ProxyOutput,
    ) {
        let is_refused = known
            .and_then(|handle| self.contexts.get(handle))
            .is_some_and(|context| matches!(&context.machine, ServerMachine::Invite(machine) if machine.is_refused()));
        match known {
            Some(handle) if is_refused => {
                self.note_ack_of_refusal(now, handle, inc);
                self.drive_invite(now, handle, InviteServerInput::Ack, out);
            }
            None if self.is_ack_of_forgotten(flow, inc) => {
                self.proven.note(now, &self.keyed, &inc.response_flow(flow));
            }
            _ => self.pass_stateless(now, flow, inc, out),
        }
    }

    /// An ACK that has no transaction here: its user says where it goes.
    fn pass_stateless(&mut self, now: Instant, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        if inc.message.max_forwards().ok().flatten() == Some(0) || self.is_loop(inc) {
            self.counters.refused += 1;
            return; // an ACK is never answered
        }
        let mut bytes = Vec::new();
        let Some(Normal { standing, flow: named }) = self.put_normal(flow, inc, &mut bytes) else {
            self.counters.malformed += 1;
            return;
        };
        if let Standing::InDialog { .. } = standing {
            self.note_ack(now, inc);
        }
        // No ACK begins anything.
        let standing = match standing {
            Standing::New | Standing::Prerouted => Standing::Unproven,
            other => other,
        };
        let message = out.keep(&bytes);
        if let Some(next_hop) = keep_next_hop(&bytes, out) {
            let is_for_us = named.is_none() && self.is_ours_text(flow, out.bytes(next_hop));
            out.event(ProxyEvent::Stateless { message, next_hop, standing, flow: named, is_for_us });
        }
    }

    fn receive_new(&mut self, now: Instant, flow: &Flow, key: Key, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        if let Some(refusal) = self.inspect(inc) {
            self.counters.refused += 1;
            return self.put_refusal(flow, inc, refusal.status, &refusal.lines, out);
        }
        if inc.to_tag.is_none() && self.is_stopping() {
            self.counters.refused_stopping += 1;
            return self.refuse_overload(flow, inc, out);
        }
        if inc.method == Method::Invite && !self.has_room_for(now, flow, inc) {
            self.counters.source_limited += 1;
            return self.refuse_overload(flow, inc, out);
        }
        let mut request = Vec::new();
        let Some(Normal { standing, flow: named_flow }) = self.put_normal(flow, inc, &mut request) else {
            self.counters.refused += 1;
            return self.put_refusal(flow, inc, 513, b"", out);
        };
        let is_invite = inc.method == Method::Invite;
        let timers = &self.config.timers;
        let reliable = flow.transport.is_reliable();
        let context = Context {
            machine: if is_invite {
                ServerMachine::Invite(InviteServer::start_relaying(now, timers, reliable))
            } else {
                ServerMachine::Other(NonInviteServer::start(now, timers, reliable))
            },
            key,
            is_invite,
            began_at: now,
            in_flow: *flow,
            reply_flow: inc.response_flow(flow),
            request: request.into_boxed_slice(),
            budget: Budget::of(inc.message.as_bytes().len()),
            stranger: None,
            loop_mark: self.loop_mark(inc),
            response: Box::default(),
            breadth: breadth(inc.message),
            standing,
            identity: SenderIdentity::AsItCame,
            place: None,
            named_flow,
            waiting: Vec::new(),
            redirects_left: self.config.max_redirects,
            tried: Vec::new(),
            redirects: Vec::new(),
            branches: Vec::new(),
            open_count: 0,
            targets_count: 0,
            best: None,
            challenges: Vec::new(),
            is_cancelled: false,
            is_stopped: false,
            is_answered: false,
            alarm: Alarm::default(),
        };
        let Ok(handle) = self.contexts.insert(context) else {
            self.counters.overloaded += 1;
            return self.refuse_overload(flow, inc, out);
        };
        self.context_index.insert(key, handle);
        self.unanswered.add(is_invite && !matches!(standing, Standing::InDialog { .. }));
        if is_invite {
            self.note_stranger(now, handle, inc);
        }
        self.settle_context(handle);
        if let Standing::InDialog { from } = standing {
            self.note_refresh(inc, from);
        }
        self.hand_up(handle, out);
    }

    fn hand_up(&mut self, handle: Handle, out: &mut ProxyOutput) {
        let Some(context) = self.contexts.get(handle) else { return };
        let message = out.keep(&context.request);
        let Some(next_hop) = keep_next_hop(&context.request, out) else { return };
        let (request, standing, flow) = (ProxyId(handle), context.standing, context.named_flow);
        let is_for_us = flow.is_none() && self.is_ours_text(&context.in_flow, out.bytes(next_hop));
        out.event(ProxyEvent::Request { request, message, next_hop, standing, flow, is_for_us });
    }
}

/// What is passed on has to be read in one way only.
fn check_request(message: &Message<'_>) -> Result<(), ParseError> {
    message.validate_request()?;
    match message.has_bare_line_end() {
        true => Err(ParseError::message(ErrorKind::HeaderLine)),
        false => Ok(()),
    }
}

/// What is left of the breadth; one branch is always possible once the request was admitted.
fn breadth(message: &Message<'_>) -> u8 {
    let left = message.max_breadth().ok().flatten().map_or(MAX_BREADTH, |left| left.min(MAX_BREADTH.into()) as u8);
    left.max(1)
}

fn keep_next_hop(request: &[u8], out: &mut ProxyOutput) -> Option<crate::output::Span> {
    let message = Message::parse(request).ok()?;
    let route = message.raw_values(sip_wire::Name::Route).next().map(crate::route::uri_in);
    Some(out.keep(route.unwrap_or(message.request_uri_raw())))
}
