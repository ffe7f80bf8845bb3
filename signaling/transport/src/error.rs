//! What can go wrong, each with the way out.

use crate::{TlsError, Transport};
use sip_wire::limits::MESSAGE_MAX_BYTES;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why the stream transports did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that could not be listened on.
    #[error("cannot listen on {transport:?} {address}: {source}; {}", bind_hint(source, address))]
    Bind {
        /// Which transport.
        transport: Transport,
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A UDP listener.
    #[error("{address} asks for a UDP listener: streams are TCP, TLS, WS and WSS")]
    NotAStream {
        /// Where.
        address: SocketAddr,
    },
    /// A TLS or WSS listener without a certificate.
    #[error("{transport:?} {address} needs a certificate: name a certificate and a key file, or listen without TLS")]
    NoCertificate {
        /// Which transport.
        transport: Transport,
        /// Where.
        address: SocketAddr,
    },
    /// Certificates, keys or authorities that cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A limit that makes no sense.
    #[error("limit `{name}` must be {must_be}")]
    Limit {
        /// Its name.
        name: &'static str,
        /// What is allowed.
        must_be: &'static str,
    },
    /// No threads.
    #[error(
        "cannot start the threads of the stream transports: {0}; `ulimit -u` and `systemctl show -p TasksMax` tell the limits"
    )]
    Threads(io::Error),
}

fn bind_hint(error: &io::Error, address: &SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program holds it: `ss -ltnp 'sport = :{}'` shows which", address.port())
        }
        io::ErrorKind::AddrNotAvailable => "no interface has this address: `ip address` lists them".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: take a higher port or grant it".to_owned()
        }
        _ => "check the address and `ulimit -n`".to_owned(),
    }
}

/// Why a message was not taken for sending. Nothing further comes about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// UDP is not carried here.
    #[error("a UDP flow is not for the stream transports")]
    NotAStream,
    /// More bytes than one message may have.
    #[error("message of {0} bytes: at most {MESSAGE_MAX_BYTES} go on a stream")]
    TooLarge(usize),
    /// The connection is gone, and it was the peer who had opened it: take the next way that RFC 3261 §18.2.2 names.
    #[error("the connection is gone and only the peer can open it again")]
    Gone,
    /// The connection's queue, or all of them together, is full.
    #[error("the queue of the connection is full: the peer reads too slowly")]
    QueueFull,
    /// No place for another connection.
    #[error("all places for connections are taken (`connections_max_count`)")]
    TooManyConnections,
    /// TLS or WSS without certificates and trust.
    #[error("TLS is not configured: name the authorities to trust")]
    NoTls,
    /// A name that no certificate can be for.
    #[error("the host name to be verified is no DNS name")]
    BadName,
    /// Everything is closing.
    #[error("the stream transports are shutting down")]
    ShuttingDown,
}

/// Why a connection is gone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it in order.
    #[error("closed by the peer")]
    PeerClosed,
    /// The peer reset it, or the network broke.
    #[error("connection broke: {0}")]
    Broken(io::ErrorKind),
    /// It could not be opened: refused, no route.
    #[error("cannot connect: {0}")]
    ConnectFailed(io::ErrorKind),
    /// It did not stand in time.
    #[error("no connection within {0:?}")]
    ConnectTimedOut(Duration),
    /// TLS or WebSocket failed; with the library's words.
    #[error("handshake failed: {0}")]
    HandshakeFailed(String),
    /// The peer's certificate was not accepted, or it did not accept ours; with the library's words.
    #[error("certificate refused: {0}")]
    CertificateRefused(String),
    /// TLS or WebSocket took too long.
    #[error("no handshake within {0:?}")]
    HandshakeTimedOut(Duration),
    /// It carried something else than SIP.
    #[error("not SIP")]
    Garbage,
    /// The peer broke a rule of WebSocket, which it was told with this code (RFC 6455 §7.4.1).
    #[error("a rule of WebSocket was broken (close code {0})")]
    WebSocket(u16),
    /// A page of an origin that may not use us wanted a WebSocket.
    #[error("the origin is not among ws_origins")]
    OriginRefused,
    /// A message whose end cannot be found.
    #[error("message without a usable length")]
    Invalid,
    /// No first message in time.
    #[error("no first message within {0:?}")]
    FirstMessageLate(Duration),
    /// A message took too long to arrive.
    #[error("message not complete within {0:?}")]
    MessageLate(Duration),
    /// The peer read nothing for too long.
    #[error("the peer took nothing for {0:?}")]
    WriteStalled(Duration),
    /// Unfinished messages of all connections took too much memory.
    #[error("no memory for another unfinished message")]
    MemoryExceeded,
    /// Nothing came or went.
    #[error("idle for {0:?}")]
    Idle(Duration),
    /// A keep-alive was not answered.
    #[error("keep-alive not answered within {0:?}")]
    NoPong(Duration),
    /// We were asked to close it.
    #[error("closed by us")]
    Asked,
}
