//! Datagrams, as many as possible with one system call.

use super::sender::Sent;
use crate::sockets::listener::Listener;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg};
use sip_core::{Flow, Output, Transmit};
use std::io::IoSlice;
use std::net::SocketAddr;

/// How often a message is sent that an ICMP message about another one stood in the way of. One such message is in the way of
/// one send, so a flood of forged ones has to hit the moment between two system calls that often.
const TRY_COUNT: usize = 4;
/// Messages sent by one system call.
pub(super) const BATCH_COUNT: usize = 32;

/// What the system call needs.
pub(super) struct Datagrams {
    four: MultiHeaders<SockaddrStorage>,
    six: MultiHeaders<SockaddrStorage>,
}

impl Datagrams {
    pub(super) fn new() -> Self {
        Self {
            four: MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in_pktinfo))),
            six: MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in6_pktinfo))),
        }
    }

    /// Sends messages that share their source address. What the kernel refuses is left out.
    pub(super) fn send<E: Copy>(&mut self, listeners: &[Listener], batch: &[Transmit], out: &Output<E>) -> Sent {
        let Some(first) = batch.first() else { return Sent::default() };
        let local = first.flow.local;
        let Some(listener) = listeners.iter().find(|listener| listener.carries(&first.flow)) else {
            return Sent { sent_count: 0, failed_count: batch.len() as u64 };
        };
        let mut done = Sent::default();
        let mut rest = batch;
        let mut tries_left = TRY_COUNT;
        while !rest.is_empty() {
            let slices: [[IoSlice<'_>; 1]; BATCH_COUNT] = std::array::from_fn(|index| {
                [IoSlice::new(rest.get(index).map_or(&[], |transmit| out.bytes(transmit.bytes)))]
            });
            let to: [Option<SockaddrStorage>; BATCH_COUNT] =
                std::array::from_fn(|index| rest.get(index).map(|transmit| transmit.flow.remote.into()));
            let headers = if local.is_ipv4() { &mut self.four } else { &mut self.six };
            let (four, six) = sources(local);
            let from = [match local {
                SocketAddr::V4(_) => ControlMessage::Ipv4PacketInfo(&four),
                SocketAddr::V6(_) => ControlMessage::Ipv6PacketInfo(&six),
            }];
            let (slices, to) = (&slices[..rest.len()], &to[..rest.len()]);
            match sendmmsg(listener.raw(), headers, slices, to, from, MsgFlags::MSG_DONTWAIT) {
                Ok(results) => {
                    let count = results.count();
                    done.sent_count += count as u64;
                    tries_left = TRY_COUNT;
                    rest = &rest[count.clamp(1, rest.len())..];
                }
                Err(Errno::EINTR) => {}
                // News of something sent earlier, to any peer (RFC 3261 §18.4): the error queue tells of it as well.
                Err(error) if is_old_news(error) && tries_left > 1 => tries_left -= 1,
                // The first of the rest was refused: go on behind it.
                Err(_) => {
                    tries_left = TRY_COUNT;
                    done.failed_count += 1;
                    rest = &rest[1..];
                }
            }
        }
        done
    }
}

/// Errors that ICMP causes, on whatever the socket does next.
pub(crate) fn is_old_news(error: Errno) -> bool {
    matches!(
        error,
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EHOSTDOWN
    )
}

/// Sends one message on its own.
pub(crate) fn send_one(listeners: &[Listener], flow: &Flow, bytes: &[u8]) -> bool {
    let Some(listener) = listeners.iter().find(|listener| listener.carries(flow)) else { return false };
    let (four, six) = sources(flow.local);
    let from = [match flow.local {
        SocketAddr::V4(_) => ControlMessage::Ipv4PacketInfo(&four),
        SocketAddr::V6(_) => ControlMessage::Ipv6PacketInfo(&six),
    }];
    let (to, slices) = (SockaddrStorage::from(flow.remote), [IoSlice::new(bytes)]);
    let send = || sendmsg(listener.raw(), &slices, &from, MsgFlags::MSG_DONTWAIT, Some(&to));
    let mut tries = (0..TRY_COUNT).map(|_| send());
    // The first that went out, or that failed for a reason of its own.
    tries.find(|result| !matches!(result, Err(error) if is_old_news(*error))).is_some_and(|result| result.is_ok())
}

/// The source address in the two forms that the kernel wants.
fn sources(local: SocketAddr) -> (libc::in_pktinfo, libc::in6_pktinfo) {
    let (v4, v6, interface) = match local {
        SocketAddr::V4(v4) => (u32::from(*v4.ip()).to_be(), [0; 16], 0),
        SocketAddr::V6(v6) => (0, v6.ip().octets(), v6.scope_id()),
    };
    let none = libc::in_addr { s_addr: 0 };
    (
        libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: libc::in_addr { s_addr: v4 }, ipi_addr: none },
        libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: v6 }, ipi6_ifindex: interface },
    )
}
