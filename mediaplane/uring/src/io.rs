mod reaping;
mod receiving;
mod sending;
mod tag;

use crate::adaptive::{GATHER_COUNT, GATHER_US_MAX, Gather, WaitMode};
use crate::buffers::{BufferRing, TurnBuffers};
use crate::error::Denied;
use crate::lending::Lending;
use crate::message::{CONTROL_BYTES, NAME_BYTES};
use crate::realtime::Realtime;
use crate::ring::{COMPLETION_COUNT, Ring, SUBMISSION_COUNT, TaskRun};
use crate::sockets::Sockets;
use clock::{Duration, Instant, WallTime};
use contract::Address;
use media_core::io::{IoCounters, Output, PacketIo, Received, SocketIndex};
use receiving::{Rearming, SocketState};
use rustix::fd::OwnedFd;
use sending::AddressedSends;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

/// The only group of provided buffers.
const BUFFER_GROUP: u16 = 0;

/// How a worker's I/O is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoSettings {
    /// How it waits.
    pub wait: WaitMode,
    /// Buffers for what comes in, a power of two. A full turn and what is being sent share them. The kernel has as many
    /// as the load needs.
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

/// Packets of one worker by io_uring. Made, used and dropped by one thread.
pub struct UringIo {
    // Declared first, dropped first: the kernel lets go of the memory below when the ring closes.
    ring: Ring,
    buffer_ring: BufferRing,
    buffers: TurnBuffers,
    lending: Lending,
    sockets: Arc<Sockets>,
    states: Box<[SocketState]>,
    receive_template: Box<libc::msghdr>,
    addressed: AddressedSends,
    /// Buffers that the core holds this turn.
    held: Vec<u16>,
    queued: Queued,
    rearming: Rearming,
    waker: OwnedFd,
    wait: WaitMode,
    gather: Gather,
    realtime: Realtime,
    counters: IoCounters,
    /// The ring belongs to the thread that made it (`SINGLE_ISSUER`).
    not_send: PhantomData<*const ()>,
}

/// What goes back once the kernel has taken the sends that are queued.
struct Queued {
    /// Buffers of those sends: the kernel gets them for receives.
    buffers: Vec<u16>,
    /// Closed sockets of those sends: they are parked.
    closing: Vec<SocketIndex>,
}

impl UringIo {
    /// A ring over all `sockets`, woken by `waker` (an eventfd; it is never read).
    pub fn new(sockets: Arc<Sockets>, waker: OwnedFd, settings: IoSettings) -> Result<Self, Denied> {
        let memory = |error| Denied::new("packet buffers", error);
        let ring = Ring::new(SUBMISSION_COUNT, COMPLETION_COUNT)?;
        let buffers = TurnBuffers::new(settings.receive_buffer_count, settings.send_buffer_count).map_err(memory)?;
        let mut buffer_ring = BufferRing::new(settings.receive_buffer_count).map_err(memory)?;
        let lending = Lending::new(settings.receive_buffer_count);
        (0..lending.limit()).for_each(|index| buffer_ring.push(&buffers, index));
        buffer_ring.publish();
        let (entries, descriptors) = (settings.receive_buffer_count, sockets.descriptors());
        let submitter = ring.uring.submitter();
        // SAFETY: the ring's memory is a field behind `ring`, so it is unmapped after the ring is closed.
        unsafe { submitter.register_buf_ring_with_flags(buffer_ring.address(), entries, BUFFER_GROUP, 0) }
            .map_err(|error| Denied::new("a buffer ring", error))?;
        submitter.register_files(&descriptors).map_err(|error| Denied::new("registered sockets", error))?;
        let states = vec![SocketState::default(); descriptors.len()].into();
        // SAFETY: all-zero bytes are a valid msghdr (null pointers, zero lengths).
        let mut template = unsafe { std::mem::zeroed::<libc::msghdr>() };
        template.msg_namelen = NAME_BYTES as libc::socklen_t;
        template.msg_controllen = CONTROL_BYTES as _;
        let mut io = Self {
            ring,
            buffer_ring,
            buffers,
            lending,
            sockets,
            states,
            receive_template: Box::new(template),
            addressed: AddressedSends::new(SUBMISSION_COUNT as usize),
            held: Vec::with_capacity(usize::from(settings.receive_buffer_count)),
            queued: Queued {
                buffers: Vec::with_capacity(usize::from(settings.receive_buffer_count)),
                closing: Vec::with_capacity(64),
            },
            rearming: Rearming::new(),
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

    /// The sockets that it works with.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Submits without waiting, in the middle of a turn.
    fn enter_only(&mut self) -> io::Result<()> {
        self.ring.enter(0, 0, Duration::ZERO)?;
        if !self.ring.uring.submission().is_empty() {
            return Err(io::ErrorKind::WouldBlock.into()); // queued sends still point to what they send
        }
        self.addressed.clear();
        Ok(())
    }

    /// Once the kernel has taken all that was queued, memory goes back, and closed sockets are parked.
    fn after_enter(&mut self) {
        if !self.ring.uring.submission().is_empty() {
            return; // it wants completions reaped first; what the queued sends point to stays as it is
        }
        self.addressed.clear();
        self.buffers.give_back_taken();
        for index in self.queued.buffers.drain(..) {
            if self.lending.take_back(index) {
                self.buffer_ring.push(&self.buffers, index);
            }
        }
        self.buffer_ring.publish();
        for socket in self.queued.closing.drain(..) {
            self.counters.socket_errors += u64::from(self.sockets.park(socket).is_err());
        }
    }

    /// Gives memory back that a burst needed and nothing needs now. For right after [`UringIo::after_enter`].
    fn trim(&mut self, now: Instant) {
        if !self.ring.uring.submission().is_empty() {
            return;
        }
        // Without deferred task work the kernel may fill a buffer at any time.
        let idle =
            self.ring.task_run == TaskRun::Deferred && self.held.is_empty() && self.ring.uring.completion().is_empty();
        if let Some(trim) = self.lending.trim(now, idle) {
            self.buffers.trim(trim);
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

impl PacketIo for UringIo {
    type Buffers = TurnBuffers;

    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall_now(&self) -> WallTime {
        clock::wall_now()
    }

    fn wait(&mut self, until: Instant, received: &mut Vec<Received>) -> io::Result<()> {
        let mut now = clock::now();
        loop {
            self.rearm(now);
            let wakes = self.counters.wakes;
            self.enter(now, until.min(self.rearming.deadline()))?;
            self.after_enter();
            now = clock::now();
            self.trim(now);
            self.realtime.turn(now);
            let before = received.len();
            self.reap(received);
            self.gather.received(now, received.len() - before);
            self.lending.turn(received.len() - before, 0);
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
        self.queued.buffers.append(&mut self.held);
        self.lending.turn(0, self.buffers.taken_count());
    }

    fn attach(&mut self, socket: SocketIndex, peer: Address) {
        self.start_receiving(socket, peer);
    }

    fn detach(&mut self, socket: SocketIndex) {
        self.stop_receiving(socket);
    }

    fn is_detached(&self, socket: SocketIndex) -> bool {
        self.states.get(socket.0 as usize).is_none_or(|state| !state.open)
    }

    fn counters(&self) -> IoCounters {
        IoCounters { enters: self.ring.enters, ..self.counters }
    }
}

#[cfg(test)]
mod tests;
