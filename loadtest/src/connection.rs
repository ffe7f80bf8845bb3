//! A connection to a switch, over any transport that has them. It looks at no certificate: it tests what answers, not who.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, SignatureScheme, StreamOwned,
};
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, WebSocket, http::Uri};

/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// More than any answer has.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// What carries SIP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Over {
    /// Datagrams
    Udp,
    /// TCP
    Tcp,
    /// TLS over TCP
    Tls,
    /// WebSocket
    Ws,
    /// WebSocket over TLS
    Wss,
}

impl Over {
    /// As the Via field names it.
    pub fn via_name(self) -> &'static str {
        match self {
            Over::Udp => "UDP",
            Over::Tcp => "TCP",
            Over::Tls => "TLS",
            Over::Ws => "WS",
            Over::Wss => "WSS",
        }
    }
}

trait Bytes: Read + Write {}
impl<T: Read + Write> Bytes for T {}

enum Kind {
    Bytes(Box<dyn Bytes>),
    Ws(Box<WebSocket<Box<dyn Bytes>>>),
}

/// An open connection.
pub struct Connection {
    kind: Kind,
    /// Where answers come.
    pub local: SocketAddr,
    buffer: Vec<u8>,
}

/// Opens connections; what TLS needs is made once.
#[derive(Clone)]
pub struct Connector {
    over: Over,
    to: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// To a switch that listens at `to` for this transport, which is not UDP.
    pub fn new(over: Over, to: SocketAddr) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.dangerous();
        let tls = config.with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth();
        Ok(Self { over, to, tls: Arc::new(tls) })
    }

    /// Opens one.
    pub fn open(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.to)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let mut bytes: Box<dyn Bytes> = Box::new(stream.try_clone()?);
        if matches!(self.over, Over::Tls | Over::Wss) {
            let name = ServerName::IpAddress(self.to.ip().into());
            let session = ClientConnection::new(self.tls.clone(), name).map_err(io::Error::other)?;
            bytes = Box::new(StreamOwned::new(session, stream));
        }
        let kind = match self.over {
            Over::Ws | Over::Wss => {
                let request = ClientRequestBuilder::new(Uri::from_static("ws://sip.example.com/"));
                let (socket, _) = tungstenite::client(request.with_sub_protocol("sip"), bytes)
                    .map_err(|error| io::Error::other(error.to_string()))?;
                Kind::Ws(Box::new(socket))
            }
            _ => Kind::Bytes(bytes),
        };
        Ok(Connection { kind, local, buffer: Vec::new() })
    }
}

impl Connection {
    /// Sends one message.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Bytes(stream) => stream.write_all(message).and_then(|()| stream.flush()),
            Kind::Ws(socket) => {
                let message = match std::str::from_utf8(message) {
                    Ok(text) => tungstenite::Message::text(text),
                    Err(_) => tungstenite::Message::binary(message.to_vec()),
                };
                socket.send(message).map_err(io::Error::other)
            }
        }
    }

    /// The next whole message; an error: none came, or the connection was closed.
    pub fn answer(&mut self) -> io::Result<String> {
        loop {
            match &mut self.kind {
                Kind::Ws(socket) => match socket.read().map_err(io::Error::other)? {
                    tungstenite::Message::Text(text) => return Ok(text.as_str().to_owned()),
                    tungstenite::Message::Binary(bytes) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                    _ => {}
                },
                Kind::Bytes(stream) => {
                    if let Some(end) = whole(&self.buffer) {
                        let rest = self.buffer.split_off(end);
                        let message = std::mem::replace(&mut self.buffer, rest);
                        return Ok(String::from_utf8_lossy(&message).into_owned());
                    }
                    let mut chunk = [0; 16_384];
                    match stream.read(&mut chunk)? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        _ if self.buffer.len() > ANSWER_MAX_BYTES => return Err(io::ErrorKind::InvalidData.into()),
                        bytes => self.buffer.extend_from_slice(&chunk[..bytes]),
                    }
                }
            }
        }
    }
}

/// Where the first message of a stream ends.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]);
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length:"));
    let end = head + length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0);
    (buffer.len() >= end).then_some(end)
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_their_length_says() {
        let one = b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(whole(&[one, &b"SIP"[..]].concat()), Some(one.len()));
        assert_eq!(whole(&one[..one.len() - 1]), None);
        assert_eq!(whole(b"SIP/2.0 200 OK\r\n"), None);
    }
}
