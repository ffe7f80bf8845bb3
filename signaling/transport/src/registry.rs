//! Which connections there are, and which of them leads to a target.

use crate::Target;
use crate::connection::Connection;
use crate::error::SendError;
use crate::inbound::Side;
use sip_core::{Flow, Transport};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Closed connections of ours whose host name is remembered, so that a dialog may go on over a new one.
const RETIRED_MAX_COUNT: usize = 4_096;

/// Why a peer's connection is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Total,
    Source,
    ShuttingDown,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    transport: Transport,
    remote: SocketAddr,
    tls_name: Option<Arc<str>>,
}

#[derive(Default)]
struct Tables {
    by_number: HashMap<u64, Arc<Connection>>,
    by_target: HashMap<Key, u64>,
    /// RFC 5923: where the client of a mutually authenticated TLS connection listens.
    aliases: HashMap<(Transport, SocketAddr), u64>,
    per_source: HashMap<IpAddr, usize>,
    retired: BTreeMap<u64, Target>,
    last_number: u64,
    is_closing: bool,
}

/// All connections.
pub(crate) struct Registry {
    tables: Mutex<Tables>,
    max_count: usize,
    per_source_max_count: usize,
}

/// What a look-up by target found.
pub(crate) enum Found {
    /// A connection that was there.
    Open(Arc<Connection>),
    /// A new one, which the caller has to open.
    New(Arc<Connection>),
}

