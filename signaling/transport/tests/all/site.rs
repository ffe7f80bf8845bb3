//! One end: streams whose inbound things can be waited for, and raw clients.

use sip_wire::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use transport::{
    CloseReason, Flow, Inbound, Limits, Listen, Runtime, Side, StreamCounter, Streams, StreamsConfig, Target,
    TlsConfig, Transport,
};

/// Longer than any limit of any test.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Message(Flow, Vec<u8>),
    Invalid(Flow, Vec<u8>, ErrorKind),
    Opened(Flow, Side, bool),
    Closed(Flow, CloseReason),
    SendFailed(Flow, Vec<u8>, CloseReason),
}

pub(crate) struct Site {
    pub(crate) streams: Streams,
    events: UnboundedReceiver<Event>,
    pub(crate) has_room: Arc<AtomicBool>,
}

pub(crate) fn config(transports: &[Transport], host: &str) -> StreamsConfig {
    let address = SocketAddr::new(host.parse().unwrap(), 0);
    let listen = transports.iter().map(|transport| Listen { transport: *transport, address }).collect();
    let runtime = Runtime::Given(tokio::runtime::Handle::current());
    StreamsConfig { listen, runtime, ..StreamsConfig::default() }
}

impl Site {
    pub(crate) fn new(config: StreamsConfig) -> Self {
        let (sender, events) = unbounded_channel();
        let has_room = Arc::new(AtomicBool::new(true));
        let room = has_room.clone();
        let streams = Streams::start(config, move |inbound: transport::Inbound<'_>| {
            let event = match inbound {
                Inbound::Message { .. } if !room.load(Relaxed) => return false,
                Inbound::Message { flow, bytes } => Event::Message(flow, bytes.to_vec()),
                Inbound::Invalid { flow, head, error } => Event::Invalid(flow, head.to_vec(), error.kind),
                Inbound::Opened { flow, side, peer_is_verified } => Event::Opened(flow, side, peer_is_verified),
                Inbound::Closed { flow, reason } => Event::Closed(flow, reason.clone()),
                Inbound::SendFailed { flow, bytes, reason } => Event::SendFailed(flow, bytes.to_vec(), reason.clone()),
            };
            let _ = sender.send(event); // the test may be over
            true
        });
        Self { streams: streams.unwrap(), events, has_room }
    }

    pub(crate) fn listening(transport: Transport) -> Self {
        Self::new(config(&[transport], "127.0.0.1"))
    }

    pub(crate) fn secure(transports: &[Transport], tls: TlsConfig) -> Self {
        Self::new(StreamsConfig { tls: Some(tls), ..config(transports, "127.0.0.1") })
    }

    pub(crate) fn limited(transport: Transport, limits: Limits) -> Self {
        Self::new(StreamsConfig { limits, ..config(&[transport], "127.0.0.1") })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.streams.local_addrs()[0].1
    }

    pub(crate) fn target(&self, name: Option<&str>) -> Target {
        let (transport, address) = self.streams.local_addrs()[0];
        Target { transport, address, tls_name: name.map(Arc::from) }
    }

    pub(crate) async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        next.expect("something should have happened").expect("streams live as long as their site")
    }

    pub(crate) async fn opened(&mut self) -> (Flow, Side, bool) {
        match self.next().await {
            Event::Opened(flow, side, is_verified) => (flow, side, is_verified),
            other => panic!("not opened: {other:?}"),
        }
    }

    pub(crate) async fn message(&mut self) -> (Flow, Vec<u8>) {
        loop {
            match self.next().await {
                Event::Message(flow, bytes) => return (flow, bytes),
                Event::Opened(..) => {}
                other => panic!("no message: {other:?}"),
            }
        }
    }

    pub(crate) async fn closed(&mut self) -> (Flow, CloseReason) {
        loop {
            if let Event::Closed(flow, reason) = self.next().await {
                return (flow, reason);
            }
        }
    }

    pub(crate) fn is_quiet(&mut self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn count(&self, counter: StreamCounter) -> u64 {
        self.streams.counters().get(counter)
    }

    pub(crate) async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }
}

/// A sound message, different for every `number`.
pub(crate) fn message(number: usize) -> Vec<u8> {
    let body = "b".repeat(number % 300);
    format!(
        "MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a.example.com;branch=z9hG4bK{number}\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: {number}@a.example.com\r\n\
         CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) async fn read_exactly(stream: &mut (impl AsyncReadExt + Unpin), bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut buffer)).await.expect("bytes should come").unwrap();
    buffer
}

/// What comes until the end, however that looks.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("it should end");
    all
}

pub(crate) async fn write(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}
