//! What a proxy is told and what it says.

use crate::config::Timers;
use crate::flow::Flow;
use crate::output::Span;
use crate::proxy::routes::signed_route::Side;
use crate::table::slab::Handle;
use clock::Duration;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything that a proxy is told at its start.
#[derive(Clone)]
pub struct ProxyConfig {
    /// T1 and the others; `ring_limit` is timer C.
    pub timers: Timers,
    /// Requests in progress; beyond it new ones are refused with 503. An eighth of them, of `max_branches` and of
    /// `max_stored_bytes` is for requests in dialogs by a Route of ours, and for sources that are trusted or have proven by
    /// credentials who they are. One source may have a quarter of each, unless it is trusted.
    pub max_requests: usize,
    /// INVITEs in progress of one address (an IPv6 /64) that has not shown yet that it gets our answers, where
    /// `record_route` lets us see the ACKs that show it; all such addresses together get half of `max_requests`. Beyond
    /// that: 503 without any state.
    pub max_unproven_invites: usize,
    /// Other requests of one such address that have no final response yet; they share the half of `max_requests` with its
    /// INVITEs. Beyond that: 503 without any state.
    pub max_unproven_others: usize,
    /// Bytes of the messages that are kept for all requests in progress; half of them for addresses that have shown
    /// nothing. Beyond it new requests are refused with 503.
    pub max_stored_bytes: usize,
    /// Branches of all requests together, CANCELs included; half of them for addresses that have shown nothing.
    pub max_branches: usize,
    /// Sources that may have more than a quarter.
    pub trusted: TrustedSources,
    /// Targets of one request.
    pub max_targets: usize,
    /// Longest message that we take; the rest is dropped.
    pub max_message_bytes: usize,
    /// Hosts, or `host:port`, by which Route values and strict routers name us, beside the addresses of our sockets.
    pub names: Vec<String>,
    /// Stay in the path of dialogs.
    pub record_route: bool,
    /// Key of the proofs in our Record-Route. All shards of a switch share it, and a restart should keep it: requests in
    /// dialogs whose Route was written with another one are [`Standing::Unproven`].
    pub route_secret: [u8; 32],
    /// Option tags of `Proxy-Require` that we support.
    pub supported: Vec<String>,
    /// 3xx answers to one request that are handed up to be followed; the caller gets further ones.
    pub max_redirects: usize,
    /// Realms whose credentials are for us: their Proxy-Authorization ends here (RFC 3261 §22.3).
    pub realms: Vec<String>,
    /// Address for Via and Record-Route when it is not the one we are bound to (NAT). Ports are those of the transports.
    pub advertise: Option<IpAddr>,
    /// `Retry-After` of a 503.
    pub retry_after: Duration,
    /// 0 to 31, how all its branches begin: [`crate::mark_of`] reads it, where several proxies stand behind one address.
    pub mark: u8,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            max_requests: 100_000,
            max_unproven_invites: 100,
            max_unproven_others: 100,
            max_stored_bytes: 64 << 20,
            max_branches: 200_000,
            trusted: TrustedSources::default(),
            max_targets: 32,
            max_message_bytes: 65_535,
            names: Vec::new(),
            record_route: true,
            route_secret: [0; 32],
            supported: Vec::new(),
            max_redirects: 0,
            realms: Vec::new(),
            advertise: None,
            retry_after: Duration::from_secs(5),
            mark: 0,
        }
    }
}

/// Which sources the operator trusts; nobody by default.
#[derive(Clone)]
pub struct TrustedSources(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl TrustedSources {
    /// Those that a function says.
    pub fn new(is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_trusted))
    }

    pub(crate) fn has(&self, source: IpAddr) -> bool {
        (self.0)(source)
    }
}

impl Default for TrustedSources {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("names", &self.names)
            .field("record_route", &self.record_route)
            .finish_non_exhaustive()
    }
}

/// What a request is by its route and its tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It begins something: its target follows from its Request-URI.
    New,
    /// It begins something, with a Route to elsewhere in front.
    Prerouted,
    /// It has a Route that we wrote for its dialog, and goes where that dialog goes: send it to the next hop with its
    /// Request-URI unchanged.
    InDialog {
        /// Which side sent it.
        from: Side,
    },
    /// It says that it belongs to a dialog (it has a To tag, or is an ACK), and nothing proves that.
    Unproven,
}

