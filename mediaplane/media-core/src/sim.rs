//! A network for tests, in virtual time: [`SimNetwork`] is a [`Backend`], its sockets are those of all workers, its peers
//! are lists of packets.
//!
//! It does what a kernel does with connected sockets, and counts a send that a kernel would refuse. Time passes when every
//! worker waits and nothing flies, and then up to the earliest moment that one of them waits for: turning the workers one
//! after the other in one thread plays a whole media plane.

use crate::io::{
    BUFFER_BYTES, Backend, BufferIndex, Buffers, IoCounters, Output, PacketIo, Received, SocketAction, SocketIndex,
    Span,
};
use clock::{Duration, Instant, WallTime};
use contract::Address;
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Buffers of a turn.
const BUFFER_COUNT: usize = 8_192;
/// When virtual time begins, in seconds, and the calendar's time of the clock's zero.
const START_SECONDS: u64 = 1_000;
const CALENDAR_NANOS: u64 = 1_700_000_000_000_000_000;
/// The far future is for workers that are gone.
const LATEST: Instant = Instant::from_nanos(u64::MAX - 1);

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
    /// Virtual time of the send.
    pub at: Instant,
    /// Our socket that sent it.
    pub from: SocketAddr,
    /// The datagram's payload.
    pub bytes: Vec<u8>,
}

/// Sockets on 127.0.0.1 and `::1`, peers wherever they say, and the time. Cloning makes another handle of the same network.
#[derive(Clone, Debug)]
pub struct SimNetwork(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Instant,
    sockets: Vec<SimSocket>,
    /// On their way to a socket, or waiting in it, oldest first.
    flying: VecDeque<Flying>,
    peers: Vec<(SocketAddr, VecDeque<Arrived>)>,
    /// The number of the peer at an address; the first one where several are.
    peer_index: HashMap<SocketAddr, usize>,
    /// The address that peers know the sockets by; what a socket sends there comes back to another one.
    own_ip: Option<IpAddr>,
    /// By worker: until when it waits; none while it works, the far future once its I/O is dropped.
    waiting: Vec<Option<Instant>>,
    dropped_count: u64,
    failed_count: u64,
}

#[derive(Debug)]
struct SimSocket {
    address: SocketAddr,
    is_open: bool,
    connected: Address,
    /// The worker that receives on it.
    receiver: Option<usize>,
    /// That worker gives it up once it has taken what is there.
    is_detaching: bool,
}

#[derive(Debug)]
struct Flying {
    socket: usize,
    from: SocketAddr,
    bytes: Vec<u8>,
    at: Instant,
}

impl SimNetwork {
    /// Sockets for these RTP ports, in rising order, and the RTCP ports above them.
    pub fn new(ports: &[u16]) -> Self {
        let socket = |port| SimSocket {
            address: ([127, 0, 0, 1], port).into(),
            is_open: false,
            connected: Address::NONE,
            receiver: None,
            is_detaching: false,
        };
        Self(Arc::new(Mutex::new(State {
            now: Instant::ZERO + Duration::from_secs(START_SECONDS),
            sockets: ports.iter().flat_map(|port| [socket(*port), socket(*port + 1)]).collect(),
            flying: VecDeque::new(),
            peers: Vec::new(),
            peer_index: HashMap::new(),
            own_ip: None,
            waiting: Vec::new(),
            dropped_count: 0,
            failed_count: 0,
        })))
    }

    /// The packets of one more worker.
    pub fn io(&self) -> SimIo {
        let mut state = self.state();
        state.waiting.push(None);
        let worker = state.waiting.len() - 1;
        let (buffers, counters) = (SimBuffers::new(BUFFER_COUNT), IoCounters::default());
        SimIo { network: self.clone(), worker, buffers, counters }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.state().now
    }

    /// Time passes without any worker noticing: they will be late.
    pub fn stall(&self, time: Duration) {
        self.state().now += time;
    }

    /// Where a socket is.
    pub fn address(&self, socket: SocketIndex) -> SocketAddr {
        self.state().sockets[socket.0 as usize].address
    }

