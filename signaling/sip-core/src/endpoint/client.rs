//! Client transactions: requests written, driven, repeated, forgotten.

use crate::auth::Sending;
use crate::content::{Content, Refused};
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::dialog::{Dialog, State};
use crate::endpoint::requests::{Dispatch, Kind, Purpose, Sent};
use crate::flow::Flow;
use crate::message::compose::{put, put_contact, put_content, put_cseq, put_via};
use crate::output::{Output, Span};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::table::token::Token;
use crate::transactions::Opening;
use clock::Instant;
use sip_wire::Method;

/// A request to be written inside a dialog.
#[derive(Clone, Copy)]
pub(crate) struct InDialog<'a> {
    pub(crate) method: Method,
    pub(crate) purpose: Purpose,
    /// Complete header lines.
    pub(crate) lines: &'a [u8],
    pub(crate) content: &'a Content<'a>,
}

/// A request that has been written.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) key: Key,
    pub(crate) flow: Flow,
    pub(crate) bytes: Span,
}

impl InDialog<'static> {
    /// A request without header lines and body of its own, to whose responses nothing listens.
    pub(crate) const fn plain(method: Method) -> Self {
        Self { method, purpose: Purpose::Nobody, lines: b"", content: &Content::NONE }
    }
}

impl Endpoint {
    pub(crate) fn client_key(&self, branch: &[u8], method: Method) -> Key {
        self.transactions.client_key(branch, method.as_bytes())
    }

    /// Writes and sends a request inside a dialog (RFC 3261 §12.2.1.1).
    pub(crate) fn send_in_dialog(
        &mut self,
        now: Instant,
        handle: Handle,
        request: &InDialog<'_>,
        out: &mut Output,
    ) -> Result<Handle, Refused> {
        let InDialog { method, purpose, lines, content } = *request;
        if self.transactions.clients.is_full() {
            return Err(Refused::Full);
        }
        let dialog = self.dialogs.get_mut(handle).ok_or(Refused::Gone)?;
        let cseq = dialog.sequence.next_local();
        let (flow, account) = (dialog.route.flow, dialog.user.account);
        let dispatch = self.dispatch(handle, out);
        let branch = self.transactions.tokens.next();
        let known = self.in_dialog_with_credentials(handle, method, lines, content.body);
        let mark = out.mark();
        let request = InDialog { lines: known.as_deref().unwrap_or(lines), ..*request };
        let dialog = self.dialogs.get(handle).ok_or(Refused::Gone)?;
        self.put_in_dialog(dialog, &request, (cseq, &branch), out.arena());
        let span = out.span_from(mark);
        let sent = Sent {
            dialog: Some(handle),
            account,
            has_body: !content.body.is_empty(),
            dispatch,
            ..Sent::new(Kind::of(method, true), purpose, cseq)
        };
        let key = self.client_key(branch.as_str().as_bytes(), method);
        let transaction = self.open_client(now, sent, Written { key, flow, bytes: span }, out).ok_or(Refused::Full)?;
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
        let account = self.accounts.get_mut(dialog.user.account?.0).filter(|account| account.has_known())?;
        let uri = dialog.route.set.request_uri(&dialog.route.target);
        let sending = Sending { remote: dialog.route.flow.remote, method: method.as_bytes(), uri, body };
        let mut all = lines.to_vec();
        account.put_known(&sending, &mut all);
        Some(all)
    }

    /// The bytes of a request inside a dialog.
    pub(crate) fn put_in_dialog(
        &self,
        dialog: &Dialog,
        request: &InDialog<'_>,
        (cseq, branch): (u32, &Token),
        arena: &mut Vec<u8>,
    ) {
        let InDialog { method, lines, content, .. } = *request;
        put(arena, &[method.as_bytes(), b" ", dialog.route.set.request_uri(&dialog.route.target), b" SIP/2.0\r\n"]);
        put_via(arena, &self.config, &dialog.route.flow, branch.as_str());
        put_cseq(arena, cseq, method.as_bytes());
        put(arena, &[b"Max-Forwards: 70\r\nFrom: ", dialog.identity.local(), b"\r\nTo: ", dialog.identity.remote()]);
        put(arena, &[b"\r\nCall-ID: ", dialog.identity.call_id(), b"\r\n"]);
        dialog.route.set.write(&dialog.route.target, arena);
        let shows_contact =
            matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Refer | Method::Notify);
        if shows_contact && !content.has("Contact") {
            put_contact(
                arena,
                &self.config,
                &dialog.route.flow,
                crate::message::compose::is_sips(&dialog.route.target),
            );
        }
        if matches!(method, Method::Invite | Method::Update) {
            put(arena, &[&self.lines.allow, &self.lines.supported]);
        }
        put(arena, &[lines, &self.lines.user_agent]);
        put_content(arena, content);
    }

    /// The ACK for a 2xx (RFC 3261 §13.2.2.4): no transaction of its own.
    pub(crate) fn put_ack(&mut self, handle: Handle, content: &Content<'_>, out: &mut Output) -> Span {
        let branch = self.transactions.tokens.next();
        let credentials = self.dialogs.get(handle).and_then(|dialog| dialog.ack.credentials.as_deref());
        let lines = credentials.unwrap_or_default().to_vec();
        let mark = out.mark();
        if let Some(dialog) = self.dialogs.get(handle) {
            let request = InDialog { method: Method::Ack, purpose: Purpose::Nobody, lines: &lines, content };
            self.put_in_dialog(dialog, &request, (dialog.ack.invite_cseq, &branch), out.arena());
        }
        out.span_from(mark)
    }

    /// Opens a transaction for a request whose bytes are written, and sends it.
    pub(crate) fn open_client(
        &mut self,
        now: Instant,
        sent: Sent,
        Written { key, flow, bytes }: Written,
        out: &mut Output,
    ) -> Option<Handle> {
        let (is_invite, copies_left) = (sent.kind.is_invite(), self.copies_allowed(now, &flow, sent.dialog));
        self.transactions.open_client(now, Opening { key, flow, is_invite, copies_left, user: sent }, bytes, out)
    }

    /// A request to a caller that has shown nothing yet goes out once: its source may be forged.
    fn copies_allowed(&self, now: Instant, flow: &Flow, dialog: Option<Handle>) -> u8 {
        let is_open = |dialog: Handle| self.is_unacknowledged(dialog);
        let is_of_stranger = dialog.is_some_and(is_open) && !self.is_proven(now, flow);
        if is_of_stranger { 0 } else { u8::MAX }
    }

    /// CANCEL now if a provisional response came, else as soon as one does (RFC 3261 §9.1).
    pub(crate) fn cancel_client(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        self.transactions.cancel_client(now, handle, Sent::cancel, out);
    }

    /// Forgets a transaction that is over, or sees to its deadline.
    pub(crate) fn settle_client(&mut self, handle: Handle) {
        if self.transactions.settle_client(handle) {
            self.forget_client(handle);
        }
    }

    fn forget_client(&mut self, handle: Handle) {
        let Some(transaction) = self.transactions.forget_client(handle) else { return };
        if let Purpose::Call(call) = transaction.purpose {
            self.forget_call(call, handle);
        }
    }

    /// A dialog in which the user may send.
    pub(crate) fn open_dialog(&self, handle: Handle) -> Result<&crate::endpoint::dialogs::dialog::Dialog, Refused> {
        let dialog = self.dialogs.get(handle).ok_or(Refused::Gone)?;
        let is_ending = dialog.state == State::Terminating || dialog.in_flight.late_bye.is_some();
        if is_ending { Err(Refused::WrongState) } else { Ok(dialog) }
    }
}
