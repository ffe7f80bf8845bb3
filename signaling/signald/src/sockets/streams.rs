//! TCP, TLS, WS and WSS: messages from connections to shards, and what becomes of those connections.

use crate::Error;
use crate::shard::sharding::Sharding;
use crate::sockets::tcp_fallback::TcpFallback;
use config::Config;
use shard_core::intake::Arrived;
use shard_core::intake::stateless;
use sip_core::{Flow, Transport};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use transport::{
    CertificateFiles, ClientCertificates, CloseReason, Inbound, Limits, Listen, Origins, Receiver, Runtime, SendError,
    StartError, Streams, StreamsConfig, Target, TlsConfig, Trust,
};

/// Threads that run connections.
const THREAD_COUNT: usize = 1;

/// Where the streams find themselves once they have started.
type Own = Arc<OnceLock<Weak<Streams>>>;

/// Starts listening and connecting. `chose_port`: some ports of `config` were chosen by the system for UDP.
pub(crate) fn start(
    config: &Config,
    chose_port: bool,
    sharding: &Sharding,
    tcp_fallback: &Arc<TcpFallback>,
) -> Result<Arc<Streams>, Error> {
    let own = Own::default();
    let begin = |config: StreamsConfig| {
        let (own, sharding, tcp_fallback) = (own.clone(), sharding.clone(), tcp_fallback.clone());
        Streams::start(config, Distributor { sharding, tcp_fallback, own })
    };
    let wanted = streams_config(config);
    let is_taken = |error: &StartError| matches!(error, StartError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse);
    let streams = match begin(wanted.clone()) {
        // Nobody asked for the very port that the system chose for UDP.
        Err(error) if chose_port && config.sip.streams.listen_tcp.is_none() && is_taken(&error) => {
            let any = |listen: &Listen| match listen.transport {
                Transport::Tcp => Listen { address: SocketAddr::new(listen.address.ip(), 0), ..*listen },
                _ => *listen,
            };
            begin(StreamsConfig { listen: wanted.listen.iter().map(any).collect(), ..wanted })
        }
        result => result,
    };
    let streams = Arc::new(streams?);
    // Nobody else sets it.
    let _ = own.set(Arc::downgrade(&streams));
    Ok(streams)
}

/// Reads certificates, keys and authorities, to find their mistakes before anything is started.
pub fn check_tls(config: &Config) -> Result<(), Error> {
    match streams_config(config).tls {
        Some(tls) => tls.check().map_err(|error| Error::Streams(StartError::Tls(error))),
        None => Ok(()),
    }
}

fn streams_config(config: &Config) -> StreamsConfig {
    let (sip, tls) = (&config.sip, &config.tls);
    let lists = [
        (Transport::Tcp, sip.tcp_addresses()),
        (Transport::Tls, &sip.streams.listen_tls[..]),
        (Transport::Ws, &sip.streams.listen_ws[..]),
        (Transport::Wss, &sip.streams.listen_wss[..]),
    ];
    let all = lists.iter().flat_map(|(transport, list)| list.iter().map(|address| (*transport, *address)));
    let authorities = tls.client_authorities.clone().unwrap_or_default();
    StreamsConfig {
        listen: all.map(|(transport, address)| Listen { transport, address }).collect(),
        limits: Limits {
            connections_max_count: sip.streams.max_connections,
            connections_per_source_max_count: sip.streams.max_connections_per_address,
            idle: sip.streams.connection_idle,
            keep_alive: sip.streams.keep_alive,
            ..Limits::default()
        },
        tls: Some(TlsConfig {
            certificates: tls
                .certificates
                .iter()
                .map(|own| CertificateFiles { chain: own.chain.clone(), key: own.key.clone() })
                .collect(),
            client_certificates: match tls.client_certificates {
                config::ClientCertificates::NotAsked => ClientCertificates::NotAsked,
                config::ClientCertificates::Optional => ClientCertificates::Optional { authorities },
                config::ClientCertificates::Required => ClientCertificates::Required { authorities },
            },
            trust: tls.authorities.clone().map_or(Trust::System, Trust::Authorities),
        }),
        origins: match &sip.streams.ws_origins[..] {
            [] => Origins::Any,
            list => Origins::Only(list.to_vec()),
        },
        runtime: Runtime::Own { thread_count: THREAD_COUNT },
    }
}

