//! The sound or the packets of a session go into a file.

use crate::{Operation, SessionError, SessionEvent, SessionId, Sessions, Turn};
use clock::Duration;
use contract::{RECORDING_SECONDS_MAX, RECORDINGS_MAX, RecordingKind, RecordingOutcome, RecordingShape};
use media_control::LegError;
use std::fs::File;

/// What ends or pauses a recording.
fn stop_of(kind: RecordingKind) -> Operation {
    match kind {
        RecordingKind::Sound => Operation::StopRecording,
        RecordingKind::Packets => Operation::StopCapture,
    }
}

impl Sessions {
    /// Writes what the peer says and hears, or the packets of RTP and RTCP, into a file, which is open for writing, until it is stopped, the call ends or
    /// the limit is reached. While the leg is on its way to another worker, the recording and its end wait for that. Gives the number that `RecordingStarted` and `RecordingEnded` tell; one of both follows.
    pub fn start_recording(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        file: File,
        shape: impl Into<RecordingShape>,
        limit: Duration,
    ) -> Result<u64, SessionError> {
        let shape = shape.into();
        let kind = shape.format.kind();
        let operation = match kind {
            RecordingKind::Sound => Operation::StartRecording,
            RecordingKind::Packets => Operation::StartCapture,
        };
        self.check(id, operation)?;
        if !(1..=u64::from(RECORDING_SECONDS_MAX)).contains(&limit.as_secs()) {
            return Err(SessionError::Argument("a recording may last from 1 second to 24 hours"));
        }
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let is_only_passed_on = session
            .agreement()
            .is_some_and(|agreed| !agreed.payloads.is_empty() && agreed.payloads.decodable().is_none());
        if kind == RecordingKind::Sound && is_only_passed_on {
            return Err(SessionError::Media(
                "the media plane cannot decode the codec of this call, only pass it on: write its packets instead",
            ));
        }
        let leg = session.leg.id().ok_or(SessionError::Busy(operation))?;
        let started = self.legs.start_recording(&mut turn.media(), leg, file, (shape, limit));
        let recording = started.map_err(|error| match error {
            LegError::File => {
                SessionError::Media("the media plane does not take the file now: it is gone or overloaded; try again")
            }
            LegError::Full => SessionError::ResourceExhausted { what: "recordings", limit: RECORDINGS_MAX },
            _ => SessionError::Busy(operation),
        })?;
        if let Some(session) = self.table.get_mut(id) {
            session.leg.set_recording(kind, recording);
        }
        Ok(recording)
    }

    /// Leaves silence in the file from now on, or packets out of it, or goes on with the recording.
    pub fn pause_recording(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        kind: RecordingKind,
        is_paused: bool,
    ) -> Result<(), SessionError> {
        let operation = stop_of(kind);
        self.check(id, operation)?;
        let leg = self.table.get(id).and_then(|session| session.leg.id()).ok_or(SessionError::Busy(operation))?;
        self.legs.pause_recording(&mut turn.media(), (leg, kind), is_paused).map_err(|_| SessionError::Busy(operation))
    }

    /// The end of it. `RecordingEnded` follows, once the file is whole.
    pub fn stop_recording(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        kind: RecordingKind,
    ) -> Result<u64, SessionError> {
        let operation = stop_of(kind);
        self.check(id, operation)?;
        let leg = self.table.get(id).and_then(|session| session.leg.id()).ok_or(SessionError::Busy(operation))?;
        self.legs.stop_recording(&mut turn.media(), leg, kind).map_err(|_| SessionError::Busy(operation))
    }

    /// It is over, or could not begin. The session may have ended before: its file was finished afterwards.
    pub(crate) fn recording_ended(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        recording: u64,
        outcome: RecordingOutcome,
    ) {
        if let Some(session) = self.table.get_mut(id) {
            session.leg.forget_recording(recording);
        }
        turn.events.push(SessionEvent::RecordingEnded { id, recording, outcome });
    }
}
