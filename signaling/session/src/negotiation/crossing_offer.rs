//! Changes of media that cross from one side of a call to the other while it is up.

use crate::bridge::link::Tie;
use crate::negotiation::capabilities::{Terms, fits, mirrored};
use crate::negotiation::exchange::{Answer, PeerRequest};
use crate::negotiation::local_offer::Wish;
use crate::timers::timer::Timer;
use crate::{Refusal, Session, SessionError, SessionId, Sessions, Turn};
use contract::Direction;
use sdp_core::{Negotiated, Offer};

/// An UPDATE waits this share of the time that a call may take to end, 128*T1, for the other side: with what it may have
/// waited before that is well below the 64*T1 after which its sender gives up.
const UPDATE_SHARE: u32 = 8;

/// What becomes of a peer's offer where there is another side of the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// It is answered here, without the other side.
    Stays,
    /// The other side was asked; our answer depends on its answer.
    Crossed,
    /// The other side is busy with something that ends by itself.
    Waits,
    /// It has been refused.
    Refused,
}

/// The outcome of an offer that crossed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Crossed {
    /// Which ways media flows on the other side now.
    pub(crate) agreed: Direction,
    /// What we wanted there before.
    pub(crate) wanted_before: Direction,
}

/// What a peer asks for by a re-INVITE or an UPDATE with an offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerChange<'o> {
    pub(crate) request: PeerRequest,
    /// All that the peer offers.
    pub(crate) wish: &'o Offer,
    /// The part of it that the other side has agreed to before, or that can be transcoded for it, if there is one.
    pub(crate) here: Option<&'o Offer>,
    /// The offer as it came.
    pub(crate) raw: &'o [u8],
}

impl Sessions {
    /// A peer's offer goes to the other side of the call first, which may refuse it.
    pub(crate) fn change_crosses(&mut self, turn: &mut Turn<'_>, id: SessionId, change: PeerChange<'_>) -> Way {
        let PeerChange { request, wish, here, raw } = change;
        let Some(link) = self.table.get(id).and_then(|session| session.link()) else { return Way::Stays };
        let Some(other) = self.table.get(link.peer).filter(|other| other.can_hear()) else { return Way::Stays };
        // In a bridge each side holds and resumes alone; only a codec that the other one has not got concerns both.
        let (other, wanted) = match link.tie {
            Tie::Call => (other.id(), mirrored(wish.agreed().direction)),
            Tie::Bridge(_) if here.is_none() => (other.id(), other.hold.wanted()),
            Tie::Bridge(_) => return Way::Stays,
        };
        let terms = Some(Terms::of(wish.agreed()));
        match self.turn_other(turn, other, Wish { terms, crosses_for: Some(id), ..Wish::of(wanted) }) {
            Ok(()) => {}
            Err(error) if !matches!(error, SessionError::Busy(_)) => {
                self.refuse_change(turn, request, &self.refusal(error.status()));
                return Way::Refused;
            }
            // RFC 3261 §14.1: both sides ask for something, and neither can wait for the other.
            Err(_) if self.table.get(other).is_some_and(|other| other.negotiation.waits_for_other_side()) => {
                self.refuse_change(turn, request, &Refusal::status(491));
                return Way::Refused;
            }
            Err(_) => return Way::Waits,
        }
        if request.is_update() {
            // RFC 3311 §5.2: an UPDATE cannot wait for a person who answers the re-INVITE on the other side.
            let limit = self.settings.timeouts.ending / UPDATE_SHARE;
            self.wake(id, Timer::Change, Some(turn.now + limit));
        }
        if let Some(session) = self.table.get_mut(id) {
            session.negotiation.cross(request, raw);
        }
        Way::Crossed
    }

    /// This side has answered an offer of ours in its ACK: the other side is asked to change where it has agreed to something
    /// else.
    pub(crate) fn late_answer_crosses(&mut self, turn: &mut Turn<'_>, id: SessionId, agreed: &Negotiated) {
        let Some(other) = self.other_side(id).and_then(|other| self.table.get(other)) else { return };
        let Some(there) = other.sdp.agreed().filter(|_| other.can_hear()) else { return };
        let is_asked = !fits(agreed, there) && (!self.settings.media.transcoding || other.has_shown(agreed));
        if there.direction != mirrored(agreed.direction) || is_asked {
            let other = other.id();
            let wish = Wish { terms: Some(Terms::of(agreed)), ..Wish::of(mirrored(agreed.direction)) };
            // Where something is in the way it is asked again afterwards.
            let _ = self.turn_other(turn, other, wish);
        }
    }

