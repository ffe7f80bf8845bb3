//! Conferences: calls that are members of a room hear each other.

use crate::api::{Call, SessionCoordinator, SessionError, SessionId};
use contract::{LegRef, RoomMember};
use session::{Plan, PlannedSource};
use signald::OrderTurn;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Members of a room.
const MEMBERS_MAX: usize = RoomMember::COUNT_MAX as usize;
/// Rooms of a program at once.
const ROOMS_MAX: usize = 10_000;
/// The numbers below are for the rooms of a configuration.
const FIRST_NUMBER: u32 = 1 << 16;

/// A call's part in a room. The default hears all others, and they hear it.
///
/// ```
/// use ringplane::api::RoomRole;
///
/// let listener = RoomRole::default().muted(true);
/// assert_ne!(listener, RoomRole::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RoomRole {
    is_muted: bool,
    is_deaf: bool,
    is_always_heard: bool,
    is_announced: bool,
    hears_waiting: bool,
    tells_speaking: bool,
    gain_db: i8,
    whispers_to: Option<SessionId>,
}

impl RoomRole {
    /// The others do not hear it.
    pub fn muted(self, is_muted: bool) -> Self {
        Self { is_muted, ..self }
    }

    /// It hears nothing.
    pub fn deaf(self, is_deaf: bool) -> Self {
        Self { is_deaf, ..self }
    }

    /// It is heard also while others are louder; without this the four loudest are heard.
    pub fn always_heard(self, is_always_heard: bool) -> Self {
        Self { is_always_heard, ..self }
    }

    /// The others hear a tone when it joins, and another one when it leaves.
    pub fn announced(self, is_announced: bool) -> Self {
        Self { is_announced, ..self }
    }

    /// It hears a tone every five seconds while it is alone in the room.
    pub fn waiting_tone(self, hears_waiting: bool) -> Self {
        Self { hears_waiting, ..self }
    }

    /// [`crate::api::EventKind::RoomSpeaking`] tells when it begins to speak and when it has ceased to.
    pub fn telling_speaking(self, tells_speaking: bool) -> Self {
        Self { tells_speaking, ..self }
    }

    /// How much louder the others hear it, from -60 to 12 decibels; what is beyond counts as that.
    pub fn gain_db(self, gain_db: i8) -> Self {
        Self { gain_db: gain_db.clamp(*RoomMember::GAIN_DB.start(), *RoomMember::GAIN_DB.end()), ..self }
    }

    /// Only this other member hears it, as a supervisor whispers to an agent; nobody does while that is not in the room.
    pub fn whispering_to(self, other: SessionId) -> Self {
        Self { whispers_to: Some(other), ..self }
    }
}

/// The rooms of a program.
#[derive(Debug)]
pub(crate) struct Rooms(Mutex<Known>);

#[derive(Debug)]
struct Known {
    by_name: HashMap<String, Room>,
    /// The room of each member.
    by_session: HashMap<SessionId, String>,
    next_number: u32,
}

#[derive(Debug)]
struct Room {
    number: u32,
    members: BTreeMap<SessionId, RoomRole>,
}

/// A session in a room.
#[derive(Debug)]
struct Membership {
    room: String,
    number: u32,
    role: RoomRole,
}

impl Default for Rooms {
    fn default() -> Self {
        // Programs that share a media plane have rooms of their own.
        let start = RandomState::new().hash_one("rooms") as u32;
        let (by_name, by_session) = (HashMap::new(), HashMap::new());
        Self(Mutex::new(Known { by_name, by_session, next_number: start.max(FIRST_NUMBER) }))
    }
}

impl Rooms {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a room, which this session is a member of from now on, and where it was before.
    fn join(&self, name: &str, id: SessionId, role: RoomRole) -> Result<(u32, Option<Membership>), SessionError> {
        let mut known = self.known();
        let (count, next) = (known.by_name.len(), known.next_number);
        match known.by_name.get(name) {
            Some(room) if !room.members.contains_key(&id) && room.members.len() >= MEMBERS_MAX => {
                return Err(SessionError::exhausted("members of a room", MEMBERS_MAX));
            }
            None if count >= ROOMS_MAX => return Err(SessionError::exhausted("rooms at once", ROOMS_MAX)),
            _ => {}
        }
        let before = known.leave(id);
        let number = match &before {
            Some(before) if before.room == name => before.number,
            _ => known.by_name.get(name).map_or(next, |room| room.number),
        };
        if number == next {
            known.next_number = next.checked_add(1).unwrap_or(FIRST_NUMBER);
        }
        known.enter(id, Membership { room: name.to_owned(), number, role });
        Ok((number, before))
    }

