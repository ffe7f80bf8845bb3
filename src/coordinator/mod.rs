//! What all operations of a program go through: its sessions, its handler, its events, and the way to the shards.

pub(crate) mod manager;
mod media_plane;
pub(crate) mod server;
mod shard_events;
pub(crate) mod shard_user;
mod signaling_thread;

use crate::admission::Admission;
use crate::api::advanced::{Pending, Serving};
use crate::api::{BridgeEvent, Operation, SessionConfig, SessionError, SessionId, SessionStats, Transport};
use crate::calls::{entry::Entry, registry::Registry, session::CallSession};
use crate::coordinator::signaling_thread::run;
use crate::events::{EventFilter, Publisher, Receiver, SessionEvent};
use crate::groups::Relations;
use crate::handlers::CallHandler;
use crate::handlers::ready_made::RejectHandler;
use crate::health::Tasks;
use crate::media::Recordings;
use session::{Carried, EndKind, EndReason};
use signald::{OrderTurn, Orders, Paths, Stop};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

/// How far behind a subscriber may be.
const EVENT_BACKLOG: usize = 8_192;
/// An order that a shard has not begun by then is not carried out any more.
const ORDER_LIMIT: Duration = Duration::from_secs(5);
/// A request that gets no answer ends after 64*T1, 32 s; before that another change may end, which takes as long.
const OPERATION_LIMIT: Duration = Duration::from_secs(70);

/// The sessions of a program. [`crate::api::SessionManagerBuilder`] makes one; [`crate::api::SessionControl`] and
/// [`crate::api::MediaControl`] work on it, and so does everything below. Dropping its last clone ends all calls with BYE.
///
/// ```no_run
/// use ringplane::api::*;
/// use std::sync::Arc;
///
/// # async fn example() -> Result<(), SessionError> {
/// let coordinator = SessionManagerBuilder::new().with_sip_port(0).with_handler(Arc::new(AutoAnswerHandler)).build().await?;
/// coordinator.start().await?;
/// println!("{:?}, {:?}", coordinator.local_addr(), coordinator.health().await.status);
/// for id in coordinator.list_active_sessions().await? {
///     coordinator.terminate_session(&id).await?;
/// }
/// coordinator.stop().await?;
/// # Ok(())
/// # }
/// ```
pub struct SessionCoordinator {
    pub(crate) config: SessionConfig,
    pub(crate) registry: Registry,
    pub(crate) events: Publisher<SessionEvent>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) totals: Totals,
    pub(crate) recordings: Recordings,
    handler: RwLock<Arc<dyn CallHandler>>,
    pub(crate) bridge_events: Publisher<BridgeEvent>,
    pub(crate) admission: Arc<Admission>,
    relations: Mutex<Relations>,
    /// Tasks that work for handlers.
    pub(crate) tasks: Arc<Tasks>,
    /// Requests of the program's own that wait for answers.
    pub(crate) pending: Pending,
    /// Who answers requests that are no calls.
    pub(crate) serving: Option<Serving>,
    placed: AtomicU64,
    running: Mutex<Option<Running>>,
    pub(crate) this: Weak<Self>,
}

/// Signaling that runs on threads of this process.
struct Running {
    orders: Orders,
    local: SocketAddr,
    connections: Vec<(Transport, SocketAddr)>,
    stop: Stop,
    since: std::time::Instant,
    ended: Option<oneshot::Receiver<()>>,
    /// Looks at the quality of calls.
    watch: Option<tokio::task::AbortHandle>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

#[derive(Default)]
pub(crate) struct Totals {
    completed: AtomicU64,
    failed: AtomicU64,
    last_end: Mutex<Option<std::time::Instant>>,
}

impl Totals {
    pub(crate) fn ended(&self, reason: EndReason, now: std::time::Instant) {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let count = if reason.kind() == EndKind::Completed { &self.completed } else { &self.failed };
        count.fetch_add(1, Relaxed);
    }

