//! One leg: what it is to be, what the media plane has been told, and what it has confirmed.

use super::digits::Digits;
use crate::topology::EdgeSlot;
use crate::wish::{Desired, Flow, Formats, Parts};
use crate::{CommandNumber, LegId, Player, Port};
use contract::PortRef;
use std::num::NonZeroU64;

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
    /// It runs, was left behind by an earlier client of the media plane, and is asked for.
    Adopting,
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
    Adopting(CommandNumber),
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
    /// False for a leg whose adoption is not known: its port is not given back by us then.
    pub(crate) is_ours: bool,
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
    /// The worker of its room has not taken it.
    pub(crate) has_no_room: bool,
    /// The number that the next update will have, where what is wanted has to wait.
    pub(crate) promised: Option<CommandNumber>,
    /// What the media plane has been told and not confirmed; none: it does what is wanted.
    pub(crate) in_flight: Option<Box<InFlight>>,
    pub(crate) digits: Option<Box<Digits>>,
    /// By kind: the last recording, until its end is known.
    pub(crate) recordings: [Option<NonZeroU64>; 2],
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
            has_no_room: false,
            promised: None,
            in_flight: None,
            digits: None,
            recordings: [None; 2],
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
            Stage::Adopting(_) => LegState::Adopting,
            Stage::Closing(_) => LegState::Closing,
            Stage::Lost => LegState::Lost,
        }
    }

    /// The port of a leg that runs and stays where it is.
    pub(crate) fn still_port(&self) -> Option<Port> {
        self.port.filter(|_| self.stage == Stage::Open)
    }

    /// The port pair of its transport; none once the media plane is lost.
    pub(crate) fn pair(&self) -> PortRef {
        self.port.map_or(PortRef::NONE, |port| port.pair)
    }

    /// Whether its port is ours to give back.
    pub(crate) fn has_own_port(&self) -> bool {
        !matches!(self.stage, Stage::Adopting(_) | Stage::Closing(Closing { is_ours: false, .. }))
    }

    /// Its own payload types, without the numbers of the other leg.
    pub(crate) fn own_formats(&self) -> Formats {
        Formats { payloads: self.wanted.formats.mapped_to(None), ..self.wanted.formats }
    }

    /// What the media plane does, as far as it has said so.
    pub(crate) fn confirmed(&self) -> Option<&Desired> {
        match (self.in_flight.as_deref(), self.stage) {
            (_, Stage::Reserved | Stage::Lost) => None,
            (Some(in_flight), _) => in_flight.confirmed(),
            (None, _) => Some(&self.wanted),
        }
    }
}

/// The updates of a leg that wait for their answers, oldest first, and what the media plane does until they are answered.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// What the media plane does, in the parts of `known`.
    confirmed: Desired,
    /// No part before the media plane has opened the leg; not the parts of an update that was not answered in time.
    known: Parts,
    numbers: [Option<CommandNumber>; UPDATES_OPEN_MAX],
    /// What the media plane does once it has carried out each update, and the parts that the update carries.
    told: [(Desired, Parts); UPDATES_OPEN_MAX],
    count: usize,
    /// The parts in which something else is wanted than the media plane was told last.
    untold: Parts,
    /// What is wanted was refused: it is not sent again.
    pub(crate) is_refused: bool,
}

impl InFlight {
    /// Before `Open`, or where another client has told the leg what to be: nothing is known.
    pub(crate) fn begin_unknown(&mut self) {
        (self.known, self.count, self.untold, self.is_refused) = (Parts::NONE, 0, Parts::ALL, false);
    }

    /// The media plane does this, and something else is about to be wanted.
    pub(crate) fn begin(&mut self, confirmed: &Desired) {
        self.begin_unknown();
        (self.confirmed, self.known, self.untold) = (*confirmed, Parts::ALL, Parts::NONE);
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count == UPDATES_OPEN_MAX
    }

    /// What the media plane does, where all of that is known.
    pub(crate) fn confirmed(&self) -> Option<&Desired> {
        (self.known == Parts::ALL).then_some(&self.confirmed)
    }

    /// What the leg sends once the media plane has carried out all that it was told, where that is known.
    pub(crate) fn told_flow(&self) -> Option<Flow> {
        self.known_soon().has(Parts::FLOW).then(|| self.told().flow)
    }

    /// What the media plane does once it has carried out all that it was told.
    pub(crate) fn told(&self) -> &Desired {
        if self.count > 0 { &self.told[self.count - 1].0 } else { &self.confirmed }
    }

    /// The media plane has been told all that is wanted.
    pub(crate) fn is_told(&self) -> bool {
        self.untold.is_empty()
    }

    /// This is wanted from now on.
    pub(crate) fn want(&mut self, wanted: &Desired) {
        self.untold = wanted.differing(self.told()).and(Parts::ALL.without(self.known_soon()));
    }

    /// The parts that are known once all updates are carried out.
    fn known_soon(&self) -> Parts {
        self.told[..self.count].iter().fold(self.known, |known, (_, parts)| known.and(*parts))
    }

    pub(crate) fn last(&self) -> Option<CommandNumber> {
        self.numbers[..self.count].last().copied().flatten()
    }

    /// An update, or `Open`, carries all that is wanted and was not told. Gives the parts that it carries.
    pub(crate) fn push(&mut self, number: CommandNumber, wanted: &Desired) -> Parts {
        let parts = std::mem::take(&mut self.untold);
        (self.numbers[self.count], self.told[self.count]) = (Some(number), (*wanted, parts));
        self.count += 1;
        parts
    }

    /// The last update has not left yet and carries what is wanted now as well. Gives the parts that it carries.
    pub(crate) fn extend_last(&mut self, wanted: &Desired) -> Parts {
        let untold = std::mem::take(&mut self.untold);
        let Some((told, parts)) = self.told[..self.count].last_mut() else { return Parts::NONE };
        told.take(untold, wanted);
        *parts = parts.and(untold);
        *parts
    }

    pub(crate) fn position(&self, number: CommandNumber) -> Option<usize> {
        self.numbers[..self.count].iter().position(|open| *open == Some(number))
    }

    /// The media plane does what this update says. Those before it are answered on their own: their answers may come from
    /// another worker, or be lost.
    pub(crate) fn confirm(&mut self, position: usize) {
        let (told, parts) = self.told[position];
        for (earlier, carried) in &mut self.told[..position] {
            // What they should have changed as well has been changed again.
            earlier.take(parts, &told);
            *carried = carried.without(parts);
        }
        self.confirmed.take(parts, &told);
        self.known = self.known.and(parts);
        self.remove(position, 1);
    }

    /// This one was not carried out, or unless `is_certain` may not have been. Gives what the leg was to be by it.
    pub(crate) fn refuse(&mut self, position: usize, is_certain: bool, wanted: &Desired) -> Desired {
        let (refused, parts) = self.told[position];
        let before = if position > 0 { self.told[position - 1].0 } else { self.confirmed };
        // What later updates do not carry themselves stays as it was.
        let mut lost = parts;
        for (told, carried) in &mut self.told[position + 1..self.count] {
            lost = lost.without(*carried);
            told.take(lost, &before);
        }
        if !is_certain {
            self.known = self.known.without(parts);
            for (_, earlier) in &mut self.told[..position] {
                *earlier = earlier.without(parts);
            }
        }
        self.remove(position, 1);
        self.want(wanted);
        refused
    }

    fn remove(&mut self, from: usize, count: usize) {
        self.numbers.copy_within(from + count..self.count, from);
        self.told.copy_within(from + count..self.count, from);
        self.count -= count;
    }
}
