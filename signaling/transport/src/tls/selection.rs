//! Which of our certificates a peer gets.

use std::sync::Arc;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// The first one that is for the name that the client asks for (SNI, RFC 6066 §3), else the first.
#[derive(Debug)]
pub(super) struct ByHostName(Vec<Arc<CertifiedKey>>);

impl ByHostName {
    pub(super) fn new(keys: Vec<Arc<CertifiedKey>>) -> Self {
        Self(keys)
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let is_for = |key: &&Arc<CertifiedKey>, name| key.cert.first().is_some_and(|own| super::is_for_name(own, name));
        let named = name.and_then(|name| self.0.iter().find(|key| is_for(key, name)));
        named.or(self.0.first()).cloned()
    }
}

impl ResolvesServerCert for ByHostName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

/// Whatever a server asks for, this is who we are.
#[derive(Debug)]
pub(super) struct Always(Arc<CertifiedKey>);

impl Always {
    pub(super) fn new(key: Arc<CertifiedKey>) -> Self {
        Self(key)
    }
}

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
