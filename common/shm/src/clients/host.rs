use super::handover;
use super::slots::{Slot, SlotState};
use crate::{ClientEnd, ClientIndex, ClientLife, CreateError, Region, RegionPlan, WakeFd, WorkerEnd, WorkerIndex};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*, fence};

/// The media process's side of a region: makes it, hands it to control clients, and cleans up after them.
pub struct Host {
    region: Region,
    worker_wakes: Arc<[WakeFd]>,
    client_wakes: Arc<[WakeFd]>,
    /// Which workers' ends exist, so that no queue ever has two owners.
    running: Arc<[AtomicBool]>,
}

/// Every place for a control client is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("all {0} places for control clients are taken: end one, or plan for more clients")]
pub struct NoClientSlot(pub usize);

/// Why the region was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The other side has been told so.
    #[error(transparent)]
    NoClientSlot(#[from] NoClientSlot),
    /// The socket or the kernel refused.
    #[error("cannot hand over the shared region: {0}")]
    System(#[from] io::Error),
}

impl Host {
    /// A new region with its wake-up descriptors.
    pub fn create(plan: &RegionPlan) -> Result<Self, CreateError> {
        let region = Region::create(plan)?;
        let wakes = |count| (0..count).map(|_| WakeFd::new()).collect::<io::Result<Arc<[WakeFd]>>>();
        let system = |source| CreateError::System { bytes: plan.bytes(), source };
        Ok(Self {
            worker_wakes: wakes(plan.workers).map_err(system)?,
            client_wakes: wakes(plan.clients).map_err(system)?,
            running: plan.workers().map(|_| AtomicBool::new(false)).collect(),
            region,
        })
    }

    /// The memory.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The queues of one worker; `None` while another [`WorkerEnd`] of it lives, or when there is no such worker.
    pub fn worker(&self, worker: WorkerIndex) -> Option<WorkerEnd> {
        let running = self.running.get(worker.index())?;
        let free = !running.swap(true, AcqRel);
        // Pairs with the fence in `settle`: either it sees that we run, or we see the slot closing.
        fence(SeqCst);
        free.then(|| {
            let wakes = (self.worker_wakes.clone(), self.client_wakes.clone());
            WorkerEnd::new(self.region.clone(), worker, wakes, self.running.clone())
        })
    }

    /// Makes a worker look at its queues now.
    pub fn wake_worker(&self, worker: WorkerIndex) {
        if let Some(wake) = self.worker_wakes.get(worker.index()) {
            wake.wake();
        }
    }

    /// Gives a new client its place and sends it the region and its wake-up descriptors. Watch the stream from now on:
    /// its hang-up is the client's death, call [`Host::release`] then.
    pub fn offer(&self, stream: &UnixStream) -> Result<ClientIndex, OfferError> {
        let (client, epoch) = match self.claim() {
            Ok(claimed) => claimed,
            Err(full) => {
                handover::refuse(stream, full.0)?;
                return Err(full.into());
            }
        };
        let wake = &self.client_wakes[client.index()];
        let sent = handover::offer(stream, &self.region, &self.worker_wakes, wake, client, epoch);
        if let Err(error) = sent {
            self.release(client);
            return Err(error.into());
        }
        Ok(client)
    }

    /// The end of a client in this very process. End it with [`Host::release`].
    pub fn attach_local(&self) -> Result<ClientEnd, OfferError> {
        let (client, _) = self.claim()?;
        let wakes = self.worker_wakes.iter().map(WakeFd::try_clone).collect::<io::Result<Vec<_>>>();
        match wakes.and_then(|wakes| Ok((wakes, self.client_wakes[client.index()].try_clone()?))) {
            Ok((wakes, own)) => Ok(ClientEnd::new(self.region.clone(), client, wakes, own)),
            Err(error) => {
                self.release(client);
                Err(error.into())
            }
        }
    }

    /// The life of a client that was given its place by [`Host::offer`] or [`Host::attach_local`] and is not settled yet.
    pub fn life(&self, client: ClientIndex) -> ClientLife {
        ClientLife { index: client, epoch: self.region.slot(client).epoch }
    }

    /// A client is gone: its workers get `FromClient::Gone` after its last command. Call [`Host::settle`] until it has
    /// an answer; the place is used again only then.
    pub fn release(&self, client: ClientIndex) {
        if client.index() >= self.region.plan().clients {
            return;
        }
        let slot = self.region.slot(client);
        if slot.state == SlotState::Live {
            self.region.change_slot(client, slot, Slot { state: SlotState::Closing, ..slot });
        }
        // Unconditionally: a client that was killed between clearing a bell and writing the descriptor woke nobody.
        self.worker_wakes.iter().for_each(WakeFd::wake);
    }

    /// Takes back the ids and ports of a released client once every running worker has confirmed, and frees its place.
    /// Says how many ports; `None`: not yet, or nothing to do.
    pub fn settle(&self, client: ClientIndex) -> Option<usize> {
        if client.index() >= self.region.plan().clients {
            return None;
        }
        let slot = self.region.slot(client);
        // Pairs with the fence in `worker`.
        fence(SeqCst);
        let confirmed = |worker: WorkerIndex| {
            // A worker that does not run has no legs, and starts with the slots as they are then.
            !self.running[worker.index()].load(Acquire) || self.region.has_confirmed(client, worker, slot.epoch)
        };
        if slot.state != SlotState::Closing || !self.region.plan().workers().all(confirmed) {
            return None;
        }
        let preparing = Slot { state: SlotState::Preparing, ..slot };
        if !self.region.change_slot(client, slot, preparing) {
            return None; // another thread does it
        }
        let count = self.region.reservations().reclaim(client);
        self.region.change_slot(client, preparing, Slot { state: SlotState::Free, ..slot });
        Some(count)
    }

    fn claim(&self) -> Result<(ClientIndex, u32), NoClientSlot> {
        for client in self.region.plan().clients() {
            self.settle(client);
            let slot = self.region.slot(client);
            let preparing = Slot { state: SlotState::Preparing, epoch: slot.epoch.wrapping_add(1) };
            if slot.state == SlotState::Free && self.region.change_slot(client, slot, preparing) {
                self.region.reset_slot(client);
                self.region.change_slot(client, preparing, Slot { state: SlotState::Live, ..preparing });
                return Ok((client, preparing.epoch));
            }
        }
        Err(NoClientSlot(self.region.plan().clients))
    }
}
