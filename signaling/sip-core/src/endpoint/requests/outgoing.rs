//! Requests of the user: outside dialogs, and inside them.

use crate::auth::Sending;
use crate::content::{Content, Refused};
use crate::endpoint::client::{InDialog, Written};
use crate::endpoint::dialogs::dialog::State;
use crate::endpoint::requests::{Kind, Purpose, Sent};
use crate::endpoint::{Endpoint, NewRequest};
use crate::event::{ClientRequestId, DialogId};
use crate::message::compose::{put, put_contact, put_content, put_cseq, put_via};
use crate::output::{Output, Span};
use crate::table::slab::Handle;
use crate::table::token::Token;
use clock::Instant;
use sip_wire::Method;

/// A request of the user inside a dialog.
#[derive(Clone, Copy, Debug)]
pub struct DialogRequest<'a> {
    /// Its method.
    pub method: Method,
    /// Header fields and body.
    pub content: Content<'a>,
}

/// A request to be written outside dialogs.
#[derive(Clone, Copy)]
pub(crate) struct OutOfDialog<'a> {
    pub(crate) method: Method,
    pub(crate) purpose: Purpose,
    /// Complete header lines.
    pub(crate) lines: &'a [u8],
    pub(crate) request: &'a NewRequest<'a>,
}

/// What identifies a request outside dialogs that has been written.
pub(crate) struct Names {
    pub(crate) bytes: Span,
    pub(crate) branch: Token,
    pub(crate) tag: Token,
    pub(crate) call_id: Box<[u8]>,
}

impl Endpoint {
    /// Sends a request outside any dialog (not INVITE, ACK or CANCEL). [`Event::Response`](crate::Event::Response) follows.
    pub fn request(
        &mut self,
        now: Instant,
        method: Method,
        request: &NewRequest<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        if matches!(method, Method::Invite | Method::Ack | Method::Cancel | Method::Bye | Method::Prack) {
            return Err(Refused::WrongState);
        }
        let number = self.next_request_number();
        self.send_new(now, &OutOfDialog { method, purpose: Purpose::User(number), lines: b"", request }, out)?;
        Ok(ClientRequestId(number))
    }

    pub(crate) fn next_request_number(&mut self) -> u64 {
        self.request_count += 1;
        self.request_count
    }

    /// Writes and sends a request outside dialogs; gives its transaction and what identifies it.
    pub(crate) fn send_new(
        &mut self,
        now: Instant,
        new: &OutOfDialog<'_>,
        out: &mut Output,
    ) -> Result<(Handle, Names), Refused> {
        let OutOfDialog { method, purpose, lines, request } = *new;
        request.check()?;
        if self.transactions.clients.is_full() {
            return Err(Refused::Full);
        }
        let known = self.lines_with_credentials(method, request, lines);
        let names = self.put_new(method, request, known.as_deref().unwrap_or(lines), out);
        let sent = Sent {
            account: request.account,
            has_body: !request.content.body.is_empty(),
            ..Sent::new(Kind::of(method, false), purpose, request.first_cseq())
        };
        let key = self.client_key(names.branch.as_str().as_bytes(), method);
        let written = Written { key, flow: request.flow, bytes: names.bytes };
        let handle = self.open_client(now, sent, written, out).ok_or(Refused::Full)?;
        Ok((handle, names))
    }

    /// `None`: nothing is added.
    fn lines_with_credentials(&mut self, method: Method, request: &NewRequest<'_>, lines: &[u8]) -> Option<Vec<u8>> {
        let account = self.accounts.get_mut(request.account?.0).filter(|account| account.has_known())?;
        let (remote, uri, body) = (request.flow.remote, request.uri.as_bytes(), request.content.body);
        let mut all = lines.to_vec();
        let sending = Sending { remote, method: method.as_bytes(), uri, body };
        account.put_known(&sending, &mut all);
        Some(all)
    }

    fn put_new(&mut self, method: Method, request: &NewRequest<'_>, lines: &[u8], out: &mut Output) -> Names {
        let (branch, tag, fresh_id) =
            (self.transactions.tokens.next(), self.transactions.tokens.next(), self.transactions.tokens.next());
        let call_id: Box<[u8]> = request.call_id.unwrap_or(fresh_id.as_str()).as_bytes().into();
        let content = &request.content;
        let mark = out.mark();
        let arena = out.arena();
        put(arena, &[method.as_bytes(), b" ", request.uri.as_bytes(), b" SIP/2.0\r\n"]);
        put_via(arena, &self.config, &request.flow, branch.as_str());
        put_cseq(arena, request.first_cseq(), method.as_bytes());
        crate::message::compose::put_number_line(arena, b"Max-Forwards", request.max_forwards.into());
        put(arena, &[b"From: ", request.from.as_bytes(), b";tag=", tag.as_str().as_bytes()]);
        put(arena, &[b"\r\nTo: ", request.to.as_bytes(), b"\r\nCall-ID: ", &call_id, b"\r\n"]);
        for route in request.routes {
            put(arena, &[b"Route: ", route.as_bytes(), b"\r\n"]);
        }
        let shows_contact = matches!(method, Method::Invite | Method::Subscribe | Method::Refer | Method::Options);
        if shows_contact && !content.has("Contact") {
            let is_sips = crate::message::compose::is_sips(request.uri.as_bytes());
            put_contact(arena, &self.config, &request.flow, is_sips);
        }
        if matches!(method, Method::Invite | Method::Options) {
            put(arena, &[&self.lines.allow, &self.lines.supported]);
        }
        put(arena, &[lines, &self.lines.user_agent]);
        put_content(arena, content);
        Names { bytes: out.span_from(mark), branch, tag, call_id }
    }

