//! The peer changes media in the middle of a call: re-INVITE, UPDATE, and the answer to our own offer.

use crate::invitation::{Unfit, description};
use crate::ports::Accepted;
use crate::session::{AnswerTo, Change, Leg};
use crate::{EndReason, MEDIA_ANSWER_LIMIT, Refusal, SessionId, SessionState, Sessions, Side, Turn};
use contract::Command;
use sdp_core::{Local, Negotiated, Offer, OtherMedia, read_answer, write_offer};
use sip_core::{DialogId, InviteId, RequestId, Span};
use sip_wire::Message;
use stats::SignalCounter;

impl Sessions {
    pub(crate) fn reinvited(&mut self, turn: &mut Turn<'_>, invite: InviteId, dialog: DialogId, message: Span) {
        self.counts.add(SignalCounter::Changes, 1);
        let answer_to = AnswerTo::Reinvite(invite);
        match self.changeable(dialog) {
            Ok(id) => self.offered_again(turn, id, answer_to, message),
            Err(status) => self.refuse_change(turn, answer_to, &Refusal::status(status)),
        }
    }

    pub(crate) fn update_requested(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        dialog: DialogId,
        message: Span,
    ) {
        self.counts.add(SignalCounter::Changes, 1);
        let answer_to = AnswerTo::Update(request);
        match self.changeable(dialog) {
            Ok(id) => self.offered_again(turn, id, answer_to, message),
            Err(status) => self.refuse_change(turn, answer_to, &Refusal::status(status)),
        }
    }

    /// The session whose media can be changed now, or the status that says why not.
    fn changeable(&self, dialog: DialogId) -> Result<SessionId, u16> {
        let session = self.find(dialog).and_then(|id| self.table.get(id)).ok_or(481_u16)?;
        match session.leg {
            _ if session.state.is_ending() => Err(481),
            // RFC 3311 §5.2 and RFC 3261 §14.2: one offer at a time.
            _ if session.change.is_some() || session.awaits_answer => Err(491),
            Leg::Open(_) if session.invite.is_none() => Ok(session.id),
            _ => Err(500),
        }
    }

    fn offered_again(&mut self, turn: &mut Turn<'_>, id: SessionId, answer_to: AnswerTo, message: Span) {
        let settings = self.settings.media();
        let read = |bytes: &[u8]| -> Result<Option<Offer>, Unfit> {
            let message = Message::parse(bytes).map_err(|_| Unfit::Malformed)?;
            let sdp = description(&message)?;
            Ok(sdp.map(|sdp| Offer::read_again(sdp, &settings)).transpose()?)
        };
        match read(turn.sip.bytes(message)) {
            Ok(Some(offer)) => {
                let Some(session) = self.table.get_mut(id) else { return };
                let Leg::Open(port) = session.leg else { return };
                let local = Local { ip: session.local_ip, port: port.leg.port };
                let text = offer.answer(local, &mut session.origin);
                self.change(turn, id, answer_to, text, *offer.agreed(), offer.others().clone());
            }
            Ok(None) => self.offer_late(turn, id, answer_to),
            Err(unfit) => {
                let words = unfit.to_string();
                let refusal = Refusal { warning: &words, ..self.refusal(unfit.status()) };
                self.refuse_change(turn, answer_to, &refusal);
            }
        }
    }

    /// A re-INVITE without an offer wants ours (RFC 3261 §14.2); an UPDATE without one only refreshes.
    fn offer_late(&mut self, turn: &mut Turn<'_>, id: SessionId, answer_to: AnswerTo) {
        let AnswerTo::Reinvite(invite) = answer_to else { return self.confirm(turn, answer_to, "") };
        let Some(session) = self.table.get_mut(id) else { return };
        let Leg::Open(port) = session.leg else { return };
        let local = Local { ip: session.local_ip, port: port.leg.port };
        let text = write_offer(&self.settings.media(), &session.others, local, &mut session.origin);
        session.awaits_answer = turn.sip.accept(turn.now, invite, &text) == Accepted::Sent;
    }

