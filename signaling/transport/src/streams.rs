//! The door of the crate.

use crate::config::{Runtime, StreamsConfig};
use crate::connection::Connection;
use crate::counters::{Counters, StreamCounter};
use crate::error::{SendError, StartError};
use crate::inbound::Receiver;
use crate::outbox::Kind;
use crate::registry::{Found, Registry, is_accepted};
use crate::shared::{Life, Shared};
use crate::tls::Tls;
use crate::{Target, TlsError, Transport, connector, listener};
use sip_core::Flow;
use sip_wire::limits::MESSAGE_MAX_BYTES;
use stats::Counts;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// All stream transports of a process: listeners, connections, and the threads that run them. Dropping it closes
/// everything at once; [`Streams::shutdown`] lets what is queued go first.
pub struct Streams {
    shared: Arc<Shared>,
    handle: Handle,
    listeners: Vec<JoinHandle<()>>,
    own: Option<tokio::runtime::Runtime>,
}

impl Streams {
    /// Binds every listener, loads every certificate, then begins. `receiver` is called on the runtime's threads.
    pub fn start(config: StreamsConfig, receiver: impl Receiver) -> Result<Self, StartError> {
        let limits = config.limits;
        if let Some((name, must_be)) = limits.mistake() {
            return Err(StartError::Limit { name, must_be });
        }
        let tls = config.tls.map(Tls::load).transpose()?;
        let has_certificate = tls.as_ref().is_some_and(|tls| tls.contexts().tls_server.is_some());
        let mut bound = Vec::with_capacity(config.listen.len());
        for listen in &config.listen {
            match listen.transport {
                Transport::Udp => return Err(StartError::NotAStream { address: listen.address }),
                transport if transport.is_secure() && !has_certificate => {
                    return Err(StartError::NoCertificate { transport, address: listen.address });
                }
                transport => bound.push((transport, listener::bind(listen, &limits)?)),
            }
        }
        let (handle, own) = runtime(config.runtime)?;
        let shared = Arc::new(Shared {
            limits,
            counters: Counters::new(),
            registry: Registry::new(limits.connections_max_count, limits.connections_per_source_max_count),
            tls,
            origins: config.origins,
            listening: bound.iter().map(|(transport, (_, local))| (*transport, *local)).collect(),
            receiver: Box::new(receiver),
            queued_bytes: AtomicUsize::new(0),
            unfinished_bytes: AtomicUsize::new(0),
            ended: Notify::new(),
        });
        let mut streams = Self { shared, handle, listeners: Vec::new(), own };
        for (transport, (listener, address)) in bound {
            streams.listen(transport, listener, address)?;
        }
        Ok(streams)
    }

    fn listen(
        &mut self,
        transport: Transport,
        listener: std::net::TcpListener,
        address: SocketAddr,
    ) -> Result<(), StartError> {
        let _inside = self.handle.enter();
        let bind = |source| StartError::Bind { transport, address, source };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(bind)?;
        self.listeners.push(self.handle.spawn(listener::accept(self.shared.clone(), listener, transport)));
        Ok(())
    }

    /// Where it listens, with the ports that the system chose, in the order of the configuration.
    pub fn local_addrs(&self) -> &[(Transport, SocketAddr)] {
        &self.shared.listening
    }

    /// Queues a message for the connection of `flow`; never blocks, any thread may call it.
    ///
    /// A `connection` of 0 means any connection to `flow.remote` by `flow.transport`, and opens one if there is none
    /// (TLS then verifies the certificate against the address; with a host name use [`Streams::send_to`]). A connection
    /// that we had opened and that is gone is opened again, to the same host name. One that the peer had opened cannot
    /// be: that is [`SendError::Gone`].
    ///
    /// Returns the flow that carries the message. After an `Ok` the message is written, or comes back as
    /// [`Inbound::SendFailed`](crate::Inbound::SendFailed).
    pub fn send(&self, flow: &Flow, bytes: &[u8]) -> Result<Flow, SendError> {
        if flow.connection != 0 {
            if let Some(connection) = self.shared.registry.get(flow.connection) {
                match self.queue(&connection, bytes) {
                    Err(SendError::Gone) => {}
                    result => return result,
                }
            }
            if is_accepted(flow.connection) {
                return Err(SendError::Gone);
            }
        }
        let stranger = || Target { transport: flow.transport, address: flow.remote, tls_name: None };
        let target = self.shared.registry.retired(flow.connection).unwrap_or_else(stranger);
        self.send_from(Some(flow.local.ip()), &target, bytes)
    }

    /// Queues a message for any connection to a target, and opens one if there is none.
    pub fn send_to(&self, target: &Target, bytes: &[u8]) -> Result<Flow, SendError> {
        self.send_from(None, target, bytes)
    }

    fn send_from(&self, local: Option<IpAddr>, target: &Target, bytes: &[u8]) -> Result<Flow, SendError> {
        check(target.transport, bytes)?;
        let connection = self.connection(local, target)?;
        match self.queue(&connection, bytes) {
            // It ended just now, or is about to: the next look-up does not find it any more.
            Err(SendError::Gone) => {
                self.shared.registry.unlink(&connection);
                self.queue(&*self.connection(local, target)?, bytes)
            }
            result => result,
        }
    }

