//! A shard's end of the media plane: commands and events over shared memory, ports, and the socket whose hang-up says
//! that the media process is gone.

use contract::{Command, Event, FileOffer, LegRef};
use session::{Port, Ports};
use shm::{ClientEnd, ClientIndex, PushError, Region, Rejected, Reservation, WorkerIndex};
use stats::{Counts, SignalCounter};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A media process that has let us in.
pub(crate) struct Attached {
    pub(crate) end: ClientEnd,
    pub(crate) stream: UnixStream,
}

/// What a shard works with, whether a media plane is there or not.
#[derive(Default)]
pub(crate) struct Link {
    attached: Option<Attached>,
    /// Commands that found their queue full, in order. Each session has at most a few, so this is bounded.
    backlog: VecDeque<(u8, Command)>,
    /// Legs of this shard, by worker.
    leg_counts: Vec<usize>,
    is_broken: bool,
}

impl Link {
    pub(crate) fn attach(&mut self, attached: Attached) {
        let workers = attached.end.region().plan().workers;
        *self = Self { attached: Some(attached), leg_counts: vec![0; workers], ..Self::default() };
    }

    /// Forgets the media plane, and what was meant for it.
    pub(crate) fn detach(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    /// Whether the media plane has to be given up: its socket hung up, or its queues hold nonsense.
    pub(crate) fn is_lost(&self, hung_up: bool) -> bool {
        self.is_attached() && (hung_up || self.is_broken)
    }

    pub(crate) fn region(&self) -> Option<&Region> {
        self.attached.as_ref().map(|attached| attached.end.region())
    }

    /// The region, and which of its clients we are.
    pub(crate) fn place(&self) -> Option<(Region, ClientIndex)> {
        self.attached.as_ref().map(|attached| (attached.end.region().clone(), attached.end.index()))
    }

    /// What to wait for: an event, or the end of the media process.
    pub(crate) fn fds(&self) -> Option<[BorrowedFd<'_>; 2]> {
        let attached = self.attached.as_ref()?;
        Some([attached.end.wake_fd().as_fd(), attached.stream.as_fd()])
    }

    pub(crate) fn prepare_sleep(&mut self) -> bool {
        self.attached.as_mut().is_none_or(|attached| attached.end.prepare_sleep())
    }

    pub(crate) fn awake(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.end.cancel_sleep(); // the wake-up itself is told once and needs no reading
        }
    }

    /// Commands wait for room in their queue.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether there is nothing to pop; nobody is asked to wake us.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.attached.as_mut().is_none_or(|attached| attached.end.is_idle())
    }

    /// Wakes workers that sleep and have something to do.
    pub(crate) fn wake_workers(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.end.wake_workers();
        }
    }

    /// Sends what waits, then `commands`; a worker that sleeps is woken once for all of them. Where `is_patient`, workers
    /// hear of those that can wait with the next that cannot, or by [`Self::wake_workers`].
    pub(crate) fn push(&mut self, commands: &mut Vec<(u8, Command)>, is_patient: bool) {
        self.backlog.extend(commands.drain(..));
        let Some(attached) = &mut self.attached else { return self.backlog.clear() };
        let mut wakes = false;
        while let Some((worker, command)) = self.backlog.front() {
            wakes |= !is_patient || media_control::is_awaited(command);
            match attached.end.push_quietly(WorkerIndex(*worker), command) {
                Ok(()) => drop(self.backlog.pop_front()),
                Err(PushError::Full) => break,
                Err(_) => {
                    self.is_broken = true;
                    return self.backlog.clear();
                }
            }
        }
        if wakes {
            attached.end.wake_workers();
        }
    }

    /// The next event.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let attached = self.attached.as_mut()?;
        loop {
            match attached.end.pop()? {
                (_, Ok(event)) => return Some(event),
                (worker, Err(Rejected::Invalid(error))) => {
                    tracing::warn!(worker = worker.0, "an event of the media plane makes no sense: {error}");
                }
                (worker, Err(Rejected::Corrupt(error))) => {
                    tracing::error!(worker = worker.0, "the media plane's event queue is broken: {error}");
                    self.is_broken = true;
                }
            }
        }
    }

    /// Lets everybody with access to the region read our counters.
    pub(crate) fn publish(&self, counts: &Counts<SignalCounter>) {
        if let Some(attached) = &self.attached {
            attached.end.region().signal_counters(attached.end.index()).publish(counts.values());
        }
    }

    /// The worker with the fewest legs of this shard comes first; shards balance themselves, and so all together.
    fn take_untried(&mut self, mut tried: u64) -> Option<Port> {
        let attached = self.attached.as_ref().filter(|_| !self.is_broken && self.backlog.is_empty())?;
        for _ in 0..self.leg_counts.len() {
            let untried = (0..self.leg_counts.len()).filter(|worker| tried & (1 << worker) == 0);
            let worker = untried.min_by_key(|worker| self.leg_counts[*worker])?;
            tried |= 1 << worker;
            if let Ok(Reservation { leg, port: pair }) = attached.end.reserve(WorkerIndex(worker as u8)) {
                self.leg_counts[worker] += 1;
                return Some(Port { leg, pair, worker: worker as u8 });
            }
        }
        None
    }

    fn count(&mut self, worker: u8, change: isize) {
        if let Some(count) = self.leg_counts.get_mut(usize::from(worker)) {
            *count = count.saturating_add_signed(change);
        }
    }
}

