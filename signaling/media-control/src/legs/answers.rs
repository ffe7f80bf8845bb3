//! What the media plane says.

use super::leg::{Closing, Move, Stage};
use crate::{CommandNumber, LegEvent, Legs, MediaTurn};
use contract::{CloseReason, Event, PlayerId, RefuseReason};

impl Legs {
    /// Takes an event of a media worker. Gives the owner of the leg with what it means; `None`: it is about a leg that is
    /// gone.
    pub fn handle(&mut self, turn: &mut MediaTurn<'_>, event: &Event) -> Option<(u64, LegEvent)> {
        if let Event::RecordingEnded { leg, number, recording, outcome } = *event {
            return self.recording_ended((leg, number), recording, outcome);
        }
        if let Event::Kept { number } = *event {
            return self.kept(number);
        }
        let number = match event.number() {
            Some(number) => Some(CommandNumber::from_answer(number)?),
            None => None,
        };
        let has_leg = |slot: &usize| {
            let leg = self.rows.get(*slot).and_then(Option::as_deref);
            leg.is_some_and(|leg| leg.port.is_some_and(|port| port.leg == event.leg()))
        };
        // An adopted leg may tell the number of a command of its earlier client, of which this is not the answer.
        let is_no_answer = number.is_none() || matches!(event, Event::Closed { .. });
        let by_leg = || self.by_leg.get(&event.leg()).filter(|_| is_no_answer).copied().map(usize::from);
        let slot = number.map(CommandNumber::slot).filter(has_leg).or_else(by_leg)?;
        let leg = self.rows.get(slot)?.as_deref()?;
        let (owner, runs) = (leg.owner, matches!(leg.stage, Stage::Open | Stage::Moving(_)));
        let told = match (*event, number) {
            (Event::Opened { .. }, Some(number)) => self.opened(turn, slot, number),
            (Event::Updated { .. }, Some(number)) => self.updated(turn, slot, number),
            (Event::Refused { reason, .. }, Some(number)) => self.refused(turn, slot, number, reason),
            (Event::Closed { reason, .. }, _) => self.gone(turn, slot, LegEvent::Closed(reason)),
            (Event::Adopted { .. }, Some(number)) => self.adopted(turn, slot, number),
            (Event::Moved { worker, .. }, Some(number)) => self.moved(turn, slot, Move { number, to: worker }),
            (Event::MediaTimeout { .. }, _) if runs => LegEvent::MediaTimeout,
            (Event::PlayerEnded { player, .. }, _) if runs && self.has_played(slot, player) => LegEvent::SourceEnded,
            (Event::Digit { digit, .. }, _) => LegEvent::Digit(digit),
            (Event::DigitEnded { digit, duration_ms, .. }, _) => LegEvent::DigitEnded { digit, duration_ms },
            (Event::VoiceActivity { is_speech, .. }, _) => LegEvent::VoiceActivity { is_speech },
            (Event::AnnouncementEnded { id, .. }, _) => self.announcement_ended(id),
            (Event::Speaking { is_speaking, .. }, _) => LegEvent::Speaking { is_speaking },
            (Event::VoiceRefused { .. }, _) => LegEvent::VoiceRefused,
            (Event::QualityChanged { change, .. }, _) if runs => LegEvent::QualityChanged(change),
            (Event::Latched { address, .. }, _) => LegEvent::Latched(address),
            (Event::RecordingStarted { recording, .. }, Some(number)) => self.recording_started(recording, number),
            _ => LegEvent::Late,
        };
        self.forget_answered();
        Some((owner, told))
    }

    fn opened(&mut self, turn: &mut MediaTurn<'_>, slot: usize, number: CommandNumber) -> LegEvent {
        let Some(leg) = self.rows[slot].as_deref_mut().filter(|leg| leg.stage == Stage::Opening(number)) else {
            return LegEvent::Late;
        };
        if let Some(in_flight) = leg.in_flight.as_deref_mut() {
            in_flight.confirm(0);
        }
        leg.stage = Stage::Open;
        self.awaited.calls -= 1;
        self.go_on(turn, slot);
        LegEvent::Opened
    }

