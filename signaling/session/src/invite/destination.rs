//! Where calls may go because a peer says so: the target of a REFER (RFC 3515), the Contacts of a 3xx (RFC 3261 §8.1.3.4).
//! What becomes of such a target is decided by the user; what leads to this host itself, or to no host at all, is refused
//! after names have become addresses.

use crate::{SessionId, Sip, Target, Turn};
use sip_core::Flow;
use sip_wire::Uri;
use std::net::{IpAddr, SocketAddr};

/// A REFER that waits for a decision.
#[derive(Clone, Copy, Debug)]
pub struct TransferRequest<'r> {
    /// The call of the peer that asks.
    pub id: SessionId,
    /// The URI that it wants called, without header fields.
    pub target: &'r str,
    /// What that would be.
    pub kind: TransferKind,
}

/// What a transfer leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferKind {
    /// Another call of this switch, which is taken over (`Replaces`, RFC 3891).
    TakeOver,
    /// A new call to an address of this switch.
    Here,
    /// A new call to somewhere else.
    Elsewhere,
}

/// What becomes of a target that a peer has named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The call goes where the peer says, if [`Destinations`] allow the address.
    Named,
    /// It goes there only if that is an address of this switch, which decides about it as about any incoming call.
    Home,
    /// It goes to these instead: the operator's or the program's own words.
    Targets(Vec<Target>),
    /// It goes nowhere; 300 to 699.
    Refused(u16),
}

/// Which addresses a peer may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Destinations {
    /// Addresses of this host and of its links.
    pub local: LocalAddresses,
    /// First and last port of our media on addresses of this host: never a destination.
    pub media_ports: Option<(u16, u16)>,
}

/// Whether addresses of this host (loopback included) and link-local ones may be named, beside those that we listen on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LocalAddresses {
    /// They may not: what listens there trusts its own host.
    #[default]
    Refused,
    /// They may.
    Allowed,
}

impl Destinations {
    /// Whether a call may take this path because a peer says so.
    pub(crate) fn allow(&self, flow: &Flow, sip: &dyn Sip) -> bool {
        self.allow_address(flow.remote, |ip| sip.is_of_this_host(ip), |remote| sip.home(remote).is_some())
    }

    /// The same of an address, where these say what is of this host and what we listen on.
    pub fn allow_address(
        &self,
        remote: SocketAddr,
        is_of_this_host: impl Fn(IpAddr) -> bool,
        is_home: impl Fn(SocketAddr) -> bool,
    ) -> bool {
        let ip = remote.ip().to_canonical();
        let remote = SocketAddr::new(ip, remote.port());
        if remote.port() == 0 || is_no_host(ip) {
            return false;
        }
        let is_own = ip.is_loopback() || is_of_this_host(ip);
        if is_own && self.media_ports.is_some_and(|(first, last)| (first..=last).contains(&remote.port())) {
            return false;
        }
        self.local == LocalAddresses::Allowed || is_home(remote) || !(is_own || is_link_local(ip))
    }
}

/// Unspecified, multicast and broadcast addresses.
fn is_no_host(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

impl Turn<'_> {
    /// The path to the switch itself, if the URI has one of its addresses.
    pub(crate) fn home_of(&self, uri: &str) -> Option<Flow> {
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        self.sip.home(SocketAddr::new(uri.host?.ip()?, uri.port_or_default()))
    }
}
