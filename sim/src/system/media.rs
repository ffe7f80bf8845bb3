//! The media plane of the system, and the end of its queues that a shard has.

use clock::{Duration, Instant};
use contract::{Command, Event, LegRef};
use media_core::io::PacketIo;
use media_core::sim::{SimIo, SimNetwork};
use mediad::{FileDoor, SimulatedPlane};
use session::{Port, Ports};
use shm::{ClientEnd, PushError, RegionPlan, Reservation, WorkerIndex};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;

/// The media process that runs now, and the network that its sockets are in, which outlives it.
pub(super) struct MediaPlane {
    pub(super) network: SimNetwork,
    pub(super) plane: Option<SimulatedPlane>,
    pub(super) plan: RegionPlan,
    /// Files of recordings.
    files: Vec<File>,
    /// The world waits in virtual time like one more worker.
    clock: SimIo,
}

impl MediaPlane {
    /// Workers whose ports are at this address.
    pub(super) fn new(ip: IpAddr, workers: usize, queue_slots: usize, (first_port, last_port): (u16, u16)) -> Self {
        let plan = RegionPlan { workers, queue_slots, rtp_ports: first_port..=last_port, ..RegionPlan::default() };
        let network = SimNetwork::new(&SimulatedPlane::ports(&plan));
        network.set_own_ip(ip);
        let clock = network.io();
        Self { network, plane: None, plan, files: Vec::new(), clock }
    }

    pub(super) fn start(&mut self, seed: u64) -> Result<(), String> {
        let plane = SimulatedPlane::new(&self.plan, &self.network, seed).map_err(|error| error.to_string())?;
        self.plane = Some(plane);
        Ok(())
    }

    /// Time passes up to `until` or to the next moment that a worker waits for.
    pub(super) fn wait(&mut self, until: Instant) -> Result<(), String> {
        self.clock.wait(until, &mut Vec::new()).map_err(|error| error.to_string())
    }

    pub(super) fn turn(&mut self) -> Result<(), String> {
        let Some(plane) = &mut self.plane else { return Ok(()) };
        plane.turn().map_err(|error| error.to_string())
    }

    /// A file for a recording.
    pub(super) fn new_file(&mut self) -> Result<File, String> {
        let file = rustix::fs::memfd_create("recording", rustix::fs::MemfdFlags::CLOEXEC);
        let file = File::from(file.map_err(|error| error.to_string())?);
        self.files.push(file.try_clone().map_err(|error| error.to_string())?);
        Ok(file)
    }

    /// The media process dies, and with it what it writes.
    pub(super) fn die(&mut self) {
        self.plane = None;
        self.files.clear();
    }

    /// Whether every file of a recording is empty, because it could not begin, or whole; gives those that have sound.
    pub(super) fn check_files(&self) -> Result<usize, String> {
        let mut sounding_count = 0;
        for (index, file) in self.files.iter().enumerate() {
            let (mut head, bytes) = ([0; 44], file.metadata().map_err(|error| error.to_string())?.len());
            if bytes == 0 {
                continue;
            }
            file.read_exact_at(&mut head, 0).map_err(|error| format!("the recording {index} is cut off: {error}"))?;
            let says = |at: usize| u64::from(u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
            if !head.starts_with(b"RIFF") || says(4) + 8 != bytes || says(40) + 44 != bytes {
                return Err(format!("the recording {index} has {bytes} bytes, and says {} and {}", says(4), says(40)));
            }
            sounding_count += usize::from(bytes > 44);
        }
        Ok(sounding_count)
    }

    /// Legs that run, and ports that are taken.
    pub(super) fn leftovers(&self) -> (usize, usize) {
        let Some(plane) = &self.plane else { return (0, 0) };
        let ports = plane.region().ports();
        (plane.leg_count(), self.plan.workers().map(|worker| ports.levels(worker).owned).sum())
    }
}

/// A shard's commands, events and ports.
#[derive(Default)]
pub(super) struct Link {
    end: Option<ClientEnd>,
    files: Option<FileDoor>,
    /// Commands that found their queue full, in order.
    backlog: VecDeque<(u8, Command)>,
    leg_counts: Vec<usize>,
    /// Legs and ports that were taken from the pool, each with the worker that it was taken of.
    reserved: Vec<Port>,
    /// Legs that are open, each with the worker that has it now.
    open: Vec<Port>,
    /// A port that was given back without being taken, as one that goes back a second time.
    given_back_twice: Option<Port>,
    /// Workers that have yet to confirm that they keep the legs.
    unconfirmed: usize,
    is_keeping: bool,
    /// Commands and events as they pass, for the trace; `None`: nobody reads it.
    pub(super) notes: Option<Vec<String>>,
}

/// The number of the commands that ask for legs to be kept. No command of a shard has it.
const KEEP_NUMBER: u64 = u64::MAX;

impl Link {
    /// A client of a media plane; with a grace it has its legs kept when it dies.
    pub(super) fn attach(plane: &SimulatedPlane, grace: Option<Duration>) -> Result<Self, String> {
        let end = plane.attach().map_err(|error| error.to_string())?;
        let workers = end.region().plan().workers;
        let files = Some(plane.file_door(end.index()));
        let mut link = Self { leg_counts: vec![0; workers], end: Some(end), files, ..Self::default() };
        if let Some(grace) = grace {
            let keep = Command::KeepLegs { number: KEEP_NUMBER, grace_ms: grace.as_millis() as u32 };
            link.push(&mut (0..workers as u8).map(|worker| (worker, keep)).collect())?;
            (link.unconfirmed, link.is_keeping) = (workers, true);
        }
        Ok(link)
    }

