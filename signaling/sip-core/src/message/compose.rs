//! Writing messages: the pieces that requests and responses share.

use crate::config::{EndpointConfig, Reliability};
use crate::content::Content;
use crate::flow::{Flow, Transport};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// Header lines that are the same in every message of an endpoint, written once.
pub(crate) struct Lines {
    pub(crate) allow: Box<[u8]>,
    pub(crate) supported: Box<[u8]>,
    pub(crate) accept: Box<[u8]>,
    pub(crate) server: Box<[u8]>,
    pub(crate) user_agent: Box<[u8]>,
    pub(crate) allow_events: Box<[u8]>,
    pub(crate) security_server: Box<[u8]>,
}

impl Lines {
    pub(crate) fn new(config: &EndpointConfig) -> Self {
        let line = |name: &str, value: String| {
            if value.is_empty() || !crate::content::is_line(&value) {
                Box::default()
            } else {
                format!("{name}: {value}\r\n").into_bytes().into_boxed_slice()
            }
        };
        let mut supported: Vec<&str> = Vec::new();
        if config.reliability != Reliability::Off {
            supported.push("100rel");
        }
        supported.extend(["timer", "replaces"]);
        supported.extend(config.supported.iter().map(String::as_str));
        Self {
            allow: line("Allow", methods(config).join(", ")),
            supported: line("Supported", supported.join(", ")),
            accept: line("Accept", config.accept.join(", ")),
            server: line("Server", config.user_agent.clone()),
            user_agent: line("User-Agent", config.user_agent.clone()),
            allow_events: line("Allow-Events", config.event_packages.join(", ")),
            security_server: line("Security-Server", config.security.join(", ")),
        }
    }
}

/// The methods that are not answered 405: those that are always understood, PRACK where it is in use, and the configured
/// ones (RFC 3261 §20.5).
fn methods(config: &EndpointConfig) -> Vec<&str> {
    let has_prack = config.reliability != Reliability::Off;
    let mut methods: Vec<&str> =
        config.allow.iter().map(String::as_str).filter(|method| has_prack || *method != "PRACK").collect();
    let always = ["INVITE", "ACK", "BYE", "CANCEL"].into_iter().chain(has_prack.then_some("PRACK"));
    let missing: Vec<&str> = always.filter(|method| !methods.contains(method)).collect();
    methods.extend(missing);
    methods
}

pub(crate) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

pub(crate) fn put_number_line(out: &mut Vec<u8>, name: &[u8], number: u64) {
    put(out, &[name, b": "]);
    put_number(out, number);
    out.extend_from_slice(b"\r\n");
}

/// Address and port. The scope of a link-local address means something on this host alone, and is not written.
pub(crate) fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            put_ip(out, (*v4.ip()).into());
            out.push(b':');
            put_number(out, v4.port().into());
        }
        // Writing to a Vec cannot fail.
        SocketAddr::V6(v6) => drop(write!(out, "[{}]:{}", v6.ip(), v6.port())),
    }
}

/// As `Display` writes it. An IPv4 address stands in nearly every message, and goes without the price of formatting.
pub(crate) fn put_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                put_number(out, octet.into());
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// The address that we show on this flow: the port is that of its transport.
#[inline]
pub(crate) fn shown(advertise: Option<IpAddr>, flow: &Flow) -> SocketAddr {
    // The usual case, in every message: nothing to choose and nothing to convert.
    if advertise.is_none() && flow.local.is_ipv4() {
        return flow.local;
    }
    let local = flow.local.ip().to_canonical();
    let of_its_family = advertise.filter(|ip| ip.is_ipv4() == local.is_ipv4());
    SocketAddr::new(of_its_family.unwrap_or(local), flow.local.port())
}

/// Our Contact. Its scheme is that of the peer's: `sips:` where that is asked for (RFC 3261 §8.1.1.8, §12.1.1), and
/// otherwise one that every TLS phone can call.
pub(crate) fn put_contact(out: &mut Vec<u8>, config: &EndpointConfig, flow: &Flow, is_sips: bool) {
    out.extend_from_slice(b"Contact: <");
    if flow.transport == Transport::Tls && !is_sips {
        let udp = Flow { transport: Transport::Udp, ..*flow };
        put_own_uri(out, &config.contact_user, config.advertise, &udp);
        out.extend_from_slice(b";transport=tls");
    } else {
        put_own_uri(out, &config.contact_user, config.advertise, flow);
    }
    out.extend_from_slice(b">\r\n");
}

