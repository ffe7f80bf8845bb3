//! Requests of ours that lead back to us: they stay in the process, and every shard can be their goal.

use crate::paths::Paths;
use shard_core::PathFinder;
use sip_core::Flow;
use std::net::{IpAddr, SocketAddr};

impl PathFinder for Paths {
    fn home(&self, address: SocketAddr) -> Option<Flow> {
        let connections = self.streams.upgrade();
        let connections = connections.iter().flat_map(|streams| streams.local_addrs()).map(|(_, address)| address);
        let is_ours = |ours: &SocketAddr| {
            let is_host = ours.ip() == address.ip() || self.advertised == Some(address.ip());
            ours.port() == address.port() && (is_host || ours.ip().is_unspecified() && is_of_this_host(address.ip()))
        };
        let is_home = self.listening.iter().chain(connections).any(is_ours);
        is_home.then(|| Flow::udp(address, address))
    }

    fn is_of_this_host(&self, ip: IpAddr) -> bool {
        self.advertised == Some(ip) || is_of_this_host(ip)
    }

    fn find_now(&self, uri: &str) -> Option<Vec<Flow>> {
        Paths::find_now(self, uri)
    }
}

/// Whether a path leads home ([`Paths::home`]).
pub(crate) fn leads_home(flow: &Flow) -> bool {
    flow.local == flow.remote
}

/// What is sent to an address of this host is sent from it.
fn is_of_this_host(ip: IpAddr) -> bool {
    transport::route(SocketAddr::new(ip, 9)).is_ok_and(|local| local == ip)
}
