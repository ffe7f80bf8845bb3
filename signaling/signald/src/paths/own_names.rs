//! What we are called: addresses and names by which Route values, URIs and users of ours name us.

use crate::sockets::listener;
use config::Config;
use std::net::SocketAddr;
use transport::Streams;

/// `host:port` of everywhere that we listen and are said to listen, and our names.
pub(crate) fn own_names(config: &Config, streams: &Streams) -> Vec<String> {
    let listening = config.sip.listen.iter().copied().chain(streams.local_addrs().iter().map(|(_, at)| *at));
    let mut names: Vec<String> = config.sip.domains.clone();
    for at in listening {
        let ips = if at.ip().is_unspecified() { listener::host_addresses() } else { vec![at.ip()] };
        let ips = ips.into_iter().filter(|ip| ip.is_ipv4() == at.is_ipv4()).chain(config.sip.advertised_address);
        names.extend(ips.map(|ip| SocketAddr::new(ip, at.port()).to_string()));
    }
    names.sort();
    names.dedup();
    names
}

/// Names without their ports.
pub(crate) fn hosts(names: &[String]) -> Vec<String> {
    let host = |name: &String| match name.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => name.split(':').next().unwrap_or_default().to_owned(),
    };
    let mut hosts: Vec<String> = names.iter().map(host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn hosts_are_without_ports() {
        let names = ["192.0.2.1:5060", "192.0.2.1:5070", "[2001:db8::1]:5060", "a.example", "b.example:5070"];
        let names = names.map(str::to_owned);
        assert_eq!(hosts(&names), ["192.0.2.1", "2001:db8::1", "a.example", "b.example"]);
    }
}
