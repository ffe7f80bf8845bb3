//! `[sip]`: one flat section of the file, here in groups.

mod audio;
mod calls;
mod streams;

pub use audio::{Audio, AudioCodec, CodecOrder};
pub use calls::CallLimits;
pub use streams::SipStreams;

use crate::Host;
use crate::reading::reader::{List, Reader, integer};
use crate::reading::suggest::did_you_mean;
use crate::section::routes;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

const SECTION: &str = "sip";

/// Most shards. Each is a control client of the media plane, which has places for the shards of two lives of signaling.
const SHARD_COUNT_MAX: u64 = 8;

/// `[sip]`: signaling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sip {
    /// UDP addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// SIP over TCP, TLS and WebSockets.
    pub streams: SipStreams,
    /// Address for Via, Contact and SDP; `None`: the one that the request came to.
    pub advertised_address: Option<IpAddr>,
    /// Threads that run calls; 0: see [`Sip::shard_count`].
    pub shards: usize,
    /// Timer T1.
    pub t1: Duration,
    /// What a refused caller is asked to wait.
    pub retry_after: Duration,
    /// How many calls there may be, and how long each step of one may take.
    pub calls: CallLimits,
    /// Which audio calls agree on.
    pub audio: Audio,
    /// What becomes of calls.
    pub mode: Mode,
    /// Where all modes but [`Mode::Numbers`] send them, in the order of the patterns.
    pub routes: Vec<Route>,
    /// Domain names of the switch beside its addresses.
    pub domains: Vec<String>,
    /// What it does as a proxy.
    pub proxy: Proxy,
    /// Name servers to ask; none: those of the host.
    pub name_servers: Vec<SocketAddr>,
}

/// The keys of `[sip]` for requests that are sent on as a proxy does (RFC 3261 §16).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// Whether the proxy stays in the path of dialogs.
    pub record_route: bool,
    /// 3xx answers to one request that the proxy follows.
    pub follow_redirects: usize,
    /// Methods whose requests outside dialogs [`Mode::B2bua`] sends on as a proxy does.
    pub methods: Vec<String>,
}

/// What becomes of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Calls are answered here.
    Numbers,
    /// Calls go on by routes, as calls that the switch places.
    B2bua,
    /// Requests go on by routes, media flows past the switch.
    Proxy,
    /// Callers are told where to go.
    Redirect,
}

impl Mode {
    /// Whether calls end at the switch, so that it has their media: such a mode needs a media process.
    pub const fn has_media(self) -> bool {
        match self {
            Self::Numbers | Self::B2bua => true,
            Self::Proxy | Self::Redirect => false,
        }
    }
}

/// Where calls go that a pattern fits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// A user, a beginning and `*`, `@` and a domain, or `*`.
    pub pattern: String,
    /// SIP URIs, in the order in which they are tried; those of one group ring at once.
    pub targets: Vec<Vec<String>>,
}

impl Sip {
    pub(crate) fn read(reader: &mut Reader<'_>, host: &dyn Host) -> Self {
        let name_servers = List { count: 0..=8, whole: NAME_SERVERS };
        let domains = List { count: 0..=64, whole: DOMAINS };
        Self {
            listen: streams::read_udp(reader),
            streams: SipStreams::read(reader),
            advertised_address: reader.get(SECTION, "advertised_address", "must be an IP address, or empty", |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified()).map(Some),
                }
            }),
            shards: number(reader, "shards", 0..=SHARD_COUNT_MAX) as usize,
            t1: Duration::from_millis(number(reader, "t1_ms", 50..=5_000)),
            retry_after: Duration::from_secs(number(reader, "retry_after_s", 1..=3_600)),
            calls: CallLimits::read(reader),
            audio: Audio::read(reader),
            mode: reader.word(SECTION, "mode", &MODES),
            routes: routes::read(reader, host),
            domains: reader.list(SECTION, "domains", &domains, domain),
            proxy: Proxy::read(reader),
            name_servers: reader.list(SECTION, "name_servers", &name_servers, name_server),
        }
    }

    /// Where TCP is listened on.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        self.streams.listen_tcp.as_deref().unwrap_or(&self.listen)
    }

    /// The number of shards on a host with `cores`.
    pub fn shard_count(&self, cores: usize) -> usize {
        if self.shards == 0 { (cores / 2).clamp(1, SHARD_COUNT_MAX as usize) } else { self.shards }
    }
}