/// What a request says on its way out about who sent it (RFC 3325): P-Asserted-Identity, P-Preferred-Identity and
/// Remote-Party-ID.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SenderIdentity {
    /// What it said when it came.
    #[default]
    AsItCame,
    /// Nothing: nobody has proved anything, or wants to be named.
    Nothing,
    /// This URI, which was proven, in P-Asserted-Identity.
    Asserted(Box<str>),
}

/// A request that the proxy is busy with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProxyId(pub(crate) Handle);

/// As one hexadecimal number that is never used twice.
impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", u64::from(self.0.generation) << 32 | u64::from(self.0.index))
    }
}

/// Where a request may go.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The path to take.
    pub flow: Flow,
    /// Further paths to the same target: each is tried when the one before could not be reached, gave no answer in time
    /// or answered 503 (RFC 3263 §4.3).
    pub alternates: &'a [Flow],
    /// The new Request-URI; `None` keeps it, as requests with a Route or inside a dialog need it.
    pub uri: Option<&'a str>,
    /// A Route value to put on top, as `<sip:edge.example.com;lr>`: the Path of a registration.
    pub route: Option<&'a str>,
    /// Groups are tried one after the other, the lowest first; targets of one group ring at once.
    pub group: u16,
}

impl Target<'_> {
    /// The Request-URI as it is, by this path.
    pub const fn unchanged(flow: Flow) -> Self {
        Self { flow, alternates: &[], uri: None, route: None, group: 0 }
    }
}

/// What happened. Spans are pieces of the [`ProxyOutput`](crate::proxy::ProxyOutput) of that call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyEvent {
    /// A new request. Answer with [`forward`](crate::proxy::Proxy::forward), [`reject`](crate::proxy::Proxy::reject) or
    /// [`redirect`](crate::proxy::Proxy::redirect).
    Request {
        /// To answer with.
        request: ProxyId,
        /// The request, without the Route values that name us.
        message: Span,
        /// The URI that it goes to next: its first Route, or its Request-URI.
        next_hop: Span,
        /// What it is by its route and its tags.
        standing: Standing,
        /// The path that it has to take instead: our own Route value named a connection that only its peer can open.
        flow: Option<Flow>,
        /// The next hop is this proxy itself.
        is_for_us: bool,
    },
    /// An ACK that ends nothing here, as those for a 2xx do: give the message to
    /// [`forward_stateless`](crate::proxy::Proxy::forward_stateless), or drop it.
    Stateless {
        /// The request, without the Route values that name us.
        message: Span,
        /// The URI that it goes to next.
        next_hop: Span,
        /// What it is by its route and its tags.
        standing: Standing,
        /// The path that it has to take instead, as in [`ProxyEvent::Request`].
        flow: Option<Flow>,
        /// The next hop is this proxy itself.
        is_for_us: bool,
    },
    /// A target sent the request elsewhere: name its contacts as targets with [`follow`](crate::proxy::Proxy::follow), or none.
    Redirected {
        /// The request.
        request: ProxyId,
        /// Which of its redirections.
        redirect: u32,
        /// The 3xx.
        message: Span,
    },
    /// A source has as much in progress as one may have, and further requests of it are refused. Said once until it has
    /// nothing in progress.
    SourceFull {
        /// Its address.
        source: IpAddr,
    },
    /// The caller gave up. Its branches are being cancelled; targets can no longer be added.
    Cancelled {
        /// The request.
        request: ProxyId,
    },
    /// A final response went upstream; further 2xx to an INVITE may follow it without another event.
    Finished {
        /// The request.
        request: ProxyId,
        /// Its status.
        status: u16,
    },
}

/// Levels of the tables: all zero when nothing is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxySizes {
    /// Requests in progress, or so recent that copies of them may come.
    pub requests: usize,
    /// Keys under which they are found.
    pub request_keys: usize,
    /// Branches.
    pub branches: usize,
    /// Keys under which they are found.
    pub branch_keys: usize,
    /// Deadlines; some may be of things that ended, until their time comes.
    pub deadlines: usize,
    /// Bytes of the messages that are kept for the requests.
    pub stored_bytes: usize,
}
