//! Datagrams on their way from the workers to the writer.

use clock::Instant;
use contract::Address;
use crossbeam::queue::ArrayQueue;
use media_core::{Side, TapId};
use std::sync::OnceLock;

/// Bytes in a piece: a packet of 20 or 30 ms of G.711, and most of RTCP, are one; a longer one is several.
pub(super) const PIECE_BYTES: usize = 256;
/// Pieces of one worker that wait for the writer: 80 ms of the packets of a thousand legs.
const PIECES_MAX: usize = 16_384;

/// A datagram of a captured leg, or a part of one.
pub(crate) struct PacketPiece {
    pub(crate) tap: TapId,
    pub(super) packet: PacketFacts,
    /// The first piece of its datagram.
    pub(super) is_first: bool,
    /// Bytes of the datagram from this piece on.
    rest_bytes: u16,
    bytes: [u8; PIECE_BYTES],
}

/// What is known of a datagram besides its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PacketFacts {
    /// When it came, or was handed to the kernel.
    pub(crate) at: Instant,
    /// The other end of its way.
    pub(crate) remote: Address,
    /// Our end.
    pub(crate) local_port: u16,
    pub(crate) side: Side,
}

impl PacketPiece {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.rest_bytes)).unwrap_or(&self.bytes)
    }

    /// When its datagram came or went.
    pub(crate) fn at(&self) -> Instant {
        self.packet.at
    }

    pub(super) fn is_last(&self) -> bool {
        usize::from(self.rest_bytes) <= PIECE_BYTES
    }
}

/// The queues, by worker. They take no memory until the first capture.
pub(crate) struct PacketQueues {
    workers: usize,
    by_worker: OnceLock<Box<[ArrayQueue<PacketPiece>]>>,
}

impl PacketQueues {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, by_worker: OnceLock::new() }
    }

    /// Takes the memory. For a worker that begins a capture, not for one that has a packet in its hand.
    pub(crate) fn prepare(&self) {
        self.by_worker.get_or_init(|| (0..self.workers).map(|_| ArrayQueue::new(PIECES_MAX)).collect());
    }

    /// Copies a datagram for the writer, whole or not at all; `false`: there is no room. Neither waits, allocates nor calls
    /// the system.
    pub(crate) fn push(&self, worker: u8, tap: TapId, packet: PacketFacts, datagram: &[u8]) -> bool {
        let queue = self.by_worker.get().and_then(|queues| queues.get(usize::from(worker)));
        let Some(queue) = queue else { return false };
        // The worker alone pushes, so the room that it sees does not shrink.
        let room = queue.capacity() - queue.len();
        if room < datagram.len().div_ceil(PIECE_BYTES).max(1) {
            return false;
        }
        let mut rest = datagram;
        let mut is_first = true;
        while is_first || !rest.is_empty() {
            let (part, next) = rest.split_at(rest.len().min(PIECE_BYTES));
            let mut piece =
                PacketPiece { tap, packet, is_first, rest_bytes: rest.len() as u16, bytes: [0; PIECE_BYTES] };
            piece.bytes[..part.len()].copy_from_slice(part);
            let is_pushed = queue.push(piece).is_ok();
            debug_assert!(is_pushed, "there is room");
            (rest, is_first) = (next, false);
        }
        true
    }

    pub(crate) fn by_worker(&self) -> &[ArrayQueue<PacketPiece>] {
        self.by_worker.get().map_or(&[], |queues| queues)
    }
}
