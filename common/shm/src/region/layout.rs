use super::plan::{PortBlocks, RegionPlan};
use crate::pool::ring::RingPlace;
use crate::queue::QueuePlace;
use crate::tables::latency;
use crate::{ClientIndex, WorkerIndex};
use contract::{COMMAND_BYTES, EVENT_BYTES, LegRow};
use stats::{CounterSet, MediaCounter, SignalCounter};
use std::ops::Range;

/// Words of what must not share a cache line with anything else: two lines, because processors fetch them in pairs.
const LINE: usize = 16;
const PAGE: usize = 512;
const COMMAND: usize = COMMAND_BYTES / 8;
const EVENT: usize = EVENT_BYTES / 8;
/// A row of the leg table: its sequence word, then the row.
const ROW: usize = (1 + size_of::<LegRow>() / 8).next_multiple_of(8);
/// Slots of a ring beyond one per entry of its pool: room for stale ones that killed clients have left.
const RING_SLACK: usize = 64;

/// Where everything lies, as word indexes. Follows from the plan alone, so that both sides compute it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    workers: usize,
    clients: usize,
    event_slots: usize,
    command_slots: usize,
    port_ring_slots: usize,
    leg_ring_slots: usize,
    pairs: usize,
    leg_rows: usize,
    worker_blocks: usize,
    client_blocks: usize,
    slot_states: usize,
    pools: usize,
    rings: usize,
    legs: usize,
    queues: usize,
    end: usize,
}

// One worker's block.
const BELL: usize = 0;
const HEARTBEAT: usize = LINE;
const COUNTERS: usize = 2 * LINE;
const fn latencies() -> usize {
    COUNTERS + MediaCounter::ALL.len().next_multiple_of(LINE)
}
const fn worker_block() -> usize {
    latencies() + 2 * latency::WORDS.next_multiple_of(LINE)
}
/// Words of a command queue and an event queue.
const fn queue_pair(command_slots: usize, event_slots: usize) -> usize {
    2 * 2 * LINE + command_slots * COMMAND + event_slots * EVENT
}
/// Words of a ring.
const fn ring(slots: usize) -> usize {
    2 * LINE + slots
}
const fn client_block() -> usize {
    COUNTERS + SignalCounter::ALL.len().next_multiple_of(LINE)
}

