//! The procedure of RFC 3263 §4.

use super::dns::Dns;
use super::order::{by_weight, services, srv_prefix};
use super::{Host, Query, ResolveError, Target};
use crate::Transport;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most targets of one query; also the most SRV records whose addresses are asked for.
pub const TARGETS_MAX_COUNT: usize = 16;
/// Most services of one domain that are looked at.
const SERVICES_MAX_COUNT: usize = 8;

/// Which name servers are asked, for which transports and addresses, and how long.
#[derive(Clone, Debug)]
pub struct ResolverConfig {
    /// The name servers.
    pub servers: NameServers,
    /// The transports that we can use, best first.
    pub transports: Vec<Transport>,
    /// Which addresses we can use.
    pub families: Families,
    /// For one answer.
    pub timeout: Duration,
    /// How often a question is asked, each time for `timeout`.
    pub attempt_count: usize,
    /// For all questions of one query together.
    pub limit: Duration,
    /// Answers kept, each for its TTL but at most an hour; that there is none is kept for a minute at most.
    pub cache_max_count: u64,
    /// Queries at once.
    pub lookups_max_count: usize,
}

/// Name servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NameServers {
    /// Those in `/etc/resolv.conf`; `/etc/hosts` counts too.
    System,
    /// These and nothing else.
    Addresses(Vec<SocketAddr>),
}

/// Kinds of addresses, in the order to try them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Families {
    /// A only.
    Ipv4,
    /// AAAA only.
    Ipv6,
    /// Both.
    Ipv4First,
    /// Both.
    Ipv6First,
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            servers: NameServers::System,
            transports: vec![Transport::Udp, Transport::Tcp],
            families: Families::Ipv4First,
            timeout: Duration::from_secs(2),
            attempt_count: 2,
            limit: Duration::from_secs(8),
            cache_max_count: 4_096,
            lookups_max_count: 1_024,
        }
    }
}

/// Finds targets. Clones share one cache. Needs a tokio runtime with time and I/O around it.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    dns: Dns,
    config: ResolverConfig,
    places: Arc<Semaphore>,
}

impl Resolver {
    /// Reads the host's configuration if it is to be used; asks nobody yet.
    pub fn new(config: ResolverConfig) -> Result<Self, ResolveError> {
        let dns = Dns::new(&config)?;
        let places = Arc::new(Semaphore::new(config.lookups_max_count.min(Semaphore::MAX_PERMITS)));
        Ok(Self { inner: Arc::new(Inner { dns, config, places }) })
    }

    /// All targets of a query in the order to try them (RFC 3263 §4.3), at least one and at most [`TARGETS_MAX_COUNT`].
    /// `random` decides between SRV records of one priority: draw it anew for every transaction.
    pub async fn resolve(&self, query: &Query, random: u64) -> Result<Vec<Target>, ResolveError> {
        let Ok(_place) = self.inner.places.try_acquire() else { return Err(ResolveError::Busy) };
        let limit = self.inner.config.limit;
        timeout(limit, self.inner.resolve(query, random)).await.unwrap_or(Err(ResolveError::TimedOut(limit)))
    }

    /// As [`Resolver::resolve`], for threads that must not wait: `done` is called on the runtime, or at once when there
    /// is nothing to ask.
    pub fn start(
        &self,
        runtime: &Handle,
        query: Query,
        random: u64,
        done: impl FnOnce(Result<Vec<Target>, ResolveError>) + Send + 'static,
    ) {
        if let Host::Address(ip) = query.host {
            return done(self.inner.numeric(&query, ip).map(|target| vec![target]));
        }
        let resolver = self.clone();
        runtime.spawn(async move { done(resolver.resolve(&query, random).await) });
    }
}

impl Inner {
    async fn resolve(&self, query: &Query, random: u64) -> Result<Vec<Target>, ResolveError> {
        let name = match &query.host {
            Host::Address(ip) => return self.numeric(query, *ip).map(|target| vec![target]),
            Host::Name(name) => name,
        };
        let mut found =
            Targets { domain: name.clone(), list: Vec::new(), failure: None, has_services: false, has_hosts: false };
        if query.port.is_some() {
            let transport = self.usable(query.transport_without_dns(), query)?;
            self.add_host(&mut found, name, query.port_or_default(transport), transport).await;
            return found.finish();
        }
        let mut offers = self.services(query, name).await?;
        offers.truncate(SERVICES_MAX_COUNT);
        for (index, (transport, service)) in offers.into_iter().enumerate() {
            self.add_service(&mut found, &service, transport, random.wrapping_add(index as u64)).await;
        }
        if !found.has_services && found.failure.is_none() {
            // RFC 3263 §4.2: no SRV records, so the name itself. Where there are some, they are all there is: a target of `.`
            // says that nobody is to be tried (RFC 2782).
            let transport = self.usable(query.transport_without_dns(), query)?;
            self.add_host(&mut found, name, query.port_or_default(transport), transport).await;
        }
        found.finish()
    }

