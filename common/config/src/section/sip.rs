use crate::Host;
use crate::reading::reader::{List, Reader, integer};
use crate::reading::suggest::did_you_mean;
use crate::section::routes;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Most shards. Each is a control client of the media plane, which has places for the shards of two lives of signaling.
const SHARD_COUNT_MAX: u64 = 8;

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

/// Most addresses of one transport.
const ADDRESS_COUNT_MAX: usize = 16;

/// `[sip]`: signaling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sip {
    /// UDP addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// TCP addresses to listen on; `None`: those of `listen`.
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
    /// Address for Via, Contact and SDP; `None`: the one that the request came to.
    pub advertised_address: Option<IpAddr>,
    /// Threads that run calls; 0: see [`Sip::shard_count`].
    pub shards: usize,
    /// Timer T1.
    pub t1: Duration,
    /// Calls at once.
    pub max_calls: usize,
    /// Calls at once of one user; `None`: no limit of its own.
    pub max_calls_per_user: Option<usize>,
    /// How long a call may last; `None`: for ever.
    pub max_call: Option<Duration>,
    /// How long a call goes on without a refresh, with peers that know session timers; `None`: the switch asks for none.
    pub session_expires: Option<Duration>,
    /// How often a peer that need not send media is asked whether it is there; `None`: never.
    pub probe: Option<Duration>,
    /// How long a target of a forwarded call may take to answer.
    pub ring_timeout: Duration,
    /// How long it may say nothing but 100 Trying.
    pub progress_timeout: Duration,
    /// What a refused caller is asked to wait.
    pub retry_after: Duration,
    /// How long a call may wait for a deferred decision.
    pub decision_timeout: Duration,
    /// Audio codecs, the preferred one first.
    pub codecs: Vec<AudioCodec>,
    /// Which side's order of codecs decides.
    pub codec_order: CodecOrder,
    /// Whether telephone events are agreed on.
    pub dtmf: bool,
    /// What becomes of calls.
    pub mode: Mode,
    /// Where all modes but [`Mode::Numbers`] send them, in the order of the patterns.
    pub routes: Vec<Route>,
    /// Domain names of the switch beside its addresses.
    pub domains: Vec<String>,
    /// Whether the proxy stays in the path of dialogs.
    pub record_route: bool,
    /// 3xx answers to one request that the proxy follows.
    pub follow_redirects: usize,
    /// Methods whose requests outside dialogs [`Mode::B2bua`] sends on as a proxy does.
    pub proxy_methods: Vec<String>,
    /// Name servers to ask; none: those of the host.
    pub name_servers: Vec<SocketAddr>,
}

/// What becomes of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are answered here.
    Numbers,
    /// They go on by routes, as calls that the switch places.
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

/// An audio codec by its SDP name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioCodec {
    /// G.711 u-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Which side's order of codecs decides in an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecOrder {
    /// The offerer's (RFC 3264 §6.1 recommends it).
    Caller,
    /// The order of `[sip] codecs`.
    Ours,
}

