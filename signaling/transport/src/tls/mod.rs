//! TLS: certificates, trusted authorities, and both read anew without losing a connection.

mod certificate;
mod error;
mod pem;
mod selection;
mod validity;

pub use error::TlsError;

use crate::config::{ClientCertificates, TlsConfig, Trust};
use crate::error::SendError;
use certificate::Certificate;
use selection::ByHostName;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::SystemTime;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};

/// What handshakes use. A connection keeps what it was opened with.
pub(crate) struct Contexts {
    /// `None` without a certificate of ours.
    pub(crate) tls_server: Option<Arc<ServerConfig>>,
    /// As `tls_server`, but asks for no client certificate.
    pub(crate) wss_server: Option<Arc<ServerConfig>>,
    /// Made when we first connect: a host's authorities take megabytes, and most switches never ask them.
    pub(crate) client: LazyLock<Arc<ClientConfig>, Box<dyn FnOnce() -> Arc<ClientConfig> + Send>>,
    /// When the first of our certificates runs out.
    pub(crate) expires: Option<SystemTime>,
}

/// The configuration and what was last read by it.
pub(crate) struct Tls {
    config: TlsConfig,
    contexts: RwLock<Arc<Contexts>>,
}

impl Tls {
    pub(crate) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let contexts = RwLock::new(Arc::new(Contexts::load(&config)?));
        Ok(Self { config, contexts })
    }

    pub(crate) fn contexts(&self) -> Arc<Contexts> {
        self.contexts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads all files again. When anything is wrong with them everything stays as it was.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let contexts = Arc::new(Contexts::load(&self.config)?);
        *self.contexts.write().unwrap_or_else(PoisonError::into_inner) = contexts;
        Ok(())
    }
}

impl Contexts {
    fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let now = SystemTime::now();
        let load = |files| Certificate::load(files, &provider, now);
        let certificates = config.certificates.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let expires = certificates.iter().map(|certificate| certificate.expires).min();
        let keys: Vec<_> = certificates.into_iter().map(|certificate| certificate.key).collect();
        let first = keys.first().cloned();
        let by_host_name = Arc::new(ByHostName::new(keys));
        let verifier = client_verifier(&config.client_certificates, &provider)?;
        let server = |verifier| -> Result<Arc<ServerConfig>, TlsError> {
            let builder: ConfigBuilder<ServerConfig, WantsVerifier> =
                versions(ServerConfig::builder_with_provider(provider.clone()))?;
            let builder = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            Ok(Arc::new(builder.with_cert_resolver(by_host_name.clone())))
        };
        let has_certificate = first.is_some();
        let client = versions(ClientConfig::builder_with_provider(provider.clone()))?;
        // What is configured is checked now.
        let chosen = match &config.trust {
            Trust::System => None,
            Trust::Authorities(path) => Some(pem::authorities(path)?),
        };
        let client = move || {
            let client = client.with_root_certificates(chosen.unwrap_or_else(host_authorities));
            Arc::new(match first {
                Some(key) => client.with_client_cert_resolver(Arc::new(selection::Always::new(key))),
                None => client.with_no_client_auth(),
            })
        };
        Ok(Self {
            tls_server: has_certificate.then(|| server(verifier)).transpose()?,
            wss_server: has_certificate.then(|| server(None)).transpose()?,
            client: LazyLock::new(Box::new(client)),
            expires,
        })
    }
}

type Verifier = Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>;

fn client_verifier(asked: &ClientCertificates, provider: &Arc<CryptoProvider>) -> Result<Option<Verifier>, TlsError> {
    let (path, is_required) = match asked {
        ClientCertificates::NotAsked => return Ok(None),
        ClientCertificates::Optional { authorities } => (authorities, false),
        ClientCertificates::Required { authorities } => (authorities, true),
    };
    let roots = Arc::new(pem::authorities(path)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    if !is_required {
        builder = builder.allow_unauthenticated();
    }
    let refused = |error: tokio_rustls::rustls::server::VerifierBuilderError| TlsError::Malformed {
        path: path.clone(),
        why: error.to_string(),
    };
    builder.build().map(Some).map_err(refused)
}

/// The authorities that the host trusts.
fn host_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        tracing::warn!(
            "this host trusts no certification authority: no TLS server will be accepted (install ca-certificates)"
        );
    }
    roots
}

/// TLS 1.2 and 1.3.
fn versions<S: tokio_rustls::rustls::ConfigSide>(
    builder: ConfigBuilder<S, tokio_rustls::rustls::WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>, TlsError> {
    builder.with_safe_default_protocol_versions().map_err(|error| TlsError::Library(error.to_string()))
}

/// What a server's certificate must be for: the name that the user dialled, else the address.
pub(crate) fn name_to_verify(name: Option<&str>, address: IpAddr) -> Result<ServerName<'static>, SendError> {
    match name {
        Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| SendError::BadName),
        None => Ok(ServerName::from(address)),
    }
}

/// Whether a certificate is for a host name.
pub(crate) fn is_for_name(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}
