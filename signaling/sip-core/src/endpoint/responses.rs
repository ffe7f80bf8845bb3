//! Responses to requests of ours (RFC 3261 §17.1.3, §8.1.3), and what they mean for the dialog (§12.2.1.2).

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::dialog::State;
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::dialogs::path::NewTarget;
use crate::endpoint::requests::{Kind, Purpose};
use crate::event::{Cause, ClientRequestId, DialogId, Event};
use crate::message::incoming::target_in;
use crate::output::{Output, Span};
use crate::table::slab::Handle;
use crate::transactions::{ClientInput, Heard, Matched};
use clock::{Duration, Instant};
use sip_wire::{Message, Name};

/// What has become of a request of ours: a response to it, or its end without one.
#[derive(Clone, Copy)]
pub(crate) struct Outcome<'a, 'm> {
    pub(crate) now: Instant,
    /// The client transaction.
    pub(crate) transaction: Handle,
    pub(crate) heard: Heard,
    /// Of the response, or the one that stands for its absence: 408, 487, 503.
    pub(crate) status: u16,
    pub(crate) message: Option<&'m Message<'a>>,
}

impl Outcome<'_, '_> {
    /// No response has come, and none will.
    pub(crate) const fn without_response(now: Instant, transaction: Handle, status: u16) -> Self {
        Self { now, transaction, heard: Heard::Timeout, status, message: None }
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// How often one request is repeated after 401, 407, 422 and 491 before its user hears of it.
const RETRIES_MAX_COUNT: u8 = 5;

impl Endpoint {
    pub(crate) fn receive_response(&mut self, now: Instant, message: &Message<'_>, out: &mut Output) {
        let Some(status) = message.status() else { return };
        let handle = match self.transactions.match_response(now, message) {
            Matched::Client(handle) => handle,
            Matched::Broken(handle) => return self.unusable_answer(now, handle, message, out),
            Matched::Nothing => return,
        };
        let dialog = self.transactions.clients.get(handle).and_then(|sent| sent.dialog);
        if let Some(dialog) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            dialog.is_proved();
        }
        let status = status.code();
        let heard = self.transactions.drive_client(now, handle, ClientInput::Response(status, message), out);
        self.hear(&Outcome { now, transaction: handle, heard, status, message: Some(message) }, out);
        self.settle_client(handle);
    }

    /// Tells the one who sent the request.
    pub(crate) fn hear(&mut self, outcome: &Outcome<'_, '_>, out: &mut Output) {
        let Outcome { now, transaction: handle, heard, status, message } = *outcome;
        if heard == Heard::Nothing {
            return;
        }
        if let Some(message) = message
            && status >= 300
            && self.try_again(outcome, message, out)
        {
            return;
        }
        if let Some(message) = message.filter(|_| outcome.is_success()) {
            self.take_next_nonce(handle, message);
        }
        let Some(transaction) = self.transactions.clients.get(handle) else { return };
        let (purpose, dialog) = (transaction.purpose, transaction.dialog);
        match purpose {
            Purpose::Call(call) => self.hear_call(outcome, call, out),
            Purpose::Nobody => {}
            Purpose::Bye if status >= 200 => self.hear_bye(now, dialog, message, out),
            Purpose::Bye => {}
            Purpose::User(number) => self.hear_in_dialog(outcome, Some(number), out),
            Purpose::Refresh => self.hear_in_dialog(outcome, None, out),
            Purpose::Subscription(subscription, number) => self.hear_subscribe(outcome, subscription, number, out),
            Purpose::Notify(subscription, number) => self.hear_notify(outcome, subscription, number, out),
        }
    }

    fn hear_bye(&mut self, now: Instant, dialog: Option<Handle>, message: Option<&Message<'_>>, out: &mut Output) {
        let Some(dialog) = dialog else { return };
        let Some(cause) = self.dialogs.get(dialog).map(|dialog| dialog.ending) else { return };
        let message = message.map(|message| Self::keep(message, out));
        self.end_dialog(now, dialog, Ending { cause, message }, out);
    }

    /// A response to a request of the user, or to a session refresh of ours (`number` is `None` then).
    pub(crate) fn hear_in_dialog(&mut self, outcome: &Outcome<'_, '_>, number: Option<u64>, out: &mut Output) {
        let Outcome { transaction: handle, status, message, .. } = *outcome;
        let Some(transaction) = self.transactions.clients.get_mut(handle) else { return };
        let is_again = status >= 200 && std::mem::replace(&mut transaction.is_answered, status >= 200);
        let (kind, cseq, has_body, dialog) =
            (transaction.kind, transaction.cseq, transaction.has_body, transaction.dialog);
        if let (Some(dialog), Some(message), Kind::Reinvite, ..200) = (dialog, message, kind, status)
            && self.take_reliable(outcome, dialog, message, out) == crate::endpoint::calls::reliable::Taken::Again
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
            dialog.in_flight.close(kind, has_body);
            if status < 300 && kind.refreshes() {
                let credentials = self.credentials_of(handle);
                if let Some(dialog) = self.dialogs.get_mut(dialog_handle).filter(|_| kind == Kind::Reinvite) {
                    dialog.ack.credentials = credentials;
                }
                wants_ack = self.refreshed(outcome, dialog_handle, out);
            }
        }
        let told = message.map(|message| Self::keep(message, out));
        if let Some(number) = number {
            let dialog = dialog.map(DialogId);
            out.event(Event::Response { request: ClientRequestId(number), dialog, status, message: told, wants_ack });
        }
        if let Some(dialog) = dialog {
            self.judge(outcome, dialog, told, out);
        }
    }

