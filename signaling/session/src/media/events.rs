//! What the media plane says about legs.

use crate::invite::incoming_invite::Stage;
use crate::{AtEnd, EndOrigin, EndReason, Operation, Plan, PlannedSource, SessionEvent, SessionId, Sessions, Turn};
use contract::{Event, RecordingEnd, RecordingOutcome};
use media_control::{CommandNumber, LegEvent, Standing};
use stats::SignalCounter;

impl Sessions {
    /// Takes an event of a media worker.
    pub fn handle_media(&mut self, turn: &mut Turn<'_>, event: Event) {
        match self.legs.handle(&mut turn.media(), &event) {
            Some((owner, event)) => self.handle_leg(turn, SessionId::from_u64(owner), event),
            // It is about a leg that is gone.
            None => self.counts.add(SignalCounter::MediaEventsStale, 1),
        }
    }

    /// Looks at the commands that the media plane has not answered in time.
    pub(crate) fn media_overdue(&mut self, turn: &mut Turn<'_>) {
        while let Some((owner, event)) = self.legs.handle_deadline(&mut turn.media()) {
            self.handle_leg(turn, SessionId::from_u64(owner), event);
        }
    }

    fn handle_leg(&mut self, turn: &mut Turn<'_>, id: SessionId, event: LegEvent) {
        if matches!(event, LegEvent::OpenRefused(_) | LegEvent::Refused { .. } | LegEvent::MoveRefused(_)) {
            self.counts.add(SignalCounter::MediaRefusals, 1);
        }
        match event {
            LegEvent::Opened => self.opened(turn, id),
            LegEvent::Confirmed(number) => self.confirmed(turn, id, number),
            LegEvent::Refused { number, is_current, .. } => self.update_refused(turn, id, number, is_current),
            LegEvent::UpdateTimedOut(number) => {
                self.counts.add(SignalCounter::MediaRefusals, 1);
                self.update_refused(turn, id, number, false);
            }
            LegEvent::Moved => self.moved(turn, id),
            LegEvent::MoveRefused(_) => self.move_refused(turn, id),
            LegEvent::OpenTimedOut | LegEvent::MoveTimedOut | LegEvent::AdoptTimedOut => {
                self.end(turn, id, EndReason::MediaFailed)
            }
            LegEvent::OpenRefused(_) | LegEvent::Lost | LegEvent::Closed(_) => {
                self.leg_gone(turn, id);
                // Where it was asked for, the session is ending already.
                self.end(turn, id, EndReason::MediaFailed);
            }
            LegEvent::CloseTimedOut => {
                self.counts.add(SignalCounter::LegsNeverClosed, 1);
                self.leg_gone(turn, id);
            }
            LegEvent::MediaTimeout => {
                self.counts.add(SignalCounter::MediaTimeouts, 1);
                self.end(turn, id, EndReason::MediaTimeout);
            }
            LegEvent::SourceEnded => self.source_ended(turn, id),
            LegEvent::Digit(digit) => self.digit_heard(turn, id, digit),
            LegEvent::DigitEnded { digit, duration_ms } => self.digit_ended(turn, id, digit, duration_ms),
            LegEvent::VoiceActivity { is_speech } => {
                turn.events.push(SessionEvent::VoiceActivity { id, is_speaking: is_speech });
            }
            LegEvent::VoiceRefused => {
                self.counts.add(SignalCounter::MediaRefusals, 1);
                turn.events.push(SessionEvent::VoiceProcessingRefused { id });
            }
            LegEvent::QualityChanged(change) => self.quality_changed(turn, id, change),
            LegEvent::AnnouncementEnded { id: announcement, is_refused } => {
                turn.events.push(SessionEvent::AnnouncementEnded { id, announcement, is_refused });
            }
            LegEvent::Speaking { is_speaking } => turn.events.push(SessionEvent::RoomSpeaking { id, is_speaking }),
            LegEvent::DigitRefused(_) => self.counts.add(SignalCounter::MediaRefusals, 1),
            LegEvent::RecordingStarted(recording) => {
                turn.events.push(SessionEvent::RecordingStarted { id, recording });
            }
            LegEvent::RecordingEnded { recording, outcome } => self.recording_ended(turn, id, recording, outcome),
            // The leg's row tells where it sends; sessions keep what the peer said.
            LegEvent::Latched(_) | LegEvent::Adopted | LegEvent::LegsKept { .. } | LegEvent::Late => {}
        }
        self.look_at_joining(turn, id);
    }

    fn opened(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        if session.outgoing.is_some() {
            self.call_first(turn, id);
        } else if session.is_at(Stage::Early) {
            self.announce(turn, id);
        }
        let is_answered = self.answer(turn, id);
        match self.table.get(id).and_then(|session| session.link()) {
            // The answer has told the leg all.
            None if is_answered => self.take_up_pending(turn, id),
            _ => self.bring_together(turn, id),
        }
    }

    /// The media plane does what was wanted with this command.
    fn confirmed(&mut self, turn: &mut Turn<'_>, id: SessionId, number: CommandNumber) {
        let Some(session) = self.table.get(id) else { return };
        if session.negotiation.is_applied_by(number) {
            self.applied(turn, id, true);
        }
    }

    fn update_refused(&mut self, turn: &mut Turn<'_>, id: SessionId, number: CommandNumber, is_current: bool) {
        let Some(session) = self.table.get(id) else { return };
        if session.negotiation.waits_for(number) {
            self.applied(turn, id, false);
        } else if is_current {
            self.source_refused(turn, id);
        }
    }

    /// What was agreed on is not on its way any more, because the media plane does it already.
    pub(crate) fn look_at_applying(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id).filter(|session| session.negotiation.applying().is_some()) else {
            return;
        };
        let standing = session.leg.id().and_then(|leg| self.legs.standing(leg).ok());
        if standing == Some(Standing::Confirmed) {
            self.applied(turn, id, true);
        }
    }

    /// The leg does not take what we want it to send: it goes on with silence, which every leg can make.
    pub(crate) fn source_refused(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
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

    /// A prompt was played to its end.
    fn source_ended(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if session.is_held_here() {
            return self.restart(turn, id); // music on hold has no end
        }
        if session.playback.advance(turn.now) {
            // A prompt that follows itself is another player, too.
            return self.restart(turn, id);
        }
        turn.events.push(SessionEvent::SourceEnded { id });
        match session.playback.at_end() {
            AtEnd::HangUp => self.end(turn, id, EndReason::LocalBye),
            AtEnd::Repeat => {
                session.playback.begin_again(turn.now);
                self.restart(turn, id);
            }
            AtEnd::Silence => {
                session.playback.ends_in_silence();
                self.sync(turn, id);
            }
        }
    }

    /// The media plane is gone, and the legs and ports with it: every session ends, properly towards its peer. Ports are
    /// not given back, for the pool that they came from is no more.
    pub fn media_lost(&mut self, turn: &mut Turn<'_>) {
        for (owner, recording) in self.legs.media_lost() {
            let outcome = RecordingOutcome::new(RecordingEnd::MediaLost);
            self.recording_ended(turn, SessionId::from_u64(owner), recording, outcome);
        }
        for id in self.table.ids() {
            self.close_leg(turn, id);
            self.end(turn, id, EndReason::MediaLost);
            self.settle(turn, id);
        }
    }
}
