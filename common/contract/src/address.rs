use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An IP address and a UDP port; IPv4 is kept as IPv4-mapped IPv6. Port 0 says "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Address {
    ip: [u8; 16],
    scope_id: u32,
    port: u16,
    reserved: u16,
}

impl Address {
    /// No address.
    pub const NONE: Address = Address { ip: [0; 16], scope_id: 0, port: 0, reserved: 0 };

    /// The socket address, IPv4 as IPv4; `None` where there is none.
    pub fn get(self) -> Option<SocketAddr> {
        if self.port == 0 {
            return None;
        }
        let ip = Ipv6Addr::from(self.ip);
        Some(match ip.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), self.port),
            None => SocketAddr::V6(SocketAddrV6::new(ip, self.port, 0, self.scope_id)),
        })
    }

    /// Whether both are on one host.
    pub fn is_beside(self, other: Address) -> bool {
        let scopes = self.scope_id == other.scope_id || self.scope_id == 0 || other.scope_id == 0;
        self.ip == other.ip && scopes && !self.is_none() && !other.is_none()
    }

    /// Whether both name one place. A session description cannot say the scope of a link-local address (RFC 4007 §6), so
    /// that the one that the kernel adds to a source does not count where the other has none.
    pub fn is_at(self, other: Address) -> bool {
        self.port == other.port && self.is_beside(other)
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self.port == 0
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let (ip, scope_id) = match address {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        Self { ip: ip.octets(), scope_id, port: address.port(), reserved: 0 }
    }
}

impl From<Option<SocketAddr>> for Address {
    fn from(address: Option<SocketAddr>) -> Self {
        address.map_or(Self::NONE, Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_come_back_as_they_went() {
        for text in ["192.0.2.1:4000", "[2001:db8::1]:5060"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Address::from(address).get(), Some(address));
        }
        assert_eq!(Address::from(None).get(), None);
    }

    #[test]
    fn one_place_by_any_of_its_names() {
        let address = |text: &str| Address::from(text.parse::<SocketAddr>().unwrap());
        let scoped = |port| Address::from(SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), port, 0, 3)));
        for (one, other) in [("192.0.2.1:4000", "[::ffff:192.0.2.1]:4000"), ("[2001:db8::1]:40", "[2001:db8::1]:40")] {
            assert!(address(one).is_at(address(other)) && address(other).is_at(address(one)));
        }
        assert!(scoped(40).is_at(address("[fe80::1]:40")) && !scoped(40).is_at(address("[fe80::1]:42")));
        assert!(scoped(40).is_beside(address("[fe80::1]:42")) && !scoped(40).is_beside(address("[fe80::2]:40")));
        assert!(!Address::NONE.is_at(Address::NONE) && !address("192.0.2.1:1").is_at(address("192.0.2.1:2")));
    }
}
