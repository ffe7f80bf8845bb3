//! What a multishot `recvmsg` leaves in a buffer: a header, the sender's name, control data, then the datagram.

use contract::Address;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of `struct io_uring_recvmsg_out`: four 32-bit numbers (name, control, payload lengths, flags).
const HEADER_BYTES: usize = 16;
/// Room for a `sockaddr_in6`, the longest name of our sockets.
pub(crate) const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();
/// Room for one `SCM_TIMESTAMPNS`: a control header and a `timespec`.
pub(crate) const CONTROL_BYTES: usize = 32;
/// Where the datagram starts.
pub(crate) const PAYLOAD_START: usize = HEADER_BYTES + NAME_BYTES + CONTROL_BYTES;

// The offsets below are those of 64-bit Linux.
const _: () = assert!(size_of::<libc::cmsghdr>() == 16 && size_of::<libc::timespec>() == 16 && NAME_BYTES == 28);

/// The facts of one received message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) from: Address,
    pub(crate) realtime_ns: Option<u64>,
    pub(crate) payload_bytes: u16,
    pub(crate) truncated: bool,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}

impl Message {
    /// Reads what the kernel wrote; `None` when it is shorter than its own header, which no kernel does.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; PAYLOAD_START] = bytes.first_chunk()?;
        let flags = u32_at(head, 12) as i32;
        Some(Self {
            from: name(head.get(HEADER_BYTES..HEADER_BYTES + NAME_BYTES)?, u32_at(head, 0) as usize),
            realtime_ns: timestamp(&head[HEADER_BYTES + NAME_BYTES..], u32_at(head, 4) as usize),
            payload_bytes: (bytes.len() - PAYLOAD_START) as u16,
            truncated: flags & libc::MSG_TRUNC != 0,
        })
    }
}

fn name(name: &[u8], bytes: usize) -> Address {
    let family = i32::from(u16::from_ne_bytes([name[0], name[1]]));
    let port = u16::from_be_bytes([name[2], name[3]]);
    if family == libc::AF_INET6 && bytes >= NAME_BYTES {
        let ip: [u8; 16] = name[8..24].try_into().unwrap_or_default();
        SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, u32_at(name, 24))).into()
    } else if family == libc::AF_INET && bytes >= size_of::<libc::sockaddr_in>() {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(name[4], name[5], name[6], name[7]), port)).into()
    } else {
        Address::NONE
    }
}

fn timestamp(control: &[u8], bytes: usize) -> Option<u64> {
    if bytes < CONTROL_BYTES || control.len() < CONTROL_BYTES {
        return None;
    }
    let (level, kind) = (u32_at(control, 8) as i32, u32_at(control, 12) as i32);
    (level == libc::SOL_SOCKET && kind == libc::SCM_TIMESTAMPNS)
        .then(|| u64_at(control, 16).wrapping_mul(1_000_000_000).wrapping_add(u64_at(control, 24)))
}

/// A socket address as the kernel wants it, for sockets of one family.
#[derive(Clone, Copy)]
pub(crate) union Name {
    pub(crate) v4: libc::sockaddr_in,
    pub(crate) v6: libc::sockaddr_in6,
}

impl Name {
    /// For a dual-stack socket IPv4 is mapped into IPv6; `None` where an IPv4 socket cannot reach an IPv6 address.
    pub(crate) fn new(address: SocketAddr, ipv6_socket: bool) -> Option<(Self, libc::socklen_t)> {
        let (ip, scope_id) = match address {
            SocketAddr::V4(v4) if !ipv6_socket => return Some(Self::v4(v4)),
            SocketAddr::V6(_) if !ipv6_socket => return None,
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        let v6 = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: address.port().to_be(),
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
            sin6_scope_id: scope_id,
        };
        Some((Self { v6 }, size_of::<libc::sockaddr_in6>() as libc::socklen_t))
    }

    fn v4(address: SocketAddrV4) -> (Self, libc::socklen_t) {
        let v4 = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
            sin_zero: [0; 8],
        };
        (Self { v4 }, size_of::<libc::sockaddr_in>() as libc::socklen_t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_empty_messages_are_no_trouble() {
        assert_eq!(Message::read(&[0; PAYLOAD_START - 1]), None);
        let empty = Message::read(&[0; PAYLOAD_START]).unwrap();
        assert_eq!((empty.from, empty.realtime_ns, empty.payload_bytes), (Address::NONE, None, 0));
    }

    #[test]
    fn an_ipv4_socket_has_no_name_for_ipv6() {
        assert!(Name::new("[2001:db8::1]:4000".parse().unwrap(), false).is_none());
        assert!(Name::new("[2001:db8::1]:4000".parse().unwrap(), true).is_some());
        assert!(Name::new("192.0.2.1:4000".parse().unwrap(), true).is_some());
    }
}
