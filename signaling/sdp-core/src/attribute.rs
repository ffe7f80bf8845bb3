//! Attributes and connection lines that may stand at both levels.

use crate::description::text;
use contract::Direction;
use std::net::IpAddr;

/// What a session says for all its media, unless they say otherwise.
#[derive(Clone, Copy, Default)]
pub(crate) struct Common {
    pub(crate) connection: Option<Connection>,
    pub(crate) direction: Option<Direction>,
    pub(crate) ptime_ms: Option<u16>,
    pub(crate) maxptime_ms: Option<u16>,
}

/// Where media is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    /// An address to send to.
    Ip(IpAddr),
    /// `0.0.0.0` or `::`: the peer wants nothing now (RFC 3264 §8.4).
    Hold,
    /// An IPv4 group without the TTL that makes it a multicast session (RFC 8866 §5.7), or everybody: nothing that we send
    /// to, but no reason to refuse a call. Media goes to where the peer's comes from.
    Nowhere,
    /// A name or a group of receivers: nothing that we send to.
    Unusable,
}

impl Common {
    /// Takes an attribute's text; what is not known, or makes no sense, is ignored (RFC 8866 §5.13).
    pub(crate) fn attribute(&mut self, value: &[u8]) {
        match value {
            b"sendrecv" => self.direction = Some(Direction::Both),
            b"sendonly" => self.direction = Some(Direction::Send),
            b"recvonly" => self.direction = Some(Direction::Receive),
            b"inactive" => self.direction = Some(Direction::Inactive),
            _ => {
                if let Some(number) = value.strip_prefix(b"ptime:") {
                    self.ptime_ms = milliseconds(number).or(self.ptime_ms);
                } else if let Some(number) = value.strip_prefix(b"maxptime:") {
                    self.maxptime_ms = milliseconds(number).or(self.maxptime_ms);
                }
            }
        }
    }

    /// The packet time that we send with: what the peer asks for, within what it can take and what we can make.
    pub(crate) fn packet_ms(&self) -> u8 {
        const MADE: [u8; 5] = [60, 40, 30, 20, 10];
        const USUAL: u16 = 20;
        let most = self.maxptime_ms.unwrap_or(u16::MAX).min(self.ptime_ms.unwrap_or(USUAL));
        MADE.into_iter().find(|made| u16::from(*made) <= most).unwrap_or(10)
    }
}

fn milliseconds(number: &[u8]) -> Option<u16> {
    text(number)?.trim().parse().ok().filter(|number| *number > 0)
}

/// `IN IP4 192.0.2.1`, with a TTL or a count of addresses for multicast. `None` where it is malformed.
pub(crate) fn connection(value: &str) -> Option<Connection> {
    let mut words = value.split_ascii_whitespace();
    let (net, family, address) = (words.next()?, words.next()?, words.next()?);
    let is_ip = net.eq_ignore_ascii_case("IN") && matches!(family, "IP4" | "IP6" | "ip4" | "ip6");
    if words.next().is_some() {
        return None;
    }
    let host = address.split('/').next().unwrap_or(address);
    Some(match host.parse::<IpAddr>() {
        Ok(ip) if is_ip && ip.is_unspecified() => Connection::Hold,
        Ok(ip) if is_ip && host.len() == address.len() && can_receive(ip) => Connection::Ip(ip.to_canonical()),
        Ok(ip) if is_ip && host.len() == address.len() && ip.is_ipv4() => Connection::Nowhere,
        _ => Connection::Unusable,
    })
}

/// Neither a group nor everybody: RTP that we could be talked into sending there would hit strangers.
fn can_receive(ip: IpAddr) -> bool {
    !ip.is_multicast() && !matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}
