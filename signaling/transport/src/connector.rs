//! Opens connections.

use crate::carrier::{ByteCarrier, Carrier, WsCarrier, connect_ws};
use crate::counters::StreamCounter;
use crate::error::CloseReason;
use crate::inbound::{Inbound, Side};
use crate::pump::Pump;
use crate::shared::{Life, Shared};
use crate::{Target, Transport, listener, tls};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_tungstenite::tungstenite;

/// Why a connection never came to carry messages.
pub(crate) type Failure = CloseReason;

/// Opens, then runs the connection until it ends.
pub(crate) async fn connect(mut life: Life) {
    if let Err(failure) = handshakes(&mut life).await {
        life.reason = failure;
    }
}

async fn handshakes(life: &mut Life) -> Result<(), Failure> {
    let stream = dial(life).await?;
    listener::tune(&stream);
    let (limit, authority) = (life.shared.limits.handshake, authority(life));
    match life.flow().transport {
        Transport::Tcp => open(life, ByteCarrier::new(stream, false), false).await,
        Transport::Tls => {
            let stream = within(limit, tls(life, stream)).await?;
            open(life, ByteCarrier::new(stream, true), true).await;
        }
        Transport::Ws => {
            let ws = async { connect_ws(stream, &authority, false).await.map_err(|error| ws_failure(*error)) };
            let stream = within(limit, ws).await?;
            open(life, WsCarrier::new(stream), false).await;
        }
        Transport::Wss => {
            let both = async {
                let stream = tls(life, stream).await?;
                connect_ws(stream, &authority, true).await.map_err(|error| ws_failure(*error))
            };
            let stream = within(limit, both).await?;
            open(life, WsCarrier::new(stream), true).await;
        }
        Transport::Udp => {}
    }
    Ok(())
}

async fn dial(life: &Life) -> Result<TcpStream, Failure> {
    let (flow, limit) = (life.flow(), life.shared.limits.connect);
    let failed = |error: io::Error| Failure::ConnectFailed(error.kind());
    let socket = if flow.remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    // From the address that we say we have; the port is the kernel's choice, the one in `flow` is our listener's.
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0)).map_err(failed)?;
    }
    match timeout(limit, socket.connect(flow.remote)).await {
        Ok(connected) => connected.map_err(failed),
        Err(_) => Err(Failure::ConnectTimedOut(limit)),
    }
}

async fn tls(life: &Life, stream: TcpStream) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
    let Some(ours) = &life.shared.tls else { return Err(Failure::HandshakeFailed("TLS is not configured".to_owned())) };
    let name = tls::name_to_verify(life.connection.tls_name.as_deref(), life.flow().remote.ip());
    let name = name.map_err(|error| Failure::HandshakeFailed(error.to_string()))?;
    let connector = TlsConnector::from(ours.contexts().client.clone());
    connector.connect(name, stream).await.map_err(tls_failure)
}

/// What the HTTP request of a WebSocket names as its host.
fn authority(life: &Life) -> String {
    match &life.connection.tls_name {
        Some(name) => format!("{name}:{}", life.flow().remote.port()),
        None => life.flow().remote.to_string(),
    }
}

/// Announces a connection and runs it.
pub(crate) async fn open<C: Carrier>(life: &mut Life, carrier: C, peer_is_verified: bool) {
    let Life { shared, connection, is_announced, .. } = life;
    let (flow, side) = (connection.flow, connection.side);
    shared.registry.opened(connection);
    shared.counters.one(if side == Side::Accepted { StreamCounter::Accepted } else { StreamCounter::Connected });
    *is_announced = true;
    shared.receiver.take(Inbound::Opened { flow, side, peer_is_verified });
    Pump::new(carrier, life).await;
}

/// A handshake with its limit.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(limit, work).await.unwrap_or(Err(Failure::HandshakeTimedOut(limit)))
}

/// A failed TLS handshake; a refused certificate is a failure of its own, since an operator has to act on it.
pub(crate) fn tls_failure(error: io::Error) -> Failure {
    certificate_refusal(&error).unwrap_or_else(|| match tls_error(&error) {
        Some(inner) => Failure::HandshakeFailed(inner.to_string()),
        None => Failure::HandshakeFailed(error.to_string()),
    })
}

/// A certificate that was not accepted, by us or by the peer.
pub(crate) fn certificate_refusal(error: &io::Error) -> Option<CloseReason> {
    use rustls::{AlertDescription as Alert, Error};
    match tls_error(error)? {
        ours @ (Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => {
            Some(CloseReason::CertificateRefused(ours.to_string()))
        }
        theirs @ Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::DecryptError
            | Alert::UnknownCA,
        ) => Some(CloseReason::CertificateRefused(format!("by the peer: {theirs}"))),
        _ => None,
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

pub(crate) fn ws_failure(error: tungstenite::Error) -> Failure {
    match error {
        tungstenite::Error::Io(error) if error.get_ref().is_some() => tls_failure(error),
        error => Failure::HandshakeFailed(error.to_string()),
    }
}

/// The local address of a connection to be opened: what Via and Contact are to say, so with our listener's port.
pub(crate) fn local_for(shared: &Shared, target: &Target, wanted: Option<IpAddr>) -> SocketAddr {
    let same = |at: &&(Transport, SocketAddr)| at.0 == target.transport && at.1.is_ipv4() == target.address.is_ipv4();
    let ours = || shared.listening.iter().filter(same).map(|at| at.1);
    let ip = wanted.filter(|ip| !ip.is_unspecified() && ip.is_ipv4() == target.address.is_ipv4());
    let bound = || ours().map(|at| at.ip()).find(|ip| !ip.is_unspecified());
    let ip = ip.or_else(bound).unwrap_or_else(|| route(target.address).unwrap_or(any(target.address)));
    let port = ours().find(|at| at.ip() == ip).or_else(|| ours().next()).map_or(0, |at| at.port());
    SocketAddr::new(ip, port)
}

/// The address that the kernel would send from. Connecting a datagram socket sends nothing.
pub fn route(remote: SocketAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any(remote), 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// Every address of the family.
fn any(remote: SocketAddr) -> IpAddr {
    if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
