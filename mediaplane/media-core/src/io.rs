//! The seam between deciding and doing: what a worker's core gets from the network, and what it wants done.
//!
//! A turn of a worker: [`PacketIo::wait`] fills a list of [`Received`] packets; the core looks at them and fills an
//! [`Output`]; [`PacketIo::submit`] carries it out in one submission. Buffers live for one turn: whatever was received
//! or taken from [`Buffers`] goes back by itself when `submit` returns, so nothing can leak.

use crate::incoming::tap::Tapped;
use clock::{Duration, Instant, WallTime};
use contract::{Address, Event, LegRow};
use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;

/// Bytes of one buffer: a full Ethernet frame, with room in front for what the kernel puts there.
pub const BUFFER_BYTES: usize = 2_048;

/// A buffer's place in [`Buffers`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BufferIndex(pub u16);

/// A socket of the worker: `2 * n` is RTP and `2 * n + 1` RTCP of the worker's `n`th port pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SocketIndex(pub u32);

/// A piece of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Which buffer.
    pub buffer: BufferIndex,
    /// First byte.
    pub start: u16,
    /// How many bytes.
    pub bytes: u16,
}

/// A datagram that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Where it came in.
    pub socket: SocketIndex,
    /// Its bytes.
    pub span: Span,
    /// When the kernel took it.
    pub at: Instant,
    /// Who sent it; [`Address::NONE`] on a connected socket, where only the peer can have sent it.
    pub from: Address,
}

/// A datagram to go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Send {
    /// Where it goes out.
    pub socket: SocketIndex,
    /// Its bytes. Several sends may name the same ones.
    pub span: Span,
    /// Who gets it; [`Address::NONE`] on a connected socket.
    pub to: Address,
    /// When the kernel took the packet that this one relays, to measure what we added; [`Instant::ZERO`] otherwise.
    pub received_at: Instant,
}

/// Something to do with a socket, in order with the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketAction {
    /// Take packets from now on, from anybody: the socket starts unconnected. What waited there before is thrown away.
    Open { socket: SocketIndex, dscp: u8 },
    /// Take packets from this peer only; the kernel drops all others.
    Connect { socket: SocketIndex, to: Address },
    /// Take packets from anybody again.
    Disconnect { socket: SocketIndex },
    /// Take none any more, and forget the peer; the port stays ours. Sends of the same turn still go out: those name
    /// their destination.
    Close { socket: SocketIndex },
}

/// Frames of our own that were made together, and how long after their time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lateness {
    /// From when they were due to when the core made them.
    pub late: Duration,
    /// How many.
    pub frame_count: u32,
}

/// What a core wants done at the end of a turn. The lists are allocated once, with [`Output::with_limits`].
///
/// [`PacketIo::submit`] empties `sockets` and `sends`; the worker's process empties the others: before that `taps` and `program_taps`, then `closed` into the
/// leg table, then `events` into the queue, so that a final row is there before anybody is told.
#[derive(Default, Debug)]
pub struct Output {
    /// Done first.
    pub sockets: Vec<SocketAction>,
    /// Then sent, in this order. Never more than its capacity: what does not fit is dropped and counted.
    pub sends: Vec<Send>,
    /// Then told to the control client. At most one or two for each packet, command and leg of the turn.
    pub events: Vec<Event>,
    /// Sound of recorded legs, to be copied before the turn is submitted: it lies in the turn's buffers. Never more than
    /// its capacity.
    pub taps: Vec<Tapped>,
    /// Sound of legs that a program listens to, like `taps`.
    pub program_taps: Vec<Tapped>,
    /// Final rows of the legs that closed in this turn.
    pub closed: Vec<LegRow>,
    /// One entry for each slot in which frames of our own were made.
    pub lateness: Vec<Lateness>,
}

impl Output {
    /// Room for so many sends in a turn (the packets that a turn may receive, and the legs that may all be due at once)
    /// and so many events, socket actions and closings.
    pub fn with_limits(send_count: usize, event_count: usize) -> Self {
        Self {
            sockets: Vec::with_capacity(2 * event_count),
            sends: Vec::with_capacity(send_count),
            events: Vec::with_capacity(event_count),
            // What a turn receives and what it sends.
            taps: Vec::with_capacity(2 * send_count),
            program_taps: Vec::with_capacity(2 * send_count),
            closed: Vec::with_capacity(event_count),
            lateness: Vec::with_capacity(LATENESS_ENTRIES),
        }
    }
}

