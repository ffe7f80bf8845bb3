//! The call that a REFER made: it takes the place of the one that asked, or says why it could not.

use crate::link::Tie;
use crate::offering::Wish;
use crate::{EndReason, Session, SessionId, Sessions, Turn};
use contract::Direction;

impl Sessions {
    /// Something is known about a call that was referred to: whoever asked for it hears that.
    pub(crate) fn referral_progress(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16) {
        let Some(referral) = self.table.get(id).and_then(|session| session.referral.as_deref()) else { return };
        turn.sip.notify_refer(turn.now, referral.subscription, status, false);
    }

    /// It was answered: it takes the place of the call that asked for it.
    pub(crate) fn referral_answered(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let (Some(referral), _) = (session.referral.take(), session.will_hear.take()) else { return };
        turn.sip.notify_refer(turn.now, referral.subscription, 200, true);
        self.take_place(turn, id, referral.by);
        self.end(turn, referral.by, EndReason::Transferred);
    }

    /// It ends: whoever asked for it goes on without.
    pub(crate) fn referral_failed(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: EndReason) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.will_hear = None;
        let Some(referral) = session.referral.take() else { return };
        turn.sip.notify_refer(turn.now, referral.subscription, reason.status(), true);
        if let Some(by) = self.table.get_mut(referral.by) {
            by.referred = None;
        }
    }

    /// Whoever asked is told goodbye before its call was answered: its reports end first, for none can follow a BYE.
    pub(crate) fn end_reports(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let referred = self.table.get(id).and_then(|session| session.referred);
        let referral = referred.and_then(|other| self.table.get(other)?.referral.as_deref());
        if let Some(referral) = referral {
            turn.sip.notify_refer(turn.now, referral.subscription, EndReason::Cancelled.status(), true);
        }
    }

    /// The one that asked ends before its call was answered, as is usual in blind transfers: whom it talked to waits
    /// for the new call. `false`: nobody waits, and the new call ends.
    pub(crate) fn leave_to_referred(&mut self, turn: &mut Turn<'_>, id: SessionId) -> bool {
        let Some(other) = self.table.get_mut(id).and_then(|session| session.referred.take()) else { return false };
        if let Some(session) = self.table.get_mut(other) {
            (session.referral, session.will_hear) = (None, None);
        }
        if self.other_side(id).is_none() {
            self.end(turn, other, EndReason::Cancelled);
            return false;
        }
        self.take_place(turn, other, id);
        true
    }

    /// One session takes the place of another with whom that one talks to.
    pub(crate) fn take_place(&mut self, turn: &mut Turn<'_>, id: SessionId, old: SessionId) {
        if let Some(session) = self.table.get_mut(old) {
            session.referred = None;
        }
        let Some(link) = self.table.get(old).and_then(|session| session.link) else { return };
        match link.tie {
            Tie::Call => {
                self.untie(turn, old);
                self.tie(id, link.peer);
                self.bring_together(turn, link.peer);
                self.let_flow(turn, link.peer);
            }
            Tie::Bridge(bridge) => self.change_seats(turn, bridge, old, id),
        }
    }

    /// Ends a hold that came from whoever is gone.
    pub(crate) fn let_flow(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let is_turning = |session: &Session| {
            let wish = session.offering.as_ref().map(|offering| offering.wish);
            wish.is_some_and(|wish| wish.crosses_for.is_some() && wish.wanted != Direction::Both)
        };
        let is_turned =
            |session: &Session| !session.is_held_here() && (session.wanted != Direction::Both || is_turning(session));
        if self.table.get(id).is_some_and(is_turned) {
            // While another change is on its way this waits for its end.
            let _ = self.turn_other(turn, id, Wish::of(Direction::Both));
        }
    }
}

impl Session {
    /// The URI of whoever is on the other end.
    pub(crate) fn peer_uri(&self) -> &str {
        if self.is_outgoing { &self.parties.to } else { &self.parties.from }
    }

    /// The same as others may know it: a caller who asked for privacy stays unknown (RFC 3323).
    pub(crate) fn shown_uri(&self) -> &str {
        if self.hides_caller { crate::crossing::ANONYMOUS } else { self.peer_uri() }
    }
}