impl Registry {
    pub(crate) fn new(max_count: usize, per_source_max_count: usize) -> Self {
        Self { tables: Mutex::default(), max_count, per_source_max_count }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change below is one insertion or removal: nothing is half done when a thread dies.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer's connection, if there is room.
    pub(crate) fn admit(
        &self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Arc<Connection>, Refusal> {
        let mut tables = self.tables();
        if tables.is_closing {
            return Err(Refusal::ShuttingDown);
        }
        if tables.by_number.len() >= self.max_count {
            return Err(Refusal::Total);
        }
        let count = tables.per_source.entry(source(remote)).or_default();
        if *count >= self.per_source_max_count {
            return Err(Refusal::Source);
        }
        *count += 1;
        let connection = number(&mut tables.last_number, Side::Accepted);
        let flow = Flow { transport, local, remote, connection };
        Ok(tables.insert(Connection::new(flow, Side::Accepted, None)))
    }

    /// The connection to a target: an open one, or a new one with the local address that `local` tells.
    pub(crate) fn find_or_add(&self, target: &Target, local: impl FnOnce() -> SocketAddr) -> Result<Found, SendError> {
        let mut tables = self.tables();
        if tables.is_closing {
            return Err(SendError::ShuttingDown);
        }
        let key = Key::of(target);
        if let Some(found) = tables.find(&key) {
            return Ok(Found::Open(found));
        }
        if tables.by_number.len() >= self.max_count {
            return Err(SendError::TooManyConnections);
        }
        let connection = number(&mut tables.last_number, Side::Connected);
        let flow = Flow { transport: target.transport, local: local(), remote: target.address, connection };
        tables.by_target.insert(key, connection);
        Ok(Found::New(tables.insert(Connection::new(flow, Side::Connected, target.tls_name.clone()))))
    }

    /// The flow of the connection to a target, without opening one: what is sent on it later opens it.
    pub(crate) fn reserve(&self, target: &Target, local: impl FnOnce() -> SocketAddr) -> Result<Flow, SendError> {
        let mut tables = self.tables();
        if tables.is_closing {
            return Err(SendError::ShuttingDown);
        }
        if let Some(found) = tables.find(&Key::of(target)) {
            return Ok(found.flow);
        }
        let connection = number(&mut tables.last_number, Side::Connected);
        tables.retire(connection, target.clone());
        Ok(Flow { transport: target.transport, local: local(), remote: target.address, connection })
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Connection>> {
        self.tables().by_number.get(&number).cloned()
    }

    /// Where a connection of ours led to that is gone.
    pub(crate) fn retired(&self, number: u64) -> Option<Target> {
        self.tables().retired.get(&number).cloned()
    }

    /// A peer's connection is ready: what goes to its address may take it.
    pub(crate) fn opened(&self, connection: &Connection) {
        if connection.side == Side::Accepted {
            let flow = connection.flow;
            let key = Key { transport: flow.transport, remote: flow.remote, tls_name: None };
            self.tables().by_target.insert(key, flow.connection);
        }
    }

    /// RFC 5923 §8: what goes to `address` may take this connection, as far as its certificate is for the name.
    pub(crate) fn alias(&self, connection: &Connection, address: SocketAddr) {
        let flow = connection.flow;
        let mut tables = self.tables();
        if tables.by_number.contains_key(&flow.connection) {
            tables.aliases.insert((flow.transport, address), flow.connection);
        }
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        let mut tables = self.tables();
        let flow = connection.flow;
        if tables.by_number.remove(&flow.connection).is_none() {
            return;
        }
        tables.unlink(connection);
        match connection.side {
            Side::Accepted => tables.release_source(source(flow.remote)),
            Side::Connected => {
                tables.retire(flow.connection, target_of(connection));
            }
        }
    }

    /// Nothing new is sent on a connection that closes.
    pub(crate) fn unlink(&self, connection: &Connection) {
        self.tables().unlink(connection);
    }

    /// From now on nothing is added. Returns what there is.
    pub(crate) fn close(&self) -> Vec<Arc<Connection>> {
        let mut tables = self.tables();
        tables.is_closing = true;
        tables.by_number.values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.tables().by_number.len()
    }
}

impl Tables {
    fn insert(&mut self, connection: Connection) -> Arc<Connection> {
        let connection = Arc::new(connection);
        self.by_number.insert(connection.flow.connection, connection.clone());
        connection
    }

    fn retire(&mut self, number: u64, target: Target) {
        self.retired.insert(number, target);
        if self.retired.len() > RETIRED_MAX_COUNT {
            self.retired.pop_first();
        }
    }

    fn find(&self, key: &Key) -> Option<Arc<Connection>> {
        if let Some(found) = self.by_target.get(key).and_then(|number| self.by_number.get(number)) {
            return Some(found.clone());
        }
        let number = self.aliases.get(&(key.transport, key.remote))?;
        let connection = self.by_number.get(number)?;
        let certificate = connection.client_certificate.get()?;
        crate::tls::is_for_name(certificate, key.tls_name.as_deref()?).then(|| connection.clone())
    }

    fn unlink(&mut self, connection: &Connection) {
        let (key, number) = (Key::of(&target_of(connection)), connection.flow.connection);
        if self.by_target.get(&key) == Some(&number) {
            self.by_target.remove(&key);
        }
        if connection.client_certificate.get().is_some() {
            self.aliases.retain(|_, aliased| *aliased != number);
        }
    }

    fn release_source(&mut self, source: IpAddr) {
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }
}

fn target_of(connection: &Connection) -> Target {
    let flow = connection.flow;
    Target { transport: flow.transport, address: flow.remote, tls_name: connection.tls_name.clone() }
}

impl Key {
    /// The name matters where it is verified only.
    fn of(target: &Target) -> Self {
        let tls_name = target.tls_name.clone().filter(|_| target.transport.is_secure());
        Self { transport: target.transport, remote: target.address, tls_name }
    }
}

/// Whether the peer had opened the connection of this number.
pub(crate) fn is_accepted(number: u64) -> bool {
    number % 2 == 1
}

/// Odd numbers for connections that peers open, even ones for ours, so that a number says it after the connection is gone.
fn number(last: &mut u64, side: Side) -> u64 {
    *last += 2;
    match side {
        Side::Accepted => *last + 1,
        Side::Connected => *last,
    }
}

/// The source that a connection is counted against: one host has a whole IPv6 /64.
fn source(remote: SocketAddr) -> IpAddr {
    match remote.ip() {
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        },
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn target(transport: Transport, name: Option<&str>) -> Target {
        Target { transport, address: address("192.0.2.1:5061"), tls_name: name.map(Arc::from) }
    }

    fn open(registry: &Registry, target: &Target) -> (Arc<Connection>, bool) {
        match registry.find_or_add(target, || address("127.0.0.1:1")).unwrap_or_else(|error| panic!("{error}")) {
            Found::Open(connection) => (connection, false),
            Found::New(connection) => (connection, true),
        }
    }

    #[test]
    fn a_target_has_one_connection_per_verified_name() {
        let registry = Registry::new(10, 10);
        let (first, is_new) = open(&registry, &target(Transport::Tls, Some("a.example.com")));
        assert!(is_new && !is_accepted(first.flow.connection));
        assert!(!open(&registry, &target(Transport::Tls, Some("a.example.com"))).1);
        assert!(open(&registry, &target(Transport::Tls, Some("b.example.com"))).1);
        assert!(open(&registry, &target(Transport::Tls, None)).1);
        let (tcp, _) = open(&registry, &target(Transport::Tcp, Some("a.example.com")));
        assert_eq!(open(&registry, &target(Transport::Tcp, None)).0.flow, tcp.flow);
        registry.remove(&first);
        assert_eq!(registry.retired(first.flow.connection), Some(target(Transport::Tls, Some("a.example.com"))));
        let (again, is_new) = open(&registry, &target(Transport::Tls, Some("a.example.com")));
        assert!(is_new && again.flow.connection > first.flow.connection);
    }

    #[test]
    fn a_reserved_flow_takes_no_place_and_leads_to_its_target() {
        let registry = Registry::new(1, 1);
        let named = target(Transport::Tls, Some("a.example.com"));
        let reserve = |target: &Target| registry.reserve(target, || address("127.0.0.1:1")).unwrap().connection;
        let (first, second) = (reserve(&named), reserve(&named));
        assert!(first != second && registry.count() == 0 && registry.get(first).is_none());
        assert_eq!((registry.retired(first), registry.retired(second)), (Some(named.clone()), Some(named.clone())));
        let (connection, _) = open(&registry, &named);
        assert_eq!(reserve(&named), connection.flow.connection, "the one that is there");
    }

    #[test]
    fn places_are_bounded_in_all_and_per_source() {
        let registry = Registry::new(4, 2);
        let local = address("[::1]:5060");
        let admit = |remote| registry.admit(Transport::Tcp, local, address(remote));
        let first = admit("[2001:db8::1]:1").unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(is_accepted(first.flow.connection));
        assert!(admit("[2001:db8::2]:1").is_ok());
        assert_eq!(admit("[2001:db8::3]:1").err(), Some(Refusal::Source));
        assert!(admit("[2001:db8:0:1::3]:1").is_ok());
        assert!(admit("192.0.2.1:1").is_ok());
        assert_eq!(admit("192.0.2.2:1").err(), Some(Refusal::Total));
        registry.remove(&first);
        registry.remove(&first);
        assert!(admit("[2001:db8::3]:1").is_ok());
        registry.close();
        assert_eq!(admit("192.0.2.2:1").err(), Some(Refusal::ShuttingDown));
    }

    #[test]
    fn a_connection_that_replaced_another_stays_found() {
        let registry = Registry::new(4, 4);
        let (local, remote) = (address("127.0.0.1:5060"), address("192.0.2.1:5061"));
        let old = registry.admit(Transport::Ws, local, remote).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        registry.opened(&old);
        let new = registry.admit(Transport::Ws, local, remote).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        registry.opened(&new);
        registry.remove(&old);
        assert_eq!(open(&registry, &target(Transport::Ws, None)).0.flow, new.flow);
    }
}
