//! What a peer asks for while something else is on its way to its leg or to the other side of its call: it is kept until
//! that is over, then carried out. A phone that changes its mind within a millisecond of our 200 does nothing wrong.

use crate::leg::Leg;
use crate::negotiation::change::{AnswerTo, Change};
use crate::timers::timer::Timer;
use crate::{CHANGE_WAIT_LIMIT, Refusal, Session, SessionId, Sessions, Turn};

/// When an UPDATE may come again that the other side of the call was too slow for.
const UPDATE_RETRY_AFTER_S: u64 = 10;

/// A peer's request for other media.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer_to: AnswerTo,
    /// The offer as it came; none: the peer wants ours.
    pub(crate) offer: Option<Box<[u8]>>,
    /// Users have been told.
    pub(crate) is_told: bool,
}

impl Sessions {
    /// Carries out what a peer asks for, or keeps it while something is in the way.
    pub(crate) fn take_up(&mut self, turn: &mut Turn<'_>, id: SessionId, asked: Asked) {
        let Some(session) = self.table.get(id) else { return };
        match (session.is_settled(), &asked.offer) {
            (false, _) => self.keep(turn, id, asked),
            (true, Some(_)) => self.offered_again(turn, id, asked),
            (true, None) => self.offer_late(turn, id, asked),
        }
    }

    /// There is one at most: the endpoint refuses a second one of a kind while the first is unanswered (RFC 3261 §14.2).
    pub(crate) fn keep(&mut self, turn: &mut Turn<'_>, id: SessionId, asked: Asked) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.kept = Some(Box::new(asked));
        if !session.timers.is_set(Timer::Change) {
            self.wake(id, Timer::Change, Some(turn.now + CHANGE_WAIT_LIMIT));
        }
    }

    /// Something is over that a change may have waited for, here or on the other side.
    pub(crate) fn go_on_with_kept(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let peer = self.table.get(id).and_then(Session::linked_to);
        for id in [Some(id), peer].into_iter().flatten() {
            self.turn_back(turn, id);
            let Some(asked) = self.table.get_mut(id).and_then(|session| session.kept.take()) else { continue };
            self.take_up(turn, id, *asked);
            if let Some(session) = self.table.get_mut(id).filter(|session| session.kept.is_none()) {
                session.timers.set(Timer::Change, None);
            }
        }
        self.match_sides(turn, id);
    }

    /// The other side goes, and does not answer the offer that crossed: that waits for whoever comes in its place.
    pub(crate) fn keep_crossing(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let crossing = session.change.take_if(|change| change.waits_with.is_some());
        let Some(change) = crossing else { return };
        if session.kept.is_some() {
            // A re-INVITE waits already, and says what the peer wants now.
            return self.refuse_change(turn, change.answer_to, &Refusal::status(491));
        }
        self.keep(turn, id, Asked { answer_to: change.answer_to, offer: change.waits_with, is_told: true });
    }

    /// What it waits for does not come: the peer may ask again (RFC 3261 §14.1). An UPDATE is answered before a re-INVITE that
    /// waits for it.
    pub(crate) fn kept_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        // An UPDATE that crossed has to be answered now: the call goes on as it was, and what the other side agrees to
        // later is taken back.
        let crossing = self.table.get_mut(id).and_then(|session| {
            let is_update = |change: &mut Box<Change>| {
                change.waits_with.is_some() && matches!(change.answer_to, AnswerTo::Update(_))
            };
            session.change.take_if(is_update)
        });
        if let Some(change) = crossing {
            let refusal = Refusal { retry_after_s: Some(UPDATE_RETRY_AFTER_S), ..Refusal::status(504) };
            self.refuse_change(turn, change.answer_to, &refusal);
            return self.go_on_with_kept(turn, id);
        }
        if let Some(asked) = self.table.get_mut(id).and_then(|session| session.kept.take()) {
            self.refuse_change(turn, asked.answer_to, &Refusal::status(491));
            self.go_on_with_kept(turn, id);
        }
    }
}

impl Session {
    /// Nothing is on its way that a change has to wait for. An offer of ours does not stand in the way: one that the peer
    /// has heard of is looked after by the endpoint, one that waits after a 491 has to wait.
    fn is_settled(&self) -> bool {
        matches!(self.leg, Leg::Open(_)) && !self.is_moving && self.change.is_none() && !self.awaits_answer
    }

    /// A request of the peer's for other media has not been answered.
    pub(crate) fn is_asked(&self) -> bool {
        let answers = |change: &crate::negotiation::change::Change| change.answer_to != AnswerTo::Nobody;
        self.kept.is_some() || self.change.as_deref().is_some_and(answers)
    }

    /// A re-INVITE may wait for the answer to an UPDATE of the same peer: a phone that settles on one codec of our answer by
    /// UPDATE does so by itself, and its user presses Resume meanwhile.
    pub(crate) fn can_keep(&self, answer_to: AnswerTo) -> bool {
        let is_update = |change: &Change| matches!(change.answer_to, AnswerTo::Update(_));
        let is_reinvite = matches!(answer_to, AnswerTo::Reinvite(_));
        is_reinvite
            && self.kept.is_none()
            && self.connected_at.is_some()
            && self.change.as_deref().is_some_and(is_update)
    }
}
