//! Legs that outlive their client: this one says that its own are to be kept, and adopts those of an earlier one.

use super::leg::Stage;
use crate::{CommandNumber, LegEvent, Legs, MediaTurn};
use clock::Duration;
use contract::{Command, GRACE_MS_MAX};

/// The place in the numbers of commands that are about no leg.
const NO_SLOT: usize = crate::LEGS_MAX;
/// The owner of what is about no leg.
const NO_OWNER: u64 = 0;

/// What is known of legs that are kept.
#[derive(Debug, Default)]
pub(crate) struct Adoption {
    /// Legs that are asked for.
    pub(crate) asked_count: usize,
    /// By worker: the last declaration, and whether it is confirmed.
    declared: Vec<Option<(CommandNumber, bool)>>,
}

impl Legs {
    /// Says to one worker that it is to go on with the legs of this client for so long once this client is gone, so that the
    /// next one can adopt them; zero: not any more. Each worker has to be told. [`LegEvent::LegsKept`] follows, with the
    /// owner 0.
    pub fn keep_legs(&mut self, turn: &mut MediaTurn<'_>, worker: u8, grace: Duration) {
        let number = self.next_number(NO_SLOT);
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX).min(GRACE_MS_MAX);
        turn.commands.push((worker, Command::KeepLegs { number: number.get(), grace_ms }));
        let (index, declared) = (usize::from(worker), &mut self.adoption.declared);
        declared.resize(declared.len().max(index + 1), None);
        declared[index] = Some((number, false));
    }

    /// Whether a worker has confirmed the last declaration that was made to it.
    pub fn has_confirmed_keeping(&self, worker: u8) -> bool {
        matches!(self.adoption.declared.get(usize::from(worker)), Some(Some((_, true))))
    }

    pub(crate) fn kept(&mut self, number: u64) -> Option<(u64, LegEvent)> {
        let number = CommandNumber::from_answer(number)?;
        let declared = self.adoption.declared.iter_mut().enumerate();
        let mut declared = declared.filter_map(|(worker, declared)| Some((worker, declared.as_mut()?)));
        let (worker, declared) = declared.find(|(_, declared)| declared.0 == number)?;
        declared.1 = true;
        Some((NO_OWNER, LegEvent::LegsKept { worker: worker as u8 }))
    }

    /// The media plane is gone, and what was declared to it.
    pub(crate) fn forget_keeping(&mut self) {
        self.adoption.declared.clear();
    }

    /// Asks for a leg that an earlier client has left behind. What it does is not known before it has been told all.
    pub(crate) fn send_adopt(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let number = self.next_number(slot);
        let mut in_flight = self.spare();
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(port) = leg.port else { return };
        in_flight.begin_unknown();
        leg.in_flight = Some(in_flight);
        leg.stage = Stage::Adopting(number);
        turn.commands.push((port.worker, Command::Adopt { leg: port.leg, number: number.get() }));
        self.awaited.calls += 1;
        self.adoption.asked_count += 1;
        self.settle(slot);
        self.limit(turn.now, number);
    }

    pub(crate) fn adopted(&mut self, turn: &mut MediaTurn<'_>, slot: usize, number: CommandNumber) -> LegEvent {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return LegEvent::Late };
        match &mut leg.stage {
            Stage::Adopting(asked) if *asked == number => {
                leg.stage = Stage::Open;
                if let Some(port) = leg.port {
                    turn.ports.adopted(port);
                }
                self.awaited.calls -= 1;
                self.adoption.asked_count -= 1;
                self.go_on(turn, slot);
                LegEvent::Adopted
            }
            // It is to be closed already.
            Stage::Closing(closing) if !closing.is_ours => {
                closing.is_ours = true;
                if let Some(port) = leg.port {
                    turn.ports.adopted(port);
                }
                LegEvent::Late
            }
            _ => LegEvent::Late,
        }
    }

    /// Whether a leg that this one hears, or one that hears it, is asked for and not there yet. What this one sends goes on
    /// as it is until that is known: it may be the other one's sound.
    pub(crate) fn waits_for_adoption(&self, slot: usize) -> bool {
        if self.adoption.asked_count == 0 {
            return false;
        }
        let Some(leg) = self.rows[slot].as_deref() else { return false };
        let is_asked_for = |place: u16| self.at(place).is_some_and(|leg| matches!(leg.stage, Stage::Adopting(_)));
        self.edges.incoming(leg.first_in).any(|edge| is_asked_for(edge.from))
            || self.edges.outgoing(leg.first_out).any(|edge| is_asked_for(edge.to))
    }
}
