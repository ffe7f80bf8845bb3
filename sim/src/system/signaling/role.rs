//! What the switch does with requests in a seed, and what its shards know of the network around them.

use config::{Config, Mode, Route};
use shard_core::intake::sharding::Tags;
use shard_core::names::Lookup;
use shard_core::proxy::{Relay, RelayPlan};
use shard_core::shard::chooser::{Chooser, User};
use shard_core::shard::shard_config;
use shard_core::{B2bua, Lookups, PathFinder, Routes, Shard, Transfers};
use sip_core::Flow;
use sip_core::proxy::ProxyConfig;
use sip_wire::Uri;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The network as the switch knows it: its own address, and the paths to the phones.
#[derive(Clone)]
pub(in crate::system) struct Surroundings {
    pub(in crate::system) switch: SocketAddr,
    /// From the switch to each phone, in the order of their numbers.
    pub(in crate::system) phones: Vec<Flow>,
}

impl PathFinder for Surroundings {
    fn home(&self, address: SocketAddr) -> Option<Flow> {
        (address == self.switch).then(|| Flow::udp(address, address))
    }

    fn is_of_this_host(&self, ip: IpAddr) -> bool {
        ip == self.switch.ip()
    }

    fn find_now(&self, uri: &str) -> Option<Vec<Flow>> {
        let to = Uri::parse(uri.as_bytes()).ok().and_then(|uri| Some((uri.host?.ip()?, uri.port_or_default())))?;
        let to = SocketAddr::from(to);
        Some(self.phones.iter().filter(|flow| flow.remote == to).copied().chain(self.home(to)).collect())
    }
}

/// No name is ever asked for: all URIs have addresses.
struct NoNames;

impl Lookups for NoNames {
    fn ask(&self, _: Lookup) -> bool {
        false
    }
}

/// The shards of one life of the signaling process.
pub(super) fn shards(config: &Config, count: usize, seed: u64, around: &Surroundings) -> Vec<Shard> {
    let targets: Vec<String> = around.phones.iter().map(|phone| format!("sip:{}", phone.remote)).collect();
    let route =
        |(index, uri): (usize, &String)| Route { pattern: format!("p{index}-*"), targets: vec![vec![uri.clone()]] };
    let rows: Vec<Route> = targets.iter().enumerate().map(route).collect();
    let routes = Routes::new(&rows).expect("the routes have addresses");
    for (uri, flow) in targets.iter().zip(&around.phones) {
        routes.set_paths(uri, &[*flow]);
    }
    let paths: Arc<dyn PathFinder> = Arc::new(around.clone());
    let plan = RelayPlan {
        routes: routes.clone(),
        is_redirecting: false,
        paths: paths.clone(),
        lookups: Arc::new(NoNames),
        names: vec![around.switch.to_string()],
        trusted: [].into(),
        destinations: shard_config::destinations(config),
        route_secret: [7; 32],
    };
    let sources = shard_config::sources(config);
    let shard = |number: usize| {
        let seed = seed.wrapping_add(number as u64 + 1);
        let user = Box::new(B2bua::new(routes.clone(), Transfers::new(config, routes.clone())));
        let relay = (config.sip.mode == Mode::Proxy || !config.sip.proxy.methods.is_empty()).then(|| {
            let proxy = shard_config::proxy_config(config, count, &plan);
            Relay::new(ProxyConfig { mark: number as u8, ..proxy }, seed.rotate_left(17), number, &plan, None)
        });
        let chooser = match config.sip.mode {
            Mode::Proxy => Chooser::only(User::Proxy),
            _ => Chooser::with_proxied(&config.sip.proxy.methods),
        };
        Shard::new(config, number, count, seed, user)
            .with_paths(paths.clone())
            .shared(sources.clone())
            .relaying(relay, chooser)
    };
    (0..count).map(shard).collect()
}

/// What tags and branches say about the shard of a message.
pub(super) fn tags(config: &Config) -> Tags {
    match config.sip.mode {
        Mode::Proxy => Tags::Foreign,
        _ if config.sip.proxy.methods.is_empty() => Tags::Ours,
        _ => Tags::Mixed,
    }
}
