//! One `m=` section.

use crate::FORMAT_COUNT_MAX;
use crate::attribute::{Common, Connection, connection};
use crate::description::text;
use contract::{Codec, Direction};
use std::net::{IpAddr, SocketAddr};

/// Longest media type, transport or format that is repeated in an answer.
const TOKEN_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, Default)]
pub(crate) struct Media<'a> {
    pub(crate) kind: &'a str,
    pub(crate) port: u16,
    pub(crate) transport: &'a str,
    pub(crate) first_format: &'a str,
    pub(crate) common: Common,
    pub(crate) rtcp_mux: bool,
    rtcp: Option<(u16, Option<IpAddr>)>,
    formats: [Format; FORMAT_COUNT_MAX],
    format_count: usize,
}

/// A payload type and what it carries, where we know it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    pub(crate) payload_type: u8,
    pub(crate) codec: Option<Codec>,
}

impl<'a> Media<'a> {
    /// `audio 49170/2 RTP/AVP 0 8 101`.
    pub(crate) fn parse(value: &'a str, session: Common) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let (kind, port, transport) = (token(words.next()?)?, words.next()?, token(words.next()?)?);
        let port = port.split_once('/').map_or(port, |(first, _count)| first).parse().ok()?;
        let first_format = token(words.next()?)?;
        let mut media = Self { kind, port, transport, first_format, common: session, ..Self::default() };
        if media.is_rtp_audio() {
            for word in std::iter::once(first_format).chain(words).take(FORMAT_COUNT_MAX) {
                let payload_type = word.parse().ok().filter(|number| *number < 128)?;
                // RFC 3551 §6: these two numbers mean their codecs without an `a=rtpmap`.
                let codec = match payload_type {
                    0 => Some(Codec::Pcmu),
                    8 => Some(Codec::Pcma),
                    _ => None,
                };
                media.formats[media.format_count] = Format { payload_type, codec };
                media.format_count += 1;
            }
        }
        Some(media)
    }

    /// Takes an attribute's text; what is not known, or makes no sense, is ignored.
    pub(crate) fn attribute(&mut self, value: &[u8]) {
        if let Some(map) = value.strip_prefix(b"rtpmap:") {
            self.map(map);
        } else if let Some(rtcp) = value.strip_prefix(b"rtcp:") {
            self.rtcp = text(rtcp).and_then(rtcp_address).or(self.rtcp);
        } else if value == b"rtcp-mux" {
            self.rtcp_mux = true;
        } else {
            self.common.attribute(value);
        }
    }

    /// Audio over RTP without encryption, the one thing that we take.
    pub(crate) fn is_rtp_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio")
            && (self.transport.eq_ignore_ascii_case("RTP/AVP") || self.transport.eq_ignore_ascii_case("RTP/AVPF"))
    }

    pub(crate) fn formats(&self) -> &[Format] {
        &self.formats[..self.format_count]
    }

    /// Where RTP goes. The error: nowhere that we could send to.
    pub(crate) fn rtp(&self) -> Result<Option<SocketAddr>, ()> {
        match self.common.connection {
            Some(Connection::Ip(ip)) => Ok((self.port != 0).then(|| SocketAddr::new(ip, self.port))),
            Some(Connection::Hold | Connection::Nowhere) => Ok(None),
            Some(Connection::Unusable) | None => Err(()),
        }
    }

    /// Which ways it wants media to flow. Without a port or an address it takes nothing (RFC 3264 §8.4).
    pub(crate) fn direction(&self) -> Direction {
        let said = self.common.direction.unwrap_or(Direction::Both);
        match self.port == 0 || self.common.connection == Some(Connection::Hold) {
            false => said,
            true if said.sends() => Direction::Send,
            true => Direction::Inactive,
        }
    }

    /// Where RTCP goes: RFC 3605, or else one port above RTP.
    pub(crate) fn rtcp(&self) -> Option<SocketAddr> {
        let rtp = self.rtp().ok()??;
        match self.rtcp {
            Some((port, ip)) => Some(SocketAddr::new(ip.unwrap_or(rtp.ip()), port)),
            None => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
        }
    }

    /// `101 telephone-event/8000` or `0 PCMU/8000/1`.
    fn map(&mut self, value: &[u8]) {
        let Some((number, encoding)) = text(value).and_then(|value| value.trim().split_once(' ')) else { return };
        let Ok(number) = number.parse::<u8>() else { return };
        let mut parts = encoding.trim().split('/');
        let (name, rate) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let mono = parts.next().is_none_or(|channels| channels == "1");
        let known = [Codec::Pcmu, Codec::Pcma, Codec::TelephoneEvent]
            .into_iter()
            .find(|codec| mono && rate == "8000" && codec.name().eq_ignore_ascii_case(name));
        for format in &mut self.formats[..self.format_count] {
            if format.payload_type == number {
                format.codec = known;
            }
        }
    }
}

/// `49171` or `49171 IN IP4 192.0.2.1`.
fn rtcp_address(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let (port, rest) = value.trim().split_once(' ').map_or((value.trim(), None), |(port, rest)| (port, Some(rest)));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    match rest.map(connection) {
        None => Some((port, None)),
        Some(Some(Connection::Ip(ip))) => Some((port, Some(ip))),
        Some(_) => None,
    }
}

fn token(word: &str) -> Option<&str> {
    (word.len() <= TOKEN_BYTES_MAX && word.bytes().all(|byte| byte.is_ascii_graphic())).then_some(word)
}
