//! The address of a WebSocket server, and the connection to it.

use super::websocket::{CONNECT_LIMIT, config};
use crate::api::SessionError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Uri;

/// A TCP connection with or without TLS.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Connects to a server and shakes hands with it.
///
/// `authorities`: a PEM file with those that are trusted; `None`: those of the host.
pub(super) async fn connect(
    url: &str,
    authorities: Option<&Path>,
) -> Result<WebSocketStream<Box<dyn Connection>>, SessionError> {
    let uri: Uri = url.parse().map_err(|_| SessionError::config("what is to be streamed to is no URL"))?;
    let shown = shown(&uri);
    let wrong = |reason: &str| SessionError::config(format!("`{shown}` cannot be streamed to: {reason}"));
    let is_secure = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        _ => return Err(wrong("a URL such as wss://agent.example.com/calls is wanted")),
    };
    let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let request = url.into_client_request().map_err(|error| wrong(&error.to_string()))?;
    let connector = match (is_secure, authorities) {
        (false, Some(_)) => return Err(wrong("authorities are for wss, not for ws")),
        (false, None) => None,
        (true, None) => Some(host_trust()?),
        (true, Some(file)) => Some(trust_of(file.to_owned()).await?),
    };
    let failed = |error: &dyn std::fmt::Display| SessionError::transport(format!("cannot connect to {shown}: {error}"));
    let connecting = async {
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| failed(&error))?;
        let _ = stream.set_nodelay(true); // without it frames come in pairs
        let stream: Box<dyn Connection> = if let Some(connector) = connector {
            let name = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
            Box::new(connector.connect(name, stream).await.map_err(|error| failed(&error))?)
        } else {
            Box::new(stream)
        };
        let shaken = tokio_tungstenite::client_async_with_config(request, stream, Some(config())).await;
        shaken.map(|(socket, _)| socket).map_err(|error| failed(&error))
    };
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(failed(&format_args!("no answer within {CONNECT_LIMIT:?}"))),
    }
}

/// A URL as errors show it: what follows the host may be a secret.
fn shown(uri: &Uri) -> String {
    let port = uri.port_u16().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}", uri.scheme_str().unwrap_or("ws"), uri.host().unwrap_or("?"))
}

/// Trusts the certification authorities of the host.
fn host_trust() -> Result<TlsConnector, SessionError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone().into());
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let why = format!("this host trusts no certification authority; install ca-certificates ({})", why.join(", "));
        return Err(SessionError::config(why));
    }
    let config = client_config(roots)?;
    Ok(CONFIG.get_or_init(|| config).clone().into())
}

/// Trusts the certification authorities of a PEM file.
async fn trust_of(file: PathBuf) -> Result<TlsConnector, SessionError> {
    let read = move || {
        let wrong = |why: String| SessionError::config(format!("{} names no authorities: {why}", file.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&file).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() { Err(wrong("it has no certificate".into())) } else { client_config(roots) }
    };
    let config = tokio::task::spawn_blocking(read).await;
    Ok(config.map_err(|error| SessionError::config(format!("cannot read a file: {error}")))??.into())
}

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, SessionError> {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| SessionError::config(format!("TLS cannot be used: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
