//! Legs on their way from one worker to another. Their sockets stay as they are: what comes meanwhile waits in the kernel.

use crate::clients::owners::{Owned, OwnedRecording};
use crate::worker::{PendingTransfer, Worker};
use crate::worker_loop::sockets_of;
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event, RecordingEnd, RefuseReason};
use crossbeam::queue::ArrayQueue;
use media_core::MovingLeg;
use media_core::io::{Backend, PacketIo};
use shm::{ClientIndex, RegionPlan, WorkerIndex};
use stats::MediaCounter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Transfers that wait for one worker.
const QUEUE_COUNT: usize = 1_024;
/// How long a leg waits for the one that it relays from to be asked away as well.
const PARTNER_PATIENCE: Duration = Duration::from_millis(20);
/// Transfers that are taken in one turn.
const TURN_TRANSFERS: usize = 32;

pub(crate) struct LegTransfer {
    pub(crate) moving: MovingLeg,
    pub(crate) owned: Owned,
    /// What its packets go into.
    pub(crate) capture: Option<OwnedRecording>,
    /// The command that wants it moved.
    pub(crate) number: u64,
    /// Where it comes from, and goes back to.
    pub(crate) from: u8,
    /// It comes back, for this reason.
    pub(crate) refused: Option<RefuseReason>,
    /// Set by [`TransferQueues::send`].
    on_its_way: Option<OnItsWay>,
}

/// Counts a leg that is on no worker, until it is dropped: when the leg is installed or lost, also by a panic.
struct OnItsWay {
    leg_counts: Arc<[AtomicU32]>,
    client: ClientIndex,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(count) = self.leg_counts.get(self.client.index()) {
            count.fetch_sub(1, Release);
        }
    }
}

/// A leg, and the one that it relays from or to where both go the same way: they arrive together, so that no packet
/// finds one of them without the other.
pub(crate) type TransferBatch = Vec<LegTransfer>;

pub(crate) struct TransferQueues {
    /// By worker.
    batches: Box<[ArrayQueue<TransferBatch>]>,
    /// By client: its legs that are on no worker. As long as there are any, no worker confirms the client's end, because its
    /// place and its ports would be another client's when they arrive.
    leg_counts: Arc<[AtomicU32]>,
}

impl TransferQueues {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            batches: (0..workers).map(|_| ArrayQueue::new(QUEUE_COUNT)).collect(),
            leg_counts: (0..RegionPlan::MAX_CLIENTS).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Gives the batch back where the queue is full.
    pub(crate) fn send(&self, worker: u8, mut batch: TransferBatch) -> Result<(), TransferBatch> {
        for transfer in &mut batch {
            transfer.on_its_way = Some(self.count(transfer.owned.client));
        }
        match self.batches.get(usize::from(worker)) {
            Some(batches) => batches.push(batch),
            None => Err(batch),
        }
    }

    pub(crate) fn receive(&self, worker: u8) -> Option<TransferBatch> {
        self.batches.get(usize::from(worker))?.pop()
    }

    /// Whether a leg of this client is on no worker.
    pub(crate) fn has_leg_of(&self, client: ClientIndex) -> bool {
        // Pairs with the Release in `count` and in the drop of `OnItsWay`: the worker that has sent the leg has counted it
        // before it confirms, and the one that counts it out has it among its own by then.
        self.leg_counts.get(client.index()).is_some_and(|count| count.load(Acquire) > 0)
    }

    pub(crate) fn is_empty(&self, worker: u8) -> bool {
        self.batches.get(usize::from(worker)).is_none_or(ArrayQueue::is_empty)
    }

    pub(crate) fn workers(&self) -> usize {
        self.batches.len()
    }

    fn count(&self, client: ClientIndex) -> OnItsWay {
        if let Some(count) = self.leg_counts.get(client.index()) {
            count.fetch_add(1, Release);
        }
        OnItsWay { leg_counts: self.leg_counts.clone(), client }
    }
}

impl<B: Backend> Worker<B> {
    /// Begins to hand a leg over: what has come for it is taken, then it receives nothing here any more.
    pub(crate) fn start_transfer(&mut self, pending: PendingTransfer, client: ClientIndex) {
        let PendingTransfer { leg, number, pair, .. } = pending;
        if self.pending_transfers.iter().any(|other| other.leg == leg) || self.core.row(leg).is_none() {
            self.core.count(MediaCounter::CommandsRefused, 1);
            let reason = RefuseReason::Invalid;
            return self.event_backlog.push(&mut self.end, client, Event::Refused { leg, number, reason });
        }
        sockets_of(pair).into_iter().for_each(|socket| self.io.detach(socket));
        self.pending_transfers.push(pending);
    }

    /// Hands legs over whose last packets for this worker have been taken.
    pub(crate) fn send_transfers(&mut self, now: Instant) {
        while let Some(batch) = self.next_batch(now) {
            let worker = batch.first().map_or(self.index.0, |pending| pending.worker);
            let transfers: TransferBatch = batch.into_iter().filter_map(|pending| self.extract_leg(pending)).collect();
            if transfers.is_empty() {
                continue; // closed meanwhile
            }
            match self.shared.transfers.send(worker, transfers) {
                Ok(()) => self.shared.host.wake_worker(WorkerIndex(worker)),
                Err(transfers) => {
                    for transfer in transfers {
                        self.install(now, LegTransfer { refused: Some(RefuseReason::Full), ..transfer });
                    }
                }
            }
        }
    }