/// Brings what comes from connections to the shards.
struct Distributor {
    sharding: Sharding,
    tcp_fallback: Arc<TcpFallback>,
    own: Own,
}

impl Receiver for Distributor {
    fn take(&self, inbound: Inbound<'_>) -> bool {
        let Self { sharding, tcp_fallback, own } = self;
        let streams = || own.get().and_then(Weak::upgrade);
        match inbound {
            Inbound::Message { flow, bytes } => {
                if let Some(address) = alias(&flow, bytes)
                    && let Some(streams) = streams()
                {
                    streams.alias(&flow, address);
                }
                let Some(inbox) = sharding.inboxes.get(sharding.of(bytes)) else { return false };
                let has_room = inbox.push(Arrived { flow, at: clock::now(), bytes: bytes.into(), is_ours: false });
                inbox.wake();
                has_room
            }
            Inbound::Invalid { flow, head, error } => {
                tracing::debug!(remote = %flow.remote, "message without a usable length: {error}");
                let mut answer = Vec::new();
                if let Some(streams) = streams()
                    && stateless::malformed(head, flow.remote, &error, &mut answer)
                {
                    let _ = streams.send(&flow, &answer); // it closes whether that goes out or not
                }
                true
            }
            Inbound::Opened { flow, side, peer_is_verified } => {
                let transport = flow.transport.via_name();
                tracing::debug!(remote = %flow.remote, transport, ?side, peer_is_verified, "connection open");
                true
            }
            Inbound::Closed { flow, reason } => {
                let transport = flow.transport.via_name();
                if matches!(reason, CloseReason::CertificateRefused(_)) {
                    tracing::warn!(remote = %flow.remote, transport, "connection: {reason}");
                } else {
                    tracing::debug!(remote = %flow.remote, transport, "connection gone: {reason}");
                }
                for inbox in sharding.inboxes.iter() {
                    // Without room the requests on it run out by themselves.
                    let _ = inbox.broken.push(flow);
                    inbox.wake();
                }
                true
            }
            Inbound::SendFailed { flow, bytes, .. } => {
                if !tcp_fallback.bring_back(bytes)
                    && let Some(streams) = streams()
                {
                    respond_anew(&streams, &flow, bytes);
                }
                true
            }
        }
    }

    fn has_room(&self) -> bool {
        self.sharding.inboxes.iter().all(|inbox| inbox.from_streams.is_half_empty())
    }
}

/// Where a peer says that it can be reached on this connection (RFC 5923 §5.3): its request came by TLS, and the topmost
/// Via has `alias`.
fn alias(flow: &Flow, bytes: &[u8]) -> Option<SocketAddr> {
    let may_be = flow.transport == Transport::Tls && memchr::memmem::find(bytes, b";alias").is_some();
    if !may_be || bytes.starts_with(b"SIP/") {
        return None;
    }
    let message = sip_wire::Message::parse(bytes).ok()?;
    let via = message.top_via().ok()?;
    via.params.has("alias").then(|| SocketAddr::new(flow.remote.ip(), via.port_or_default()))
}

