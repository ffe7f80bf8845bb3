//! The media plane of the system, and the end of its queues that a shard has.

use clock::Instant;
use contract::{Command, Event};
use media_core::io::PacketIo;
use media_core::sim::{SimIo, SimNetwork};
use mediad::SimulatedPlane;
use session::{Port, Ports};
use shm::{ClientEnd, PushError, RegionPlan, Reservation, WorkerIndex};
use std::collections::VecDeque;

/// The media process that runs now, and the network that its sockets are in, which outlives it.
pub(super) struct MediaPlane {
    pub(super) network: SimNetwork,
    pub(super) plane: Option<SimulatedPlane>,
    pub(super) plan: RegionPlan,
    /// The world waits in virtual time like one more worker.
    clock: SimIo,
}

impl MediaPlane {
    pub(super) fn new(workers: usize, queue_slots: usize, first_port: u16, last_port: u16) -> Self {
        let plan = RegionPlan { workers, queue_slots, rtp_ports: first_port..=last_port, ..RegionPlan::default() };
        let network = SimNetwork::new(&SimulatedPlane::ports(&plan));
        let clock = network.io();
        Self { network, plane: None, plan, clock }
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
    /// Commands that found their queue full, in order.
    backlog: VecDeque<(u8, Command)>,
    leg_counts: Vec<usize>,
}

impl Link {
    pub(super) fn new(end: ClientEnd) -> Self {
        let leg_counts = vec![0; end.region().plan().workers];
        Self { end: Some(end), backlog: VecDeque::new(), leg_counts }
    }

    pub(super) fn end(&self) -> Option<&ClientEnd> {
        self.end.as_ref()
    }

    pub(super) fn push(&mut self, commands: &mut Vec<(u8, Command)>) -> Result<(), String> {
        self.backlog.extend(commands.drain(..));
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
        match self.end.as_mut().and_then(ClientEnd::pop) {
            None => Ok(None),
            Some((_, Ok(event))) => Ok(Some(event)),
            Some((worker, Err(error))) => Err(format!("worker {}: an event makes no sense: {error:?}", worker.0)),
        }
    }

    fn take_of(&mut self, worker: u8) -> Option<Port> {
        let end = self.end.as_ref().filter(|_| self.backlog.is_empty())?;
        let Reservation { leg, port: pair } = end.reserve(WorkerIndex(worker)).ok()?;
        self.leg_counts[usize::from(worker)] += 1;
        Some(Port { leg, pair, worker })
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

    fn moved(&mut self, from: u8, to: u8) {
        self.leg_counts[usize::from(from)] = self.leg_counts[usize::from(from)].saturating_sub(1);
        self.leg_counts[usize::from(to)] += 1;
    }

    fn give_back(&mut self, port: Port) {
        let Some(end) = &self.end else { return };
        // A port of a media plane that is gone is not in the new one.
        if end.give_back(Reservation { leg: port.leg, port: port.pair }).is_ok() {
            let count = &mut self.leg_counts[usize::from(port.worker)];
            *count = count.saturating_sub(1);
        }
    }
}
