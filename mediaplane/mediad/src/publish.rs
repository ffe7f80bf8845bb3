//! What a worker shows of itself in shared memory: heartbeat and counters a hundred times a second, every leg's row once
//! a second, spread evenly.

use clock::{Duration, Instant};
use contract::LegRow;
use media_core::Worker;
use media_core::io::IoCounters;
use shm::{CounterBlock, Latency, LegTable, Region, Reservations, WorkerIndex};
use stats::{CounterSet, MediaCounter};

const EVERY: Duration = Duration::from_millis(10);
/// Parts of a second in which the rows are published.
const PARTS: usize = 80;
const VALUES: [u64; MediaCounter::ALL.len()] = [0; MediaCounter::ALL.len()];

pub(crate) struct Publisher {
    region: Region,
    index: WorkerIndex,
    counters: CounterBlock<MediaCounter>,
    legs: LegTable,
    reservations: Reservations,
    pub(crate) relay_latency: Latency,
    pub(crate) pacing_lateness: Latency,
    /// Events that control clients do not take.
    pub(crate) deferred: u64,
    /// Recordings that were begun here and whose outcome has not been told.
    pub(crate) recordings: u64,
    io_seen: IoCounters,
    due_at: Instant,
    next_place: usize,
}

impl Publisher {
    pub(crate) fn new(region: &Region, index: WorkerIndex) -> Self {
        Self {
            region: region.clone(),
            index,
            counters: region.media_counters(index),
            legs: region.legs(),
            reservations: region.reservations(),
            relay_latency: region.relay_latency(index),
            pacing_lateness: region.pacing_lateness(index),
            deferred: 0,
            recordings: 0,
            io_seen: IoCounters::default(),
            due_at: Instant::ZERO,
            next_place: 0,
        }
    }

    /// Once a turn; does nothing until the next time.
    pub(crate) fn turn(&mut self, now: Instant, core: &mut Worker, io: IoCounters) {
        if now < self.due_at {
            return;
        }
        self.due_at = now + EVERY;
        self.region.beat(self.index, now);
        self.take_io(core, io);
        let mut values = VALUES;
        values.copy_from_slice(core.counts().values());
        values[MediaCounter::EventsDeferred.index()] = self.deferred;
        values[MediaCounter::RecordingsRunning.index()] = self.recordings;
        self.counters.publish(&values);
        let places = core.place_count();
        for _ in 0..places.div_ceil(PARTS) {
            self.next_place = if self.next_place + 1 < places { self.next_place + 1 } else { 0 };
            if let Some(row) = core.row_at(self.next_place) {
                self.row(&row);
            }
        }
    }

    /// All counters and the heartbeat now, whatever the time.
    pub(crate) fn now(&mut self, now: Instant, core: &mut Worker, io: IoCounters) {
        self.due_at = Instant::ZERO;
        self.turn(now, core, io);
    }

    /// The worker lives.
    pub(crate) fn beat(&self, now: Instant) {
        self.region.beat(self.index, now);
    }

    /// Not for a leg whose id its client has given back while it runs: the row may be that of another leg on another worker.
    pub(crate) fn row(&self, row: &LegRow) {
        if self.reservations.holder(row.leg).is_some() {
            // The core's rows are those of the region.
            let _ = self.legs.publish(row);
        }
    }

    /// New packet I/O counts from zero again.
    pub(crate) fn forget_io(&mut self) {
        self.io_seen = IoCounters::default();
    }

    fn take_io(&mut self, core: &mut Worker, io: IoCounters) {
        use MediaCounter::*;
        let seen = std::mem::replace(&mut self.io_seen, io);
        for (counter, now, before) in [
            (RingEnters, io.enters, seen.enters),
            (RingCompletions, io.completions, seen.completions),
            (RingRearms, io.rearms, seen.rearms),
            (RingNoBuffer, io.no_buffer, seen.no_buffer),
            (ReceiveErrors, io.receive_errors, seen.receive_errors),
            (DroppedTooLong, io.truncated, seen.truncated),
            (DroppedStale, io.stale, seen.stale),
            (SocketErrors, io.socket_errors, seen.socket_errors),
            (SendsFailed, io.send_errors, seen.send_errors),
        ] {
            core.count(counter, now.saturating_sub(before));
        }
    }
}
