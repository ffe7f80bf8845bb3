//! Reliable provisional responses and PRACK (RFC 3262).

use crate::config::Reliability;
use crate::content::{Answer, Content, Refused};
use crate::endpoint::Endpoint;
use crate::endpoint::calls::reliable::Taken;
use crate::endpoint::client::InDialog;
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::requests::{Purpose, Unpracked};
use crate::endpoint::responses::Outcome;
use crate::endpoint::server::Response;
use crate::event::{Cause, DialogId, Event, InviteId, RequestId};
use crate::message::compose::{put, put_number, put_number_line};
use crate::message::incoming::Incoming;
use crate::output::Output;
use crate::table::slab::Handle;
use clock::Instant;
use sip_wire::{Message, Method, Name};

impl Endpoint {
    /// Sends a provisional response that the peer has to confirm with PRACK; [`Event::Pracked`] follows. The next
    /// one, and a 2xx after one with a session description, have to wait for it.
    pub fn provisional_reliably(
        &mut self,
        now: Instant,
        invite: InviteId,
        answer: &Answer<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Answer { status, reason, content } = *answer;
        self.check_answer(invite.0, true, &content)?;
        if !(101..200).contains(&status) {
            return Err(Refused::BadStatus);
        }
        let transaction = self.transactions.servers.get_mut(invite.0).ok_or(Refused::Gone)?;
        if transaction.unpracked.is_some() {
            return Err(Refused::AwaitingPrack);
        }
        if !transaction.asked.supports_100rel || self.config.reliability == Reliability::Off {
            return Err(Refused::Unsupported);
        }
        // RFC 3262 §3: the first number is anywhere in the lower half, the next ones follow.
        let rseq = match transaction.rseq {
            0 => 1 + self.transactions.tokens.below(1 << 30) as u32,
            last => last + 1,
        };
        transaction.rseq = rseq;
        let mut lines = Vec::with_capacity(160);
        self.put_our_contact(invite.0, &content, &mut lines);
        put(&mut lines, &[&self.lines.allow, b"Require: 100rel\r\n"]);
        put_number_line(&mut lines, b"RSeq", rseq.into());
        let response = Response { status, reason, lines: &lines, content: &content };
        self.send_response(now, invite.0, &response, out);
        let timers = self.config.timers;
        if let Some(transaction) = self.transactions.servers.get_mut(invite.0) {
            transaction.unpracked = Some(Box::new(Unpracked {
                bytes: transaction.response.clone(),
                has_sdp: !content.body.is_empty(),
                resend_after: timers.t1,
                wake_at: now + timers.t1,
                give_up_at: now + timers.give_up(),
            }));
        }
        self.settle_server(invite.0);
        Ok(())
    }

    /// The deadline of an unconfirmed provisional response.
    pub(crate) fn wake_unpracked(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let may_repeat = self.transactions.servers.get(handle).is_some_and(|open| open.unpracked.is_some());
        let may_repeat = may_repeat && self.may_repeat(now, handle);
        let Some(transaction) = self.transactions.servers.get_mut(handle) else { return };
        let Some(unpracked) = &mut transaction.user.unpracked else { return };
        if now >= unpracked.give_up_at {
            transaction.unpracked = None;
            let dialog = transaction.dialog;
            // RFC 3262 §3: the INVITE itself is refused with a 5xx.
            self.send_response(now, handle, &Response::of(504), out);
            if let Some(dialog) = dialog {
                out.event(Event::NotPracked { invite: InviteId(handle), dialog: DialogId(dialog) });
            }
            self.invite_is_over(now, handle, Ending::by(Cause::Rejected(504)), out);
        } else if now >= unpracked.wake_at {
            unpracked.resend_after *= 2;
            unpracked.wake_at = now + unpracked.resend_after;
            if transaction.budget.admits(may_repeat, &unpracked.bytes) {
                out.send_copy(transaction.flow, &unpracked.bytes);
            }
        }
    }