/// Sends a response whose connection is gone over a new one, to where its topmost Via says that its sender listens
/// (RFC 3261 §18.2.2). `false`: it is none, or there is no such place.
pub(crate) fn respond_anew(streams: &Streams, flow: &Flow, bytes: &[u8]) -> bool {
    let Some(target) = listening_place(flow, bytes) else { return false };
    // Opened by us: a connection that fails again is not tried a third time, for then its flow is ours.
    match streams.send_to(&target, bytes) {
        Ok(_) => true,
        Err(SendError::TooManyConnections | SendError::QueueFull | SendError::NoTls) => false,
        Err(error) => {
            tracing::debug!(remote = %target.address, "response not sent: {error}");
            false
        }
    }
}

fn listening_place(flow: &Flow, bytes: &[u8]) -> Option<Target> {
    const PEERS_NUMBERS: u64 = 2; // connections that peers opened have odd numbers
    let can_be_opened = matches!(flow.transport, Transport::Tcp | Transport::Tls);
    if !can_be_opened || !bytes.starts_with(b"SIP/") || flow.connection.is_multiple_of(PEERS_NUMBERS) {
        return None;
    }
    let message = sip_wire::Message::parse(bytes).ok()?;
    let default_port = if flow.transport == Transport::Tls { 5061 } else { 5060 };
    let port = message.top_via().ok()?.port.unwrap_or(default_port);
    Some(Target { transport: flow.transport, address: SocketAddr::new(flow.remote.ip(), port), tls_name: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_where_the_via_leads() {
        let (local, remote) = ("192.0.2.9:5061".parse().unwrap(), "192.0.2.1:33000".parse().unwrap());
        let flow = |transport| Flow { transport, local, remote, connection: 3 };
        let request = |via: &str| format!("OPTIONS sip:a@b SIP/2.0\r\nVia: {via}\r\nSubject: x;alias\r\n\r\n");
        let of = |transport, via: &str| alias(&flow(transport), request(via).as_bytes());
        let at = |text: &str| text.parse::<SocketAddr>().ok();
        assert_eq!(of(Transport::Tls, "SIP/2.0/TLS p.example;branch=z9hG4bK1;alias"), at("192.0.2.1:5061"));
        assert_eq!(of(Transport::Tls, "SIP/2.0/TLS 10.0.0.1:5071;alias;branch=z9hG4bK1"), at("192.0.2.1:5071"));
        assert_eq!(of(Transport::Tls, "SIP/2.0/TLS p.example;branch=z9hG4bK1"), None);
        assert_eq!(of(Transport::Tcp, "SIP/2.0/TCP p.example;branch=z9hG4bK1;alias"), None, "nothing proves it");
        assert_eq!(alias(&flow(Transport::Tls), b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS h;alias\r\n\r\n"), None);
    }

    #[test]
    fn a_response_goes_to_where_its_sender_listens() {
        let text = |via: &str| {
            format!(
                "SIP/2.0 200 OK\r\nVia: {via};branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\
                 Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
            )
        };
        let (local, remote) = ("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:33000".parse().unwrap());
        let flow = |transport, connection| Flow { transport, local, remote, connection };
        let place = |flow: Flow, via: &str| listening_place(&flow, text(via).as_bytes()).map(|target| target.address);
        let tcp = flow(Transport::Tcp, 3);
        assert_eq!(place(tcp, "SIP/2.0/TCP 10.0.0.1:5070"), Some("192.0.2.1:5070".parse().unwrap()));
        assert_eq!(place(tcp, "SIP/2.0/TCP a.example.com"), Some("192.0.2.1:5060".parse().unwrap()));
        assert_eq!(
            place(flow(Transport::Tls, 3), "SIP/2.0/TLS a.example.com"),
            Some("192.0.2.1:5061".parse().unwrap())
        );
        assert_eq!(place(flow(Transport::Ws, 3), "SIP/2.0/WS x.invalid"), None, "browsers do not listen");
        assert_eq!(place(flow(Transport::Tcp, 4), "SIP/2.0/TCP 10.0.0.1:5070"), None, "tried already");
        assert_eq!(listening_place(&tcp, b"BYE sip:a@b SIP/2.0\r\n\r\n"), None);
    }
}
