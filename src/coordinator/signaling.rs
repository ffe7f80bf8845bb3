//! Signaling of a coordinator: its start and end, where it listens, and the way to its shards.

use crate::api::{ErrorContext, SessionConfig, SessionCoordinator, SessionError, Transport};
use crate::coordinator::signaling_thread;
use signald::{Orders, Paths, Stop};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Signaling, which runs or does not.
#[derive(Default)]
pub(crate) struct Signaling {
    running: Mutex<Option<Running>>,
    /// Calls that were placed, to spread them over the shards.
    placed: AtomicU64,
}

/// Signaling that runs on threads of this process.
struct Running {
    orders: Orders,
    local: SocketAddr,
    connections: Vec<(Transport, SocketAddr)>,
    stop: Stop,
    since: Instant,
    ended: Option<oneshot::Receiver<()>>,
}

impl Signaling {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to the shards, while signaling runs.
    pub(super) fn orders(&self) -> Option<Orders> {
        self.running().as_ref().map(|running| running.orders.clone())
    }

    /// Asks it to end: its thread says BYE to every call, then ends by itself.
    pub(super) fn abandon(&self) {
        if let Some(running) = self.running().take() {
            running.stop.request();
        }
    }
}

impl SessionCoordinator {
    /// Everywhere that SIP is listened for, with the ports that the system chose; nothing before the start.
    pub fn listening(&self) -> Vec<(Transport, SocketAddr)> {
        let running = self.signaling.running();
        let Some(running) = running.as_ref() else { return Vec::new() };
        std::iter::once((Transport::Udp, running.local)).chain(running.connections.iter().copied()).collect()
    }

    /// Where SIP is listened for by UDP; `None` before the start.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.signaling.running().as_ref().map(|running| running.local)
    }

    /// How long signaling has run.
    pub(crate) fn uptime(&self) -> Duration {
        self.signaling.running().as_ref().map_or(Duration::ZERO, |running| running.since.elapsed())
    }

    /// Starts signaling, on `address` or where the configuration says. Started already: nothing happens, unless it is
    /// to be elsewhere.
    pub(crate) async fn start(&self, address: Option<SocketAddr>) -> Result<(), SessionError> {
        if self.this.strong_count() == 0 {
            return Err(SessionError::transport("the coordinator of this call is gone; keep one to go on with it"));
        }
        if let Some(local) = self.local_addr() {
            return match address {
                Some(address) if address != local && address.port() != 0 => {
                    Err(SessionError::config(format!("it listens on {local} already; stop it first")))
                }
                _ => Ok(()),
            };
        }
        let settings =
            SessionConfig { local_bind_addr: address.unwrap_or(self.config.local_bind_addr), ..self.config.clone() };
        let (told, started) = oneshot::channel();
        let (over, ended) = oneshot::channel();
        let stop = Stop::new().map_err(|error| SessionError::config(format!("cannot make a descriptor: {error}")))?;
        let (this, asked) = (self.this.clone(), stop.clone());
        std::thread::Builder::new()
            .name("ringplane".into())
            .spawn(move || {
                signaling_thread::run(&settings, &this, &asked, told);
                // `stop` may have given up waiting.
                let _ = over.send(());
            })
            .map_err(|error| SessionError::config(format!("cannot start a thread: {error}")))?;
        let (orders, local, connections) =
            started.await.map_err(|_| SessionError::transport("signaling ended while it started"))??;
        *self.signaling.running() =
            Some(Running { orders, local, connections, stop, since: Instant::now(), ended: Some(ended) });
        Ok(())
    }

    /// Ends every call with BYE, then signaling; waits for `grace` at most.
    pub(crate) async fn stop(&self, grace: Duration) -> Result<(), SessionError> {
        let Some(mut running) = self.signaling.running().take() else { return Ok(()) };
        running.stop.request();
        self.pending.clear();
        let Some(ended) = running.ended.take() else { return Ok(()) };
        match tokio::time::timeout(grace, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SessionError::Timeout { after: grace, context: Box::new(ErrorContext::none()) }),
        }
    }

    /// How URIs become paths, while signaling runs.
    pub(crate) fn paths(&self) -> Option<Paths> {
        self.signaling.running().as_ref().and_then(|running| running.orders.paths().cloned())
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.signaling.running().as_ref().map_or(0, |running| running.orders.shard_count())
    }

    /// Calls of ours are spread over the shards.
    pub(crate) fn next_shard(&self) -> usize {
        self.signaling.placed.fetch_add(1, Relaxed) as usize % self.shard_count().max(1)
    }
}
