//! The UDP sockets. They tell the address that a datagram came to, and send from the address that they are told.

use crate::Error;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sockopt};
use sip_core::Flow;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What we ask the kernel to keep for us: a second of a busy switch, so that no burst is lost.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// What is looked at of a datagram that an ICMP message quotes: routers and hosts quote up to 576 bytes in all over IPv4 (RFC
/// 1812 §4.3.2.3), and up to 1,280 over IPv6 (RFC 4443 §2.4).
const QUOTED_BYTES_MAX: usize = 1_280;

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UdpSocket,
    address: SocketAddr,
    /// Datagrams that the kernel had no room for, as it told us last.
    overflow_count: AtomicU32,
}

impl Listener {
    /// `is_shared`: other shards have sockets on the same address. The kernel gives each peer's datagrams to one of them.
    pub(crate) fn bind(address: SocketAddr, is_shared: bool) -> Result<Self, Error> {
        let failed = |what| move |source| Error::Listen { address, what, source };
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
            .map_err(|source| explain(address, "open a socket", source))?;
        let told = match address {
            SocketAddr::V4(_) => nix::sys::socket::setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)
                .and_then(|()| nix::sys::socket::setsockopt(&socket, sockopt::Ipv4RecvErr, &true)),
            SocketAddr::V6(_) => {
                // IPv4 has sockets of its own.
                socket.set_only_v6(true).map_err(failed("keep IPv4 out"))?;
                nix::sys::socket::setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)
                    .and_then(|()| nix::sys::socket::setsockopt(&socket, sockopt::Ipv6RecvErr, &true))
            }
        };
        told.map_err(|error| failed("ask for the address that datagrams come to")(error.into()))?;
        // How long a datagram has waited when we come to read it.
        let stamped = nix::sys::socket::setsockopt(&socket, sockopt::ReceiveTimestampns, &true);
        stamped.map_err(|error| failed("ask for the time at which datagrams come")(error.into()))?;
        // How many the kernel dropped; a kernel that does not tell is no reason to stop.
        let _ = nix::sys::socket::setsockopt(&socket, sockopt::RxqOvfl, &1);
        enlarge(&socket);
        if is_shared {
            let shared = nix::sys::socket::setsockopt(&socket, sockopt::ReusePort, &true);
            shared.map_err(|error| failed("share it among the shards")(error.into()))?;
        }
        socket.bind(&address.into()).map_err(|source| explain(address, "bind", source))?;
        socket.set_nonblocking(true).map_err(failed("set it up"))?;
        let socket = UdpSocket::from(socket);
        let address = socket.local_addr().map_err(failed("read its address"))?;
        Ok(Self { socket, address, overflow_count: AtomicU32::new(0) })
    }

    /// Where it listens, with the port that the system chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many datagrams the kernel dropped since the last call, from the sum that it tells with a datagram.
    pub(crate) fn overflow_since(&self, sum: u32) -> u64 {
        sum.wrapping_sub(self.overflow_count.swap(sum, Relaxed)).into()
    }

    /// Takes what ICMP says of datagrams that were sent here, at most `count_max` messages; gives their number. `take` gets the
    /// path that is said to lead nowhere, and the beginning of the datagram that the message quotes, which may be empty
    /// (RFC 792: 8 bytes behind the IP header have to be there, and those are UDP's own header).
    pub(crate) fn take_errors(&self, count_max: usize, mut take: impl FnMut(Flow, &[u8])) -> usize {
        let mut control =
            nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, libc::in6_pktinfo, libc::timespec, u32);
        let mut bytes = [0; QUOTED_BYTES_MAX];
        for count in 0..count_max {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let Ok(news) = recvmsg::<SockaddrStorage>(self.raw(), &mut slices, Some(&mut control), flags) else {
                return count;
            };
            let is_dead_end = news.cmsgs().is_ok_and(|mut parts| parts.any(|part| is_dead_end(&part)));
            let remote = news.address.as_ref().and_then(crate::sockets::reader::address).filter(|_| is_dead_end);
            if let Some(remote) = remote {
                take(Flow::udp(self.address, remote), news.iovs().next().unwrap_or_default());
            }
        }
        count_max
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether messages of this flow go out here.
    pub(crate) fn carries(&self, flow: &Flow) -> bool {
        let (ours, local) = (self.address, flow.local);
        ours.port() == local.port()
            && ours.is_ipv4() == local.is_ipv4()
            && (ours.ip().is_unspecified() || ours.ip() == local.ip())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// ICMP says that nobody is there, now or for longer. "Too large" (type 3 code 4) is no such news: it is sent in fragments.
fn is_dead_end(part: &ControlMessageOwned) -> bool {
    const DESTINATION_UNREACHABLE: u8 = 3;
    const FRAGMENTATION_NEEDED: u8 = 4;
    const DESTINATION_UNREACHABLE_V6: u8 = 1;
    match part {
        ControlMessageOwned::Ipv4RecvErr(error, _) => {
            error.ee_origin == libc::SO_EE_ORIGIN_ICMP
                && error.ee_type == DESTINATION_UNREACHABLE
                && error.ee_code != FRAGMENTATION_NEEDED
        }
        ControlMessageOwned::Ipv6RecvErr(error, _) => {
            error.ee_origin == libc::SO_EE_ORIGIN_ICMP6 && error.ee_type == DESTINATION_UNREACHABLE_V6
        }
        _ => false,
    }
}

/// As large as allowed: root may exceed the host's limit.
fn enlarge(socket: &Socket) {
    let forced = nix::sys::socket::setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER_BYTES)
        .and_then(|()| nix::sys::socket::setsockopt(socket, sockopt::SndBufForce, &SOCKET_BUFFER_BYTES));
    if forced.is_err() {
        // Less than asked for is no reason to stop.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    }
}

fn explain(address: SocketAddr, what: &'static str, source: io::Error) -> Error {
    match rustix::io::Errno::from_io_error(&source) {
        Some(rustix::io::Errno::ADDRINUSE) => Error::PortTaken { address },
        Some(rustix::io::Errno::ADDRNOTAVAIL) => Error::NoSuchAddress { address },
        Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => Error::NotPermitted { address },
        Some(rustix::io::Errno::AFNOSUPPORT) => Error::NoFamily { address },
        _ => Error::Listen { address, what, source },
    }
}

/// Binds all of them, once for each shard. A family that the host does not have is no mistake where the other one is
/// listened on as well.
pub(crate) fn bind_all(addresses: &[SocketAddr], shard_count: usize) -> Result<Vec<Vec<Listener>>, Error> {
    let mut shards: Vec<Vec<Listener>> = (0..shard_count).map(|_| Vec::with_capacity(addresses.len())).collect();
    let mut missing = None;
    for address in addresses {
        match bind_one(*address, shard_count) {
            Ok(listeners) => shards.iter_mut().zip(listeners).for_each(|(shard, listener)| shard.push(listener)),
            Err(error @ Error::NoFamily { .. }) if address.ip().is_unspecified() => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if shards.iter().all(Vec::is_empty) => Err(error),
        Some(error) => {
            tracing::warn!("{error}");
            Ok(shards)
        }
        None => Ok(shards),
    }
}

/// The sockets of all shards on one address.
fn bind_one(address: SocketAddr, shard_count: usize) -> Result<Vec<Listener>, Error> {
    let is_shared = shard_count > 1;
    if is_shared {
        // Sharing would hide that another program has this port.
        drop(Listener::bind(address, false)?);
    }
    let first = Listener::bind(address, is_shared)?;
    let chosen = first.address();
    std::iter::once(Ok(first)).chain((1..shard_count).map(|_| Listener::bind(chosen, true))).collect()
}

/// The addresses of this host.
pub(crate) fn host_addresses() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| interface.address);
    let ip = |address: nix::sys::socket::SockaddrStorage| {
        let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
    };
    addresses.filter_map(ip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_explained() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let words = Listener::bind(first.address(), false).unwrap_err().to_string();
        assert!(words.contains("ss -ulpn") && words.contains(&first.address().port().to_string()), "{words}");
        let words = Listener::bind("192.0.2.77:0".parse().unwrap(), false).unwrap_err().to_string();
        assert!(words.contains("ip -br address"), "{words}");
        for shard_count in [1, 3] {
            assert!(matches!(bind_all(&[first.address()], shard_count), Err(Error::PortTaken { .. })));
        }
    }

    #[test]
    fn every_shard_has_a_socket_on_every_address() {
        let addresses = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| address.parse().unwrap());
        let shards = bind_all(&addresses, 3).unwrap();
        let of = |shard: &Vec<Listener>| shard.iter().map(Listener::address).collect::<Vec<_>>();
        assert!(shards.len() == 3 && shards.iter().all(|shard| shard.len() == 2 && of(shard) == of(&shards[0])));
        assert!(matches!(bind_all(&[shards[0][0].address()], 1), Err(Error::PortTaken { .. })));
    }

    #[test]
    fn both_families_share_a_port() {
        let four = Listener::bind("0.0.0.0:0".parse().unwrap(), false).unwrap();
        let six = SocketAddr::new("::".parse().unwrap(), four.address().port());
        let Ok(six) = Listener::bind(six, false) else { return }; // a host without IPv6, or the port is taken there
        let flow = |local: &str, port| Flow::udp(SocketAddr::new(local.parse().unwrap(), port), six.address());
        let port = four.address().port();
        assert!(four.carries(&flow("127.0.0.1", port)) && !six.carries(&flow("127.0.0.1", port)));
        assert!(six.carries(&flow("::1", port)) && !six.carries(&flow("::1", port ^ 1)));
    }

    #[test]
    fn a_place_where_nobody_listens_is_told_of() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listeners = [listener];
        let local = listeners[0].address();
        let to = |remote| crate::sockets::datagrams::send_one(&listeners, &Flow::udp(local, remote), b"x");
        assert!(to(gone));
        // The next send goes to another peer and must not suffer.
        assert!(to(phone.local_addr().unwrap()) && phone.recv(&mut [0]).unwrap() == 1);
        let mut dead_ends = Vec::new();
        let told = listeners[0].take_errors(8, |flow, quoted| dead_ends.push((flow.remote, quoted.to_vec())));
        assert_eq!((told, dead_ends), (1, vec![(gone, b"x".to_vec())]));
        assert_eq!(listeners[0].take_errors(8, |_, _| panic!("told twice")), 0);
    }
}
