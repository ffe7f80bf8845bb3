use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why signaling did not start, or could not go on. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A target of a route that cannot be called.
    #[error(transparent)]
    Route(#[from] shard_core::RouteError),
    /// A port that another program has.
    #[error(
        "cannot listen on UDP {address}: another program has this port. `ss -ulpn 'sport = :{}'` shows which; stop it, or \
         set [sip] listen to another port", address.port()
    )]
    PortTaken {
        /// Where.
        address: SocketAddr,
    },
    /// An address that the host does not have.
    #[error("cannot listen on UDP {address}: this host has no such address. `ip -br address` shows those that it has")]
    NoSuchAddress {
        /// Where.
        address: SocketAddr,
    },
    /// A port that only root may have.
    #[error(
        "cannot listen on UDP {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE; set [sip] listen to a higher port"
    )]
    NotPermitted {
        /// Where.
        address: SocketAddr,
    },
    /// An address family that the kernel was started without.
    #[error("cannot listen on UDP {address}: this host has no {}; take it out of [sip] listen", if address.is_ipv4() { "IPv4" } else { "IPv6" })]
    NoFamily {
        /// Where.
        address: SocketAddr,
    },
    /// Any other trouble with a socket.
    #[error("cannot listen on UDP {address}: {what}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A TCP, TLS or WebSocket listener, or a certificate.
    #[error(transparent)]
    Streams(#[from] transport::StartError),
    /// The media process is not there.
    #[error(
        "no media process answers at {} within {within:?} ({reason}). Start it with `ringplane media`, or both with \
         `ringplane serve`", path.display()
    )]
    NoMediaPlane {
        /// Its socket.
        path: PathBuf,
        /// How long we tried.
        within: Duration,
        /// The last answer.
        reason: String,
    },
    /// The media process is there and will never fit.
    #[error("the media process at {} is of no use: {reason}", path.display())]
    WrongMediaPlane {
        /// Its socket.
        path: PathBuf,
        /// Why.
        reason: shm::HandoverError,
    },
    /// Another signaling process.
    #[error("another signaling process answers at {}: stop it, or set another [process] runtime_dir", path.display())]
    AlreadyRunning {
        /// Its socket.
        path: PathBuf,
    },
    /// The directory of the sockets, or one of them.
    #[error("cannot {what} {}: {source}; the directory must be writable for this user: set [process] runtime_dir", path.display())]
    Folder {
        /// What failed.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Threads or descriptors.
    #[error("cannot {what}: {source}; raise the limits of processes and open files (`ulimit -u`, `ulimit -n`)")]
    System {
        /// What failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A thread of ours died; the log has its last words.
    #[error("the thread `{0}` died; its last words are in the log above")]
    ThreadDied(String),
}

impl Error {
    /// Whether a connection listener found its port taken.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Streams(transport::StartError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse)
    }

    /// Whether the configuration is at fault, and not the host.
    pub fn is_configuration(&self) -> bool {
        use transport::StartError::{Limit, NoCertificate, NotAStream, Tls};
        matches!(self, Self::Route(_) | Self::Streams(Tls(_) | NoCertificate { .. } | Limit { .. } | NotAStream { .. }))
    }
}
