//! Client transactions: requests written, driven, repeated, forgotten.

use super::Endpoint;
use crate::auth::Sending;
use crate::compose::{put, put_contact, put_content, put_cseq, put_via};
use crate::content::{Content, Refused};
use crate::dialog::{Dialog, State};
use crate::event::AccountId;
use crate::flow::Flow;
use crate::hash::Key;
use crate::output::{Output, Span};
use crate::slab::Handle;
use crate::timer::{Alarm, Owner};
use crate::transaction::{
    Actions, InviteClient, InviteClientAction, InviteClientInput, NonInviteClient, NonInviteClientAction,
    NonInviteClientInput,
};
use crate::transactions::{Cancel, ClientMachine, ClientTransaction, Dispatch, Kind, Purpose};
use clock::Instant;
use sip_wire::{Message, Method};

/// What a client transaction is opened with, beside its bytes.
pub(crate) struct Opening {
    pub(crate) kind: Kind,
    pub(crate) purpose: Purpose,
    pub(crate) key: Key,
    pub(crate) flow: Flow,
    pub(crate) dialog: Option<Handle>,
    pub(crate) account: Option<AccountId>,
    pub(crate) cseq: u32,
    pub(crate) has_body: bool,
    pub(crate) retry_count: u8,
    pub(crate) dispatch: Dispatch,
}

/// An input that both machines know.
#[derive(Clone, Copy)]
pub(crate) enum ClientInput {
    Response(u16),
    Deadline,
}

impl Endpoint {
    pub(crate) fn client_key(&self, branch: &[u8], method: Method) -> Key {
        self.keyed.key(&[b"client", branch, method.as_bytes()])
    }

    /// Writes and sends a request inside a dialog (RFC 3261 §12.2.1.1). `lines` are complete header lines.
    pub(crate) fn send_in_dialog(
        &mut self,
        now: Instant,
        handle: Handle,
        method: Method,
        purpose: Purpose,
        lines: &[u8],
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<Handle, Refused> {
        if self.clients.is_full() {
            return Err(Refused::Full);
        }
        let dialog = self.dialogs.get_mut(handle).ok_or(Refused::Gone)?;
        dialog.local_cseq = dialog.local_cseq.saturating_add(1);
        let cseq = dialog.local_cseq;
        let (flow, account) = (dialog.flow, dialog.account);
        let dispatch = self.dispatch(handle, out);
        let branch = self.tokens.next();
        let known = self.in_dialog_with_credentials(handle, method, lines, content.body);
        let mark = out.mark();
        let lines = known.as_deref().unwrap_or(lines);
        let dialog = self.dialogs.get(handle).ok_or(Refused::Gone)?;
        self.put_in_dialog(dialog, method, cseq, branch.as_str(), lines, content, out.arena());
        let span = out.span_from(mark);
        let opening = Opening {
            kind: Kind::of(method, true),
            purpose,
            key: self.client_key(branch.as_str().as_bytes(), method),
            flow,
            dialog: Some(handle),
            account,
            cseq,
            has_body: !content.body.is_empty(),
            retry_count: 0,
            dispatch,
        };
        let transaction = self.open_client(now, opening, span, out).ok_or(Refused::Full)?;
        if dispatch == Dispatch::Waiting {
            self.wait_for_path(handle, transaction);
        }
        Ok(transaction)
    }

    /// `None`: nothing is added.
    fn in_dialog_with_credentials(
        &mut self,
        handle: Handle,
        method: Method,
        lines: &[u8],
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let dialog = self.dialogs.get(handle)?;
        let account = self.accounts.get_mut(dialog.account?.0).filter(|account| account.has_known())?;
        let uri = dialog.routes.request_uri(&dialog.target);
        let sending = Sending { remote: dialog.flow.remote, method: method.as_bytes(), uri, body };
        let mut all = lines.to_vec();
        account.put_known(&sending, &mut all);
        Some(all)
    }

    /// The bytes of a request inside a dialog.
    pub(crate) fn put_in_dialog(
        &self,
        dialog: &Dialog,
        method: Method,
        cseq: u32,
        branch: &str,
        lines: &[u8],
        content: &Content<'_>,
        arena: &mut Vec<u8>,
    ) {
        put(arena, &[method.as_bytes(), b" ", dialog.routes.request_uri(&dialog.target), b" SIP/2.0\r\n"]);
        put_via(arena, &self.config, &dialog.flow, branch);
        put_cseq(arena, cseq, method.as_bytes());
        put(arena, &[b"Max-Forwards: 70\r\nFrom: ", dialog.local(), b"\r\nTo: ", dialog.remote()]);
        put(arena, &[b"\r\nCall-ID: ", dialog.call_id(), b"\r\n"]);
        dialog.routes.write(&dialog.target, arena);
        let shows_contact =
            matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Refer | Method::Notify);
        if shows_contact && !content.has("Contact") {
            put_contact(arena, &self.config, &dialog.flow, crate::compose::is_sips(&dialog.target));
        }
        if matches!(method, Method::Invite | Method::Update) {
            put(arena, &[&self.lines.allow, &self.lines.supported]);
        }
        put(arena, &[lines, &self.lines.user_agent]);
        put_content(arena, content);
    }

    /// The ACK for a 2xx (RFC 3261 §13.2.2.4): no transaction of its own.
    pub(crate) fn put_ack(&mut self, handle: Handle, cseq: u32, content: &Content<'_>, out: &mut Output) -> Span {
        let branch = self.tokens.next();
        let credentials = self.dialogs.get(handle).and_then(|dialog| dialog.credentials.as_deref());
        let lines = credentials.unwrap_or_default().to_vec();
        let mark = out.mark();
        if let Some(dialog) = self.dialogs.get(handle) {
            self.put_in_dialog(dialog, Method::Ack, cseq, branch.as_str(), &lines, content, out.arena());
        }
        out.span_from(mark)
    }