    fn numeric(&self, query: &Query, ip: IpAddr) -> Result<Target, ResolveError> {
        let transport = self.usable(query.transport_without_dns(), query)?;
        let address = SocketAddr::new(ip, query.port_or_default(transport));
        Ok(Target { transport, address, tls_name: None })
    }

    fn usable(&self, transport: Transport, query: &Query) -> Result<Transport, ResolveError> {
        match (&query.host, self.config.transports.contains(&transport)) {
            (_, true) => Ok(transport),
            (Host::Name(name), false) => Err(ResolveError::NoTransport(name.to_string())),
            (Host::Address(ip), false) => Err(ResolveError::NoTransport(ip.to_string())),
        }
    }

    /// The transports to try, with the names of their SRV records (RFC 3263 §4.1).
    async fn services(&self, query: &Query, name: &str) -> Result<Vec<(Transport, String)>, ResolveError> {
        let at = |transport| srv_prefix(transport).map(|prefix| (transport, format!("{prefix}.{name}")));
        if let Some(transport) = query.transport {
            return Ok(at(self.usable(transport, query)?).into_iter().collect());
        }
        let records = self.dns.naptr(name).await?;
        let has_records = !records.is_empty();
        let offered = services(records, &self.config.transports, query.is_secure);
        if !offered.is_empty() {
            return Ok(offered);
        }
        if has_records && query.is_secure {
            // RFC 3263 §4.1: a sips: URI has no other way than the one that the records do not offer.
            return Err(ResolveError::NoTransport(name.to_owned()));
        }
        let ours = self.config.transports.iter().copied();
        Ok(ours.filter(|transport| !query.is_secure || transport.is_secure()).filter_map(at).collect())
    }

    async fn add_service(&self, found: &mut Targets, service: &str, transport: Transport, random: u64) {
        match self.dns.srv(service).await {
            Ok(records) => {
                found.has_services |= !records.is_empty();
                for (host, port) in by_weight(records, random).into_iter().take(TARGETS_MAX_COUNT) {
                    found.has_hosts = true;
                    if found.list.len() < TARGETS_MAX_COUNT {
                        self.add_host(found, &host, port, transport).await;
                    }
                }
            }
            Err(error) => found.failure = Some(error),
        }
    }

    async fn add_host(&self, found: &mut Targets, host: &str, port: u16, transport: Transport) {
        let (dns, families) = (&self.dns, self.config.families);
        let (first, second) = match families {
            Families::Ipv4 => (dns.ipv4(host).await, Ok(Vec::new())),
            Families::Ipv6 => (dns.ipv6(host).await, Ok(Vec::new())),
            Families::Ipv4First => tokio::join!(dns.ipv4(host), dns.ipv6(host)),
            Families::Ipv6First => tokio::join!(dns.ipv6(host), dns.ipv4(host)),
        };
        for result in [first, second] {
            match result {
                Ok(addresses) => addresses.into_iter().for_each(|ip| found.add(transport, SocketAddr::new(ip, port))),
                Err(error) => found.failure = Some(error),
            }
        }
    }
}

/// What has been found so far.
struct Targets {
    domain: Arc<str>,
    list: Vec<Target>,
    /// Why something was not found; it matters when nothing was.
    failure: Option<ResolveError>,
    /// There are SRV records.
    has_services: bool,
    /// And one of them at least names a host.
    has_hosts: bool,
}

impl Targets {
    fn add(&mut self, transport: Transport, address: SocketAddr) {
        let tls_name = transport.is_secure().then(|| self.domain.clone());
        let target = Target { transport, address, tls_name };
        if self.list.len() < TARGETS_MAX_COUNT && !self.list.contains(&target) {
            self.list.push(target);
        }
    }

    fn finish(self) -> Result<Vec<Target>, ResolveError> {
        match (self.list.is_empty(), self.failure) {
            (false, _) => Ok(self.list),
            (true, Some(error)) => Err(error),
            (true, None) if self.has_services && !self.has_hosts => {
                Err(ResolveError::Unavailable(self.domain.to_string()))
            }
            (true, None) => Err(ResolveError::NoAddress(self.domain.to_string())),
        }
    }
}
