use crate::reader::{Reader, integer, strings};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use toml::de::DeValue;

/// Most shards. Each is a control client of the media plane, which has places for the shards of two lives of signaling.
const SHARD_COUNT_MAX: u64 = 8;

const WS_ORIGINS: &str = r#"must be a list of at most 64 origins as browsers write them, such as "https://phone.example.com" or "http://localhost:8080", or "none" for clients that send none"#;

/// Scheme and host, and a port that is not the scheme's own: no path, and no slash at the end (RFC 6454 §6.1).
fn ws_origins(value: &DeValue<'_>) -> Option<Vec<String>> {
    const COUNT_MAX: usize = 64;
    let is_origin = |text: &str| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', '*', ',']);
        text == "none" || host.is_some_and(|host| is_host(host) && host.bytes().all(|byte| byte.is_ascii_graphic()))
    };
    let list: Vec<String> = strings(value)?.into_iter().map(str::to_ascii_lowercase).collect();
    (list.len() <= COUNT_MAX && list.iter().all(|text| is_origin(text))).then_some(list)
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
    /// Silence after which we send a keep-alive; `None`: never.
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
    /// How long a call goes on without a refresh, with peers that know session timers; `None`: we ask for none.
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
    /// Audio codecs, in our order.
    pub codecs: Vec<AudioCodec>,
    /// Whose order decides.
    pub codec_order: CodecOrder,
    /// Whether telephone events are agreed on.
    pub dtmf: bool,
    /// What becomes of calls.
    pub mode: Mode,
    /// Where all modes but [`Mode::Numbers`] send them, in the order of the patterns.
    pub routes: Vec<Route>,
    /// Our names beside our addresses.
    pub domains: Vec<String>,
    /// Whether the proxy stays in the path of dialogs.
    pub record_route: bool,
    /// 3xx answers to one request that the proxy follows.
    pub follow_redirects: usize,
    /// Whom to ask for names; none: those of the host.
    pub name_servers: Vec<SocketAddr>,
}

/// What becomes of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are answered here.
    Numbers,
    /// They go on by routes, as calls of ours.
    B2bua,
    /// Requests go on by routes, the media past us.
    Proxy,
    /// Callers are told where to go.
    Redirect,
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

/// Whose order of codecs decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecOrder {
    /// The offerer's (RFC 3264 §6.1 recommends it).
    Caller,
    /// Ours.
    Ours,
}

impl Sip {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "sip";
        let addresses = r#"must be a list of 1 to 16 different "address:port" strings, such as "192.0.2.1:5060" or "[2001:db8::1]:5060""#;
        let codecs = r#"must be a list of different codecs out of "PCMU", "PCMA""#;
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
        let listen_tcp = reader.get(section, "listen_tcp", tcp, |value| match value.as_str() {
            Some("same") => Some(None),
            Some(_) => None,
            None => addresses_of(value).map(Some),
        });
        let mut list = |name| reader.get(section, name, several, addresses_of);
        let (listen_tls, listen_ws, listen_wss) = (list("listen_tls"), list("listen_ws"), list("listen_wss"));
        let name_servers = reader.get(section, "name_servers", NAME_SERVERS, name_servers);
        Self {
            listen: reader
                .get(section, "listen", addresses, |value| addresses_of(value).filter(|list| !list.is_empty())),
            listen_tcp,
            listen_tls,
            listen_ws,
            listen_wss,
            ws_origins: reader.get(section, "ws_origins", WS_ORIGINS, ws_origins),
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
            codecs: reader.get(section, "codecs", codecs, |value| {
                let list = strings(value)?.into_iter().map(AudioCodec::from_name).collect::<Option<Vec<_>>>()?;
                unique(list, 2).filter(|list| !list.is_empty())
            }),
            codec_order: reader.get(section, "codec_order", r#"must be "caller" or "ours""#, |value| {
                match value.as_str()? {
                    "caller" => Some(CodecOrder::Caller),
                    "ours" => Some(CodecOrder::Ours),
                    _ => None,
                }
            }),
            mode: reader.get(section, "mode", MODES, |value| match value.as_str()? {
                "numbers" => Some(Mode::Numbers),
                "b2bua" => Some(Mode::B2bua),
                "proxy" => Some(Mode::Proxy),
                "redirect" => Some(Mode::Redirect),
                _ => None,
            }),
            routes: reader.get(section, "routes", ROUTES, routes),
            domains: reader.get(section, "domains", DOMAINS, domains),
            record_route: reader.get(section, "record_route", "must be true or false", |value| value.as_bool()),
            follow_redirects,
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

impl AudioCodec {
    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PCMU" => Some(Self::Pcmu),
            "PCMA" => Some(Self::Pcma),
            _ => None,
        }
    }
}

