//! Requests with a To tag: those of a dialog (RFC 3261 §12.2.2).

use crate::endpoint::Endpoint;
use crate::endpoint::calls::call::Failure;
use crate::endpoint::dialogs::dialog::State;
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::next_hop::Origin;
use crate::endpoint::requests::Kind;
use crate::endpoint::server::Response;
use crate::event::{CallId, Cause};
use crate::message::incoming::Incoming;
use crate::output::Output;
use crate::table::slab::Handle;
use clock::Instant;

impl Endpoint {
    pub(crate) fn receive_in_dialog(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        let Some(handle) = self.dialog_index.get(&inc.dialog_key(&self.transactions.keyed)).copied() else {
            if inc.method == sip_wire::Method::Notify && self.receive_first_notify(inc, out) {
                return;
            }
            return self.transactions.refuse(inc, 481, b"", out);
        };
        let refusal = self.inspect(inc).or_else(|| match inc.method {
            sip_wire::Method::Subscribe => self.inspect_package(inc),
            _ => None,
        });
        if let Some(refusal) = refusal {
            return self.refuse_statefully(inc, refusal.status, &refusal.lines, out);
        }
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        match dialog.sequence.remote {
            Some(last) if inc.cseq < last => return self.refuse_for_now(inc, out),
            // Not a copy, or its transaction had taken it: a request that split on its way.
            Some(last) if inc.cseq == last => return self.refuse_statefully(inc, 482, b"", out),
            _ => {}
        }
        let kind = Kind::of(inc.method, true);
        if dialog.state == State::Terminating && kind != Kind::Bye {
            return self.refuse_statefully(inc, 481, b"", out);
        }
        dialog.sequence.remote = Some(inc.cseq);
        dialog.is_proved();
        if inc.flow.transport.is_reliable() {
            self.follow_connection(inc.now, handle, &Origin::of(inc), out);
        }
        let has_session = self.dialogs.get(handle).is_some_and(|dialog| dialog.has_session);
        match kind {
            // The dialog of a subscription has no session that could be changed, and begins none (RFC 5057 §5.3).
            Kind::Reinvite | Kind::Update if !has_session => self.refuse_statefully(inc, 403, b"", out),
            Kind::Reinvite => self.receive_reinvite(handle, inc, out),
            Kind::Bye => self.receive_bye(handle, inc, out),
            Kind::Update => self.receive_update(handle, inc, out),
            Kind::Prack => self.receive_prack(handle, inc, out),
            Kind::Notify => self.receive_notify(handle, inc, out),
            _ => self.receive_other(handle, inc, out),
        }
    }

    /// A called side has ended its early dialog, which it should not do (RFC 3261 §15). Where it was the only branch the
    /// call has failed, and the INVITE is cancelled.
    fn branch_gone(&mut self, now: Instant, id: CallId, dialog: Handle, out: &mut Output) {
        let Some(call) = self.calls.get_mut(id.0) else { return };
        // Should it answer after all, its dialog is made again, to be ended.
        call.forks.retain(|fork| fork.dialog != dialog);
        let transaction = call.transaction;
        if call.forks.iter().any(|fork| self.dialogs.get(fork.dialog).is_some()) {
            return;
        }
        self.call_failed(now, id, Failure::without_message(480), out);
        if let Some(transaction) = transaction {
            self.cancel_client(now, transaction, out);
        }
    }

    /// RFC 3261 §15.1.2: 200, and what is still open ends with 487.
    fn receive_bye(&mut self, handle: Handle, inc: &Incoming<'_, '_>, out: &mut Output) {
        let now = inc.now;
        let Some(transaction) = self.open_server(inc, "", out) else { return };
        let message = Self::keep(inc.message, out);
        self.send_response(now, transaction, &Response::of(200), out);
        let crossing = self.dialogs.get(handle).is_some_and(|dialog| dialog.state == State::Terminating);
        if crossing {
            return;
        }
        let call = self
            .dialogs
            .get(handle)
            .filter(|dialog| dialog.state == State::Early)
            .and_then(|dialog| dialog.in_flight.call);
        self.end_dialog(now, handle, Ending { cause: Cause::RemoteBye, message: Some(message) }, out);
        if let Some(call) = call {
            self.branch_gone(now, call, handle, out);
        }
    }

    /// RFC 3311 §5.2: one offer at a time.
    fn receive_update(&mut self, handle: Handle, inc: &Incoming<'_, '_>, out: &mut Output) {
        let Some(dialog) = self.dialogs.get(handle) else { return };
        let has_offer = !inc.message.body().is_empty();
        let invite = dialog.in_flight.server_invite.and_then(|open| self.transactions.servers.get(open));
        let reinvite_open = dialog.state == State::Confirmed && invite.is_some_and(|open| open.machine.is_waiting());
        if dialog.in_flight.server_update || (has_offer && reinvite_open) {
            return self.refuse_for_now(inc, out);
        }
        if has_offer
            && (dialog.in_flight.client_update
                || (dialog.in_flight.client_invite.is_some() && dialog.state == State::Confirmed))
        {
            return self.refuse_statefully(inc, 491, b"", out);
        }
        let Some(transaction) = self.open_in_dialog(handle, inc, out) else { return };
        if !has_offer {
            // A bare session refresh (RFC 4028 §7.4) or target refresh needs nobody's decision.
            return self.answer_update(inc.now, transaction, &Response::of(200), out);
        }
        if let Some(dialog) = self.dialogs.get_mut(handle) {
            dialog.in_flight.server_update = true;
        }
        let message = Self::keep(inc.message, out);
        self.hand_up(transaction, Some(handle), message, out);
    }

    fn receive_other(&mut self, handle: Handle, inc: &Incoming<'_, '_>, out: &mut Output) {
        let Some(transaction) = self.open_in_dialog(handle, inc, out) else { return };
        let message = Self::keep(inc.message, out);
        self.hand_up(transaction, Some(handle), message, out);
    }

    pub(crate) fn open_in_dialog(
        &mut self,
        handle: Handle,
        inc: &Incoming<'_, '_>,
        out: &mut Output,
    ) -> Option<Handle> {
        let transaction = self.open_server(inc, "", out)?;
        self.transactions.servers.get_mut(transaction)?.dialog = Some(handle);
        Some(transaction)
    }

    /// Refuses where the rule depends on the moment, as inside dialogs: copies of the request are answered from memory.
    pub(crate) fn refuse_statefully(&mut self, inc: &Incoming<'_, '_>, status: u16, lines: &[u8], out: &mut Output) {
        let tag = if inc.to_tag.is_none() { Some(self.transactions.tokens.next()) } else { None };
        let tag = tag.as_ref().map_or("", |tag| tag.as_str());
        if let Some(transaction) = self.open_server(inc, tag, out) {
            self.transactions.counters.refused += 1;
            self.send_response(inc.now, transaction, &Response { lines, ..Response::of(status) }, out);
        }
    }

    /// 500 with a Retry-After of up to ten seconds (RFC 3261 §14.2, RFC 3311 §5.2).
    pub(crate) fn refuse_for_now(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        let mut line = Vec::with_capacity(20);
        crate::message::compose::put_number_line(&mut line, b"Retry-After", self.transactions.tokens.below(11));
        self.refuse_statefully(inc, 500, &line, out);
    }
}