    fn updated(&mut self, turn: &mut MediaTurn<'_>, slot: usize, number: CommandNumber) -> LegEvent {
        let in_flight = self.rows[slot].as_deref_mut().and_then(|leg| leg.in_flight.as_deref_mut());
        let found = in_flight.and_then(|in_flight| Some((in_flight.position(number)?, in_flight)));
        let Some((position, in_flight)) = found else { return LegEvent::Late };
        in_flight.confirm(position);
        self.awaited.others -= 1;
        self.settle(slot);
        self.send_update(turn, slot);
        LegEvent::Confirmed(number)
    }

    fn refused(
        &mut self,
        turn: &mut MediaTurn<'_>,
        slot: usize,
        number: CommandNumber,
        reason: RefuseReason,
    ) -> LegEvent {
        if let Some(refused) = self.announcement_refused(number) {
            return refused;
        }
        let Some(leg) = self.rows[slot].as_deref_mut() else { return LegEvent::Late };
        let is_unknown = reason == RefuseReason::NoSuchLeg;
        match leg.stage {
            Stage::Opening(open) if open == number => self.gone(turn, slot, LegEvent::OpenRefused(reason)),
            Stage::Moving(leaving) if leaving.number == number && is_unknown => self.gone(turn, slot, LegEvent::Lost),
            Stage::Moving(leaving) if leaving.number == number => {
                leg.stage = Stage::Open;
                self.awaited.calls -= 1;
                leg.has_no_room = matches!(leg.player, Some(crate::Player::Room(_)));
                self.fail_edges(slot);
                self.go_on(turn, slot);
                LegEvent::MoveRefused(reason)
            }
            // It was ours before.
            Stage::Adopting(asked) if asked == number && reason == RefuseReason::AlreadyOpen => {
                self.adopted(turn, slot, number)
            }
            Stage::Adopting(asked) if asked == number => self.gone(turn, slot, LegEvent::Lost),
            Stage::Closing(closing) => self.refused_closing(turn, slot, closing, (number, is_unknown)),
            _ => self.update_refused(turn, slot, number, reason),
        }
    }

    fn update_refused(
        &mut self,
        turn: &mut MediaTurn<'_>,
        slot: usize,
        number: CommandNumber,
        reason: RefuseReason,
    ) -> LegEvent {
        let Some(leg) = self.rows[slot].as_deref() else { return LegEvent::Late };
        let is_update = leg.in_flight.as_ref().is_some_and(|in_flight| in_flight.position(number).is_some());
        let is_digit = !is_update && leg.has_sent_digit(number);
        if !is_update && !is_digit {
            return LegEvent::Late;
        }
        // A leg that moves may be anywhere: the answer to `Move` will tell.
        if reason == RefuseReason::NoSuchLeg && leg.stage == Stage::Open {
            return self.gone(turn, slot, LegEvent::Lost);
        }
        if is_digit {
            return LegEvent::DigitRefused(reason);
        }
        let is_current = self.drop_update(turn, slot, number, true);
        LegEvent::Refused { number, reason, is_current }
    }

