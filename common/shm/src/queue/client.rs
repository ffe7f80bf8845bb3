use crate::queue::{Consumer, Producer, PushError, ring_bell, silence_bell};
use crate::sync::Words;
use crate::{ClientIndex, Exhausted, NotYours, Region, Rejected, Reservation, Reservations, WakeFd, WorkerIndex};
use contract::{Command, CommandSlot, Event, EventSlot};

/// A control client's queues: commands to every worker, events from every worker. One thread owns it.
pub struct ClientEnd {
    region: Region,
    reservations: Reservations,
    client: ClientIndex,
    workers: Vec<Ends>,
    own_wake: WakeFd,
    next_worker: usize,
    /// A bit per worker that has commands which it may not know of.
    untold: u64,
}

struct Ends {
    commands: Producer<CommandSlot, Region>,
    events: Consumer<EventSlot, Region>,
    wake: WakeFd,
    broken: bool,
}

impl ClientEnd {
    /// `wakes` holds one descriptor per worker.
    pub(crate) fn new(region: Region, client: ClientIndex, wakes: Vec<WakeFd>, own_wake: WakeFd) -> Self {
        let layout = region.layout();
        let ends = |(worker, wake)| Ends {
            commands: Producer::resume(region.clone(), layout.commands(client, worker)),
            events: Consumer::resume(region.clone(), layout.events(client, worker)),
            wake,
            broken: false,
        };
        let workers = region.plan().workers().zip(wakes).map(ends).collect();
        Self { reservations: region.reservations(), region, client, workers, own_wake, next_worker: 0, untold: 0 }
    }

    /// Which client.
    pub fn index(&self) -> ClientIndex {
        self.client
    }

    /// The memory.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Becomes readable when a worker has pushed to a sleeping client. Drain it after waking up.
    pub fn wake_fd(&self) -> &WakeFd {
        &self.own_wake
    }

    /// Takes the id of a new leg, and a port pair of a worker for it.
    pub fn reserve(&self, worker: WorkerIndex) -> Result<Reservation, Exhausted> {
        self.reservations.take(worker, self.client)
    }

    /// Gives both back, once the leg is closed.
    pub fn give_back(&self, reservation: Reservation) -> Result<(), NotYours> {
        self.reservations.give_back(reservation, self.client)
    }

    /// Tells a worker what to do, and wakes it if it sleeps.
    pub fn push(&mut self, worker: WorkerIndex, command: &Command) -> Result<(), PushError> {
        let ends = self.workers.get_mut(worker.index()).ok_or(PushError::Gone)?;
        if ends.commands.push(&command.write())?.0 {
            ends.wake.wake();
        }
        self.untold &= !(1 << worker.0);
        Ok(())
    }

    /// The same for a command that can wait: a worker that sleeps hears of it with the next [`Self::push`], or by
    /// [`Self::wake_workers`], which has to come soon.
    pub fn push_quietly(&mut self, worker: WorkerIndex, command: &Command) -> Result<(), PushError> {
        let ends = self.workers.get_mut(worker.index()).ok_or(PushError::Gone)?;
        ends.commands.push_quietly(&command.write())?;
        self.untold |= 1 << worker.0;
        Ok(())
    }

    /// Wakes the workers that sleep although there is something for them.
    pub fn wake_workers(&mut self) {
        while self.untold != 0 {
            let worker = self.untold.trailing_zeros() as usize;
            self.untold &= self.untold - 1;
            if let Some(ends) = self.workers.get(worker).filter(|ends| ends.commands.needs_wake().0) {
                ends.wake.wake();
            }
        }
    }

    /// Whether there is no event to pop. Asks for no wake-up, in contrast to [`Self::prepare_sleep`]: for who comes back
    /// soon in any case.
    pub fn is_idle(&mut self) -> bool {
        self.workers.iter_mut().all(|ends| ends.broken || ends.events.is_empty() == Ok(true))
    }

    /// The next event of any worker, in turn. One worker's events stay in order.
    pub fn pop(&mut self) -> Option<(WorkerIndex, Result<Event, Rejected>)> {
        for _ in 0..self.workers.len() {
            let worker = WorkerIndex(self.next_worker as u8);
            self.next_worker = (self.next_worker + 1) % self.workers.len();
            if let Some(event) = self.workers[worker.index()].pop() {
                return Some((worker, event));
            }
        }
        None
    }

    /// Says that the client is about to sleep. `true`: do, until [`Self::wake_fd`] is readable or something else
    /// happens, then call [`Self::cancel_sleep`]. `false`: there is something to pop.
    pub fn prepare_sleep(&mut self) -> bool {
        ring_bell(self.region.words(), self.region.layout().client_bell(self.client));
        let idle = self.is_idle();
        if !idle {
            self.cancel_sleep();
        }
        idle
    }

    /// Says that the client is awake.
    pub fn cancel_sleep(&mut self) {
        silence_bell(self.region.words(), self.region.layout().client_bell(self.client));
    }
}

impl Ends {
    fn pop(&mut self) -> Option<Result<Event, Rejected>> {
        if self.broken {
            return None;
        }
        match self.events.pop() {
            Ok(slot) => slot.map(|slot| Event::read(&slot).map_err(Rejected::from)),
            Err(corrupt) => {
                self.broken = true;
                Some(Err(corrupt.into()))
            }
        }
    }
}