    /// A PRACK. Its CSeq has been checked.
    pub(crate) fn receive_prack(&mut self, handle: Handle, inc: &Incoming<'_, '_>, out: &mut Output) {
        let now = inc.now;
        let Ok(Some(rack)) = inc.message.rack() else {
            return self.refuse_statefully(inc, 400, b"", out);
        };
        let is_known = |invite: &Handle| {
            self.transactions.servers.get(*invite).is_some_and(|invite| {
                invite.dialog == Some(handle)
                    && invite.rseq == rack.rseq
                    && invite.rseq != 0
                    && invite.cseq == rack.cseq
                    && rack.method == Method::Invite
            })
        };
        let open = self.dialogs.get(handle).and_then(|dialog| dialog.in_flight.server_invite).filter(is_known);
        // The ACK for the 2xx may have overtaken it.
        let acknowledged = || {
            let key = inc.merge_key_of(&self.transactions.keyed, rack.cseq, Method::Invite);
            self.transactions.merge_index.get(&key).copied().filter(is_known)
        };
        let Some(invite) = open.or_else(acknowledged) else {
            return self.refuse_statefully(inc, 481, b"", out);
        };
        // Our tag and the number were in what we sent there.
        self.got_ours(now, invite);
        let Some(transaction) = self.open_in_dialog(handle, inc, out) else { return };
        let was_waiting =
            self.transactions.servers.get_mut(invite).and_then(|invite| invite.unpracked.take()).is_some();
        let has_body = !inc.message.body().is_empty();
        if !has_body || !was_waiting {
            self.send_response(now, transaction, &Response::of(200), out);
        }
        if was_waiting {
            let message = Self::keep(inc.message, out);
            let request = has_body.then_some(RequestId(transaction));
            out.event(Event::Pracked { invite: InviteId(invite), dialog: DialogId(handle), request, message });
        }
    }

    /// A provisional response that came in a dialog: confirms it if it is reliable.
    pub(crate) fn take_reliable(
        &mut self,
        outcome: &Outcome<'_, '_>,
        handle: Handle,
        message: &Message<'_>,
        out: &mut Output,
    ) -> Taken {
        let Outcome { now, transaction, .. } = *outcome;
        let Ok(Some(rseq)) = message.rseq() else { return Taken::Plain };
        if !message.has_token(Name::Require, "100rel") {
            return Taken::Plain;
        }
        let Some(sent) = self.transactions.clients.get(transaction) else { return Taken::Again };
        let (cseq, has_offer) = (sent.cseq, sent.has_body);
        let Some(dialog) = self.dialogs.get_mut(handle) else { return Taken::Again };
        let in_order = dialog.sequence.remote_rseq == 0 || rseq == dialog.sequence.remote_rseq.wrapping_add(1);
        if !in_order || rseq == 0 {
            return Taken::Again;
        }
        dialog.sequence.remote_rseq = rseq;
        dialog.ack.invite_cseq = cseq;
        if !has_offer && !message.body().is_empty() {
            dialog.ack.owes_prack = true;
            return Taken::WantsAnswer;
        }
        // Refused only when a table is full: the peer repeats its response then.
        let _ = self.send_prack(now, handle, &Content::NONE, out);
        Taken::Plain
    }

    /// Confirms a provisional response whose event said `wants_prack`; the content is the answer to its offer.
    pub fn prack(
        &mut self,
        now: Instant,
        dialog: DialogId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        content.check()?;
        let open = self.open_dialog(dialog.0)?;
        if !open.ack.owes_prack {
            return Err(Refused::WrongState);
        }
        self.send_prack(now, dialog.0, &content, out)?;
        if let Some(open) = self.dialogs.get_mut(dialog.0) {
            open.ack.owes_prack = false;
            open.ack.answered_by_prack = true;
        }
        Ok(())
    }

    fn send_prack(
        &mut self,
        now: Instant,
        handle: Handle,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let dialog = self.dialogs.get(handle).ok_or(Refused::Gone)?;
        let mut line = Vec::with_capacity(40);
        line.extend_from_slice(b"RAck: ");
        put_number(&mut line, dialog.sequence.remote_rseq.into());
        line.push(b' ');
        put_number(&mut line, dialog.ack.invite_cseq.into());
        line.extend_from_slice(b" INVITE\r\n");
        let request = InDialog { method: Method::Prack, purpose: Purpose::Nobody, lines: &line, content };
        self.send_in_dialog(now, handle, &request, out)?;
        Ok(())
    }
}
