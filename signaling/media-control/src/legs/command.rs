//! Writes commands: the only place in signaling that does.

use super::deadlines::{ANSWER_LIMIT, CLOSE_LIMIT};
use super::leg::{Closing, Move, Stage};
use crate::{CommandNumber, Legs, MediaTurn, Port};
use clock::Instant;
use contract::{Command, LegUpdate};

/// Whether a call goes on only once this command is answered: a worker that sleeps is woken for it at once. The others are
/// done soon enough when the worker looks next.
pub fn is_awaited(command: &Command) -> bool {
    !matches!(command, Command::Update { .. } | Command::Close { .. })
}

/// Most commands that have not left and are looked at to find an update that can carry more.
const UNSENT_MAX: usize = 8;

/// The update with this number, while it and all that follows can still be changed: other updates at most.
fn unsent(commands: &mut [(u8, Command)], number: CommandNumber) -> Option<&mut LegUpdate> {
    let updates = commands.iter_mut().rev().take(UNSENT_MAX).map_while(|(_, command)| match command {
        Command::Update { number, update, .. } => Some((*number, update)),
        _ => None,
    });
    updates.into_iter().find_map(|(other, update)| (other == number.get()).then_some(update))
}

impl Legs {
    pub(crate) fn next_number(&mut self, slot: usize) -> CommandNumber {
        self.serial += 1;
        CommandNumber::new(self.serial, slot)
    }

    /// `Open` with all that is wanted.
    pub(crate) fn send_open(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let number = self.next_number(slot);
        let mut in_flight = self.spare();
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(port) = leg.port else { return };
        in_flight.begin_unknown();
        in_flight.push(number, &leg.wanted);
        leg.in_flight = Some(in_flight);
        leg.stage = Stage::Opening(number);
        let spec = leg.wanted.spec(port.pair);
        turn.commands.push((port.worker, Command::Open { leg: port.leg, number: number.get(), spec }));
        self.awaited.calls += 1;
        self.limit(turn.now, number);
    }

    /// `Update` with the parts in which something else is wanted than the media plane was told, where the leg can be told.
    /// An update of the leg that has not left yet carries them as well.
    pub(crate) fn send_update(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        if self.waits_for_adoption(slot) {
            return;
        }
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let (Some(port), Some(in_flight)) = (leg.still_port(), leg.in_flight.as_deref_mut()) else { return };
        if in_flight.is_refused || in_flight.is_told() {
            return;
        }
        let last = in_flight.last().filter(|_| leg.promised.is_none());
        if let Some(update) = last.and_then(|number| unsent(turn.commands, number)) {
            let parts = in_flight.extend_last(&leg.wanted);
            *update = leg.wanted.update(parts, port.pair);
            return;
        }
        self.send_new_update(turn, slot, port);
    }

    /// `Update` with the next number.
    fn send_new_update(&mut self, turn: &mut MediaTurn<'_>, slot: usize, port: Port) {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        if leg.in_flight.as_deref().is_none_or(|in_flight| in_flight.is_full()) {
            return;
        }
        let promised = leg.promised.take();
        let number = promised.unwrap_or_else(|| self.next_number(slot));
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(in_flight) = leg.in_flight.as_deref_mut() else { return };
        let parts = in_flight.push(number, &leg.wanted);
        let update = leg.wanted.update(parts, port.pair);
        turn.commands.push((port.worker, Command::Update { leg: port.leg, number: number.get(), update }));
        self.awaited.others += 1;
        self.limit(turn.now, number);
    }

    pub(crate) fn send_move(&mut self, turn: &mut MediaTurn<'_>, slot: usize, to: u8) {
        let number = self.next_number(slot);
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(port) = leg.still_port() else { return };
        leg.stage = Stage::Moving(Move { number, to });
        turn.commands.push((port.worker, Command::Move { leg: port.leg, number: number.get(), worker: to }));
        self.awaited.calls += 1;
        self.limit(turn.now, number);
    }

    /// `Close` to the worker where the leg is, or was when it began to move.
    pub(crate) fn send_close(&mut self, turn: &mut MediaTurn<'_>, slot: usize, moving: Option<Move>) {
        let number = self.next_number(slot);
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(port) = leg.port else { return };
        if !matches!(leg.stage, Stage::Closing(_)) {
            self.awaited.others += 1;
        }
        let is_ours = leg.has_own_port();
        leg.stage = Stage::Closing(Closing { number, moving, is_refused: false, is_ours });
        turn.commands.push((port.worker, Command::Close { leg: port.leg, number: number.get() }));
        self.limit_closing(turn.now, number);
    }

    pub(crate) fn limit(&mut self, now: Instant, number: CommandNumber) {
        self.forget_answered();
        self.deadlines.answers.push_back((now + ANSWER_LIMIT, number));
    }

    fn limit_closing(&mut self, now: Instant, number: CommandNumber) {
        self.forget_answered();
        self.deadlines.closings.push_back((now + CLOSE_LIMIT, number));
    }

    /// A recording has the same limit as other commands.
    pub(crate) fn limit_recording(&mut self, now: Instant, number: CommandNumber) {
        self.awaited.calls += 1;
        self.limit(now, number);
    }
}
