//! A leg goes to another worker, to be with the one that it hears.

use crate::leg::Leg;
use crate::timers::timer::Timer;
use crate::{BridgeId, EndReason, LeaveReason, MEDIA_ANSWER_LIMIT, Session, SessionId, Sessions, Turn};
use contract::{Command, Source};

impl Sessions {
    /// Brings the legs of two linked sessions together, once both run.
    pub(crate) fn bring_together(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if session.is_moving {
            return; // where it arrives, this is asked again
        }
        session.move_to = None; // it stays, the other one comes
        let (here, link) = (session.leg, session.link());
        let there = link.and_then(|link| self.table.get_mut(link.peer)).filter(|peer| !peer.is_moving);
        match (here, there) {
            (Leg::Open(here), Some(peer)) if matches!(peer.leg, Leg::Open(there) if there.worker != here.worker) => {
                peer.move_to = Some(here.worker);
                let peer = peer.id();
                self.try_move(turn, peer);
            }
            _ => self.sync(turn, id),
        }
        self.take_up_pending(turn, id);
    }

    /// Whether the media plane does what a bridge is for: its two sessions hear each other, unless one is held. A bridge
    /// that waits for its second session has nothing to do, nor has one that is gone.
    pub fn is_joined(&self, bridge: BridgeId) -> bool {
        let members = self.bridges.rows.get(&bridge).map(Vec::as_slice).unwrap_or_default();
        let hears = |session: &Session| {
            let is_told = matches!(session.spec.source(), Source::Leg(leg) if Some(leg) != session.leg());
            let is_still = !session.is_moving && session.move_to.is_none() && session.updates_open == 0;
            is_still && (is_told || session.is_held_here())
        };
        members.len() < 2 || members.iter().filter_map(|id| self.table.get(*id)).all(hears)
    }

    /// Sends the move as soon as nothing else is on its way to the leg: an answer says not which command it is to.
    pub(crate) fn try_move(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let (Leg::Open(port), Some(worker)) = (session.leg, session.move_to) else { return };
        if session.is_moving || session.updates_open > 0 || session.negotiation.has_change() {
            return;
        }
        session.move_to = None;
        if session.link().is_none() || port.worker == worker {
            return self.sync(turn, id);
        }
        session.is_moving = true;
        turn.commands.push((port.worker, Command::Move { leg: port.leg, tag: id.as_u64(), worker }));
        self.wake(id, Timer::Media, Some(turn.now + MEDIA_ANSWER_LIMIT));
    }

    pub(crate) fn moved(&mut self, turn: &mut Turn<'_>, id: SessionId, worker: u8) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.is_moving = false;
        session.timers.set(Timer::Media, None);
        let (from, leg) = match &mut session.leg {
            Leg::None => return,
            Leg::Opening(port) | Leg::Open(port) | Leg::Closing(port) => {
                (std::mem::replace(&mut port.worker, worker), port.leg)
            }
        };
        turn.ports.moved(from, worker);
        if let Leg::Closing(_) = session.leg {
            // The `Close` went to where it no longer was.
            turn.commands.push((worker, Command::Close { leg, tag: id.as_u64() }));
        }
        self.sync(turn, id);
        self.bring_together(turn, id);
    }

    /// The leg stays where it is, and cannot hear the other one.
    pub(crate) fn move_refused(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.is_moving = false;
        session.timers.set(Timer::Media, None);
        self.link_failed(turn, id);
        self.take_up_pending(turn, id);
    }

    /// Two linked sessions cannot hear each other: a bridge is taken down, a call ends.
    pub(crate) fn link_failed(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        match self.table.get(id).and_then(|session| session.link()).map(|link| link.tie) {
            Some(crate::bridge::link::Tie::Bridge(bridge)) => self.take_down(turn, bridge, LeaveReason::Failed),
            Some(crate::bridge::link::Tie::Call) => self.end(turn, id, EndReason::MediaFailed),
            None => self.sync(turn, id),
        }
    }
}
