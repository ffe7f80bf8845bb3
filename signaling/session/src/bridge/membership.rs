//! Which sessions a session belongs together with.

use super::link::{Link, Tie};
use crate::{BridgeId, SessionId};

/// A session goes alone, is one of the two sides of a call, or is in a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Membership {
    #[default]
    Alone,
    /// The other side of the same call.
    Call(SessionId),
    /// A bridge, and the session that it hears there, once there is one.
    Bridge(BridgeId, Option<SessionId>),
}

impl Membership {
    /// The session that it hears, and what holds the two together.
    pub(crate) fn link(self) -> Option<Link> {
        match self {
            Self::Alone | Self::Bridge(_, None) => None,
            Self::Call(peer) => Some(Link { peer, tie: Tie::Call }),
            Self::Bridge(bridge, Some(peer)) => Some(Link { peer, tie: Tie::Bridge(bridge) }),
        }
    }

    pub(crate) fn bridge(self) -> Option<BridgeId> {
        if let Self::Bridge(bridge, _) = self { Some(bridge) } else { None }
    }

    /// It hears this session from now on.
    pub(crate) fn join(&mut self, peer: SessionId, tie: Tie) {
        *self = match tie {
            Tie::Call => Self::Call(peer),
            Tie::Bridge(bridge) => Self::Bridge(bridge, Some(peer)),
        };
    }

    /// It hears no other session from now on. A member of a bridge stays in it.
    pub(crate) fn part(&mut self) {
        *self = match *self {
            Self::Bridge(bridge, _) => Self::Bridge(bridge, None),
            Self::Alone | Self::Call(_) => Self::Alone,
        };
    }

    /// It is in a bridge, where it hears no other member yet.
    pub(crate) fn enter(&mut self, bridge: BridgeId) {
        *self = Self::Bridge(bridge, None);
    }

    /// It leaves its bridge.
    pub(crate) fn leave(&mut self) {
        *self = Self::Alone;
    }
}
