//! Sends a turn's messages, as many as possible with one system call.

use crate::listener::Listener;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg};
use sip_core::{Flow, Output, Transmit};
use std::io::IoSlice;
use std::net::SocketAddr;

/// Messages sent by one system call.
const BATCH_COUNT: usize = 32;

/// One shard's way out.
pub(crate) struct Sender {
    four: MultiHeaders<SockaddrStorage>,
    six: MultiHeaders<SockaddrStorage>,
}

/// What became of a turn's messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) sent_count: u64,
    pub(crate) failed_count: u64,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self {
            four: MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in_pktinfo))),
            six: MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in6_pktinfo))),
        }
    }

    /// Sends everything. What the kernel refuses is counted and left to SIP's retransmissions.
    pub(crate) fn send(&mut self, listeners: &[Listener], out: &Output) -> Sent {
        let mut total = Sent::default();
        let mut rest = &out.transmits[..];
        while let Some(first) = rest.first() {
            // One call has one source address, so a batch is a run of messages that share theirs.
            let run = rest.iter().take(BATCH_COUNT).take_while(|next| next.flow.local == first.flow.local).count();
            let (batch, later) = rest.split_at(run);
            let sent = self.send_batch(listeners, batch, out);
            total.sent_count += sent.sent_count;
            total.failed_count += sent.failed_count;
            rest = later;
        }
        total
    }

    /// Sends one message on its own.
    pub(crate) fn send_one(&self, listeners: &[Listener], flow: &Flow, bytes: &[u8]) -> bool {
        let Some(listener) = listeners.iter().find(|listener| listener.carries(flow)) else { return false };
        let (four, six) = sources(flow.local);
        let from = [match flow.local {
            SocketAddr::V4(_) => ControlMessage::Ipv4PacketInfo(&four),
            SocketAddr::V6(_) => ControlMessage::Ipv6PacketInfo(&six),
        }];
        let to = SockaddrStorage::from(flow.remote);
        sendmsg(listener.raw(), &[IoSlice::new(bytes)], &from, MsgFlags::MSG_DONTWAIT, Some(&to)).is_ok()
    }

    fn send_batch(&mut self, listeners: &[Listener], batch: &[Transmit], out: &Output) -> Sent {
        let local = batch[0].flow.local;
        let Some(listener) = listeners.iter().find(|listener| listener.carries(&batch[0].flow)) else {
            return Sent { sent_count: 0, failed_count: batch.len() as u64 };
        };
        let mut done = Sent::default();
        let mut rest = batch;
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
                    rest = &rest[count.clamp(1, rest.len())..];
                }
                Err(Errno::EINTR) => {}
                // The first of the rest was refused: go on behind it.
                Err(_) => {
                    done.failed_count += 1;
                    rest = &rest[1..];
                }
            }
        }
        done
    }
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
