//! The user's answers to requests: provisional, accept, reject, respond.

use crate::config::WithoutPeer;
use crate::content::{Answer, Content, Refused};
use crate::endpoint::Endpoint;
use crate::endpoint::dialogs::dialog::State;
use crate::endpoint::dialogs::ending::Ending;
use crate::endpoint::dialogs::path::NewTarget;
use crate::endpoint::dialogs::session_timer::Refresher;
use crate::endpoint::requests::{Asked, Kind};
use crate::endpoint::server::Response;
use crate::event::{Cause, DialogId, InviteId, RequestId};
use crate::message::compose::{put_contact, put_number};
use crate::output::Output;
use crate::table::slab::Handle;
use clock::Instant;

impl Endpoint {
    /// Sends a provisional response (101 to 199) to an INVITE.
    pub fn provisional(
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
        let is_required = self.config.reliability == crate::config::Reliability::Required;
        if self.transactions.servers.get(invite.0).is_some_and(|transaction| {
            transaction.asked.requires_100rel || (is_required && transaction.asked.supports_100rel)
        }) {
            return self.provisional_reliably(now, invite, answer, out);
        }
        let mut lines = Vec::with_capacity(128);
        self.put_our_contact(invite.0, &content, &mut lines);
        lines.extend_from_slice(&self.lines.allow);
        let response = Response { status, reason, lines: &lines, content: &content };
        self.send_response(now, invite.0, &response, out);
        Ok(())
    }

