//! Connections that only their peer can open, a browser's above all: our Record-Route names them, so that requests from
//! the other side find back (RFC 5626 §5.3; RFC 7118 §5 has no address to connect to).

use crate::flow::{Flow, Transport};
use crate::proxy::Proxy;
use std::fmt::Write;
use std::net::{Ipv6Addr, SocketAddr};

/// Transport, number, and two addresses with their ports.
const TOKEN_BYTES: usize = 1 + 8 + 2 * (16 + 2);

impl Proxy {
    /// The user part that names a connection; `None` where the URI's address leads to the peer.
    pub(crate) fn flow_token(&self, flow: &Flow) -> Option<String> {
        let transport = match flow.transport {
            Transport::Ws => 0,
            Transport::Wss => 1,
            Transport::Udp | Transport::Tcp | Transport::Tls => return None,
        };
        let mut bytes = vec![transport];
        bytes.extend_from_slice(&flow.connection.to_be_bytes());
        for address in [flow.local, flow.remote] {
            let ip = match address.ip() {
                std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                std::net::IpAddr::V6(ip) => ip,
            };
            bytes.extend_from_slice(&ip.octets());
            bytes.extend_from_slice(&address.port().to_be_bytes());
        }
        let mut token = String::with_capacity(2 * TOKEN_BYTES + 16);
        for byte in &bytes {
            // Writing to a String cannot fail.
            let _ = write!(token, "{byte:02x}");
        }
        // RFC 5626 §5.2: nobody else can make one.
        token.push_str(self.transactions.tokens.derived(&[b"flow", &bytes]).as_str());
        Some(token)
    }

    /// The connection that a user part of ours names.
    pub(crate) fn named_flow(&self, user: &[u8]) -> Option<Flow> {
        let (digits, mac) = user.split_at_checked(2 * TOKEN_BYTES)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        let bytes: Vec<u8> = digits.chunks(2).map(pair).collect::<Option<_>>()?;
        if self.transactions.tokens.derived(&[b"flow", &bytes]).as_str().as_bytes() != mac {
            return None;
        }
        let address = |at: usize| {
            let ip: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
            let port: [u8; 2] = bytes.get(at + 16..at + 18)?.try_into().ok()?;
            Some(SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes(port)))
        };
        Some(Flow {
            transport: if bytes.first() == Some(&1) { Transport::Wss } else { Transport::Ws },
            connection: u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?),
            local: address(9)?,
            remote: address(27)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::ProxyConfig;

    #[test]
    fn a_connection_is_found_again_and_nobody_else_names_one() {
        let proxy = Proxy::new(ProxyConfig::default(), 3);
        for remote in ["192.0.2.7:40000", "[2001:db8::7]:40000"] {
            let local = if remote.starts_with('[') { "[2001:db8::1]:443" } else { "192.0.2.1:443" };
            let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
            let flow = Flow { transport: Transport::Wss, local, remote, connection: u64::MAX - 3 };
            let token = proxy.flow_token(&flow).unwrap();
            assert_eq!(proxy.named_flow(token.as_bytes()), Some(flow));
            assert_eq!(Proxy::new(ProxyConfig::default(), 4).named_flow(token.as_bytes()), None);
            for at in 0..token.len() {
                let mut wrong = token.clone().into_bytes();
                wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(proxy.named_flow(&wrong), None, "{at}");
            }
            assert_eq!(proxy.named_flow(&token.as_bytes()[..20]), None);
        }
        assert_eq!(proxy.flow_token(&Flow::udp("192.0.2.1:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap())), None);
    }
}
