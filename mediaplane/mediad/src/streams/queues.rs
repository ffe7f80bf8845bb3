//! What workers, the control thread and the thread of the streams share.

use contract::{Codec, LegRef, STREAMS_MAX};
use crossbeam::queue::ArrayQueue;
use media_core::{Program, Side, TapId, Tapped};
use rtp_wire::{RtpTime, Seq, Ssrc};
use shm::ClientLife;
use std::fs::File;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;

/// Packets of one worker that wait for the thread: 80 ms of a thousand streams, 800 ms of a hundred.
const PIECES_MAX: usize = 4_096;
/// Bytes of the longest payload that a stream hears: 60 ms of G.711, or 20 ms of Opus at 192 kbit/s.
const PIECE_BYTES: usize = 480;

/// A packet on its way to the thread.
pub(super) struct Piece {
    pub(super) stream: TapId,
    pub(super) at: clock::Instant,
    pub(super) ssrc: Ssrc,
    pub(super) time: RtpTime,
    pub(super) seq: Seq,
    pub(super) payload_type: u8,
    pub(super) side: Side,
    pub(super) codec: Codec,
    bytes: u16,
    payload: [u8; PIECE_BYTES],
}

impl Piece {
    pub(super) fn payload(&self) -> &[u8] {
        self.payload.get(..usize::from(self.bytes)).unwrap_or_default()
    }
}

/// A socket that a client has handed over.
pub(super) struct Arrival {
    pub(super) client: ClientLife,
    pub(super) leg: LegRef,
    pub(super) socket: File,
}

/// A stream that a worker has to connect to its leg, or to disconnect, by the state of its program.
pub(super) struct Waiting {
    pub(super) client: ClientLife,
    pub(super) leg: LegRef,
    pub(super) program: Arc<Program>,
}

/// Where sound passes between workers and the thread of the streams. It takes no memory until the first stream.
pub(crate) struct Streams {
    workers: usize,
    /// By worker.
    pieces: OnceLock<Box<[ArrayQueue<Piece>]>>,
    arrivals: Mutex<Vec<Arrival>>,
    waiting: Mutex<Vec<Waiting>>,
    /// Entries of `waiting`: workers look at this in each turn.
    waiting_count: AtomicUsize,
    /// Grows with every entry.
    told_count: AtomicU64,
    /// By worker, which alone has its number: the entries that it has looked at.
    heard_counts: Box<[AtomicU64]>,
    /// The programs of all streams that are not over.
    programs: Mutex<Vec<Arc<Program>>>,
    begun_count: AtomicU64,
    thread: OnceLock<Thread>,
    is_stopping: AtomicBool,
}

