use super::layout::Layout;
use crate::{ClientIndex, WorkerIndex};
use std::ops::RangeInclusive;

/// What a region is made for. Nothing grows later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegionPlan {
    /// Media workers, 1 to [`RegionPlan::MAX_WORKERS`].
    pub workers: usize,
    /// Most control clients at a time (a signaling shard is one), 1 to [`RegionPlan::MAX_CLIENTS`].
    pub clients: usize,
    /// Slots of each event queue; a power of two, 4 to [`RegionPlan::MAX_QUEUE_SLOTS`]. Command queues have half of that: their
    /// slots are four times as large, and a worker empties them a thousand times a second.
    pub queue_slots: usize,
    /// UDP ports for RTP (even) and RTCP (the odd one above).
    pub rtp_ports: RangeInclusive<u16>,
}

impl Default for RegionPlan {
    fn default() -> Self {
        Self { workers: 1, clients: 16, queue_slots: 1_024, rtp_ports: 10_000..=20_000 }
    }
}

/// Why a plan cannot be carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Workers.
    #[error("{0} media workers: choose 1 to {max}", max = RegionPlan::MAX_WORKERS)]
    Workers(usize),
    /// Clients.
    #[error("{0} control clients: choose 1 to {max}", max = RegionPlan::MAX_CLIENTS)]
    Clients(usize),
    /// Slots.
    #[error("{0} slots in a queue: choose a power of two from 4 to {max}", max = RegionPlan::MAX_QUEUE_SLOTS)]
    QueueSlots(usize),
    /// Ports.
    #[error(
        "RTP ports {first}-{last} hold no even/odd pair for each of {workers} workers: choose 1024 or higher, and a wider range"
    )]
    Ports { first: u16, last: u16, workers: usize },
    /// Memory.
    #[error("the shared region would take {0} bytes of {max}: plan fewer clients or queue slots", max = RegionPlan::MAX_BYTES)]
    TooLarge(usize),
}

impl RegionPlan {
    /// Most media workers.
    pub const MAX_WORKERS: usize = 64;
    /// Most control clients.
    pub const MAX_CLIENTS: usize = 16;
    /// Most slots of a queue.
    pub const MAX_QUEUE_SLOTS: usize = 65_536;
    /// Most bytes of a region.
    pub const MAX_BYTES: usize = 4 << 30;

    /// Slots of each command queue.
    pub fn command_slots(&self) -> usize {
        self.queue_slots / 2
    }

    /// Rows of the leg table: most legs at a time. As many as there are port pairs, as each leg has one.
    pub fn leg_rows(&self) -> usize {
        PortBlocks::new(self).pair_count()
    }

    /// Whether the plan can be carried out.
    pub fn check(&self) -> Result<(), PlanError> {
        if !(1..=Self::MAX_WORKERS).contains(&self.workers) {
            return Err(PlanError::Workers(self.workers));
        }
        if !(1..=Self::MAX_CLIENTS).contains(&self.clients) {
            return Err(PlanError::Clients(self.clients));
        }
        if !(4..=Self::MAX_QUEUE_SLOTS).contains(&self.queue_slots) || !self.queue_slots.is_power_of_two() {
            return Err(PlanError::QueueSlots(self.queue_slots));
        }
        let blocks = PortBlocks::new(self);
        let enough =
            *self.rtp_ports.start() >= 1_024 && blocks.pair_counts()[..self.workers].iter().all(|&count| count > 0);
        if !enough {
            let (first, last) = (*self.rtp_ports.start(), *self.rtp_ports.end());
            return Err(PlanError::Ports { first, last, workers: self.workers });
        }
        let bytes = self.bytes();
        if bytes > Self::MAX_BYTES { Err(PlanError::TooLarge(bytes)) } else { Ok(()) }
    }

    /// Bytes of the region. Pages cost memory only once they are touched.
    pub fn bytes(&self) -> usize {
        Layout::of(self).bytes()
    }

