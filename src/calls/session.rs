//! One session, as programs see it.

use crate::api::{DialogId, MediaStatistics, SessionCoordinator, SessionId, SessionState};
use crate::calls::entry::Entry;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A call: who with, where in its life. A clone is the same call; it stays readable after the end. What is to be done
/// with it goes through its coordinator.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example(call: CallSession) -> Result<(), SessionError> {
/// println!("{} from {} to {}: {:?} for {:?}", call.id(), call.from, call.to, call.state(), call.duration());
/// call.coordinator().terminate_session(call.id()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CallSession {
    pub(crate) entry: Arc<Entry>,
    coordinator: Weak<SessionCoordinator>,
    runtime: tokio::runtime::Handle,
    /// Its name; [`Self::id`] gives the same.
    pub id: SessionId,
    /// Caller, as a URI.
    pub from: String,
    /// Called, as a URI.
    pub to: String,
}

impl CallSession {
    pub(crate) fn new(
        entry: &Arc<Entry>,
        coordinator: Weak<SessionCoordinator>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let (from, to) = (entry.from.to_string(), entry.to.to_string());
        Self { entry: entry.clone(), coordinator, runtime, id: entry.id, from, to }
    }

    /// Its name.
    pub fn id(&self) -> &SessionId {
        &self.entry.id
    }

    /// Where it is in its life, now.
    pub fn state(&self) -> SessionState {
        self.entry.state()
    }

    /// How long it has been there, up to its end.
    pub fn duration(&self) -> Duration {
        let until = self.entry.facts().ended_at.unwrap_or_else(Instant::now);
        until.saturating_duration_since(self.entry.created_at)
    }

    /// Its Call-ID.
    pub fn call_id(&self) -> &str {
        &self.entry.call_id
    }

    /// What identifies its dialog; `None` until it is answered.
    pub fn dialog(&self) -> Option<DialogId> {
        self.entry.facts().dialog.clone()
    }

    /// Whether the other side called.
    pub fn is_incoming(&self) -> bool {
        self.entry.is_incoming
    }

    /// What its media has counted by now, at most a second old; after the end, in all, if that is asked soon, as in
    /// [`crate::api::CallHandler::on_call_ended`]. `None` where there was no media.
    ///
    /// ```
    /// # use ringplane::api::*;
    /// struct Counts;
    ///
    /// #[async_trait]
    /// impl CallHandler for Counts {
    ///     async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
    ///         CallDecision::Accept(None)
    ///     }
    ///
    ///     async fn on_call_ended(&self, call: CallSession, reason: &str) {
    ///         let Some(counted) = call.media_statistics().await else { return };
    ///         println!("{} {reason}: {} packets, {} lost", call.call_id(), counted.packets_received, counted.packets_lost);
    ///     }
    /// }
    /// ```
    pub async fn media_statistics(&self) -> Option<MediaStatistics> {
        if let Some(coordinator) = self.coordinator.upgrade() {
            coordinator.count_media(&self.entry).await;
        }
        self.entry.facts().counted.as_deref().copied()
    }

    /// The coordinator that it belongs to. A call does not keep its coordinator alive: once that has been dropped, all its
    /// calls have ended, and what this gives then finds no session and does not start.
    pub fn coordinator(&self) -> Arc<SessionCoordinator> {
        self.coordinator.upgrade().unwrap_or_else(|| SessionCoordinator::gone(self.runtime.clone()))
    }
}

impl std::fmt::Debug for CallSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallSession")
            .field("id", &self.id)
            .field("state", &self.state())
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}
