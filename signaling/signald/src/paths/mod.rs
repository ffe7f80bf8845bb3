//! From a URI to the paths that lead to it (RFC 3263), over every transport.

pub(crate) mod lookups;
pub(crate) mod own_address;
pub(crate) mod own_names;
pub(crate) mod route_targets;

use sip_core::Flow;
use sip_wire::Uri;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use transport::resolve::{Families, Host, NameServers, Query, ResolveError, Resolver, ResolverConfig};
use transport::{SendError, Streams, Target, Transport};

/// Finds paths for requests of ours. Clones are the same.
#[derive(Clone)]
pub struct Paths {
    /// Where we listen over UDP, and so send from.
    pub(crate) listening: Arc<[SocketAddr]>,
    pub(crate) streams: Weak<Streams>,
    pub(crate) advertised: Option<IpAddr>,
    /// Or why names cannot be looked up on this host; addresses still can.
    resolver: Result<Resolver, String>,
}

/// Why there is no path.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    /// Nothing found, or nobody to ask.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Names cannot be looked up.
    #[error("names cannot be looked up: {0}; check /etc/resolv.conf, or name others in [sip] name_servers")]
    NoResolver(String),
    /// Only addresses of a family that we do not listen on, or transports that we do not have.
    #[error("no address of it can be reached from where we listen: {0}")]
    Unreachable(String),
}

impl Paths {
    pub(crate) fn new(sip: &config::Sip, streams: &Arc<Streams>) -> Self {
        let listening = &sip.listen;
        let has = |is_four: bool| listening.iter().any(|address| address.is_ipv4() == is_four);
        let families = match (has(true), has(false)) {
            (true, true) => Families::Ipv4First,
            (false, true) => Families::Ipv6,
            _ => Families::Ipv4,
        };
        let transports = vec![Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        let servers = match &sip.name_servers[..] {
            [] => NameServers::System,
            servers => NameServers::Addresses(servers.to_vec()),
        };
        let resolver = Resolver::new(ResolverConfig { servers, transports, families, ..ResolverConfig::default() });
        Self {
            listening: listening.as_slice().into(),
            streams: Arc::downgrade(streams),
            advertised: sip.advertised_address,
            resolver: resolver.map_err(|error| error.to_string()),
        }
    }

    /// The paths to a Request-URI, or to the URI in the topmost Route, best first, at least one. Connections are opened
    /// when a path is first used. Needs a tokio runtime around it when the URI has a name.
    pub async fn find(&self, uri: &Uri<'_>) -> Result<Vec<Flow>, PathError> {
        let query = Query::from_uri(uri)?;
        let targets = match (&self.resolver, &query.host) {
            (Ok(resolver), _) => resolver.resolve(&query, RandomState::new().hash_one(uri.as_bytes())).await?,
            (Err(_), Host::Address(ip)) => vec![numeric(&query, *ip)],
            (Err(error), Host::Name(_)) => return Err(PathError::NoResolver(error.clone())),
        };
        let mut refusal = String::from("another address family");
        let paths = targets.iter().filter_map(|target| self.path(target).map_err(|error| refusal = error).ok());
        let paths: Vec<Flow> = paths.collect();
        if paths.is_empty() { Err(PathError::Unreachable(refusal)) } else { Ok(paths) }
    }

    /// The same for a URI with an address, which nobody has to be asked about; `None`: it has a name. No path: it cannot be
    /// reached.
    pub fn find_now(&self, uri: &str) -> Option<Vec<Flow>> {
        let uri = Uri::parse(uri.as_bytes());
        let Ok(query) = uri.map_err(|_| ()).and_then(|uri| Query::from_uri(&uri).map_err(|_| ())) else {
            return Some(Vec::new());
        };
        match &query.host {
            Host::Address(ip) => Some(self.path(&numeric(&query, *ip)).into_iter().collect()),
            Host::Name(_) => None,
        }
    }

    fn path(&self, target: &Target) -> Result<Flow, String> {
        if target.transport != Transport::Udp {
            let streams = self.streams.upgrade().ok_or_else(|| SendError::ShuttingDown.to_string())?;
            return streams.way_to(target).map_err(|error| error.to_string());
        }
        let remote = target.address;
        let ours = self.listening.iter().filter(|ours| ours.is_ipv4() == remote.is_ipv4());
        let ours = ours.min_by_key(|ours| ours.ip().is_loopback() != remote.ip().is_loopback());
        let ours = ours.ok_or_else(|| format!("{remote} is of a family that [sip] listen does not have"))?;
        let local = if ours.ip().is_unspecified() {
            transport::route(remote).map_err(|error| error.to_string())?
        } else {
            ours.ip()
        };
        Ok(Flow::udp(SocketAddr::new(local, ours.port()), remote))
    }
}

/// What a URI with an address says by itself.
fn numeric(query: &Query, ip: IpAddr) -> Target {
    let transport = query.transport.unwrap_or(if query.is_secure { Transport::Tls } else { Transport::Udp });
    let port = query.port.unwrap_or(transport.default_port());
    Target { transport, address: SocketAddr::new(ip, port), tls_name: None }
}
