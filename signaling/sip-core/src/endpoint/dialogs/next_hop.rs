//! Where the requests of a dialog go (RFC 3261 §8.1.2, §12.2.1.1): to the first Route, or else to the remote target. Where
//! the message came from that named them counts only where it shows that nothing else leads to the peer:
//!
//! | what was found | where requests go |
//! |---|---|
//! | the address is nobody's: multicast, broadcast, unspecified, `.invalid`, port 0, a loopback or private address that a peer from further away names, a media port of ours | the source |
//! | the sender is the user agent itself (one Via) and its URI has `ob` (RFC 5626 §5.4) or `alias` (RFC 5923) | the source: it keeps that flow open |
//! | the topmost Via names another address than the source, or another port and asks for `rport` (RFC 3581) | the source: there is a NAT between us |
//! | over a connection: the address is the one that the sender gives as its own in Via, or a user agent names its own host | the source: a connection is used while it lives (RFC 3261 §18) |
//! | WebSocket: the URI asks for WebSocket | the source: browsers do not listen (RFC 7118 §5) |
//! | anything else | the address or name in the URI |
//!
//! A Via without `rport` whose port differs names the port on which its sender listens, so that is no sign of a NAT.
//! The answer to a request of ours has no Via of its sender: only what its address shows counts then.

use crate::flow::{Flow, Transport};
use crate::message::incoming::Incoming;
use sip_wire::{Host, Name, Scheme, Uri};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// How a message that names a target came to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The path that it took.
    pub(crate) flow: Flow,
    sender: Sender,
}

/// What is known of the element that sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sender {
    /// It answered a request of ours on this path.
    Answered,
    /// Its Via has a host name.
    Named(Hops),
    /// Its Via has the address that it came from.
    Open { sent_by: SocketAddr, hops: Hops },
    /// Its Via shows a NAT.
    Translated(Hops),
}

/// Whether the sender is the user agent itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hops {
    /// One Via: it is.
    One,
    /// There are proxies between.
    More,
}

/// Where to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hop {
    /// Where the message came from.
    Source,
    /// This address, over UDP from the address of ours that the message came to.
    Udp(SocketAddr),
    /// The path has to be found: by name, over another transport, or from another address of ours.
    Elsewhere,
}

impl Origin {
    /// Of a request.
    pub(crate) fn of(inc: &Incoming<'_, '_>) -> Self {
        let hops = match inc.message.raw_values(Name::Via).nth(1) {
            None => Hops::One,
            Some(_) => Hops::More,
        };
        let source = canonical(inc.flow.remote);
        let sender = match inc.via.host.ip().map(|ip| SocketAddr::new(ip.to_canonical(), inc.via.port_or_default())) {
            None => Sender::Named(hops),
            Some(sent_by) if sent_by.ip() != source.ip() => Sender::Translated(hops),
            Some(sent_by)
                if inc.flow.transport == Transport::Udp
                    && sent_by.port() != source.port()
                    && inc.via.rport().is_some() =>
            {
                Sender::Translated(hops)
            }
            Some(sent_by) => Sender::Open { sent_by, hops },
        };
        Self { flow: *inc.flow, sender }
    }

    /// Whether it is a response: what its sender's Via would show is not known.
    pub(crate) fn is_answer(&self) -> bool {
        self.sender == Sender::Answered
    }

    /// Of a response to a request that we sent over `flow`.
    pub(crate) fn answered(flow: Flow) -> Self {
        Self { flow, sender: Sender::Answered }
    }

    fn is_user_agent(&self) -> bool {
        matches!(
            self.sender,
            Sender::Named(Hops::One) | Sender::Open { hops: Hops::One, .. } | Sender::Translated(Hops::One)
        )
    }
}