    /// The next leg that receives nothing here any more, and the one that it relays from or to where that leaves the same
    /// way: they wait for each other. One whose partner stays goes alone after a moment, and its stream is interrupted.
    fn next_batch(&mut self, now: Instant) -> Option<Vec<PendingTransfer>> {
        let is_quiet = |pending: &PendingTransfer| self.is_quiet(pending);
        let source_of = |pending: &PendingTransfer| self.core.row(pending.leg).map(|row| row.peer);
        let partner_of = |pending: &PendingTransfer| {
            self.pending_transfers.iter().position(|other| {
                let is_linked = source_of(pending) == Some(other.leg) || source_of(other) == Some(pending.leg);
                is_linked && other.worker == pending.worker && other.leg != pending.leg
            })
        };
        let relays_from_here =
            |pending: &PendingTransfer| source_of(pending).is_some_and(|source| self.core.row(source).is_some());
        let (place, partner) = self.pending_transfers.iter().enumerate().find_map(|(place, pending)| {
            let partner = partner_of(pending);
            let is_free = match partner {
                Some(partner) => is_quiet(&self.pending_transfers[partner]),
                None => now.since(pending.since) >= PARTNER_PATIENCE || !relays_from_here(pending),
            };
            (is_free && is_quiet(pending)).then_some((place, partner))
        })?;
        let mut places = [Some(place), partner];
        // The later one first, so that the other keeps its place.
        places.sort_unstable_by(|one, other| other.cmp(one));
        Some(places.into_iter().flatten().map(|place| self.pending_transfers.swap_remove(place)).collect())
    }

    /// When to look again at the legs that leave.
    pub(crate) fn transfers_until(&self) -> Instant {
        let each = |pending: &PendingTransfer| {
            // The end of its receives wakes nobody.
            if self.is_quiet(pending) { pending.since + PARTNER_PATIENCE } else { Instant::ZERO }
        };
        self.pending_transfers.iter().map(each).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// After the worker was rebuilt, sockets receive again that were about to stop.
    pub(crate) fn stop_receiving_again(&mut self) {
        for pending in &self.pending_transfers {
            sockets_of(pending.pair).into_iter().for_each(|socket| self.io.detach(socket));
        }
    }

    fn is_quiet(&self, pending: &PendingTransfer) -> bool {
        sockets_of(pending.pair).into_iter().all(|socket| self.io.is_detached(socket))
    }

    /// Takes a leg out of this worker.
    fn extract_leg(&mut self, pending: PendingTransfer) -> Option<LegTransfer> {
        let PendingTransfer { leg, number, .. } = pending;
        let owned = self.owners.get(leg).copied()?;
        let moving = self.core.extract(leg)?;
        self.owners.remove(leg);
        let capture = self.captures.remove(leg);
        Some(LegTransfer { moving, owned, capture, number, from: self.index.0, refused: None, on_its_way: None })
    }

    pub(crate) fn receive_transfers(&mut self, now: Instant) {
        for _ in 0..TURN_TRANSFERS {
            let Some(batch) = self.shared.transfers.receive(self.index.0) else { return };
            for transfer in batch {
                self.install(now, transfer);
            }
        }
    }

    /// Goes on with a leg of another worker, or with one of ours that came back.
    fn install(&mut self, now: Instant, transfer: LegTransfer) {
        let LegTransfer { moving, owned, capture, number, from, refused, on_its_way: _arriving } = transfer;
        let leg = owned.leg;
        let (pair, connected, uses_rtcp_socket) = (self.pair_of(&owned), moving.connected(), moving.uses_rtcp_socket());
        let before = self.output.events.len();
        match self.core.insert(now, moving, number, &mut self.output) {
            Ok(()) => {
                if let Some(pair) = pair {
                    self.attach_again(pair, connected, uses_rtcp_socket);
                }
                self.owners.set(owned);
                if let Some((recording, pair)) = capture.zip(pair) {
                    let port = owned.spec.transport.port.rtp;
                    self.captures.insert(leg, (pair, port), recording, self.shared.ports.len());
                }
                if let Some(reason) = refused {
                    self.output.events.truncate(before);
                    self.output.events.push(Event::Refused { leg, number, reason });
                }
                if !self.may_go_on(now, owned) {
                    self.core.handle_command(
                        now,
                        Command::Close { leg, number: 0 },
                        self.io.buffers(),
                        &mut self.output,
                    );
                }
            }
            Err((moving, reason)) if from != self.index.0 => {
                let refused = Some(reason);
                let back = LegTransfer { moving, owned, capture, number, from, refused, on_its_way: None };
                match self.shared.transfers.send(from, vec![back]) {
                    Ok(()) => self.shared.host.wake_worker(WorkerIndex(from)),
                    Err(_) => self.lose(now, &owned, capture, reason),
                }
            }
            Err((_, reason)) => self.lose(now, &owned, capture, reason),
        }
    }

    /// A leg is on no worker any more: its id and port may be used again, by the client that hears of it or, where it is
    /// kept, by any.
    fn lose(&mut self, now: Instant, owned: &Owned, capture: Option<OwnedRecording>, reason: RefuseReason) {
        let (leg, port) = (owned.leg, owned.spec.transport.port.rtp);
        tracing::error!("the leg on port {port} is lost between two workers: {reason:?}");
        self.end_recordings(now, owned, RecordingEnd::LegClosed);
        if let Some(capture) = capture {
            self.shared.recorder.end(capture.tap, now, RecordingEnd::LegClosed);
        }
        self.end_stream(owned);
        if owned.kept_until.is_some() {
            self.shared.host.region().reservations().end_keeping(owned.reservation());
        } else {
            let closed = Event::Closed { leg, number: 0, reason: CloseReason::Failed };
            self.event_backlog.push(&mut self.end, owned.client, closed);
        }
    }
}
