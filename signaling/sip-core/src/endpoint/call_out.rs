//! Calls of ours: INVITE out, its dialogs, ACK and CANCEL (RFC 3261 §9.1, §13.2).

use super::Endpoint;
use super::client::{Heard, Opening};
use super::request_out::NewRequest;
use crate::call::Call;
use crate::compose::put_number_line;
use crate::content::{Content, Refused};
use crate::dialog::{Dialog, Seed, State};
use crate::event::{CallId, Cause, DialogId, Event};
use crate::incoming::unfolded;
use crate::output::Output;
use crate::route::Routes;
use crate::slab::Handle;
use crate::transactions::{Cancel, ClientMachine, Kind, Purpose};
use clock::Instant;
use sip_wire::{Message, Method, Name};

impl Endpoint {
    /// Places a call. `Progress` events, then `Answered` or `Failed` follow.
    pub fn invite(&mut self, now: Instant, request: &NewRequest<'_>, out: &mut Output) -> Result<CallId, Refused> {
        if self.dialogs.is_full() {
            return Err(Refused::Full);
        }
        let mut lines = Vec::new();
        self.put_session_request(None, &mut lines);
        let call = Call {
            transaction: None,
            dialogs: Vec::new(),
            call_id: Box::default(),
            from: request.from.as_bytes().into(),
            tag: self.tokens.next(),
            has_offer: !request.content.body.is_empty(),
            ended_by_us: None,
            is_told: false,
        };
        let handle = self.calls.insert(call).map_err(|_| Refused::Full)?;
        let id = CallId(handle);
        match self.send_new(now, Method::Invite, request, Purpose::Call(id), &lines, out) {
            Ok((transaction, written)) => {
                if let Some(call) = self.calls.get_mut(handle) {
                    call.transaction = Some(transaction);
                    call.call_id = written.call_id;
                    call.tag = written.tag;
                }
                Ok(id)
            }
            Err(refused) => {
                self.calls.remove(handle);
                Err(refused)
            }
        }
    }

    /// Gives a call up. `Failed` with 487 follows; an answer that crosses is acknowledged and ended with BYE.
    pub fn cancel(&mut self, now: Instant, call: CallId, out: &mut Output) -> Result<(), Refused> {
        let open = self.calls.get_mut(call.0).ok_or(Refused::Gone)?;
        if open.is_told || open.ended_by_us.is_some() {
            return Err(Refused::WrongState);
        }
        open.ended_by_us = Some(487);
        let transaction = open.transaction;
        if let Some(transaction) = transaction {
            self.cancel_client(now, transaction, out);
        }
        Ok(())
    }

    /// Acknowledges a 2xx whose event said `wants_ack`; the content is the answer.
    pub fn ack(&mut self, now: Instant, dialog: DialogId, content: Content<'_>, out: &mut Output) -> Result<(), Refused> {
        content.check()?;
        let open = self.dialogs.get(dialog.0).ok_or(Refused::Gone)?;
        if open.state == State::Early || open.ack.is_some() {
            return Err(Refused::WrongState);
        }
        self.send_ack(now, dialog.0, open.invite_cseq, &content, out);
        Ok(())
    }

    pub(crate) fn send_ack(&mut self, now: Instant, handle: Handle, cseq: u32, content: &Content<'_>, out: &mut Output) {
        let span = self.put_ack(handle, cseq, content, out);
        let until = now + self.config.timers.give_up();
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        dialog.ack = Some(out.bytes(span).into());
        dialog.invite_cseq = cseq;
        dialog.ack_until = until;
        out.send(dialog.flow, span);
        self.arm_dialog(handle);
    }

    /// CANCEL now if a provisional response came, else as soon as one does (RFC 3261 §9.1).
    pub(crate) fn cancel_client(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.clients.get_mut(handle) else { return };
        let proceeding = matches!(&transaction.machine, ClientMachine::Invite(machine) if machine.is_proceeding());
        if !proceeding {
            transaction.cancel = Cancel::Wanted;
            return;
        }
        if matches!(transaction.cancel, Cancel::Sent(_)) {
            return;
        }
        transaction.cancel = Cancel::Sent(now + self.config.timers.give_up());
        let (flow, dialog, cseq) = (transaction.flow, transaction.dialog, transaction.cseq);
        let mark = out.mark();
        crate::derive::put_cancel(&transaction.bytes, out.arena());
        let branch = crate::derive::branch_of(&transaction.bytes).to_vec();
        let span = out.span_from(mark);
        let opening = Opening {
            kind: Kind::Other,
            purpose: Purpose::Nobody,
            key: self.client_key(&branch, Method::Cancel),
            flow,
            dialog,
            cseq,
            has_body: false,
            retry_count: 0,
        };
        self.open_client(now, opening, span, out);
        self.settle_client(handle);
    }

