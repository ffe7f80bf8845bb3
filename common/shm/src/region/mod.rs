//! The memory itself: where everything in it lies follows from its plan.

mod layout;
mod mapping;
mod plan;

pub use plan::{PlanError, RegionPlan};

use crate::pool::LegPool;
use crate::sync::{AtomicU64, Ordering::*, Words};
use crate::{ClientIndex, CounterBlock, Latency, LegTable, PortPool, Reservations, WorkerIndex};
use clock::Instant;
use contract::LAYOUT_VERSION;
use layout::Layout;
use mapping::Mapping;
use plan::PortBlocks;
use stats::{MediaCounter, SignalCounter};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The memory that `mediad` and its control clients share. Cloning makes another handle of the same memory.
#[derive(Clone, Debug)]
pub struct Region(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    mapping: Mapping,
    layout: Layout,
    plan: RegionPlan,
    blocks: PortBlocks,
}

/// "ringplan", so that a dump of the memory can be recognized.
const MAGIC: u64 = u64::from_be_bytes(*b"ringplan");

/// Words of the header. Magic and version stay where they are in every version.
mod header {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 1;
    pub(super) const HASH: usize = 2;
    pub(super) const WORKERS: usize = 3;
    pub(super) const CLIENTS: usize = 4;
    pub(super) const QUEUE_SLOTS: usize = 5;
    pub(super) const FIRST_PORT: usize = 6;
    pub(super) const LAST_PORT: usize = 7;
    pub(super) const CREATOR: usize = 8;
    pub(super) const CREATED_AT: usize = 9;
    pub(super) const BYTES: usize = 4_096;
}

/// Why there is no region.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The plan makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The kernel refused.
    #[error(
        "cannot create {bytes} bytes of shared memory: {source}. Free memory, or plan fewer clients or queue slots"
    )]
    System { bytes: usize, source: io::Error },
}