    pub(super) fn end(&self) -> Option<&ClientEnd> {
        self.end.as_ref()
    }

    /// The legs that the media plane keeps when this client dies now.
    pub(super) fn kept_legs(&self) -> Vec<Port> {
        let is_keeping = self.is_keeping && self.unconfirmed == 0 && self.backlog.is_empty();
        if is_keeping { self.open.clone() } else { Vec::new() }
    }

    fn note_down(&mut self, text: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(text());
        }
    }

    pub(super) fn push(&mut self, commands: &mut Vec<(u8, Command)>) -> Result<(), String> {
        for (worker, command) in commands.iter() {
            self.note_down(|| format!("to worker {worker}: {command:?}"));
        }
        self.backlog.extend(commands.drain(..));
        if let Some(port) = self.given_back_twice {
            return Err(format!("{port:?} was given back, and is not taken"));
        }
        let Some(end) = &mut self.end else {
            self.backlog.clear();
            return Ok(());
        };
        while let Some((worker, command)) = self.backlog.front() {
            match end.push(WorkerIndex(*worker), command) {
                Ok(()) => drop(self.backlog.pop_front()),
                Err(PushError::Full) => return Ok(()),
                Err(error) => return Err(format!("{command:?} cannot be sent: {error}")),
            }
        }
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Option<Event>, String> {
        loop {
            let (worker, event) = match self.end.as_mut().and_then(ClientEnd::pop) {
                None => return Ok(None),
                Some((worker, Ok(event))) => (worker.0, event),
                Some((worker, Err(error))) => {
                    return Err(format!("worker {}: an event makes no sense: {error:?}", worker.0));
                }
            };
            match event {
                Event::Kept { number: KEEP_NUMBER } if self.unconfirmed > 0 => self.unconfirmed -= 1,
                Event::Kept { .. } | Event::Adopted { .. } => return Err(format!("{event:?} answers no command")),
                _ => {
                    self.note(worker, &event);
                    return Ok(Some(event));
                }
            }
        }
    }

    fn note(&mut self, worker: u8, event: &Event) {
        self.note_down(|| format!("from worker {worker}: {event:?}"));
        match *event {
            Event::Opened { leg, .. } | Event::Moved { leg, .. } => {
                self.open.retain(|open| open.leg != leg);
                let port = self.reserved.iter().find(|reserved| reserved.leg == leg);
                self.open.extend(port.map(|port| Port { worker, ..*port }));
            }
            Event::Closed { leg, .. } => self.open.retain(|open| open.leg != leg),
            _ => {}
        }
    }

    fn take_of(&mut self, worker: u8) -> Option<Port> {
        let end = self.end.as_ref().filter(|_| self.backlog.is_empty())?;
        let Reservation { leg, port: pair } = end.reserve(WorkerIndex(worker)).ok()?;
        let port = Port { leg, pair, worker };
        self.reserved.push(port);
        self.leg_counts[usize::from(worker)] += 1;
        Some(port)
    }
}

impl Ports for Link {
    fn take(&mut self) -> Option<Port> {
        let mut workers: Vec<usize> = (0..self.leg_counts.len()).collect();
        workers.sort_by_key(|worker| self.leg_counts[*worker]);
        workers.into_iter().find_map(|worker| self.take_of(worker as u8))
    }

    fn take_on(&mut self, worker: u8) -> Option<Port> {
        self.take_of(worker).or_else(|| self.take())
    }

    fn has_worker(&self, worker: u8) -> bool {
        usize::from(worker) < self.leg_counts.len()
    }

    fn moved(&mut self, from: u8, to: u8) {
        self.leg_counts[usize::from(from)] = self.leg_counts[usize::from(from)].saturating_sub(1);
        self.leg_counts[usize::from(to)] += 1;
    }

    fn hand_over(&mut self, leg: LegRef, recording: u64, file: File) -> io::Result<()> {
        let files = self.files.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        files.hand_over(leg, recording, file);
        Ok(())
    }

    fn give_back(&mut self, port: Port) {
        let Some(end) = &self.end else { return };
        // A leg that has moved comes back with another worker.
        let taken = self.reserved.iter().position(|reserved| reserved.leg == port.leg && reserved.pair == port.pair);
        match taken {
            Some(place) => drop(self.reserved.swap_remove(place)),
            None => self.given_back_twice = Some(port),
        }
        if end.give_back(Reservation { leg: port.leg, port: port.pair }).is_ok() {
            let count = &mut self.leg_counts[usize::from(port.worker)];
            *count = count.saturating_sub(1);
        }
    }
}
