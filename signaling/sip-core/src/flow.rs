//! Where a message came from and where the answer goes.

use sip_wire::Via;
use std::net::SocketAddr;

/// A transport of RFC 3261 §18 or RFC 7118.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Transport {
    /// Datagrams: requests and responses are retransmitted.
    #[default]
    Udp,
    /// A byte stream.
    Tcp,
    /// A byte stream inside TLS.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket inside TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself repeats what is lost: no retransmission timers then.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether the transport is encrypted, as `sips:` demands.
    pub const fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// As written in Via (`SIP/2.0/UDP`).
    pub const fn via_name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As written in the `transport` parameter of a URI; UDP is the default and is not written.
    pub(crate) const fn uri_parameter(self) -> &'static str {
        match self {
            Transport::Udp | Transport::Tls => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Ws | Transport::Wss => ";transport=ws",
        }
    }

    /// The port that a Via without one means.
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

/// One path to a peer: a pair of addresses over UDP, a connection otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Our address on this path; also what Via and Contact say unless the configuration advertises another.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The caller's number for the connection; 0 over UDP.
    pub connection: u64,
}

impl Flow {
    /// A UDP path.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport: Transport::Udp, local, remote, connection: 0 }
    }

    /// Where the responses to a request go that came this way with this topmost Via (RFC 3261 §18.2.2, RFC 3581 §4): back over
    /// the connection; over UDP to the source, at its port with `rport`, at the port of sent-by otherwise.
    ///
    /// `maddr` is not followed, nor is `received`, which the sender can only have written itself: a datagram earns an answer to
    /// where it came from and nowhere else. `maddr` was made for responses to multicast groups, which we are no member of.
    pub fn of_responses(&self, via: &Via<'_>) -> Self {
        let port = via.port_or_default();
        if self.transport != Transport::Udp || via.rport().is_some() || port == 0 {
            return *self;
        }
        let mut remote = self.remote;
        remote.set_port(port); // and keeps the scope of a link-local address
        Self { remote, ..*self }
    }
}