impl Sip {
    pub(crate) fn read(reader: &mut Reader<'_>, host: &dyn Host) -> Self {
        let section = "sip";
        let addresses = r#"must be a list of 1 to 16 different "address:port" strings, such as "192.0.2.1:5060" or "[2001:db8::1]:5060""#;
        let mut number = |name, low, high| {
            let allowed = format!("must be a whole number from {low} to {high}");
            reader.get(section, name, &allowed, |value| integer(value, low..=high))
        };
        let shards = number("shards", 0, SHARD_COUNT_MAX) as usize;
        let t1 = Duration::from_millis(number("t1_ms", 50, 5_000));
        let max_calls = number("max_calls", 1, 1_000_000) as usize;
        let per_user = number("max_calls_per_user", 0, 1_000_000) as usize;
        let max_call = number("max_call_s", 0, 604_800);
        let session_expires =
            reader.get(section, "session_expires_s", "must be 0 or a whole number from 90 to 86400", |value| {
                integer(value, 0..=86_400).filter(|seconds| *seconds == 0 || *seconds >= 90)
            });
        let probe = reader.get(section, "probe_s", "must be 0 or a whole number from 10 to 86400", |value| {
            integer(value, 0..=86_400).filter(|seconds| *seconds == 0 || *seconds >= 10)
        });
        let mut number = |name, low, high| {
            let allowed = format!("must be a whole number from {low} to {high}");
            reader.get(section, name, &allowed, |value| integer(value, low..=high))
        };
        let ring_timeout = Duration::from_secs(number("ring_timeout_s", 1, 600));
        let progress_timeout = Duration::from_secs(number("progress_timeout_s", 1, 600));
        let retry_after = Duration::from_secs(number("retry_after_s", 1, 3_600));
        let decision_timeout = Duration::from_secs(number("decision_timeout_s", 1, 600));
        let max_connections = number("max_connections", 1, 1_000_000) as usize;
        let max_connections_per_address = number("max_connections_per_address", 1, 1_000_000) as usize;
        let connection_idle = Duration::from_secs(number("connection_idle_s", 10, 604_800));
        let keep_alive = number("keep_alive_s", 0, 86_400);
        let follow_redirects = number("follow_redirects", 0, 8) as usize;
        let several = r#"must be a list of at most 16 different "address:port" strings, such as "192.0.2.1:5061""#;
        let tcp = r#"must be "same", or a list of at most 16 different "address:port" strings"#;
        let mut list = |name, least, whole, usual| {
            let list = List { count: least..=ADDRESS_COUNT_MAX, whole };
            reader.list(section, name, &list, |text| address(text, usual))
        };
        let listen = list("listen", 1, addresses, 5060);
        let (listen_tls, listen_ws) = (list("listen_tls", 0, several, 5061), list("listen_ws", 0, several, 80));
        let listen_wss = list("listen_wss", 0, several, 443);
        let listen_tcp = match reader.is_word(section, "listen_tcp", "same") {
            true => None,
            false => Some(list_of_tcp(reader, tcp)),
        };
        let name_servers = List { count: 0..=8, whole: NAME_SERVERS };
        let name_servers = reader.list(section, "name_servers", &name_servers, name_server);
        let origins = List { count: 0..=64, whole: WS_ORIGINS };
        let codecs = List { count: 1..=2, whole: r#"must be a list of different codecs out of "PCMU", "PCMA""# };
        let domains = List { count: 0..=64, whole: DOMAINS };
        Self {
            listen,
            listen_tcp,
            listen_tls,
            listen_ws,
            listen_wss,
            ws_origins: reader.list(section, "ws_origins", &origins, ws_origin),
            max_connections,
            max_connections_per_address,
            connection_idle,
            keep_alive: (keep_alive > 0).then(|| Duration::from_secs(keep_alive)),
            advertised_address: reader.get(section, "advertised_address", "must be an IP address, or empty", |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified()).map(Some),
                }
            }),
            shards,
            t1,
            max_calls,
            max_calls_per_user: (per_user > 0).then_some(per_user),
            max_call: (max_call > 0).then(|| Duration::from_secs(max_call)),
            session_expires: (session_expires > 0).then(|| Duration::from_secs(session_expires)),
            probe: (probe > 0).then(|| Duration::from_secs(probe)),
            ring_timeout,
            progress_timeout,
            retry_after,
            decision_timeout,
            codecs: reader.list(section, "codecs", &codecs, AudioCodec::named),
            codec_order: reader.word(
                section,
                "codec_order",
                &[("caller", CodecOrder::Caller), ("ours", CodecOrder::Ours)],
            ),
            mode: reader.word(section, "mode", &MODES),
            routes: routes::read(reader, host),
            domains: reader.list(section, "domains", &domains, domain),
            record_route: reader.get(section, "record_route", "must be true or false", |value| value.as_bool()),
            follow_redirects,
            proxy_methods: reader.list(
                section,
                "proxy_methods",
                &List { count: 0..=16, whole: PROXY_METHODS },
                proxy_method,
            ),
            name_servers,
            dtmf: reader.get(section, "dtmf", "must be true or false", |value| value.as_bool()),
        }
    }

    /// Where TCP is listened on.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        self.listen_tcp.as_deref().unwrap_or(&self.listen)
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

impl AudioCodec {
    fn named(name: &str) -> Result<Self, String> {
        match name.to_ascii_uppercase().as_str() {
            "PCMU" => Ok(Self::Pcmu),
            "PCMA" => Ok(Self::Pcma),
            other => {
                let hint = match other {
                    "ULAW" | "MULAW" | "G711U" => "; did you mean \"PCMU\"?".to_owned(),
                    "ALAW" | "G711A" => "; did you mean \"PCMA\"?".to_owned(),
                    _ => did_you_mean(name, ["PCMU", "PCMA"]),
                };
                Err(format!("must be \"PCMU\" or \"PCMA\"{hint}"))
            }
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

fn list_of_tcp(reader: &mut Reader<'_>, whole: &str) -> Vec<SocketAddr> {
    let list = List { count: 0..=ADDRESS_COUNT_MAX, whole };
    reader.list("sip", "listen_tcp", &list, |text| address(text, 5060))
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
