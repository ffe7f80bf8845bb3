//! The table of legs, what happens to one from its first command to its last, and what it does besides: digits and
//! recordings.

mod adoption;
mod announcements;
mod answers;
mod close;
mod command;
mod deadlines;
mod digits;
pub(crate) mod leg;
mod recordings;
mod want;

pub use command::is_awaited;
pub use deadlines::{ANSWER_LIMIT, CLOSE_LIMIT};
pub use digits::DIGITS_WAITING_MAX;
pub use leg::{LegState, UPDATES_OPEN_MAX};
pub use want::Standing;

use crate::topology::Edges;
use crate::{LegError, LegId, Player, Port, Ports, Transport};
use adoption::Adoption;
use announcements::Announcements;
use clock::Instant;
use contract::{Command, LegRef, LegSpec};
use deadlines::Deadlines;
use leg::{InFlight, Leg, Stage};
use recordings::Recordings;
use std::collections::HashMap;
use std::num::NonZeroU32;

/// Most legs of one table.
pub const LEGS_MAX: usize = 65_535;
/// Fewer rows than this are not worth giving back.
const KEPT_ROW_COUNT: usize = 1_024;
/// Most lists of open updates that are kept for the next leg.
const SPARE_COUNT: usize = 16;

/// What [`Legs`] work with in one turn. The caller sends the commands afterwards.
pub struct MediaTurn<'t> {
    /// The time.
    pub now: Instant,
    /// The port pool.
    pub ports: &'t mut dyn Ports,
    /// Commands, each with the worker that it is for.
    pub commands: &'t mut Vec<(u8, Command)>,
}

/// Commands that wait for their answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AwaitedCount {
    /// Those that a call waits for ([`crate::is_awaited`]).
    pub calls: usize,
    /// The others.
    pub others: usize,
}

/// All legs of one shard.
pub struct Legs {
    pub(crate) rows: Vec<Option<Box<Leg>>>,
    /// The places of the legs that have a port, for what the media plane tells without being asked.
    pub(crate) by_leg: HashMap<LegRef, u16>,
    free: Vec<u16>,
    limit: usize,
    last_generation: u32,
    pub(crate) serial: u64,
    pub(crate) edges: Edges,
    pub(crate) recordings: Recordings,
    announcements: Announcements,
    pub(crate) deadlines: Deadlines,
    pub(crate) awaited: AwaitedCount,
    pub(crate) adoption: Adoption,
    /// Records of commands in flight that are free again. They stay boxed: legs take them and give them back as they are.
    #[expect(clippy::vec_box, reason = "a box goes from here into a leg and back without an allocation")]
    pub(crate) spare: Vec<Box<InFlight>>,
    /// Workers of the media plane, once a leg was to be in a room.
    pub(crate) worker_count: usize,
    /// Room to find the legs that are connected with one.
    pub(crate) group: Vec<u16>,
}