    /// A 2xx to our re-INVITE or UPDATE: target and session timer move; says whether the user owes the ACK.
    fn refreshed(&mut self, outcome: &Outcome<'_, '_>, handle: Handle, out: &mut Output) -> bool {
        let Outcome { now, transaction, message: Some(message), .. } = *outcome else { return false };
        let Some(sent) = self.transactions.clients.get(transaction) else { return false };
        let (kind, cseq, has_body, origin) = (sent.kind, sent.cseq, sent.has_body, Origin::answered(sent.flow));
        if let Some(uri) = target_in(message) {
            self.retarget(now, handle, &NewTarget { uri: Some(uri), origin: &origin }, out);
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
            self.send_ack(now, handle, &Content::NONE, out);
        }
        !has_body && !by_prack
    }

    /// RFC 3261 §12.2.1.2 and RFC 5057 §5.1: a peer that does not know the dialog any more ends it; one that does not
    /// answer a re-INVITE or a refresh is told BYE.
    fn judge(&mut self, outcome: &Outcome<'_, '_>, handle: Handle, message: Option<Span>, out: &mut Output) {
        let Outcome { now, transaction, status, .. } = *outcome;
        let Some(dialog) = self.dialogs.get(handle) else { return };
        if dialog.state != State::Confirmed || !dialog.has_session {
            return;
        }
        match status {
            491 | 503 | 504 => self.retry_refresh(now, handle, transaction),
            500 if outcome.message.is_some_and(|message| message.has(Name::RetryAfter)) => {
                self.retry_refresh(now, handle, transaction);
            }
            481 => self.end_dialog(now, handle, Ending { cause: Cause::Lost(481), message }, out),
            408 if self.transactions.clients.get(transaction).is_some_and(|sent| sent.kind.refreshes()) => {
                self.end_with_bye(now, handle, Cause::Lost(408), out)
            }
            _ => {}
        }
    }

    /// Repeats a request that the answer asks to repeat: with credentials, a longer session interval, or later.
    fn try_again(&mut self, outcome: &Outcome<'_, '_>, message: &Message<'_>, out: &mut Output) -> bool {
        let Outcome { now, transaction: handle, status, .. } = *outcome;
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
        let (kind, has_body) = (transaction.kind, transaction.has_body);
        let Some(dialog_handle) = transaction.dialog else { return false };
        let Some(dialog) = self.dialogs.get_mut(dialog_handle).filter(|dialog| !dialog.in_flight.passes_glare) else {
            return false;
        };
        dialog.in_flight.close(kind, has_body);
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
        // An UPDATE without an offer disturbs no other change.
        let is_change = transaction.kind == Kind::Reinvite || transaction.has_body;
        let is_free = dialog
            .is_some_and(|dialog| self.open_dialog(dialog).is_ok() && !(is_change && self.is_negotiating(dialog)));
        let lines = self.credentials_anew(handle);
        if is_free && self.send_again(now, handle, &lines, out) {
            return;
        }
        // The peer was faster, or the dialog has ended.
        if let Some(dialog) = dialog {
            self.retry_refresh(now, dialog, handle);
        }
        if let Some(transaction) = self.transactions.clients.get_mut(handle) {
            transaction.purpose = Purpose::Nobody;
        }
        if let Purpose::User(number) = purpose {
            let (request, dialog) = (ClientRequestId(number), dialog.map(DialogId));
            out.event(Event::Response { request, dialog, status: 491, message: None, wants_ack: false });
        }
    }
}
