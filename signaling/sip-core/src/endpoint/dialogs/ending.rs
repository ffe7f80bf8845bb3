//! How dialogs end: BYE from either side, refusals, broken paths.

use crate::content::{Content, KeptContent, Refused};
use crate::endpoint::Endpoint;
use crate::endpoint::client::InDialog;
use crate::endpoint::dialogs::dialog::State;
use crate::endpoint::requests::{Kind, Purpose};
use crate::endpoint::server::Response;
use crate::event::{Cause, DialogId, Event};
use crate::output::{Output, Span};
use crate::table::slab::Handle;
use crate::transactions::ServerInput;
use clock::Instant;
use sip_wire::Method;

/// How a dialog ends.
#[derive(Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    /// The message of the peer that ends it, kept for the event.
    pub(crate) message: Option<Span>,
}

impl Ending {
    /// For a reason that is in no message.
    pub(crate) const fn by(cause: Cause) -> Self {
        Self { cause, message: None }
    }
}

impl Endpoint {
    /// Ends a confirmed dialog with BYE. [`Event::Ended`] follows once the peer has answered, or never did. A BYE before
    /// the ACK for our 2xx has to wait for it, or for the end of the wait.
    pub fn bye(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        content.check()?;
        let open = self.open_dialog(dialog.0)?;
        // RFC 3261 §15: before the 2xx the callee refuses and the caller cancels instead.
        if open.state != State::Confirmed || !open.has_session {
            return Err(Refused::WrongState);
        }
        let is_unacknowledged = open
            .in_flight
            .server_invite
            .and_then(|open| self.transactions.servers.get(open))
            .is_some_and(|open| open.kind == Kind::Invite && open.machine.is_accepted_invite());
        match self.dialogs.get_mut(dialog.0) {
            Some(open) if is_unacknowledged => open.in_flight.late_bye = Some(Box::new(KeptContent::of(&content))),
            _ => self.send_bye(now, dialog.0, (Cause::LocalBye, &content), out),
        }
        Ok(())
    }

    /// The wait for the ACK is over: the BYE of the user goes out, if there is one.
    pub(crate) fn send_late_bye(&mut self, now: Instant, handle: Handle, out: &mut Output) -> bool {
        let Some(late) = self.dialogs.get_mut(handle).and_then(|dialog| dialog.in_flight.late_bye.take()) else {
            return false;
        };
        late.lend(|content| self.send_bye(now, handle, (Cause::LocalBye, content), out));
        true
    }

    /// BYE for a reason of our own.
    pub(crate) fn end_with_bye(&mut self, now: Instant, handle: Handle, cause: Cause, out: &mut Output) {
        self.send_bye(now, handle, (cause, &Content::NONE), out);
        if self.dialogs.get(handle).is_some_and(|dialog| dialog.user.is_announced && dialog.state == State::Terminating)
        {
            out.event(Event::Ending { dialog: DialogId(handle), cause });
        }
    }

    fn send_bye(&mut self, now: Instant, handle: Handle, (cause, content): (Cause, &Content<'_>), out: &mut Output) {
        if self.dialogs.get(handle).is_some_and(|dialog| dialog.ack.is_owed) {
            // RFC 3261 §13.2.2.4: an ACK without the answer, then BYE.
            self.send_ack(now, handle, &Content::NONE, out);
        }
        let sent = self.send_in_dialog(
            now,
            handle,
            &InDialog { method: Method::Bye, purpose: Purpose::Bye, lines: b"", content },
            out,
        );
        if sent.is_err() {
            // The table is full: the peer's session timer has to do what our BYE could not.
            return self.end_dialog(now, handle, Ending::by(cause), out);
        }
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        dialog.state = State::Terminating;
        dialog.ending = cause;
        self.close_invites(now, handle, out);
    }

    /// INVITEs that are still open in a dialog that ends: the peer's gets 487 or counts as acknowledged.
    fn close_invites(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(open) = self.dialogs.get_mut(handle).and_then(|dialog| dialog.in_flight.server_invite.take()) else {
            return;
        };
        let Some(transaction) = self.transactions.servers.get_mut(open) else { return };
        transaction.unpracked = None;
        if transaction.machine.is_waiting() {
            self.send_response(now, open, &Response::of(487), out);
        } else {
            self.drive_server(now, open, ServerInput::Ack, out);
        }
    }

    /// A dialog is over: forgets it and says so once.
    pub(crate) fn end_dialog(&mut self, now: Instant, handle: Handle, ending: Ending, out: &mut Output) {
        if self.dialogs.get(handle).is_none() {
            return;
        }
        self.close_invites(now, handle, out);
        let Some(dialog) = self.dialogs.remove(handle) else { return };
        let key = dialog.identity.key(&self.transactions.keyed);
        if self.dialog_index.get(&key) == Some(&handle) {
            self.dialog_index.remove(&key);
        }
        for subscription in dialog.subscriptions {
            if self.subscriptions.remove(subscription).is_some() {
                let (subscription, dialog) = (crate::event::SubscriptionId(subscription), Some(DialogId(handle)));
                out.event(Event::SubscriptionEnded { subscription, dialog });
            }
        }
        if dialog.user.is_announced {
            let Ending { cause, message } = ending;
            out.event(Event::Ended { dialog: DialogId(handle), cause, message });
        }
    }
}
