//! What is asked for.

use super::ResolveError;
use crate::Transport;
use sip_wire::{Scheme, Uri};
use std::net::IpAddr;
use std::sync::Arc;

/// A next hop, as a URI names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// `TARGET` of RFC 3263 §4: `maddr` if there is one, else the host.
    pub host: Host,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// The transport, if one is written.
    pub transport: Option<Transport>,
    /// Whether every hop must be encrypted (`sips:`).
    pub is_secure: bool,
}

/// A domain name or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// A name to ask for.
    Name(Arc<str>),
    /// Nothing to ask for.
    Address(IpAddr),
}

impl Query {
    /// Of a Request-URI, or of the URI in the topmost Route.
    pub fn from_uri(uri: &Uri<'_>) -> Result<Self, ResolveError> {
        let is_secure = uri.scheme == Scheme::Sips;
        let host = match uri.params.get("maddr") {
            Some(maddr) => sip_wire::Host::parse(maddr),
            None => uri.host,
        };
        let host = match host.filter(|_| uri.scheme.is_sip()).ok_or(ResolveError::NoHost)? {
            sip_wire::Host::Name(name) => match name.trim_end_matches('.') {
                "" => return Err(ResolveError::BadName(name.to_owned())),
                name => Host::Name(Arc::from(name)),
            },
            sip_wire::Host::V4(ip) => Host::Address(ip.into()),
            sip_wire::Host::V6(ip) => Host::Address(ip.into()),
        };
        let transport = uri.transport().map(|name| transport(name, is_secure)).transpose()?;
        Ok(Self { host, port: uri.port, transport, is_secure })
    }

    /// What DNS is not asked about, because it is written (RFC 3263 §4.1): the transport of a numeric host or of one with
    /// a port.
    pub(super) fn transport_without_dns(&self) -> Transport {
        self.transport.unwrap_or(if self.is_secure { Transport::Tls } else { Transport::Udp })
    }

    /// The port of RFC 3263 §4.2 when nobody says another.
    pub(super) fn port_or_default(&self, transport: Transport) -> u16 {
        self.port.unwrap_or(match transport {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        })
    }
}

/// The `transport` parameter; in a `sips:` URI it names what TLS runs over (RFC 3261 §26.2.2).
fn transport(name: &[u8], is_secure: bool) -> Result<Transport, ResolveError> {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    Ok(match is_secure {
        true if is("udp") => return Err(ResolveError::Insecure),
        true if is("tcp") || is("tls") => Transport::Tls,
        true if is("ws") || is("wss") => Transport::Wss,
        false if is("udp") => Transport::Udp,
        false if is("tcp") => Transport::Tcp,
        false if is("tls") => Transport::Tls,
        false if is("ws") => Transport::Ws,
        false if is("wss") => Transport::Wss,
        _ => return Err(ResolveError::BadTransport(String::from_utf8_lossy(name).into_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(uri: &str) -> Result<Query, ResolveError> {
        Query::from_uri(&Uri::parse(uri.as_bytes()).unwrap())
    }

    #[test]
    fn uris_say_what_they_say() {
        let parts = |uri| query(uri).map(|q| (q.host, q.port, q.transport, q.is_secure));
        let name = |name: &str| Host::Name(Arc::from(name));
        assert_eq!(parts("sip:a@example.com"), Ok((name("example.com"), None, None, false)));
        assert_eq!(
            parts("sip:a@example.com.:5070;transport=TCP"),
            Ok((name("example.com"), Some(5070), Some(Transport::Tcp), false))
        );
        assert_eq!(
            parts("sips:a@example.com;transport=tcp"),
            Ok((name("example.com"), None, Some(Transport::Tls), true))
        );
        assert_eq!(
            parts("sips:a@example.com;transport=ws"),
            Ok((name("example.com"), None, Some(Transport::Wss), true))
        );
        assert_eq!(
            parts("sip:a@example.com;maddr=192.0.2.7"),
            Ok((Host::Address("192.0.2.7".parse().unwrap()), None, None, false))
        );
        assert_eq!(parts("sip:[2001:db8::1]"), Ok((Host::Address("2001:db8::1".parse().unwrap()), None, None, false)));
        assert_eq!(parts("sips:a@example.com;transport=udp"), Err(ResolveError::Insecure));
        assert_eq!(parts("sip:a@example.com;transport=sctp"), Err(ResolveError::BadTransport("sctp".to_owned())));
        assert_eq!(parts("tel:+1"), Err(ResolveError::NoHost));
    }
}