    /// An update was not carried out; unless `is_certain` it may have been. Whether it is still what is wanted.
    pub(crate) fn drop_update(
        &mut self,
        turn: &mut MediaTurn<'_>,
        slot: usize,
        number: CommandNumber,
        is_certain: bool,
    ) -> bool {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return false };
        let Some(in_flight) = leg.in_flight.as_deref_mut() else { return false };
        let Some(position) = in_flight.position(number) else { return false };
        let refused = in_flight.refuse(position, is_certain, &leg.wanted);
        let is_current = refused == leg.wanted && !in_flight.is_told();
        in_flight.is_refused = is_current;
        if is_current {
            leg.promised = None;
        }
        self.awaited.others -= 1;
        self.settle(slot);
        self.send_update(turn, slot);
        is_current
    }

    /// A command for a leg that is being closed was refused.
    fn refused_closing(
        &mut self,
        turn: &mut MediaTurn<'_>,
        slot: usize,
        closing: Closing,
        (number, is_unknown): (CommandNumber, bool),
    ) -> LegEvent {
        let left = closing.moving.filter(|leaving| leaving.number != number);
        let is_move = closing.moving.is_some() && left.is_none();
        match () {
            // It has come back to its worker, which did not have it when it was to close it.
            () if is_move && closing.is_refused => self.send_close(turn, slot, None),
            () if is_move => self.set_closing(slot, Closing { moving: None, ..closing }),
            () if closing.number != number || !is_unknown => {}
            // It is on its way: where it arrives it is closed again.
            () if left.is_some() => self.set_closing(slot, Closing { is_refused: true, ..closing }),
            () => return self.gone(turn, slot, LegEvent::Closed(CloseReason::Asked)),
        }
        LegEvent::Late
    }

    fn set_closing(&mut self, slot: usize, closing: Closing) {
        if let Some(leg) = self.rows[slot].as_deref_mut() {
            leg.stage = Stage::Closing(closing);
        }
    }

    fn moved(&mut self, turn: &mut MediaTurn<'_>, slot: usize, arrived: Move) -> LegEvent {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return LegEvent::Late };
        let moving = match leg.stage {
            Stage::Moving(leaving) => Some(leaving),
            Stage::Closing(closing) => closing.moving,
            _ => None,
        };
        let Some(port) = leg.port.as_mut().filter(|_| moving == Some(arrived)) else { return LegEvent::Late };
        let from = std::mem::replace(&mut port.worker, arrived.to);
        turn.ports.moved(from, arrived.to);
        if let Stage::Closing(_) = leg.stage {
            // The first `Close` went to where it no longer was.
            self.send_close(turn, slot, None);
            return LegEvent::Late;
        }
        leg.stage = Stage::Open;
        self.awaited.calls -= 1;
        self.go_on(turn, slot);
        LegEvent::Moved
    }

    /// A leg can be told again: all that has waited for that.
    pub(crate) fn go_on(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        self.settle(slot);
        self.refresh(turn, slot);
        self.send_waiting_digits(turn, slot);
        self.tell_recordings(turn, slot);
        self.refresh_neighbours(turn, slot);
        self.bring_together(turn, slot);
    }

    /// Whether a player has ended that is still wanted.
    fn has_played(&self, slot: usize, player: PlayerId) -> bool {
        let flow = self.rows[slot].as_deref().map(|leg| &leg.wanted.flow);
        flow.is_some_and(|flow| flow.source.prompt().is_some() && flow.player == player)
    }

    /// A leg is gone: its port goes back, and the legs that heard it hear their next source, or play what they have of
    /// their own.
    pub(crate) fn gone(&mut self, turn: &mut MediaTurn<'_>, slot: usize, told: LegEvent) -> LegEvent {
        let Some(leg) = self.rows[slot].as_deref() else { return LegEvent::Late };
        let is_ours = leg.has_own_port();
        let neighbours = leg.has_edges().then(|| {
            let sinks: Vec<usize> = self.edges.outgoing(leg.first_out).map(|edge| edge.to.into()).collect();
            (self.edges.sources(leg.first_in), sinks)
        });
        self.forget_recordings(slot);
        self.forget_announcements(slot);
        if neighbours.is_some() {
            self.drop_edges(slot);
        }
        if let Some(port) = self.remove(slot).filter(|_| is_ours) {
            turn.ports.give_back(port);
        }
        let Some((sources, sinks)) = neighbours else { return told };
        for sink in &sinks {
            self.refresh(turn, *sink);
            self.refresh_sources_of(turn, *sink);
        }
        for sink in sinks {
            self.bring_together(turn, sink);
        }
        self.lost_sink(turn, &sources);
        told
    }
}
