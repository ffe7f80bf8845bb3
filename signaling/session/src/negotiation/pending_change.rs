//! A peer's request for other media that comes while something else is on its way to its leg or to the other side of its
//! call: it waits until that is over, then it is carried out. A phone that changes its mind within a millisecond of our
//! 200 does nothing wrong.

use super::exchange::PeerRequest;
use crate::timers::timer::Timer;
use crate::{CHANGE_WAIT_LIMIT, Refusal, Session, SessionId, Sessions, Turn};
use media_control::Legs;

/// `Retry-After` of an UPDATE that the other side of the call was too slow for, in seconds.
const UPDATE_RETRY_AFTER_S: u64 = 10;

/// A peer's request for other media.
#[derive(Debug)]
pub(crate) struct PendingOffer {
    pub(crate) request: PeerRequest,
    /// The session description as it came; none: the peer wants ours.
    pub(crate) offer: Option<Box<[u8]>>,
    /// The user has been told of it.
    pub(crate) is_told: bool,
}

impl PendingOffer {
    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.offer.as_ref().map_or(0, |offer| offer.len())
    }
}

impl Sessions {
    /// Carries out what a peer asks for, or keeps it while something is in the way.
    pub(crate) fn take_up(&mut self, turn: &mut Turn<'_>, id: SessionId, asked: PendingOffer) {
        let Some(session) = self.table.get(id) else { return };
        if !session.may_answer(&self.legs) {
            return self.postpone(turn, id, asked);
        }
        self.withdraw_offer(turn, id);
        match asked.offer {
            Some(_) => self.take_up_offer(turn, id, asked),
            None => self.offer_late(turn, id, asked),
        }
    }

    /// The peer's request waits.
    pub(crate) fn postpone(&mut self, turn: &mut Turn<'_>, id: SessionId, asked: PendingOffer) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.negotiation.postpone(asked);
        if !session.timers.is_set(Timer::Change) {
            self.wake(id, Timer::Change, Some(turn.now + CHANGE_WAIT_LIMIT));
        }
    }

    /// Something is over that a change may have waited for, here or on the other side: what the other side of the call no
    /// longer wants is taken back, then the peers' requests are taken up, then two sides with different codecs settle on
    /// one, then it is the user's turn.
    pub(crate) fn take_up_pending(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let peer = self.table.get(id).and_then(Session::linked_to);
        for id in [Some(id), peer].into_iter().flatten() {
            self.turn_back(turn, id);
            let pending = self.table.get_mut(id).and_then(|session| session.negotiation.take_pending());
            let Some(pending) = pending else { continue };
            self.take_up(turn, id, pending);
            if let Some(session) = self.table.get_mut(id).filter(|session| !session.negotiation.has_pending()) {
                session.timers.set(Timer::Change, None);
            }
        }
        self.match_sides(turn, id);
        for id in [Some(id), peer].into_iter().flatten() {
            self.next_operation(turn, id);
        }
    }

    /// The other side goes, and does not answer the offer that crossed: that waits for the session that comes in its
    /// place.
    pub(crate) fn keep_crossing(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(crossing) = session.negotiation.take_crossing() else { return };
        if session.negotiation.has_pending() {
            // A re-INVITE waits already, and says what the peer wants now.
            return self.refuse_change(turn, crossing.request, &Refusal::status(491));
        }
        let asked = PendingOffer { request: crossing.request, offer: Some(crossing.offer), is_told: true };
        self.postpone(turn, id, asked);
    }

    /// What it waits for does not come: the peer may ask again (RFC 3261 §14.1). An UPDATE is answered before a re-INVITE
    /// that waits for it.
    pub(crate) fn change_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        // An UPDATE that crossed has to be answered now: the call goes on as it was, and what the other side agrees to
        // later is taken back.
        if session.negotiation.request().is_some_and(PeerRequest::is_update)
            && let Some(crossing) = session.negotiation.take_crossing()
        {
            let refusal = Refusal { retry_after_s: Some(UPDATE_RETRY_AFTER_S), ..Refusal::status(504) };
            self.refuse_change(turn, crossing.request, &refusal);
            return self.take_up_pending(turn, id);
        }
        if let Some(pending) = session.negotiation.take_pending() {
            self.refuse_change(turn, pending.request, &Refusal::status(491));
            self.take_up_pending(turn, id);
        }
    }
}

impl Session {
    /// Nothing is on its way that a change has to wait for.
    fn may_answer(&self, legs: &Legs) -> bool {
        self.has_still_leg(legs) && self.negotiation.may_answer()
    }
}