    /// A response to the INVITE of a call, or its end without one.
    pub(crate) fn hear_call(
        &mut self,
        now: Instant,
        handle: Handle,
        id: CallId,
        heard: Heard,
        status: u16,
        message: Option<&Message<'_>>,
        out: &mut Output,
    ) {
        match message {
            Some(message) if heard == Heard::Response && status < 200 => {
                self.hear_provisional(now, handle, id, status, message, out);
            }
            Some(message) if heard == Heard::Response && status < 300 => {
                self.hear_answer(now, handle, id, message, out);
            }
            _ => self.call_failed(now, id, status, message, out),
        }
    }

    fn hear_provisional(
        &mut self,
        now: Instant,
        handle: Handle,
        id: CallId,
        status: u16,
        message: &Message<'_>,
        out: &mut Output,
    ) {
        if self.clients.get(handle).is_some_and(|transaction| transaction.cancel == Cancel::Wanted) {
            self.cancel_client(now, handle, out);
        }
        let Some(call) = self.calls.get(id.0) else { return };
        if call.ended_by_us.is_some() {
            return;
        }
        let dialog = if status > 100 { self.fork(handle, id, message) } else { None };
        let mut wants_prack = false;
        if let Some(dialog) = dialog {
            match self.take_reliable(now, handle, dialog, message, out) {
                crate::reliable::Taken::Plain => {}
                crate::reliable::Taken::Again => return,
                crate::reliable::Taken::WantsAnswer => wants_prack = true,
            }
            if let Some(dialog) = self.dialogs.get_mut(dialog) {
                dialog.is_announced = true;
            }
        }
        let dialog = dialog.map(DialogId);
        let message = Self::keep(message, out);
        out.event(Event::Progress { call: id, dialog, status, message, wants_prack });
    }

    /// The dialog that a response belongs to, made if it is the first of its fork (RFC 3261 §12.1.2).
    fn fork(&mut self, transaction: Handle, id: CallId, message: &Message<'_>) -> Option<Handle> {
        let to = message.header(Name::To)?;
        let to_tag = message.to_tag()?;
        let call = self.calls.get(id.0)?;
        let key = crate::dialog::key(&self.keyed, &call.call_id, call.tag.as_str().as_bytes(), to_tag);
        let contact = message.contact().ok().flatten().map(|contact| unfolded(contact.uri.as_bytes()));
        if let Some(handle) = self.dialog_index.get(&key).copied() {
            if let Some(dialog) = self.dialogs.get_mut(handle)
                && dialog.state == State::Early
                && let Some(contact) = contact
            {
                dialog.target = contact.as_ref().into();
            }
            return Some(handle);
        }
        if call.dialogs.len() >= self.config.limits.max_forks {
            return None;
        }
        let sent = self.clients.get(transaction)?;
        let target = match contact {
            Some(contact) => contact.into_owned(),
            None => crate::derive::uri_of(&sent.bytes).to_vec(),
        };
        let mut record_routes: Vec<&[u8]> = message.raw_values(Name::RecordRoute).collect();
        record_routes.reverse();
        let mut dialog = Dialog::new(Seed {
            call_id: &call.call_id,
            local: &call.from,
            local_tag: call.tag.as_str().as_bytes(),
            remote: &unfolded(to),
            remote_tag: to_tag,
            target: &target,
            routes: Routes::new(record_routes.iter().map(|value| value.trim_ascii())),
            flow: sent.flow,
            local_cseq: sent.cseq,
            remote_cseq: None,
        })?;
        dialog.call = Some(id);
        dialog.has_session = true;
        dialog.is_caller = true;
        dialog.peer_takes_update = message.has_token(Name::Allow, "UPDATE");
        let handle = self.add_dialog(dialog)?;
        self.calls.get_mut(id.0)?.dialogs.push(handle);
        Some(handle)
    }

