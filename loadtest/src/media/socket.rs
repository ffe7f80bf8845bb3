//! A UDP socket that sends and receives in batches, with the kernel's time of arrival on every packet.

use super::packet::PACKET_BYTES;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Packets in one system call.
pub(super) const BATCH: usize = 16;
/// Packets taken in one system call.
const RECEIVE_BATCH: usize = 64;
/// Longest packet that is looked at; ours are shorter.
const RECEIVE_BYTES: usize = 512;
/// What the kernel may keep for us while we sleep: 200,000 packets a second for a tenth of a second.
const KERNEL_BUFFER_BYTES: usize = 32 << 20;

/// Where received packets are kept for one call.
pub(super) struct ReceiveBuffers {
    bytes: Vec<u8>,
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self { bytes: vec![0; RECEIVE_BATCH * RECEIVE_BYTES] }
    }
}

/// Binds a UDP socket to a free port of `ip`, even if `even`, with large buffers and timestamps.
pub fn bind(ip: IpAddr, even: bool) -> io::Result<UdpSocket> {
    const TRIES: usize = 64;
    for _ in 0..TRIES {
        let socket = Socket::new(Domain::for_address(SocketAddr::new(ip, 0)), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddr::new(ip, 0).into())?;
        let socket = UdpSocket::from(socket);
        if even && socket.local_addr()?.port() % 2 != 0 {
            continue;
        }
        prepare(&socket)?;
        return Ok(socket);
    }
    Err(io::Error::other(format!("no free even UDP port on {ip} in {TRIES} tries")))
}

fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // With CAP_NET_ADMIN beyond net.core.rmem_max; without, as much as that allows.
    if setsockopt(socket, sockopt::RcvBufForce, &KERNEL_BUFFER_BYTES).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &KERNEL_BUFFER_BYTES)?;
    }
    if setsockopt(socket, sockopt::SndBufForce, &KERNEL_BUFFER_BYTES).is_err() {
        setsockopt(socket, sockopt::SndBuf, &KERNEL_BUFFER_BYTES)?;
    }
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(())
}

/// Packets that wait to be sent together.
pub(super) struct SendBatch {
    bytes: Box<[[u8; PACKET_BYTES]; BATCH]>,
    to: Vec<SocketAddrAny>,
}

impl Default for SendBatch {
    fn default() -> Self {
        Self { bytes: Box::new([[0; PACKET_BYTES]; BATCH]), to: Vec::with_capacity(BATCH) }
    }
}

impl SendBatch {
    /// Room for the next packet to `to`; the caller checks [`Self::is_full`] first.
    pub(super) fn push(&mut self, to: SocketAddr) -> &mut [u8; PACKET_BYTES] {
        let at = self.to.len();
        self.to.push(to.into());
        &mut self.bytes[at]
    }

    /// Whether it must be sent before another packet fits.
    pub(super) fn is_full(&self) -> bool {
        self.to.len() == BATCH
    }

    /// Sends what there is; returns how many packets the kernel refused.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|at| [IoSlice::new(&self.bytes[at])]);
        let mut control: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = std::array::from_fn(|_| Default::default());
        let mut messages: Vec<MMsgHdr<'_>> = Vec::with_capacity(BATCH);
        for ((to, slice), control) in self.to.iter().zip(&slices).zip(&mut control) {
            messages.push(MMsgHdr::new_with_addr(to, slice, control));
        }
        let mut refused = 0;
        let mut rest = &mut messages[..];
        while !rest.is_empty() {
            match sendmmsg(socket, rest, SendFlags::empty()) {
                Ok(sent) => rest = &mut rest[sent..],
                Err(rustix::io::Errno::INTR) => {}
                // One ICMP "unreachable" of an earlier packet answers here; it says nothing about this one.
                Err(rustix::io::Errno::CONNREFUSED) => {}
                Err(_) => {
                    refused += 1;
                    rest = &mut rest[1..];
                }
            }
        }
        drop(messages);
        self.to.clear();
        refused
    }
}

/// Takes everything that waits in the socket: packet, sender, kernel's calendar time of arrival in nanoseconds.
pub(super) fn receive(
    socket: &UdpSocket,
    buffers: &mut ReceiveBuffers,
    mut take: impl FnMut(&[u8], SocketAddr, u64),
) -> io::Result<()> {
    loop {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.bytes.chunks_exact_mut(RECEIVE_BYTES).map(|chunk| [IoSliceMut::new(chunk)]).collect();
        // Fresh ones each time: the kernel shortens the lengths in a header to what it filled (recvmsg(2)).
        let mut headers: MultiHeaders<SockaddrStorage> =
            MultiHeaders::preallocate(RECEIVE_BATCH, Some(nix::cmsg_space!(nix::sys::time::TimeSpec)));
        let messages = match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)
        {
            Ok(messages) => messages,
            Err(nix::errno::Errno::EAGAIN) => return Ok(()),
            Err(nix::errno::Errno::ECONNREFUSED | nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            let Some(from) = message.address.as_ref().and_then(socket_address) else { continue };
            let at_ns = message.cmsgs().ok().into_iter().flatten().find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
                }
                _ => None,
            });
            let at_ns = at_ns.unwrap_or_else(|| clock::wall_now().as_unix_nanos());
            if let Some(packet) = message.iovs().next() {
                take(packet, from, at_ns);
            }
        }
        if count < RECEIVE_BATCH {
            return Ok(());
        }
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::new(IpAddr::V6(v6.ip()), v6.port()))
}
