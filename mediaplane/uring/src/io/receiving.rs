//! Receives: armed, given up, armed again; sockets that change hands.

use super::tag::{GENERATION_MASK, Kind, user_data};
use super::{BUFFER_GROUP, UringIo};
use clock::{Duration, Instant};
use contract::Address;
use io_uring::squeue::Flags;
use io_uring::{opcode, types};
use media_core::io::SocketIndex;
use rustix::fd::AsRawFd;
use std::io;

/// A receive that failed is armed again after so long, so that no error can make us spin.
const REARM_AFTER: Duration = Duration::from_millis(1);

/// What this worker does with a socket.
#[derive(Clone, Copy, Default)]
pub(super) struct SocketState {
    pub(super) peer: Address,
    pub(super) generation: u32,
    pub(super) open: bool,
    pub(super) connected: bool,
    /// On its way to another worker: what still comes is taken, then the receive ends.
    pub(super) detaching: bool,
}

/// Sockets whose receive has ended, and that are to receive again.
pub(super) struct Rearming {
    now: Vec<SocketIndex>,
    /// Those whose receive has ended with an error.
    later: Vec<SocketIndex>,
    later_at: Instant,
}

impl Rearming {
    pub(super) fn new() -> Self {
        Self { now: Vec::with_capacity(64), later: Vec::with_capacity(64), later_at: Instant::FAR_FUTURE }
    }

    pub(super) fn push(&mut self, socket: SocketIndex) {
        self.now.push(socket);
    }

    pub(super) fn push_later(&mut self, socket: SocketIndex) {
        self.later.push(socket);
    }

    /// When the next ones may receive again.
    pub(super) fn deadline(&self) -> Instant {
        self.later_at
    }

    fn look(&mut self, now: Instant) {
        if now >= self.later_at {
            self.now.append(&mut self.later);
            self.later_at = Instant::FAR_FUTURE;
        } else if !self.later.is_empty() && self.later_at == Instant::FAR_FUTURE {
            self.later_at = now + REARM_AFTER;
        }
    }
}

impl UringIo {
    pub(super) fn arm_waker(&mut self) -> io::Result<()> {
        let fd = types::Fd(self.waker.as_raw_fd());
        let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build();
        // SAFETY: the entry points to no memory, and the descriptor is ours as long as the ring.
        unsafe { self.ring.push(&poll.user_data(user_data(Kind::Wake, 0, 0))) }
    }

    /// Receives on a socket; where the ring has no room now, a little later.
    pub(super) fn arm(&mut self, socket: SocketIndex) {
        if self.try_arm(socket).is_err() {
            self.counters.socket_errors += 1;
            self.rearming.push_later(socket);
        }
    }

    fn try_arm(&mut self, socket: SocketIndex) -> io::Result<()> {
        let generation = self.states[socket.0 as usize].generation;
        let message: *const libc::msghdr = &*self.receive_template;
        let entry = opcode::RecvMsgMulti::new(types::Fixed(socket.0), message, BUFFER_GROUP).build();
        // SAFETY: the template is boxed and outlives the ring; received bytes go to provided buffers only.
        unsafe { self.ring.push(&entry.user_data(user_data(Kind::Receive, generation, socket.0))) }
    }

    pub(super) fn disarm(&mut self, socket: SocketIndex) -> io::Result<()> {
        let state = &mut self.states[socket.0 as usize];
        let armed = user_data(Kind::Receive, state.generation, socket.0);
        // From here on what still comes for this life of the socket is stale.
        state.generation = (state.generation + 1) & GENERATION_MASK;
        let entry = opcode::AsyncCancel::new(armed).build();
        let entry = entry.user_data(user_data(Kind::Cancel, 0, socket.0)).flags(Flags::SKIP_SUCCESS);
        // SAFETY: the entry points to no memory.
        unsafe { self.ring.push(&entry) }
    }

    /// Cancels the receive of an open socket that goes to another worker; what came before is still reaped.
    pub(super) fn stop_receiving(&mut self, socket: SocketIndex) {
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

    /// Receives on a socket that is open and, where there is a peer, connected to it.
    pub(super) fn start_receiving(&mut self, socket: SocketIndex, peer: Address) {
        let Some(state) = self.states.get_mut(socket.0 as usize) else { return };
        let generation = (state.generation + 1) & GENERATION_MASK;
        *state = SocketState { peer, connected: !peer.is_none(), generation, open: true, detaching: false };
        self.arm(socket);
    }

    /// Arms the receives again that ended. What ended with an error waits a little.
    pub(super) fn rearm(&mut self, now: Instant) {
        self.rearming.look(now);
        while let Some(socket) = self.rearming.now.pop() {
            let state = &self.states[socket.0 as usize];
            if state.open && !state.detaching {
                self.counters.rearms += 1;
                self.arm(socket);
            }
        }
    }
}