impl Ports for Link {
    fn take(&mut self) -> Option<Port> {
        self.take_untried(0)
    }

    fn take_on(&mut self, worker: u8) -> Option<Port> {
        let attached = self.attached.as_ref().filter(|_| !self.is_broken && self.backlog.is_empty())?;
        match attached.end.reserve(WorkerIndex(worker)) {
            Ok(Reservation { leg, port: pair }) => {
                self.count(worker, 1);
                Some(Port { leg, pair, worker })
            }
            Err(_) => self.take_untried(1_u64.checked_shl(worker.into()).unwrap_or(0)),
        }
    }

    fn has_worker(&self, worker: u8) -> bool {
        usize::from(worker) < self.leg_counts.len()
    }

    fn moved(&mut self, from: u8, to: u8) {
        self.count(from, -1);
        self.count(to, 1);
    }

    fn adopted(&mut self, port: Port) {
        self.count(port.worker, 1);
    }

    fn hand_over(&mut self, leg: LegRef, recording: u64, file: File) -> io::Result<()> {
        let attached = self.attached.as_ref().filter(|_| !self.is_broken).ok_or(io::ErrorKind::NotConnected)?;
        shm::give_file(&attached.stream, &FileOffer::new(leg, recording), &file)
    }

    fn hand_over_stream(&mut self, leg: LegRef, socket: File) -> io::Result<()> {
        let attached = self.attached.as_ref().filter(|_| !self.is_broken).ok_or(io::ErrorKind::NotConnected)?;
        shm::give_file(&attached.stream, &FileOffer::for_stream(leg), &socket)
    }

    fn give_back(&mut self, port: Port) {
        let Some(attached) = &self.attached else { return };
        if let Err(error) = attached.end.give_back(Reservation { leg: port.leg, port: port.pair }) {
            tracing::warn!("{error}");
        }
        self.count(port.worker, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm::{Host, RegionPlan};

    fn link(host: &Host) -> Link {
        let (stream, _) = UnixStream::pair().unwrap();
        let mut link = Link::default();
        link.attach(Attached { end: host.attach_local().unwrap(), stream });
        link
    }

    /// The media process sees that a client is gone, and its worker keeps these legs.
    fn keep(host: &Host, gone: Link, legs: &[Reservation]) {
        let (region, client) = gone.place().unwrap();
        for leg in legs {
            assert!(region.reservations().keep(*leg, client));
        }
        drop(gone);
        host.release(client);
        assert_eq!(host.settle(client), Some(0), "no port is taken back");
    }

    /// An adopted leg counts as one of this shard, wherever its worker is, until its port is given back to the pool.
    #[test]
    fn an_adopted_leg_counts_for_its_worker_and_its_port_goes_back() {
        let plan = RegionPlan { workers: 2, rtp_ports: 10_000..=10_063, ..RegionPlan::default() };
        let host = Host::create(&plan).unwrap();
        let free_count = |worker| host.region().ports().levels(WorkerIndex(worker)).free;
        let free_before = [free_count(0), free_count(1)];
        let mut gone = link(&host);
        let left = [gone.take_on(0), gone.take_on(0)].map(Option::unwrap);
        let reservations = left.map(|port| Reservation { leg: port.leg, port: port.pair });
        keep(&host, gone, &reservations);

        let mut link = link(&host);
        let (region, client) = link.place().unwrap();
        for (port, reservation) in left.into_iter().zip(reservations) {
            assert!(region.reservations().adopt(reservation, client));
            link.adopted(port);
        }
        assert_eq!(link.leg_counts, [2, 0]);
        let taken = [link.take(), link.take()].map(Option::unwrap);
        assert_eq!(taken.map(|port| port.worker), [1, 1], "the other worker has fewer legs");
        link.moved(0, 1);
        assert_eq!(link.leg_counts, [1, 3]);
        assert_eq!(link.take().map(|port| port.worker), Some(0));
        // One of the two has moved.
        link.give_back(Port { worker: 1, ..left[0] });
        link.give_back(left[1]);
        assert_eq!(link.leg_counts, [1, 2]);
        assert!(reservations.iter().all(|leg| !region.reservations().is_held(*leg, client)));
        assert_eq!([free_count(0), free_count(1)], [free_before[0] - 1, free_before[1] - 2]);
        // The media plane names a worker that it does not have.
        link.adopted(Port { worker: 7, ..left[0] });
        assert_eq!(link.leg_counts, [1, 2]);
    }

    /// A leg whose adoption was not known when its client gave it up is not this client's: the pool keeps it.
    #[test]
    fn a_leg_that_is_not_ours_stays_in_the_pool() {
        let host = Host::create(&RegionPlan { rtp_ports: 10_000..=10_007, ..RegionPlan::default() }).unwrap();
        let mut gone = link(&host);
        let left = gone.take().unwrap();
        let reservation = Reservation { leg: left.leg, port: left.pair };
        keep(&host, gone, &[reservation]);
        let mut link = link(&host);
        link.give_back(left);
        assert_eq!(host.region().reservations().holder(left.leg), Some(ClientIndex::KEPT));
        assert_eq!(link.leg_counts, [0]);
    }
}
