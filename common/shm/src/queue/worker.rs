use crate::clients::slots::SlotState;
use crate::queue::{Consumer, Corrupt, Producer, PushError, ring_bell, silence_bell};
use crate::sync::Words;
use crate::{ClientIndex, ClientLife, Region, WakeFd, WorkerIndex};
use contract::{Command, CommandSlot, Event, EventSlot, Invalid};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Release};

/// One media worker's queues: commands from every client, events to every client. One thread owns it.
pub struct WorkerEnd {
    region: Region,
    worker: WorkerIndex,
    own_wakes: Arc<[WakeFd]>,
    client_wakes: Arc<[WakeFd]>,
    running: Arc<[AtomicBool]>,
    ends: Vec<Option<Ends>>,
    slot_changes_seen: u64,
    /// A bit per client whose queues we have taken up.
    attached: u32,
    next_client: u8,
    /// A bit per client that sleeps and has something to read.
    to_wake: u32,
}

struct Ends {
    commands: Consumer<CommandSlot, Region>,
    events: Producer<EventSlot, Region>,
    epoch: u32,
    life: Life,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Live,
    /// Its queue made no sense; said so, waits for the hang-up.
    Broken,
    /// Dead, but its last commands are still to be popped.
    Draining,
    /// The worker has been told, and has not confirmed yet.
    ToldGone,
}

/// What a worker gets from a client. It is carried out at once, so that no place is kept for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant)]
pub enum FromClient {
    /// Something to do.
    Command(Command),
    /// Something that makes no sense; count it.
    Refused(Rejected),
    /// The client is dead and nothing more will come. End its legs, then call [`WorkerEnd::confirm_gone`].
    Gone,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejected {
    /// One message makes no sense; the next may.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The whole queue makes no sense. Told once; nothing more comes from it in this life of the client.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl WorkerEnd {
    pub(crate) fn new(
        region: Region,
        worker: WorkerIndex,
        (own_wakes, client_wakes): (Arc<[WakeFd]>, Arc<[WakeFd]>),
        running: Arc<[AtomicBool]>,
    ) -> Self {
        let ends = region.plan().clients().map(|_| None).collect();
        let slot_changes_seen = region.slot_changes().wrapping_sub(1); // looks changed, so that the first pop looks
        let (attached, next_client, to_wake) = (0, 0, 0);
        Self {
            region,
            worker,
            own_wakes,
            client_wakes,
            running,
            ends,
            slot_changes_seen,
            attached,
            next_client,
            to_wake,
        }
    }

    /// Which worker.
    pub fn index(&self) -> WorkerIndex {
        self.worker
    }

    /// The memory.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Becomes readable when a client has pushed to a sleeping worker. Drain it after waking up.
    pub fn wake_fd(&self) -> &WakeFd {
        &self.own_wakes[self.worker.index()]
    }

    /// The next message of any client, in turn. One client's messages stay in order.
    pub fn pop(&mut self) -> Option<(ClientIndex, FromClient)> {
        self.look_at_slots();
        // First those after the one that was served last, then the others.
        let later = self.attached & (u32::MAX << self.next_client);
        for mut rest in [later, self.attached & !later] {
            while rest != 0 {
                let client = ClientIndex(rest.trailing_zeros() as u8);
                rest &= rest - 1;
                if let Some(message) = self.ends[client.index()].as_mut().and_then(Ends::pop) {
                    self.next_client = client.0 + 1;
                    return Some((client, message));
                }
            }
        }
        None
    }

    /// The life of a client whose messages come from [`Self::pop`], until [`Self::confirm_gone`].
    pub fn life(&self, client: ClientIndex) -> Option<ClientLife> {
        let ends = self.ends.get(client.index())?.as_ref()?;
        Some(ClientLife { index: client, epoch: ends.epoch })
    }

    /// Tells a client something. It is woken by the next [`Self::wake_clients`], once per batch.
    pub fn push(&mut self, client: ClientIndex, event: &Event) -> Result<(), PushError> {
        let ends = self.ends.get_mut(client.index()).and_then(Option::as_mut).filter(|ends| ends.life == Life::Live);
        if ends.ok_or(PushError::Gone)?.events.push(&event.write())?.0 {
            self.to_wake |= 1 << client.0;
        }
        Ok(())
    }

    /// Wakes the clients that slept when something was pushed to them. Call it at the end of a turn.
    pub fn wake_clients(&mut self) {
        while self.to_wake != 0 {
            let client = self.to_wake.trailing_zeros();
            self.to_wake &= self.to_wake - 1;
            self.client_wakes[client as usize].wake();
        }
    }

    /// Says that the worker is about to sleep. `true`: do, until [`Self::wake_fd`] is readable or something else
    /// happens, then call [`Self::cancel_sleep`]. `false`: there is something to pop.
    pub fn prepare_sleep(&mut self) -> bool {
        self.wake_clients();
        ring_bell(self.region.words(), self.region.layout().worker_bell(self.worker));
        let idle =
            self.slot_changes_seen == self.region.slot_changes() && self.ends.iter_mut().flatten().all(Ends::is_idle);
        if !idle {
            self.cancel_sleep();
        }
        idle
    }

    /// Says that the worker is awake.
    pub fn cancel_sleep(&mut self) {
        silence_bell(self.region.words(), self.region.layout().worker_bell(self.worker));
    }

    /// The worker has ended every leg of this client, after [`FromClient::Gone`]. Its ports are free from now on.
    pub fn confirm_gone(&mut self, client: ClientIndex) {
        let Some(end) = self.ends.get_mut(client.index()) else { return };
        if let Some(Ends { epoch, life: Life::ToldGone, .. }) = end {
            let epoch = *epoch;
            *end = None;
            self.attached &= !(1 << client.0);
            self.region.confirm_gone(client, self.worker, epoch);
        }
    }

    /// Takes up the queues of new clients, and notices which ones died. One load when nothing has changed.
    fn look_at_slots(&mut self) {
        let changes = self.region.slot_changes();
        if changes == self.slot_changes_seen {
            return;
        }
        self.slot_changes_seen = changes;
        for client in self.region.plan().clients() {
            let (slot, end) = (self.region.slot(client), &mut self.ends[client.index()]);
            match (slot.state, end) {
                (SlotState::Live, end @ None) => {
                    self.attached |= 1 << client.0;
                    *end = Some(Ends::resume(&self.region, client, self.worker, slot.epoch))
                }
                (SlotState::Closing, Some(ends)) => ends.hear_of_death(),
                // It came and died before we looked, or before we were started again: no leg of it runs here.
                (SlotState::Closing, None) => self.region.confirm_gone(client, self.worker, slot.epoch),
                _ => {}
            }
        }
    }
}

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        self.cancel_sleep();
        self.running[self.worker.index()].store(false, Release);
    }
}