    /// A peer at this address.
    pub fn add_peer(&self, address: SocketAddr) -> usize {
        let mut state = self.state();
        state.peers.push((address, VecDeque::new()));
        let number = state.peers.len() - 1;
        state.peer_index.entry(address).or_insert(number);
        number
    }

    /// Peers reach the sockets at this address, and so do the sockets each other.
    pub fn set_own_ip(&self, ip: IpAddr) {
        self.state().own_ip = Some(ip);
    }

    /// Where a peer is.
    pub fn peer_address(&self, peer: usize) -> SocketAddr {
        self.state().peers[peer].0
    }

    /// A peer sends a packet.
    pub fn peer_send(&self, peer: usize, to: SocketAddr, bytes: &[u8]) {
        let mut state = self.state();
        let from = state.peers[peer].0;
        state.fly(from, to.port(), bytes);
    }

    /// The next packet that arrived at a peer.
    pub fn peer_take(&self, peer: usize) -> Option<Arrived> {
        self.state().peers[peer].1.pop_front()
    }

    /// Packets that found the socket closed, or connected to another peer.
    pub fn dropped_count(&self) -> u64 {
        self.state().dropped_count
    }

    /// Sends that a kernel would have refused: no destination.
    pub fn failed_count(&self) -> u64 {
        self.state().failed_count
    }

    /// Nothing panics while it is held, except for a test that names a socket or a peer that is not there.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for SimNetwork {
    type Io = SimIo;

    /// Virtual time needs no waker: the thread that turns a worker knows what it has pushed.
    fn open(&self, _waker: OwnedFd) -> Result<SimIo, Box<dyn Error + Send + Sync>> {
        Ok(self.io())
    }

    fn turn_buffers(&self) -> usize {
        BUFFER_COUNT
    }
}

impl State {
    /// A packet for the socket with this port.
    fn fly(&mut self, from: SocketAddr, port: u16, bytes: &[u8]) {
        let Ok(socket) = self.sockets.binary_search_by_key(&port, |socket| socket.address.port()) else { return };
        let target = &self.sockets[socket];
        if target.is_open && (target.connected.is_none() || target.connected == Address::from(from)) {
            self.flying.push_back(Flying { socket, from, bytes: bytes.to_vec(), at: self.now });
        } else {
            self.dropped_count += 1;
        }
    }

    fn act(&mut self, worker: usize, action: SocketAction) {
        let (socket, is_open, connected) = match action {
            SocketAction::Open { socket, .. } => (socket, true, Address::NONE),
            SocketAction::Connect { socket, to } => (socket, true, to),
            SocketAction::Disconnect { socket } => (socket, true, Address::NONE),
            SocketAction::Close { socket } => (socket, false, Address::NONE),
        };
        let it = &mut self.sockets[socket.0 as usize];
        (it.is_open, it.connected) = (is_open, connected);
        match action {
            SocketAction::Open { .. } => (it.receiver, it.is_detaching) = (Some(worker), false),
            SocketAction::Close { .. } => (it.receiver, it.is_detaching) = (None, false),
            SocketAction::Connect { .. } | SocketAction::Disconnect { .. } => return,
        }
        self.flying.retain(|packet| packet.socket != socket.0 as usize);
    }

    /// One worker waits. Time passes once all do.
    fn wait(&mut self, worker: usize, until: Instant) {
        self.waiting[worker] = Some(until.min(LATEST));
        let earliest = self.waiting.iter().copied().min().flatten();
        if let Some(until) = earliest {
            self.now = self.now.max(until);
            self.waiting.iter_mut().filter(|waiting| **waiting != Some(Instant::FAR_FUTURE)).for_each(|it| *it = None);
        }
    }
}

/// The packets of one worker of a [`SimNetwork`].
#[derive(Debug)]
pub struct SimIo {
    network: SimNetwork,
    worker: usize,
    buffers: SimBuffers,
    counters: IoCounters,
}