impl Layout {
    pub(crate) fn of(plan: &RegionPlan) -> Self {
        let blocks = PortBlocks::new(plan);
        let most_pairs = blocks.pair_counts().into_iter().max().unwrap_or(0);
        let ring_slots = |entries: usize| (entries + RING_SLACK).next_power_of_two();
        let (port_ring_slots, leg_ring_slots) = (ring_slots(most_pairs), ring_slots(plan.leg_rows()));
        let port_rings = plan.workers * ring(port_ring_slots);
        let mut end = PAGE;
        let mut section = |words: usize| {
            let start = end;
            end = (end + words).next_multiple_of(PAGE);
            start
        };
        Self {
            workers: plan.workers,
            clients: plan.clients,
            event_slots: plan.queue_slots,
            command_slots: plan.command_slots(),
            port_ring_slots,
            leg_ring_slots,
            pairs: blocks.pair_count(),
            leg_rows: plan.leg_rows(),
            worker_blocks: section(plan.workers * worker_block()),
            client_blocks: section(plan.clients * client_block()),
            slot_states: section(LINE + plan.clients * (1 + plan.workers)),
            pools: section(blocks.pair_count() + plan.leg_rows()),
            rings: section(port_rings + ring(leg_ring_slots)),
            legs: section(plan.leg_rows() * ROW),
            queues: section(plan.workers * plan.clients * queue_pair(plan.command_slots(), plan.queue_slots)),
            end,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.end * 8
    }

    pub(crate) fn queue_bytes(&self) -> usize {
        (self.end - self.queues) * 8
    }

    pub(crate) fn leg_bytes(&self) -> usize {
        (self.queues - self.legs) * 8
    }

    /// Changes with every size and offset, and with the name of every counter.
    pub(crate) fn hash(&self) -> u64 {
        let names = MediaCounter::ALL.iter().map(|c| c.name()).chain(SignalCounter::ALL.iter().map(|c| c.name()));
        let text = format!("{self:?} {LINE} {COMMAND} {EVENT} {ROW} {} {}", worker_block(), client_block());
        // FNV-1a: any other hash would do, this one is three lines and never changes.
        text.bytes()
            .chain(names.flat_map(str::bytes))
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    fn worker(&self, worker: WorkerIndex) -> usize {
        assert!(worker.index() < self.workers, "{worker:?} of {}", self.workers);
        self.worker_blocks + worker.index() * worker_block()
    }

    fn client(&self, client: ClientIndex) -> usize {
        assert!(client.index() < self.clients, "{client:?} of {}", self.clients);
        self.client_blocks + client.index() * client_block()
    }

    pub(crate) fn worker_bell(&self, worker: WorkerIndex) -> usize {
        self.worker(worker) + BELL
    }

    pub(crate) fn client_bell(&self, client: ClientIndex) -> usize {
        self.client(client) + BELL
    }

    pub(crate) fn heartbeat(&self, worker: WorkerIndex) -> usize {
        self.worker(worker) + HEARTBEAT
    }

    pub(crate) fn media_counters(&self, worker: WorkerIndex) -> usize {
        self.worker(worker) + COUNTERS
    }

    pub(crate) fn signal_counters(&self, client: ClientIndex) -> usize {
        self.client(client) + COUNTERS
    }

    /// The `nth` latency histogram of a worker, 0 or 1.
    pub(crate) fn latency(&self, worker: WorkerIndex, nth: usize) -> Range<usize> {
        let start = self.worker(worker) + latencies() + nth * latency::WORDS.next_multiple_of(LINE);
        start..start + latency::WORDS
    }

    /// Counts every change of a client slot's state.
    pub(crate) fn slot_changes(&self) -> usize {
        self.slot_states
    }

    pub(crate) fn slot_state(&self, client: ClientIndex) -> usize {
        self.slot_states + LINE + client.index()
    }

    /// The last epoch of a client's slot that a worker has cleaned up after.
    pub(crate) fn slot_settled(&self, client: ClientIndex, worker: WorkerIndex) -> usize {
        self.slot_states + LINE + self.clients + client.index() * self.workers + worker.index()
    }

    /// A word for each port pair.
    pub(crate) fn port_pool(&self) -> Range<usize> {
        self.pools..self.pools + self.pairs
    }

    /// A word for each id of a leg.
    pub(crate) fn leg_pool(&self) -> Range<usize> {
        let start = self.pools + self.pairs;
        start..start + self.leg_rows
    }

    /// The order of a worker's ports.
    pub(crate) fn port_ring(&self, worker: WorkerIndex) -> RingPlace {
        assert!(worker.index() < self.workers, "{worker:?} of {}", self.workers);
        Self::ring_at(self.rings + worker.index() * ring(self.port_ring_slots), self.port_ring_slots)
    }

    /// The order of the ids of legs.
    pub(crate) fn leg_ring(&self) -> RingPlace {
        Self::ring_at(self.rings + self.workers * ring(self.port_ring_slots), self.leg_ring_slots)
    }

    fn ring_at(head: usize, slot_count: usize) -> RingPlace {
        let slots = head + 2 * LINE;
        RingPlace { head, tail: head + LINE, slots: slots..slots + slot_count }
    }

    pub(crate) fn leg_row(&self, row: usize) -> Range<usize> {
        let start = self.legs + row * ROW;
        start..start + 1 + size_of::<LegRow>() / 8
    }

    pub(crate) fn commands(&self, client: ClientIndex, worker: WorkerIndex) -> QueuePlace {
        let tail = self.queue_pair(client, worker);
        let (slots, slot_count) = (tail + 2 * LINE, self.command_slots);
        QueuePlace { tail, head: tail + LINE, bell: self.worker_bell(worker), slots, slot_count }
    }

    pub(crate) fn events(&self, client: ClientIndex, worker: WorkerIndex) -> QueuePlace {
        let tail = self.queue_pair(client, worker) + 2 * LINE + self.command_slots * COMMAND;
        let (slots, slot_count) = (tail + 2 * LINE, self.event_slots);
        QueuePlace { tail, head: tail + LINE, bell: self.client_bell(client), slots, slot_count }
    }

    /// Where the command queue and, behind it, the event queue between a client and a worker lie.
    fn queue_pair(&self, client: ClientIndex, worker: WorkerIndex) -> usize {
        let nth = client.index() * self.workers + worker.index();
        self.queues + nth * queue_pair(self.command_slots, self.event_slots)
    }
}
