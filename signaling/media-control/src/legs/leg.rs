//! One leg: what it is to be, what the media plane has been told, and what it has confirmed.

use super::digits::Digits;
use crate::topology::EdgeSlot;
use crate::wish::{Desired, Formats};
use crate::{CommandNumber, LegId, Player, Port};

/// Most updates of one leg that wait for their answers. Further wishes wait, and the last one counts.
pub const UPDATES_OPEN_MAX: usize = 4;

/// Where a leg is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LegState {
    /// It has a port, and the media plane has not heard of it.
    Reserved,
    /// The media plane is opening it.
    Opening,
    /// It runs.
    Open,
    /// It runs, and is on its way to another worker.
    Moving,
    /// The media plane is closing it.
    Closing,
    /// The media plane that it ran on is gone, and its port with it.
    Lost,
}

/// Where a leg is in its life, with the commands that wait for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Reserved,
    Opening(CommandNumber),
    Open,
    Moving(Move),
    Closing(Closing),
    Lost,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    pub(crate) number: CommandNumber,
    pub(crate) to: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Closing {
    pub(crate) number: CommandNumber,
    /// The leg was on its way to another worker when it was closed, and may arrive there.
    pub(crate) moving: Option<Move>,
    /// The worker did not have the leg when it got the `Close`.
    pub(crate) is_refused: bool,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    /// Whatever its owner calls it.
    pub(crate) owner: u64,
    pub(crate) stage: Stage,
    /// None once the media plane is lost.
    pub(crate) port: Option<Port>,
    pub(crate) wanted: Desired,
    pub(crate) player: Option<Player>,
    pub(crate) is_held: bool,
    /// The number that the next update will have, where what is wanted has to wait.
    pub(crate) promised: Option<CommandNumber>,
    /// What the media plane has been told and not confirmed; none: it does what is wanted.
    pub(crate) in_flight: Option<Box<InFlight>>,
    /// The last command that changed what is sent.
    pub(crate) source_since: Option<CommandNumber>,
    /// The player is to begin again as soon as the leg can be told.
    pub(crate) rewinds: bool,
    pub(crate) digits: Option<Box<Digits>>,
    pub(crate) recording: Option<u64>,
    pub(crate) first_in: EdgeSlot,
    pub(crate) first_out: EdgeSlot,
}

impl Leg {
    pub(crate) fn new(id: LegId, owner: u64, port: Port) -> Self {
        Self {
            id,
            owner,
            stage: Stage::Reserved,
            port: Some(port),
            wanted: Desired::default(),
            player: None,
            is_held: false,
            promised: None,
            in_flight: None,
            source_since: None,
            rewinds: false,
            digits: None,
            recording: None,
            first_in: EdgeSlot::NONE,
            first_out: EdgeSlot::NONE,
        }
    }

    pub(crate) fn state(&self) -> LegState {
        match self.stage {
            Stage::Reserved => LegState::Reserved,
            Stage::Opening(_) => LegState::Opening,
            Stage::Open => LegState::Open,
            Stage::Moving(_) => LegState::Moving,
            Stage::Closing(_) => LegState::Closing,
            Stage::Lost => LegState::Lost,
        }
    }

    /// The port of a leg that runs and stays where it is.
    pub(crate) fn still_port(&self) -> Option<Port> {
        self.port.filter(|_| self.stage == Stage::Open)
    }

    /// Its own payload types, without the numbers of the other leg.
    pub(crate) fn own_formats(&self) -> Formats {
        Formats { payloads: self.wanted.formats.mapped_to(None), ..self.wanted.formats }
    }

    /// What the media plane does, as far as it has said so.
    pub(crate) fn confirmed(&self) -> Option<&Desired> {
        match (self.in_flight.as_deref(), self.stage) {
            (_, Stage::Reserved | Stage::Lost) => None,
            (Some(in_flight), _) => in_flight.confirmed.as_ref(),
            (None, _) => Some(&self.wanted),
        }
    }
}

/// The updates of a leg that wait for their answers, oldest first.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// What the media plane does; none: it has not opened the leg, or has not answered in time.
    pub(crate) confirmed: Option<Desired>,
    numbers: [Option<CommandNumber>; UPDATES_OPEN_MAX],
    told: [Desired; UPDATES_OPEN_MAX],
    count: usize,
    /// What is wanted was refused: it is not sent again.
    pub(crate) is_refused: bool,
}

impl InFlight {
    pub(crate) fn begin(&mut self, confirmed: Option<Desired>) {
        (self.confirmed, self.count, self.is_refused) = (confirmed, 0, false);
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count == UPDATES_OPEN_MAX
    }

    pub(crate) fn told(&self) -> Option<&Desired> {
        if self.count > 0 { Some(&self.told[self.count - 1]) } else { self.confirmed.as_ref() }
    }

    pub(crate) fn last(&self) -> Option<CommandNumber> {
        self.numbers[..self.count].last().copied().flatten()
    }

    pub(crate) fn push(&mut self, number: CommandNumber, told: &Desired) {
        (self.numbers[self.count], self.told[self.count]) = (Some(number), *told);
        self.count += 1;
    }

    pub(crate) fn position(&self, number: CommandNumber) -> Option<usize> {
        self.numbers[..self.count].iter().position(|open| *open == Some(number))
    }

    /// The media plane does what it was told by this one, and so by all before it. Gives how many are answered.
    pub(crate) fn confirm(&mut self, position: usize) -> usize {
        self.confirmed = Some(self.told[position]);
        self.remove(0, position + 1);
        position + 1
    }

    /// This one was not carried out. Gives what it was.
    pub(crate) fn refuse(&mut self, position: usize) -> Desired {
        let refused = self.told[position];
        self.remove(position, 1);
        refused
    }

    fn remove(&mut self, from: usize, count: usize) {
        self.numbers.copy_within(from + count..self.count, from);
        self.told.copy_within(from + count..self.count, from);
        self.count -= count;
    }
}
