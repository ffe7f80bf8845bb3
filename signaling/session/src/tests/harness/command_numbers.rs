//! The numbers of commands, which tests need not know: they name a command, and its answer, by its session. And what a leg
//! is to be as a whole, of which an update carries the parts that change.

use crate::Sessions;
use contract::{Command, Event, LegRef, LegSpec, PlayerId, RefuseReason};
use std::collections::{HashMap, VecDeque};

/// The numbers of commands, by leg.
#[derive(Default)]
pub(super) struct CommandNumbers {
    legs: HashMap<LegRef, LegNumbers>,
}

#[derive(Default)]
struct LegNumbers {
    /// Commands that are not answered, oldest first.
    open: VecDeque<Command>,
    /// The number of the last command.
    last: u64,
    /// The session.
    owner: u64,
    /// What the leg was told to be.
    spec: LegSpec,
    /// The commands that began recordings, by the recording's number.
    recordings: HashMap<u64, u64>,
}

impl CommandNumbers {
    /// Puts the session in the place of each number, and completes each update.
    pub(super) fn note(&mut self, sessions: &Sessions, commands: &mut [(u8, Command)]) {
        for (_, command) in commands {
            let leg = command.leg();
            let owner = sessions.iter().find(|session| session.leg() == Some(leg)).expect("a session").id().as_u64();
            let numbers = self.legs.entry(leg).or_default();
            numbers.open.push_back(*command);
            (numbers.last, numbers.owner) = (command.number(), owner);
            match command {
                Command::Open { spec, .. } => numbers.spec = *spec,
                Command::Update { update, .. } => {
                    assert!(!update.is_empty(), "it changes nothing");
                    numbers.spec = numbers.spec.updated(update);
                    *update = numbers.spec.into();
                }
                Command::StartRecording { number, recording, .. } => {
                    numbers.recordings.insert(*recording, *number);
                }
                _ => {}
            }
            let (Command::Open { number: tag, .. }
            | Command::Update { number: tag, .. }
            | Command::Close { number: tag, .. }
            | Command::SendDigit { number: tag, .. }
            | Command::Move { number: tag, .. }
            | Command::StartRecording { number: tag, .. }
            | Command::StopRecording { number: tag, .. }
            | Command::PauseRecording { number: tag, .. }
            | Command::Announce { number: tag, .. }
            | Command::StopAnnouncement { number: tag, .. }
            | Command::KeepLegs { number: tag, .. }
            | Command::Adopt { number: tag, .. }) = command;
            *tag = owner;
        }
    }

    /// The event as the media plane says it: with the player that the leg has, or with the number of the oldest command that it may be the answer to, or of the
    /// last one before it.
    pub(super) fn answer(&mut self, mut event: Event) -> Event {
        if let Event::PlayerEnded { leg, .. } = event {
            let player = self.legs.get(&leg).map_or(PlayerId::NONE, |numbers| numbers.spec.flow.player);
            return Event::PlayerEnded { leg, player };
        }
        let numbers = self.legs.get_mut(&event.leg()).filter(|numbers| Some(numbers.owner) == event.number());
        let Some(LegNumbers { open, last, recordings, .. }) = numbers else { return event };
        let answers = |command: &Command| match event {
            Event::Opened { .. } => matches!(command, Command::Open { .. }),
            Event::Updated { .. } => matches!(command, Command::Update { .. }),
            Event::Moved { .. } => matches!(command, Command::Move { .. }),
            Event::Closed { .. } => matches!(command, Command::Close { .. }),
            Event::RecordingStarted { .. } => matches!(command, Command::StartRecording { .. }),
            Event::Refused { .. } => {
                matches!(command, Command::Open { .. } | Command::Update { .. } | Command::Move { .. })
            }
            _ => false,
        };
        let closes = |command: &Command| matches!(command, Command::Close { .. });
        let place = match event {
            Event::Refused { reason: RefuseReason::NoSuchLeg, .. } => {
                open.iter().position(closes).or_else(|| open.iter().position(answers))
            }
            _ => open.iter().position(answers),
        };
        let number = place.and_then(|place| open.remove(place)).map_or(*last, |command| command.number());
        let number = match event {
            Event::RecordingEnded { recording, .. } => recordings.get(&recording).copied().unwrap_or(number),
            _ => number,
        };
        let (Event::Opened { number: tag, .. }
        | Event::Updated { number: tag, .. }
        | Event::Refused { number: tag, .. }
        | Event::Closed { number: tag, .. }
        | Event::Moved { number: tag, .. }
        | Event::RecordingStarted { number: tag, .. }
        | Event::RecordingEnded { number: tag, .. }
        | Event::Kept { number: tag, .. }
        | Event::Adopted { number: tag, .. }) = &mut event
        else {
            return event;
        };
        *tag = number;
        event
    }
}
