//! Recordings: the sound of a leg goes into a file. What is wanted waits until its leg can be told. The outcome may come
//! after the leg is gone, because the file is finished by then.

use super::leg::Stage;
use crate::{CommandNumber, LegError, LegEvent, LegId, Legs, MediaTurn, Port};
use clock::Duration;
use contract::{
    Command, LegRef, RECORDING_SECONDS_MAX, RECORDINGS_MAX, RecordingEnd, RecordingKind, RecordingOutcome,
    RecordingShape,
};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::num::NonZeroU64;

/// The recordings whose outcome is not known.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    begun_count: u64,
    /// By number: the oldest first.
    open: BTreeMap<u64, Recording>,
    /// The commands that begin one, until they are answered, with its number.
    starting: BTreeMap<CommandNumber, u64>,
    /// Those whose beginning or end waits until their leg can be told, in this order.
    waiting: Vec<u64>,
    /// The ends that the media plane has not heard of, with the owners of their legs.
    ended: VecDeque<(u64, LegEvent)>,
}

#[derive(Debug)]
struct Recording {
    owner: u64,
    leg: LegId,
    kind: RecordingKind,
    /// How the media plane was told to begin it; `None`: it was not.
    begun: Option<Begun>,
    state: RecordingState,
}

/// What the media plane knows a recording by, besides its number. A client that had this place before has numbered its
/// recordings from 1 as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Begun {
    leg: LegRef,
    by: CommandNumber,
}

#[derive(Debug)]
enum RecordingState {
    /// The media plane has not been told yet.
    Waiting(Start),
    /// The media plane has been told to begin it.
    Told,
    /// It is to stop, and the media plane has not been told that yet.
    StopWaits,
    /// The media plane has been told to stop it.
    StopTold,
}

/// What a recording begins with.
#[derive(Debug)]
struct Start {
    file: File,
    shape: RecordingShape,
    limit_s: u32,
}

/// Whether a leg can be told about its recordings.
enum Telling {
    Now(Port),
    Later,
}

impl Recordings {
    /// Forgets all of them: each with its owner.
    pub(crate) fn take_all(&mut self) -> Vec<(u64, u64)> {
        self.starting.clear();
        self.waiting.clear();
        let all = std::mem::take(&mut self.open);
        all.into_iter().map(|(number, recording)| (recording.owner, number)).collect()
    }

    /// Whether there is an end to be told.
    pub(crate) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The next end that the media plane has not heard of, with the owner of its leg.
    pub(crate) fn next_ended(&mut self) -> Option<(u64, LegEvent)> {
        self.ended.pop_front()
    }

    pub(crate) fn is_starting(&self, number: CommandNumber) -> bool {
        self.starting.contains_key(&number)
    }
}

impl Legs {
    /// Writes what the peer of a leg says and hears, or its packets, into a file until it is stopped, the leg is closed or the limit is
    /// reached. A leg that does not run yet, or is on its way to another worker, is recorded from then on. Gives the number
    /// that the recording's events carry. A leg has one recording of each kind at a time; the next one may begin once the one before has
    /// been stopped.
    pub fn start_recording(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        file: File,
        (shape, limit): (impl Into<RecordingShape>, Duration),
    ) -> Result<u64, LegError> {
        let limit_s = u32::try_from(limit.as_secs()).ok().filter(|limit| (1..=RECORDING_SECONDS_MAX).contains(limit));
        let limit_s = limit_s.ok_or(LegError::Recording)?;
        let telling = self.telling(id)?;
        let shape = shape.into();
        let kind = shape.format.kind();
        if self.wanted_recording(id, kind).is_some() {
            return Err(LegError::Recording);
        }
        self.make_room_for_recording()?;
        let (recording, start) = (self.recordings.begun_count + 1, Start { file, shape, limit_s });
        let (state, begun) = match telling {
            Telling::Now(port) => {
                let begun = self.begin_recording(turn, (id, port), recording, start)?;
                (RecordingState::Told, Some(begun))
            }
            Telling::Later => {
                self.recordings.waiting.push(recording);
                (RecordingState::Waiting(start), None)
            }
        };
        self.recordings.begun_count = recording;
        let leg = self.leg_mut(id)?;
        leg.recordings[kind.index()] = NonZeroU64::new(recording);
        let begun = Recording { owner: leg.owner, leg: id, kind, begun, state };
        self.recordings.open.insert(recording, begun);
        Ok(recording)
    }

