//! Two sessions that hear each other: both legs on one worker, each sending what the other one receives.

use crate::session::Session;
use crate::{BridgeId, SessionId, Sessions, Turn};

/// The other session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) peer: SessionId,
    pub(crate) tie: Tie,
}

/// What holds two sessions together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tie {
    /// They are the two sides of one call: requests cross, and neither outlives the other.
    Call,
    /// They were put together, and go on alone.
    Bridge(BridgeId),
}

impl Sessions {
    /// Makes two sessions the sides of one call.
    pub(crate) fn tie(&mut self, one: SessionId, other: SessionId) {
        self.join(one, other, Tie::Call);
    }

    pub(crate) fn join(&mut self, one: SessionId, other: SessionId, tie: Tie) {
        for (id, peer) in [(one, other), (other, one)] {
            if let Some(session) = self.table.get_mut(id) {
                session.membership.join(peer, tie);
            }
        }
    }

    /// Takes two sessions apart; gives what held them together.
    pub(crate) fn untie(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Option<Link> {
        let link = self.table.get(id)?.link()?;
        for id in [id, link.peer] {
            if let Some(session) = self.table.get_mut(id) {
                session.membership.part();
            }
        }
        self.disconnect_leg(id);
        self.disconnect_leg(link.peer);
        self.keep_crossing(turn, id);
        self.keep_crossing(turn, link.peer);
        Some(link)
    }

    /// The other side of the same call.
    pub(crate) fn other_side(&self, id: SessionId) -> Option<SessionId> {
        let link = self.table.get(id)?.link().filter(|link| link.tie == Tie::Call)?;
        Some(link.peer)
    }

    pub(crate) fn linked(&self, session: &Session) -> Option<&Session> {
        self.table.get(session.link()?.peer)
    }
}
