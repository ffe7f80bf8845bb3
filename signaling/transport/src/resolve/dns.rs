//! Asks name servers.

use super::order::{Naptr, Srv};
use super::{NameServers, ResolveError, ResolverConfig};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig as Servers};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use std::net::IpAddr;
use std::time::Duration;

/// Longest that an answer is kept, whatever its TTL says.
const TTL_MAX: Duration = Duration::from_secs(3_600);
/// Longest that "there is none" is kept.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(60);

pub(super) struct Dns {
    resolver: TokioResolver,
    timeout: Duration,
}

impl Dns {
    pub(super) fn new(config: &ResolverConfig) -> Result<Self, ResolveError> {
        let none = |error: &dyn std::fmt::Display| ResolveError::NoNameServer(error.to_string());
        let mut builder = match &config.servers {
            NameServers::System => TokioResolver::builder_tokio().map_err(|error| none(&error))?,
            NameServers::Addresses(addresses) if addresses.is_empty() => return Err(none(&"the list is empty")),
            NameServers::Addresses(addresses) => {
                let servers = addresses.iter().map(|address| {
                    let mut both = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                    both.iter_mut().for_each(|connection| connection.port = address.port());
                    NameServerConfig::new(address.ip(), true, both)
                });
                let servers = Servers::from_name_servers(servers.collect());
                let mut builder = Resolver::builder_with_config(servers, TokioRuntimeProvider::default());
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                builder
            }
        };
        let options = builder.options_mut();
        options.timeout = config.timeout;
        options.attempts = config.attempt_count.saturating_sub(1);
        options.cache_size = config.cache_max_count;
        options.positive_max_ttl = Some(TTL_MAX);
        options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
        let resolver = builder.build().map_err(|error| none(&error))?;
        Ok(Self { resolver, timeout: config.timeout })
    }

    pub(super) async fn naptr(&self, name: &str) -> Result<Vec<Naptr>, ResolveError> {
        let pick = |record: &Record| match &record.data {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
                service: String::from_utf8_lossy(&naptr.services).into_owned(),
                replacement: naptr.replacement.to_ascii(),
            }),
            _ => None,
        };
        self.records(name, RecordType::NAPTR, pick).await
    }

    pub(super) async fn srv(&self, name: &str) -> Result<Vec<Srv>, ResolveError> {
        let pick = |record: &Record| match &record.data {
            RData::SRV(srv) => {
                Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_ascii() })
            }
            _ => None,
        };
        self.records(name, RecordType::SRV, pick).await
    }

    pub(super) async fn ipv4(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.records(name, RecordType::A, |record| record.data.ip_addr()).await
    }

    pub(super) async fn ipv6(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.records(name, RecordType::AAAA, |record| record.data.ip_addr()).await
    }

    /// What `pick` takes out of the answers; none when the name or the kind of record does not exist.
    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&Record) -> Option<T>,
    ) -> Result<Vec<T>, ResolveError> {
        let mut full = Name::from_ascii(name).map_err(|_| ResolveError::BadName(name.to_owned()))?;
        full.set_fqdn(true); // a URI's host is whole: nothing is to be searched for below it
        match self.resolver.lookup(full, kind).await {
            Ok(lookup) => Ok(lookup.answers().iter().filter_map(pick).collect()),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(NetError::Timeout) => Err(ResolveError::TimedOut(self.timeout)),
            Err(error) => Err(ResolveError::Failed(error.to_string())),
        }
    }
}
