//! Encrypted signaling: our certificates, and whose we trust.

use crate::api::{SessionConfig, SessionError};
use config::Config;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Certificates and trust for TLS and secure WebSockets.
///
/// A switch with a certificate listens by TLS beside UDP and TCP; one without only calls `sips:` and `;transport=tls`
/// addresses. Files are read when the coordinator is built, so that their mistakes come out there, and again whenever
/// they have been replaced.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example() -> Result<(), SessionError> {
/// let coordinator = SessionManagerBuilder::new()
///     .with_tls(TlsConfig {
///         client_certificates: ClientCertificates::Required("phones-ca.pem".into()),
///         ..TlsConfig::server("switch.pem", "switch.key")
///     })
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TlsConfig {
    /// Where TLS is listened for; `None`: on the IP address of SIP, on the port above its own (5061 beside 5060), or
    /// one that the system chooses where it has chosen that too. Without a certificate nothing listens.
    pub listen: Option<SocketAddr>,
    /// Our certificates. A peer that names a host gets the first one that is valid for it, any other peer the first of all. The
    /// first is also what we show when a called side asks for one.
    pub certificates: Vec<Certificate>,
    /// PEM file with the authorities that we trust when we call; `None`: those that the host trusts.
    pub authorities: Option<PathBuf>,
    /// Whether those who connect to us must show a certificate. Browsers (WSS) are never asked.
    pub client_certificates: ClientCertificates,
}

/// A certificate of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// PEM file: the certificate, then those that lead to its authority.
    pub chain: PathBuf,
    /// PEM file: its private key, not encrypted.
    pub key: PathBuf,
}

/// Whether those who connect to us must show a certificate.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum ClientCertificates {
    /// Clients are not asked for a certificate.
    #[default]
    NotAsked,
    /// Clients are asked; a certificate that is shown must come from the authorities in this PEM file.
    Optional(PathBuf),
    /// No connection without one from the authorities in this PEM file.
    Required(PathBuf),
}

impl TlsConfig {
    /// With one certificate: PEM files of the chain and of the key.
    pub fn server(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let own = Certificate { chain: chain.into(), key: key.into() };
        Self { certificates: vec![own], ..Self::default() }
    }

    /// For calls only, trusting the authorities in this PEM file.
    pub fn client(authorities: impl Into<PathBuf>) -> Self {
        Self { authorities: Some(authorities.into()), ..Self::default() }
    }

    /// The TLS settings as the processes know them.
    fn put(&self, sip: SocketAddr, config: &mut Config) {
        config.tls.certificates = self
            .certificates
            .iter()
            .map(|own| config::Certificate { chain: own.chain.clone(), key: own.key.clone() })
            .collect();
        config.tls.authorities = self.authorities.clone();
        let (asked, authorities) = match &self.client_certificates {
            ClientCertificates::NotAsked => (config::ClientCertificates::NotAsked, None),
            ClientCertificates::Optional(path) => (config::ClientCertificates::Optional, Some(path.clone())),
            ClientCertificates::Required(path) => (config::ClientCertificates::Required, Some(path.clone())),
        };
        (config.tls.client_certificates, config.tls.client_authorities) = (asked, authorities);
        if !self.certificates.is_empty() {
            let beside = SocketAddr::new(sip.ip(), if sip.port() == 0 { 0 } else { sip.port().saturating_add(1) });
            config.sip.streams.listen_tls = vec![self.listen.unwrap_or(beside)];
        }
    }
}

impl SessionConfig {
    /// Every transport but UDP.
    pub(crate) fn put_transports(&self, config: &mut Config) -> Result<(), SessionError> {
        config.sip.streams.listen_tcp = if self.tcp { None } else { Some(Vec::new()) };
        config.sip.streams.listen_ws = self.websocket.into_iter().collect();
        config.sip.streams.listen_wss = self.secure_websocket.into_iter().collect();
        if let Some(tls) = &self.tls {
            tls.put(self.local_bind_addr, config);
        }
        if self.secure_websocket.is_some() && config.tls.certificates.is_empty() {
            return Err(SessionError::config("secure WebSockets need a certificate: name one with `with_tls`"));
        }
        signald::check_tls(config).map_err(|error| SessionError::config(error.to_string()))
    }
}