    /// The flow of a connection to a target: the one that is there, or a new one that begins to open. Messages may be
    /// sent on it at once. For a Via that must name the transport and local address before there is a message to send.
    pub fn flow_to(&self, target: &Target) -> Result<Flow, SendError> {
        check(target.transport, b"")?;
        Ok(self.connection(None, target)?.flow)
    }

    /// As [`Streams::flow_to`], but opens nothing: the first message that is sent on the flow does, to this target and no
    /// other. For targets that are tried only when an earlier one fails.
    pub fn way_to(&self, target: &Target) -> Result<Flow, SendError> {
        check(target.transport, b"")?;
        self.check_name(target)?;
        self.shared.registry.reserve(target, || connector::local_for(&self.shared, target, None))
    }

    fn check_name(&self, target: &Target) -> Result<(), SendError> {
        if target.transport.is_secure() {
            self.shared.tls.as_ref().ok_or(SendError::NoTls)?;
            crate::tls::name_to_verify(target.tls_name.as_deref(), target.address.ip())?;
        }
        Ok(())
    }

    fn connection(&self, local: Option<IpAddr>, target: &Target) -> Result<Arc<Connection>, SendError> {
        let shared = &self.shared;
        self.check_name(target)?;
        match shared.registry.find_or_add(target, || connector::local_for(shared, target, local))? {
            Found::Open(connection) => {
                shared.counters.one(StreamCounter::Reused);
                Ok(connection)
            }
            Found::New(connection) => {
                let life = Life::new(shared.clone(), connection.clone(), true);
                self.handle.spawn(connector::connect(life));
                Ok(connection)
            }
        }
    }

    fn queue(&self, connection: &Connection, bytes: &[u8]) -> Result<Flow, SendError> {
        check(connection.flow.transport, bytes)?;
        let result = self.shared.push(connection, Kind::Message, bytes);
        if result == Err(SendError::QueueFull) {
            self.shared.counters.one(StreamCounter::QueueFull);
        }
        result.map(|()| connection.flow)
    }

    /// Connection reuse (RFC 5923 §8.2): call it when a request came on a TLS connection that the peer had opened and
    /// its topmost Via carries `alias`, with the address that this Via leads to (`received`, port of `sent-by`).
    /// Requests to that address then take this connection, if its client certificate is valid for their host name.
    /// Returns whether it was done: only a peer that has proved its name by a certificate may claim an address.
    pub fn alias(&self, flow: &Flow, address: SocketAddr) -> bool {
        let connection = self.shared.registry.get(flow.connection);
        let connection = connection.filter(|connection| connection.client_certificate.get().is_some());
        let is_sound = address.ip() == flow.remote.ip();
        connection.filter(|_| is_sound).is_some_and(|connection| {
            self.shared.registry.alias(&connection, address);
            true
        })
    }

    /// Closes one connection; what is queued on it is written first.
    pub fn close(&self, flow: &Flow) {
        if let Some(connection) = self.shared.registry.get(flow.connection) {
            self.shared.registry.unlink(&connection);
            connection.ask_to_close();
        }
    }

    /// Reads certificates, keys and authorities again, for handshakes from now on. Open connections are not touched.
    /// On an error everything stays as it was.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        let result = self.shared.tls.as_ref().map_or(Err(TlsError::NotConfigured), Tls::reload);
        let counter = if result.is_ok() { StreamCounter::TlsReloads } else { StreamCounter::TlsReloadsFailed };
        self.shared.counters.one(counter);
        result
    }

    /// When the first of our certificates runs out.
    pub fn certificates_expire(&self) -> Option<SystemTime> {
        self.shared.tls.as_ref().and_then(|tls| tls.contexts().expires)
    }

    /// The numbers now.
    pub fn counters(&self) -> Counts<StreamCounter> {
        self.shared.counters.snapshot()
    }

    /// Stops listening, writes what is queued, says goodbye on every connection; drops after `limit` what is not closed
    /// by then. For callers outside of the runtime.
    pub fn shutdown(mut self, limit: Duration) {
        self.handle.clone().block_on(self.drain(limit));
        if let Some(own) = self.own.take() {
            own.shutdown_timeout(Duration::from_secs(1));
        }
    }

    /// [`Streams::shutdown`] for callers inside of a runtime. Returns whether everything was closed in time.
    pub async fn drain(&mut self, limit: Duration) -> bool {
        self.listeners.drain(..).for_each(|listener| listener.abort());
        let closed = async {
            self.shared.registry.close().iter().for_each(|connection| connection.ask_to_close());
            loop {
                let ended = self.shared.ended.notified();
                if self.shared.registry.count() == 0 {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(limit, closed).await.is_ok()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
        self.shared.registry.close().iter().for_each(|connection| connection.ask_to_close());
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
    }
}

fn runtime(wanted: Runtime) -> Result<(Handle, Option<tokio::runtime::Runtime>), StartError> {
    match wanted {
        Runtime::Given(handle) => Ok((handle, None)),
        Runtime::Own { thread_count } => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(thread_count.max(1)).thread_name("streams").enable_io().enable_time();
            let own = builder.build().map_err(StartError::Threads)?;
            Ok((own.handle().clone(), Some(own)))
        }
    }
}

fn check(transport: Transport, bytes: &[u8]) -> Result<(), SendError> {
    match transport {
        Transport::Udp => Err(SendError::NotAStream),
        _ if bytes.len() > MESSAGE_MAX_BYTES => Err(SendError::TooLarge(bytes.len())),
        _ => Ok(()),
    }
}
