//! URIs of route targets: what a switch can call (RFC 3261 §19.1).

use crate::reading::suggest::{did_you_mean, either};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Transports that a URI may ask for (RFC 3261 §19.1.1, RFC 7118).
const TRANSPORTS: [&str; 5] = ["udp", "tcp", "tls", "ws", "wss"];
/// Parameters of SIP URIs that IANA registers and this switch sends on; a target ignores others.
const PARAMS: [&str; 8] = ["transport", "user", "method", "ttl", "maddr", "lr", "ob", "gr"];

/// A target as far as its way is concerned.
pub(crate) struct Target<'u> {
    pub(crate) user: Option<&'u str>,
    pub(crate) host: &'u str,
    pub(crate) port: Option<u16>,
    /// In small letters; `None`: up to the host's name, or UDP.
    pub(crate) transport: Option<String>,
    pub(crate) is_secure: bool,
}

impl<'u> Target<'u> {
    /// Why it cannot be called, with what helps.
    pub(crate) fn parse(uri: &'u str) -> Result<Self, String> {
        let Some((scheme, rest)) = uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(format!("is no SIP URI; write \"sip:{uri}\""));
        };
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "sip" => false,
            "sips" => true,
            // A host and a port, or an address.
            _ if rest.bytes().next().is_none_or(|byte| byte.is_ascii_digit()) || scheme.contains('.') => {
                return Err(format!("is no SIP URI; write \"sip:{uri}\""));
            }
            _ => return Err(format!("has the scheme \"{scheme}\"; calls can only go to sip: and sips:")),
        };
        if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("has its scheme in capital letters; write \"{}:{rest}\"", scheme.to_ascii_lowercase()));
        }
        if let Some(bad) = rest.chars().find(|c| c.is_whitespace() || c.is_control() || "<>\"".contains(*c)) {
            return Err(format!("has {bad:?} in it, which no URI may have; in a user it is written as %HH"));
        }
        let (user, rest) = match rest.rsplit_once('@') {
            Some(("", _)) => {
                return Err("has nothing before the @; leave the @ out to keep the user that is called".into());
            }
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let rest = rest.split('?').next().unwrap_or("");
        let (place, params) = rest.split_once(';').map_or((rest, ""), |(place, params)| (place, params));
        let (host, port) = host_and_port(place)?;
        let transport = transport_of(params)?;
        if is_secure && transport.as_deref() == Some("udp") {
            return Err("asks for sips: over UDP, which has no TLS; leave ;transport=udp out".into());
        }
        Ok(Self { user, host, port, transport, is_secure })
    }

    /// Its address, if it has one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        bare(self.host).parse().ok()
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn host_and_port(place: &str) -> Result<(&str, Option<u16>), String> {
    if !place.starts_with('[') && place.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("has an IPv6 address without brackets; write [{place}]"));
    }
    let (host, port) = match place.rfind(']') {
        Some(end) => (&place[..=end], place[end + 1..].strip_prefix(':').or((place.len() > end + 1).then_some("?"))),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => None,
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 && !text.starts_with('+') => Some(port),
            _ => return Err(format!("has the port \"{text}\"; a port is a number from 1 to 65535")),
        },
    };
    let is_label_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.is_empty() {
        return Err("has no host; write sip:HOST or sip:USER@HOST".into());
    }
    if host.starts_with('[') {
        bare(host).parse::<Ipv6Addr>().map_err(|_| format!("has {host}, which is no IPv6 address"))?;
    } else if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        host.parse::<Ipv4Addr>().map_err(|_| format!("has {host}, which is no IPv4 address"))?;
    } else if !host.bytes().all(is_label_byte) || host.split('.').any(|label| label.len() > 63) || host.starts_with('.')
    {
        return Err(format!("has the host \"{host}\", which is no host name and no address"));
    }
    match bare(host).parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => Err(format!("has {host}, which is where one listens and not where one calls")),
        _ => Ok((host, port)),
    }
}

fn transport_of(params: &str) -> Result<Option<String>, String> {
    let mut transport = None;
    for param in params.split(';').filter(|param| !param.is_empty()) {
        let (name, value) = param.split_once('=').map_or((param, ""), |(name, value)| (name, value));
        if name.eq_ignore_ascii_case("transport") {
            let word = value.to_ascii_lowercase();
            if !TRANSPORTS.contains(&word.as_str()) {
                let hint = did_you_mean(&word, TRANSPORTS);
                return Err(format!("has the transport \"{value}\"; must be {}{hint}", either(&TRANSPORTS)));
            }
            transport = Some(word);
        } else if !PARAMS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let hint = did_you_mean(name, PARAMS);
            if !hint.is_empty() {
                return Err(format!("has the parameter \"{name}\", which nobody knows{hint}"));
            }
        }
    }
    Ok(transport)
}
