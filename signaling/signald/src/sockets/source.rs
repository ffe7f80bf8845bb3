//! Where datagrams come from that nobody can answer. Sources of datagrams are written by their senders.

use sip_core::Flow;
use std::net::IpAddr;

/// Whether an answer may go to where a datagram came from. Not to port 0, which is none, nor to many hosts at once, nor to the
/// very socket that it would come from: what we send to ourselves never leaves the process
/// ([`leads_home`](crate::paths::own_address::leads_home)), so that source is forged, and two such answers would answer each other.
pub(crate) fn may_be_answered(flow: &Flow) -> bool {
    let (local, remote) = (flow.local, flow.remote);
    let is_one_host = match remote.ip().to_canonical() {
        IpAddr::V4(ip) => !ip.is_broadcast() && !ip.is_multicast() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    };
    is_one_host && remote.port() != 0 && (local.port(), local.ip()) != (remote.port(), remote.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_other_host_is_answered() {
        let is_taken =
            |local: &str, remote: &str| may_be_answered(&Flow::udp(local.parse().unwrap(), remote.parse().unwrap()));
        for (local, remote) in [
            ("192.0.2.9:5060", "192.0.2.1:5060"),
            ("192.0.2.9:5060", "192.0.2.9:5070"),
            ("[2001:db8::9]:5060", "[2001:db8::1]:1"),
            ("[fe80::9%2]:5060", "[fe80::1%2]:5060"),
        ] {
            assert!(is_taken(local, remote), "{remote}");
        }
        for (local, remote) in [
            ("192.0.2.9:5060", "192.0.2.1:0"),
            ("192.0.2.9:5060", "192.0.2.9:5060"),
            ("192.0.2.9:5060", "0.0.0.0:5060"),
            ("192.0.2.9:5060", "224.0.1.75:5060"),
            ("192.0.2.9:5060", "255.255.255.255:5060"),
            ("[2001:db8::9]:5060", "[2001:db8::9]:5060"),
            ("[2001:db8::9]:5060", "[ff02::1%2]:5060"),
            ("[2001:db8::9]:5060", "[::]:5060"),
            ("[2001:db8::9]:5060", "[::ffff:224.0.0.1]:5060"),
        ] {
            assert!(!is_taken(local, remote), "{remote}");
        }
    }
}
