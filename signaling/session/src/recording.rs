//! A session's sound goes into a file: who asks, what the media plane answers.

use crate::{Operation, SessionError, SessionEvent, SessionId, Sessions, Turn};
use clock::Duration;
use contract::{Command, RECORDING_SECONDS_MAX, RecordingEnd, RecordingLayout, RecordingOutcome};
use std::fs::File;

impl Sessions {
    /// Writes what the peer says and hears into a file, which is open for writing, until it is stopped, the call ends or
    /// the limit is reached. Gives the number that `RecordingStarted` and `RecordingEnded` tell; one of both follows.
    pub fn start_recording(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        file: File,
        layout: RecordingLayout,
        limit: Duration,
    ) -> Result<u64, SessionError> {
        self.check(id, Operation::StartRecording)?;
        let limit_s = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
        if !(1..=RECORDING_SECONDS_MAX).contains(&limit_s) {
            return Err(SessionError::Argument("a recording may last from 1 second to 24 hours"));
        }
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let port = session.port().filter(|_| !session.is_moving);
        let port = port.ok_or(SessionError::Busy(Operation::StartRecording))?;
        let recording = self.recordings_begun + 1;
        // The file first, so that it is there when the worker begins.
        turn.ports.hand_over(port.leg, recording, file).map_err(|_| {
            SessionError::Media("the media plane does not take the file now: it is gone or overloaded; try again")
        })?;
        self.recordings_begun = recording;
        let command = Command::StartRecording { leg: port.leg, tag: id.as_u64(), recording, layout, limit_s };
        turn.commands.push((port.worker, command));
        if let Some(session) = self.table.get_mut(id) {
            session.recording = Some(recording);
        }
        Ok(recording)
    }

    /// The end of it. `RecordingEnded` follows, once the file is whole.
    pub fn stop_recording(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<u64, SessionError> {
        self.check(id, Operation::StopRecording)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let port = session.port().filter(|_| !session.is_moving);
        let (Some(port), Some(recording)) = (port, session.recording) else {
            return Err(SessionError::Busy(Operation::StopRecording));
        };
        turn.commands.push((port.worker, Command::StopRecording { leg: port.leg, tag: id.as_u64(), recording }));
        Ok(recording)
    }

    /// It has begun.
    pub(crate) fn recording_started(&mut self, turn: &mut Turn<'_>, id: SessionId, recording: u64) {
        turn.events.push(SessionEvent::RecordingStarted { id, recording });
    }

    /// It is over, or could not begin. The session may have ended before: its file was finished afterwards.
    pub(crate) fn recording_ended(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        recording: u64,
        outcome: RecordingOutcome,
    ) {
        if let Some(session) = self.table.get_mut(id).filter(|session| session.recording == Some(recording)) {
            session.recording = None;
        }
        turn.events.push(SessionEvent::RecordingEnded { id, recording, outcome });
    }

    /// The media plane is gone, and nobody else will say what became of the recording.
    pub(crate) fn recording_lost(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        if let Some(recording) = self.table.get(id).and_then(|session| session.recording) {
            self.recording_ended(turn, id, recording, RecordingOutcome::new(RecordingEnd::MediaLost));
        }
    }
}
