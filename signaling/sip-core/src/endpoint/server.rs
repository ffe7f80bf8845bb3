//! Server transactions: made, driven, repeated, forgotten.

use super::Endpoint;
use crate::compose::{put, put_content, put_status_line};
use crate::content::Content;
use crate::event::{Cause, Event};
use crate::flow::Flow;
use crate::hash::Key;
use crate::incoming::{Incoming, unfolded};
use crate::next_hop::Origin;
use crate::output::{Output, Span};
use crate::proven::Budget;
use crate::slab::Handle;
use crate::timer::{Alarm, Owner};
use crate::transaction::{
    Actions, InviteServer, InviteServerAction, InviteServerInput, NonInviteServer, NonInviteServerAction,
    NonInviteServerInput,
};
use crate::transactions::{Asked, Kind, ServerMachine, ServerTransaction};
use clock::Instant;

/// An input that both machines know.
#[derive(Clone, Copy)]
pub(crate) enum ServerInput {
    Request,
    Respond(u16),
    Ack,
    Deadline,
}

/// What a machine wants beyond sending.
enum Consequence {
    None,
    Unanswered,
    NoAck(Handle),
}

impl Endpoint {
    /// Opens a transaction for a request; `None` when the table is full (the request has been refused then).
    pub(crate) fn open_server(
        &mut self,
        now: Instant,
        flow: &Flow,
        key: Key,
        inc: &Incoming<'_, '_>,
        to_tag: &str,
        out: &mut Output,
    ) -> Option<Handle> {
        if self.servers.is_full() {
            self.refuse_overload(flow, inc, out);
            return None;
        }
        let kind = Kind::of(inc.method, inc.to_tag.is_some());
        let reliable = flow.transport.is_reliable();
        let timers = &self.config.timers;
        let mut head = Vec::with_capacity(512);
        inc.put_head(flow, to_tag, &mut head);
        let head_bytes = head.len().min(u16::MAX.into()) as u16;
        if inc.method.creates_dialog() {
            inc.put_record_route(&mut head);
        }
        let wish = match kind {
            Kind::Subscribe | Kind::Refer => self.wish(flow, inc, to_tag).map(Box::new),
            _ => None,
        };
        let target = inc.contact_uri().filter(|_| kind.moves_target());
        let moves_target = inc.to_tag.is_some() && kind.moves_target();
        let merge_key = inc.to_tag.is_none().then(|| inc.merge_key(&self.keyed));
        let transaction = ServerTransaction {
            machine: if kind.is_invite() {
                ServerMachine::Invite(InviteServer::start(now, timers, reliable))
            } else {
                ServerMachine::Other(NonInviteServer::start(now, timers, reliable))
            },
            kind,
            key,
            merge_key,
            uri: (kind == Kind::Invite).then(|| inc.uri_key(&self.keyed)),
            flow: inc.response_flow(flow),
            head: head.into_boxed_slice(),
            head_bytes,
            response: Box::default(),
            dialog: None,
            target: target.map_or_else(Box::default, |uri| unfolded(uri).into()),
            origin: moves_target.then(|| Box::new(Origin::of(flow, inc))),
            cseq: inc.cseq,
            asked: if kind.refreshes() { inc.asked() } else { Asked::default() },
            wish,
            unpracked: None,
            rseq: 0,
            budget: Budget::of(inc.message.as_bytes().len()),
            alarm: Alarm::default(),
        };
        let handle = self.servers.insert(transaction).ok()?;
        self.server_index.insert(key, handle);
        if let Some(merge_key) = merge_key {
            // One that is refused as merged does not take the place of the first.
            self.merge_index.entry(merge_key).or_insert(handle);
        }
        self.settle_server(handle);
        Some(handle)
    }

