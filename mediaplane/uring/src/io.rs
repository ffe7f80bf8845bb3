use crate::adaptive::{GATHER_COUNT, GATHER_US_MAX, Gather, WaitMode};
use crate::buffers::{BufferRing, TurnBuffers};
use crate::counters::IoCounters;
use crate::error::Denied;
use crate::message::{CONTROL_BYTES, Message, NAME_BYTES, Name, PAYLOAD_START};
use crate::realtime::Realtime;
use crate::ring::{COMPLETION_COUNT, Ring, SUBMISSION_COUNT};
use crate::sockets::Sockets;
use clock::{Duration, Instant};
use contract::Address;
use io_uring::squeue::Flags;
use io_uring::{cqueue, opcode, types};
use media_core::io::{BufferIndex, Buffers, Output, PacketIo, Received, Send, SocketAction, SocketIndex, Span};
use rustix::fd::{AsRawFd, OwnedFd};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

/// The only group of provided buffers.
const BUFFER_GROUP: u16 = 0;
/// A receive that failed is armed again after so long, so that no error can make us spin.
const REARM_AFTER: Duration = Duration::from_millis(1);

/// How a worker's I/O is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoSettings {
    /// How it waits.
    pub wait: WaitMode,
    /// Buffers for what comes in, a power of two. A full turn and what is being sent share them.
    pub receive_buffer_count: u16,
    /// Buffers for what we make in one turn.
    pub send_buffer_count: u16,
    /// Longest time that a packet waits for others under load ([`WaitMode::Adaptive`]), microseconds.
    pub gather_us_max: u32,
}

impl Default for IoSettings {
    fn default() -> Self {
        Self {
            wait: WaitMode::default(),
            receive_buffer_count: 2_048,
            send_buffer_count: 2_048,
            gather_us_max: GATHER_US_MAX,
        }
    }
}

/// What a completion is about, in the top byte of its user data; below it the socket's generation (24 bits), then its
/// index (32 bits).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Receive = 1,
    Send = 2,
    Wake = 3,
    Cancel = 4,
}

const GENERATION_MASK: u32 = 0x00ff_ffff;

fn user_data(kind: Kind, generation: u32, socket: u32) -> u64 {
    u64::from(kind as u8) << 56 | u64::from(generation & GENERATION_MASK) << 32 | u64::from(socket)
}

/// What this worker does with a socket.
#[derive(Clone, Copy, Default)]
struct SocketState {
    peer: Address,
    generation: u32,
    open: bool,
    connected: bool,
    /// On its way to another worker: what still comes is taken, then the receive ends.
    detaching: bool,
}

/// The parts of a `sendmsg` to a named address; they must stay where they are until the kernel has taken them.
#[derive(Clone, Copy)]
struct Addressed {
    name: Name,
    iov: libc::iovec,
    message: libc::msghdr,
}

/// Packets of one worker by io_uring. Made, used and dropped by one thread.
pub struct UringIo {
    // Declared first, dropped first: the kernel lets go of the memory below when the ring closes.
    ring: Ring,
    buffer_ring: BufferRing,
    buffers: TurnBuffers,
    sockets: Arc<Sockets>,
    states: Box<[SocketState]>,
    receive_template: Box<libc::msghdr>,
    addressed: Box<[Addressed]>,
    addressed_count: usize,
    /// Buffers that the core holds this turn.
    held: Vec<u16>,
    /// Buffers whose sends are queued; they go back to the kernel once it has taken those.
    spent: Vec<u16>,
    /// Closed sockets whose last sends are queued; parked once those are out.
    closing: Vec<SocketIndex>,
    rearm: Vec<SocketIndex>,
    rearm_later: Vec<SocketIndex>,
    rearm_at: Instant,
    waker: OwnedFd,
    wait: WaitMode,
    gather: Gather,
    realtime: Realtime,
    counters: IoCounters,
    /// The ring belongs to the thread that made it (`SINGLE_ISSUER`).
    not_send: PhantomData<*const ()>,
}