/// The rule, for the URI of the first Route or of the remote target.
pub(crate) fn decide(uri: &[u8], origin: &Origin, media_ports: Option<&RangeInclusive<u16>>) -> Hop {
    let flow = &origin.flow;
    // What we send to ourselves stays in the process, whatever address we show.
    if flow.local == flow.remote {
        return Hop::Source;
    }
    let Some(place) = Place::of(uri) else { return Hop::Source };
    let is_flow_kept = place.is_flow_kept && origin.is_user_agent();
    let is_browser = matches!(flow.transport, Transport::Ws | Transport::Wss)
        && matches!(place.transport, Some(Transport::Ws | Transport::Wss));
    if is_flow_kept || is_browser {
        return Hop::Source;
    }
    let source = canonical(flow.remote);
    let Some(address) = place.address else {
        return if place.is_invalid { Hop::Source } else { Hop::Elsewhere };
    };
    let is_media = address.ip() == flow.local.ip().to_canonical()
        && media_ports.is_some_and(|ports| ports.contains(&address.port()));
    if is_nobodys(address) || is_media || reach(address.ip()) < reach(source.ip()) {
        return Hop::Source;
    }
    let same_transport = place.transport.is_none_or(|transport| transport == flow.transport);
    if matches!(origin.sender, Sender::Translated(_)) || (address == source && same_transport) {
        return Hop::Source;
    }
    if flow.transport != Transport::Udp {
        let is_sender = match origin.sender {
            Sender::Open { sent_by, hops } => address == sent_by || (hops == Hops::One && address.ip() == source.ip()),
            Sender::Named(hops) => hops == Hops::One && address.ip() == source.ip(),
            Sender::Answered | Sender::Translated(_) => false,
        };
        return if is_sender && same_transport { Hop::Source } else { Hop::Elsewhere };
    }
    let local = flow.local.ip().to_canonical();
    let is_udp = place.transport.unwrap_or_default() == Transport::Udp;
    if is_udp && local.is_ipv4() == address.is_ipv4() && local.is_loopback() == address.ip().is_loopback() {
        Hop::Udp(with_scope(address, flow))
    } else {
        Hop::Elsewhere
    }
}

/// A link-local address that a peer names is on the link on which its message came.
fn with_scope(address: SocketAddr, flow: &Flow) -> SocketAddr {
    match (address, flow.remote) {
        (SocketAddr::V6(mut address), SocketAddr::V6(source)) if address.ip().is_unicast_link_local() => {
            address.set_scope_id(source.scope_id());
            address.into()
        }
        _ => address,
    }
}

/// Whether a path to this URI could be found at all when the one that its owner came over is gone.
pub(crate) fn can_be_found(uri: &[u8]) -> bool {
    Place::of(uri).is_some_and(|place| {
        let is_browser = matches!(place.transport, Some(Transport::Ws | Transport::Wss));
        !place.is_invalid && !is_browser && place.address.is_none_or(|address| !is_nobodys(address))
    })
}

/// Whether two URIs lead to one host, whatever their ports.
pub(crate) fn is_same_host(one: &[u8], other: &[u8]) -> bool {
    let host = |uri| Place::of(uri)?.address.map(|address| address.ip());
    host(one).is_some_and(|ip| host(other) == Some(ip))
}

/// What a URI says about where it leads.
struct Place {
    /// `None`: a name.
    address: Option<SocketAddr>,
    /// As it is written; `None`: any.
    transport: Option<Transport>,
    is_invalid: bool,
    /// It has `ob` or `alias`.
    is_flow_kept: bool,
}

impl Place {
    fn of(uri: &[u8]) -> Option<Self> {
        let uri = Uri::parse(uri).ok().filter(|uri| uri.scheme.is_sip())?;
        let host = match uri.params.get("maddr") {
            Some(maddr) => Host::parse(maddr)?,
            None => uri.host?,
        };
        let is_secure = uri.scheme == Scheme::Sips;
        let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let transport = match uri.transport() {
            None => is_secure.then_some(Transport::Tls),
            Some(name) if is(name, "ws") || is(name, "wss") => {
                Some(if is_secure || is(name, "wss") { Transport::Wss } else { Transport::Ws })
            }
            Some(name) if is(name, "tls") || (is_secure && is(name, "tcp")) => Some(Transport::Tls),
            Some(name) if is(name, "tcp") => Some(Transport::Tcp),
            Some(name) if is(name, "udp") && !is_secure => Some(Transport::Udp),
            Some(_) => return None,
        };
        let port = uri.port.unwrap_or_else(|| transport.unwrap_or_default().default_port());
        let is_invalid = match &host {
            Host::Name(name) => {
                name.trim_end_matches('.').rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("invalid"))
            }
            Host::V4(_) | Host::V6(_) => false,
        };
        Some(Self {
            address: host.ip().map(|ip| SocketAddr::new(ip.to_canonical(), port)),
            transport,
            is_invalid,
            is_flow_kept: uri.params.has("ob") || uri.params.has("alias"),
        })
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Addresses at which no single host listens.
fn is_nobodys(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0);
    address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || is_broadcast
}

/// From how far away an address can be reached.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Host,
    Link,
    Site,
    World,
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        _ if ip.is_loopback() => Reach::Host,
        IpAddr::V4(ip) if ip.is_link_local() => Reach::Link,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Reach::Link,
        IpAddr::V4(ip) if ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64) => Reach::Site,
        IpAddr::V6(ip) if ip.is_unique_local() => Reach::Site,
        _ => Reach::World,
    }
}
