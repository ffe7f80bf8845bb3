use std::time::Duration;

/// Why there is nobody to send to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResolveError {
    /// Not a `sip:` or `sips:` URI, so no host.
    #[error("only sip: and sips: URIs have a host to send to")]
    NoHost,
    /// A host that cannot be asked for.
    #[error("`{0}` is no domain name")]
    BadName(String),
    /// A transport that nobody knows.
    #[error("`{0}` is no transport: udp, tcp, tls, ws and wss are")]
    BadTransport(String),
    /// `sips:` with UDP.
    #[error("sips: demands an encrypted transport, and UDP is none")]
    Insecure,
    /// A transport that is not configured here, or only such ones offered by the domain.
    #[error("`{0}` offers no transport that is configured here")]
    NoTransport(String),
    /// Neither addresses nor services.
    #[error("`{0}` has no address")]
    NoAddress(String),
    /// All SRV records of the domain name `.` as their target, or port 0 (RFC 2782).
    #[error("`{0}` says that this service is decidedly not available there (SRV target `.`)")]
    Unavailable(String),
    /// No answer in time.
    #[error("no answer from the name servers within {0:?}: are they reachable?")]
    TimedOut(Duration),
    /// The name servers failed; with the library's words.
    #[error("the name servers failed: {0}")]
    Failed(String),
    /// Too many at once.
    #[error("too many look-ups are under way (`lookups_max_count`)")]
    Busy,
    /// No usable name server in the configuration, or in the host's own.
    #[error("no name server: {0}; name one, or see /etc/resolv.conf")]
    NoNameServer(String),
}
