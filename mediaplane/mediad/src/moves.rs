//! Legs on their way from one worker to another. Their sockets stay as they are: what comes meanwhile waits in the kernel.

use crate::owners::Owned;
use crate::turn::sockets_of;
use crate::worker::{Leaving, Worker};
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event, RecordingEnd, RefuseReason, RtcpMode};
use crossbeam::queue::ArrayQueue;
use media_core::MovingLeg;
use media_core::io::PacketIo;
use shm::{ClientIndex, WorkerIndex};
use stats::MediaCounter;

/// Letters that wait for one worker.
const BOX_COUNT: usize = 1_024;
/// How long a leg waits for the one that it relays from to be asked away as well.
const PARTNER_PATIENCE: Duration = Duration::from_millis(20);
/// Letters that are opened in one turn.
const TURN_MOVES: usize = 32;

pub(crate) struct Parcel {
    pub(crate) moving: MovingLeg,
    pub(crate) owned: Owned,
    /// Where it comes from, and goes back to.
    pub(crate) from: u8,
    /// It comes back, for this reason.
    pub(crate) refused: Option<RefuseReason>,
}

/// A leg, and the one that it relays from or to where both go the same way: they arrive together, so that no packet
/// finds one of them without the other.
pub(crate) type Letter = Vec<Parcel>;

/// One letter box per worker.
pub(crate) struct MoveBoxes(Box<[ArrayQueue<Letter>]>);

impl MoveBoxes {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| ArrayQueue::new(BOX_COUNT)).collect())
    }

    /// Gives the letter back where the box is full.
    pub(crate) fn send(&self, worker: u8, letter: Letter) -> Result<(), Letter> {
        match self.0.get(usize::from(worker)) {
            Some(letters) => letters.push(letter),
            None => Err(letter),
        }
    }

    pub(crate) fn receive(&self, worker: u8) -> Option<Letter> {
        self.0.get(usize::from(worker))?.pop()
    }

    pub(crate) fn is_empty(&self, worker: u8) -> bool {
        self.0.get(usize::from(worker)).is_none_or(ArrayQueue::is_empty)
    }

    pub(crate) fn workers(&self) -> usize {
        self.0.len()
    }
}

impl Worker {
    /// Begins to hand a leg over: what has come for it is taken, then it receives nothing here any more.
    pub(crate) fn start_move(&mut self, leaving: Leaving, client: ClientIndex) {
        let Leaving { leg, tag, pair, .. } = leaving;
        if self.leaving.iter().any(|other| other.leg == leg) || self.core.row(leg).is_none() {
            self.core.count(MediaCounter::CommandsRefused, 1);
            let reason = RefuseReason::Invalid;
            return self.outbox.push(&mut self.end, client, Event::Refused { leg, tag, reason });
        }
        sockets_of(pair).into_iter().for_each(|socket| self.io.detach(socket));
        self.leaving.push(leaving);
    }

    /// Hands legs over whose last packets for this worker have been taken.
    pub(crate) fn send_parcels(&mut self, now: Instant) {
        while let Some(letter) = self.next_letter(now) {
            let worker = letter.first().map_or(self.index.0, |leaving| leaving.worker);
            let parcels: Letter = letter.into_iter().filter_map(|leaving| self.pack(leaving)).collect();
            if parcels.is_empty() {
                continue; // closed meanwhile
            }
            match self.shared.moves.send(worker, parcels) {
                Ok(()) => self.shared.host.wake_worker(WorkerIndex(worker)),
                Err(parcels) => {
                    for parcel in parcels {
                        self.settle_in(now, Parcel { refused: Some(RefuseReason::Full), ..parcel });
                    }
                }
            }
        }
    }

