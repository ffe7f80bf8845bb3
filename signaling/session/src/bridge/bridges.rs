//! Bridges: sessions of a shard that are put together and taken apart again.

use crate::bridge::group::Group;
use crate::bridge::link::Tie;
use crate::negotiation::capabilities::fits;
use crate::session::Session;
use crate::{Operation, SessionError, SessionEvent, SessionId, Sessions, Turn};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

/// Most sessions of one bridge that the media plane can let hear each other: it relays between two, and does not mix yet.
/// Nothing else here counts on there being two.
pub const BRIDGE_MEMBERS_MAX: usize = 2;

/// Names a bridge of one shard; it is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BridgeId(NonZeroU64);

impl BridgeId {
    /// The bridge as a number.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }

    /// The inverse of [`Self::as_u64`]. Any other number names no bridge, or an unrelated one.
    pub fn from_u64(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
    }
}

impl fmt::Display for BridgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Why a session left a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// It was taken out.
    Removed,
    /// It ended.
    Ended,
    /// The bridge was destroyed.
    Destroyed,
    /// The media plane could not do it.
    Failed,
}

/// The bridges of a shard, with their sessions.
#[derive(Default)]
pub(crate) struct Bridges {
    rows: BTreeMap<BridgeId, Group>,
    made_count: u64,
}

impl Bridges {
    pub(crate) fn members(&self, bridge: BridgeId) -> &[SessionId] {
        self.rows.get(&bridge).map(Group::members).unwrap_or_default()
    }

    pub(crate) fn get_mut(&mut self, bridge: BridgeId) -> Option<&mut Group> {
        self.rows.get_mut(&bridge)
    }
}

impl Sessions {
    /// An empty bridge.
    pub fn create_bridge(&mut self) -> Result<BridgeId, SessionError> {
        if self.bridges.rows.len() >= self.settings.limits.max_calls {
            return Err(SessionError::ResourceExhausted { what: "bridges", limit: self.settings.limits.max_calls });
        }
        self.bridges.made_count += 1;
        let id = BridgeId::from_u64(self.bridges.made_count);
        self.bridges.rows.insert(id, Group::default());
        Ok(id)
    }

    /// Puts two answered sessions together.
    pub fn bridge(&mut self, turn: &mut Turn<'_>, one: SessionId, other: SessionId) -> Result<BridgeId, SessionError> {
        self.check_member(one)?;
        self.check_member(other)?;
        if one == other {
            return Err(SessionError::Argument("a bridge needs two different sessions"));
        }
        self.check_fit(one, other)?;
        let bridge = self.create_bridge()?;
        self.seat(turn, bridge, one);
        self.seat(turn, bridge, other);
        Ok(bridge)
    }

    /// Adds an answered session, which is put together with those that are there.
    pub fn add_to_bridge(&mut self, turn: &mut Turn<'_>, bridge: BridgeId, id: SessionId) -> Result<(), SessionError> {
        let members = self.bridges.rows.get(&bridge).ok_or(SessionError::BridgeNotFound(bridge))?.members();
        self.check_member(id)?;
        if members.len() >= BRIDGE_MEMBERS_MAX {
            let what = "sessions of one bridge (more of them hear each other in a room)";
            return Err(SessionError::ResourceExhausted { what, limit: BRIDGE_MEMBERS_MAX });
        }
        for member in members {
            self.check_fit(*member, id)?;
        }
        self.seat(turn, bridge, id);
        Ok(())
    }

    /// Takes a session out; it goes on with its own source. The bridge stays as long as it has a member.
    pub fn remove_from_bridge(
        &mut self,
        turn: &mut Turn<'_>,
        bridge: BridgeId,
        id: SessionId,
    ) -> Result<(), SessionError> {
        let group = self.bridges.rows.get(&bridge).ok_or(SessionError::BridgeNotFound(bridge))?;
        if !group.members().contains(&id) {
            return Err(SessionError::SessionNotFound(id));
        }
        self.unseat(turn, bridge, id, LeaveReason::Removed);
        if self.bridges.members(bridge).is_empty() {
            self.take_down(turn, bridge, LeaveReason::Destroyed);
        }
        Ok(())
    }

