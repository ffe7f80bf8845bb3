//! What was agreed on is carried out by the media plane, then confirmed to the peer.

use crate::negotiation::exchange::{Answer, Applying, PeerRequest};
use crate::timers::timer::Timer;
use crate::{EndReason, Operation, Refusal, SessionEvent, SessionId, SessionState, Sessions, Side, Turn};
use contract::Direction;
use media_control::Standing;
use sdp_core::{Negotiated, Offer};
use sip_core::{Content, DialogId, InviteId};

impl Sessions {
    /// A peer's offer has an answer of ours, which leaves once the media plane does what it says.
    pub(crate) fn apply_answer(&mut self, turn: &mut Turn<'_>, id: SessionId, answer: Answer, offer: &Offer) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.sdp.count_exchange();
        let applying = Applying {
            answer: Some(answer),
            agreed: offer.agreed().clone(),
            others: offer.others().clone(),
            operation: None,
            carried_by: None,
        };
        self.apply(turn, id, applying);
    }

    /// The peer has answered an offer of ours, which carried out an operation of the user's or none.
    pub(crate) fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        agreed: Negotiated,
        operation: Option<Operation>,
    ) {
        let Some(session) = self.table.get_mut(id) else { return };
        if session.sdp.agreed() != Some(&agreed) {
            session.sdp.count_exchange(); // not where we have only refreshed
        }
        let others = session.sdp.others().clone();
        self.apply(turn, id, Applying { answer: None, agreed, others, operation, carried_by: None });
    }

    fn apply(&mut self, turn: &mut Turn<'_>, id: SessionId, applying: Applying) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(overtaken) = session.negotiation.apply(applying) {
            self.refuse_change(turn, overtaken, &Refusal::status(491));
        }
        match self.sync(turn, id) {
            Standing::Awaits(number) => {
                if let Some(session) = self.table.get_mut(id) {
                    session.negotiation.carry_by(number);
                }
            }
            // A refresh: media goes on as it is.
            Standing::Confirmed | Standing::NotOpen => self.applied(turn, id, true),
            Standing::Refused => self.applied(turn, id, false),
        }
    }

    /// The media plane has carried it out, or refused it and left all as it was.
    pub(crate) fn applied(&mut self, turn: &mut Turn<'_>, id: SessionId, done: bool) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(applying) = session.negotiation.take_applying() else { return };
        if !done {
            return self.undo(turn, id, applying.answer);
        }
        let changed = session.sdp.agreed() != Some(&applying.agreed);
        session.sdp.note_shown(&applying.agreed.payloads);
        session.sdp.settle(applying.agreed.clone(), applying.others);
        if changed && session.is_answered() {
            turn.events.push(SessionEvent::MediaChanged { id });
        }
        if let Some(answer) = &applying.answer {
            self.changed_early(id, applying.agreed, &answer.description);
        }
        self.limit_idle(turn, id);
        self.show_hold(turn, id);
        self.sync(turn, id);
        if let Some(answer) = &applying.answer {
            self.confirm(turn, id, answer.request, &answer.description);
        }
        let is_up = self.table.get(id).is_some_and(|session| !session.state().is_ending());
        if let Some(operation) = applying.operation.filter(|_| is_up) {
            turn.events.push(SessionEvent::Done { id, operation });
        }
        self.take_up_pending(turn, id);
    }

    /// Where media does not flow both ways no media timeout looks after the call: its own limit does.
    pub(crate) fn limit_idle(&mut self, turn: &Turn<'_>, id: SessionId) {
        let limit = self.settings.timeouts.idle;
        let Some(session) = self.table.get(id).filter(|_| !limit.is_zero()) else { return };
        let flows = session.direction() == Direction::Both;
        if flows || !session.timers.is_set(Timer::Idle) {
            self.wake(id, Timer::Idle, (!flows).then(|| turn.now + limit));
        }
    }

    /// The call stays as it was before the offer.
    fn undo(&mut self, turn: &mut Turn<'_>, id: SessionId, answer: Option<Answer>) {
        let Some(answer) = answer else {
            // The peers have agreed already; there is no way back.
            return self.end(turn, id, EndReason::MediaFailed);
        };
        let refusal = self.refusal(500);
        self.refuse_change(turn, answer.request, &refusal);
        self.sync(turn, id);
        self.take_up_pending(turn, id);
    }

    /// Moves an answered call between Connected and OnHold, and tells the user which side holds.
    pub(crate) fn show_hold(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if !session.is_answered() || session.state().is_ending() {
            return;
        }
        let held = (session.is_held_here(), session.is_held_there());
        if session.hold.tell(held) {
            turn.events.push(SessionEvent::HoldChanged { id, here: held.0, there: held.1 });
        }
        let next = session.settled_state();
        if matches!(session.state(), SessionState::Connected | SessionState::OnHold) {
            self.go(turn, id, next);
        }
    }

    /// The peer has cancelled its re-INVITE: media returns to what was agreed on before.
    pub(crate) fn reinvite_cancelled(&mut self, turn: &mut Turn<'_>, invite: InviteId, dialog: DialogId) {
        let Some(session) = self.find(dialog).and_then(|id| self.table.get_mut(id)) else { return };
        let (id, is_it) = (session.id(), |request| request == PeerRequest::Reinvite(invite));
        if session.negotiation.take_pending_if(is_it).is_some() {
            session.timers.set(Timer::Change, None);
        }
        if session.has_running_leg(&self.legs) && session.negotiation.take_request_if(is_it).is_some() {
            self.sync(turn, id);
        }
        self.take_up_pending(turn, id);
    }

    /// The session ends; a peer that waits for an answer to its request gets that first (RFC 3261 §15.1.2).
    pub(crate) fn drop_change(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let request = session.negotiation.take_request_if(|_| true);
        let pending = session.negotiation.take_pending().map(|pending| pending.request);
        session.negotiation.take_applying();
        session.timers.set(Timer::Change, None);
        for request in request.into_iter().chain(pending) {
            self.refuse_change(turn, request, &Refusal::status(487));
        }
    }

    /// The peer has ended the call, and the endpoint its re-INVITE with it; an UPDATE still wants its answer.
    pub(crate) fn drop_ended_change(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.negotiation.take_request_if(|request| !request.is_update());
        session.negotiation.take_pending_if(|request| !request.is_update());
        self.drop_change(turn, id);
    }

    pub(crate) fn confirm(&mut self, turn: &mut Turn<'_>, id: SessionId, request: PeerRequest, sdp: &str) {
        match request {
            PeerRequest::Reinvite(invite) => {
                turn.sip.accept(turn.now, invite, Content::sdp(sdp.as_bytes()));
            }
            PeerRequest::Update(request) => drop(turn.sip.respond(turn.now, request, 200, sdp)),
        }
        if !sdp.is_empty() {
            turn.decide.described(id, Side::Local, sdp.as_bytes());
        }
        if request.is_update() {
            self.answer(turn, id); // a 200 may have waited for this one
        }
    }

    pub(crate) fn refuse_change(&mut self, turn: &mut Turn<'_>, request: PeerRequest, refusal: &Refusal<'_>) {
        match request {
            PeerRequest::Reinvite(invite) => drop(turn.sip.reject(turn.now, invite, refusal)),
            PeerRequest::Update(request) => {
                let headers = refusal.header_fields();
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
                let content = Content::headers(&headers);
                // Where its dialog has ended meanwhile the endpoint has answered it.
                let _ = turn.sip.respond_with(turn.now, request, refusal.status, "", content);
            }
        }
    }
}
