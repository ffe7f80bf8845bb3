//! A change of media on its way: the media plane carries it out, then the peer hears about it.

use crate::leg::Leg;
use crate::negotiation::change::{AnswerTo, Change};
use crate::session::Session;
use crate::timers::timer::Timer;
use crate::{EndReason, MEDIA_ANSWER_LIMIT, Refusal, SessionEvent, SessionId, SessionState, Sessions, Side, Turn};
use contract::Direction;
use sdp_core::{Negotiated, OtherMedia};
use sip_core::{Content, DialogId, InviteId};
use stats::SignalCounter;

impl Sessions {
    /// Has the media plane carry a change out; the peer hears about it afterwards.
    pub(crate) fn change(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        answer_to: AnswerTo,
        description: String,
        agreed: Negotiated,
        others: OtherMedia,
    ) {
        let Some(session) = self.table.get_mut(id) else { return };
        if answer_to != AnswerTo::Nobody || session.agreed != Some(agreed) {
            session.negotiation = session.negotiation.wrapping_add(1); // not where we have only refreshed
        }
        let updates_before = session.updates_open;
        let waits_with = None;
        session.change = Some(Box::new(Change { answer_to, description, agreed, others, updates_before, waits_with }));
        self.sync(turn, id);
        let is_asked = self.table.get(id).is_some_and(|session| session.updates_open > updates_before);
        if is_asked {
            self.wake(id, Timer::Media, Some(turn.now + MEDIA_ANSWER_LIMIT));
        } else {
            self.finish_change(turn, id, true); // a refresh: media goes on as it is
        }
    }

    /// The media plane has carried the change out, or refused it and left all as it was.
    pub(crate) fn finish_change(&mut self, turn: &mut Turn<'_>, id: SessionId, done: bool) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(change) = session.change.take() else { return };
        session.timers.set(Timer::Media, None);
        if !done {
            return self.undo_change(turn, id, change.answer_to);
        }
        let changed = session.agreed != Some(change.agreed);
        session.agreed = Some(change.agreed);
        session.shown.add(&change.agreed.payloads);
        session.others = change.others;
        if changed && session.connected_at.is_some() {
            turn.events.push(SessionEvent::MediaChanged { id });
        }
        if change.answer_to != AnswerTo::Nobody {
            self.changed_early(id, change.agreed, &change.description);
        }
        self.limit_idle(turn, id);
        self.show_hold(turn, id);
        self.sync(turn, id);
        self.try_move(turn, id);
        self.confirm(turn, id, change.answer_to, &change.description);
        self.tell_finished(turn, id);
        self.go_on_with_kept(turn, id);
    }

    /// Where media does not flow both ways no media timeout looks after the call: its own limit does.
    pub(crate) fn limit_idle(&mut self, turn: &Turn<'_>, id: SessionId) {
        let limit = self.settings.idle_limit;
        let Some(session) = self.table.get(id).filter(|_| !limit.is_zero()) else { return };
        let flows = session.direction() == Direction::Both;
        if flows || !session.timers.is_set(Timer::Idle) {
            self.wake(id, Timer::Idle, (!flows).then(|| turn.now + limit));
        }
    }

    fn undo_change(&mut self, turn: &mut Turn<'_>, id: SessionId, answer_to: AnswerTo) {
        if answer_to == AnswerTo::Nobody {
            // The peers have agreed already; there is no way back.
            return self.end(turn, id, EndReason::MediaFailed);
        }
        let refusal = self.refusal(500);
        self.refuse_change(turn, answer_to, &refusal);
        self.sync(turn, id);
        self.go_on_with_kept(turn, id);
    }

    /// Moves an answered call between Connected and OnHold, and says who holds whom.
    pub(crate) fn show_hold(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if session.connected_at.is_none() || session.state.is_ending() {
            return;
        }
        let held = (session.is_held_here(), session.is_held_there());
        if std::mem::replace(&mut session.shown_hold, held) != held {
            turn.events.push(SessionEvent::HoldChanged { id, here: held.0, there: held.1 });
        }
        let next = session.settled_state();
        if matches!(session.state, SessionState::Connected | SessionState::OnHold) {
            self.go(turn, id, next);
        }
    }

    /// No word from the media plane about a change.
    pub(crate) fn change_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let is_due = |session: &&mut Session| session.change.as_ref().is_some_and(|change| change.waits_with.is_none());
        let Some(session) = self.table.get_mut(id).filter(is_due) else { return };
        session.updates_open = 0;
        self.counts.add(SignalCounter::MediaRefusals, 1);
        self.finish_change(turn, id, false);
    }

    /// The peer took its re-INVITE back: media returns to what was agreed on before.
    pub(crate) fn reinvite_cancelled(&mut self, turn: &mut Turn<'_>, invite: InviteId, dialog: DialogId) {
        let Some(session) = self.find(dialog).and_then(|id| self.table.get_mut(id)) else { return };
        let (id, answer_to) = (session.id, AnswerTo::Reinvite(invite));
        if session.kept.take_if(|asked| asked.answer_to == answer_to).is_some() {
            session.timers.set(Timer::Change, None);
        }
        let is_it = session.change.as_ref().is_some_and(|change| change.answer_to == answer_to);
        if is_it && matches!(session.leg, Leg::Open(_)) {
            session.change = None;
            session.timers.set(Timer::Media, None);
            self.sync(turn, id);
        }
        self.go_on_with_kept(turn, id);
    }

    /// The session ends; whoever waits for a change hears that first (RFC 3261 §15.1.2).
    pub(crate) fn drop_change(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let (change, kept) = (session.change.take(), session.kept.take());
        session.timers.set(Timer::Change, None);
        for answer_to in change.map(|change| change.answer_to).into_iter().chain(kept.map(|asked| asked.answer_to)) {
            self.refuse_change(turn, answer_to, &Refusal::status(487));
        }
    }

    /// The peer has ended the call, and the endpoint its re-INVITE with it; an UPDATE still wants its answer.
    pub(crate) fn drop_ended_change(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let is_over = |answer_to| matches!(answer_to, AnswerTo::Reinvite(_));
        session.change.take_if(|change| is_over(change.answer_to));
        session.kept.take_if(|asked| is_over(asked.answer_to));
        self.drop_change(turn, id);
    }

    pub(crate) fn confirm(&mut self, turn: &mut Turn<'_>, id: SessionId, answer_to: AnswerTo, sdp: &str) {
        match answer_to {
            AnswerTo::Reinvite(invite) => {
                turn.sip.accept(turn.now, invite, Content::sdp(sdp.as_bytes()));
            }
            AnswerTo::Update(request) => drop(turn.sip.respond(turn.now, request, 200, sdp)),
            AnswerTo::Nobody => {}
        }
        if !sdp.is_empty() {
            turn.decide.described(id, Side::Local, sdp.as_bytes());
        }
        if matches!(answer_to, AnswerTo::Update(_)) {
            self.answer(turn, id); // a 200 may have waited for this one
        }
    }

    pub(crate) fn refuse_change(&mut self, turn: &mut Turn<'_>, answer_to: AnswerTo, refusal: &Refusal<'_>) {
        match answer_to {
            AnswerTo::Reinvite(invite) => drop(turn.sip.reject(turn.now, invite, refusal)),
            AnswerTo::Update(request) => {
                let headers = refusal.header_fields();
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
                let content = Content::headers(&headers);
                // It ended meanwhile, then nobody waits.
                let _ = turn.sip.respond_with(turn.now, request, refusal.status, "", content);
            }
            AnswerTo::Nobody => {}
        }
    }
}
