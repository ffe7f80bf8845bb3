//! A model of the media plane and of its port pool: what they do, without a packet.

use crate::{Port, Ports};
use contract::{
    CloseReason, Command, Event, LegRef, LegSpec, PortRef, RecordingEnd, RecordingOutcome, RefuseReason, Source,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;

/// A port pool that checks who has which port.
pub(super) struct Pool {
    free: VecDeque<u16>,
    out: HashMap<LegRef, PortRef>,
    generation: u32,
    pub(super) worker_count: u8,
    pub(super) next_worker: u8,
    pub(super) takes_files: bool,
    pub(super) handed_over_count: usize,
    /// Legs that moved, by worker: one more, one less.
    pub(super) moved: HashMap<u8, i64>,
}

impl Pool {
    pub(super) fn new(port_count: u16, worker_count: u8) -> Self {
        let free = (0..port_count).map(|index| 10_000 + 2 * index).collect();
        Self {
            free,
            out: HashMap::new(),
            generation: 0,
            worker_count,
            next_worker: 0,
            takes_files: true,
            handed_over_count: 0,
            moved: HashMap::new(),
        }
    }

    pub(super) fn out_count(&self) -> usize {
        self.out.len()
    }

    pub(super) fn is_out(&self, leg: LegRef) -> bool {
        self.out.contains_key(&leg)
    }

    /// A port that a snapshot names is held again.
    pub(super) fn hold(&mut self, port: Port) -> Port {
        self.free.retain(|free| *free != port.pair.rtp);
        assert!(self.out.insert(port.leg, port.pair).is_none(), "{port:?} is held twice");
        port
    }

    /// A pool that no leg has a port of.
    pub(super) fn forget(&mut self) {
        self.free.extend(self.out.drain().map(|(_, pair)| pair.rtp));
    }
}

impl Ports for Pool {
    fn take(&mut self) -> Option<Port> {
        let worker = self.next_worker;
        self.take_on(worker)
    }

    fn take_on(&mut self, worker: u8) -> Option<Port> {
        self.generation += 1;
        let port = self.free.pop_front()?;
        let leg = LegRef::new(u32::from(port) / 2, self.generation);
        let pair = PortRef::new(port, self.generation);
        assert!(self.out.insert(leg, pair).is_none());
        Some(Port { leg, pair, worker: worker % self.worker_count })
    }

    fn has_worker(&self, worker: u8) -> bool {
        worker < self.worker_count
    }

    fn moved(&mut self, from: u8, to: u8) {
        *self.moved.entry(from).or_default() -= 1;
        *self.moved.entry(to).or_default() += 1;
    }

    fn adopted(&mut self, port: Port) {
        self.hold(port);
    }

    fn hand_over(&mut self, leg: LegRef, _: u64, _: File) -> io::Result<()> {
        assert!(self.out.contains_key(&leg));
        if !self.takes_files {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.handed_over_count += 1;
        Ok(())
    }

    fn give_back(&mut self, port: Port) {
        assert_eq!(self.out.remove(&port.leg), Some(port.pair), "{port:?} is given back, and was not out");
        self.free.push_back(port.pair.rtp);
    }
}

/// What a worker has to do next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant)]
enum Work {
    Command(Command),
    /// A leg comes from another worker, or back from one that did not take it.
    Arrival {
        leg: LegRef,
        number: u64,
        from: u8,
        is_back: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Running {
    worker: u8,
    spec: LegSpec,
    last_number: u64,
    /// By its number, with that of the command that began it.
    recording: Option<(u64, u64)>,
    /// Its client has hung up, and none has adopted it.
    is_kept: bool,
}

/// How a worker answers, instead of doing what it was asked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refuse(pub(super) RefuseReason);

/// The workers of a media plane.
pub(super) struct Plane {
    work: Vec<VecDeque<Work>>,
    events: Vec<VecDeque<Event>>,
    legs: HashMap<LegRef, Running>,
    /// Legs between two workers.
    travelling: HashMap<LegRef, Running>,
    pub(super) digits: Vec<(LegRef, u8)>,
    /// Commands taken.
    pub(super) taken: Vec<Command>,
    numbers: HashSet<u64>,
    /// Workers that have been told to keep legs.
    keeping: HashSet<u8>,
}

impl Plane {
    pub(super) fn new(worker_count: u8) -> Self {
        let count = usize::from(worker_count);
        Self {
            work: (0..count).map(|_| VecDeque::new()).collect(),
            events: (0..count).map(|_| VecDeque::new()).collect(),
            legs: HashMap::new(),
            travelling: HashMap::new(),
            digits: Vec::new(),
            taken: Vec::new(),
            numbers: HashSet::new(),
            keeping: HashSet::new(),
        }
    }

    /// The client hangs up: what it has asked for and what it was to be told is forgotten, and legs end unless they are kept.
    pub(super) fn hang_up(&mut self) {
        self.numbers.clear();
        self.taken.clear();
        self.work.iter_mut().for_each(VecDeque::clear);
        self.events.iter_mut().for_each(VecDeque::clear);
        let keeping = std::mem::take(&mut self.keeping);
        self.legs.retain(|_, running| keeping.contains(&running.worker));
        self.legs.values_mut().for_each(|running| running.is_kept = true);
    }

    /// The grace period is over.
    pub(super) fn end_kept(&mut self) {
        self.legs.retain(|_, running| !running.is_kept);
    }

    pub(super) fn take(&mut self, commands: &mut Vec<(u8, Command)>) {
        for (worker, command) in commands.drain(..) {
            assert!(self.numbers.insert(command.number()), "{command:?} has the number of another command");
            assert_eq!(Command::read(&command.write()), Ok(command), "it is sound");
            self.work[usize::from(worker)].push_back(Work::Command(command));
            self.taken.push(command);
        }
    }

    pub(super) fn taken(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.taken)
    }

    pub(super) fn has_work(&self, worker: u8) -> bool {
        !self.work[usize::from(worker)].is_empty()
    }

    pub(super) fn has_events(&self, worker: u8) -> bool {
        !self.events[usize::from(worker)].is_empty()
    }

    pub(super) fn event(&mut self, worker: u8) -> Option<Event> {
        self.events[usize::from(worker)].pop_front()
    }

    pub(super) fn leg_count(&self) -> usize {
        self.legs.len() + self.travelling.len()
    }

    pub(super) fn spec(&self, leg: LegRef) -> Option<LegSpec> {
        self.legs.get(&leg).map(|running| running.spec)
    }

    pub(super) fn worker_of(&self, leg: LegRef) -> Option<u8> {
        self.legs.get(&leg).map(|running| running.worker)
    }

    fn tell(&mut self, worker: u8, event: Event) {
        self.events[usize::from(worker)].push_back(event);
    }

    /// A leg fails by itself.
    pub(super) fn fail(&mut self, leg: LegRef) {
        if let Some(running) = self.legs.remove(&leg) {
            let closed = Event::Closed { leg, number: running.last_number, reason: CloseReason::Failed };
            self.tell(running.worker, closed);
        }
    }

    /// What a worker has to do next does not reach it.
    pub(super) fn lose(&mut self, worker: u8) {
        self.work[usize::from(worker)].pop_front();
    }

    /// Does what a worker has to do next, or refuses it.
    pub(super) fn work(&mut self, worker: u8, refuse: Option<Refuse>) {
        match self.work[usize::from(worker)].pop_front() {
            Some(Work::Command(command)) => self.command(worker, command, refuse),
            Some(Work::Arrival { leg, number, from, is_back }) => {
                let refused = refuse.filter(|_| !is_back);
                let Some(mut running) = self.travelling.remove(&leg) else { return };
                if refused.is_some() {
                    self.travelling.insert(leg, running);
                    let back = Work::Arrival { leg, number, from, is_back: true };
                    return self.work[usize::from(from)].push_back(back);
                }
                (running.worker, running.last_number) = (worker, number);
                self.legs.insert(leg, running);
                self.tell(
                    worker,
                    if is_back {
                        Event::Refused { leg, number, reason: RefuseReason::Full }
                    } else {
                        Event::Moved { leg, number, worker }
                    },
                );
            }
            None => {}
        }
    }

    fn command(&mut self, worker: u8, command: Command, refuse: Option<Refuse>) {
        let (leg, tag) = (command.leg(), command.number());
        let runs_here = self.legs.get(&leg).filter(|running| running.worker == worker);
        let (is_here, is_kept) = (runs_here.is_some_and(|it| !it.is_kept), runs_here.is_some_and(|it| it.is_kept));
        let refused = |reason| Event::Refused { leg, number: tag, reason };
        let answer = match command {
            Command::Update { .. } | Command::Close { .. } | Command::Move { .. } | Command::SendDigit { .. }
                if refuse.is_some_and(|Refuse(reason)| reason == RefuseReason::NoSuchLeg) && is_here =>
            {
                // It has lost the leg.
                self.legs.remove(&leg);
                refused(RefuseReason::NoSuchLeg)
            }
            Command::Open { .. } if is_here => refused(RefuseReason::AlreadyOpen),
            Command::Open { spec, .. } => match refuse {
                Some(Refuse(reason)) => refused(reason),
                None => {
                    self.legs.insert(leg, Running { worker, spec, last_number: tag, recording: None, is_kept: false });
                    Event::Opened { leg, number: tag }
                }
            },
            Command::StartRecording { recording, .. } => match self.legs.get_mut(&leg).filter(|_| is_here) {
                Some(running) if running.recording.is_none() && refuse.is_none() => {
                    running.recording = Some((recording, tag));
                    Event::RecordingStarted { leg, number: tag, recording }
                }
                _ => {
                    let outcome = RecordingOutcome::new(RecordingEnd::NoFile);
                    Event::RecordingEnded { leg, number: tag, recording, outcome }
                }
            },
            Command::StopRecording { recording, .. } => {
                let begun = self.legs.get(&leg).and_then(|running| running.recording);
                let Some((_, number)) = begun.filter(|begun| begun.0 == recording) else { return };
                if let Some(running) = self.legs.get_mut(&leg) {
                    running.recording = None;
                }
                let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
                Event::RecordingEnded { leg, number, recording, outcome }
            }
            Command::PauseRecording { recording, .. } => {
                let begun = self.legs.get(&leg).and_then(|running| running.recording);
                assert!(begun.is_none_or(|begun| begun.0 == recording), "another recording than the leg has");
                return;
            }
            Command::KeepLegs { grace_ms, .. } => {
                if grace_ms > 0 {
                    self.keeping.insert(worker)
                } else {
                    self.keeping.remove(&worker)
                };
                Event::Kept { number: tag }
            }
            Command::Adopt { .. } if is_here => refused(RefuseReason::AlreadyOpen),
            Command::Adopt { .. } if is_kept => {
                if let Some(running) = self.legs.get_mut(&leg) {
                    running.is_kept = false;
                }
                Event::Adopted { leg, number: tag }
            }
            Command::Adopt { .. } => refused(RefuseReason::NoSuchLeg),
            _ if !is_here => refused(RefuseReason::NoSuchLeg),
            Command::Close { .. } => {
                let closed = self.legs.remove(&leg);
                if let Some((recording, number)) = closed.and_then(|running| running.recording) {
                    let outcome = RecordingOutcome::new(RecordingEnd::LegClosed);
                    self.tell(worker, Event::RecordingEnded { leg, number, recording, outcome });
                }
                Event::Closed { leg, number: tag, reason: CloseReason::Asked }
            }
            Command::Announce { announcement, .. } => match refuse {
                None => Event::AnnouncementEnded { leg, id: announcement.id },
                Some(Refuse(reason)) => refused(reason),
            },
            Command::StopAnnouncement { .. } => return,
            _ if refuse.is_some() => refused(refuse.map_or(RefuseReason::Full, |Refuse(reason)| reason)),
            Command::Update { update, .. } => {
                if let Some(Source::Leg(giver)) = update.flow.map(|flow| flow.source())
                    && giver != leg
                    && self.worker_of(giver) != Some(worker)
                {
                    return self.tell(worker, refused(RefuseReason::Invalid));
                }
                if let Some(running) = self.legs.get_mut(&leg) {
                    (running.spec, running.last_number) = (running.spec.updated(&update), tag);
                }
                Event::Updated { leg, number: tag }
            }
            Command::Move { worker: to, .. } => {
                let Some(running) = self.legs.remove(&leg) else { return };
                self.travelling.insert(leg, running);
                let arrival = Work::Arrival { leg, number: tag, from: worker, is_back: false };
                return self.work[usize::from(to)].push_back(arrival);
            }
            Command::SendDigit { digit, .. } => {
                self.digits.push((leg, digit));
                if let Some(running) = self.legs.get_mut(&leg) {
                    running.last_number = tag;
                }
                return;
            }
        };
        self.tell(worker, answer);
    }
}
