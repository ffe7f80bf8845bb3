//! Two linked sessions come to hear each other: their legs meet on one worker.

use crate::bridge::link::Tie;
use crate::{BridgeId, EndReason, LeaveReason, PlannedSource, Session, SessionEvent, SessionId, Sessions, Turn};
use media_control::{EdgeState, Standing};

impl Sessions {
    /// Tells the legs of two linked sessions about each other.
    pub(crate) fn bring_together(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        if self.table.get(id).is_none_or(|session| session.is_moving(&self.legs)) {
            return; // where it arrives, this is asked again
        }
        self.sync(turn, id);
        self.take_up_pending(turn, id);
    }

    /// Whether the media plane does what a bridge is for: its sessions hear each other, unless one is held. A bridge that
    /// waits for its second session has nothing to do, nor has one that is gone.
    pub fn is_joined(&self, bridge: BridgeId) -> bool {
        let members = self.bridges.members(bridge);
        let hears = |session: &Session| {
            let Some(leg) = session.leg.id() else { return true };
            let is_settled = self.legs.is_still(leg) && self.legs.standing(leg) == Ok(Standing::Confirmed);
            // An edge that needs a mixer says so in its state: the session does not hear that member.
            let flows = || {
                let mut states = self.legs.sources(leg).map(|(_, state)| state).peekable();
                states.peek().is_some() && states.all(|state| state == EdgeState::Flowing)
            };
            is_settled && (session.is_held_here() || flows())
        };
        members.len() < 2 || members.iter().filter_map(|id| self.table.get(*id)).all(hears)
    }

    /// Tells once that the sessions of a bridge hear each other.
    pub(crate) fn look_at_joining(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(bridge) = self.table.get(id).and_then(Session::bridge) else { return };
        // Few events of a bridge come while this is awaited: the look at all its members is for them alone.
        if !self.bridges.get_mut(bridge).is_some_and(|group| group.is_joining()) || !self.is_joined(bridge) {
            return;
        }
        if let Some(group) = self.bridges.get_mut(bridge) {
            group.has_joined();
            turn.events.push(SessionEvent::BridgeJoined { bridge });
        }
    }

    /// The leg is on the worker of the other one.
    pub(crate) fn moved(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.look_at_applying(turn, id);
        self.bring_together(turn, id);
    }

    /// The leg stays where it is, and cannot hear the other one.
    pub(crate) fn move_refused(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.look_at_applying(turn, id);
        self.link_failed(turn, id);
        self.take_up_pending(turn, id);
    }

    /// Whether it plays a room, to whose worker its leg has to move.
    fn is_to_be_in_room(&self, id: SessionId) -> bool {
        self.table.get(id).is_some_and(|session| matches!(session.playback.source(), PlannedSource::Room(_)))
    }

    /// Two linked sessions cannot hear each other: a bridge is taken down, a call ends.
    pub(crate) fn link_failed(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        match self.table.get(id).and_then(|session| session.link()).map(|link| link.tie) {
            Some(Tie::Bridge(bridge)) => self.take_down(turn, bridge, LeaveReason::Failed),
            Some(Tie::Call) => self.end(turn, id, EndReason::MediaFailed),
            None if self.is_to_be_in_room(id) => self.source_refused(turn, id),
            None => drop(self.sync(turn, id)),
        }
    }
}
