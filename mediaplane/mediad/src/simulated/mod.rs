//! The workers of a media plane over a simulated network, for simulations of the system: one thread turns all workers, in
//! virtual time. The region, the queues and the code of the workers are those of a media process.

use crate::error::StartError;
use crate::recording::Writer;
use crate::shared::{Parts, Shared};
use crate::stopper::Stopper;
use crate::worker::Worker;
use contract::{FileOffer, LegRef};
use media_core::sim::SimNetwork;
use shm::{ClientEnd, ClientIndex, ClientLife, Host, OfferError, Region, RegionPlan, WakeFd, WorkerIndex};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A media plane without threads, sockets and a clock.
pub struct SimulatedPlane {
    shared: Arc<Shared>,
    workers: Vec<Worker<SimNetwork>>,
    /// Workers that panic in their next turn.
    failing: Vec<WorkerIndex>,
    /// Clients that are gone, whose ports are not back yet.
    settling: Vec<ClientIndex>,
    network: SimNetwork,
    writer: Writer<fn(u8)>,
}

/// Hands files for recordings to a media plane, as its control socket does.
#[derive(Clone)]
pub struct FileDoor {
    shared: Arc<Shared>,
    client: ClientLife,
}

impl FileDoor {
    /// A file for a recording of a leg under this number.
    pub fn hand_over(&self, leg: LegRef, recording: u64, file: File) {
        self.shared.recorder.take_file(self.client, FileOffer::new(leg, recording), file);
    }
}

impl SimulatedPlane {
    /// Workers by this plan, over a network that has its ports ([`Self::ports`]).
    pub fn new(plan: &RegionPlan, network: &SimNetwork, seed: u64) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::new(Parts {
            host: Host::create(plan)?,
            ports: Self::ports(plan),
            media_address: None,
            prompts: [].into(),
            cname: "simulated".into(),
            transcoder_limit: 1_000,
            quality: Default::default(),
            voice_limit: 1_000,
            stopper: Stopper::new().map_err(StartError::system("make a wake-up"))?,
            control_wake: WakeFd::new().map_err(StartError::system("make a wake-up"))?,
            seed,
        }));
        let backend = Arc::new(network.clone());
        let workers = plan.workers().map(|index| Worker::new(shared.clone(), backend.clone(), index));
        let workers = workers.collect::<Result<_, _>>()?;
        // A worker needs no wake-up: it is turned anyway.
        let writer = Writer::new(shared.recorder.clone(), (|_| {}) as fn(u8));
        Ok(Self { shared, workers, failing: Vec::new(), settling: Vec::new(), network: network.clone(), writer })
    }

    /// The RTP ports of a plan.
    pub fn ports(plan: &RegionPlan) -> Vec<u16> {
        let (first, last) = (plan.rtp_ports.start(), plan.rtp_ports.end());
        (first.next_multiple_of(2)..*last).step_by(2).collect()
    }

    /// A control client.
    pub fn attach(&self) -> Result<ClientEnd, OfferError> {
        self.shared.host.attach_local()
    }

    /// Where a control client hands over files.
    pub fn file_door(&self, client: ClientIndex) -> FileDoor {
        FileDoor { shared: self.shared.clone(), client: self.shared.host.life(client) }
    }

    /// A control client dies.
    pub fn hang_up(&mut self, client: ClientIndex) {
        self.shared.host.release(client);
        self.settling.push(client);
    }

    /// The shared memory.
    pub fn region(&self) -> &Region {
        self.shared.host.region()
    }

    /// A worker panics at the end of its next turn.
    pub fn fail(&mut self, worker: WorkerIndex) {
        self.failing.push(worker);
    }

    /// Turns every worker once, and takes back the ports of clients that are gone.
    pub fn turn(&mut self) -> Result<(), StartError> {
        for worker in &mut self.workers {
            let fails = self.failing.iter().position(|failing| *failing == worker.index);
            let fails = fails.map(|at| self.failing.remove(at)).is_some();
            let turned = catch_unwind(AssertUnwindSafe(|| {
                let turned = worker.turn();
                // Without the words of a panic that nobody has to look into.
                if fails { resume_unwind(Box::new("simulated")) } else { turned }
            }));
            match turned {
                Ok(turned) => turned.map_err(StartError::system("turn a worker"))?,
                Err(_) if fails => worker.rebuild()?,
                Err(panic) => resume_unwind(panic),
            }
        }
        self.writer.pass(self.network.now());
        self.settling.retain(|client| self.shared.host.settle(*client).is_none());
        Ok(())
    }

    /// Legs of all workers.
    pub fn leg_count(&self) -> usize {
        self.workers.iter().map(|worker| worker.core.leg_count()).sum()
    }
}
