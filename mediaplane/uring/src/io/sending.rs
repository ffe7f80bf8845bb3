//! What the core wants done: socket actions and sends.

use super::UringIo;
use super::receiving::SocketState;
use super::tag::{Kind, user_data};
use crate::message::Name;
use contract::Address;
use io_uring::squeue::Flags;
use io_uring::{opcode, types};
use media_core::io::{Send, SocketAction, SocketIndex};
use std::io;

/// The parts of a `sendmsg` to a named address; they must stay where they are until the kernel has taken them.
#[derive(Clone, Copy)]
struct Addressed {
    name: Name,
    iov: libc::iovec,
    message: libc::msghdr,
}

/// Places for the messages of sends to named addresses, until the kernel has taken them.
pub(super) struct AddressedSends {
    places: Box<[Addressed]>,
    used_count: usize,
}

impl AddressedSends {
    pub(super) fn new(count: usize) -> Self {
        // SAFETY: all-zero bytes are a valid `Addressed` (null pointers, zero lengths).
        let empty = unsafe { std::mem::zeroed::<Addressed>() };
        Self { places: vec![empty; count].into(), used_count: 0 }
    }

    /// The kernel has taken all messages.
    pub(super) fn clear(&mut self) {
        self.used_count = 0;
    }

    fn is_full(&self) -> bool {
        self.used_count == self.places.len()
    }

    fn next(&mut self) -> &mut Addressed {
        self.used_count += 1;
        &mut self.places[self.used_count - 1]
    }
}

impl UringIo {
    pub(super) fn act(&mut self, action: SocketAction) -> io::Result<()> {
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
        self.queued.closing.retain(|closing| *closing != socket);
        self.sockets.open(socket, dscp)?;
        let state = &mut self.states[socket.0 as usize];
        *state = SocketState { generation: state.generation, open: true, ..SocketState::default() };
        self.arm(socket);
        Ok(())
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
            self.queued.closing.push(socket);
            self.disarm(socket)?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, send: Send) -> io::Result<()> {
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
        if self.addressed.is_full() {
            self.enter_only()?;
        }
        let place = self.addressed.next();
        place.name = name;
        place.iov = libc::iovec { iov_base: bytes.cast(), iov_len: length.into() };
        place.message.msg_name = (&raw mut place.name).cast();
        place.message.msg_namelen = name_bytes;
        place.message.msg_iov = &raw mut place.iov;
        place.message.msg_iovlen = 1;
        Ok(&raw const place.message)
    }
}
