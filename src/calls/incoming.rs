//! What handlers and programs decide about calls that have come in, carried out.

use crate::admission::Place;
use crate::api::Priority;
use crate::api::{CallDecision, SessionCoordinator, SessionError, SessionId};
use crate::calls::entry::Entry;
use session::{Forward, Plan, PlannedSource};
use signald::OrderTurn;
use std::sync::Arc;

impl SessionCoordinator {
    /// What a handler decided.
    pub(crate) async fn carry_out(&self, entry: &Entry, decision: CallDecision) {
        let id = entry.id;
        let done = match decision {
            CallDecision::Accept(sdp) => self.accept(id, sdp).await,
            CallDecision::Reject { status, reason } => self.reject(id, status, reason).await,
            CallDecision::Forward(uri) => self.forward(id, &uri).await,
            CallDecision::Defer => Ok(()),
        };
        match done {
            Ok(()) => {}
            Err(error @ (SessionError::Config { .. } | SessionError::Protocol { .. })) => {
                tracing::error!(session = %id, "a call handler decided something that cannot be done: {error}");
                // Its call is over at once, rather than when it has rung long enough.
                let _ = self.reject(id, 500, String::new()).await;
            }
            Err(error) => tracing::debug!(session = %id, "the decision came too late: {error}"),
        }
    }

    pub(crate) async fn accept(&self, id: SessionId, sdp: Option<String>) -> Result<(), SessionError> {
        let plan = Plan::of(PlannedSource::Silence);
        let accept =
            move |order: OrderTurn<'_, '_>, id| order.sessions.accept_with(order.turn, id, plan, sdp.as_deref());
        self.operate(id, accept).await
    }

    /// Sends a call that rings on to a URI; nowhere to go is 404.
    async fn forward(&self, id: SessionId, uri: &str) -> Result<(), SessionError> {
        let targets = match self.targets(uri).await {
            Ok(targets) => targets,
            Err(error) => {
                tracing::warn!(session = %id, "cannot forward: {error}");
                return self.reject(id, 404, String::new()).await;
            }
        };
        // The other side is as important as this one, and needs a place as well.
        let level = self.entry(id)?.facts().place.as_ref().map_or_else(Priority::default, Place::level);
        let Ok(place) = self.admission.take(level) else {
            return self.reject(id, 503, String::new()).await;
        };
        let (shard, this) = (id.shard(), self.this.clone());
        let forward = move |order: OrderTurn<'_, '_>, id| {
            let other = order.sessions.forward(order.turn, id, Forward::to(targets))?;
            let parties = order.sessions.get(other).map(session::Session::parties).cloned().unwrap_or_default();
            let other = SessionId::new(shard, other);
            let entry = Entry::new(other, &parties.from, &parties.to, &parties.call_id, false);
            entry.facts().place = Some(place);
            if let Some(this) = this.upgrade() {
                this.registry.insert(Arc::new(entry));
            }
            Ok(())
        };
        self.operate(id, forward).await
    }

    pub(crate) async fn reject(&self, id: SessionId, status: u16, reason: String) -> Result<(), SessionError> {
        self.operate(id, move |order, id| order.sessions.reject(order.turn, id, status, &reason)).await
    }
}
