//! Session descriptions of phones: one stream of PCMU, a direction, and telephone events where the phone has them.

use sip_wire::Message;
use std::net::{IpAddr, SocketAddr};

/// The payload type of telephone events (RFC 4733) in every description of a phone.
pub(in crate::system) const EVENT_PAYLOAD: u8 = 101;

/// Which ways media flow, seen from the side that says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::system) struct Ways {
    pub(in crate::system) sends: bool,
    pub(in crate::system) receives: bool,
}

impl Ways {
    pub(in crate::system) const BOTH: Self = Self { sends: true, receives: true };
    pub(in crate::system) const NONE: Self = Self { sends: false, receives: false };

    /// What is left of these ways when the peer wants those (RFC 3264 §6.1).
    pub(in crate::system) fn limited_by(self, peer: Self) -> Self {
        Self { sends: self.sends && peer.receives, receives: self.receives && peer.sends }
    }

    /// Whether these are no more than those.
    pub(in crate::system) fn is_within(self, other: Self) -> bool {
        (!self.sends || other.sends) && (!self.receives || other.receives)
    }

    fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }
}

/// What a phone and the switch have told each other about the direction of a call, as the phone knows it (RFC 3264 §8.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::system) struct Directions {
    /// What the phone wants by its last change that was accepted.
    pub(in crate::system) wants: Ways,
    /// What the switch has said last, seen from the switch.
    pub(in crate::system) told: Ways,
    /// The switch is known to have both: no change of the phone is on its way, and the last answer of the phone has arrived.
    pub(in crate::system) is_settled: bool,
}

impl Directions {
    pub(in crate::system) const BOTH: Self = Self { wants: Ways::BOTH, told: Ways::BOTH, is_settled: true };

    /// Which ways media flow, seen from the phone; none while that may be changing.
    pub(in crate::system) fn flow(self) -> Ways {
        if self.is_settled { self.wants.limited_by(self.told) } else { Ways::NONE }
    }
}

/// What the peer of a phone says of its media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::system) struct Description {
    pub(in crate::system) rtp: SocketAddr,
    pub(super) ways: Ways,
    pub(super) has_events: bool,
}

impl Description {
    /// The description in a message; `None` where there is none, or its stream is refused.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let message = Message::parse(message).ok()?;
        let text = std::str::from_utf8(message.body()).ok()?;
        let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
        let ip: IpAddr = line("c=IN IP4 ")?.trim().parse().ok()?;
        let media = line("m=audio ")?;
        let port = media.split(' ').next()?.parse().ok().filter(|port| *port != 0)?;
        let says = |name: &str| text.lines().any(|line| line.strip_prefix("a=") == Some(name));
        let ways =
            Ways { sends: !says("recvonly") && !says("inactive"), receives: !says("sendonly") && !says("inactive") };
        let has_events = text.contains("telephone-event");
        Some(Self { rtp: SocketAddr::new(ip, port), ways, has_events })
    }
}

/// A description of a phone whose RTP comes to `rtp`.
pub(super) fn write(rtp: SocketAddr, version: u32, ways: Ways, has_events: bool) -> Vec<u8> {
    let (ip, port, direction) = (rtp.ip(), rtp.port(), ways.name());
    let (payload, lines) = match has_events {
        true => (
            format!(" {EVENT_PAYLOAD}"),
            format!("a=rtpmap:{EVENT_PAYLOAD} telephone-event/8000\r\na=fmtp:{EVENT_PAYLOAD} 0-15\r\n"),
        ),
        false => (String::new(), String::new()),
    };
    format!(
        "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0{payload}\r\n\
         a=rtpmap:0 PCMU/8000\r\n{lines}a={direction}\r\n"
    )
    .into_bytes()
}
