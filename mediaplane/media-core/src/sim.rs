//! A network for tests: [`PacketIo`] in virtual time, with peers that are lists of packets.
//!
//! It does what a kernel does with connected sockets, and counts a send that a kernel would refuse.

use crate::io::{BUFFER_BYTES, BufferIndex, Buffers, Output, PacketIo, Received, SocketAction, SocketIndex, Span};
use clock::{Duration, Instant};
use contract::Address;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

/// Buffers of a turn.
const BUFFER_COUNT: usize = 8_192;

/// Memory of a turn.
#[derive(Debug)]
pub struct SimBuffers {
    bytes: Vec<[u8; BUFFER_BYTES]>,
    used: usize,
}

impl Buffers for SimBuffers {
    fn take(&mut self) -> Option<BufferIndex> {
        if self.used == self.bytes.len() {
            return None;
        }
        self.used += 1;
        Some(BufferIndex(self.used as u16 - 1))
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.buffer.0)][usize::from(span.start)..][..usize::from(span.bytes)]
    }

    fn bytes_mut(&mut self, span: Span) -> &mut [u8] {
        &mut self.bytes[usize::from(span.buffer.0)][usize::from(span.start)..][..usize::from(span.bytes)]
    }
}

impl SimBuffers {
    /// So many buffers, and that much room for a turn.
    pub fn new(count: usize) -> Self {
        Self { bytes: vec![[0; BUFFER_BYTES]; count], used: 0 }
    }

    /// A buffer with these bytes in it.
    pub fn fill(&mut self, bytes: &[u8]) -> Option<Span> {
        let span = Span { buffer: self.take()?, start: 0, bytes: u16::try_from(bytes.len()).ok()? };
        self.bytes_mut(span).copy_from_slice(bytes);
        Some(span)
    }

    /// Takes all back: the turn is over.
    pub fn end_turn(&mut self) {
        self.used = 0;
    }
}

/// A packet that arrived at a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// When.
    pub at: Instant,
    /// Our socket that sent it.
    pub from: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct SimSocket {
    address: SocketAddr,
    open: bool,
    connected: Address,
}

/// The simulated back end: sockets on 127.0.0.1 and `::1`, peers wherever they say.
#[derive(Debug)]
pub struct SimIo {
    now: Instant,
    sockets: Vec<SimSocket>,
    flying: VecDeque<(usize, SocketAddr, Vec<u8>, Instant)>,
    peers: Vec<(SocketAddr, VecDeque<Arrived>)>,
    buffers: SimBuffers,
    /// Packets that found the socket closed, or connected to somebody else.
    pub dropped_count: u64,
    /// Sends that a kernel would have refused: no destination.
    pub failed_count: u64,
}

impl SimIo {
    /// Sockets for these RTP ports and the RTCP ports above them.
    pub fn new(ports: &[u16]) -> Self {
        let socket = |port| SimSocket { address: ([127, 0, 0, 1], port).into(), open: false, connected: Address::NONE };
        Self {
            now: Instant::ZERO + Duration::from_secs(1_000),
            sockets: ports.iter().flat_map(|port| [socket(*port), socket(*port + 1)]).collect(),
            flying: VecDeque::new(),
            peers: Vec::new(),
            buffers: SimBuffers::new(BUFFER_COUNT),
            dropped_count: 0,
            failed_count: 0,
        }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time passes without anybody noticing: the worker will be late.
    pub fn stall(&mut self, time: Duration) {
        self.now += time;
    }

    /// Where a socket is.
    pub fn address(&self, socket: SocketIndex) -> SocketAddr {
        self.sockets[socket.0 as usize].address
    }

    /// A peer at this address.
    pub fn add_peer(&mut self, address: SocketAddr) -> usize {
        self.peers.push((address, VecDeque::new()));
        self.peers.len() - 1
    }

    /// Where a peer is.
    pub fn peer_address(&self, peer: usize) -> SocketAddr {
        self.peers[peer].0
    }

    /// A peer sends a packet.
    pub fn peer_send(&mut self, peer: usize, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.sockets.iter().position(|socket| socket.address.port() == to.port()) else { return };
        let from = self.peers[peer].0;
        let taker = &self.sockets[socket];
        if taker.open && (taker.connected.is_none() || taker.connected == Address::from(from)) {
            self.flying.push_back((socket, from, bytes.to_vec(), self.now));
        } else {
            self.dropped_count += 1;
        }
    }

    /// The next packet that arrived at a peer.
    pub fn peer_take(&mut self, peer: usize) -> Option<Arrived> {
        self.peers[peer].1.pop_front()
    }

    fn act(&mut self, action: SocketAction) {
        let (socket, open, connected) = match action {
            SocketAction::Open { socket, .. } => (socket, true, Address::NONE),
            SocketAction::Connect { socket, to } => (socket, true, to),
            SocketAction::Disconnect { socket } => (socket, true, Address::NONE),
            SocketAction::Close { socket } => (socket, false, Address::NONE),
        };
        let it = &mut self.sockets[socket.0 as usize];
        (it.open, it.connected) = (open, connected);
    }
}

impl PacketIo for SimIo {
    type Buffers = SimBuffers;

    fn wait(&mut self, until: Instant, received: &mut Vec<Received>) -> io::Result<()> {
        if self.flying.is_empty() {
            self.now = self.now.max(until);
        }
        while received.len() < received.capacity()
            && let Some((socket, from, bytes, at)) = self.flying.pop_front()
        {
            let Some(span) = self.buffers.fill(&bytes) else { break };
            // What a stranger sent before the socket was connected still names its sender.
            let from = Address::from(from);
            let from = if self.sockets[socket].connected == from { Address::NONE } else { from };
            received.push(Received { socket: SocketIndex(socket as u32), span, at, from });
        }
        Ok(())
    }

    fn buffers(&mut self) -> &mut SimBuffers {
        &mut self.buffers
    }

    fn submit(&mut self, output: &mut Output) {
        for action in output.sockets.drain(..) {
            self.act(action);
        }
        for send in output.sends.drain(..) {
            let socket = &self.sockets[send.socket.0 as usize];
            let to = if send.to.is_none() { socket.connected } else { send.to };
            let Some(to) = to.get() else {
                self.failed_count += 1;
                continue;
            };
            let arrived = Arrived { at: self.now, from: socket.address, bytes: self.buffers.bytes(send.span).to_vec() };
            if let Some((_, inbox)) = self.peers.iter_mut().find(|(address, _)| *address == to) {
                inbox.push_back(arrived);
            }
        }
        self.buffers.end_turn();
    }
}

#[cfg(test)]
mod tests;