/// Whether a URI wants to be reached securely, whichever way.
pub(crate) fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

/// A URI that leads back to us on this flow.
pub(crate) fn put_own_uri(out: &mut Vec<u8>, user: &str, advertise: Option<IpAddr>, flow: &Flow) {
    out.extend_from_slice(if flow.transport == Transport::Tls { b"sips:" } else { b"sip:" });
    if !user.is_empty() && crate::content::is_uri(user) {
        put(out, &[user.as_bytes(), b"@"]);
    }
    put_address(out, shown(advertise, flow));
    out.extend_from_slice(flow.transport.uri_parameter().as_bytes());
}

/// The top Via of a request of ours, with `rport` (RFC 3581).
pub(crate) fn put_via(out: &mut Vec<u8>, config: &EndpointConfig, flow: &Flow, branch: &str) {
    put(out, &[b"Via: SIP/2.0/", flow.transport.via_name().as_bytes(), b" "]);
    put_address(out, shown(config.advertise, flow));
    put(out, &[b";branch=z9hG4bK", branch.as_bytes(), b";rport\r\n"]);
}

pub(crate) fn put_cseq(out: &mut Vec<u8>, cseq: u32, method: &[u8]) {
    out.extend_from_slice(b"CSeq: ");
    put_number(out, cseq.into());
    put(out, &[b" ", method, b"\r\n"]);
}

pub(crate) fn put_status_line(out: &mut Vec<u8>, status: u16, reason: &str) {
    out.extend_from_slice(b"SIP/2.0 ");
    put_number(out, status.into());
    let reason = if reason.is_empty() || !crate::content::is_line(reason) { phrase(status) } else { reason };
    put(out, &[b" ", reason.as_bytes(), b"\r\n"]);
}

/// The user's header fields.
pub(crate) fn put_headers(out: &mut Vec<u8>, content: &Content<'_>) {
    for (name, value) in content.headers {
        put(out, &[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
}

/// The user's header fields, the body and its length; ends the message.
pub(crate) fn put_content(out: &mut Vec<u8>, content: &Content<'_>) {
    put_headers(out, content);
    if !content.body.is_empty() {
        put(out, &[b"Content-Type: ", content.content_type.as_bytes(), b"\r\n"]);
    }
    put_number_line(out, b"Content-Length", content.body.len() as u64);
    put(out, &[b"\r\n", content.body]);
}

fn phrase(status: u16) -> &'static str {
    sip_wire::StatusCode::new(status).map_or("", |code| code.reason_phrase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        for address in ["0.0.0.0:0", "192.0.2.1:5060", "255.255.255.255:65535", "10.0.0.9:80", "[2001:db8::1]:5060"] {
            let mut out = Vec::new();
            put_address(&mut out, address.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), address);
        }
    }

    /// RFC 5118 §4.3, RFC 4291 §2.5.5.2: a scope is this host's own, and an IPv4 peer behind a socket for both families reads
    /// an IPv4 address.
    #[test]
    fn addresses_that_peers_read_have_no_scope_and_are_of_their_family() {
        use std::net::{Ipv6Addr, SocketAddrV6};
        let link_local = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 5060, 0, 3);
        for (local, expected) in [
            (SocketAddr::V6(link_local), "[fe80::1]:5060"),
            ("[::ffff:192.0.2.1]:5062".parse().unwrap(), "192.0.2.1:5062"),
        ] {
            let mut via = Vec::new();
            put_via(&mut via, &EndpointConfig::default(), &Flow::udp(local, local), "x");
            assert_eq!(
                String::from_utf8(via).unwrap(),
                format!("Via: SIP/2.0/UDP {expected};branch=z9hG4bKx;rport\r\n")
            );
        }
    }
}
