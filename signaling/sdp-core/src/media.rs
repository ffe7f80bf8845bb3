//! One `m=` section.

use crate::attribute::{Common, Connection, connection};
use crate::description::{lines, text};
use crate::format::{RelayedFormat, static_format};
use crate::opus::OpusFmtp;
use crate::{FORMAT_COUNT_MAX, SdpError};
use contract::{ClockRate, Codec, Direction, OpusParameters};
use std::net::{IpAddr, SocketAddr};

/// Longest media type, transport or format that is repeated in an answer.
const TOKEN_BYTES_MAX: usize = 64;
/// The transport of a line that names none.
const USUAL_TRANSPORT: &str = "RTP/AVP";
/// The clock rate of all codecs that we know, for an `a=rtpmap` that names none.
const USUAL_RATE: &str = "8000";

#[derive(Clone, Copy, Default)]
pub(crate) struct Media<'a> {
    pub(crate) kind: &'a str,
    pub(crate) port: u16,
    pub(crate) transport: &'a str,
    pub(crate) first_format: &'a str,
    pub(crate) common: Common,
    pub(crate) rtcp_mux: bool,
    /// It has a `c=` line of its own, which counts more than the session's.
    has_connection: bool,
    rtcp: Option<(u16, Option<IpAddr>)>,
    /// The description from the lines of this section on, and from its start where that has an `a=rtpmap` for all sections.
    rest: &'a [u8],
    session: &'a [u8],
    formats: [Format; FORMAT_COUNT_MAX],
    format_count: usize,
}

/// A payload type and what it carries, where we know it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    pub(crate) payload_type: u8,
    pub(crate) codec: Option<Codec>,
    /// Of the codec.
    pub(crate) clock: ClockRate,
    /// What `a=fmtp` says, read as that of Opus.
    pub(crate) opus: OpusParameters,
}

impl<'a> Media<'a> {
    /// `audio 49170/2 RTP/AVP 0 8 101`. A line that lacks a port is switched off, one that lacks formats has nothing that we
    /// could take: both are refused in their place like any other.
    pub(crate) fn parse(value: &'a str, session: Common) -> Option<Self> {
        let mut words = value.split_ascii_whitespace().peekable();
        let kind = token(words.next()?)?;
        let port = words.next_if(|word| !word.starts_with(|first: char| first.is_ascii_alphabetic()));
        let port = port.and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or(0);
        let transport = words.next().map_or(Some(USUAL_TRANSPORT), token)?;
        let is_rtp = transport.to_ascii_uppercase().contains("RTP/");
        let first_format = words.peek().and_then(|word| token(word)).unwrap_or(if is_rtp { "0" } else { "*" });
        let mut media = Self { kind, port, transport, first_format, common: session, ..Self::default() };
        if media.is_rtp_audio() {
            for payload_type in words.filter_map(|word| word.parse().ok()).filter(|number| *number < 128) {
                if media.format_count == FORMAT_COUNT_MAX {
                    break;
                }
                // RFC 3551 §6: these numbers mean their codecs without an `a=rtpmap`.
                let codec = Codec::ALL.into_iter().find(|codec| codec.static_payload_type() == Some(payload_type));
                let clock = codec.map(Codec::clock_rate).unwrap_or_default();
                media.formats[media.format_count] = Format { payload_type, codec, clock, ..Format::default() };
                media.format_count += 1;
            }
        }
        Some(media)
    }

    /// Some peers put `a=rtpmap` before the first media line: it holds for all of them.
    pub(crate) fn take_session_maps(&mut self, description: &'a [u8]) {
        self.session = description;
        for line in lines(description).take_while(|line| !line.starts_with(b"m=")) {
            if let Some(map) = line.strip_prefix(b"a=rtpmap:") {
                self.map(map);
            }
        }
    }

    /// The lines of the section begin here.
    pub(crate) fn lines_from(&mut self, rest: &'a [u8]) {
        self.rest = rest;
    }

