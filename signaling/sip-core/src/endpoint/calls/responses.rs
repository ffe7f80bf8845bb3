//! What becomes of calls of ours: early dialogs, answers, forks, refusals (RFC 3261 §13.2.2).

use crate::content::Content;
use crate::endpoint::Endpoint;
use crate::endpoint::calls::call::{Failure, Fork};
use crate::endpoint::calls::reliable::Taken;
use crate::endpoint::dialogs::dialog::{Dialog, Seed, State};
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::dialogs::path::NewTarget;
use crate::endpoint::responses::Outcome;
use crate::event::{CallId, Cause, DialogId, Event};
use crate::message::incoming::{target_in, unfolded};
use crate::message::route::Routes;
use crate::output::Output;
use crate::table::slab::Handle;
use crate::transactions::{Cancel, Heard};
use clock::Instant;
use sip_wire::{Message, Name};

impl Endpoint {
    /// A response to the INVITE of a call, or its end without one.
    pub(crate) fn hear_call(&mut self, outcome: &Outcome<'_, '_>, id: CallId, out: &mut Output) {
        let Outcome { now, heard, status, message, .. } = *outcome;
        match message {
            Some(message) if heard == Heard::Response && status < 200 => {
                self.hear_provisional(outcome, id, message, out);
            }
            Some(message) if heard == Heard::Response && status < 300 => self.hear_answer(outcome, id, message, out),
            _ => self.call_failed(now, id, Failure { status, message }, out),
        }
    }

    fn hear_provisional(&mut self, outcome: &Outcome<'_, '_>, id: CallId, message: &Message<'_>, out: &mut Output) {
        let Outcome { now, transaction: handle, status, .. } = *outcome;
        if self.transactions.clients.get(handle).is_some_and(|transaction| transaction.cancel == Cancel::Wanted) {
            self.cancel_client(now, handle, out);
        }
        let Some(call) = self.calls.get(id.0) else { return };
        // What still comes of a call that is over makes no dialog.
        if call.ended_by_us.is_some() || call.is_told {
            return;
        }
        let dialog = if status > 100 { self.fork(outcome, id, message, out) } else { None };
        let mut wants_prack = false;
        if let Some(dialog) = dialog {
            match self.take_reliable(outcome, dialog, message, out) {
                Taken::Plain => {}
                Taken::Again => return,
                Taken::WantsAnswer => wants_prack = true,
            }
            if let Some(dialog) = self.dialogs.get_mut(dialog) {
                dialog.user.is_announced = true;
            }
        }
        let dialog = dialog.map(DialogId);
        let message = Self::keep(message, out);
        out.event(Event::Progress { call: id, dialog, status, message, wants_prack });
    }

    /// The dialog that a response belongs to, made if it is the first of its fork (RFC 3261 §12.1.2).
    fn fork(
        &mut self,
        outcome: &Outcome<'_, '_>,
        id: CallId,
        message: &Message<'_>,
        out: &mut Output,
    ) -> Option<Handle> {
        let Outcome { now, transaction, .. } = *outcome;
        let is_answer = outcome.is_success();
        let to = message.header(Name::To)?;
        // RFC 3261 §12.1.2: a peer of RFC 2543 may have none, which counts as an empty one. Early dialogs need one.
        let to_tag = match message.to_tag() {
            None if is_answer => b"",
            tag => tag?,
        };
        let call = self.calls.get(id.0)?;
        let key = crate::endpoint::dialogs::identity::key(
            &self.transactions.keyed,
            &call.call_id,
            call.tag.as_str().as_bytes(),
            to_tag,
        );
        let contact = target_in(message).map(unfolded);
        if call.forks.iter().any(|fork| fork.key == key && self.dialogs.get(fork.dialog).is_none()) {
            return None; // a late message of a dialog that was there and has ended
        }
        if let Some(handle) = self.dialog_index.get(&key).copied() {
            if let Some(contact) = contact
                && let Some(sent) = self.transactions.clients.get(transaction)
                && self.dialogs.get(handle).is_some_and(|dialog| dialog.state == State::Early)
            {
                let origin = Origin::answered(sent.flow);
                self.retarget(now, handle, &NewTarget { uri: Some(&contact), origin: &origin }, out);
            }
            return Some(handle);
        }
        // An answer has to be acknowledged and ended, so there is a reserve for it.
        let max_forks = self.config.limits.max_forks;
        let is_beyond = if is_answer {
            call.forks.len() >= max_forks.saturating_mul(2)
        } else {
            call.forks.len() >= max_forks || self.dialogs.is_full()
        };
        if is_beyond {
            return None;
        }
        let sent = self.transactions.clients.get(transaction)?;
        let target = match contact {
            Some(contact) => contact.into_owned(),
            None => crate::message::derive::uri_of(&sent.bytes).to_vec(),
        };
        let mut dialog = Dialog::new(Seed {
            call_id: &call.call_id,
            local: &call.from,
            local_tag: call.tag.as_str().as_bytes(),
            remote: &unfolded(to),
            remote_tag: to_tag,
            target: &target,
            routes: Routes::of_answer(message),
            flow: sent.flow,
            local_cseq: sent.cseq,
            remote_cseq: None,
        })?;
        dialog.in_flight.call = Some(id);
        dialog.has_session = true;
        dialog.is_caller = true;
        dialog.user.account = sent.account;
        dialog.peer_takes_update = message.has_token(Name::Allow, "UPDATE");
        let origin = Origin::answered(sent.flow);
        let handle = self.add_dialog(dialog)?;
        self.aim(now, handle, &origin, out);
        self.calls.get_mut(id.0)?.forks.push(Fork { key, dialog: handle });
        Some(handle)
    }