/// Entries of [`Output::lateness`] that a turn can make at most: one for every slot of every packet length.
pub const LATENESS_ENTRIES: usize = 160;

/// Memory for the packets of a turn.
pub trait Buffers {
    /// A fresh buffer for a packet that we make; `None` when the turn has used all.
    fn take(&mut self) -> Option<BufferIndex>;
    /// The bytes of a span.
    fn bytes(&self, span: Span) -> &[u8];
    /// The bytes of a span, to change them.
    fn bytes_mut(&mut self, span: Span) -> &mut [u8];
}

/// The packets of one worker, over a network that is real or simulated. Made, used and dropped by the worker's thread.
///
/// The sockets of all workers of a back end are the same ones, bound ahead of time; the worker that runs a leg receives on
/// the leg's sockets. A leg goes to another worker by [`PacketIo::detach`] here, [`PacketIo::wait`] until
/// [`PacketIo::is_detached`], then [`PacketIo::attach`] there: no packet is lost, and none is received by both.
pub trait PacketIo {
    /// Where this back end keeps packets.
    type Buffers: Buffers;

    /// The time that [`Received::at`] and `until` of [`PacketIo::wait`] are told in.
    fn now(&self) -> Instant;

    /// The same moment as a calendar says it, for RTCP.
    fn wall_now(&self) -> WallTime;

    /// Waits for packets, for a wake-up by another thread, or until `until`, and adds what came to `received`, oldest
    /// first, at most as many as it has room for without growing.
    fn wait(&mut self, until: Instant, received: &mut Vec<Received>) -> io::Result<()>;

    /// The buffers of this turn.
    fn buffers(&mut self) -> &mut Self::Buffers;

    /// Carries out `output.sockets`, then `output.sends` in one submission; empties both, and takes all buffers of the
    /// turn back. A send that the kernel refuses is counted, not retried: it would be late.
    fn submit(&mut self, output: &mut Output);

    /// Receives on a socket that is open already: another worker has opened and detached it, or this worker's own I/O was
    /// made anew. `peer` is the address that the socket is connected to, [`Address::NONE`] where it is not.
    fn attach(&mut self, socket: SocketIndex, peer: Address);

    /// Begins to give up receiving on an open socket, which stays open and connected as it is. Packets that came before are
    /// still handed over by the next waits.
    fn detach(&mut self, socket: SocketIndex);

    /// Whether this worker receives nothing on the socket any more.
    fn is_detached(&self, socket: SocketIndex) -> bool;

    /// What was done since this I/O was made.
    fn counters(&self) -> IoCounters;
}

/// What makes the packet I/O of the workers: the sockets of a whole process, and how it works with them.
pub trait Backend: std::marker::Send + Sync + 'static {
    /// The packets of one worker.
    type Io: PacketIo;

    /// The I/O of one more worker, on the thread that will use it. A wait of it ends when `waker`, an eventfd, becomes
    /// readable.
    fn open(&self, waker: OwnedFd) -> Result<Self::Io, Box<dyn Error + std::marker::Send + Sync>>;

    /// Buffers that [`Buffers::take`] gives in one turn, at least.
    fn turn_buffers(&self) -> usize;
}

/// What the packet I/O of a worker did. A back end leaves at 0 what it does not have.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct IoCounters {
    /// System calls that submitted or waited (`io_uring_enter`).
    pub enters: u64,
    /// Completions reaped.
    pub completions: u64,
    /// Datagrams handed to the core.
    pub received: u64,
    /// Datagrams given to the kernel.
    pub sends: u64,
    /// Sends that the kernel refused.
    pub send_errors: u64,
    /// Receives that ended and were armed again.
    pub rearms: u64,
    /// Of those, because no buffer was free (packets wait in the sockets meanwhile).
    pub no_buffer: u64,
    /// Errors that a receive ended with, mostly ICMP "port unreachable".
    pub receive_errors: u64,
    /// Datagrams too long for a buffer, dropped.
    pub truncated: u64,
    /// Datagrams that arrived for a socket that had been closed meanwhile, dropped.
    pub stale: u64,
    /// Wake-ups by another thread or process.
    pub wakes: u64,
    /// Socket actions that the kernel refused.
    pub socket_errors: u64,
}
