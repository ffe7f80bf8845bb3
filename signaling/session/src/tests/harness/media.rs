use crate::tests::harness::World;
use crate::*;
use contract::{CloseReason, Command, Event, LegRef, PortRef, RecordingEnd, RecordingOutcome};
use std::collections::{HashSet, VecDeque};

const FIRST_PORT: u16 = 10_000;

/// The RTP port of a leg.
pub(in crate::tests) fn port_of(leg: LegRef) -> u16 {
    FIRST_PORT + 2 * leg.row as u16
}

/// A pool of ports, every second one on the second worker.
pub(in crate::tests) struct FakePorts {
    pub(in crate::tests) free: VecDeque<u16>,
    pub(in crate::tests) out: HashSet<Port>,
    pub(in crate::tests) generation: u32,
    /// Recordings that a file was handed over for.
    pub(in crate::tests) files: HashSet<(LegRef, u64)>,
}

impl FakePorts {
    pub(in crate::tests) fn new(count: u16) -> Self {
        let free = (0..count).map(|index| FIRST_PORT + 2 * index).collect();
        Self { free, out: HashSet::new(), generation: 0, files: HashSet::new() }
    }
}

impl Ports for FakePorts {
    fn take(&mut self) -> Option<Port> {
        self.generation += 1;
        let port = self.free.pop_front()?;
        let leg = LegRef::new(u32::from(port - FIRST_PORT) / 2, self.generation);
        let port = Port { leg, pair: PortRef::new(port, self.generation), worker: (port / 2 % 2) as u8 };
        self.out.insert(port);
        Some(port)
    }
    fn take_on(&mut self, worker: u8) -> Option<Port> {
        let place = self.free.iter().position(|port| (port / 2 % 2) as u8 == worker).unwrap_or(0);
        let port = self.free.remove(place)?;
        self.free.push_front(port);
        self.take()
    }
    fn has_worker(&self, worker: u8) -> bool {
        worker < 2
    }
    fn hand_over(&mut self, leg: LegRef, recording: u64, _: std::fs::File) -> std::io::Result<()> {
        self.files.insert((leg, recording));
        Ok(())
    }
    fn give_back(&mut self, port: Port) {
        let home = Port { worker: (port.pair.rtp / 2 % 2) as u8, ..port };
        assert!(self.out.remove(&home), "{port:?} was not out");
        self.free.push_back(port.pair.rtp);
    }
}

/// The media plane, and what is known of sessions.
impl World {
    /// Hands an event of the media plane in.
    pub(in crate::tests) fn media(&mut self, event: Event) {
        let event = self.numbers.answer(event);
        self.turn(|sessions, turn| sessions.handle_media(turn, event));
    }

    /// The commands that nobody has carried out.
    pub(in crate::tests) fn asked(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands).into_iter().map(|(_, command)| command).collect()
    }

    pub(in crate::tests) fn told(&mut self) -> Vec<SessionEvent> {
        std::mem::take(&mut self.events)
    }

    pub(in crate::tests) fn session(&self, id: SessionId) -> &Session {
        self.sessions.get(id).expect("the session lives")
    }

    /// The media plane does all that it is asked to, for as long as it is asked.
    pub(in crate::tests) fn serve(&mut self) {
        while !self.commands.is_empty() {
            self.serve_once();
        }
    }

    /// The media plane does what it has been asked to by now.
    pub(in crate::tests) fn serve_once(&mut self) {
        for (worker, command) in std::mem::take(&mut self.commands) {
            let (leg, tag) = (command.leg(), command.number());
            assert_eq!(self.legs.get(&leg).copied().unwrap_or(worker), worker, "{command:?} goes astray");
            match command {
                Command::Open { .. } => self.legs.insert(leg, worker),
                Command::Close { .. } => self.legs.remove(&leg),
                Command::Move { worker, .. } => self.legs.insert(leg, worker),
                _ => None,
            };
            let event = match command {
                Command::Open { .. } => Event::Opened { leg, number: tag },
                Command::Update { update, .. } => {
                    let spec = update.whole().expect("all parts");
                    if let contract::Source::Leg(giver) = spec.flow.source() {
                        assert_eq!(self.legs.get(&giver), Some(&worker), "{giver:?} is not on worker {worker}");
                    }
                    self.specs.insert(leg, spec);
                    Event::Updated { leg, number: tag }
                }
                Command::Close { .. } => Event::Closed { leg, number: tag, reason: CloseReason::Asked },
                Command::Move { worker, .. } => Event::Moved { leg, number: tag, worker },
                Command::StartRecording { recording, .. } => {
                    assert!(self.ports.files.contains(&(leg, recording)), "no file for it was handed over");
                    Event::RecordingStarted { leg, number: tag, recording }
                }
                Command::StopRecording { recording, .. } => {
                    let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
                    Event::RecordingEnded { leg, number: tag, recording, outcome }
                }
                Command::Announce { announcement, .. } => Event::AnnouncementEnded { leg, id: announcement.id },
                Command::SendDigit { .. }
                | Command::StopAnnouncement { .. }
                | Command::PauseRecording { .. }
                | Command::KeepLegs { .. }
                | Command::Adopt { .. } => continue,
            };
            self.media(event);
        }
    }

    /// What it was told when it was opened, or since.
    pub(in crate::tests) fn spec_opened(&self, id: SessionId) -> contract::LegSpec {
        let leg = self.session(id).leg.id().expect("a leg");
        self.sessions.legs.wanted_spec(leg).expect("it is there")
    }

    /// What the leg of a session was told last.
    pub(in crate::tests) fn spec(&self, id: SessionId) -> contract::LegSpec {
        self.specs[&self.session(id).leg().expect("a leg")]
    }

    pub(in crate::tests) fn last_end(&self) -> EndReason {
        let Some(SessionEvent::Ended { reason, .. }) = self.events.last() else { panic!("{:?}", self.events) };
        *reason
    }
}
