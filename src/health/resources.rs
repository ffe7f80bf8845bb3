//! What sessions take: together, and one by one.

use super::census::Census;
use crate::api::{
    BridgeId, Operation, Priority, PriorityShares, SessionCoordinator, SessionError, SessionId, SessionState,
};
use engine::LevelCounts;
use serde::Serialize;
use std::time::Duration;

/// What all sessions of a coordinator take now.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct ResourceCounters {
    /// Sessions, ending ones included.
    pub sessions: usize,
    /// Sessions whose end has been decided.
    pub ending_sessions: usize,
    /// How many there may be.
    pub max_sessions: usize,
    /// Sessions by priority, highest first.
    pub levels: Vec<LevelUse>,
    /// Age of the oldest session.
    pub oldest_session: Duration,
    /// Bytes that sessions take, tables and SIP's own memory of their dialogs not included.
    pub session_bytes: usize,
    /// What SIP keeps for them.
    #[serde(flatten)]
    pub sip: SipCounters,
    /// Alarms of sessions that are set.
    pub timers: usize,
    /// Sessions with a media port.
    pub media_legs: usize,
    /// Media ports that calls can have.
    pub ports_free: usize,
    /// Media ports that calls have, those of other programs on the same media plane included.
    pub ports_in_use: usize,
    /// Media ports that other programs of this host hold.
    pub ports_unavailable: usize,
    /// Bridges.
    pub bridges: usize,
    /// Groups.
    pub groups: usize,
    /// Sessions that depend on another.
    pub dependencies: usize,
    /// Sequences with a leg that is up.
    pub sequences: usize,
    /// Tasks that work for handlers.
    pub tasks: usize,
    /// Subscriptions to events.
    pub subscribers: usize,
}

/// What SIP keeps for the sessions of a coordinator now.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct SipCounters {
    /// Dialogs. SIP keeps one for 32 s after its end.
    pub dialogs: usize,
    /// SIP transactions; most are kept for 32 s to absorb retransmissions.
    pub transactions: usize,
    /// INVITEs of programs that are not answered yet.
    pub open_invites: usize,
    /// Transfers that we wait for.
    pub transfers: usize,
}

/// The sessions of one priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LevelUse {
    /// The priority.
    pub priority: Priority,
    /// Sessions of it.
    pub sessions: usize,
    /// A call of this priority is refused from so many sessions of all priorities on.
    pub limit: usize,
    /// Calls of it that were refused for that since the start.
    pub refused: u64,
}

/// What one session takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionResources {
    /// Where it is in its life.
    pub state: SessionState,
    /// How important it is.
    pub priority: Priority,
    /// How long it has been there.
    pub age: Duration,
    /// Bytes that it takes, SIP's own memory of its dialogs not included.
    pub bytes: usize,
    /// Dialogs: one, or as many as branches of its INVITE have answered so far.
    pub dialogs: usize,
    /// Alarms that are set.
    pub timers: usize,
    /// Its media port.
    pub media_port: Option<u16>,
    /// Tasks that work for its handler.
    pub tasks: usize,
    /// The session that it is linked to: the other side of its call, or of its bridge.
    pub linked_to: Option<SessionId>,
    /// The bridge that it is in.
    pub bridge: Option<BridgeId>,
    /// What may be asked of it now.
    pub allowed: Vec<Operation>,
}

impl SessionCoordinator {
    /// Counts everything that sessions take. It looks at each session once, a microsecond each.
    pub async fn resources(&self) -> Result<ResourceCounters, SessionError> {
        let census = self.census().await?;
        Ok(self.counters(&census))
    }

    /// What one session takes.
    pub async fn session_resources(&self, id: &SessionId) -> Result<SessionResources, SessionError> {
        let entry = self.entry(*id)?;
        let (shard, id) = (id.shard(), *id);
        let look = move |order: signald::OrderTurn<'_, '_>| {
            let session = order.sessions.get(id.inner())?;
            Some(SessionResources {
                state: session.state(),
                priority: Priority::default(),
                age: order.turn.now.since(session.created_at()),
                bytes: session.bytes(),
                dialogs: session.dialog_count(),
                timers: session.timer_count(),
                media_port: session.local_port(),
                tasks: 0,
                linked_to: session.linked_to().map(|other| SessionId::new(shard, other)),
                bridge: session.bridge().map(|bridge| BridgeId::new(shard, bridge)),
                allowed: session.allowed(),
            })
        };
        let found = self.order(shard, look).await?.ok_or_else(|| SessionError::not_found(id))?;
        let tasks = self.tasks.all().iter().filter(|row| row.call == id).count();
        Ok(SessionResources { priority: self.session_of(&entry).priority(), tasks, ..found })
    }

    pub(crate) fn counters(&self, census: &Census) -> ResourceCounters {
        let mut relations = self.relations();
        let mut all = ResourceCounters {
            max_sessions: self.config.max_sessions,
            levels: levels(self.admission.counts(), &self.config.priority_shares, self.config.max_sessions),
            groups: relations.groups().count(),
            dependencies: relations.dependencies().count(),
            sequences: relations.sequences().count(),
            tasks: self.tasks.count(),
            subscribers: self.events.subscriber_count() + self.bridge_events.subscriber_count(),
            ..ResourceCounters::default()
        };
        for shard in &census.shards {
            let health = &shard.health;
            all.sessions += health.session_count;
            all.ending_sessions += health.ending_count;
            all.oldest_session = all.oldest_session.max(health.oldest);
            all.session_bytes += health.session_bytes;
            all.sip.dialogs += shard.dialogs;
            all.sip.transactions += shard.transactions;
            all.sip.open_invites += health.call_count;
            all.sip.transfers += health.transfer_count;
            all.timers += health.timer_count;
            all.media_legs += health.leg_count;
            all.bridges += health.bridge_count;
        }
        // Every shard sees the whole pool.
        let ports = census.shards.iter().find_map(|shard| shard.ports).unwrap_or_default();
        (all.ports_free, all.ports_in_use, all.ports_unavailable) = (ports.free, ports.in_use, ports.unavailable);
        all
    }
}

fn levels(counts: LevelCounts, shares: &PriorityShares, max_sessions: usize) -> Vec<LevelUse> {
    let of = |priority: Priority| LevelUse {
        priority,
        sessions: counts.admitted[priority as usize],
        limit: shares.limit(priority, max_sessions),
        refused: counts.refused[priority as usize],
    };
    Priority::ALL.into_iter().map(of).collect()
}