impl UringIo {
    /// A ring over all `sockets`, woken by `waker` (an eventfd; it is never read).
    pub fn new(sockets: Arc<Sockets>, waker: OwnedFd, settings: IoSettings) -> Result<Self, Denied> {
        let memory = |error| Denied::new("packet buffers", error);
        let ring = Ring::new(SUBMISSION_COUNT, COMPLETION_COUNT)?;
        let buffers = TurnBuffers::new(settings.receive_buffer_count, settings.send_buffer_count).map_err(memory)?;
        let mut buffer_ring = BufferRing::new(settings.receive_buffer_count).map_err(memory)?;
        (0..buffers.receive_count()).for_each(|index| buffer_ring.push(&buffers, index));
        buffer_ring.publish();
        let (entries, descriptors) = (settings.receive_buffer_count, sockets.descriptors());
        let submitter = ring.uring.submitter();
        // SAFETY: the ring's memory is a field behind `ring`, so it is unmapped after the ring is closed.
        unsafe { submitter.register_buf_ring_with_flags(buffer_ring.address(), entries, BUFFER_GROUP, 0) }
            .map_err(|error| Denied::new("a buffer ring", error))?;
        submitter.register_files(&descriptors).map_err(|error| Denied::new("registered sockets", error))?;
        let states = vec![SocketState::default(); descriptors.len()].into();
        // SAFETY: all-zero bytes are a valid msghdr (null pointers, zero lengths), and a valid `Addressed`.
        let (mut template, addressed) =
            unsafe { (std::mem::zeroed::<libc::msghdr>(), std::mem::zeroed::<Addressed>()) };
        template.msg_namelen = NAME_BYTES as libc::socklen_t;
        template.msg_controllen = CONTROL_BYTES as _;
        let mut io = Self {
            ring,
            buffer_ring,
            buffers,
            sockets,
            states,
            receive_template: Box::new(template),
            addressed: vec![addressed; SUBMISSION_COUNT as usize].into(),
            addressed_count: 0,
            held: Vec::with_capacity(usize::from(settings.receive_buffer_count)),
            spent: Vec::with_capacity(usize::from(settings.receive_buffer_count)),
            closing: Vec::with_capacity(64),
            rearm: Vec::with_capacity(64),
            rearm_later: Vec::with_capacity(64),
            rearm_at: Instant::FAR_FUTURE,
            waker,
            wait: settings.wait,
            gather: Gather::new(settings.gather_us_max),
            realtime: Realtime::new(),
            counters: IoCounters::default(),
            not_send: PhantomData,
        };
        io.arm_waker().map_err(|error| Denied::new("a poll of the waker", error))?;
        Ok(io)
    }

    /// What the ring did.
    pub fn counters(&self) -> IoCounters {
        IoCounters { enters: self.ring.enters, ..self.counters }
    }