const MODES: &str = r#"must be "numbers", "b2bua", "proxy" or "redirect""#;
const ROUTES: &str =
    r#"must be a table of at most 4096 patterns with one to eight "sip:" or "sips:" URIs each, or lists of them"#;
const DOMAINS: &str = r#"must be a list of at most 64 different host names, or "name:port""#;

const NAME_SERVERS: &str = r#"must be a list of at most 8 different IP addresses, or "address:port""#;

/// The port of DNS is 53 where none is given.
fn name_servers(value: &DeValue<'_>) -> Option<Vec<SocketAddr>> {
    let alone = |text: &str| Some(SocketAddr::new(text.parse().ok()?, 53));
    let one = |text: &str| text.parse().ok().or_else(|| alone(text)).filter(|at: &SocketAddr| at.port() > 0);
    unique(strings(value)?.into_iter().map(one).collect::<Option<Vec<_>>>()?, 8)
}

/// Most URIs of one pattern.
const TARGET_COUNT_MAX: usize = 8;

fn routes(value: &DeValue<'_>) -> Option<Vec<Route>> {
    let table = value.as_table().filter(|table| table.len() <= 4_096)?;
    let route = |pattern: &str, value: &DeValue<'_>| {
        let targets = targets(value)?;
        let is_uri = |uri: &String| uri.starts_with("sip:") || uri.starts_with("sips:");
        let count = targets.iter().flatten().count();
        let sound = !pattern.is_empty()
            && (1..=TARGET_COUNT_MAX).contains(&count)
            && targets.iter().all(|group| !group.is_empty())
            && targets.iter().flatten().all(is_uri);
        sound.then(|| Route { pattern: pattern.to_owned(), targets })
    };
    table.iter().map(|(pattern, targets)| route(pattern.get_ref(), targets.get_ref())).collect()
}

/// A URI, a list of URIs, or a list in which some stand in lists of their own.
fn targets(value: &DeValue<'_>) -> Option<Vec<Vec<String>>> {
    if let Some(one) = value.as_str() {
        return Some(vec![vec![one.to_owned()]]);
    }
    let group = |value: &DeValue<'_>| match value.as_str() {
        Some(one) => Some(vec![one.to_owned()]),
        None => Some(strings(value)?.into_iter().map(str::to_owned).collect()),
    };
    value.as_array()?.iter().map(|item| group(item.get_ref())).collect()
}

fn domains(value: &DeValue<'_>) -> Option<Vec<String>> {
    let is_name = |name: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !name.is_empty() && name.bytes().all(allowed)
    };
    let names = strings(value)?;
    let sound = names.iter().all(is_name);
    unique(names.into_iter().map(str::to_ascii_lowercase).collect(), 64).filter(|_| sound)
}

fn addresses_of(value: &DeValue<'_>) -> Option<Vec<SocketAddr>> {
    unique(strings(value)?.into_iter().map(|text| text.parse().ok()).collect::<Option<Vec<_>>>()?, ADDRESS_COUNT_MAX)
}

/// The list, if it has at most `most` entries and none twice.
fn unique<T: PartialEq>(list: Vec<T>, most: usize) -> Option<Vec<T>> {
    let twice = list.iter().enumerate().any(|(index, item)| list[..index].contains(item));
    (list.len() <= most && !twice).then_some(list)
}