    /// Hands the media plane's end of a stream of audio over, for a leg that runs, be it on its way to another worker: its
    /// worker connects the two. All else passes through the socket.
    pub fn open_stream(&mut self, turn: &mut MediaTurn<'_>, id: LegId, socket: File) -> Result<(), LegError> {
        let leg = self.leg(id)?;
        let runs = matches!(leg.stage, Stage::Opening(_) | Stage::Open | Stage::Moving(_));
        let port = leg.port.filter(|_| runs).ok_or(LegError::WrongState)?;
        turn.ports.hand_over_stream(port.leg, socket).map_err(|_| LegError::File)
    }

    /// Ends the recording of a leg; [`LegEvent::RecordingEnded`] follows once the file is whole. Gives its number.
    pub fn stop_recording(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        kind: RecordingKind,
    ) -> Result<u64, LegError> {
        let telling = self.telling(id)?;
        let number = self.recording(id, kind).ok_or(LegError::Recording)?;
        let recording = self.recordings.open.get_mut(&number).ok_or(LegError::Recording)?;
        match (&recording.state, telling) {
            (RecordingState::Waiting(_), _) => self.end_recording_here(number, RecordingEnd::Stopped),
            (RecordingState::Told, Telling::Later) => {
                recording.state = RecordingState::StopWaits;
                self.recordings.waiting.push(number);
            }
            (RecordingState::Told, Telling::Now(port)) => self.tell_stop(turn, (id, port), number),
            (RecordingState::StopWaits | RecordingState::StopTold, _) => {}
        }
        Ok(number)
    }

    /// Leaves silence in the file of a leg's recording from now on, or packets out, or goes on with the recording. Refused
    /// while the leg cannot be told.
    pub fn pause_recording(
        &mut self,
        turn: &mut MediaTurn<'_>,
        (id, kind): (LegId, RecordingKind),
        is_paused: bool,
    ) -> Result<(), LegError> {
        let Telling::Now(port) = self.telling(id)? else { return Err(LegError::WrongState) };
        let recording = self.recording(id, kind).ok_or(LegError::Recording)?;
        let is_told = |it: &Recording| matches!(it.state, RecordingState::Told);
        if !self.recordings.open.get(&recording).is_some_and(is_told) {
            return Err(LegError::Recording);
        }
        let number = self.next_number(id.slot()).get();
        let command = Command::PauseRecording { leg: port.leg, number, recording, paused: is_paused };
        turn.commands.push((port.worker, command));
        Ok(())
    }

    /// The number of the last recording of a leg of this kind, until its end is known.
    pub fn recording(&self, id: LegId, kind: RecordingKind) -> Option<u64> {
        self.leg(id).ok()?.recordings[kind.index()].map(NonZeroU64::get)
    }

    /// The recording of a leg that is not to stop.
    fn wanted_recording(&self, id: LegId, kind: RecordingKind) -> Option<u64> {
        let number = self.recording(id, kind)?;
        let state = &self.recordings.open.get(&number)?.state;
        matches!(state, RecordingState::Waiting(_) | RecordingState::Told).then_some(number)
    }

    fn telling(&self, id: LegId) -> Result<Telling, LegError> {
        let leg = self.leg(id)?;
        match leg.stage {
            Stage::Opening(_) | Stage::Open => leg.port.map(Telling::Now).ok_or(LegError::WrongState),
            Stage::Reserved | Stage::Moving(_) | Stage::Adopting(_) => Ok(Telling::Later),
            Stage::Closing(_) | Stage::Lost => Err(LegError::WrongState),
        }
    }

    /// Hands the file over, then tells the worker, so that the file is there when the worker begins.
    fn begin_recording(
        &mut self,
        turn: &mut MediaTurn<'_>,
        (id, port): (LegId, Port),
        recording: u64,
        Start { file, shape, limit_s }: Start,
    ) -> Result<Begun, LegError> {
        turn.ports.hand_over(port.leg, recording, file).map_err(|_| LegError::File)?;
        let number = self.next_number(id.slot());
        let command = Command::StartRecording { leg: port.leg, number: number.get(), recording, shape, limit_s };
        turn.commands.push((port.worker, command));
        self.recordings.starting.insert(number, recording);
        self.limit_recording(turn.now, number);
        Ok(Begun { leg: port.leg, by: number })
    }

