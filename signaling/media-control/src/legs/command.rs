//! Writes commands: the only place in signaling that does.

use super::deadlines::{ANSWER_LIMIT, CLOSE_LIMIT};
use super::leg::{Closing, Move, Stage};
use crate::{CommandNumber, Legs, MediaTurn};
use clock::Instant;
use contract::{Command, Source};

/// Whether a call goes on only once this command is answered: a worker that sleeps is woken for it at once. The others are
/// done soon enough when the worker looks next.
pub fn is_awaited(command: &Command) -> bool {
    !matches!(command, Command::Update { .. } | Command::Close { .. })
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
        in_flight.begin(None);
        in_flight.push(number, &leg.wanted);
        leg.in_flight = Some(in_flight);
        (leg.stage, leg.source_since) = (Stage::Opening(number), Some(number));
        let spec = leg.wanted.spec();
        turn.commands.push((port.worker, Command::Open { leg: port.leg, number: number.get(), spec }));
        self.awaited.calls += 1;
        self.limit(turn.now, number);
    }

    /// `Update`, where something else is wanted than the media plane was told, and the leg can be told.
    pub(crate) fn send_update(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let (Some(port), Some(in_flight)) = (leg.still_port(), leg.in_flight.as_deref()) else { return };
        if in_flight.is_refused || in_flight.is_full() || in_flight.told() == Some(&leg.wanted) {
            return;
        }
        let number = leg.promised.take();
        let number = number.unwrap_or_else(|| self.next_number(slot));
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(in_flight) = leg.in_flight.as_deref_mut() else { return };
        if in_flight.told().is_none_or(|told| told.flow.source != leg.wanted.flow.source) {
            leg.source_since = Some(number);
        }
        in_flight.push(number, &leg.wanted);
        let spec = leg.wanted.spec();
        turn.commands.push((port.worker, Command::Update { leg: port.leg, number: number.get(), update: spec.into() }));
        self.awaited.others += 1;
        self.limit(turn.now, number);
    }

    /// Two updates that have a player begin again: a leg only looks at a source that changes.
    pub(crate) fn send_rewind(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref_mut().filter(|leg| leg.rewinds) else { return };
        let has_room =
            leg.in_flight.as_deref().is_none_or(|in_flight| in_flight.count() + 2 <= crate::UPDATES_OPEN_MAX);
        if leg.still_port().is_none() || !has_room {
            return;
        }
        leg.rewinds = false;
        let source = std::mem::replace(&mut leg.wanted.flow.source, Source::Silence);
        let desired = leg.wanted;
        leg.wanted.flow.source = source;
        if source != Source::Silence {
            self.set_wanted(slot, desired);
            self.send_update(turn, slot);
            let Some(leg) = self.rows[slot].as_deref() else { return };
            let again = leg.wanted;
            self.set_wanted(slot, crate::wish::Desired { flow: crate::wish::Flow { source, ..again.flow }, ..again });
        }
        self.send_update(turn, slot);
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
        leg.stage = Stage::Closing(Closing { number, moving, is_refused: false });
        turn.commands.push((port.worker, Command::Close { leg: port.leg, number: number.get() }));
        self.limit_closing(turn.now, number);
    }

    fn limit(&mut self, now: Instant, number: CommandNumber) {
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
