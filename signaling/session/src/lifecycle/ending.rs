//! The end of a session, from whichever side it comes: both sides are told, then nothing is left.

use crate::crossing::Farewell;
use crate::timers::timer::Timer;
use crate::{
    EndKind, EndReason, Operation, Refusal, SessionError, SessionEvent, SessionId, SessionState, Sessions, Turn,
};
use sip_core::{Cause, DialogId, Span};
use stats::SignalCounter;

impl Sessions {
    /// Ends a session: BYE, or a refusal while it rings.
    pub fn terminate(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        session.check(Operation::Terminate)?;
        let reason = match (session.connected_at(), session.is_outgoing()) {
            (Some(_), _) => EndReason::LocalBye,
            (None, true) => EndReason::Cancelled,
            (None, false) => EndReason::Refused(480),
        };
        self.end(turn, id, reason);
        Ok(())
    }

    /// Ends all sessions and takes no further ones.
    pub fn stop(&mut self, turn: &mut Turn<'_>, reason: EndReason) {
        self.is_stopping = true;
        self.end_all(turn, reason);
    }

    /// Ends all sessions.
    pub fn end_all(&mut self, turn: &mut Turn<'_>, reason: EndReason) {
        for id in self.table.ids() {
            self.end(turn, id, reason);
        }
    }

    pub(crate) fn end(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: EndReason) {
        self.end_saying(turn, id, reason, &Farewell::default());
    }

    /// The same with what the other side's peer has said.
    pub(crate) fn end_saying(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: EndReason, farewell: &Farewell) {
        let refusal = self.refusal(reason.status());
        self.end_by(turn, id, reason, &refusal, farewell);
    }

    pub(crate) fn end_with(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: EndReason, refusal: &Refusal<'_>) {
        self.end_by(turn, id, reason, refusal, &Farewell::default());
    }

    fn end_by(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        reason: EndReason,
        refusal: &Refusal<'_>,
        farewell: &Farewell,
    ) {
        self.drop_change(turn, id);
        self.end_reports(turn, id);
        let Some(session) = self.table.get_mut(id).filter(|session| !session.state().is_ending()) else { return };
        session.life.end_for(reason);
        session.heard_words(if refusal.reason.is_empty() { refusal.warning } else { refusal.reason });
        session.negotiation.drop_local_offer();
        let call = session.outgoing.as_ref().and_then(|outgoing| outgoing.call());
        let headers = farewell.headers(reason);
        let told = match (session.incoming.take(), session.dialog(), call) {
            (Some(incoming), ..) => turn.sip.reject(turn.now, incoming.invite(), &farewell.refusal(*refusal, &headers)),
            (None, Some(dialog), _) => turn.sip.bye_saying(turn.now, dialog, &headers),
            (None, None, Some(call)) => turn.sip.cancel_saying(turn.now, call, &headers),
            (None, None, None) => false,
        };
        if !told {
            session.life.dialog_is_over();
        }
        self.go(turn, id, SessionState::Terminating);
        self.part(turn, id, reason, farewell);
        self.close_leg(turn, id);
        self.settle(turn, id);
    }

    /// The endpoint ends the dialog by itself, and its BYE is out: media stops with that, not with the answer to it.
    pub(crate) fn dialog_ending(&mut self, turn: &mut Turn<'_>, dialog: DialogId, cause: Cause) {
        let Some(id) = self.find(dialog) else { return };
        self.drop_change(turn, id);
        self.end_reports(turn, id);
        let Some(session) = self.table.get_mut(id).filter(|session| !session.state().is_ending()) else { return };
        let reason = session.life.end_for(cause.into());
        session.negotiation.drop_local_offer();
        session.incoming = None;
        self.go(turn, id, SessionState::Terminating);
        self.part(turn, id, reason, &Farewell::default());
        self.close_leg(turn, id);
        self.settle(turn, id);
    }

    /// The dialog is over, by the peer, by us or by a timer.
    pub(crate) fn dialog_ended(&mut self, turn: &mut Turn<'_>, dialog: DialogId, cause: Cause, message: Option<Span>) {
        let Some(id) = self.by_dialog.remove(&dialog) else { return self.early_ended(turn, dialog) };
        let farewell =
            self.farewell(turn, id, message.filter(|_| matches!(cause, Cause::RemoteBye | Cause::RemoteCancel)));
        let Some(session) = self.table.get_mut(id) else { return };
        session.life.dialog_is_over();
        session.incoming = None;
        if session.reason().is_none() && matches!(cause, Cause::RemoteBye | Cause::RemoteCancel) {
            turn.events.push(SessionEvent::EndedByPeer { id });
        }
        if session.is_answered() {
            turn.events.push(SessionEvent::DialogEnded { id });
        }
        session.negotiation.drop_local_offer();
        let reason = session.life.end_for(cause.into());
        self.drop_ended_change(turn, id);
        if self.table.get(id).is_some_and(|session| !session.state().is_ending()) {
            self.go(turn, id, SessionState::Terminating);
        }
        self.part(turn, id, reason, &farewell);
        self.close_leg(turn, id);
        self.settle(turn, id);
    }

    /// An ending session leaves its bridge, or ends the other side of its call.
    fn part(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: EndReason, farewell: &Farewell) {
        self.drop_relayed(turn, id);
        self.drop_transfer(id);
        self.referral_failed(turn, id, reason);
        if self.leave_to_join(turn, id) || self.leave_to_referred(turn, id) {
            return;
        }
        self.leave_bridge(turn, id);
        if let Some(other) = self.other_side(id) {
            self.tell_each_other(id, other, reason);
        }
        if let Some(link) = self.untie(turn, id) {
            self.end_saying(turn, link.peer, reason.for_other_side(), farewell);
        }
    }

    /// Forgets an ending session once both sides are over, and sets the time by which SIP must be.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id).filter(|session| session.state().is_ending()) else { return };
        match (session.leg(), session.life.is_dialog_over()) {
            (None, true) => self.forget(turn, id),
            (_, false) if !session.timers.is_set(Timer::SipEnd) => {
                self.wake(id, Timer::SipEnd, Some(turn.now + self.settings.timeouts.ending));
            }
            _ => {} // the leg's own limit runs
        }
    }

    fn forget(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.go(turn, id, SessionState::Terminated);
        self.drop_lookup(id);
        self.forget_early(id);
        self.leave_seat(id);
        let Some(session) = self.table.remove(id) else { return };
        if let Some(dialog) = session.dialog().filter(|dialog| self.by_dialog.get(dialog) == Some(&id)) {
            self.by_dialog.remove(&dialog);
        }
        if let Some(call) = session.outgoing.as_ref().and_then(|outgoing| outgoing.call()) {
            self.by_call.remove(&call);
        }
        if let (Some(limit), Some(user)) = (&self.settings.limits.user_limit, session.admitted.user()) {
            limit.give_back(user);
        }
        let reason = session.reason().unwrap_or(EndReason::LocalBye);
        self.counts.add(
            match reason.kind() {
                EndKind::Failed => SignalCounter::CallsFailed,
                // A call that was answered ends by BYE, also where the reason is that a transfer target refused.
                _ if session.is_answered() => SignalCounter::CallsCompleted,
                EndKind::Completed => SignalCounter::CallsCompleted,
                EndKind::Cancelled => SignalCounter::CallsCancelled,
                EndKind::Rejected => SignalCounter::CallsRefused,
            },
            1,
        );
        self.sweep_deadlines();
        let leg = session.leg.last_place();
        let call = Box::new(session.into_story(reason, turn.now));
        turn.events.push(SessionEvent::Ended { id, reason, leg, call });
    }
}