    /// Sends a request inside a dialog: INFO, MESSAGE, OPTIONS, or one of the methods that have a function of their own.
    pub fn request_in(
        &mut self,
        now: Instant,
        dialog: DialogId,
        request: &DialogRequest<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        let DialogRequest { method, content } = *request;
        match method {
            Method::Invite => self.reinvite(now, dialog, content, out),
            Method::Update => self.update(now, dialog, content, out),
            Method::Ack | Method::Bye | Method::Cancel | Method::Prack | Method::Register => Err(Refused::WrongState),
            Method::Refer | Method::Notify | Method::Subscribe => Err(Refused::WrongState),
            _ => Ok(self
                .send_for_user(now, dialog.0, &InDialog { content: &content, ..InDialog::plain(method) }, out)?
                .0),
        }
    }

    /// INFO in a dialog (RFC 6086).
    pub fn info(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        self.request_in(now, dialog, &DialogRequest { method: Method::Info, content }, out)
    }

    /// MESSAGE in a dialog (RFC 3428).
    pub fn message(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        self.request_in(now, dialog, &DialogRequest { method: Method::Message, content }, out)
    }

    /// Sends a request whose responses are the user's to hear.
    fn send_for_user(
        &mut self,
        now: Instant,
        dialog: Handle,
        request: &InDialog<'_>,
        out: &mut Output,
    ) -> Result<(ClientRequestId, Handle), Refused> {
        request.content.check()?;
        self.open_dialog(dialog)?;
        let number = self.next_request_number();
        let purpose = Purpose::User(number);
        let handle = self.send_in_dialog(now, dialog, &InDialog { purpose, ..*request }, out)?;
        Ok((ClientRequestId(number), handle))
    }

    /// Sends a re-INVITE. A 491 is repeated after the pause that RFC 3261 §14.1 asks for before you hear of it.
    pub fn reinvite(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        if self.open_dialog(dialog.0)?.state != State::Confirmed {
            return Err(Refused::WrongState);
        }
        if self.is_negotiating(dialog.0) {
            return Err(Refused::Busy);
        }
        let lines = self.session_lines(dialog.0);
        let request = InDialog { lines: &lines, content: &content, ..InDialog::plain(Method::Invite) };
        let (id, handle) = self.send_for_user(now, dialog.0, &request, out)?;
        if let Some(dialog) = self.dialogs.get_mut(dialog.0) {
            (dialog.in_flight.client_invite, dialog.in_flight.passes_glare) = (Some(handle), false);
            dialog.sequence.remote_rseq = 0;
            dialog.ack.answered_by_prack = false;
        }
        Ok(id)
    }

    /// A re-INVITE that waits after a 491 is not sent again: the peer has made an offer meanwhile, which that one does not
    /// know of. No response is told.
    pub fn withdraw_reinvite(&mut self, request: ClientRequestId) {
        let is_it = |handle: &Handle| {
            let transaction = self.transactions.clients.get(*handle);
            transaction.is_some_and(|open| open.purpose == Purpose::User(request.0) && open.retry_at.is_some())
        };
        let Some(handle) = self.transactions.clients.handles().find(is_it) else { return };
        if let Some(transaction) = self.transactions.clients.get_mut(handle) {
            (transaction.purpose, transaction.retry_at) = (Purpose::Nobody, None);
        }
        self.settle_client(handle);
    }

    /// The re-INVITE that was sent last is one of another peer, such as the other side of a back-to-back user agent: a 491
    /// is handed up at once, and that peer waits (RFC 3261 §14.1).
    pub fn pass_glare_on(&mut self, dialog: DialogId) {
        if let Some(dialog) = self.dialogs.get_mut(dialog.0) {
            dialog.in_flight.passes_glare = true;
        }
    }

    /// Sends an UPDATE (RFC 3311), also in an early dialog.
    pub fn update(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<ClientRequestId, Refused> {
        let open = self.open_dialog(dialog.0)?;
        if !content.body.is_empty() && (open.in_flight.client_update || open.in_flight.server_update) {
            return Err(Refused::Busy);
        }
        if open.state == State::Confirmed && !content.body.is_empty() && self.is_negotiating(dialog.0) {
            return Err(Refused::Busy);
        }
        let lines = self.session_lines(dialog.0);
        let request = InDialog { lines: &lines, content: &content, ..InDialog::plain(Method::Update) };
        let (id, _) = self.send_for_user(now, dialog.0, &request, out)?;
        if !content.body.is_empty()
            && let Some(dialog) = self.dialogs.get_mut(dialog.0)
        {
            dialog.in_flight.client_update = true;
        }
        Ok(id)
    }

    /// Whether an offer of either side is open in a dialog (RFC 3261 §14.1).
    pub(crate) fn is_negotiating(&self, handle: Handle) -> bool {
        self.dialogs.get(handle).is_some_and(|dialog| {
            dialog.in_flight.client_invite.is_some()
                || dialog.ack.is_owed
                || dialog.in_flight.client_update
                || dialog.in_flight.server_update
                || dialog.in_flight.server_invite.is_some_and(|open| self.transactions.servers.get(open).is_some())
        })
    }
}
