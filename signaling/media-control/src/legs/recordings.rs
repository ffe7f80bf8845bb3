//! Recordings: the sound of a leg goes into a file. The outcome may come after the leg is gone, because the file is
//! finished by then.

use super::leg::Stage;
use crate::{CommandNumber, LegError, LegEvent, LegId, Legs, MediaTurn, Port};
use clock::Duration;
use contract::{Command, RECORDING_SECONDS_MAX, RECORDINGS_MAX, RecordingLayout, RecordingOutcome};
use std::collections::BTreeMap;
use std::fs::File;

/// The recordings whose outcome is not known, by number: the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    begun_count: u64,
    open: BTreeMap<u64, Recording>,
}

#[derive(Debug)]
struct Recording {
    owner: u64,
    leg: LegId,
    /// The command that begins it, until it is answered.
    starting: Option<CommandNumber>,
}

impl Recordings {
    /// Forgets all of them: each with its owner.
    pub(crate) fn take_all(&mut self) -> Vec<(u64, u64)> {
        let all = std::mem::take(&mut self.open);
        all.into_iter().map(|(number, recording)| (recording.owner, number)).collect()
    }
}

impl Legs {
    /// Writes what the peer of a leg says and hears into a file until it is stopped, the leg is closed or the limit is
    /// reached. Gives the number that the recording's events carry.
    pub fn start_recording(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        file: File,
        (layout, limit): (RecordingLayout, Duration),
    ) -> Result<u64, LegError> {
        let limit_s = u32::try_from(limit.as_secs()).ok().filter(|limit| (1..=RECORDING_SECONDS_MAX).contains(limit));
        let limit_s = limit_s.ok_or(LegError::Recording)?;
        let port = self.recorded_port(id)?;
        if self.leg(id)?.recording.is_some() {
            return Err(LegError::Recording);
        }
        self.make_room_for_recording()?;
        let recording = self.recordings.begun_count + 1;
        // The file first, so that it is there when the worker begins.
        turn.ports.hand_over(port.leg, recording, file).map_err(|_| LegError::File)?;
        let number = self.next_number(id.slot());
        let command = Command::StartRecording { leg: port.leg, number: number.get(), recording, layout, limit_s };
        turn.commands.push((port.worker, command));
        self.recordings.begun_count = recording;
        let leg = self.leg_mut(id)?;
        leg.recording = Some(recording);
        let begun = Recording { owner: leg.owner, leg: id, starting: Some(number) };
        self.recordings.open.insert(recording, begun);
        self.limit_recording(turn.now, number);
        Ok(recording)
    }

    /// Ends the recording of a leg; [`LegEvent::RecordingEnded`] follows once the file is whole. Gives its number.
    pub fn stop_recording(&mut self, turn: &mut MediaTurn<'_>, id: LegId) -> Result<u64, LegError> {
        let port = self.recorded_port(id)?;
        let recording = self.leg(id)?.recording.ok_or(LegError::Recording)?;
        let number = self.next_number(id.slot());
        turn.commands.push((port.worker, Command::StopRecording { leg: port.leg, number: number.get(), recording }));
        Ok(recording)
    }

    /// The number of the recording of a leg.
    pub fn recording(&self, id: LegId) -> Option<u64> {
        self.leg(id).ok()?.recording
    }

    fn recorded_port(&self, id: LegId) -> Result<Port, LegError> {
        let leg = self.leg(id)?;
        match leg.stage {
            Stage::Moving(_) => Err(LegError::Moving),
            Stage::Opening(_) | Stage::Open => leg.port.ok_or(LegError::WrongState),
            _ => Err(LegError::WrongState),
        }
    }

    /// An outcome that never came must not keep others from recording: the oldest one whose leg is gone is given up.
    fn make_room_for_recording(&mut self) -> Result<(), LegError> {
        if self.recordings.open.len() < RECORDINGS_MAX {
            return Ok(());
        }
        let gone = self.recordings.open.iter().find(|(_, recording)| self.leg(recording.leg).is_err());
        let number = gone.map(|(number, _)| *number).ok_or(LegError::Full)?;
        self.recordings.open.remove(&number);
        Ok(())
    }

    pub(crate) fn recording_started(&mut self, recording: u64, number: CommandNumber) -> LegEvent {
        let Some(started) = self.recordings.open.get_mut(&recording) else { return LegEvent::Late };
        if started.starting.take_if(|starting| *starting == number).is_some() {
            self.awaited.calls -= 1;
        }
        LegEvent::RecordingStarted(recording)
    }

    pub(crate) fn recording_ended(&mut self, recording: u64, outcome: RecordingOutcome) -> Option<(u64, LegEvent)> {
        let ended = self.recordings.open.remove(&recording)?;
        if ended.starting.is_some() {
            self.awaited.calls -= 1;
        }
        if let Ok(leg) = self.leg_mut(ended.leg) {
            leg.recording.take_if(|current| *current == recording);
        }
        self.forget_answered();
        Some((ended.owner, LegEvent::RecordingEnded { recording, outcome }))
    }

    fn starting(&mut self, slot: usize) -> Option<&mut Recording> {
        let recording = self.rows[slot].as_deref()?.recording?;
        self.recordings.open.get_mut(&recording)
    }

    pub(crate) fn is_starting(&self, slot: usize, number: CommandNumber) -> bool {
        let recording = self.rows[slot].as_deref().and_then(|leg| self.recordings.open.get(&leg.recording?));
        recording.is_some_and(|recording| recording.starting == Some(number))
    }

    /// Nobody waits for the beginning of a leg's recording any more.
    pub(crate) fn forget_recording_start(&mut self, slot: usize) {
        if self.starting(slot).is_some_and(|recording| recording.starting.take().is_some()) {
            self.awaited.calls -= 1;
        }
    }
}
