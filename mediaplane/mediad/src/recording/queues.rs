//! What workers, the control thread and the writer share.

use super::packets::{PacketFacts, PacketQueues};
use clock::Instant;
use contract::{
    ClockRate, Codec, FileOffer, LegRef, RECORDINGS_MAX, RecordingEnd, RecordingKind, RecordingOutcome, RecordingShape,
};
use crossbeam::queue::ArrayQueue;
use media_core::{Side, TapId, Tapped};
use shm::ClientLife;
use std::fs::File;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

/// Pieces of sound of one worker that wait for the writer: 160 ms of a thousand recordings, 1.6 s of a hundred.
const PIECES_MAX: usize = 16_384;
/// Bytes in a piece: a packet of 20 or 30 ms of G.711 is one, a longer one is several.
pub(super) const PIECE_BYTES: usize = 240;
/// Outcomes that wait for one worker; more wait with the writer.
const OUTCOMES_MAX: usize = 256;

/// Sound on its way to the writer.
pub(super) struct Piece {
    pub(super) tap: TapId,
    pub(super) at: Instant,
    pub(super) ssrc: u32,
    pub(super) time: u32,
    pub(super) seq: u16,
    pub(super) side: Side,
    pub(super) codec: Codec,
    pub(super) clock: ClockRate,
    /// The first piece of its packet.
    pub(super) is_first: bool,
    /// The last piece of its packet.
    pub(super) is_last: bool,
    bytes: u16,
    sound: [u8; PIECE_BYTES],
}

impl Piece {
    pub(super) fn sound(&self) -> &[u8] {
        self.sound.get(..usize::from(self.bytes)).unwrap_or_default()
    }
}

/// What a recording is, from its begin to its outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordingInfo {
    pub(crate) leg: LegRef,
    /// Its RTP port, for the log.
    pub(crate) port: u16,
    pub(crate) number: u64,
    /// The client's number.
    pub(crate) recording: u64,
    pub(crate) client: ClientLife,
    /// Who began it, and hears the outcome.
    pub(crate) worker: u8,
    pub(crate) shape: RecordingShape,
    /// The rate of the file.
    pub(crate) clock: ClockRate,
    pub(crate) limit_s: u32,
    pub(crate) began_at: Instant,
}

/// Which recording a file is for. A recording of another client, or of an earlier one in the same place, is another one, also
/// where the leg and the number are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RecordingKey {
    client: ClientLife,
    offer: FileOffer,
}

/// A file that a client has handed over.
pub(super) struct OfferedFile {
    pub(super) key: RecordingKey,
    pub(super) file: File,
}

impl RecordingInfo {
    pub(super) fn key(&self) -> RecordingKey {
        RecordingKey { client: self.client, offer: FileOffer::new(self.leg, self.recording) }
    }
}

/// What the writer is told. Each recording begins and ends once, so there is always room for that; pauses have some of
/// their own.
pub(super) enum WriterMessage {
    Begin(TapId, RecordingInfo),
    Pause(TapId, Instant, bool),
    End(TapId, Instant, RecordingEnd),
}

/// Pauses that wait for the writer.
const PAUSES_MAX: usize = RECORDINGS_MAX;

/// A recording that is over.
pub(crate) struct Done {
    pub(crate) info: RecordingInfo,
    pub(crate) tap: TapId,
    pub(crate) outcome: RecordingOutcome,
}

pub(super) struct Queues {
    /// By worker.
    pub(super) pieces: Box<[ArrayQueue<Piece>]>,
    pub(super) messages: ArrayQueue<WriterMessage>,
    /// By worker.
    pub(super) outcomes: Box<[ArrayQueue<Done>]>,
    /// By place: the recording that has it, 0 where there is none. The writer alone sets it back to 0.
    running: Box<[AtomicU64]>,
    /// By place: packets that found no room.
    overflow: Box<[AtomicU64]>,
    free: ArrayQueue<u16>,
    begun_count: AtomicU64,
}