/// Nothing panics while one of these is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            pieces: OnceLock::new(),
            arrivals: Mutex::default(),
            waiting: Mutex::default(),
            waiting_count: AtomicUsize::new(0),
            told_count: AtomicU64::new(0),
            heard_counts: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            programs: Mutex::default(),
            begun_count: AtomicU64::new(0),
            thread: OnceLock::new(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// A client has handed over a socket for a leg.
    pub(crate) fn take_socket(&self, client: ClientLife, leg: LegRef, socket: File) {
        self.pieces.get_or_init(|| (0..self.workers).map(|_| ArrayQueue::new(PIECES_MAX)).collect());
        let mut arrivals = lock(&self.arrivals);
        if arrivals.len() < STREAMS_MAX {
            arrivals.push(Arrival { client, leg, socket });
        }
        drop(arrivals);
        self.wake();
    }

    pub(super) fn take_arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *lock(&self.arrivals))
    }

    /// A number for a stream at this place: never used before.
    pub(super) fn number(&self, place: u16) -> Option<TapId> {
        let number = self.begun_count.fetch_add(1, Relaxed) + 1;
        NonZeroU64::new(number << 16 | u64::from(place)).map(TapId)
    }

    /// Has the worker of a leg look at a program's state.
    pub(super) fn tell_worker(&self, waiting: Waiting) {
        let mut all = lock(&self.waiting);
        all.retain(|other| other.program.id() != waiting.program.id());
        all.push(waiting);
        // Workers read it in each turn; the one that reads an older number reads it again in its next turn.
        self.waiting_count.store(all.len(), Release);
        drop(all);
        // Pairs with the Acquire of `told_count`: who reads this number finds the entry.
        self.told_count.fetch_add(1, Release);
    }

    /// A worker has looked at all that was told up to this number.
    pub(super) fn set_heard(&self, worker: u8, told_count: u64) {
        if let Some(heard) = self.heard_counts.get(usize::from(worker)) {
            heard.store(told_count, Relaxed);
        }
    }

    /// Whether there is something that a worker has not looked at.
    pub(super) fn has_news(&self, worker: u8) -> bool {
        let heard = self.heard_counts.get(usize::from(worker));
        heard.is_some_and(|heard| heard.load(Relaxed) != self.told_count())
    }

    /// How often workers have been told something.
    pub(super) fn told_count(&self) -> u64 {
        self.told_count.load(Acquire)
    }

    /// No worker has to look at a program any more.
    pub(super) fn forget_waiting(&self, id: TapId) {
        let mut all = lock(&self.waiting);
        all.retain(|waiting| waiting.program.id() != id);
        self.waiting_count.store(all.len(), Release);
    }

    /// Whether there is something that a worker could be told.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting_count.load(Acquire) > 0
    }

    /// Takes the entries out that `is_taken` says are dealt with. `false`: a worker does not wait for the lock, and looks again
    /// in its next turn.
    pub(super) fn take_waiting(&self, is_taken: impl FnMut(&Waiting) -> bool) -> bool {
        let mut all = match self.waiting.try_lock() {
            Ok(all) => all,
            // A worker that failed meanwhile has been rebuilt, and the entries are as good as before.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let mut is_taken = is_taken;
        all.retain(|waiting| !is_taken(waiting));
        self.waiting_count.store(all.len(), Release);
        true
    }

    pub(super) fn add_program(&self, program: Arc<Program>) {
        lock(&self.programs).push(program);
    }

    pub(super) fn remove_program(&self, id: TapId) {
        lock(&self.programs).retain(|program| program.id() != id);
    }

    /// The program of a stream that is not over.
    pub(super) fn program(&self, id: TapId) -> Option<Arc<Program>> {
        lock(&self.programs).iter().find(|program| program.id() == id).cloned()
    }

    /// Copies a packet for the thread; `false`: there is no room. Neither waits, allocates nor calls the system.
    pub(super) fn push(&self, worker: u8, tapped: &Tapped, payload: &[u8]) -> bool {
        let Some(pieces) = self.pieces.get().and_then(|pieces| pieces.get(usize::from(worker))) else { return false };
        let mut piece = Piece {
            stream: tapped.id,
            at: tapped.at,
            ssrc: tapped.header.ssrc,
            time: tapped.header.time,
            seq: tapped.header.seq,
            payload_type: tapped.header.payload_type,
            side: tapped.side,
            codec: tapped.codec,
            bytes: payload.len() as u16,
            payload: [0; PIECE_BYTES],
        };
        let Some(place) = piece.payload.get_mut(..payload.len()) else { return false };
        place.copy_from_slice(payload);
        pieces.push(piece).is_ok()
    }

    pub(super) fn pieces(&self) -> &[ArrayQueue<Piece>] {
        self.pieces.get().map_or(&[], |pieces| pieces)
    }

    /// Has the thread end all streams. No worker may run any more.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Release);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Acquire)
    }

    /// The thread to wake.
    pub(super) fn set_thread(&self, thread: Thread) {
        let _ = self.thread.set(thread);
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// A stream's place in the thread's table is in the lower 16 bits of its number.
pub(super) fn place_of(id: TapId) -> usize {
    (id.0.get() & 0xffff) as usize
}
