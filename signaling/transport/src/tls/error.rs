use std::io;
use std::path::PathBuf;

/// Why certificates, keys or authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}; check the path and that the user of this process may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate: it must be PEM with a `-----BEGIN CERTIFICATE-----` line", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file without a private key.
    #[error("{} holds no private key: it must be PEM, unencrypted, with a `-----BEGIN PRIVATE KEY-----` line (or RSA, or EC)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A file that is broken.
    #[error("{} is not usable: {why}; `openssl x509 -text -in FILE` or `openssl pkey -text -in FILE` show what it holds", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The library's words.
        why: String,
    },
    /// A key that belongs to another certificate.
    #[error("the key in {} does not belong to the first certificate in {}: the server's own certificate must come first", key.display(), chain.display())]
    KeyMismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A certificate whose time is over.
    #[error("the certificate in {} expired {days} day(s) ago: renew it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Since when.
        days: u64,
    },
    /// A certificate whose time has not come.
    #[error("the certificate in {} is not valid for another {seconds} s: check the clock of this host (`timedatectl`)", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// How long to wait.
        seconds: u64,
    },
    /// Nothing to reload.
    #[error("TLS is not configured: there is nothing to reload")]
    NotConfigured,
    /// The library did not want its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}