impl Queues {
    fn new(workers: usize) -> Self {
        let zeros = || (0..RECORDINGS_MAX).map(|_| AtomicU64::new(0)).collect();
        let free = ArrayQueue::new(RECORDINGS_MAX);
        for place in 0..RECORDINGS_MAX as u16 {
            let _ = free.push(place);
        }
        Self {
            pieces: (0..workers).map(|_| ArrayQueue::new(PIECES_MAX)).collect(),
            messages: ArrayQueue::new(2 * RECORDINGS_MAX + PAUSES_MAX),
            outcomes: (0..workers).map(|_| ArrayQueue::new(OUTCOMES_MAX)).collect(),
            running: zeros(),
            overflow: zeros(),
            free,
            begun_count: AtomicU64::new(0),
        }
    }

    /// The recording's place is free for another. Gives the packets that found no room.
    pub(super) fn release(&self, tap: TapId) -> u64 {
        let place = place_of(tap);
        let Some(running) = self.running.get(place) else { return 0 };
        // Workers that still hold this number see that it has ended, and stop copying.
        running.store(0, Release);
        let overflow = self.overflow[place].swap(0, Relaxed);
        let _ = self.free.push(place as u16);
        overflow
    }
}

/// A recording's place among [`RECORDINGS_MAX`] is in the lower 16 bits of its number.
pub(super) fn place_of(tap: TapId) -> usize {
    (tap.0.get() & 0xffff) as usize
}

/// Where recordings pass from workers to the writer and back. It takes no memory until the first one.
pub(crate) struct Recorder {
    workers: usize,
    /// What the media ports are bound to.
    pub(super) media_address: Option<IpAddr>,
    pub(super) packets: PacketQueues,
    queues: OnceLock<Queues>,
    writer: OnceLock<Thread>,
    files: Mutex<Vec<OfferedFile>>,
    is_stopping: AtomicBool,
}

impl Recorder {
    pub(crate) fn new(workers: usize, media_address: Option<IpAddr>) -> Self {
        let (queues, writer) = (OnceLock::new(), OnceLock::new());
        let (packets, files) = (PacketQueues::new(workers), Mutex::default());
        let is_stopping = AtomicBool::new(false);
        Self { workers, media_address, packets, queues, writer, files, is_stopping }
    }

    /// A client has handed over a file. Regular ones only: writing to anything else may never end.
    pub(crate) fn take_file(&self, client: ClientLife, offer: FileOffer, file: File) {
        let is_regular = file.metadata().is_ok_and(|info| info.is_file());
        self.queues();
        let mut files = self.files();
        if is_regular && files.len() < RECORDINGS_MAX {
            files.push(OfferedFile { key: RecordingKey { client, offer }, file });
            drop(files);
            self.wake();
        } else {
            tracing::warn!("a file for a recording of leg {} is not taken", offer.leg.row);
        }
    }

    /// Begins a recording; `None` when there are as many as there may be.
    pub(crate) fn begin(&self, info: RecordingInfo) -> Option<TapId> {
        let queues = self.queues();
        let place = queues.free.pop()?;
        if info.shape.format.kind() == RecordingKind::Packets {
            self.packets.prepare();
        }
        let number = queues.begun_count.fetch_add(1, Relaxed) + 1;
        let tap = TapId(NonZeroU64::new(number << 16 | u64::from(place))?);
        // Read by `is_running` on whichever worker has the leg later.
        queues.running.get(usize::from(place))?.store(tap.0.get(), Release);
        let _ = queues.messages.push(WriterMessage::Begin(tap, info));
        self.wake();
        Some(tap)
    }

    /// Nothing more is to be recorded. Says nothing about one that is over already.
    pub(crate) fn end(&self, tap: TapId, at: Instant, end: RecordingEnd) {
        if let Some(queues) = self.queues.get().filter(|_| self.is_running(tap)) {
            let _ = queues.messages.push(WriterMessage::End(tap, at, end));
        }
    }