    /// The sockets that it works with.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    fn arm_waker(&mut self) -> io::Result<()> {
        let fd = types::Fd(self.waker.as_raw_fd());
        let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build();
        // SAFETY: the entry points to no memory, and the descriptor is ours as long as the ring.
        unsafe { self.ring.push(&poll.user_data(user_data(Kind::Wake, 0, 0))) }
    }

    fn arm(&mut self, socket: SocketIndex) -> io::Result<()> {
        let generation = self.states[socket.0 as usize].generation;
        let message: *const libc::msghdr = &*self.receive_template;
        let entry = opcode::RecvMsgMulti::new(types::Fixed(socket.0), message, BUFFER_GROUP).build();
        // SAFETY: the template is boxed and outlives the ring; received bytes go to provided buffers only.
        unsafe { self.ring.push(&entry.user_data(user_data(Kind::Receive, generation, socket.0))) }
    }

    fn disarm(&mut self, socket: SocketIndex) -> io::Result<()> {
        let state = &mut self.states[socket.0 as usize];
        let armed = user_data(Kind::Receive, state.generation, socket.0);
        // From here on what still comes for this life of the socket is stale.
        state.generation = (state.generation + 1) & GENERATION_MASK;
        let entry = opcode::AsyncCancel::new(armed).build();
        let entry = entry.user_data(user_data(Kind::Cancel, 0, socket.0)).flags(Flags::SKIP_SUCCESS);
        // SAFETY: the entry points to no memory.
        unsafe { self.ring.push(&entry) }
    }

    /// Gives up receiving on an open socket, which stays as it is, for another worker to [`UringIo::attach`]. Packets
    /// that came before are still handed over; wait until [`UringIo::is_detached`].
    pub fn detach(&mut self, socket: SocketIndex) {
        let Some(state) = self.states.get_mut(socket.0 as usize).filter(|state| state.open && !state.detaching) else {
            return;
        };
        state.detaching = true;
        let armed = user_data(Kind::Receive, state.generation, socket.0);
        let entry = opcode::AsyncCancel::new(armed).build();
        let entry = entry.user_data(user_data(Kind::Cancel, state.generation, socket.0)).flags(Flags::SKIP_SUCCESS);
        // SAFETY: the entry points to no memory.
        self.counters.socket_errors += u64::from(unsafe { self.ring.push(&entry) }.is_err());
    }

    /// Whether this worker receives nothing on the socket any more.
    pub fn is_detached(&self, socket: SocketIndex) -> bool {
        self.states.get(socket.0 as usize).is_none_or(|state| !state.open)
    }

    /// Receives on a socket that another worker has opened and detached; `peer` is whom it is connected to, if anybody.
    pub fn attach(&mut self, socket: SocketIndex, peer: Address) {
        let Some(state) = self.states.get_mut(socket.0 as usize) else { return };
        let generation = (state.generation + 1) & GENERATION_MASK;
        *state = SocketState { peer, connected: !peer.is_none(), generation, open: true, detaching: false };
        self.counters.socket_errors += u64::from(self.arm(socket).is_err());
    }

    fn act(&mut self, action: SocketAction) -> io::Result<()> {
        let (SocketAction::Open { socket, .. }
        | SocketAction::Connect { socket, .. }
        | SocketAction::Disconnect { socket }
        | SocketAction::Close { socket }) = action;
        if self.states.get(socket.0 as usize).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        match action {
            SocketAction::Open { dscp, .. } => self.open(socket, dscp),
            SocketAction::Connect { to, .. } => self.connect(socket, to),
            SocketAction::Disconnect { .. } => {
                let state = &mut self.states[socket.0 as usize];
                (state.connected, state.peer) = (false, Address::NONE);
                self.sockets.disconnect(socket)
            }
            SocketAction::Close { .. } => self.close(socket),
        }
    }

    fn open(&mut self, socket: SocketIndex, dscp: u8) -> io::Result<()> {
        if self.states[socket.0 as usize].open {
            self.disarm(socket)?;
        }
        self.closing.retain(|closing| *closing != socket);
        self.sockets.open(socket, dscp)?;
        let state = &mut self.states[socket.0 as usize];
        *state = SocketState { generation: state.generation, open: true, ..SocketState::default() };
        self.arm(socket)
    }

    fn connect(&mut self, socket: SocketIndex, to: Address) -> io::Result<()> {
        let Some(address) = to.get() else { return Err(io::ErrorKind::InvalidInput.into()) };
        // Kept also when connecting fails: sends without an address then carry it.
        self.states[socket.0 as usize].peer = to;
        self.states[socket.0 as usize].connected = false;
        self.sockets.connect(socket, address)?;
        self.states[socket.0 as usize].connected = true;
        Ok(())
    }

    fn close(&mut self, socket: SocketIndex) -> io::Result<()> {
        if self.states[socket.0 as usize].open {
            self.states[socket.0 as usize].open = false;
            self.closing.push(socket);
            self.disarm(socket)?;
        }
        Ok(())
    }

    fn send(&mut self, send: Send) -> io::Result<()> {
        let Some(state) = self.states.get(send.socket.0 as usize) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (fd, bytes) = (types::Fixed(send.socket.0), self.buffers.pointer(send.span));
        let generation = state.generation;
        let entry = if send.to.is_none() && state.connected {
            opcode::Send::new(fd, bytes, send.span.bytes.into()).flags(libc::MSG_DONTWAIT).build()
        } else {
            let to = if send.to.is_none() { state.peer } else { send.to };
            let message = self.address(to, bytes, send.span.bytes)?;
            opcode::SendMsg::new(fd, message).flags(libc::MSG_DONTWAIT as u32).build()
        };
        let entry = entry.user_data(user_data(Kind::Send, generation, send.socket.0)).flags(Flags::SKIP_SUCCESS);
        self.counters.sends += 1;
        // SAFETY: the packet's buffer and the message stay untouched until the next enter: buffers go back only after
        // it (`after_enter`). MSG_DONTWAIT makes the kernel finish or fail within that call.
        unsafe { self.ring.push(&entry) }
    }

    /// Fills the next place for a send to a named address.
    fn address(&mut self, to: Address, bytes: *mut u8, length: u16) -> io::Result<*const libc::msghdr> {
        let to = to.get().ok_or(io::ErrorKind::NotConnected)?;
        let (name, name_bytes) = Name::new(to, self.sockets.is_ipv6()).ok_or(io::ErrorKind::Unsupported)?;
        if self.addressed_count == self.addressed.len() {
            self.enter_only()?;
        }
        let place = &mut self.addressed[self.addressed_count];
        self.addressed_count += 1;
        place.name = name;
        place.iov = libc::iovec { iov_base: bytes.cast(), iov_len: length.into() };
        place.message.msg_name = (&raw mut place.name).cast();
        place.message.msg_namelen = name_bytes;
        place.message.msg_iov = &raw mut place.iov;
        place.message.msg_iovlen = 1;
        Ok(&raw const place.message)
    }

    /// Submits without waiting, in the middle of a turn.
    fn enter_only(&mut self) -> io::Result<()> {
        self.ring.enter(0, 0, Duration::ZERO)?;
        self.addressed_count = 0;
        Ok(())
    }

    /// The kernel has taken all that was queued: memory goes back, closed sockets are parked.
    fn after_enter(&mut self) {
        self.addressed_count = 0;
        self.buffers.give_back_taken();
        for index in self.spent.drain(..) {
            self.buffer_ring.push(&self.buffers, index);
        }
        self.buffer_ring.publish();
        for socket in self.closing.drain(..) {
            self.counters.socket_errors += u64::from(self.sockets.park(socket).is_err());
        }
    }

    /// Looks at the completions that are there, as far as `received` has room.
    fn reap(&mut self, received: &mut Vec<Received>) {
        let Self { ring, buffer_ring, buffers, states, held, rearm, rearm_later, realtime, counters, .. } = self;
        let (mut wake_ended, mut refused) = (false, false);
        let mut completions = ring.uring.completion();
        while received.len() < received.capacity() {
            let Some(completion) = completions.next() else { break };
            counters.completions += 1;
            let data = completion.user_data();
            let (kind, socket) = ((data >> 56) as u8, SocketIndex(data as u32));
            let more = cqueue::more(completion.flags());
            if kind == Kind::Receive as u8 {
                let state = &mut states[socket.0 as usize];
                let current = (data >> 32) as u32 & GENERATION_MASK == state.generation && state.open;
                let buffer = cqueue::buffer_select(completion.flags());
                match (completion.result(), buffer) {
                    (bytes @ 0.., Some(index)) => match take(buffers, state, realtime, index, bytes, socket) {
                        Taken::Packet(packet) if current => {
                            counters.received += 1;
                            held.push(index);
                            received.push(packet);
                        }
                        taken => {
                            counters.truncated += u64::from(taken == Taken::Truncated);
                            counters.stale += u64::from(!current);
                            buffer_ring.push(buffers, index);
                            refused = true;
                        }
                    },
                    (error, buffer) => {
                        if let Some(index) = buffer {
                            buffer_ring.push(buffers, index);
                            refused = true;
                        }
                        if current && error == -libc::ENOBUFS {
                            counters.no_buffer += 1;
                        } else if current && !(state.detaching && error == -libc::ECANCELED) {
                            counters.receive_errors += 1;
                        }
                        if current && !more && error != -libc::ENOBUFS && !state.detaching {
                            rearm_later.push(socket);
                            continue;
                        }
                    }
                }
                let state = &mut states[socket.0 as usize];
                if current && !more && state.detaching {
                    (state.open, state.detaching) = (false, false);
                } else if current && !more {
                    rearm.push(socket);
                }
            } else if kind == Kind::Cancel as u8 {
                // Nothing was armed: the receive had just ended by itself.
                let state = &mut states[socket.0 as usize];
                if state.detaching && (data >> 32) as u32 & GENERATION_MASK == state.generation {
                    (state.open, state.detaching) = (false, false);
                }
            } else if kind == Kind::Send as u8 {
                counters.send_errors += u64::from(completion.result() < 0);
            } else if kind == Kind::Wake as u8 {
                counters.wakes += 1;
                wake_ended |= !more;
            }
        }
        drop(completions);
        if refused {
            buffer_ring.publish();
        }
        if wake_ended {
            self.counters.socket_errors += u64::from(self.arm_waker().is_err());
        }
    }

    /// Arms the receives again that ended. What ended with an error waits a little.
    fn rearm(&mut self, now: Instant) {
        if now >= self.rearm_at {
            self.rearm.append(&mut self.rearm_later);
            self.rearm_at = Instant::FAR_FUTURE;
        } else if !self.rearm_later.is_empty() && self.rearm_at == Instant::FAR_FUTURE {
            self.rearm_at = now + REARM_AFTER;
        }
        while let Some(socket) = self.rearm.pop() {
            let state = &self.states[socket.0 as usize];
            if state.open && !state.detaching {
                self.counters.rearms += 1;
                self.counters.socket_errors += u64::from(self.arm(socket).is_err());
            }
        }
    }

    fn enter(&mut self, now: Instant, until: Instant) -> io::Result<()> {
        let timeout = until - now;
        if timeout.is_zero() || self.wait == WaitMode::Busy || !self.ring.uring.completion().is_empty() {
            return self.ring.enter(0, 0, Duration::ZERO);
        }
        let gather_us = if self.wait == WaitMode::Adaptive { self.gather.gather_us(timeout) } else { 0 };
        if gather_us == 0 {
            self.ring.enter(1, 0, timeout)
        } else if self.ring.can_gather {
            self.ring.enter(GATHER_COUNT, gather_us, timeout)
        } else {
            self.ring.enter(GATHER_COUNT, 0, Duration::from_micros(gather_us.into()))?;
            if self.ring.uring.completion().is_empty() { self.ring.enter(1, 0, until - clock::now()) } else { Ok(()) }
        }
    }
}

