//! Deadlines.

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::client::InDialog;
use crate::endpoint::dialogs::session_timer::Due as SessionDue;
use crate::endpoint::requests::Purpose;
use crate::endpoint::responses::Outcome;
use crate::event::{Cause, DialogId, Event};
use crate::output::Output;
use crate::table::deadlines::{Deadlines, Owner};
use crate::table::slab::Handle;
use crate::transactions::{Due, ServerInput};
use clock::Instant;
use sip_wire::Method;

impl Endpoint {
    /// Does everything that is due. Call it at [`deadline`](Self::deadline), or as soon after as possible.
    pub fn wake(&mut self, now: Instant, out: &mut Output) {
        while let Some((at, owner)) = self.transactions.deadlines.pop(now) {
            match owner {
                Owner::Server(handle) => self.wake_server(now, at, handle, out),
                Owner::Client(handle) => self.wake_client(now, at, handle, out),
                Owner::Dialog(handle) => self.wake_dialog(now, at, handle, out),
                Owner::Subscription(handle) => {
                    let Some(subscription) = self.subscriptions.get_mut(handle) else { continue };
                    if Deadlines::fired(&mut subscription.alarm, at) {
                        self.wake_subscription(now, handle, out);
                    }
                }
            }
        }
        self.sweep();
    }

    fn wake_server(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.transactions.servers.get_mut(handle) else { return };
        if !Deadlines::fired(&mut transaction.alarm, at) {
            return;
        }
        if transaction.machine.deadline().is_some_and(|deadline| deadline <= now) {
            self.drive_server(now, handle, ServerInput::Deadline, out);
        }
        self.wake_unpracked(now, handle, out);
        self.settle_server(handle);
    }

    fn wake_client(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut Output) {
        let Some(heard) = self.transactions.wake_client(now, at, handle, out) else { return };
        self.hear(&Outcome { heard, ..Outcome::without_response(now, handle, 408) }, out);
        self.wake_wishes(now, handle, out);
        self.settle_client(handle);
    }

    /// What a request of ours waits for beside its machine: the pause after a 491, the ring limit, the end of a CANCEL.
    fn wake_wishes(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.transactions.clients.get_mut(handle) else { return };
        if transaction.retry_at.is_some_and(|at| now >= at) {
            return self.try_later(now, handle, out);
        }
        let purpose = transaction.purpose;
        match self.transactions.ring_due(now, handle) {
            Due::Nothing => {}
            Due::CancelUnanswered => self.hear(&Outcome::without_response(now, handle, 487), out),
            Due::RingLimit => {
                if let Purpose::Call(call) = purpose
                    && let Some(call) = self.calls.get_mut(call.0)
                {
                    call.ended_by_us.get_or_insert(408);
                }
                self.cancel_client(now, handle, out);
            }
        }
    }

    fn wake_dialog(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut Output) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if !Deadlines::fired(&mut dialog.alarm, at) {
            return;
        }
        if dialog.ack.request.is_some() && now >= dialog.ack.until {
            dialog.ack.request = None;
        }
        let due = if dialog.state == crate::endpoint::dialogs::dialog::State::Confirmed {
            dialog.session.wake(now)
        } else {
            SessionDue::Nothing
        };
        match due {
            SessionDue::Nothing => {}
            SessionDue::Refresh => self.refresh_session(now, handle, out),
            SessionDue::Bye => self.end_with_bye(now, handle, Cause::SessionExpired, out),
        }
        self.arm_dialog(handle);
    }

    /// RFC 4028 §7.4: UPDATE where the peer takes it, as it needs no offer; the user makes the re-INVITE otherwise.
    fn refresh_session(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(dialog) = self.dialogs.get(handle) else { return };
        if dialog.peer_takes_update {
            let lines = self.session_lines(handle);
            let (method, purpose) = (Method::Update, Purpose::Refresh);
            let request = InDialog { method, purpose, lines: &lines, content: &Content::NONE };
            if self.send_in_dialog(now, handle, &request, out).is_err()
                && let Some(dialog) = self.dialogs.get_mut(handle)
            {
                dialog.session.retry(now); // a table is full
            }
            return;
        }
        // The re-INVITE may be impossible now, or be withdrawn after a 491: it is asked for again until a 2xx has come.
        if let Some(dialog) = self.dialogs.get_mut(handle) {
            dialog.session.retry(now);
        }
        out.event(Event::RefreshDue { dialog: DialogId(handle) });
    }
}
