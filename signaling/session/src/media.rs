//! What the media plane says about legs.

use crate::session::Leg;
use crate::{AtEnd, EndReason, PlannedSource, SessionEvent, SessionId, SessionState, Sessions, Turn};
use contract::{Command, Event, RefuseReason};
use stats::SignalCounter;

impl Sessions {
    /// Takes an event of a media worker.
    pub fn handle_media(&mut self, turn: &mut Turn<'_>, event: Event) {
        let id = SessionId::from_u64(event.tag());
        let ours = self.table.get(id).and_then(|session| session.leg()) == Some(event.leg());
        if !ours {
            // A late word about a session that has ended.
            return self.counts.add(SignalCounter::MediaEventsStale, 1);
        }
        match event {
            Event::Opened { .. } => self.opened(turn, id),
            Event::Updated { .. } => self.updated(turn, id, true),
            Event::Refused { reason, .. } => self.refused(turn, id, reason),
            Event::Closed { .. } => self.closed(turn, id),
            Event::MediaTimeout { .. } => {
                self.counts.add(SignalCounter::MediaTimeouts, 1);
                self.end(turn, id, EndReason::MediaTimeout);
            }
            Event::SourceEnded { .. } => self.source_ended(turn, id),
            Event::Digit { digit, .. } => turn.events.push(SessionEvent::Digit { id, digit }),
            Event::Moved { worker, .. } => self.moved(id, worker),
            // The leg's row tells where it sends; sessions keep what the peer said.
            Event::Latched { .. } => {}
        }
    }

    fn opened(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Leg::Opening(port) = session.leg {
            session.leg = Leg::Open(port);
            self.wake(id, None);
            self.answer(turn, id);
        }
    }

    /// An `Update` was carried out, or not.
    fn updated(&mut self, turn: &mut Turn<'_>, id: SessionId, done: bool) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.updates_open = session.updates_open.saturating_sub(1);
        match &mut session.change {
            Some(change) if change.updates_before == 0 => self.finish_change(turn, id, done),
            Some(change) => change.updates_before -= 1,
            None => {}
        }
    }

    fn refused(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: RefuseReason) {
        self.counts.add(SignalCounter::MediaRefusals, 1);
        let Some(session) = self.table.get(id) else { return };
        let is_gone = reason == RefuseReason::NoSuchLeg;
        match session.leg {
            Leg::Opening(_) => {
                self.leg_gone(turn, id);
                self.end(turn, id, EndReason::MediaFailed);
            }
            Leg::Open(_) if is_gone => {
                self.leg_gone(turn, id);
                self.end(turn, id, EndReason::MediaFailed);
            }
            Leg::Open(_) if session.updates_open > 0 => self.updated(turn, id, false),
            // Anything else that was refused while it closes leaves the `Close` on its way.
            Leg::Closing(_) if is_gone => self.leg_gone(turn, id),
            _ => {}
        }
    }

    fn closed(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.leg_gone(turn, id);
        // Not asked for: the worker failed, or the media plane stops.
        self.end(turn, id, EndReason::MediaFailed);
    }

    fn source_ended(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Leg::Open(port) = session.leg else { return };
        match session.plan.at_end {
            AtEnd::HangUp => self.end(turn, id, EndReason::LocalBye),
            AtEnd::Silence => {
                session.plan.source = PlannedSource::Silence;
                session.spec.source = session.plan.source.of(port.leg).into();
                session.updates_open += 1;
                let command = Command::Update { leg: port.leg, tag: id.as_u64(), spec: session.spec };
                turn.commands.push((port.worker, command));
            }
        }
    }

    fn moved(&mut self, id: SessionId, worker: u8) {
        let Some(session) = self.table.get_mut(id) else { return };
        match &mut session.leg {
            Leg::None => {}
            Leg::Opening(port) | Leg::Open(port) | Leg::Closing(port) => port.worker = worker,
        }
    }

    /// Looks at every session whose time has come.
    pub fn handle_deadline(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.next_due(turn.now) {
            let Some(session) = self.table.get_mut(id) else { continue };
            session.deadline = None;
            match (session.state, session.leg) {
                (state, Leg::Closing(_)) if state.is_ending() => {
                    self.counts.add(SignalCounter::LegsNeverClosed, 1);
                    self.leg_gone(turn, id);
                }
                (state, _) if state.is_ending() => {
                    self.counts.add(SignalCounter::DialogsNeverEnded, 1);
                    session.is_sip_over = true;
                    self.settle(turn, id);
                }
                (SessionState::Ringing, Leg::None) => self.end(turn, id, EndReason::NotDecided),
                (_, Leg::Opening(_)) => self.end(turn, id, EndReason::MediaFailed),
                _ => self.change_overdue(turn, id),
            }
        }
    }
}