    /// When the last session ended.
    pub(crate) fn last_end(&self) -> Option<std::time::Instant> {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionCoordinator {
    /// From a [`SessionConfig`] or a [`crate::api::SessionManagerConfig`]; not started yet. Without a handler every call is
    /// refused with 480. [`crate::api::SessionManagerBuilder`] has all the keys.
    pub async fn new(
        config: impl Into<SessionConfig>,
        handler: Option<Arc<dyn CallHandler>>,
    ) -> Result<Arc<Self>, SessionError> {
        Self::make(config.into(), handler, None)
    }

    pub(crate) fn make(
        config: SessionConfig,
        handler: Option<Arc<dyn CallHandler>>,
        serving: Option<Serving>,
    ) -> Result<Arc<Self>, SessionError> {
        config.check()?;
        serving.as_ref().map_or(Ok(()), Serving::check)?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| SessionError::config("this needs a tokio runtime: call it from `#[tokio::main]`"))?;
        let handler = handler.unwrap_or_else(|| Arc::new(RejectHandler(480)));
        Ok(Arc::new_cyclic(|this| {
            let mut made = Self::idle(config, runtime, EVENT_BACKLOG);
            (made.this, made.serving, made.handler) = (this.clone(), serving, RwLock::new(handler));
            made
        }))
    }

    /// One that stands for the coordinator of a call that has outlived it: it has no session and does not start.
    pub(crate) fn gone(runtime: tokio::runtime::Handle) -> Arc<Self> {
        Arc::new(Self::idle(SessionConfig::default(), runtime, 1))
    }

    fn idle(config: SessionConfig, runtime: tokio::runtime::Handle, event_backlog: usize) -> Self {
        Self {
            admission: Admission::new(config.max_sessions, config.priority_shares),
            relations: Mutex::default(),
            tasks: Arc::default(),
            config,
            registry: Registry::default(),
            events: Publisher::new(event_backlog),
            runtime,
            totals: Totals::default(),
            recordings: Recordings::default(),
            handler: RwLock::new(Arc::new(RejectHandler(480))),
            bridge_events: Publisher::new(event_backlog),
            pending: Pending::default(),
            serving: None,
            placed: AtomicU64::new(0),
            running: Mutex::new(None),
            this: Weak::new(),
        }
    }

    /// Everywhere that SIP is listened for, with the ports that the system chose; nothing before the start.
    pub fn listening(&self) -> Vec<(Transport, SocketAddr)> {
        let running = self.running();
        let Some(running) = running.as_ref() else { return Vec::new() };
        std::iter::once((Transport::Udp, running.local)).chain(running.connections.iter().copied()).collect()
    }

    /// Where SIP is listened for by UDP; `None` before the start.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.running().as_ref().map(|running| running.local)
    }

    /// How long signaling has run.
    pub(crate) fn uptime(&self) -> Duration {
        self.running().as_ref().map_or(Duration::ZERO, |running| running.since.elapsed())
    }

    /// Who decides about calls from now on.
    pub fn set_handler(&self, handler: Arc<dyn CallHandler>) {
        *self.handler.write().unwrap_or_else(PoisonError::into_inner) = handler;
    }

    /// Events that the filter lets through, from now on.
    pub fn subscribe(&self, filter: EventFilter) -> Receiver<SessionEvent> {
        self.events.subscribe_to_sessions(filter)
    }