    /// Takes a bridge down; its sessions go on alone.
    pub fn destroy_bridge(&mut self, turn: &mut Turn<'_>, bridge: BridgeId) -> Result<(), SessionError> {
        if !self.bridges.rows.contains_key(&bridge) {
            return Err(SessionError::BridgeNotFound(bridge));
        }
        self.take_down(turn, bridge, LeaveReason::Destroyed);
        Ok(())
    }

    /// The bridges with their sessions.
    pub fn bridges(&self) -> impl Iterator<Item = (BridgeId, &[SessionId])> {
        self.bridges.rows.iter().map(|(id, group)| (*id, group.members()))
    }

    fn check_member(&self, id: SessionId) -> Result<(), SessionError> {
        self.check(id, Operation::Bridge)?;
        let is_open = |session: &Session| session.has_running_leg(&self.legs) && session.sdp.agreed().is_some();
        if self.table.get(id).is_some_and(is_open) { Ok(()) } else { Err(SessionError::Busy(Operation::Bridge)) }
    }

    fn check_fit(&self, one: SessionId, other: SessionId) -> Result<(), SessionError> {
        let agreed = |id| self.table.get(id).and_then(|session| session.sdp.agreed());
        match (agreed(one), agreed(other)) {
            (Some(first), Some(second)) if fits(first, second) || self.could_match(one, other) => Ok(()),
            _ => Err(SessionError::Media(
                "the two sessions have no codec in common, and transcoding is switched off: offer one codec everywhere, \
                 or change the codec of one of them first",
            )),
        }
    }

    fn seat(&mut self, turn: &mut Turn<'_>, bridge: BridgeId, id: SessionId) {
        let Some(group) = self.bridges.rows.get_mut(&bridge) else { return };
        let others = group.add(id);
        if let Some(session) = self.table.get_mut(id) {
            session.membership.enter(bridge);
        }
        turn.events.push(SessionEvent::ParticipantAdded { bridge, id });
        for other in &others {
            self.join(*other, id, Tie::Bridge(bridge));
        }
        if let Some(first) = others.first() {
            self.bring_together(turn, *first);
            self.look_at_joining(turn, *first);
        }
    }

    /// A session leaves its bridge, and no longer hears the other members.
    fn unseat(&mut self, turn: &mut Turn<'_>, bridge: BridgeId, id: SessionId, reason: LeaveReason) {
        let Some(group) = self.bridges.rows.get_mut(&bridge) else { return };
        group.remove(id);
        let others = self.leave_group(turn, id);
        if let Some(session) = self.table.get_mut(id) {
            session.membership.leave();
        }
        turn.events.push(SessionEvent::ParticipantRemoved { bridge, id, reason });
        self.sync(turn, id);
        for other in others {
            self.sync(turn, other);
        }
    }

    /// A session ends: a bridge with fewer than two others goes as well.
    pub(crate) fn leave_bridge(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(bridge) = self.table.get(id).and_then(|session| session.bridge()) else { return };
        self.unseat(turn, bridge, id, LeaveReason::Ended);
        if self.bridges.members(bridge).len() < 2 {
            self.take_down(turn, bridge, LeaveReason::Destroyed);
        }
    }

    /// One session leaves, and another one takes its seat.
    pub(crate) fn change_seats(&mut self, turn: &mut Turn<'_>, bridge: BridgeId, old: SessionId, new: SessionId) {
        self.unseat(turn, bridge, old, LeaveReason::Removed);
        self.seat(turn, bridge, new);
    }

    pub(crate) fn take_down(&mut self, turn: &mut Turn<'_>, bridge: BridgeId, reason: LeaveReason) {
        for id in self.bridges.members(bridge).to_vec() {
            self.unseat(turn, bridge, id, reason);
        }
        if self.bridges.rows.remove(&bridge).is_some() {
            turn.events.push(SessionEvent::BridgeDestroyed { bridge });
        }
    }
}