    /// A session is where it was before: what it was to do has failed.
    fn put_back(&self, id: SessionId, before: Option<Membership>) {
        let mut known = self.known();
        known.leave(id);
        if let Some(before) = before {
            known.enter(id, before);
        }
    }

    /// A session is in no room any more.
    pub(crate) fn leave(&self, id: SessionId) {
        self.known().leave(id);
    }
}

impl Known {
    fn enter(&mut self, id: SessionId, membership: Membership) {
        let Membership { room, number, role } = membership;
        let members = BTreeMap::new();
        self.by_name.entry(room.clone()).or_insert(Room { number, members }).members.insert(id, role);
        self.by_session.insert(id, room);
    }

    fn leave(&mut self, id: SessionId) -> Option<Membership> {
        let name = self.by_session.remove(&id)?;
        let room = self.by_name.get_mut(&name)?;
        let (number, role) = (room.number, room.members.remove(&id)?);
        if room.members.is_empty() {
            self.by_name.remove(&name);
        }
        Some(Membership { room: name, number, role })
    }
}

impl SessionCoordinator {
    /// The rooms that have members, by name.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # fn example(coordinator: &SessionCoordinator) {
    /// for room in coordinator.rooms() {
    ///     println!("{room}: {} members", coordinator.room_members(&room).len());
    /// }
    /// # }
    /// ```
    pub fn rooms(&self) -> Vec<String> {
        self.rooms.known().by_name.keys().cloned().collect()
    }

    /// The members of a room with their parts, in the order of their sessions' ids; none where there is no such room.
    pub fn room_members(&self, room: &str) -> Vec<(SessionId, RoomRole)> {
        let known = self.rooms.known();
        known
            .by_name
            .get(room)
            .map_or_else(Vec::new, |room| room.members.iter().map(|(id, role)| (*id, *role)).collect())
    }

    /// The leg of a session, for another one that whispers to it.
    pub(super) async fn leg_of(&self, id: SessionId) -> Result<LegRef, SessionError> {
        let leg = self.operate(id, |order, id| Ok(order.sessions.get(id).and_then(session::Session::leg))).await?;
        leg.ok_or_else(|| SessionError::media_of(id, "the session has no media yet that could be whispered to"))
    }
}

/// Rooms.
impl Call {
    /// Becomes a member of the room of this name, which is there as long as it has members: up to 100, each in the codec of its
    /// own call. Asked again for the same room it changes the part. What the call played before ends; it leaves the room by
    /// [`Self::leave_room`], by [`Self::play`] and with its end. On hold, and while it is bridged to another
    /// call, it is not in the room, and comes back afterwards; a call that is bridged cannot join.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(agent: Call, customer: Call, supervisor: Call) -> Result<()> {
    /// agent.join_room("support", RoomRole::default()).await?;
    /// customer.join_room("support", RoomRole::default().gain_db(-3)).await?;
    /// supervisor.join_room("support", RoomRole::default().whispering_to(*agent.id())).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join_room(&self, room: &str, role: RoomRole) -> Result<(), SessionError> {
        let (coordinator, id) = (self.coordinator(), self.id);
        let heard_by = match role.whispers_to {
            Some(other) => coordinator.leg_of(other).await?,
            None => LegRef::NONE,
        };
        let check = |order: OrderTurn<'_, '_>, id| {
            let is_linked = order.sessions.get(id).is_some_and(|session| session.linked_to().is_some());
            match is_linked {
                true => Err(session::SessionError::Media("a call that is bridged to another one cannot be in a room")),
                false => Ok(()),
            }
        };
        coordinator.operate(id, check).await?;
        let (number, before) = coordinator.rooms.join(room, id, role)?;
        let member = RoomMember {
            room: number,
            is_muted: role.is_muted,
            is_deaf: role.is_deaf,
            is_always_heard: role.is_always_heard,
            is_announced: role.is_announced,
            hears_waiting: role.hears_waiting,
            tells_speaking: role.tells_speaking,
            gain_db: role.gain_db,
            heard_by,
        };
        let plan = Plan::of(PlannedSource::Room(member));
        let joined = coordinator.operate(id, move |order, id| order.sessions.play(order.turn, id, plan)).await;
        if joined.is_err() {
            coordinator.rooms.put_back(id, before);
        }
        if coordinator.entry(id).is_err() {
            coordinator.rooms.leave(id);
        }
        joined
    }

    /// Leaves the room, and sends silence from now on.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.leave_room().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn leave_room(&self) -> Result<(), SessionError> {
        self.stop_playing().await
    }
}