impl Drop for SimIo {
    fn drop(&mut self) {
        let mut state = self.network.state();
        state.waiting[self.worker] = Some(Instant::FAR_FUTURE);
        let worker = self.worker;
        let its = state.sockets.iter_mut().filter(|socket| socket.receiver == Some(worker));
        its.for_each(|socket| (socket.receiver, socket.is_detaching) = (None, false));
    }
}

impl PacketIo for SimIo {
    type Buffers = SimBuffers;

    fn now(&self) -> Instant {
        self.network.now()
    }

    fn wall_now(&self) -> WallTime {
        WallTime::from_unix_nanos(CALENDAR_NANOS + self.network.now().as_nanos())
    }

    fn wait(&mut self, until: Instant, received: &mut Vec<Received>) -> io::Result<()> {
        let mut guard = self.network.state();
        let state = &mut *guard;
        self.counters.enters += 1;
        let is_mine = |sockets: &[SimSocket], packet: &Flying| sockets[packet.socket].receiver == Some(self.worker);
        if !state.flying.iter().any(|packet| is_mine(&state.sockets, packet)) {
            state.wait(self.worker, until);
        }
        let mut at = 0;
        while received.len() < received.capacity()
            && let Some(packet) = state.flying.get(at)
        {
            if !is_mine(&state.sockets, packet) {
                at += 1;
                continue;
            }
            let Some(span) = self.buffers.fill(&packet.bytes) else { break };
            // What a stranger sent before the socket was connected still names its sender.
            let from = Address::from(packet.from);
            let from = if state.sockets[packet.socket].connected == from { Address::NONE } else { from };
            received.push(Received { socket: SocketIndex(packet.socket as u32), span, at: packet.at, from });
            self.counters.received += 1;
            state.flying.remove(at);
        }
        if !state.flying.iter().any(|packet| is_mine(&state.sockets, packet)) {
            let done = |socket: &&mut SimSocket| socket.is_detaching && socket.receiver == Some(self.worker);
            let detached = state.sockets.iter_mut().filter(done);
            detached.for_each(|socket| (socket.receiver, socket.is_detaching) = (None, false));
        }
        Ok(())
    }

    fn buffers(&mut self) -> &mut SimBuffers {
        &mut self.buffers
    }

    fn submit(&mut self, output: &mut Output) {
        let mut guard = self.network.state();
        let state = &mut *guard;
        for action in output.sockets.drain(..) {
            state.act(self.worker, action);
        }
        for send in output.sends.drain(..) {
            self.counters.sends += 1;
            let socket = &state.sockets[send.socket.0 as usize];
            let to = if send.to.is_none() { socket.connected } else { send.to };
            let Some(to) = to.get() else {
                state.failed_count += 1;
                self.counters.send_errors += 1;
                continue;
            };
            let (address, bytes) = (socket.address, self.buffers.bytes(send.span));
            if let Some(peer) = state.peer_index.get(&to) {
                state.peers[*peer].1.push_back(Arrived { at: state.now, from: address, bytes: bytes.to_vec() });
            } else if state.own_ip == Some(to.ip()) {
                state.fly(SocketAddr::new(to.ip(), address.port()), to.port(), bytes);
            }
        }
        self.buffers.end_turn();
    }

    fn attach(&mut self, socket: SocketIndex, peer: Address) {
        let mut state = self.network.state();
        let socket = &mut state.sockets[socket.0 as usize];
        (socket.receiver, socket.is_detaching) = (Some(self.worker), false);
        (socket.is_open, socket.connected) = (true, peer);
    }

    fn detach(&mut self, socket: SocketIndex) {
        let mut state = self.network.state();
        let socket = &mut state.sockets[socket.0 as usize];
        socket.is_detaching = socket.receiver == Some(self.worker);
    }

    fn is_detached(&self, socket: SocketIndex) -> bool {
        self.network.state().sockets[socket.0 as usize].receiver != Some(self.worker)
    }

    fn counters(&self) -> IoCounters {
        self.counters
    }
}

#[cfg(test)]
pub(crate) mod tests;
