//! Two sessions that hear each other.

pub(crate) mod handle;
pub(crate) mod joining;

use crate::api::{SessionCoordinator, SessionError, SessionId};
use crate::calls::id::{Numbered, text_names};
use crate::events::{EventFilter, Receiver};
use serde::{Deserialize, Serialize};
use signald::OrderTurn;

/// Names a bridge of one [`SessionCoordinator`]; it is never used twice, not even after a restart. In JSON it is a string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BridgeId(Numbered);

impl BridgeId {
    pub(crate) fn new(shard: usize, id: session::BridgeId) -> Self {
        Self(Numbered::new(shard, id.as_u64()))
    }

    fn shard(self) -> usize {
        self.0.shard()
    }

    fn inner(self) -> session::BridgeId {
        session::BridgeId::from_u64(self.0.number())
    }
}

text_names!(BridgeId);

/// What happened to a bridge.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>) {
/// let mut events = coordinator.subscribe_to_bridge_events().await;
/// while let Some(event) = events.recv().await {
///     if let BridgeEvent::ParticipantRemoved { bridge_id, session_id, reason } = event {
///         println!("{session_id} has left {bridge_id}: {reason}");
///     }
/// }
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BridgeEvent {
    /// A session joined a bridge.
    ParticipantAdded {
        /// The bridge.
        bridge_id: BridgeId,
        /// The session.
        session_id: SessionId,
    },
    /// A session left a bridge.
    ParticipantRemoved {
        /// The bridge.
        bridge_id: BridgeId,
        /// The session.
        session_id: SessionId,
        /// Why it left, in words.
        reason: String,
    },
    /// A bridge is gone; the sessions that were in it go on.
    BridgeDestroyed {
        /// The bridge.
        bridge_id: BridgeId,
    },
}

/// A bridge and the sessions that are in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BridgeInfo {
    /// Its name.
    pub id: BridgeId,
    /// Its sessions.
    pub sessions: Vec<SessionId>,
}

/// Bridges join two sessions: each hears the other. Packets of a codec that both have are passed on without decoding. A third one is refused with
/// [`SessionError::ResourceExhausted`], whose context names the bridge: more than two calls are members of a room ([`crate::api::Call::join_room`]). When a session ends
/// it leaves its bridge; a bridge that was made by [`Self::bridge_sessions`] then goes too, and the other session goes on
/// alone. [`Self::bridge_sessions_together`] ends both calls as soon as one of them ends.
///
/// Sessions without a common codec are transcoded; [`crate::api::MediaControl::change_codec`] takes one of them to the codec of the
/// other.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// let agent = coordinator.create_outgoing_call("", "sip:agent@192.0.2.7", None).await?;
/// coordinator.wait_for_answer(agent.id(), std::time::Duration::from_secs(30)).await?;
/// let bridge = coordinator.bridge_sessions(call.id(), agent.id()).await?;
/// // They talk.
/// coordinator.destroy_bridge(&bridge).await?;
/// # Ok(())
/// # }
/// ```
impl SessionCoordinator {
    /// Lets two answered sessions hear each other. What is said from then on is heard.
    pub async fn bridge_sessions(&self, one: &SessionId, other: &SessionId) -> Result<BridgeId, SessionError> {
        let (shard, partner) = (one.shard(), *other);
        self.same_shard(shard, partner)?;
        let bridge = move |order: &mut OrderTurn<'_, '_>, one| order.sessions.bridge(order.turn, one, partner.inner());
        self.join(*one, partner, bridge).await
    }

    /// Lets two calls hear each other that are one conversation: when either of them ends, whichever way, the other one is ended
    /// too, until the bridge is taken down or one of them has left it.
    pub async fn bridge_sessions_together(&self, one: &SessionId, other: &SessionId) -> Result<BridgeId, SessionError> {
        let bridge = self.bridge_sessions(one, other).await?;
        self.relations().conversations().tie(bridge, vec![*one, *other]);
        // Where one of them has ended before that, nothing would tell the other one any more.
        if [one, other].into_iter().any(|id| self.registry.get(*id).is_none()) {
            self.relations().conversations().destroyed(bridge);
            [*one, *other].into_iter().for_each(|id| self.end_along(id));
        }
        Ok(bridge)
    }

    /// An empty bridge.
    pub async fn create_bridge(&self) -> Result<BridgeId, SessionError> {
        let shard = self.next_shard();
        let made = self.order(shard, |order| order.sessions.create_bridge()).await?;
        made.map(|id| BridgeId::new(shard, id)).map_err(SessionError::of_nothing)
    }

    /// Puts a session into a bridge.
    pub async fn add_session_to_bridge(&self, bridge: &BridgeId, id: &SessionId) -> Result<(), SessionError> {
        let bridge = *bridge;
        self.same_shard(bridge.shard(), *id)?;
        let add = move |order: &mut OrderTurn<'_, '_>, id| {
            let added = order.sessions.add_to_bridge(order.turn, bridge.inner(), id);
            added.map(|()| bridge.inner())
        };
        self.join(*id, *id, add).await.map(drop).map_err(|error| match error {
            SessionError::ResourceExhausted => SessionError::exhausted(
                format!("sessions in bridge {bridge} (more than two join a room)"),
                session::BRIDGE_MEMBERS_MAX,
            ),
            other => other,
        })
    }

    /// Takes a session out of a bridge; it goes on alone.
    pub async fn remove_session_from_bridge(&self, bridge: &BridgeId, id: &SessionId) -> Result<(), SessionError> {
        let bridge = *bridge;
        self.same_shard(bridge.shard(), *id)?;
        self.operate(*id, move |order, id| order.sessions.remove_from_bridge(order.turn, bridge.inner(), id)).await
    }

    /// Takes all sessions out of a bridge, and the bridge away.
    pub async fn destroy_bridge(&self, bridge: &BridgeId) -> Result<(), SessionError> {
        let bridge = *bridge;
        let gone = self.order(bridge.shard(), move |order| order.sessions.destroy_bridge(order.turn, bridge.inner()));
        gone.await?.map_err(SessionError::of_nothing)
    }

    /// All bridges that are there now.
    pub async fn list_bridges(&self) -> Result<Vec<BridgeInfo>, SessionError> {
        let mut all = Vec::new();
        for shard in 0..self.shard_count() {
            let bridges = self.order(shard, move |order| {
                let info = |(id, sessions): (session::BridgeId, &[session::SessionId])| BridgeInfo {
                    id: BridgeId::new(shard, id),
                    sessions: sessions.iter().map(|id| SessionId::new(shard, *id)).collect(),
                };
                order.sessions.bridges().map(info).collect::<Vec<_>>()
            });
            all.extend(bridges.await?);
        }
        Ok(all)
    }

    /// What happens to bridges, from now on.
    pub async fn subscribe_to_bridge_events(&self) -> Receiver<BridgeEvent> {
        self.bridge_events.subscribe(EventFilter::all(), |_, _| true)
    }

    /// A coordinator has one shard, so that any two of its sessions can meet; identifiers may still come from elsewhere.
    pub(crate) fn same_shard(&self, shard: usize, id: SessionId) -> Result<(), SessionError> {
        if id.shard() == shard { Ok(()) } else { Err(SessionError::not_found(id)) }
    }
}

/// The reason as users read it.
pub(crate) fn words(reason: session::LeaveReason) -> &'static str {
    match reason {
        session::LeaveReason::Removed => "removed",
        session::LeaveReason::Ended => "ended",
        session::LeaveReason::Destroyed => "the bridge was destroyed",
        session::LeaveReason::Failed => "the media plane refused",
    }
}
