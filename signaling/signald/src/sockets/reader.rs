//! Takes datagrams off a socket, many with one system call.

use crate::sockets::datagrams::is_old_news;
use crate::sockets::listener::Listener;
use clock::{Duration, Instant};
use nix::errno::Errno;
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
}

/// What one batch was, beside its datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Batch {
    /// More may wait.
    pub(crate) may_be_more: bool,
    /// Datagrams that cannot be answered: cut short, or without the sender or the address that they came to.
    pub(crate) unreadable_count: u64,
    /// Datagrams that the kernel dropped since the batch before, because the socket's buffer was full.
    pub(crate) overflow_count: u64,
}

impl Reader {
    pub(crate) fn new() -> Self {
        // Zeroed memory is not touched before it is used: small messages take a page of each.
        Self { buffers: (0..BATCH_COUNT).map(|_| vec![0_u8; DATAGRAM_BYTES].into_boxed_slice()).collect() }
    }

    /// Takes one batch: each datagram with its path and the time at which it came to the host.
    pub(crate) fn read(
        &mut self,
        listener: &Listener,
        now: Instant,
        mut take: impl FnMut(Flow, Instant, &[u8]),
    ) -> Batch {
        let mut buffers = self.buffers.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH_COUNT] =
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| buffer))]);
        // Fresh ones for each batch: the kernel writes the lengths of address and control data back into a header (recvmsg(2)),
        // and one that an IPv4 datagram has used has no room left for an IPv6 address.
        let mut headers = headers();
        let mut batch = Batch::default();
        let messages = match recvmmsg(listener.raw(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => messages,
            // What ICMP says of an earlier send, which the error queue tells in full, is in the way of what waits behind it.
            Err(error) => return Batch { may_be_more: is_old_news(error) || error == Errno::EINTR, ..batch },
        };
        let wall_now = clock::wall_now().as_unix_nanos();
        let mut count = 0;
        for message in messages {
            count += 1;
            let Some(origin) = Origin::of(listener, &message) else {
                batch.unreadable_count += 1;
                continue;
            };
            batch.overflow_count += origin.overflow.map_or(0, |sum| listener.overflow_since(sum));
            let age = origin.stamp.map_or(Duration::ZERO, |stamp| age(stamp, wall_now));
            let at = Instant::from_nanos(now.as_nanos().saturating_sub(age.as_nanos() as u64));
            take(origin.flow, at, message.iovs().next().unwrap_or_default());
        }
        batch.may_be_more = count == BATCH_COUNT;
        batch
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH_COUNT, Some(nix::cmsg_space!(libc::in6_pktinfo, libc::timespec, u32)))
}

fn age(stamp: TimeSpec, wall_now: u64) -> Duration {
    let stamp = u64::try_from(stamp.tv_sec()).unwrap_or(0).saturating_mul(1_000_000_000)
        + u64::try_from(stamp.tv_nsec()).unwrap_or(0);
    let age = Duration::from_nanos(wall_now.saturating_sub(stamp));
    if age > AGE_MAX { Duration::ZERO } else { age }
}

/// What the kernel says of a datagram.
struct Origin {
    /// From where, and to which address of ours.
    flow: Flow,
    /// When it came to the host.
    stamp: Option<TimeSpec>,
    /// Datagrams that the socket has lost since it was opened, once there are any (SO_RXQ_OVFL).
    overflow: Option<u32>,
}

impl Origin {
    fn of(listener: &Listener, message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Self> {
        if message.flags.contains(MsgFlags::MSG_TRUNC) {
            return None;
        }
        let remote = address(message.address.as_ref()?)?;
        let port = listener.address().port();
        let (mut to, mut stamp, mut overflow) = (None, None, None);
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
                ControlMessageOwned::RxqOvfl(sum) => overflow = Some(sum),
                _ => {}
            }
        }
        Some(Self { flow: Flow::udp(to?, remote), stamp, overflow })
    }
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
            let batch = |may_be_more| Batch { may_be_more, ..Batch::default() };
            assert_eq!(more.collect::<Vec<_>>(), [batch(true), batch(false)]);
            assert_eq!(got, (0..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn both_families_are_heard_in_turn_with_one_reader() {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|at| Listener::bind(at.parse().unwrap(), false).unwrap());
        let phones = ["127.0.0.1:0", "[::1]:0"].map(|at| UdpSocket::bind(at).unwrap());
        let mut reader = Reader::new();
        for round in 0..20_usize {
            for (phone, listener) in phones.iter().zip(&listeners) {
                // Another number of datagrams each time: every header sees both families, and empty datagrams.
                let count = round % 5 + 1;
                for size in 0..count {
                    phone.send_to(&vec![7; size], listener.address()).unwrap();
                }
                let flow = Flow::udp(listener.address(), phone.local_addr().unwrap());
                let mut got = Vec::new();
                let batch = reader.read(listener, clock::now(), |from, _, bytes| got.push((from, bytes.len())));
                assert_eq!(batch, Batch::default(), "round {round}");
                assert_eq!(got, (0..count).map(|size| (flow, size)).collect::<Vec<_>>(), "round {round}");
            }
        }
    }

    #[test]
    fn what_the_kernel_has_no_room_for_is_counted() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        nix::sys::socket::setsockopt(&listener, nix::sys::socket::sockopt::RcvBuf, &4_096).unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut reader = Reader::new();
        let (mut heard, mut lost) = (0, 0);
        for _ in 0..2 {
            for _ in 0..50 {
                phone.send_to(&[b'x'; 1_000], listener.address()).unwrap();
            }
            while reader.read(&listener, clock::now(), |_, _, _| heard += 1).may_be_more {}
            // The kernel tells of a loss with the next datagram that it keeps.
            phone.send_to(b"x", listener.address()).unwrap();
            lost += reader.read(&listener, clock::now(), |_, _, _| heard += 1).overflow_count;
        }
        assert!(lost > 0 && heard + lost == 102, "{heard} heard, {lost} lost");
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
