//! Takes datagrams off a socket, many with one system call.

use crate::listener::Listener;
use clock::{Duration, Instant};
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrLike, SockaddrStorage, recvmmsg};
use nix::sys::time::TimeSpec;
use sip_core::Flow;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Datagrams taken by one system call.
const BATCH_COUNT: usize = 32;
/// The largest datagram that UDP has.
const DATAGRAM_BYTES: usize = 65_536;
/// A kernel's timestamp that is older than this tells of a clock that was set, not of a queue.
const AGE_MAX: Duration = Duration::from_secs(60);

/// The buffers of one thread.
pub(crate) struct Reader {
    buffers: Vec<Box<[u8]>>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        // Zeroed memory is not touched before it is used: small messages take a page of each.
        let buffers = (0..BATCH_COUNT).map(|_| vec![0_u8; DATAGRAM_BYTES].into_boxed_slice()).collect();
        Self { buffers, headers: headers() }
    }

    /// Takes one batch: each datagram with its path and the time at which it came to the host. `true`: there may be more.
    pub(crate) fn read(
        &mut self,
        listener: &Listener,
        now: Instant,
        mut take: impl FnMut(Flow, Instant, &[u8]),
    ) -> bool {
        let mut buffers = self.buffers.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH_COUNT] =
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| buffer))]);
        // An error is "nothing there", or the bad news of an earlier send, which the error queue tells in full.
        let Ok(batch) = recvmmsg(listener.raw(), &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)
        else {
            return false;
        };
        let wall_now = clock::wall_now().as_unix_nanos();
        let (mut count, mut is_whole) = (0, true);
        for message in batch {
            count += 1;
            match origin(listener, &message) {
                Some((flow, stamp)) => {
                    let age = stamp.map_or(Duration::ZERO, |stamp| age(stamp, wall_now));
                    let at = Instant::from_nanos(now.as_nanos().saturating_sub(age.as_nanos() as u64));
                    take(flow, at, message.iovs().next().unwrap_or_default());
                }
                None => is_whole = false,
            }
        }
        if !is_whole {
            // The kernel shortened a header's space for addresses; the next batch gets fresh ones.
            self.headers = headers();
        }
        count == BATCH_COUNT
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in6_pktinfo, libc::timespec)))
}

fn age(stamp: TimeSpec, wall_now: u64) -> Duration {
    let stamp = u64::try_from(stamp.tv_sec()).unwrap_or(0).saturating_mul(1_000_000_000)
        + u64::try_from(stamp.tv_nsec()).unwrap_or(0);
    let age = Duration::from_nanos(wall_now.saturating_sub(stamp));
    if age > AGE_MAX { Duration::ZERO } else { age }
}

/// From where and to which address of ours a datagram came, and when.
fn origin(listener: &Listener, message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<(Flow, Option<TimeSpec>)> {
    let remote = address(message.address.as_ref()?)?;
    let port = listener.address().port();
    let (mut to, mut stamp) = (None, None);
    for part in message.cmsgs().ok()? {
        match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                to = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))), port));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let scope_id = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                to = Some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope_id)));
            }
            ControlMessageOwned::ScmTimestampns(time) => stamp = Some(time),
            _ => {}
        }
    }
    Some((Flow::udp(to?, remote), stamp))
}

pub(crate) fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if storage.len() == 0 {
        return None;
    }
    storage
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)))
        .or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn datagrams_come_with_their_path_and_age() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flow = Flow::udp(listener.address(), phone.local_addr().unwrap());
        let mut reader = Reader::new();
        for round in 0..3 {
            let before = clock::now();
            (0..40_u8).for_each(|number| assert_eq!(phone.send_to(&[number; 900], listener.address()).unwrap(), 900));
            let mut got = Vec::new();
            let more = (0..2).map(|_| {
                reader.read(&listener, clock::now(), |from, at, bytes| {
                    assert_eq!((from, bytes.len()), (flow, 900));
                    assert!(at <= clock::now() && before.since(at) < Duration::from_millis(50), "round {round}");
                    got.push(bytes[0]);
                })
            });
            assert_eq!(more.collect::<Vec<_>>(), [true, false]);
            assert_eq!(got, (0..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn ages_are_sane() {
        let wall = 1_700_000_000_000_000_000;
        assert_eq!(age(TimeSpec::new(1_699_999_999, 500_000_000), wall), Duration::from_millis(500));
        assert_eq!(age(TimeSpec::new(1_700_000_001, 0), wall), Duration::ZERO);
        assert_eq!(age(TimeSpec::new(1_600_000_000, 0), wall), Duration::ZERO);
        assert_eq!(age(TimeSpec::new(-1, 0), wall), Duration::ZERO);
    }
}