impl Ends {
    fn resume(region: &Region, client: ClientIndex, worker: WorkerIndex, epoch: u32) -> Self {
        let commands = Consumer::resume(region.clone(), region.layout().commands(client, worker));
        let events = Producer::resume(region.clone(), region.layout().events(client, worker));
        Self { commands, events, epoch, life: Life::Live }
    }

    fn hear_of_death(&mut self) {
        if matches!(self.life, Life::Live | Life::Broken) {
            self.life = Life::Draining;
        }
    }

    fn pop(&mut self) -> Option<FromClient> {
        if matches!(self.life, Life::Broken | Life::ToldGone) {
            return None;
        }
        match self.commands.pop() {
            Ok(Some(slot)) => Some(match Command::read(&slot) {
                Ok(command) => FromClient::Command(command),
                Err(invalid) => FromClient::Refused(invalid.into()),
            }),
            Err(corrupt) if self.life == Life::Live => {
                self.life = Life::Broken;
                Some(FromClient::Refused(corrupt.into()))
            }
            Ok(None) if self.life == Life::Live => None,
            Ok(None) | Err(_) => {
                self.life = Life::ToldGone;
                Some(FromClient::Gone)
            }
        }
    }

    /// Whether a pop would find nothing.
    fn is_idle(&mut self) -> bool {
        match self.life {
            Life::Live => self.commands.is_empty() == Ok(true),
            Life::Broken | Life::ToldGone => true,
            Life::Draining => false,
        }
    }
}