/// Why a region was not accepted. Nothing in it has been used.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Another version of the layout.
    #[error(
        "the shared region has layout version {theirs}, this program speaks version {ours}: start both processes from the same build"
    )]
    Version { ours: u32, theirs: u64 },
    /// The same version, but other sizes or counters.
    #[error(
        "layout version {version} is the same, but its hash is {theirs:016x} there and {ours:016x} here: start both processes from the same build"
    )]
    Hash { version: u32, ours: u64, theirs: u64 },
    /// Not ours.
    #[error("this is not a region of ringplane: {0}")]
    Foreign(&'static str),
    /// The plan in its header makes no sense.
    #[error("the shared region's plan makes no sense: {0}")]
    Plan(#[from] PlanError),
    /// The size is not what the plan takes.
    #[error("the shared region has {actual} bytes where its plan takes {planned}")]
    Size { planned: usize, actual: u64 },
    /// The kernel refused.
    #[error("cannot map the shared region: {0}")]
    System(#[from] io::Error),
}

impl Region {
    /// A new region, with every leg id and every port free.
    pub fn create(plan: &RegionPlan) -> Result<Self, CreateError> {
        plan.check()?;
        let bytes = plan.bytes();
        let mapping = Mapping::create(bytes).map_err(|source| CreateError::System { bytes, source })?;
        let region = Self::over(mapping, plan.clone());
        region.ports().fill();
        region.leg_ids().fill();
        let words = region.words();
        let write = |word: usize, value: u64| words[word].store(value, Relaxed);
        write(header::VERSION, LAYOUT_VERSION.into());
        write(header::HASH, region.layout().hash());
        write(header::WORKERS, plan.workers as u64);
        write(header::CLIENTS, plan.clients as u64);
        write(header::QUEUE_SLOTS, plan.queue_slots as u64);
        write(header::FIRST_PORT, (*plan.rtp_ports.start()).into());
        write(header::LAST_PORT, (*plan.rtp_ports.end()).into());
        write(header::CREATOR, std::process::id().into());
        write(header::CREATED_AT, clock::now().as_nanos());
        // Pairs with the Acquire in `attach`: the rest of the header is written before its magic.
        words[header::MAGIC].store(MAGIC, Release);
        Ok(region)
    }

    /// A region that another process made, after its size, its seals and its header have been checked.
    pub fn attach(fd: OwnedFd) -> Result<Self, AttachError> {
        let Some(actual) = Mapping::sealed_bytes(&fd)? else {
            return Err(AttachError::Foreign("its size is not sealed"));
        };
        if actual < header::BYTES as u64 {
            return Err(AttachError::Foreign("it is too small for a header"));
        }
        let head = Mapping::map(fd.try_clone()?, header::BYTES)?;
        let plan = read_header(head.words())?;
        let (layout, read) = (Layout::of(&plan), |word: usize| head.words()[word].load(Relaxed));
        let (ours, theirs) = (layout.hash(), read(header::HASH));
        if ours != theirs {
            return Err(AttachError::Hash { version: LAYOUT_VERSION, ours, theirs });
        }
        if actual != layout.bytes() as u64 {
            return Err(AttachError::Size { planned: layout.bytes(), actual });
        }
        Ok(Self::over(Mapping::map(fd, layout.bytes())?, plan))
    }

    fn over(mapping: Mapping, plan: RegionPlan) -> Self {
        let (layout, blocks) = (Layout::of(&plan), PortBlocks::new(&plan));
        Self(Arc::new(Shared { mapping, layout, plan, blocks }))
    }

    /// What it was made for.
    pub fn plan(&self) -> &RegionPlan {
        &self.0.plan
    }

    /// The process that made it.
    pub fn creator_pid(&self) -> u32 {
        self.words()[header::CREATOR].load(Relaxed) as u32
    }

    /// When it was made.
    pub fn created_at(&self) -> Instant {
        Instant::from_nanos(self.words()[header::CREATED_AT].load(Relaxed))
    }

    /// The ports.
    pub fn ports(&self) -> PortPool {
        PortPool::new(self.clone())
    }

    /// What clients take for a leg: its id and a port.
    pub fn reservations(&self) -> Reservations {
        Reservations::new(self.clone())
    }

    pub(crate) fn leg_ids(&self) -> LegPool {
        LegPool::new(self.clone())
    }

    /// The leg table.
    pub fn legs(&self) -> LegTable {
        LegTable::new(self.clone())
    }

    /// A worker's counters; the worker writes them, anybody reads them.
    pub fn media_counters(&self, worker: WorkerIndex) -> CounterBlock<MediaCounter> {
        CounterBlock::new(self.clone(), self.layout().media_counters(worker))
    }

    /// A client's counters; the client writes them, anybody reads them.
    pub fn signal_counters(&self, client: ClientIndex) -> CounterBlock<SignalCounter> {
        CounterBlock::new(self.clone(), self.layout().signal_counters(client))
    }

    /// How long packets stayed with us: from the kernel's receive timestamp to their send.
    pub fn relay_latency(&self, worker: WorkerIndex) -> Latency {
        Latency::new(self.clone(), self.layout().latency(worker, 0))
    }

    /// How late the frames that a worker makes itself went out.
    pub fn pacing_lateness(&self, worker: WorkerIndex) -> Latency {
        Latency::new(self.clone(), self.layout().latency(worker, 1))
    }

    /// A worker says that it is alive, once per turn.
    pub fn beat(&self, worker: WorkerIndex, now: Instant) {
        self.words()[self.layout().heartbeat(worker)].store(now.as_nanos(), Relaxed);
    }

    /// When a worker last said that it is alive; [`Instant::ZERO`]: never.
    pub fn heartbeat(&self, worker: WorkerIndex) -> Instant {
        Instant::from_nanos(self.words()[self.layout().heartbeat(worker)].load(Relaxed))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    pub(crate) fn blocks(&self) -> &PortBlocks {
        &self.0.blocks
    }
}

impl Words for Region {
    fn words(&self) -> &[AtomicU64] {
        self.0.mapping.words()
    }
}

impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.mapping.as_fd()
    }
}

fn read_header(words: &[AtomicU64]) -> Result<RegionPlan, AttachError> {
    // Pairs with the Release in `create`.
    if words[header::MAGIC].load(Acquire) != MAGIC {
        return Err(AttachError::Foreign("its magic number is missing"));
    }
    let read = |word: usize| words[word].load(Relaxed);
    let theirs = read(header::VERSION);
    if theirs != LAYOUT_VERSION.into() {
        return Err(AttachError::Version { ours: LAYOUT_VERSION, theirs });
    }
    // What does not fit its type is out of every range that `check` allows, except for ports.
    let count = |word: usize| usize::try_from(read(word)).unwrap_or(usize::MAX);
    let port = |word: usize| u16::try_from(read(word)).map_err(|_| AttachError::Foreign("a port is no port"));
    let plan = RegionPlan {
        workers: count(header::WORKERS),
        clients: count(header::CLIENTS),
        queue_slots: count(header::QUEUE_SLOTS),
        rtp_ports: port(header::FIRST_PORT)?..=port(header::LAST_PORT)?,
    };
    plan.check()?;
    Ok(plan)
}
