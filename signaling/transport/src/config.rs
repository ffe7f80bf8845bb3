//! What to listen on, and every bound.

use crate::Transport;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What [`Streams::start`](crate::Streams::start) needs to know.
#[derive(Clone, Debug, Default)]
pub struct StreamsConfig {
    /// Where to listen; none is fine, connections can be opened all the same.
    pub listen: Vec<Listen>,
    /// Bounds.
    pub limits: Limits,
    /// Certificates and trust. Without it no TLS or WSS connection is possible either way.
    pub tls: Option<TlsConfig>,
    /// Which web pages may open WebSockets.
    pub origins: Origins,
    /// Whose threads to run on.
    pub runtime: Runtime,
}

/// Which web pages may open WebSockets to us (RFC 6455 §10.2). A browser says in `Origin` where its page comes from; anything
/// else may say what it likes, so this keeps foreign pages out of the browsers of our users, and no more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Origins {
    /// All of them.
    #[default]
    Any,
    /// Those of these origins, as browsers write them, such as `https://phone.example.com`. `none` lets those in who send no
    /// `Origin`, which are no browsers.
    Only(Vec<String>),
}

impl Origins {
    /// What a client that sends no `Origin` is called in the list.
    const NONE: &str = "none";

    /// Whether a handshake may go on that has these values of `Origin`.
    pub(crate) fn allow<'h>(&self, mut values: impl Iterator<Item = &'h [u8]>) -> bool {
        let Self::Only(list) = self else { return true };
        let origin = values.next().unwrap_or(Self::NONE.as_bytes());
        values.next().is_none() && list.iter().any(|ours| ours.as_bytes().eq_ignore_ascii_case(origin))
    }
}

/// One listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Any but UDP.
    pub transport: Transport,
    /// Address; port 0 lets the system choose. An IPv6 address never takes IPv4 connections.
    pub address: SocketAddr,
}

/// Whose threads run the connections.
#[derive(Clone, Debug)]
pub enum Runtime {
    /// A runtime of our own with so many threads.
    Own {
        /// At least 1.
        thread_count: usize,
    },
    /// The runtime of the program.
    Given(tokio::runtime::Handle),
}

impl Default for Runtime {
    fn default() -> Self {
        Self::Own { thread_count: 1 }
    }
}

/// Certificates and trust.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Our certificates. A client that names a host gets the first one that is valid for it, any other the first. The
    /// first is also what we show when a server asks us for one. May be empty when nothing listens.
    pub certificates: Vec<CertificateFiles>,
    /// Whether TLS listeners ask clients for a certificate. WSS listeners never do: browsers have none.
    pub client_certificates: ClientCertificates,
    /// Authorities that a server's certificate must come from when this process connects.
    pub trust: Trust,
}

impl TlsConfig {
    /// Reads all files and judges them, as a start would.
    pub fn check(self) -> Result<(), crate::TlsError> {
        crate::tls::Tls::load(self).map(drop)
    }
}

/// One certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// PEM file: the certificate, then those that lead to its authority.
    pub chain: PathBuf,
    /// PEM file: the private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// Whether clients must show a certificate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    NotAsked,
    /// They are asked; one that is shown must be good.
    Optional {
        /// PEM file of the authorities that we trust for it.
        authorities: PathBuf,
    },
    /// No connection without a good one.
    Required {
        /// PEM file of the authorities that we trust for it.
        authorities: PathBuf,
    },
}

/// Authorities that a server's certificate must come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// The authorities that the host trusts.
    #[default]
    System,
    /// Those in a PEM file, and no other.
    Authorities(PathBuf),
}

/// Every bound, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once, both sides together.
    pub connections_max_count: usize,
    /// Connections at once that one address opened; an IPv6 /64 counts as one address.
    pub connections_per_source_max_count: usize,
    /// Bytes waiting to be written on one connection.
    pub queue_max_bytes: usize,
    /// Bytes waiting to be written on all connections together.
    pub queues_total_max_bytes: usize,
    /// Bytes of unfinished messages on all connections together.
    pub unfinished_total_max_bytes: usize,
    /// Connections that the kernel keeps for us until we accept them, per listener.
    pub backlog_count: u32,
    /// Until a connection that we open stands, without its handshakes.
    pub connect: Duration,
    /// TLS and WebSocket handshakes together.
    pub handshake: Duration,
    /// From the handshake of a connection that a peer opened to its first whole message.
    pub first_message: Duration,
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// While there is something to write and the peer takes nothing.
    pub write_stall: Duration,
    /// While nothing comes or goes.
    pub idle: Duration,
    /// From asking a connection to close to dropping it.
    pub close: Duration,
    /// Send a keep-alive after so much silence (RFC 5626 §4.4.1, or a WebSocket ping). `None`: only answer those of peers.
    pub keep_alive: Option<Duration>,
    /// How long a peer that has answered keep-alives before may take for the next answer.
    pub pong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max_count: 10_000,
            connections_per_source_max_count: 500,
            queue_max_bytes: 1 << 20,
            queues_total_max_bytes: 64 << 20,
            unfinished_total_max_bytes: 64 << 20,
            backlog_count: 1_024,
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            first_message: Duration::from_secs(30),
            message: Duration::from_secs(10),
            write_stall: Duration::from_secs(10),
            idle: Duration::from_secs(3_600),
            close: Duration::from_secs(2),
            keep_alive: None,
            pong: Duration::from_secs(10),
        }
    }
}

/// Longest time limit.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Limits {
    /// The first limit that makes no sense, with what it must be.
    pub(crate) fn mistake(&self) -> Option<(&'static str, &'static str)> {
        let least_queue = sip_wire::limits::MESSAGE_MAX_BYTES;
        let times = [
            ("connect", self.connect),
            ("handshake", self.handshake),
            ("first_message", self.first_message),
            ("message", self.message),
            ("write_stall", self.write_stall),
            ("idle", self.idle),
            ("close", self.close),
            ("pong", self.pong),
            ("keep_alive", self.keep_alive.unwrap_or(LONGEST)),
        ];
        let time = times.into_iter().find(|(_, limit)| limit.is_zero() || *limit > LONGEST);
        let time = time.map(|(name, _)| (name, "longer than zero and at most 365 days"));
        let counts = [
            ("connections_max_count", self.connections_max_count >= 1, "at least 1"),
            ("connections_per_source_max_count", self.connections_per_source_max_count >= 1, "at least 1"),
            ("queue_max_bytes", self.queue_max_bytes >= least_queue, "room for one largest message: 65535"),
            ("queues_total_max_bytes", self.queues_total_max_bytes >= self.queue_max_bytes, "at least queue_max_bytes"),
            ("unfinished_total_max_bytes", self.unfinished_total_max_bytes >= least_queue, "at least 65535"),
            ("backlog_count", (1..=1 << 16).contains(&self.backlog_count), "from 1 to 65536"),
        ];
        let count = counts.into_iter().find(|(_, sound, _)| !sound).map(|(name, _, must)| (name, must));
        time.or(count)
    }
}