    fn hear_answer(&mut self, outcome: &Outcome<'_, '_>, id: CallId, message: &Message<'_>, out: &mut Output) {
        let Outcome { now, transaction: handle, .. } = *outcome;
        let Some((cseq, flow)) = self.transactions.clients.get(handle).map(|sent| (sent.cseq, sent.flow)) else {
            return;
        };
        let origin = Origin::answered(flow);
        let credentials = self.credentials_of(handle);
        let Some(dialog_handle) = self.fork(outcome, id, message, out) else {
            let is_copy = self.calls.get(id.0).is_some_and(|call| {
                call.forks.iter().any(|fork| {
                    self.dialogs.get(fork.dialog).is_none() && fork.is_of(&self.transactions.keyed, call, message)
                })
            });
            if is_copy {
                return self.acknowledge_copy(handle, message, out);
            }
            // An answer that cannot be kept.
            self.end_unusable(handle, message, out);
            return self.call_failed(now, id, Failure { status: 503, message: Some(message) }, out);
        };
        let Some(dialog) = self.dialogs.get_mut(dialog_handle) else { return };
        if dialog.state != State::Early {
            // A copy of the 2xx: our ACK was lost (RFC 3261 §13.2.2.4).
            return self.repeat_ack(dialog_handle, out);
        }
        dialog.state = State::Confirmed;
        dialog.ack.invite_cseq = cseq;
        dialog.in_flight.call = None;
        dialog.ack.is_owed = true;
        dialog.ack.credentials = credentials;
        let before = dialog.next_hop().to_vec();
        dialog.route.set = Routes::of_answer(message);
        if dialog.next_hop() != before {
            self.aim(now, dialog_handle, &origin, out);
        }
        let Some(dialog) = self.dialogs.get(dialog_handle) else { return };
        let Some(call) = self.calls.get_mut(id.0) else { return };
        let has_offer = call.has_offer || dialog.ack.answered_by_prack;
        let is_wanted = !call.is_told && call.ended_by_us.is_none();
        let was_told = std::mem::replace(&mut call.is_told, true);
        let status = call.ended_by_us.unwrap_or(487);
        if !is_wanted {
            // Answered while we cancelled, or by a second branch of a fork: ACK, then BYE.
            self.send_ack(now, dialog_handle, &Content::NONE, out);
            self.end_with_bye(now, dialog_handle, Cause::LocalCancel, out);
            self.end_early(now, id, Cause::LocalCancel, out);
            if !was_told {
                out.event(Event::Failed { call: id, status, message: None });
            }
            return;
        }
        if has_offer {
            self.send_ack(now, dialog_handle, &Content::NONE, out);
        }
        self.take_session_timer(now, dialog_handle, message);
        if let Some(dialog) = self.dialogs.get_mut(dialog_handle) {
            dialog.user.is_announced = true;
        }
        let message = Self::keep(message, out);
        out.event(Event::Answered { call: id, dialog: DialogId(dialog_handle), message, wants_ack: !has_offer });
        self.end_early(now, id, Cause::LocalCancel, out);
    }

    /// Ends the dialogs of a call that are still early.
    fn end_early(&mut self, now: Instant, id: CallId, cause: Cause, out: &mut Output) {
        let Some(call) = self.calls.get_mut(id.0) else { return };
        // Early ones are forgotten altogether: should such a branch answer after all, its dialog is made again.
        let (early, kept) = std::mem::take(&mut call.forks)
            .into_iter()
            .partition(|fork| self.dialogs.get(fork.dialog).is_some_and(|dialog| dialog.state == State::Early));
        call.forks = kept;
        let early: Vec<Fork> = early;
        for fork in early {
            self.end_dialog(now, fork.dialog, Ending::by(cause), out);
        }
    }

    /// The INVITE is refused, unanswered or cancelled.
    pub(crate) fn call_failed(&mut self, now: Instant, id: CallId, failure: Failure<'_, '_>, out: &mut Output) {
        let Failure { status, message } = failure;
        let Some(call) = self.calls.get_mut(id.0) else { return };
        let was_told = std::mem::replace(&mut call.is_told, true);
        let ended_by_us = call.ended_by_us;
        let cause = if ended_by_us.is_some() { Cause::LocalCancel } else { Cause::Refused(status) };
        self.end_early(now, id, cause, out);
        if was_told {
            return;
        }
        let message = message.map(|message| Self::keep(message, out));
        out.event(Event::Failed { call: id, status: ended_by_us.unwrap_or(status), message });
    }

    /// The transaction of a call is over, and with it the call: no further fork can answer.
    pub(crate) fn forget_call(&mut self, id: CallId, transaction: Handle) {
        if self.calls.get(id.0).is_some_and(|call| call.transaction == Some(transaction)) {
            self.calls.remove(id.0);
        }
    }
}