    fn hear_answer(&mut self, now: Instant, handle: Handle, id: CallId, message: &Message<'_>, out: &mut Output) {
        let Some((cseq, flow)) = self.clients.get(handle).map(|sent| (sent.cseq, sent.flow)) else { return };
        let Some(dialog_handle) = self.fork(handle, id, message) else { return };
        let Some(dialog) = self.dialogs.get_mut(dialog_handle) else { return };
        if dialog.state != State::Early {
            // A copy of the 2xx: our ACK was lost (RFC 3261 §13.2.2.4).
            if let Some(ack) = &dialog.ack {
                out.send_copy(flow, ack);
            }
            return;
        }
        dialog.state = State::Confirmed;
        dialog.invite_cseq = cseq;
        dialog.call = None;
        let mut record_routes: Vec<&[u8]> = message.raw_values(Name::RecordRoute).collect();
        record_routes.reverse();
        dialog.routes = Routes::new(record_routes.iter().map(|value| value.trim_ascii()));
        let Some(call) = self.calls.get_mut(id.0) else { return };
        let has_offer = call.has_offer;
        let is_wanted = !call.is_told && call.ended_by_us.is_none();
        let was_told = std::mem::replace(&mut call.is_told, true);
        let status = call.ended_by_us.unwrap_or(487);
        if !is_wanted {
            // Answered while we cancelled, or by a second branch of a fork: ACK, then BYE.
            self.send_ack(now, dialog_handle, cseq, &Content::NONE, out);
            self.end_with_bye(now, dialog_handle, Cause::LocalCancel, out);
            self.end_early(now, id, Cause::LocalCancel, out);
            if !was_told {
                out.event(Event::Failed { call: id, status, message: None });
            }
            return;
        }
        if has_offer {
            self.send_ack(now, dialog_handle, cseq, &Content::NONE, out);
        }
        self.take_session_timer(now, dialog_handle, message);
        if let Some(dialog) = self.dialogs.get_mut(dialog_handle) {
            dialog.is_announced = true;
        }
        let message = Self::keep(message, out);
        out.event(Event::Answered { call: id, dialog: DialogId(dialog_handle), message, wants_ack: !has_offer });
        self.end_early(now, id, Cause::LocalCancel, out);
    }

    /// Ends the dialogs of a call that are still early.
    fn end_early(&mut self, now: Instant, id: CallId, cause: Cause, out: &mut Output) {
        let Some(call) = self.calls.get_mut(id.0) else { return };
        let dialogs = std::mem::take(&mut call.dialogs);
        for handle in &dialogs {
            if self.dialogs.get(*handle).is_some_and(|dialog| dialog.state == State::Early) {
                self.end_dialog(now, *handle, cause, None, out);
            }
        }
        if let Some(call) = self.calls.get_mut(id.0) {
            call.dialogs = dialogs;
        }
    }

    /// The INVITE is refused, unanswered or cancelled.
    pub(crate) fn call_failed(
        &mut self,
        now: Instant,
        id: CallId,
        status: u16,
        message: Option<&Message<'_>>,
        out: &mut Output,
    ) {
        let Some(call) = self.calls.get_mut(id.0) else { return };
        if std::mem::replace(&mut call.is_told, true) {
            return;
        }
        let ended_by_us = call.ended_by_us;
        let cause = if ended_by_us.is_some() { Cause::LocalCancel } else { Cause::Refused(status) };
        self.end_early(now, id, cause, out);
        let message = message.map(|message| Self::keep(message, out));
        out.event(Event::Failed { call: id, status: ended_by_us.unwrap_or(status), message });
    }

    /// The transaction of a call is over, and with it the call: no further fork can answer.
    pub(crate) fn forget_call(&mut self, id: CallId, transaction: Handle) {
        if self.calls.get(id.0).is_some_and(|call| call.transaction == Some(transaction)) {
            self.calls.remove(id.0);
        }
    }

    /// `Session-Expires` and `Min-SE` of a request of ours (RFC 4028 §7.1).
    pub(crate) fn put_session_request(&self, dialog: Option<&Dialog>, lines: &mut Vec<u8>) {
        let timer = &self.config.session_timer;
        let own = timer.interval.as_secs().min(u32::MAX.into()) as u32;
        let min_se = timer.min_se.as_secs().max(90);
        let running = dialog.map(|dialog| &dialog.session).filter(|session| session.is_on());
        match running {
            Some(session) => {
                let we_refresh = session.refresher() == crate::session_timer::Refresher::We;
                super::answer::put_session_expires(lines, session.interval_s(), we_refresh);
            }
            None if own > 0 => put_number_line(lines, b"Session-Expires", u64::from(own).max(min_se)),
            None => return,
        }
        if min_se > 90 {
            put_number_line(lines, b"Min-SE", min_se);
        }
    }

    pub(crate) fn session_lines(&self, dialog: Handle) -> Vec<u8> {
        let mut lines = Vec::new();
        self.put_session_request(self.dialogs.get(dialog), &mut lines);
        lines
    }

    /// The session timer that a 2xx to our INVITE or UPDATE sets (RFC 4028 §7.2).
    pub(crate) fn take_session_timer(&mut self, now: Instant, handle: Handle, message: &Message<'_>) {
        use crate::session_timer::Refresher;
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        dialog.peer_takes_update |= message.has_token(Name::Allow, "UPDATE");
        match message.session_expires() {
            // An interval of some seconds would be a flood of our own making: the RFC's floor is 90 s.
            Ok(Some(expires)) => {
                let refresher =
                    if expires.refresher == Some(sip_wire::Refresher::Uas) { Refresher::Peer } else { Refresher::We };
                dialog.session.start(now, expires.seconds.max(90), refresher);
            }
            _ => dialog.session.stop(),
        }
        self.arm_dialog(handle);
    }
}