    /// A copy of the request came, of so many bytes: it earns a copy of the answer.
    pub(crate) fn repeat_server(&mut self, now: Instant, handle: Handle, byte_count: usize, out: &mut Output) {
        if let Some(transaction) = self.servers.get_mut(handle) {
            transaction.budget.received(byte_count);
        }
        self.drive_server(now, handle, ServerInput::Request, None, out);
    }

    /// Gives the machine an input. `fresh` is the response that has just been written.
    pub(crate) fn drive_server(
        &mut self,
        now: Instant,
        handle: Handle,
        input: ServerInput,
        fresh: Option<Span>,
        out: &mut Output,
    ) {
        let is_proven = self.may_repeat(now, handle);
        let Some(transaction) = self.servers.get_mut(handle) else { return };
        let timers = &self.config.timers;
        let mut consequence = Consequence::None;
        let budget = &mut transaction.budget;
        let (flow, response) = (transaction.flow, &transaction.response);
        let is_due = matches!(input, ServerInput::Request) && budget.is_owing();
        let mut is_tried = false;
        // Where the source may be forged answers go only as far as the request and its copies have paid for them.
        let mut send = |out: &mut Output| {
            is_tried = true;
            match fresh {
                Some(span) if budget.admits(is_proven, out.bytes(span)) => out.send(flow, span),
                None if !response.is_empty() && budget.admits(is_proven, response) => out.send_copy(flow, response),
                _ => {}
            }
        };
        let mut wants_trying = false;
        match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                let mut actions = Actions::default();
                machine.handle(now, timers, invite_input(input), &mut actions);
                for action in actions {
                    match action {
                        InviteServerAction::Send => send(out),
                        InviteServerAction::SendTrying => wants_trying = true,
                        InviteServerAction::Unanswered => consequence = Consequence::Unanswered,
                        InviteServerAction::NoAck => {
                            consequence = transaction.dialog.map_or(Consequence::None, Consequence::NoAck);
                        }
                    }
                }
            }
            ServerMachine::Other(machine) => {
                let Some(input) = other_input(input) else { return };
                let mut actions = Actions::default();
                machine.handle(now, timers, input, &mut actions);
                for action in actions {
                    match action {
                        NonInviteServerAction::Send => send(out),
                        NonInviteServerAction::Unanswered => {}
                    }
                }
            }
        }
        // The machine takes a 2xx for sent and leaves copies of the INVITE alone (RFC 6026 §7.1).
        if is_due && !is_tried && !response.is_empty() && budget.admits(is_proven, response) {
            out.send_copy(flow, response);
        }
        if wants_trying {
            send_trying(transaction, is_proven, out);
        }
        self.settle_server(handle);
        match consequence {
            Consequence::None => {}
            Consequence::Unanswered => self.give_up_invite(now, handle, out),
            Consequence::NoAck(dialog) => self.never_acknowledged(now, dialog, handle, out),
        }
    }

    /// Forgets a transaction that is over, or sees to its deadline.
    pub(crate) fn settle_server(&mut self, handle: Handle) {
        let Some(transaction) = self.servers.get_mut(handle) else { return };
        if !transaction.machine.is_terminated() {
            let deadline = transaction.deadline();
            self.timers.arm(&mut transaction.alarm, Owner::Server(handle), deadline);
            return;
        }
        let dialog = transaction.dialog;
        let is_update = transaction.kind == Kind::Update;
        if is_update && let Some(dialog) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            dialog.server_update = false;
        }
        self.forget_server(handle);
    }

    pub(crate) fn forget_server(&mut self, handle: Handle) {
        let Some(transaction) = self.servers.remove(handle) else { return };
        self.server_index.remove(&transaction.key);
        if let Some(merge_key) = transaction.merge_key
            && self.merge_index.get(&merge_key) == Some(&handle)
        {
            self.merge_index.remove(&merge_key);
        }
    }

    /// Writes a response, keeps it for copies of the request, sends it. `lines` are complete header lines.
    pub(crate) fn send_response(
        &mut self,
        now: Instant,
        handle: Handle,
        status: u16,
        reason: &str,
        lines: &[u8],
        content: &Content<'_>,
        out: &mut Output,
    ) {
        let Some(transaction) = self.servers.get_mut(handle) else { return };
        let mark = out.mark();
        let arena = out.arena();
        put_status_line(arena, status, reason);
        let makes_dialog = status > 100 && status < 300;
        let head_bytes = if makes_dialog { transaction.head.len() } else { transaction.head_bytes.into() };
        put(arena, &[transaction.head.get(..head_bytes).unwrap_or_default(), lines, &self.lines.server]);
        put_content(arena, content);
        let span = out.span_from(mark);
        transaction.response = out.bytes(span).into();
        if status >= 200 {
            // Nothing but copies of this response follows.
            (transaction.head, transaction.head_bytes) = (Box::default(), 0);
        }
        self.drive_server(now, handle, ServerInput::Respond(status), Some(span), out);
    }

    /// Nobody answered an INVITE within the ring limit (RFC 3261 §13.3.1.1: a 487 is for the caller; we say 480).
    fn give_up_invite(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        self.send_response(now, handle, 480, "", b"", &Content::NONE, out);
        self.invite_is_over(now, handle, Cause::Rejected(480), None, out);
    }

    /// RFC 3261 §13.3.1.4: after 64*T1 without ACK the session ends with BYE, unless that were too much for a peer that has
    /// shown nothing. An unacknowledged refusal ends nothing.
    fn never_acknowledged(&mut self, now: Instant, dialog: Handle, transaction: Handle, out: &mut Output) {
        let is_open = self.dialogs.get(dialog).is_some_and(|dialog| dialog.server_invite == Some(transaction));
        if !is_open {
            return;
        }
        let is_paid = self.may_repeat(now, transaction)
            // Our BYE is no larger than the 2xx.
            || self.servers.get(transaction).is_some_and(|open| open.budget.has_room(open.response.len()));
        if !is_paid {
            let is_wanted = self.dialogs.get_mut(dialog).is_some_and(|dialog| dialog.late_bye.take().is_some());
            let cause = if is_wanted { Cause::LocalBye } else { Cause::NoAck };
            self.end_dialog(now, dialog, cause, None, out);
        } else if !self.send_late_bye(now, dialog, out) {
            self.end_with_bye(now, dialog, Cause::NoAck, out);
        }
    }

    /// Hands a request up.
    pub(crate) fn hand_up(&mut self, handle: Handle, dialog: Option<Handle>, message: Span, out: &mut Output) {
        out.event(Event::Request {
            request: crate::event::RequestId(handle),
            dialog: dialog.map(crate::event::DialogId),
            message,
        });
    }
}

fn send_trying(transaction: &mut ServerTransaction, is_proven: bool, out: &mut Output) {
    let mark = out.mark();
    put_status_line(out.arena(), 100, "");
    put(out.arena(), &[transaction.head.get(..transaction.head_bytes.into()).unwrap_or_default()]);
    put_content(out.arena(), &Content::NONE);
    let span = out.span_from(mark);
    transaction.response = out.bytes(span).into();
    if transaction.budget.admits(is_proven, &transaction.response) {
        out.send(transaction.flow, span);
    }
}

fn invite_input(input: ServerInput) -> InviteServerInput {
    match input {
        ServerInput::Request => InviteServerInput::Request,
        ServerInput::Respond(status) => InviteServerInput::Respond(status),
        ServerInput::Ack => InviteServerInput::Ack,
        ServerInput::Deadline => InviteServerInput::Deadline,
    }
}

fn other_input(input: ServerInput) -> Option<NonInviteServerInput> {
    match input {
        ServerInput::Request => Some(NonInviteServerInput::Request),
        ServerInput::Respond(status) => Some(NonInviteServerInput::Respond(status)),
        ServerInput::Ack => None,
        ServerInput::Deadline => Some(NonInviteServerInput::Deadline),
    }
}
