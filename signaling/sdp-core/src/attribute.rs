//! Attributes and connection lines that may stand at both levels.

use crate::description::text;
use crate::negotiated::direction_name;
use contract::Direction;
use std::net::IpAddr;
use std::num::NonZeroU16;

/// How much audio a peer wants in one packet, as its description says; none: it does not say (RFC 8866 §6.4, §6.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packets {
    /// `a=ptime`, in milliseconds.
    pub ptime_ms: Option<NonZeroU16>,
    /// `a=maxptime`, in milliseconds.
    pub maxptime_ms: Option<NonZeroU16>,
}

/// Packet times that a description may ask for, in milliseconds.
const PACKET_TIMES_MS: std::ops::RangeInclusive<u16> = 3..=400;

/// What a session says for all its media, unless they say otherwise.
#[derive(Clone, Copy, Default)]
pub(crate) struct Common {
    pub(crate) connection: Option<Connection>,
    pub(crate) direction: Option<Direction>,
    pub(crate) packets: Packets,
    /// `a=rtcp-xr` asks for VoIP metrics (RFC 3611 §5.1).
    pub(crate) asks_voip_metrics: bool,
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
    /// A host name, which nothing here looks up, or a line that makes no sense: media goes to where the peer's signaling
    /// comes from.
    Unknown,
    /// A multicast session: strangers take part in it.
    Multicast,
}

impl Common {
    /// Takes an attribute's text; what is not known, or makes no sense, is ignored (RFC 8866 §5.13).
    pub(crate) fn attribute(&mut self, value: &[u8]) {
        const DIRECTIONS: [Direction; 4] = [Direction::Both, Direction::Send, Direction::Receive, Direction::Inactive];
        let value = value.trim_ascii();
        let is = |direction: &Direction| value.eq_ignore_ascii_case(direction_name(*direction).as_bytes());
        if let Some(direction) = DIRECTIONS.into_iter().find(is) {
            self.direction = Some(direction);
        } else if let Some(number) = value.strip_prefix(b"ptime:") {
            self.packets.ptime_ms = milliseconds(number).or(self.packets.ptime_ms);
        } else if let Some(number) = value.strip_prefix(b"maxptime:") {
            self.packets.maxptime_ms = milliseconds(number).or(self.packets.maxptime_ms);
        } else if let Some(formats) = value.strip_prefix(b"rtcp-xr") {
            self.asks_voip_metrics |= asks_voip_metrics(formats);
        }
    }
}

/// Whether the formats behind `rtcp-xr` have VoIP metrics: `:rcvr-rtt=all voip-metrics`. None at all ask for none.
fn asks_voip_metrics(formats: &[u8]) -> bool {
    let formats = text(formats).and_then(|formats| formats.strip_prefix(':')).unwrap_or("");
    formats.split_ascii_whitespace().any(|format| format.eq_ignore_ascii_case("voip-metrics"))
}

impl Packets {
    /// This many milliseconds in a packet.
    pub(crate) fn of(ptime_ms: u8) -> Self {
        Self { ptime_ms: NonZeroU16::new(ptime_ms.into()), maxptime_ms: None }
    }

    /// The packet time that we send with: what the peer asks for, within what it can take and what we can make.
    pub(crate) fn made_ms(self) -> u8 {
        const MADE: [u8; 5] = [60, 40, 30, 20, 10];
        const USUAL: u16 = 20;
        let most = self.maxptime_ms.map_or(u16::MAX, NonZeroU16::get).min(self.ptime_ms.map_or(USUAL, NonZeroU16::get));
        MADE.into_iter().find(|made| u16::from(*made) <= most).unwrap_or(10)
    }
}

fn milliseconds(number: &[u8]) -> Option<NonZeroU16> {
    // No codec makes packets outside of these; what is said beyond them counts as not said.
    text(number)?.trim().parse().ok().filter(|ms: &NonZeroU16| PACKET_TIMES_MS.contains(&ms.get()))
}

/// `IN IP4 192.0.2.1`, with a TTL or a count of addresses for multicast. Words after it are not looked at.
pub(crate) fn connection(value: &str) -> Connection {
    let mut words = value.split_ascii_whitespace();
    let (net, family, address) = (words.next(), words.next(), words.next());
    let is_ip = net.is_some_and(|net| net.eq_ignore_ascii_case("IN"))
        && family.is_some_and(|family| family.eq_ignore_ascii_case("IP4") || family.eq_ignore_ascii_case("IP6"));
    let Some(address) = address.filter(|_| is_ip) else { return Connection::Unknown };
    let host = address.split('/').next().unwrap_or(address);
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Connection::Hold,
        Ok(ip) if can_receive(ip) => Connection::Ip(ip.to_canonical()),
        Ok(ip) if host.len() == address.len() && ip.is_ipv4() => Connection::Nowhere,
        Ok(_) => Connection::Multicast,
        Err(_) => Connection::Unknown,
    }
}

/// Neither a group nor everybody: RTP that we could be talked into sending there would hit strangers.
fn can_receive(ip: IpAddr) -> bool {
    !ip.is_multicast() && !matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}
