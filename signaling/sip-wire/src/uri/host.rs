//! Host and port, as they stand in a URI or in a Via.

use crate::scan;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where something is: a name to resolve or an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host<'a> {
    /// A domain name, as it came.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; on the wire it stands in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// A host name, an IPv4 address or an IPv6 reference in brackets.
    pub fn parse(bytes: &'a [u8]) -> Option<Host<'a>> {
        if let [b'[', inner @ .., b']'] = bytes {
            return ipv6(inner).map(Host::V6);
        }
        if scan::all(bytes, scan::HOST) { Self::of_host_bytes(bytes) } else { None }
    }

    /// As [`Host::parse`], of bytes that are known to be of [`scan::HOST`].
    #[inline]
    fn of_host_bytes(bytes: &'a [u8]) -> Option<Host<'a>> {
        let last = bytes.last()?;
        if last.is_ascii_digit()
            && let Some(ip) = ipv4(bytes)
        {
            return Some(Host::V4(ip));
        }
        text(bytes).map(Host::Name)
    }

    /// The address, unless it is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(ip) => Some(IpAddr::V4(*ip)),
            Host::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }

    /// As text, an IPv6 address without its brackets.
    pub fn bare(&self) -> String {
        self.ip().map_or_else(|| self.to_string(), |ip| ip.to_string())
    }

    /// The same host: addresses by value, names without case (RFC 3261 §19.1.4).
    pub fn same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Host::V4(a), Host::V4(b)) => a == b,
            (Host::V6(a), Host::V6(b)) => a == b,
            _ => false,
        }
    }
}

/// Four decimal numbers up to 255; written here because leading zeros must not turn into a name.
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let (mut index, mut value, mut digits) = (0, 0u16, 0);
    for &byte in bytes {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && value < 256 && index < 3 => {
                octets[index] = value as u8;
                index += 1;
                (value, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = u8::try_from(value).ok()?;
    (index == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

/// Three colons before an IPv4 tail are a slip in the grammar of RFC 3261; some send them (RFC 5118 §4.10).
fn ipv6(bytes: &[u8]) -> Option<Ipv6Addr> {
    let Some(at) = bytes.windows(3).position(|w| w == b":::") else { return text(bytes)?.parse().ok() };
    let mut fixed = [0u8; 45];
    let size = bytes.len() - 1;
    fixed.get_mut(..at)?.copy_from_slice(&bytes[..at]);
    fixed.get_mut(at..size)?.copy_from_slice(&bytes[at + 1..]);
    text(&fixed[..size])?.parse().ok()
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// Splits off `host[:port]` without any white space, as a URI has it; gives what follows too.
#[inline]
pub(crate) fn split_host_port(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>, &[u8])> {
    let (host, rest) = split_host(bytes)?;
    let [b':', rest @ ..] = rest else { return Some((host, None, rest)) };
    let digits = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (port, rest) = rest.split_at(digits);
    Some((host, Some(scan::number(port, u64::from(u16::MAX))? as u16), rest))
}

fn split_host(bytes: &[u8]) -> Option<(Host<'_>, &[u8])> {
    if let [b'[', ..] = bytes {
        let (host, rest) = bytes.split_at(memchr::memchr(b']', bytes)? + 1);
        return Some((Host::parse(host)?, rest));
    }
    let (host, rest) = scan::take(bytes, scan::HOST);
    Some((Host::of_host_bytes(host)?, rest))
}

/// As [`split_host_port`], with white space allowed around the colon and behind the port as a Via has it (RFC 3261 §25.1,
/// COLON).
pub(crate) fn split_sent_by(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>, &[u8])> {
    let (host, rest) = split_host(bytes)?;
    let rest = scan::trim_start(rest);
    let [b':', rest @ ..] = rest else { return Some((host, None, rest)) };
    let rest = scan::trim_start(rest);
    let digits = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (port, rest) = rest.split_at(digits);
    Some((host, Some(scan::number(port, u64::from(u16::MAX))? as u16), scan::trim_start(rest)))
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(ip) => write!(f, "{ip}"),
            Host::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_host_port(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
        split_sent_by(bytes).filter(|(_, _, rest)| rest.is_empty()).map(|(host, port, _)| (host, port))
    }

    #[test]
    fn names_addresses_and_ports() {
        assert_eq!(parse_host_port(b"a-b.example.com"), Some((Host::Name("a-b.example.com"), None)));
        assert_eq!(parse_host_port(b"192.0.2.1 : 5061"), Some((Host::V4(Ipv4Addr::new(192, 0, 2, 1)), Some(5061))));
        let (v6, port) = parse_host_port(b"[2001:db8::9:1]:6050").unwrap();
        assert_eq!((v6.to_string().as_str(), port), ("[2001:db8::9:1]", Some(6050)));
        assert_eq!(parse_host_port(b"[::ffff:192.0.2.10]").unwrap().0.to_string(), "[::ffff:192.0.2.10]");
    }

    #[test]
    fn broken_ones_are_refused() {
        for bad in [&b""[..], b":5060", b"a:", b"a:65536", b"a:-1", b"[::1", b"::1", b"[x]", b"a b", b"a,b", b"a:5060x"]
        {
            assert_eq!(parse_host_port(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