    /// Answers an INVITE with 200. Its dialog is confirmed from now on; [`Event::Acknowledged`](crate::Event) follows.
    pub fn accept(
        &mut self,
        now: Instant,
        invite: InviteId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<DialogId, Refused> {
        let dialog = self.check_answer(invite.0, true, &content)?.ok_or(Refused::Gone)?;
        if let Some(transaction) = self.transactions.servers.get_mut(invite.0) {
            // RFC 3262 §3: an answer that the peer may not have yet has to arrive first.
            if transaction.unpracked.as_ref().is_some_and(|unpracked| unpracked.has_sdp) {
                return Err(Refused::AwaitingPrack);
            }
            transaction.unpracked = None;
        }
        let mut lines = Vec::with_capacity(256);
        self.put_our_contact(invite.0, &content, &mut lines);
        lines.extend_from_slice(&self.lines.allow);
        lines.extend_from_slice(&self.lines.supported);
        // The dialog is confirmed.
        if let Some(dialog) = self.dialogs.get_mut(dialog) {
            dialog.state = State::Confirmed;
        }
        self.refresh(now, invite.0, &mut lines, out);
        let response = Response { lines: &lines, content: &content, ..Response::of(200) };
        self.send_response(now, invite.0, &response, out);
        Ok(DialogId(dialog))
    }

    /// Refuses an INVITE with 300 to 699; `content` may name Contacts for a redirection.
    pub fn reject(
        &mut self,
        now: Instant,
        invite: InviteId,
        answer: &Answer<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Answer { status, reason, content } = *answer;
        self.check_answer(invite.0, true, &content)?;
        if !(300..700).contains(&status) {
            return Err(Refused::BadStatus);
        }
        let lines = self.lines_for(status);
        let response = Response { status, reason, lines: &lines, content: &content };
        self.send_response(now, invite.0, &response, out);
        self.invite_is_over(now, invite.0, Ending::by(Cause::Rejected(status)), out);
        Ok(())
    }

    /// Answers any other request with 100 to 699.
    pub fn respond(
        &mut self,
        now: Instant,
        request: RequestId,
        answer: &Answer<'_>,
        out: &mut Output,
    ) -> Result<(), Refused> {
        let Answer { status, reason, content } = *answer;
        self.check_answer(request.0, false, &content)?;
        if !(100..700).contains(&status) {
            return Err(Refused::BadStatus);
        }
        let kind = self.transactions.servers.get(request.0).ok_or(Refused::Gone)?.kind;
        let is_success = (200..300).contains(&status);
        let response = Response { status, reason, lines: b"", content: &content };
        match kind {
            Kind::Update => self.answer_update(now, request.0, &response, out),
            Kind::Options if is_success => {
                let lines = [&*self.lines.allow, &*self.lines.supported, &*self.lines.accept].concat();
                self.send_response(now, request.0, &Response { lines: &lines, ..response }, out);
            }
            _ => {
                let mut lines = self.lines_for(status);
                if kind == Kind::Refer && is_success {
                    // RFC 3515 §2.2, table 1: with or without a subscription.
                    self.put_our_contact(request.0, &content, &mut lines);
                }
                self.send_response(now, request.0, &Response { lines: &lines, ..response }, out);
            }
        }
        Ok(())
    }

    /// What a response of this status has to say (RFC 3261 §21.4.6, §21.4.13).
    fn lines_for(&self, status: u16) -> Vec<u8> {
        match status {
            405 | 501 => self.lines.allow.to_vec(),
            415 => self.lines.accept.to_vec(),
            489 => self.lines.allow_events.to_vec(),
            _ => Vec::new(),
        }
    }

    /// Answers an UPDATE. The header lines of the answer are those that a response to UPDATE has.
    pub(crate) fn answer_update(
        &mut self,
        now: Instant,
        transaction: Handle,
        response: &Response<'_>,
        out: &mut Output,
    ) {
        let Response { status, content, .. } = *response;
        let dialog = self.transactions.servers.get(transaction).and_then(|transaction| transaction.dialog);
        let mut lines = Vec::with_capacity(128);
        if let Some(dialog) = dialog
            && status >= 200
        {
            if let Some(dialog) = self.dialogs.get_mut(dialog) {
                dialog.in_flight.server_update = false;
            }
            if status < 300 {
                self.put_our_contact(transaction, content, &mut lines);
                lines.extend_from_slice(&self.lines.allow);
                self.refresh(now, transaction, &mut lines, out);
            }
        }
        self.send_response(now, transaction, &Response { lines: &lines, ..*response }, out);
    }

    /// Checks that a request is still open; gives its dialog.
    pub(crate) fn check_answer(
        &self,
        handle: Handle,
        is_invite: bool,
        content: &Content<'_>,
    ) -> Result<Option<Handle>, Refused> {
        content.check()?;
        let transaction = self.transactions.servers.get(handle).ok_or(Refused::Gone)?;
        if transaction.kind.is_invite() != is_invite || !transaction.machine.is_waiting() {
            return Err(Refused::WrongState);
        }
        Ok(transaction.dialog)
    }

    pub(crate) fn put_our_contact(&self, handle: Handle, content: &Content<'_>, lines: &mut Vec<u8>) {
        if let Some(transaction) = self.transactions.servers.get(handle)
            && !content.has("Contact")
        {
            put_contact(lines, &self.config, &transaction.flow, crate::message::compose::is_sips(&transaction.target));
        }
    }

    /// A 2xx to INVITE or UPDATE moves the remote target (RFC 3261 §12.2.2) and restarts the session timer.
    fn refresh(&mut self, now: Instant, transaction_handle: Handle, lines: &mut Vec<u8>, out: &mut Output) {
        let Some(transaction) = self.transactions.servers.get(transaction_handle) else { return };
        let Some(dialog_handle) = transaction.dialog else { return };
        debug_assert!(transaction.kind.refreshes());
        let asked = transaction.asked;
        self.move_target(now, transaction_handle, dialog_handle, out);
        let Some(dialog) = self.dialogs.get_mut(dialog_handle) else { return };
        dialog.peer_takes_update |= asked.takes_update;
        let own_interval_s = self.config.session_timer.interval.as_secs().min(u32::MAX.into()) as u32;
        let min_se_s = self.config.session_timer.min_se.as_secs().max(90) as u32;
        let is_alone = !asked.supports_timer && self.config.session_timer.without_peer == WithoutPeer::Off;
        let own_interval_s = if is_alone { 0 } else { own_interval_s };
        match negotiate(&asked, own_interval_s, min_se_s) {
            None => dialog.session.stop(),
            Some((interval_s, refresher)) => {
                dialog.session.start(now, interval_s, refresher);
                put_session_expires(lines, interval_s, refresher == Refresher::Peer);
                if refresher == Refresher::Peer {
                    lines.extend_from_slice(b"Require: timer\r\n");
                }
            }
        }
        self.arm_dialog(dialog_handle);
    }

    /// The Contact of a request that is accepted becomes the remote target of its dialog.
    pub(crate) fn move_target(&mut self, now: Instant, transaction: Handle, dialog: Handle, out: &mut Output) {
        let Some(transaction) = self.transactions.servers.get_mut(transaction) else { return };
        // The one that made the dialog has said it already.
        let Some(origin) = transaction.origin.take() else { return };
        let target = std::mem::take(&mut transaction.target);
        let uri = Some(&*target).filter(|target| !target.is_empty());
        self.retarget(now, dialog, &NewTarget { uri, origin: &origin }, out);
    }
}

/// The session timer that we answer with (RFC 4028 §9): interval and who refreshes.
fn negotiate(asked: &Asked, own_interval_s: u32, min_se_s: u32) -> Option<(u32, Refresher)> {
    if asked.session_expires_s > 0 {
        let interval_s = asked.session_expires_s.max(min_se_s);
        let refresher = match asked.refresher {
            _ if !asked.supports_timer => Refresher::We,
            Some(refresher) => refresher,
            None => Refresher::Peer,
        };
        return Some((interval_s, refresher));
    }
    if own_interval_s == 0 {
        return None;
    }
    let interval_s = own_interval_s.max(asked.min_se_s).max(min_se_s);
    Some((interval_s, if asked.supports_timer { Refresher::Peer } else { Refresher::We }))
}

pub(crate) fn put_session_expires(lines: &mut Vec<u8>, interval_s: u32, uac_refreshes: bool) {
    lines.extend_from_slice(b"Session-Expires: ");
    put_number(lines, interval_s.into());
    lines.extend_from_slice(if uac_refreshes { b";refresher=uac\r\n" } else { b";refresher=uas\r\n" });
}