/// What became of one filled buffer.
#[derive(PartialEq, Eq)]
enum Taken {
    Packet(Received),
    Truncated,
    Broken,
}

fn take(
    buffers: &TurnBuffers,
    state: &SocketState,
    realtime: &Realtime,
    index: u16,
    bytes: i32,
    socket: SocketIndex,
) -> Taken {
    let bytes = u16::try_from(bytes).unwrap_or(u16::MAX).min(media_core::io::BUFFER_BYTES as u16);
    let whole = Span { buffer: BufferIndex(index), start: 0, bytes };
    let Some(message) = Message::read(buffers.bytes(whole)) else { return Taken::Broken };
    if message.truncated {
        return Taken::Truncated;
    }
    let span = Span { start: PAYLOAD_START as u16, bytes: message.payload_bytes, ..whole };
    // What a stranger sent before the socket was connected still names its sender.
    let from = if state.connected && message.from == state.peer { Address::NONE } else { message.from };
    Taken::Packet(Received { socket, span, at: realtime.instant(message.realtime_ns), from })
}

impl PacketIo for UringIo {
    type Buffers = TurnBuffers;

    fn wait(&mut self, until: Instant, received: &mut Vec<Received>) -> io::Result<()> {
        let mut now = clock::now();
        loop {
            self.rearm(now);
            let wakes = self.counters.wakes;
            self.enter(now, until.min(self.rearm_at))?;
            self.after_enter();
            now = clock::now();
            self.realtime.turn(now);
            let before = received.len();
            self.reap(received);
            self.gather.received(now, received.len() - before);
            let woken = self.counters.wakes != wakes;
            if woken || received.len() > before || now >= until || received.len() == received.capacity() {
                return Ok(());
            }
        }
    }

    fn buffers(&mut self) -> &mut TurnBuffers {
        &mut self.buffers
    }

    fn submit(&mut self, output: &mut Output) {
        for action in output.sockets.drain(..) {
            self.counters.socket_errors += u64::from(self.act(action).is_err());
        }
        for send in output.sends.drain(..) {
            self.counters.send_errors += u64::from(self.send(send).is_err());
        }
        self.spent.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests;
