//! What all operations of a program go through: its sessions, its handler, its events, and the way to the shards.

pub(crate) mod manager;
mod media_plane;
mod orders;
pub(crate) mod server;
mod shard_events;
pub(crate) mod shard_user;
mod signaling;
mod signaling_thread;
mod totals;

use crate::admission::Admission;
use crate::api::advanced::{Pending, Serving};
use crate::api::{BridgeEvent, SessionConfig, SessionError, SessionId, SessionStats};
use crate::bridge::joining::Joining;
use crate::calls::{entry::Entry, registry::Registry, session::CallSession};
use crate::coordinator::signaling::Signaling;
use crate::coordinator::totals::Totals;
use crate::events::{EventFilter, Publisher, Receiver, SessionEvent};
use crate::groups::Relations;
use crate::handlers::CallHandler;
use crate::handlers::ready_made::RejectHandler;
use crate::health::Tasks;
use crate::media::{Recordings, Rooms};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// How far behind a subscriber may be.
const EVENT_BACKLOG: usize = 8_192;

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
    pub(crate) rooms: Rooms,
    handler: RwLock<Arc<dyn CallHandler>>,
    pub(crate) bridge_events: Publisher<BridgeEvent>,
    pub(crate) joining: Arc<Joining>,
    pub(crate) admission: Arc<Admission>,
    relations: Mutex<Relations>,
    /// Tasks that work for handlers.
    pub(crate) tasks: Arc<Tasks>,
    /// Requests of the program's own that wait for answers.
    pub(crate) pending: Pending,
    /// The handler of requests that belong to no call.
    pub(crate) serving: Option<Serving>,
    signaling: Signaling,
    pub(crate) this: Weak<Self>,
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

    /// Stands for the coordinator of a call that has outlived its own: it has no session and does not start.
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
            rooms: Rooms::default(),
            handler: RwLock::new(Arc::new(RejectHandler(480))),
            bridge_events: Publisher::new(event_backlog),
            joining: Arc::default(),
            pending: Pending::default(),
            serving: None,
            signaling: Signaling::default(),
            this: Weak::new(),
        }
    }

    /// Sets the handler that decides about calls from now on.
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
            completed_sessions: self.totals.completed(),
            failed_sessions: self.totals.failed(),
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
}

impl Drop for SessionCoordinator {
    fn drop(&mut self) {
        self.signaling.abandon();
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