    /// Our 2xx was acknowledged; where it had our offer, this has the answer.
    pub(crate) fn acknowledged(&mut self, turn: &mut Turn<'_>, dialog: DialogId, message: Span) {
        let Some(id) = self.find(dialog) else { return };
        let Some(session) = self.table.get_mut(id).filter(|session| session.awaits_answer) else { return };
        session.awaits_answer = false;
        let read = |bytes: &[u8]| -> Result<Negotiated, Unfit> {
            let message = Message::parse(bytes).map_err(|_| Unfit::Malformed)?;
            let sdp = description(&message)?.ok_or(Unfit::NotSdp)?;
            Ok(read_answer(sdp, &self.settings.media(), &session.others)?)
        };
        match read(turn.sip.bytes(message)) {
            Ok(agreed) => {
                // Read a moment ago, so it is there.
                if let Ok(message) = Message::parse(turn.sip.bytes(message)) {
                    turn.decide.described(id, Side::Remote, message.body());
                }
                let others = session.others.clone();
                self.change(turn, id, AnswerTo::Nobody, String::new(), agreed, others);
            }
            Err(_) => self.end(turn, id, EndReason::BadAnswer),
        }
    }

    /// Has the media plane carry a change out; the peer hears about it afterwards.
    fn change(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        answer_to: AnswerTo,
        description: String,
        agreed: Negotiated,
        others: OtherMedia,
    ) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Leg::Open(port) = session.leg else { return };
        let mut spec = session.spec;
        agreed.apply(&mut spec);
        self.settings.limit_silence(&mut spec);
        let updates_before = session.updates_open;
        session.change = Some(Box::new(Change { answer_to, description, agreed, others, spec, updates_before }));
        if spec == session.spec {
            return self.finish_change(turn, id, true); // a refresh: media goes on as it is
        }
        session.updates_open += 1;
        turn.commands.push((port.worker, Command::Update { leg: port.leg, tag: id.as_u64(), spec }));
        self.wake(id, Some(turn.now + MEDIA_ANSWER_LIMIT));
    }

    /// The media plane has carried the change out, or refused it and left all as it was.
    pub(crate) fn finish_change(&mut self, turn: &mut Turn<'_>, id: SessionId, done: bool) {
        let refusal = self.refusal(500);
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(change) = session.change.take() else { return };
        if !done {
            return self.refuse_change(turn, change.answer_to, &refusal);
        }
        // A prompt may have ended meanwhile; what is sent is no part of what peers agree on.
        session.spec = contract::LegSpec { source: session.spec.source, ..change.spec };
        session.others = change.others;
        let next = if change.agreed.direction.sends() { SessionState::Connected } else { SessionState::OnHold };
        if session.state.can_transition_to(next) {
            self.go(turn, id, next);
        }
        self.confirm(turn, change.answer_to, &change.description);
    }

    /// No word from the media plane about a change.
    pub(crate) fn change_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id).filter(|session| session.change.is_some()) else { return };
        session.updates_open = 0;
        self.counts.add(SignalCounter::MediaRefusals, 1);
        self.finish_change(turn, id, false);
    }

    /// The peer took its re-INVITE back: media returns to what was agreed on before.
    pub(crate) fn reinvite_cancelled(&mut self, turn: &mut Turn<'_>, invite: InviteId, dialog: DialogId) {
        let Some(session) = self.find(dialog).and_then(|id| self.table.get_mut(id)) else { return };
        let is_it = session.change.as_ref().is_some_and(|change| change.answer_to == AnswerTo::Reinvite(invite));
        let Leg::Open(port) = session.leg else { return };
        if is_it {
            session.change = None;
            session.updates_open += 1;
            let (leg, tag) = (port.leg, session.id.as_u64());
            turn.commands.push((port.worker, Command::Update { leg, tag, spec: session.spec }));
        }
    }

    /// The session ends; whoever waits for a change hears that first.
    pub(crate) fn drop_change(&mut self, turn: &mut Turn<'_>, id: SessionId, refusal: &Refusal<'_>) {
        if let Some(change) = self.table.get_mut(id).and_then(|session| session.change.take()) {
            self.refuse_change(turn, change.answer_to, refusal);
        }
    }

    fn confirm(&mut self, turn: &mut Turn<'_>, answer_to: AnswerTo, sdp: &str) {
        match answer_to {
            AnswerTo::Reinvite(invite) => drop(turn.sip.accept(turn.now, invite, sdp)),
            AnswerTo::Update(request) => drop(turn.sip.respond(turn.now, request, 200, sdp)),
            AnswerTo::Nobody => {}
        }
    }

    fn refuse_change(&mut self, turn: &mut Turn<'_>, answer_to: AnswerTo, refusal: &Refusal<'_>) {
        match answer_to {
            AnswerTo::Reinvite(invite) => drop(turn.sip.reject(turn.now, invite, refusal)),
            AnswerTo::Update(request) => drop(turn.sip.respond(turn.now, request, refusal.status, "")),
            AnswerTo::Nobody => {}
        }
    }
}