    /// The next leg that receives nothing here any more, and the one that it relays from or to where that leaves the same
    /// way: they wait for each other. One whose partner stays goes alone after a moment, and its stream is interrupted.
    fn next_letter(&mut self, now: Instant) -> Option<Vec<Leaving>> {
        let is_quiet = |leaving: &Leaving| self.is_quiet(leaving);
        let source_of = |leaving: &Leaving| self.core.row(leaving.leg).map(|row| row.peer);
        let partner_of = |leaving: &Leaving| {
            self.leaving.iter().position(|other| {
                let is_linked = source_of(leaving) == Some(other.leg) || source_of(other) == Some(leaving.leg);
                is_linked && other.worker == leaving.worker && other.leg != leaving.leg
            })
        };
        let relays_from_here =
            |leaving: &Leaving| source_of(leaving).is_some_and(|source| self.core.row(source).is_some());
        let (place, partner) = self.leaving.iter().enumerate().find_map(|(place, leaving)| {
            let partner = partner_of(leaving);
            let is_free = match partner {
                Some(partner) => is_quiet(&self.leaving[partner]),
                None => now.since(leaving.since) >= PARTNER_PATIENCE || !relays_from_here(leaving),
            };
            (is_free && is_quiet(leaving)).then_some((place, partner))
        })?;
        let mut places = [Some(place), partner];
        // The later one first, so that the other keeps its place.
        places.sort_unstable_by(|one, other| other.cmp(one));
        Some(places.into_iter().flatten().map(|place| self.leaving.swap_remove(place)).collect())
    }

    /// When to look again at the legs that leave.
    pub(crate) fn leaving_until(&self) -> Instant {
        let each = |leaving: &Leaving| {
            // The end of its receives wakes nobody.
            if self.is_quiet(leaving) { leaving.since + PARTNER_PATIENCE } else { Instant::ZERO }
        };
        self.leaving.iter().map(each).min().unwrap_or(Instant::FAR_FUTURE)
    }

    fn is_quiet(&self, leaving: &Leaving) -> bool {
        sockets_of(leaving.pair).into_iter().all(|socket| self.io.is_detached(socket))
    }

    /// Takes a leg out of this worker.
    fn pack(&mut self, leaving: Leaving) -> Option<Parcel> {
        let Leaving { leg, tag, pair, .. } = leaving;
        let owned = self.owners.get(pair, leg).copied()?;
        let moving = self.core.extract(leg)?;
        self.owners.remove(pair, leg);
        Some(Parcel { moving, owned: Owned { tag, ..owned }, from: self.index.0, refused: None })
    }

    pub(crate) fn take_parcels(&mut self, now: Instant) {
        for _ in 0..TURN_MOVES {
            let Some(letter) = self.shared.moves.receive(self.index.0) else { return };
            for parcel in letter {
                self.settle_in(now, parcel);
            }
        }
    }

    /// Goes on with a leg of another worker, or with one of ours that came back.
    fn settle_in(&mut self, now: Instant, parcel: Parcel) {
        let Parcel { moving, owned, from, refused } = parcel;
        let (leg, tag) = (owned.leg, owned.tag);
        let (pair, connected, rtcp) = (self.core.pair_of(leg.port), moving.connected(), moving.spec().rtcp());
        let before = self.output.events.len();
        match self.core.insert(now, moving, tag, &mut self.output) {
            Ok(()) => {
                let Some(pair) = pair else { return };
                let [rtp_socket, rtcp_socket] = sockets_of(pair);
                self.io.attach(rtp_socket, connected.0);
                if matches!(rtcp, RtcpMode::Pair | RtcpMode::RelayPair) {
                    self.io.attach(rtcp_socket, connected.1);
                }
                self.owners.set(pair, owned);
                if let Some(reason) = refused {
                    self.output.events.truncate(before);
                    self.output.events.push(Event::Refused { leg, tag, reason });
                }
                if !self.shared.host.region().live_clients().any(|client| client == owned.client) {
                    // Its client died while it was on its way, and our part of that may be done already.
                    self.core.handle_command(now, Command::Close { leg, tag }, self.io.buffers(), &mut self.output);
                }
            }
            Err((moving, reason)) if from != self.index.0 => {
                let back = Parcel { moving, owned, from, refused: Some(reason) };
                if self.shared.moves.send(from, vec![back]).is_ok() {
                    self.shared.host.wake_worker(WorkerIndex(from));
                }
            }
            Err((_, reason)) => {
                self.end_recording(now, &owned, RecordingEnd::LegClosed);
                tracing::error!("the leg on port {} is lost between two workers: {reason:?}", leg.port);
                let closed = Event::Closed { leg, tag, reason: CloseReason::Failed };
                self.outbox.push(&mut self.end, owned.client, closed);
            }
        }
    }
}