    fn tell_stop(&mut self, turn: &mut MediaTurn<'_>, (id, port): (LegId, Port), recording: u64) {
        let number = self.next_number(id.slot()).get();
        turn.commands.push((port.worker, Command::StopRecording { leg: port.leg, number, recording }));
        if let Some(recording) = self.recordings.open.get_mut(&recording) {
            recording.state = RecordingState::StopTold;
        }
    }

    /// A leg can be told again, or for the first time: what its recordings have waited for.
    pub(crate) fn tell_recordings(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        if self.recordings.waiting.is_empty() {
            return;
        }
        let Some(leg) = self.rows[slot].as_deref() else { return };
        let id = leg.id;
        let Ok(Telling::Now(port)) = self.telling(id) else { return };
        for number in self.take_waiting(id) {
            let Some(recording) = self.recordings.open.get_mut(&number) else { continue };
            match std::mem::replace(&mut recording.state, RecordingState::Told) {
                RecordingState::Waiting(start) => {
                    let Ok(begun) = self.begin_recording(turn, (id, port), number, start) else {
                        self.end_recording_here(number, RecordingEnd::NoFile);
                        continue;
                    };
                    if let Some(recording) = self.recordings.open.get_mut(&number) {
                        recording.begun = Some(begun);
                    }
                }
                _ => self.tell_stop(turn, (id, port), number),
            }
        }
    }

    fn take_waiting(&mut self, id: LegId) -> Vec<u64> {
        let open = &self.recordings.open;
        let is_of_leg = |number: &u64| open.get(number).is_none_or(|recording| recording.leg == id);
        let (taken, left) = self.recordings.waiting.iter().partition(|number| is_of_leg(number));
        self.recordings.waiting = left;
        taken
    }

    /// A recording ends that the media plane has never heard of.
    fn end_recording_here(&mut self, number: u64, end: RecordingEnd) {
        self.recordings.waiting.retain(|waiting| *waiting != number);
        let told = self.forget_recording(number, RecordingOutcome::new(end));
        self.recordings.ended.extend(told);
    }

    /// A leg is about to be closed, or is gone: what its recordings wait for does not come, and nobody waits for their
    /// beginning any more. Those that the media plane has begun end with the leg.
    pub(crate) fn forget_recordings(&mut self, slot: usize) {
        if !self.recordings.starting.is_empty() {
            let count = self.recordings.starting.len();
            self.recordings.starting.retain(|number, _| number.slot() != slot);
            self.awaited.calls -= count - self.recordings.starting.len();
        }
        let Some(id) = self.rows[slot].as_deref().filter(|_| !self.recordings.waiting.is_empty()).map(|leg| leg.id)
        else {
            return;
        };
        for number in self.take_waiting(id) {
            let state = self.recordings.open.get(&number).map(|recording| &recording.state);
            if let Some(RecordingState::Waiting(_)) = state {
                self.end_recording_here(number, RecordingEnd::NoSuchLeg);
            }
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
        if !self.recordings.open.contains_key(&recording) {
            return LegEvent::Late;
        }
        self.start_is_answered(number);
        LegEvent::RecordingStarted(recording)
    }

    /// The media plane says that the recording of a leg is over which it began by the command with this number.
    pub(crate) fn recording_ended(
        &mut self,
        (leg, number): (LegRef, u64),
        recording: u64,
        outcome: RecordingOutcome,
    ) -> Option<(u64, LegEvent)> {
        let by = CommandNumber::from_answer(number)?;
        let begun = self.recordings.open.get(&recording)?.begun;
        if begun != Some(Begun { leg, by }) {
            return None;
        }
        self.forget_recording(recording, outcome)
    }

    /// A recording is over. Gives its owner, with what the owner is told.
    fn forget_recording(&mut self, recording: u64, outcome: RecordingOutcome) -> Option<(u64, LegEvent)> {
        let ended = self.recordings.open.remove(&recording)?;
        let starting = self.recordings.starting.iter().find(|(_, other)| **other == recording);
        if let Some(number) = starting.map(|(number, _)| *number) {
            self.start_is_answered(number);
        }
        if let Ok(leg) = self.leg_mut(ended.leg) {
            leg.recordings[ended.kind.index()].take_if(|current| current.get() == recording);
        }
        self.forget_answered();
        Some((ended.owner, LegEvent::RecordingEnded { recording, outcome }))
    }

    /// Nobody waits for the beginning of a recording any more.
    pub(crate) fn start_is_answered(&mut self, number: CommandNumber) {
        if self.recordings.starting.remove(&number).is_some() {
            self.awaited.calls -= 1;
        }
    }
}
