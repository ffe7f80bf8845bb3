//! What the media plane says about legs.

use crate::invite::incoming_invite::Stage;
use crate::leg::Leg;
use crate::timers::timer::Timer;
use crate::{
    AtEnd, EndOrigin, EndReason, MEDIA_ANSWER_LIMIT, Operation, Plan, PlannedSource, Port, SessionEvent, SessionId,
    Sessions, Turn,
};
use contract::{Command, Event, RefuseReason, Source};
use stats::SignalCounter;

impl Sessions {
    /// Takes an event of a media worker.
    pub fn handle_media(&mut self, turn: &mut Turn<'_>, event: Event) {
        let id = SessionId::from_u64(event.tag());
        if let Event::RecordingEnded { recording, outcome, .. } = event {
            return self.recording_ended(turn, id, recording, outcome);
        }
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
            Event::Digit { digit, .. } => self.digit_heard(turn, id, digit, true),
            Event::Moved { worker, .. } => self.moved(turn, id, worker),
            // The leg's row tells where it sends; sessions keep what the peer said.
            Event::Latched { .. } | Event::RecordingEnded { .. } | Event::Kept { .. } | Event::Adopted { .. } => {}
            Event::RecordingStarted { recording, .. } => self.recording_started(turn, id, recording),
        }
    }

    /// Has a worker open the leg of a port.
    pub(crate) fn open_leg(&mut self, turn: &mut Turn<'_>, id: SessionId, port: Port) {
        let Some(session) = self.table.get_mut(id) else { return turn.ports.give_back(port) };
        (session.leg, session.last_leg) = (Leg::Opening(port), Some(port.leg));
        let Some(session) = self.table.get(id) else { return };
        let spec = self.spec_of(session, session.sdp.agreed());
        turn.commands.push((port.worker, Command::Open { leg: port.leg, tag: id.as_u64(), spec }));
        if let Some(session) = self.table.get_mut(id) {
            session.spec = spec;
        }
        self.wake(id, Timer::Media, Some(turn.now + MEDIA_ANSWER_LIMIT));
    }

    fn opened(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Leg::Opening(port) = session.leg {
            session.leg = Leg::Open(port);
            session.timers.set(Timer::Media, None);
            if session.outgoing.is_some() {
                self.call_first(turn, id);
            } else if session.is_at(Stage::Early) {
                self.announce(turn, id);
            }
            self.answer(turn, id);
            self.bring_together(turn, id);
        }
    }

    /// An `Update` was carried out, or not.
    fn updated(&mut self, turn: &mut Turn<'_>, id: SessionId, done: bool) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.updates_open = session.updates_open.saturating_sub(1);
        if session.negotiation.media_answered() {
            return self.applied(turn, id, done);
        }
        if !done {
            self.source_refused(turn, id);
        }
        self.try_move(turn, id);
    }

    /// The leg does not take what we want it to send: it goes on with silence, which every leg can make.
    fn source_refused(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id).filter(|session| session.updates_open == 0) else { return };
        if session.link().is_some() {
            return self.link_failed(turn, id);
        }
        let is_silent = |source| source == PlannedSource::Silence;
        if is_silent(session.playback.source()) && session.hold.source().is_none_or(is_silent) {
            return;
        }
        session.playback.set_plan(Plan::of(PlannedSource::Silence));
        session.hold.is_silent_now();
        turn.events.push(SessionEvent::Failed {
            id,
            operation: Operation::ChangeMedia,
            status: 500,
            origin: EndOrigin::Media,
        });
        self.sync(turn, id);
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
            Leg::Open(_) if is_gone && !session.is_moving => {
                self.leg_gone(turn, id);
                self.end(turn, id, EndReason::MediaFailed);
            }
            _ if session.is_moving => self.move_refused(turn, id),
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

    /// A prompt was played to its end. A word about one that is no longer wanted says nothing.
    fn source_ended(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if !matches!(session.leg, Leg::Open(_)) || !matches!(session.spec.source(), Source::Prompt(_)) {
            return;
        }
        if session.is_held_here() {
            return self.rewind(turn, id); // music on hold has no end
        }
        turn.events.push(SessionEvent::SourceEnded { id });
        match session.playback.at_end() {
            AtEnd::HangUp => self.end(turn, id, EndReason::LocalBye),
            AtEnd::Repeat => self.rewind(turn, id),
            AtEnd::Silence => {
                session.playback.ends_in_silence();
                self.sync(turn, id);
            }
        }
    }
}
