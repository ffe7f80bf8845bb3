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

    /// Makes two sessions members of one group.
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
        self.leave_group(turn, id);
        Some(link)
    }

    /// Takes a session out of the group that it is in; gives the others, which stay together.
    pub(crate) fn leave_group(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Vec<SessionId> {
        let others = self.table.get(id).map(|session| session.membership.others().to_vec()).unwrap_or_default();
        for (left, gone) in others.iter().flat_map(|other| [(id, *other), (*other, id)]) {
            if let Some(session) = self.table.get_mut(left) {
                session.membership.part(gone);
            }
        }
        let apart: Vec<SessionId> = [id].into_iter().chain(others.iter().copied()).collect();
        apart.iter().for_each(|id| self.disconnect_leg(*id));
        apart.iter().for_each(|id| self.keep_crossing(turn, *id));
        others
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