    /// What a payload type carries that is no codec of ours, where it can be relayed.
    pub(crate) fn relayed(&self, format: &Format) -> Option<RelayedFormat> {
        let number = format.payload_type;
        let last = |text: &'a [u8], kind: &str| {
            let values = lines(text).take_while(|line| !line.starts_with(b"m=")).filter_map(|line| {
                let line = line.strip_prefix(b"a=")?.strip_prefix(kind.as_bytes())?;
                let (own, value) = self::text(line)?.trim_start().split_once(' ')?;
                own.parse().is_ok_and(|own: u8| own == number).then(|| value.trim())
            });
            values.last()
        };
        let of = |kind: &str| last(self.rest, kind).or_else(|| last(self.session, kind));
        let encoding = match of("rtpmap:") {
            Some(map) => encoding(map)?,
            None => static_format(number)?,
        };
        RelayedFormat::read(number, encoding, of("fmtp:").unwrap_or(""))
    }

    /// Takes a `c=` line. Of several the first counts: further ones are for layers of a multicast session (RFC 8866 §5.7).
    pub(crate) fn connection(&mut self, value: &str) {
        if !std::mem::replace(&mut self.has_connection, true) {
            self.common.connection = Some(connection(value));
        }
    }

    /// Takes an attribute's text; what is not known, or makes no sense, is ignored.
    pub(crate) fn attribute(&mut self, value: &[u8]) {
        if let Some(map) = value.strip_prefix(b"rtpmap:") {
            self.map(map);
        } else if let Some(parameters) = value.strip_prefix(b"fmtp:") {
            self.parameters(parameters);
        } else if let Some(rtcp) = value.strip_prefix(b"rtcp:") {
            self.rtcp = text(rtcp).and_then(rtcp_address).or(self.rtcp);
        } else if value.trim_ascii().eq_ignore_ascii_case(b"rtcp-mux") {
            self.rtcp_mux = true;
        } else {
            self.common.attribute(value);
        }
    }

    pub(crate) fn is_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio")
    }

    /// Audio over RTP without encryption, the one thing that we take.
    pub(crate) fn is_rtp_audio(&self) -> bool {
        self.is_audio()
            && (self.transport.eq_ignore_ascii_case("RTP/AVP") || self.transport.eq_ignore_ascii_case("RTP/AVPF"))
    }

    pub(crate) fn formats(&self) -> &[Format] {
        &self.formats[..self.format_count]
    }

    /// Where RTP goes, by the address that signaling came from where the description has a name that we do not look up. It is
    /// an error when the address is a multicast group, or when no connection line says where (RFC 8866 §5.7).
    pub(crate) fn rtp(&self, source: Option<IpAddr>) -> Result<Option<SocketAddr>, SdpError> {
        let ip = match self.common.connection {
            Some(Connection::Ip(ip)) => Some(ip),
            Some(Connection::Hold | Connection::Nowhere) => None,
            Some(Connection::Unknown) => source,
            None if self.port == 0 => None,
            None => return Err(SdpError::NoConnection),
            Some(Connection::Multicast) => return Err(SdpError::NoUnicast),
        };
        Ok(ip.filter(|_| self.port != 0).map(|ip| SocketAddr::new(ip, self.port)))
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
    pub(crate) fn rtcp(&self, source: Option<IpAddr>) -> Option<SocketAddr> {
        let rtp = self.rtp(source).ok()??;
        match self.rtcp {
            Some((port, ip)) => Some(SocketAddr::new(ip.unwrap_or(rtp.ip()), port)),
            None => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
        }
    }

    /// `101 telephone-event/8000` or `0 PCMU/8000/1`.
    fn map(&mut self, value: &[u8]) {
        let mut words = text(value).unwrap_or("").split_ascii_whitespace();
        let (Some(number), Some(named)) = (words.next(), words.next()) else { return };
        let Ok(number) = number.parse::<u8>() else { return };
        let Some((name, hz, channels)) = encoding(named) else { return self.clear(number) };
        let clock = ClockRate::from_hz(hz);
        let known = Codec::ALL.into_iter().filter(|codec| *codec != Codec::Other).find(|codec| {
            let has_clock = *codec == Codec::TelephoneEvent || clock == Some(codec.clock_rate());
            has_clock && channels == codec.channel_count() && codec.name().eq_ignore_ascii_case(name)
        });
        for format in &mut self.formats[..self.format_count] {
            if format.payload_type == number {
                (format.codec, format.clock) = (known.filter(|_| clock.is_some()), clock.unwrap_or_default());
            }
        }
    }

    /// What the number carries makes no sense.
    fn clear(&mut self, number: u8) {
        for format in self.formats[..self.format_count].iter_mut().filter(|format| format.payload_type == number) {
            format.codec = None;
        }
    }

    /// `111 minptime=10;useinbandfec=1`.
    fn parameters(&mut self, value: &[u8]) {
        let Some((number, parameters)) = text(value).and_then(|text| text.trim_start().split_once(' ')) else { return };
        let Ok(number) = number.parse::<u8>() else { return };
        for format in self.formats[..self.format_count].iter_mut().filter(|format| format.payload_type == number) {
            format.opus = OpusFmtp::parse(parameters).parameters();
        }
    }
}

/// `PCMU/8000/1`: name, clock in Hz and channels.
fn encoding(map: &str) -> Option<(&str, u32, u8)> {
    let mut parts = map.split_ascii_whitespace().next()?.split('/');
    let (name, rate) = (parts.next()?, parts.next().unwrap_or(USUAL_RATE));
    Some((name, rate.parse().ok()?, parts.next().map_or(Some(1), |channels| channels.parse().ok())?))
}

/// `49171` or `49171 IN IP4 192.0.2.1`.
fn rtcp_address(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let (port, rest) = value.trim().split_once(' ').map_or((value.trim(), None), |(port, rest)| (port, Some(rest)));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    match rest.map(connection) {
        None => Some((port, None)),
        Some(Connection::Ip(ip)) => Some((port, Some(ip))),
        Some(_) => None,
    }
}

fn token(word: &str) -> Option<&str> {
    (word.len() <= TOKEN_BYTES_MAX && word.bytes().all(|byte| byte.is_ascii_graphic())).then_some(word)
}