    /// Silence in place of what comes from now on, or sound again. `false`: there is no room to say so.
    pub(crate) fn pause(&self, tap: TapId, at: Instant, is_paused: bool) -> bool {
        let Some(queues) = self.queues.get().filter(|_| self.is_running(tap)) else { return true };
        // Several workers may look at once, so some room is left for as many.
        queues.messages.len() < PAUSES_MAX - RECORDINGS_MAX / 10
            && queues.messages.push(WriterMessage::Pause(tap, at, is_paused)).is_ok()
    }

    /// Whether the writer still wants this recording's sound.
    pub(crate) fn is_running(&self, tap: TapId) -> bool {
        let running = self.queues.get().and_then(|queues| queues.running.get(place_of(tap)));
        running.is_some_and(|running| running.load(Acquire) == tap.0.get())
    }

    /// Copies a packet's sound for the writer; `false`: there is no room. Neither waits, allocates nor calls the system.
    pub(crate) fn push(&self, worker: u8, tapped: &Tapped, sound: &[u8]) -> bool {
        let Some(queues) = self.queues.get() else { return false };
        let Some(pieces) = queues.pieces.get(usize::from(worker)) else { return false };
        let mut has_room = true;
        for (index, part) in sound.chunks(PIECE_BYTES).enumerate() {
            let mut piece = Piece {
                tap: tapped.id,
                at: tapped.at,
                ssrc: tapped.header.ssrc.0,
                time: tapped.header.time.0.wrapping_add((index * PIECE_BYTES) as u32),
                seq: tapped.header.seq.0,
                side: tapped.side,
                codec: tapped.codec,
                clock: tapped.clock,
                is_first: index == 0,
                is_last: (index + 1) * PIECE_BYTES >= sound.len(),
                bytes: part.len() as u16,
                sound: [0; PIECE_BYTES],
            };
            piece.sound[..part.len()].copy_from_slice(part);
            has_room &= pieces.push(piece).is_ok();
        }
        if !has_room && let Some(overflow) = queues.overflow.get(place_of(tapped.id)) {
            overflow.fetch_add(1, Relaxed);
        }
        has_room
    }

    /// Copies a datagram for the writer; `false`: there is no room. Neither waits, allocates nor calls the system.
    pub(crate) fn push_packet(&self, worker: u8, tap: TapId, facts: PacketFacts, datagram: &[u8]) -> bool {
        let has_room = self.packets.push(worker, tap, facts, datagram);
        let overflow = self.queues.get().and_then(|queues| queues.overflow.get(place_of(tap)));
        if let Some(overflow) = overflow.filter(|_| !has_room) {
            overflow.fetch_add(1, Relaxed);
        }
        has_room
    }

    /// A recording that is over, for the worker that began it.
    pub(crate) fn next_outcome(&self, worker: u8) -> Option<Done> {
        self.queues.get()?.outcomes.get(usize::from(worker))?.pop()
    }

    pub(crate) fn has_outcomes(&self, worker: u8) -> bool {
        let outcomes = self.queues.get().and_then(|queues| queues.outcomes.get(usize::from(worker)));
        outcomes.is_some_and(|outcomes| !outcomes.is_empty())
    }

    /// Has the writer finish everything and end. No worker may run any more.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Release);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Acquire)
    }

    /// The thread to wake.
    pub(super) fn set_writer(&self, thread: Thread) {
        let _ = self.writer.set(thread);
    }

    pub(super) fn started_queues(&self) -> Option<&Queues> {
        self.queues.get()
    }

    pub(super) fn take_files(&self) -> Vec<OfferedFile> {
        std::mem::take(&mut *self.files())
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn queues(&self) -> &Queues {
        self.queues.get_or_init(|| Queues::new(self.workers))
    }

    /// Nothing panics while it is held.
    fn files(&self) -> MutexGuard<'_, Vec<OfferedFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
