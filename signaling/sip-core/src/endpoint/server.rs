//! Server transactions of the endpoint: what is kept of a request, its responses, and what follows when nobody answers or
//! acknowledges.

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::requests::{Asked, Kind, Received};
use crate::event::{Cause, Event};
use crate::message::compose::{put, put_content, put_status_line};
use crate::message::incoming::{Incoming, unfolded};
use crate::output::{Output, Span};
use crate::table::slab::Handle;
use crate::transactions::quota::Caller;
use crate::transactions::{Consequence, Drive, ServerInput};
use clock::Instant;

/// A response to be written.
#[derive(Clone, Copy)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// Empty: the reason phrase of the status.
    pub(crate) reason: &'a str,
    /// Complete header lines.
    pub(crate) lines: &'a [u8],
    pub(crate) content: &'a Content<'a>,
}

impl Response<'static> {
    /// A response that says its status and nothing else.
    pub(crate) const fn of(status: u16) -> Self {
        Self { status, reason: "", lines: b"", content: &Content::NONE }
    }
}

impl Endpoint {
    /// Opens a transaction for a request; `None` when the table is full (the request has been refused then).
    pub(crate) fn open_server(&mut self, inc: &Incoming<'_, '_>, to_tag: &str, out: &mut Output) -> Option<Handle> {
        if !self.make_room_for(inc) {
            self.transactions.refuse_overload(inc, out);
            return None;
        }
        let kind = Kind::of(inc.method, inc.to_tag.is_some());
        let mut head = Vec::with_capacity(512);
        inc.put_head(inc.flow, to_tag, &mut head);
        let head_bytes = head.len().min(u16::MAX.into()) as u16;
        if inc.method.creates_dialog() {
            inc.put_record_route(&mut head);
        }
        let wish = match kind {
            Kind::Subscribe | Kind::Refer => self.wish(inc, to_tag).map(Box::new),
            _ => None,
        };
        let target = if kind.moves_target() { inc.contact_uri() } else { None };
        let moves_target = inc.to_tag.is_some() && kind.moves_target();
        let received = Received {
            kind,
            uri: (kind == Kind::Invite).then(|| inc.uri_key(&self.transactions.keyed)),
            head: head.into_boxed_slice(),
            head_bytes,
            dialog: None,
            target: target.map_or_else(Box::default, |uri| unfolded(uri).into()),
            origin: moves_target.then(|| Box::new(Origin::of(inc))),
            cseq: inc.cseq,
            asked: if kind.refreshes() { inc.asked() } else { Asked::default() },
            wish,
            unpracked: None,
            rseq: 0,
            caller: Caller::default(),
        };
        let handle = self.transactions.open_server(inc, received)?;
        self.note_source(handle, inc);
        self.recount(handle);
        Some(handle)
    }

    /// Gives the machine an input that brings no response with it.
    pub(crate) fn drive_server(&mut self, now: Instant, handle: Handle, input: ServerInput, out: &mut Output) {
        self.drive_server_with(now, handle, (input, None), out);
    }

    /// Gives the machine an input. `fresh` is the response that has just been written.
    fn drive_server_with(
        &mut self,
        now: Instant,
        handle: Handle,
        (input, fresh): (ServerInput, Option<Span>),
        out: &mut Output,
    ) {
        let is_proven = self.may_repeat(now, handle);
        let consequence = self.transactions.drive_server(now, handle, Drive { input, fresh, is_proven }, out);
        if consequence == Consequence::WantsTrying
            && let Some(transaction) = self.transactions.servers.get(handle)
        {
            let mark = out.mark();
            put_status_line(out.arena(), 100, "");
            put(out.arena(), &[transaction.head.get(..transaction.head_bytes.into()).unwrap_or_default()]);
            put_content(out.arena(), &Content::NONE);
            let span = out.span_from(mark);
            self.transactions.send_trying(handle, span, is_proven, out);
        }
        let dialog = self.transactions.servers.get(handle).and_then(|transaction| transaction.dialog);
        self.settle_server(handle);
        match (consequence, dialog) {
            (Consequence::Unanswered, _) => self.give_up_invite(now, handle, out),
            (Consequence::NoAck, Some(dialog)) => self.never_acknowledged(now, dialog, handle, out),
            _ => {}
        }
    }

    /// Forgets a transaction that is over, or sees to its deadline.
    pub(crate) fn settle_server(&mut self, handle: Handle) {
        if !self.transactions.settle_server(handle) {
            return;
        }
        let Some(transaction) = self.transactions.servers.get(handle) else { return };
        let update_in = transaction.dialog.filter(|_| transaction.kind == Kind::Update);
        if let Some(dialog) = update_in.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            dialog.in_flight.server_update = false;
        }
        self.forget_server(handle);
    }

    /// Writes a response, keeps it for copies of the request, sends it.
    pub(crate) fn send_response(&mut self, now: Instant, handle: Handle, response: &Response<'_>, out: &mut Output) {
        let Response { status, reason, lines, content } = *response;
        let Some(transaction) = self.transactions.servers.get_mut(handle) else { return };
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
            self.note_answered(handle, status);
        }
        self.recount(handle);
        self.drive_server_with(now, handle, (ServerInput::Respond(status), Some(span)), out);
    }

    /// Nobody answered an INVITE within the ring limit (RFC 3261 §13.3.1.1: a 487 is for the caller; we say 480).
    fn give_up_invite(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        self.send_response(now, handle, &Response::of(480), out);
        self.invite_is_over(now, handle, Ending::by(Cause::Rejected(480)), out);
    }

    /// RFC 3261 §13.3.1.4: after 64*T1 without ACK the session ends with BYE, unless that were too much for a peer that has
    /// shown nothing. An unacknowledged refusal ends nothing.
    fn never_acknowledged(&mut self, now: Instant, dialog: Handle, transaction: Handle, out: &mut Output) {
        let is_open =
            self.dialogs.get(dialog).is_some_and(|dialog| dialog.in_flight.server_invite == Some(transaction));
        if !is_open {
            return;
        }
        let is_paid = self.may_repeat(now, transaction)
            // Our BYE is no larger than the 2xx.
            || self.transactions.servers.get(transaction).is_some_and(|open| open.budget.has_room(open.response.len()));
        if !is_paid {
            let is_wanted =
                self.dialogs.get_mut(dialog).is_some_and(|dialog| dialog.in_flight.late_bye.take().is_some());
            let cause = if is_wanted { Cause::LocalBye } else { Cause::NoAck };
            self.end_dialog(now, dialog, Ending::by(cause), out);
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