impl Legs {
    /// A table for so many legs, at most [`LEGS_MAX`].
    pub fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            by_leg: HashMap::new(),
            free: Vec::new(),
            limit: limit.min(LEGS_MAX),
            last_generation: 0,
            serial: 0,
            edges: Edges::default(),
            recordings: Recordings::default(),
            announcements: Announcements::default(),
            deadlines: Deadlines::default(),
            awaited: AwaitedCount::default(),
            adoption: Adoption::default(),
            spare: Vec::new(),
            worker_count: 0,
            group: Vec::new(),
        }
    }

    /// Another limit for legs that are added from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(LEGS_MAX);
    }

    /// Legs that are there, those that are being closed included.
    pub fn count(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Takes a port for a leg of `owner`: on the worker of `beside` where it has one. Nothing is told to the media plane
    /// before [`Self::open`].
    pub fn reserve(&mut self, turn: &mut MediaTurn<'_>, owner: u64, beside: Option<LegId>) -> Result<LegId, LegError> {
        if self.count() >= self.limit {
            return Err(LegError::Full);
        }
        let port = match beside.and_then(|id| self.port(id)) {
            Some(port) => turn.ports.take_on(port.worker),
            None => turn.ports.take(),
        };
        let port = port.ok_or(LegError::NoPort)?;
        self.add(owner, port).inspect_err(|_| turn.ports.give_back(port))
    }

    pub(crate) fn add(&mut self, owner: u64, port: Port) -> Result<LegId, LegError> {
        if self.count() >= self.limit {
            return Err(LegError::Full);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            (self.rows.len() - 1) as u16
        });
        self.last_generation = self.last_generation.wrapping_add(1).max(1);
        let id = LegId::new(slot, NonZeroU32::new(self.last_generation).unwrap_or(NonZeroU32::MIN));
        self.by_leg.insert(port.leg, slot);
        self.rows[id.slot()] = Some(Box::new(Leg::new(id, owner, port)));
        Ok(id)
    }

    /// Forgets a leg, whose edges are gone. Gives its port.
    pub(crate) fn remove(&mut self, slot: usize) -> Option<Port> {
        self.stop_waiting(slot);
        let leg = self.rows[slot].take()?;
        if let Some(port) = leg.port {
            self.by_leg.remove(&port.leg);
        }
        if matches!(leg.stage, Stage::Closing(_)) {
            self.awaited.others -= 1;
        }
        self.free.push(slot as u16);
        if self.free.len() == self.rows.len() && self.rows.len() > KEPT_ROW_COUNT {
            (self.rows, self.free, self.by_leg) = (Vec::new(), Vec::new(), HashMap::new());
        }
        leg.port
    }

    /// Nobody waits any more for the answers to a leg's commands, apart from that to `Close`.
    pub(crate) fn stop_waiting(&mut self, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let updates = leg.in_flight.as_ref().map_or(0, |in_flight| in_flight.count());
        match leg.stage {
            Stage::Opening(_) => {
                self.awaited.calls -= 1;
                self.awaited.others -= updates.saturating_sub(1);
            }
            Stage::Moving(_) => {
                self.awaited.calls -= 1;
                self.awaited.others -= updates;
            }
            Stage::Adopting(_) => {
                self.awaited.calls -= 1;
                self.adoption.asked_count -= 1;
            }
            _ => self.awaited.others -= updates,
        }
        leg.promised = None;
        let in_flight = leg.in_flight.take();
        self.keep_spare(in_flight);
    }

    pub(crate) fn spare(&mut self) -> Box<InFlight> {
        self.spare.pop().unwrap_or_default()
    }

    pub(crate) fn keep_spare(&mut self, in_flight: Option<Box<InFlight>>) {
        if let Some(in_flight) = in_flight.filter(|_| self.spare.len() < SPARE_COUNT) {
            self.spare.push(in_flight);
        }
    }

    pub(crate) fn leg(&self, id: LegId) -> Result<&Leg, LegError> {
        self.rows.get(id.slot()).and_then(Option::as_deref).filter(|leg| leg.id == id).ok_or(LegError::NoSuchLeg)
    }

    pub(crate) fn leg_mut(&mut self, id: LegId) -> Result<&mut Leg, LegError> {
        let leg = self.rows.get_mut(id.slot()).and_then(Option::as_deref_mut);
        leg.filter(|leg| leg.id == id).ok_or(LegError::NoSuchLeg)
    }

    /// Where a leg is in its life; `None`: it is gone.
    pub fn state(&self, id: LegId) -> Option<LegState> {
        self.leg(id).ok().map(Leg::state)
    }

    /// Its port, and the worker that has it now.
    pub fn port(&self, id: LegId) -> Option<Port> {
        self.leg(id).ok()?.port
    }

    /// Whether it runs, be it on its way to another worker.
    pub fn runs(&self, id: LegId) -> bool {
        matches!(self.state(id), Some(LegState::Open | LegState::Moving))
    }

    /// Whether it runs and stays where it is.
    pub fn is_still(&self, id: LegId) -> bool {
        self.state(id) == Some(LegState::Open)
    }

    /// Gives a leg another owner.
    pub fn set_owner(&mut self, id: LegId, owner: u64) -> Result<(), LegError> {
        self.leg_mut(id)?.owner = owner;
        Ok(())
    }

    /// The transport that is wanted of the leg.
    pub fn wanted_transport(&self, id: LegId) -> Option<&Transport> {
        Some(&self.leg(id).ok()?.wanted.transport)
    }

    /// What the media plane is to be told of the leg, or has been told.
    pub fn wanted_spec(&self, id: LegId) -> Option<LegSpec> {
        let leg = self.leg(id).ok()?;
        Some(leg.wanted.spec(leg.pair()))
    }

    /// What the media plane has confirmed; `None`: nothing, or it has not answered in time.
    pub fn confirmed_spec(&self, id: LegId) -> Option<LegSpec> {
        let leg = self.leg(id).ok()?;
        Some(leg.confirmed()?.spec(leg.pair()))
    }

    /// Whether the media plane does what is wanted.
    pub fn standing(&self, id: LegId) -> Result<Standing, LegError> {
        self.leg(id).map(|leg| leg.standing())
    }

    /// The prompt that the leg is to play now.
    pub fn plays_prompt(&self, id: LegId) -> Option<u32> {
        self.leg(id).ok()?.wanted.flow.source.prompt().map(|play| play.prompt)
    }

    /// What is played while no other leg is heard.
    pub fn player(&self, id: LegId) -> Option<Player> {
        self.leg(id).ok()?.player
    }

    /// Commands that wait for their answers.
    pub fn awaited(&self) -> AwaitedCount {
        self.awaited
    }
}
