//! Takes connections that peers open.

use crate::Transport;
use crate::carrier::{ByteCarrier, Metered, WsCarrier, accept_ws};
use crate::config::{Limits, Listen};
use crate::connection::Connection;
use crate::connector::{Failure, open, tls_failure, within, ws_failure};
use crate::counters::StreamCounter;
use crate::error::StartError;
use crate::registry::Refusal;
use crate::shared::{Life, Shared};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, http::StatusCode};

/// How long to leave the kernel alone when it cannot hand over a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Silence after which the kernel probes a connection, so that peers that vanished are noticed before the idle limit.
const PROBE_AFTER: Duration = Duration::from_secs(120);

/// Binds before anything runs, so that every mistake is told at start.
pub(crate) fn bind(listen: &Listen, limits: &Limits) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    let Listen { transport, address } = *listen;
    let bound = || -> io::Result<(std::net::TcpListener, SocketAddr)> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?; // so that the same port of IPv4 can have a listener of its own
        }
        socket.set_reuse_address(true)?; // connections of the last run may still be in TIME_WAIT
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(limits.backlog_count.cast_signed())?;
        let listener = std::net::TcpListener::from(socket);
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound().map_err(|source| StartError::Bind { transport, address, source })
}

/// Accepts until the task is ended.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, transport: Transport) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Broken before we took it: nothing to pause for.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                shared.counters.one(StreamCounter::AcceptFailed);
                tracing::debug!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(local) = stream.local_addr() else { continue };
        match shared.registry.admit(transport, local, remote) {
            Ok(connection) => {
                let life = Life::new(shared.clone(), connection, false);
                tokio::spawn(serve(life, stream));
            }
            Err(Refusal::Total) => shared.counters.one(StreamCounter::RefusedTotal),
            Err(Refusal::Source) => shared.counters.one(StreamCounter::RefusedSource),
            Err(Refusal::ShuttingDown) => return,
        }
    }
}

/// Sets the options of every connection, opened by a peer or by this process.
pub(crate) fn tune(stream: &TcpStream) {
    // Neither is vital: without them a connection is slower to answer or to be found dead.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_AFTER));
}

async fn serve(mut life: Life, stream: TcpStream) {
    tune(&stream);
    if let Err(failure) = handshakes(&mut life, stream).await {
        life.reason = failure;
    }
}

async fn handshakes(life: &mut Life, stream: TcpStream) -> Result<(), Failure> {
    let limit = life.shared.limits.handshake;
    match life.flow().transport {
        Transport::Tcp => open(life, ByteCarrier::new(stream, false), false).await,
        Transport::Tls => {
            let (stream, is_verified) = within(limit, tls(life, stream)).await?;
            open(life, ByteCarrier::new(stream, true), is_verified).await;
        }
        Transport::Ws => {
            let stream = within(limit, websocket(life, stream)).await?;
            open(life, WsCarrier::new(stream), false).await;
        }
        Transport::Wss => {
            let both = async {
                let (stream, _) = tls(life, stream).await?;
                websocket(life, stream).await
            };
            let stream = within(limit, both).await?;
            open(life, WsCarrier::new(stream), false).await;
        }
        Transport::Udp => {}
    }
    Ok(())
}

async fn websocket<S: AsyncRead + AsyncWrite + Unpin>(
    life: &Life,
    stream: S,
) -> Result<WebSocketStream<Metered<S>>, Failure> {
    accept_ws(stream, &life.shared.origins).await.map_err(|error| match *error {
        tungstenite::Error::Http(answer) if answer.status() == StatusCode::FORBIDDEN => Failure::OriginRefused,
        error => ws_failure(error),
    })
}

type ServerTls = tokio_rustls::server::TlsStream<TcpStream>;

async fn tls(life: &Life, stream: TcpStream) -> Result<(ServerTls, bool), Failure> {
    let contexts = life.shared.tls.as_ref().map(|tls| tls.contexts());
    let server = contexts.and_then(|contexts| match life.flow().transport {
        Transport::Wss => contexts.wss_server.clone(),
        _ => contexts.tls_server.clone(),
    });
    let Some(server) = server else { return Err(Failure::HandshakeFailed("no certificate".to_owned())) };
    let stream = TlsAcceptor::from(server).accept(stream).await.map_err(tls_failure)?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let is_verified = shown.is_some_and(|own| keep(&life.connection, own.clone().into_owned()));
    Ok((stream, is_verified))
}

/// A client certificate that is there has been verified: the handshake fails otherwise.
fn keep(connection: &Connection, certificate: tokio_rustls::rustls::pki_types::CertificateDer<'static>) -> bool {
    connection.client_certificate.set(certificate).is_ok()
}