    /// Numbers of the whole coordinator.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            active_sessions: self.registry.count(),
            max_sessions: self.config.max_sessions,
            completed_sessions: self.totals.completed.load(Relaxed),
            failed_sessions: self.totals.failed.load(Relaxed),
            lost_events: self.events.lost_count(),
        }
    }

    pub(crate) fn handler(&self) -> Arc<dyn CallHandler> {
        self.handler.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn session_of(&self, entry: &Arc<Entry>) -> CallSession {
        CallSession::new(entry, self.this.clone(), self.runtime.clone())
    }

    pub(crate) fn entry(&self, id: SessionId) -> Result<Arc<Entry>, SessionError> {
        self.registry.get(id).ok_or_else(|| SessionError::not_found(id))
    }

    /// Which sessions belong together.
    pub(crate) fn relations(&self) -> MutexGuard<'_, Relations> {
        self.relations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
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
                run(&settings, &this, &asked, told);
                // `stop` may have given up waiting.
                let _ = over.send(());
            })
            .map_err(|error| SessionError::config(format!("cannot start a thread: {error}")))?;
        let (orders, local, connections) =
            started.await.map_err(|_| SessionError::transport("signaling ended while it started"))??;
        let watch = crate::media::quality::watch(self.this.clone(), self.config.quality_interval, &self.runtime);
        *self.running() = Some(Running {
            orders,
            local,
            connections,
            stop,
            since: std::time::Instant::now(),
            ended: Some(ended),
            watch,
        });
        Ok(())
    }

    /// Ends every call with BYE, then signaling; waits for `grace` at most.
    pub(crate) async fn stop(&self, grace: Duration) -> Result<(), SessionError> {
        let Some(mut running) = self.running().take() else { return Ok(()) };
        running.stop.request();
        self.pending.clear();
        let Some(ended) = running.ended.take() else { return Ok(()) };
        match tokio::time::timeout(grace, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SessionError::Timeout { after: grace, context: Box::new(crate::api::ErrorContext::none()) }),
        }
    }

    /// Has a shard do something, and waits for what it says.
    pub(crate) async fn order<T: Send + 'static>(
        &self,
        shard: usize,
        work: impl FnOnce(OrderTurn<'_, '_>) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        let not_running = || SessionError::transport("signaling does not run; start it first");
        let orders = self.running().as_ref().map(|running| running.orders.clone()).ok_or_else(not_running)?;
        let (told, answer) = oneshot::channel();
        let order = move |turn: OrderTurn<'_, '_>| {
            // The caller was told that it took too long: then it must not happen any more.
            if !told.is_closed() {
                let _ = told.send(work(turn));
            }
        };
        orders.send(shard, Box::new(order)).map_err(|full| SessionError::transport(full.to_string()))?;
        match tokio::time::timeout(ORDER_LIMIT, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(not_running()),
            Err(_) => {
                Err(SessionError::Timeout { after: ORDER_LIMIT, context: Box::new(crate::api::ErrorContext::none()) })
            }
        }
    }

    /// An operation on one session.
    pub(crate) async fn operate<T: Send + 'static>(
        &self,
        id: SessionId,
        work: impl FnOnce(OrderTurn<'_, '_>, session::SessionId) -> Result<T, session::SessionError> + Send + 'static,
    ) -> Result<T, SessionError> {
        let entry = self.entry(id)?;
        let done = self.order(id.shard(), move |turn| work(turn, id.inner())).await?;
        done.map_err(|error| SessionError::of_session(id, Some(&entry.call_id), error))
    }

    /// An operation that takes its time: waits until it has been carried out or refused. Where another change of the
    /// same call is on its way, the session begins it afterwards.
    pub(crate) async fn complete(
        &self,
        id: SessionId,
        operation: Operation,
        work: impl FnOnce(OrderTurn<'_, '_>, session::SessionId) -> Result<(), session::SessionError> + Send + 'static,
    ) -> Result<(), SessionError> {
        let carry_out = move |turn: OrderTurn<'_, '_>, id| work(turn, id).map(|()| Carried::Later);
        self.complete_unless_done(id, operation, carry_out).await
    }

    /// The same for one that may be carried out at once.
    pub(crate) async fn complete_unless_done(
        &self,
        id: SessionId,
        operation: Operation,
        work: impl FnOnce(OrderTurn<'_, '_>, session::SessionId) -> Result<Carried, session::SessionError> + Send + 'static,
    ) -> Result<(), SessionError> {
        let entry = self.entry(id)?;
        let outcome = entry.expect(operation);
        let asked = self.order(id.shard(), move |turn| work(turn, id.inner())).await?;
        match asked.map_err(|error| SessionError::of_session(id, Some(&entry.call_id), error))? {
            Carried::Now => return Ok(()),
            Carried::Later => {}
        }
        match tokio::time::timeout(OPERATION_LIMIT, outcome).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(refusal))) => Err(SessionError::refused(id, refusal).of_call(&entry)),
            // The session has ended meanwhile.
            Ok(Err(_)) => Err(SessionError::not_found(id)),
            Err(_) => Err(SessionError::timeout(id, OPERATION_LIMIT).of_call(&entry)),
        }
    }

    /// How URIs become paths, while signaling runs.
    pub(crate) fn paths(&self) -> Option<Paths> {
        self.running().as_ref().and_then(|running| running.orders.paths().cloned())
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.running().as_ref().map_or(0, |running| running.orders.shard_count())
    }

    /// Calls of ours are spread over the shards.
    pub(crate) fn next_shard(&self) -> usize {
        self.placed.fetch_add(1, Relaxed) as usize % self.shard_count().max(1)
    }
}

impl Drop for SessionCoordinator {
    fn drop(&mut self) {
        // Its thread says BYE to every call, then ends by itself.
        if let Some(running) = self.running().take() {
            running.stop.request();
        }
    }
}

impl std::fmt::Debug for SessionCoordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCoordinator")
            .field("local_addr", &self.local_addr())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
