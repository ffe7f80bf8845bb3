//! Responses to requests of ours (RFC 3261 §17.1.3, §8.1.3), and what they mean for the dialog (§12.2.1.2).

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::dialog::State;
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::requests::{Kind, Purpose};
use crate::event::{Cause, ClientRequestId, DialogId, Event};
use crate::output::Output;
use crate::table::slab::Handle;
use crate::transactions::{ClientInput, Heard, Matched};
use clock::{Duration, Instant};
use sip_wire::Message;

/// How often one request is repeated after 401, 407, 422 and 491 before its user hears of it.
const RETRIES_MAX_COUNT: u8 = 5;

impl Endpoint {
    pub(crate) fn receive_response(&mut self, now: Instant, message: &Message<'_>, out: &mut Output) {
        let Some(status) = message.status() else { return };
        let handle = match self.transactions.match_response(now, message) {
            Matched::Client(handle) => handle,
            Matched::Broken(handle) => return self.unusable_answer(now, handle, status.code(), message, out),
            Matched::Nothing => return,
        };
        let dialog = self.transactions.clients.get(handle).and_then(|sent| sent.dialog);
        if let Some(dialog) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            dialog.is_proved();
        }
        let heard = self.transactions.drive_client(now, handle, ClientInput::Response(status.code(), message), out);
        self.hear(now, handle, heard, status.code(), Some(message), out);
        self.settle_client(handle);
    }

    /// Tells the one who sent the request.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        handle: Handle,
        heard: Heard,
        status: u16,
        message: Option<&Message<'_>>,
        out: &mut Output,
    ) {
        if heard == Heard::Nothing {
            return;
        }
        if let Some(message) = message
            && status >= 300
            && self.try_again(now, handle, status, message, out)
        {
            return;
        }
        if let Some(message) = message.filter(|_| (200..300).contains(&status)) {
            self.take_next_nonce(handle, message);
        }
        let Some(transaction) = self.transactions.clients.get(handle) else { return };
        let (purpose, dialog) = (transaction.purpose, transaction.dialog);
        match purpose {
            Purpose::Call(call) => self.hear_call(now, handle, call, heard, status, message, out),
            Purpose::Nobody => {}
            Purpose::Bye if status >= 200 => self.hear_bye(now, dialog, message, out),
            Purpose::Bye => {}
            Purpose::User(number) => self.hear_in_dialog(now, handle, Some(number), status, message, out),
            Purpose::Refresh => self.hear_in_dialog(now, handle, None, status, message, out),
            Purpose::Subscription(subscription, number) => {
                self.hear_subscribe(now, handle, subscription, number, status, message, out);
            }
            Purpose::Notify(subscription, number) => {
                self.hear_notify(now, handle, subscription, number, status, message, out);
            }
        }
    }

    fn hear_bye(&mut self, now: Instant, dialog: Option<Handle>, message: Option<&Message<'_>>, out: &mut Output) {
        let Some(dialog) = dialog else { return };
        let Some(cause) = self.dialogs.get(dialog).map(|dialog| dialog.ending) else { return };
        let message = message.map(|message| Self::keep(message, out));
        self.end_dialog(now, dialog, cause, message, out);
    }

    /// A response to a request of the user, or to a session refresh of ours (`number` is `None` then).
    pub(crate) fn hear_in_dialog(
        &mut self,
        now: Instant,
        handle: Handle,
        number: Option<u64>,
        status: u16,
        message: Option<&Message<'_>>,
        out: &mut Output,
    ) {
        let Some(transaction) = self.transactions.clients.get_mut(handle) else { return };
        let is_again = status >= 200 && std::mem::replace(&mut transaction.is_answered, status >= 200);
        let (kind, cseq, has_body, dialog, flow) =
            (transaction.kind, transaction.cseq, transaction.has_body, transaction.dialog, transaction.flow);
        if let (Some(dialog), Some(message), Kind::Reinvite, ..200) = (dialog, message, kind, status)
            && self.take_reliable(now, handle, dialog, message, out) == crate::endpoint::calls::reliable::Taken::Again
        {
            return;
        }
        if is_again {
            // A copy of the 2xx to a re-INVITE: our ACK was lost.
            if let Some(dialog) = dialog
                && self.dialogs.get(dialog).is_some_and(|open| open.ack.invite_cseq == cseq)
            {
                self.repeat_ack(dialog, out);
            }
            return;
        }
        let mut wants_ack = false;
        if let Some(dialog_handle) = dialog.filter(|_| status >= 200)
            && let Some(dialog) = self.dialogs.get_mut(dialog_handle)
        {
            match kind {
                Kind::Reinvite => dialog.in_flight.client_invite = None,
                Kind::Update if has_body => dialog.in_flight.client_update = false,
                _ => {}
            }
            if status < 300 && kind.refreshes() {
                let credentials = self.credentials_of(handle);
                if let Some(dialog) = self.dialogs.get_mut(dialog_handle).filter(|_| kind == Kind::Reinvite) {
                    dialog.ack.credentials = credentials;
                }
                wants_ack =
                    self.refreshed(now, dialog_handle, kind, cseq, has_body, &Origin::answered(flow), message, out);
            }
        }
        let told = message.map(|message| Self::keep(message, out));
        if let Some(number) = number {
            let dialog = dialog.map(DialogId);
            out.event(Event::Response { request: ClientRequestId(number), dialog, status, message: told, wants_ack });
        }
        if let Some(dialog) = dialog {
            self.judge(now, dialog, kind, status, told, out);
        }
    }

    /// A 2xx to our re-INVITE or UPDATE: target and session timer move; says whether the user owes the ACK.
    fn refreshed(
        &mut self,
        now: Instant,
        handle: Handle,
        kind: Kind,
        cseq: u32,
        has_body: bool,
        origin: &Origin,
        message: Option<&Message<'_>>,
        out: &mut Output,
    ) -> bool {
        let Some(message) = message else { return false };
        if let Ok(Some(contact)) = message.contact() {
            self.retarget(now, handle, Some(contact.uri.as_bytes()), origin, out);
        }
        let Some(dialog) = self.dialogs.get_mut(handle) else { return false };
        let by_prack = dialog.ack.answered_by_prack;
        if kind == Kind::Reinvite {
            dialog.ack.invite_cseq = cseq;
            dialog.ack.request = None;
            dialog.ack.is_owed = true;
        }
        self.take_session_timer(now, handle, message);
        if kind != Kind::Reinvite {
            return false;
        }
        if has_body || by_prack {
            self.send_ack(now, handle, cseq, &Content::NONE, out);
        }
        !has_body && !by_prack
    }

    /// RFC 3261 §12.2.1.2 and RFC 5057 §5.1: a peer that does not know the dialog any more ends it; one that does not
    /// answer a re-INVITE or a refresh is told BYE.
    fn judge(
        &mut self,
        now: Instant,
        handle: Handle,
        kind: Kind,
        status: u16,
        message: Option<crate::output::Span>,
        out: &mut Output,
    ) {
        let Some(dialog) = self.dialogs.get(handle) else { return };
        if dialog.state != State::Confirmed || !dialog.has_session {
            return;
        }
        match status {
            481 => self.end_dialog(now, handle, Cause::Lost(481), message, out),
            408 if kind.refreshes() => self.end_with_bye(now, handle, Cause::Lost(408), out),
            _ => {}
        }
    }

    /// Repeats a request that the answer asks to repeat: with credentials, a longer session interval, or later.
    fn try_again(
        &mut self,
        now: Instant,
        handle: Handle,
        status: u16,
        message: &Message<'_>,
        out: &mut Output,
    ) -> bool {
        let Some(transaction) = self.transactions.clients.get(handle) else { return false };
        let is_cancelled = match transaction.purpose {
            Purpose::Call(call) => self.calls.get(call.0).is_none_or(|call| call.ended_by_us.is_some()),
            Purpose::Nobody => true,
            _ => false,
        };
        if is_cancelled || transaction.retry_count >= RETRIES_MAX_COUNT {
            return false;
        }
        match status {
            401 | 407 => match self.credentials_for(handle, message) {
                Some(lines) => self.send_again(now, handle, &lines, out),
                None => false,
            },
            422 => match message.min_se() {
                Ok(Some(min_se)) => {
                    let mut lines = self.credentials_anew(handle);
                    crate::message::compose::put_number_line(&mut lines, b"Session-Expires", min_se.into());
                    crate::message::compose::put_number_line(&mut lines, b"Min-SE", min_se.into());
                    self.send_again(now, handle, &lines, out)
                }
                _ => false,
            },
            491 if matches!(transaction.kind, Kind::Reinvite | Kind::Update) => self.later(now, handle),
            _ => false,
        }
    }

    /// RFC 3261 §14.1: the caller waits 2.1 to 4 s, the callee up to 2 s, in steps of 10 ms.
    fn later(&mut self, now: Instant, handle: Handle) -> bool {
        let Some(transaction) = self.transactions.clients.get(handle) else { return false };
        let Some(dialog_handle) = transaction.dialog else { return false };
        let Some(dialog) = self.dialogs.get_mut(dialog_handle).filter(|dialog| !dialog.in_flight.passes_glare) else {
            return false;
        };
        dialog.in_flight.client_invite = None;
        dialog.in_flight.client_update = false;
        let steps = if dialog.is_caller {
            210 + self.transactions.tokens.below(191)
        } else {
            self.transactions.tokens.below(201)
        };
        if let Some(transaction) = self.transactions.clients.get_mut(handle) {
            transaction.retry_at = Some(now + Duration::from_millis(10 * steps));
        }
        true
    }

    /// The pause after a 491 is over.
    pub(crate) fn try_later(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.transactions.clients.get_mut(handle) else { return };
        transaction.retry_at = None;
        let (purpose, dialog) = (transaction.purpose, transaction.dialog);
        let is_free = dialog.is_some_and(|dialog| self.open_dialog(dialog).is_ok() && !self.is_negotiating(dialog));
        let lines = self.credentials_anew(handle);
        if is_free && self.send_again(now, handle, &lines, out) {
            return;
        }
        // The peer was faster, or the dialog has ended.
        if let Some(transaction) = self.transactions.clients.get_mut(handle) {
            transaction.purpose = Purpose::Nobody;
        }
        if let Purpose::User(number) = purpose {
            let (request, dialog) = (ClientRequestId(number), dialog.map(DialogId));
            out.event(Event::Response { request, dialog, status: 491, message: None, wants_ack: false });
        }
    }
}