const PROXY_METHODS: &str = r#"must be a list of at most 16 different methods in capital letters, such as "SUBSCRIBE""#;

/// A method that can begin something of its own; those of calls are the switch's.
fn proxy_method(name: &str) -> Result<String, String> {
    const OF_CALLS: [&str; 8] = ["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO", "REFER"];
    const USUAL: [&str; 6] = ["SUBSCRIBE", "PUBLISH", "MESSAGE", "REGISTER", "OPTIONS", "NOTIFY"];
    if OF_CALLS.contains(&name) {
        return Err("belongs to calls, which mode = \"b2bua\" has for itself; take it out, or write mode = \"proxy\""
            .to_owned());
    }
    if (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(name.to_owned());
    }
    Err(format!("must be a method in capital letters{}", did_you_mean(name, USUAL)))
}

impl Proxy {
    fn read(reader: &mut Reader<'_>) -> Self {
        let methods = List { count: 0..=16, whole: PROXY_METHODS };
        Self {
            record_route: reader.get(SECTION, "record_route", "must be true or false", |value| value.as_bool()),
            follow_redirects: number(reader, "follow_redirects", 0..=8) as usize,
            methods: reader.list(SECTION, "proxy_methods", &methods, proxy_method),
        }
    }
}

const MODES: [(&str, Mode); 4] =
    [("numbers", Mode::Numbers), ("b2bua", Mode::B2bua), ("proxy", Mode::Proxy), ("redirect", Mode::Redirect)];
const DOMAINS: &str = r#"must be a list of at most 64 different host names, or "name:port""#;
const NAME_SERVERS: &str = r#"must be a list of at most 8 different IP addresses, or "address:port""#;

/// The port of DNS is 53 where none is given.
fn name_server(text: &str) -> Result<SocketAddr, String> {
    let alone = |text: &str| Some(SocketAddr::new(text.parse().ok()?, 53));
    let found = text.parse().ok().or_else(|| alone(text)).filter(|at: &SocketAddr| at.port() > 0);
    found.ok_or_else(|| r#"must be an IP address such as "192.0.2.53", or "address:port""#.to_owned())
}

fn domain(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let host = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(name, |(host, _)| host);
    let is_v6 = |text: &str| text.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok();
    let sound = is_v6(name) || is_v6(host) || !host.contains([':', '[', ']']);
    if sound && !host.is_empty() && name.bytes().all(allowed) {
        return Ok(name.to_ascii_lowercase());
    }
    let bare =
        name.split_once(':').filter(|(scheme, _)| matches!(*scheme, "sip" | "sips")).map_or(name, |(_, rest)| rest);
    let hint = match bare.trim_start_matches('@') {
        rest if rest != name && !rest.is_empty() && rest.bytes().all(allowed) => format!("; write \"{rest}\""),
        _ => String::new(),
    };
    Err(format!("must be a host name such as \"example.com\", or \"name:port\"{hint}"))
}

/// A whole number of `[sip]`.
fn number(reader: &mut Reader<'_>, name: &str, range: RangeInclusive<u64>) -> u64 {
    let allowed = format!("must be a whole number from {} to {}", range.start(), range.end());
    reader.get(SECTION, name, &allowed, |value| integer(value, range.clone()))
}

/// A whole number of seconds; 0 stands for never.
fn seconds_or_never(reader: &mut Reader<'_>, name: &str, range: RangeInclusive<u64>) -> Option<Duration> {
    let seconds = number(reader, name, range);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
