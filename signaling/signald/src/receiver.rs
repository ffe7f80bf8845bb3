//! Takes datagrams off a socket in batches and leaves each with the shard that its Call-ID belongs to.

use crate::inbox::{Datagram, Inbox};
use crate::listener::Listener;
use crate::overload;
use crate::{Stop, wait};
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrLike, SockaddrStorage, recvmmsg, sendto,
};
use sip_core::Flow;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Datagrams taken by one system call.
const BATCH_COUNT: usize = 32;
/// The largest datagram that UDP has.
const DATAGRAM_BYTES: usize = 65_536;

/// Which shard a Call-ID belongs to. The key is drawn at the start, so that nobody outside can aim at one shard.
#[derive(Clone)]
pub(crate) struct Sharding {
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) key: RandomState,
    pub(crate) retry_after_s: u64,
}

impl Sharding {
    fn of(&self, datagram: &[u8]) -> usize {
        match sip_wire::call_id(datagram) {
            Some(call_id) if self.inboxes.len() > 1 => {
                (self.key.hash_one(call_id) % self.inboxes.len() as u64) as usize
            }
            _ => 0,
        }
    }
}

/// Until the end is asked for.
pub(crate) fn run(listener: &Listener, sharding: &Sharding, stop: &Stop) {
    let mut buffers = vec![[0_u8; DATAGRAM_BYTES]; BATCH_COUNT];
    let mut headers = headers();
    let mut woken = vec![false; sharding.inboxes.len()];
    loop {
        if wait::readable(&[stop.as_fd(), listener.as_fd()], None)[0] {
            return;
        }
        loop {
            let mut has_all_addresses = true;
            let mut slices = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let mut slices: [_; BATCH_COUNT] =
                std::array::from_fn(|_| slices.next().unwrap_or([IoSliceMut::new(&mut [])]));
            let flags = MsgFlags::MSG_DONTWAIT;
            // An error is "nothing there", or the bad news of an earlier send: neither keeps us from the next.
            let Ok(batch) = recvmmsg(listener.raw(), &mut headers, slices.iter_mut(), flags, None) else { break };
            let mut count = 0;
            for message in batch {
                count += 1;
                match flow(listener, &message) {
                    Some(flow) => {
                        let bytes = message.iovs().next().unwrap_or_default();
                        deliver(listener, sharding, flow, bytes, &mut woken);
                    }
                    None => has_all_addresses = false,
                }
            }
            for (shard, woken) in woken.iter_mut().enumerate().filter(|(_, woken)| **woken) {
                sharding.inboxes[shard].wake();
                *woken = false;
            }
            if !has_all_addresses {
                // The kernel shortened a header's space for addresses; the next batch gets fresh ones.
                headers = self::headers();
            }
            if count < BATCH_COUNT {
                break;
            }
        }
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in6_pktinfo)))
}

fn deliver(listener: &Listener, sharding: &Sharding, flow: Flow, bytes: &[u8], woken: &mut [bool]) {
    let shard = sharding.of(bytes);
    let inbox = &sharding.inboxes[shard];
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        inbox.keep_alive_count.fetch_add(1, Relaxed);
        return;
    }
    if inbox.push(Datagram { flow, bytes: bytes.into() }) {
        woken[shard] = true;
        return;
    }
    let mut answer = Vec::new();
    if overload::refuse(bytes, flow.remote, sharding.retry_after_s, &mut answer) {
        inbox.refused_count.fetch_add(1, Relaxed);
        let to = SockaddrStorage::from(flow.remote);
        // Whoever does not get it asks again.
        let _ = sendto(listener.raw(), &answer, &to, MsgFlags::MSG_DONTWAIT);
    } else {
        inbox.dropped_count.fetch_add(1, Relaxed);
    }
}

/// From where and to which address of ours a datagram came.
fn flow(listener: &Listener, message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Flow> {
    let remote = address(message.address.as_ref()?)?;
    let port = listener.address().port();
    let to = message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))), port))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scope_id = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope_id)))
        }
        _ => None,
    })?;
    Some(Flow::udp(to, remote))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if storage.len() == 0 {
        return None;
    }
    storage
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)))
        .or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}