    /// Two sessions have become the sides of one call. A hold by a peer that has left ends, and each side hears what the peer
    /// of the other one wants: a hold by a peer that stays is told to the new one (RFC 3264 §8.4).
    pub(crate) fn directions_meet(&mut self, turn: &mut Turn<'_>, one: SessionId, other: SessionId) {
        for (id, peer) in [(one, other), (other, one)] {
            let Some(wanted) = self.table.get(peer).map(|peer| mirrored(peer.wanted_by_peer())) else { continue };
            let is_other = |session: &Session| {
                let open = session.negotiation.local_offer().map(|offer| &offer.wish);
                let turns = open.is_some_and(|wish| wish.operation.is_none() && wish.wanted != wanted);
                !session.is_held_here() && (session.hold.wanted() != wanted || turns)
            };
            if self.table.get(id).is_some_and(is_other) {
                // While another change is on its way this waits for its end.
                let _ = self.turn_other(turn, id, Wish::of(wanted));
            } else if let Some(session) = self.table.get_mut(id) {
                // A direction that waits was wanted by the side that has left.
                session.negotiation.turn_back_to(None);
            }
        }
    }

    /// A side of a call that we held is resumed: a hold by the peer of the other side, of which it was not told, is told to it
    /// now.
    pub(crate) fn resumed_direction_meets(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        let link = session.link().filter(|link| link.tie == Tie::Call);
        let Some(other) = link.and_then(|link| self.table.get(link.peer)) else { return };
        let wanted = mirrored(other.wanted_by_peer());
        if session.hold.wanted() != wanted {
            // Where something is in the way it is asked again afterwards.
            let _ = self.turn_other(turn, id, Wish::of(wanted));
        }
    }

    /// This side has answered an offer that only the session itself wanted: where the peer agreed to less than was offered, the
    /// other side hears of that.
    pub(crate) fn answered_direction_crosses(&mut self, turn: &mut Turn<'_>, id: SessionId, agreed: Direction) {
        let Some(other) = self.other_side(id).and_then(|other| self.table.get(other)) else { return };
        let wanted = mirrored(agreed);
        if other.can_hear() && other.sdp.agreed().is_some_and(|there| there.direction != wanted) {
            let other = other.id();
            // Where something is in the way it is asked again afterwards.
            let _ = self.turn_other(turn, other, Wish::of(wanted));
        }
    }

    /// Offers the other side what this side wants of it.
    pub(crate) fn turn_other(&mut self, turn: &mut Turn<'_>, other: SessionId, wish: Wish) -> Result<(), SessionError> {
        let (wanted, crosses_for) = (wish.wanted, wish.crosses_for);
        let asked = self.offer(turn, other, wish);
        if let (Err(error), None, Some(session)) = (&asked, crosses_for, self.table.get_mut(other)) {
            // No peer asks for this again: the session does.
            let is_busy = matches!(error, SessionError::Busy(_));
            session.negotiation.turn_back_to(is_busy.then_some(wanted));
        }
        asked
    }

    /// The other side has answered the offer that crossed, or refused it.
    pub(crate) fn cross_done(&mut self, turn: &mut Turn<'_>, id: SessionId, result: Result<Crossed, u16>) {
        let Some(session) = self.table.get_mut(id) else { return };
        let crossing = session.negotiation.take_crossing();
        if crossing.is_some() {
            session.timers.set(Timer::Change, None);
        }
        let Some(crossing) = crossing else {
            // Taken back meanwhile: the other side returns to how it was.
            let other = self.other_side(id).and_then(|other| self.table.get_mut(other));
            if let (Ok(crossed), Some(other)) = (result, other)
                && other.hold.wanted() != crossed.wanted_before
            {
                other.negotiation.turn_back_to(Some(crossed.wanted_before));
            }
            return;
        };
        let crossed = match result {
            Ok(crossed) => crossed,
            Err(status) => {
                self.refuse_change(turn, crossing.request, &Refusal::status(status));
                return self.take_up_pending(turn, id);
            }
        };
        let Some(session) = self.table.get(id) else { return };
        let is_call = session.link().is_some_and(|link| link.tie == Tie::Call);
        let direction = is_call.then(|| mirrored(crossed.agreed));
        let offer = self.read_offer(session, &crossing.offer, direction);
        let (Ok(offer), Some(local), Some(session)) = (offer, session.local(), self.table.get_mut(id)) else {
            self.refuse_change(turn, crossing.request, &Refusal::status(500));
            return self.take_up_pending(turn, id);
        };
        let description = offer.answer(local, session.sdp.origin_mut());
        self.apply_answer(turn, id, Answer { request: crossing.request, description }, &offer);
    }

    /// A change that crossed was taken back while it was agreed on, or the peer that asked for it is gone: this side returns
    /// to what the other one has, as soon as nothing else is on its way.
    pub(crate) fn turn_back(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let wanted = self.table.get_mut(id).and_then(|session| session.negotiation.take_turn_back());
        let Some(wanted) = wanted else { return };
        // Where something is in the way it is asked again afterwards.
        let _ = self.turn_other(turn, id, Wish::of(wanted));
    }
}

impl Session {
    /// Which ways the peer wants media to flow, seen from us. Where we have wanted less than both it was not asked.
    fn wanted_by_peer(&self) -> Direction {
        let agreed = self.agreement().filter(|_| self.hold.wanted() == Direction::Both);
        agreed.map_or(Direction::Both, |agreed| agreed.direction)
    }

    /// Whether offers of the other side go to this peer: it is up, and we do not hold it ourselves.
    fn can_hear(&self) -> bool {
        self.is_answered() && !self.is_held_here()
    }
}