    /// One line for the start of a process: what there is, and its memory.
    pub fn summary(&self) -> String {
        let layout = Layout::of(self);
        let mib = |bytes: usize| bytes as f64 / 1_048_576.0;
        let blocks = PortBlocks::new(self);
        format!(
            "shared region {:.1} MiB, touched as needed: {} workers, {} clients, queues {} x ({} commands of {} bytes + {} \
             events of {} bytes) {:.1} MiB, {} port pairs {}-{} in blocks of {} ports, leg table of {} rows {:.1} MiB",
            mib(self.bytes()),
            self.workers,
            self.clients,
            self.workers * self.clients,
            self.command_slots(),
            contract::COMMAND_BYTES,
            self.queue_slots,
            contract::EVENT_BYTES,
            mib(layout.queue_bytes()),
            blocks.pair_count(),
            self.rtp_ports.start(),
            self.rtp_ports.end(),
            blocks.block_ports(),
            self.leg_rows(),
            mib(layout.leg_bytes()),
        )
    }

    /// The workers.
    pub fn workers(&self) -> impl Iterator<Item = WorkerIndex> + use<> {
        (0..self.workers as u8).map(WorkerIndex)
    }

    /// The places for clients.
    pub fn clients(&self) -> impl Iterator<Item = ClientIndex> + use<> {
        (0..self.clients as u8).map(ClientIndex)
    }
}

/// Which port belongs to which worker: aligned power-of-two blocks, dealt in turn, so that a NIC can steer by port bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PortBlocks {
    first: u16,
    pair_count: usize,
    block_shift: u32,
    workers: usize,
}

impl PortBlocks {
    /// Ports of the largest block.
    const MAX_BLOCK_PORTS: usize = 256;
    /// A worker's share is made of so many blocks or more, to keep the shares equal.
    const BLOCKS_OF_A_WORKER: usize = 16;

    pub(crate) fn new(plan: &RegionPlan) -> Self {
        let first = usize::from(*plan.rtp_ports.start()).next_multiple_of(2);
        let end = usize::from(*plan.rtp_ports.end()) + 1; // the RTCP port must lie in the range too
        let pair_count = end.saturating_sub(first) / 2;
        let share = 2 * pair_count / (plan.workers.max(1) * Self::BLOCKS_OF_A_WORKER);
        let block_shift = share.clamp(2, Self::MAX_BLOCK_PORTS).ilog2();
        // An odd 65535 has no even successor in `u16`; there is no pair then either.
        Self { first: first as u16, pair_count, block_shift, workers: plan.workers.max(1) }
    }

    pub(crate) fn block_ports(&self) -> usize {
        1 << self.block_shift
    }

    pub(crate) fn pair_count(&self) -> usize {
        self.pair_count
    }

    /// The index of the pair whose RTP port this is.
    pub(crate) fn pair(&self, port: u16) -> Option<usize> {
        let pair = usize::from(port.checked_sub(self.first)?) / 2;
        (port.is_multiple_of(2) && pair < self.pair_count).then_some(pair)
    }

    pub(crate) fn port(&self, pair: usize) -> u16 {
        self.first + 2 * pair as u16
    }

    pub(crate) fn worker(&self, pair: usize) -> WorkerIndex {
        WorkerIndex(((usize::from(self.port(pair)) >> self.block_shift) % self.workers) as u8)
    }

    /// How many pairs each worker has.
    pub(crate) fn pair_counts(&self) -> [usize; RegionPlan::MAX_WORKERS] {
        let mut counts = [0; RegionPlan::MAX_WORKERS];
        (0..self.pair_count).for_each(|pair| counts[self.worker(pair).index()] += 1);
        counts
    }

    pub(crate) fn pairs_of(&self, worker: WorkerIndex) -> impl Iterator<Item = usize> + use<> {
        let blocks = *self;
        (0..self.pair_count).filter(move |&pair| blocks.worker(pair) == worker)
    }
}
