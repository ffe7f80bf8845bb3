//! Via (RFC 3261 §20.42, RFC 3581, RFC 7118).

use crate::uri::host::split_sent_by;
use crate::{Host, Params, scan};
use core::fmt;
use core::net::IpAddr;

/// The transport of a Via.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SCTP.
    Sctp,
    /// TLS over SCTP.
    TlsSctp,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// Any other token; [`Via::transport_raw`] has it.
    Other,
}

impl Transport {
    /// Reads the token, in any case.
    pub fn parse(token: &[u8]) -> Transport {
        const KNOWN: [Transport; 7] = [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Wss,
            Transport::Ws,
            Transport::Sctp,
            Transport::TlsSctp,
        ];
        KNOWN.into_iter().find(|t| t.as_str().as_bytes().eq_ignore_ascii_case(token)).unwrap_or(Transport::Other)
    }

    /// The token of a Via; empty for [`Transport::Other`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Sctp => "SCTP",
            Transport::TlsSctp => "TLS-SCTP",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
            Transport::Other => "",
        }
    }

    /// Whether the transport delivers or says that it did not.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp | Transport::Other)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The start of every branch that RFC 3261 §8.1.1.7 makes.
pub const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// One value of Via.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    raw: &'a [u8],
    /// The transport.
    pub transport: Transport,
    transport_raw: &'a [u8],
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value; `None` when it breaks the grammar.
    pub fn parse(value: &'a [u8]) -> Option<Via<'a>> {
        let raw = scan::trim(value);
        let (protocol, rest) = scan::take(raw, scan::TOKEN);
        let (version, rest) = scan::take(after_slash(rest)?, scan::TOKEN);
        let (transport_raw, rest) = scan::take(after_slash(rest)?, scan::TOKEN);
        if protocol.is_empty() || version.is_empty() || transport_raw.is_empty() {
            return None;
        }
        let sent_by = scan::trim_start(rest);
        if sent_by.len() == rest.len() {
            return None; // no white space between transport and sent-by
        }
        let (host, port, params) = split_sent_by(sent_by)?;
        let params = Params::parse(params)?;
        Some(Via { raw, transport: Transport::parse(transport_raw), transport_raw, host, port, params })
    }

    /// The value as it came, trimmed.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The transport token as it came.
    pub fn transport_raw(&self) -> &'a [u8] {
        self.transport_raw
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch").filter(|b| !b.is_empty())
    }

    /// The branch, if it is one that RFC 3261 §17.2.3 lets match transactions: the cookie and more.
    pub fn rfc3261_branch(&self) -> Option<&'a [u8]> {
        self.branch().filter(|b| {
            let cookie = BRANCH_COOKIE.len();
            b.len() > cookie && b[..cookie].eq_ignore_ascii_case(BRANCH_COOKIE)
        })
    }

    /// The `received` parameter; IPv6 with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        address(self.params.get("received")?)
    }

    /// The `rport` parameter: `None` absent, `Some(None)` asked for, `Some(Some(port))` filled in (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        let param = self.params.find("rport")?;
        Some(param.value.and_then(|v| scan::number(v, u64::from(u16::MAX))).map(|v| v as u16))
    }

    /// The `maddr` parameter.
    pub fn maddr(&self) -> Option<Host<'a>> {
        Host::parse(self.params.get("maddr")?)
    }

    /// The `ttl` parameter.
    pub fn ttl(&self) -> Option<u8> {
        scan::number(self.params.get("ttl")?, 255).map(|v| v as u8)
    }

    /// The port of sent-by, or its default.
    pub fn port_or_default(&self) -> u16 {
        let secure = matches!(self.transport, Transport::Tls | Transport::TlsSctp | Transport::Wss);
        self.port.unwrap_or(if secure { 5061 } else { 5060 })
    }

    /// Whether host and port of sent-by are the same (RFC 3261 §17.2.3, §18.1.2).
    pub fn same_sent_by(&self, other: &Via<'_>) -> bool {
        self.host.same(&other.host) && self.port_or_default() == other.port_or_default()
    }
}

/// SLASH: a slash with white space on both sides.
fn after_slash(bytes: &[u8]) -> Option<&[u8]> {
    scan::trim_start(bytes).strip_prefix(b"/").map(scan::trim_start)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let bare = bytes.strip_prefix(b"[").and_then(|b| b.strip_suffix(b"]")).unwrap_or(bytes);
    core::str::from_utf8(bare).ok()?.parse().ok()
}
