use super::{SECTION, number, seconds_or_never};
use crate::reading::reader::{List, Reader};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most addresses of one transport.
const ADDRESS_COUNT_MAX: usize = 16;

/// The keys of `[sip]` for TCP, TLS and WebSockets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipStreams {
    /// TCP addresses to listen on; `None`: those of UDP.
    pub listen_tcp: Option<Vec<SocketAddr>>,
    /// TLS addresses to listen on.
    pub listen_tls: Vec<SocketAddr>,
    /// WebSocket addresses to listen on.
    pub listen_ws: Vec<SocketAddr>,
    /// Secure WebSocket addresses to listen on.
    pub listen_wss: Vec<SocketAddr>,
    /// Origins of web pages that may open WebSockets, in small letters; none: all of them.
    pub ws_origins: Vec<String>,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once that one address opened.
    pub max_connections_per_address: usize,
    /// Silence that closes a connection.
    pub connection_idle: Duration,
    /// Silence after which the switch sends a keep-alive; `None`: never.
    pub keep_alive: Option<Duration>,
}

const UDP: &str =
    r#"must be a list of 1 to 16 different "address:port" strings, such as "192.0.2.1:5060" or "[2001:db8::1]:5060""#;
const TCP: &str = r#"must be "same", or a list of at most 16 different "address:port" strings"#;
const OTHERS: &str = r#"must be a list of at most 16 different "address:port" strings, such as "192.0.2.1:5061""#;

/// The UDP addresses to listen on.
pub(super) fn read_udp(reader: &mut Reader<'_>) -> Vec<SocketAddr> {
    let udp = List { count: 1..=ADDRESS_COUNT_MAX, whole: UDP };
    reader.list(SECTION, "listen", &udp, |text| address(text, 5060))
}

impl SipStreams {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut list = |name, whole, usual| {
            let list = List { count: 0..=ADDRESS_COUNT_MAX, whole };
            reader.list(SECTION, name, &list, |text| address(text, usual))
        };
        let listen_tls = list("listen_tls", OTHERS, 5061);
        let listen_ws = list("listen_ws", OTHERS, 80);
        let listen_wss = list("listen_wss", OTHERS, 443);
        let is_same = reader.is_word(SECTION, "listen_tcp", "same");
        let tcp = List { count: 0..=ADDRESS_COUNT_MAX, whole: TCP };
        let origins = List { count: 0..=64, whole: WS_ORIGINS };
        Self {
            listen_tcp: (!is_same).then(|| reader.list(SECTION, "listen_tcp", &tcp, |text| address(text, 5060))),
            listen_tls,
            listen_ws,
            listen_wss,
            ws_origins: reader.list(SECTION, "ws_origins", &origins, ws_origin),
            max_connections: number(reader, "max_connections", 1..=1_000_000) as usize,
            max_connections_per_address: number(reader, "max_connections_per_address", 1..=1_000_000) as usize,
            connection_idle: Duration::from_secs(number(reader, "connection_idle_s", 10..=604_800)),
            keep_alive: seconds_or_never(reader, "keep_alive_s", 0..=86_400),
        }
    }
}

const WS_ORIGINS: &str = r#"must be a list of at most 64 origins as browsers write them, such as "https://phone.example.com" or "http://localhost:8080", or "none" for clients that send none"#;

/// Scheme and host, and a port that is not the scheme's own: no path, and no slash at the end (RFC 6454 §6.1).
fn ws_origin(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', '*', ',']);
    let sound =
        text == "none" || host.is_some_and(|host| is_host(host) && host.bytes().all(|byte| byte.is_ascii_graphic()));
    if sound {
        return Ok(text);
    }
    let hint = match (host.map(|host| host.trim_end_matches('/')), text.strip_suffix('/')) {
        (Some(host), Some(shorter)) if is_host(host) => {
            format!("; write \"{}\", without the slash", shorter.trim_end_matches('/'))
        }
        (None, _) if is_host(&text) && !text.contains(':') => format!("; write \"https://{text}\""),
        _ => String::new(),
    };
    let allowed = "must be an origin as browsers write it, such as \"https://phone.example.com\", or \"none\"";
    Err(format!("{allowed}{hint}"))
}

/// An address to listen on; of one without a port, how it would be with the usual one.
fn address(text: &str, usual: u16) -> Result<SocketAddr, String> {
    let hint = match (text.parse::<SocketAddr>(), text.parse::<IpAddr>(), text.parse::<u16>()) {
        (Ok(at), ..) => return Ok(at),
        (_, Ok(ip), _) => format!("; write \"{}\"", SocketAddr::new(ip, usual)),
        (.., Ok(port)) => {
            format!("; write \"0.0.0.0:{port}\" for all addresses of IPv4, \"[::]:{port}\" for those of IPv6")
        }
        _ => match text.rsplit_once(':') {
            Some(("" | "*", port)) if port.parse::<u16>().is_ok() => format!("; write \"0.0.0.0:{port}\""),
            Some((host, port)) if port.parse::<u16>().is_err() || host.parse::<IpAddr>().is_ok() => {
                "; a port is a number up to 65535, and an IPv6 address stands in brackets".to_owned()
            }
            _ => "; names are not looked up here".to_owned(),
        },
    };
    Err(format!("must be \"address:port\", such as \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"{hint}"))
}