    /// Opens a transaction for a request whose bytes are written, and sends it.
    pub(crate) fn open_client(
        &mut self,
        now: Instant,
        opening: Opening,
        bytes: Span,
        out: &mut Output,
    ) -> Option<Handle> {
        let timers = &self.config.timers;
        let reliable = opening.flow.transport.is_reliable();
        // The first action of both machines is to send.
        let machine = if opening.kind.is_invite() {
            ClientMachine::Invite(InviteClient::start(now, timers, reliable, &mut Actions::default()))
        } else {
            ClientMachine::Other(NonInviteClient::start(now, timers, reliable, &mut Actions::default()))
        };
        let transaction = ClientTransaction {
            machine,
            kind: opening.kind,
            purpose: opening.purpose,
            key: opening.key,
            flow: opening.flow,
            dialog: opening.dialog,
            account: opening.account,
            bytes: out.bytes(bytes).into(),
            cseq: opening.cseq,
            has_body: opening.has_body,
            is_answered: false,
            retry_count: opening.retry_count,
            retry_at: None,
            cancel: Cancel::No,
            cancel_lines: Box::default(),
            dispatch: opening.dispatch,
            copies_left: self.copies_allowed(now, &opening),
            ring_until: now + timers.ring_limit,
            alarm: Alarm::default(),
        };
        let handle = self.clients.insert(transaction).ok()?;
        self.client_index.insert(opening.key, handle);
        if opening.dispatch != Dispatch::Waiting {
            out.send(opening.flow, bytes);
        }
        self.settle_client(handle);
        Some(handle)
    }

    /// A request to a caller that has shown nothing yet goes out once: its source may be forged.
    fn copies_allowed(&self, now: Instant, opening: &Opening) -> u8 {
        let is_open = |dialog: Handle| self.is_unacknowledged(dialog);
        let is_of_stranger = opening.dialog.is_some_and(is_open) && !self.is_proven(now, &opening.flow);
        if is_of_stranger { 0 } else { u8::MAX }
    }

    /// Gives the machine an input; says whether its user has to hear of it.
    pub(crate) fn drive_client(
        &mut self,
        now: Instant,
        handle: Handle,
        input: ClientInput,
        response: Option<&Message<'_>>,
        out: &mut Output,
    ) -> Heard {
        let Some(transaction) = self.clients.get_mut(handle) else { return Heard::Nothing };
        let timers = &self.config.timers;
        let mut heard = Heard::Nothing;
        let (flow, dispatch) = (transaction.flow, transaction.dispatch);
        let repeat = |bytes: &[u8], out: &mut Output| {
            if dispatch != Dispatch::Waiting {
                out.send_copy(flow, bytes);
            }
        };
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let mut actions = Actions::default();
                let input = match input {
                    ClientInput::Response(status) => InviteClientInput::Response(status),
                    ClientInput::Deadline => InviteClientInput::Deadline,
                };
                machine.handle(now, timers, input, &mut actions);
                for action in actions {
                    match action {
                        InviteClientAction::Send => repeat(&transaction.bytes, out),
                        InviteClientAction::Deliver => heard = Heard::Response,
                        InviteClientAction::GiveUp => heard = Heard::Timeout,
                        InviteClientAction::Ack => {
                            let to = response.and_then(|response| response.header(sip_wire::Name::To));
                            let mark = out.mark();
                            crate::derive::put_ack(&transaction.bytes, to, out.arena());
                            let span = out.span_from(mark);
                            out.send(transaction.flow, span);
                        }
                    }
                }
            }
            ClientMachine::Other(machine) => {
                let mut actions = Actions::default();
                let input = match input {
                    ClientInput::Response(status) => NonInviteClientInput::Response(status),
                    ClientInput::Deadline => NonInviteClientInput::Deadline,
                };
                machine.handle(now, timers, input, &mut actions);
                for action in actions {
                    match action {
                        NonInviteClientAction::Send if transaction.copies_left == 0 => {}
                        NonInviteClientAction::Send => {
                            transaction.copies_left -= 1;
                            repeat(&transaction.bytes, out);
                        }
                        NonInviteClientAction::Deliver => heard = Heard::Response,
                        NonInviteClientAction::GiveUp => heard = Heard::Timeout,
                    }
                }
            }
        }
        heard
    }

    /// Forgets a transaction that is over, or sees to its deadline.
    pub(crate) fn settle_client(&mut self, handle: Handle) {
        let Some(transaction) = self.clients.get_mut(handle) else { return };
        if transaction.machine.is_terminated() && transaction.retry_at.is_none() {
            return self.forget_client(handle);
        }
        let deadline = transaction.deadline();
        self.timers.arm(&mut transaction.alarm, Owner::Client(handle), deadline);
    }

    pub(crate) fn forget_client(&mut self, handle: Handle) {
        let Some(transaction) = self.clients.remove(handle) else { return };
        self.client_index.remove(&transaction.key);
        if let Purpose::Call(call) = transaction.purpose {
            self.forget_call(call, handle);
        }
    }

    /// A dialog in which the user may send.
    pub(crate) fn open_dialog(&self, handle: Handle) -> Result<&crate::dialog::Dialog, Refused> {
        let dialog = self.dialogs.get(handle).ok_or(Refused::Gone)?;
        let is_ending = dialog.state == State::Terminating || dialog.late_bye.is_some();
        if is_ending { Err(Refused::WrongState) } else { Ok(dialog) }
    }
}

/// What a client transaction's user has to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Nothing,
    Response,
    Timeout,
}
