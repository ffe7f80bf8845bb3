//! What there is, as each of them says: the program, its shards, the media plane.

use crate::api::{SessionCoordinator, SessionError, SessionId};
use engine::{HeldPorts, ShardCensus};
use session::{Health, Session};
use signald::OrderTurn;

/// Everything that sessions take, at about one moment: for the search for leaks, and as numbers.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) things: engine::Census<SessionId>,
    pub(crate) shards: Vec<ShardCounts>,
}

/// The numbers of one shard.
#[derive(Clone, Copy, Default)]
pub(crate) struct ShardCounts {
    pub(crate) health: Health,
    /// Dialogs that SIP has.
    pub(crate) dialogs: usize,
    pub(crate) transactions: usize,
    /// All ports of the media plane; `None`: there is no media plane.
    pub(crate) ports: Option<PortCounts>,
}

/// All ports of the media plane.
#[derive(Clone, Copy, Default)]
pub(crate) struct PortCounts {
    pub(crate) free: usize,
    pub(crate) in_use: usize,
    pub(crate) unavailable: usize,
}

impl SessionCoordinator {
    /// Asks the program, every shard and the media plane.
    pub(crate) async fn census(&self) -> Result<Census, SessionError> {
        let mut census = Census::default();
        census.things.last_end = self.totals.last_end();
        for number in 0..self.shard_count() {
            let ask = move |order: OrderTurn<'_, '_>| {
                let counts = ShardCounts::of(&order);
                let things = things_of(number, &order, &counts.health);
                (counts, things, ports_of_sessions(&order), order.region.zip(order.client))
            };
            let (mut counts, mut things, used, media) = self.order(number, ask).await?;
            // Thousands of ports, and not on the shard's time: a call that moves on meanwhile looks strange only once.
            if let Some((region, client)) = media {
                let pool = region.ports();
                let mut ports = PortCounts::default();
                let mut held = HeldPorts { used, ..HeldPorts::default() };
                for worker in region.plan().workers() {
                    let levels = pool.levels(worker);
                    ports.free += levels.free;
                    ports.in_use += levels.owned;
                    ports.unavailable += levels.unavailable;
                    let is_ours = |port: &u16| pool.holder(*port).is_some_and(|(holder, _)| holder == client);
                    held.taken.extend(pool.ports_of(worker).filter(is_ours));
                }
                let runs = |state| matches!(state, contract::LegState::Open | contract::LegState::TimedOut);
                let (table, reservations) = (region.legs(), region.reservations());
                let orphans = table.rows().filter(|row| runs(row.state()) && reservations.holder(row.leg).is_none());
                held.orphans = orphans.map(|row| row.port.rtp).collect();
                (counts.ports, things.ports) = (Some(ports), Some(held));
            }
            census.shards.push(counts);
            census.things.shards.push(things);
        }
        for entry in self.registry.all() {
            census.things.known.insert(entry.id, entry.facts().place.is_some());
        }
        census.things.place_count = self.admission.counts().admitted_count();
        census.things.tasks = self.tasks.all();
        census.things.add_seats(&mut self.relations());
        Ok(census)
    }
}

impl ShardCounts {
    fn of(order: &OrderTurn<'_, '_>) -> Self {
        let sizes = order.sizes;
        Self {
            health: order.sessions.health(order.turn.now),
            dialogs: sizes.dialogs,
            transactions: sizes.server_transactions + sizes.client_transactions,
            ports: None,
        }
    }
}

fn ports_of_sessions(order: &OrderTurn<'_, '_>) -> std::collections::HashSet<u16> {
    order.sessions.iter().filter_map(Session::local_port).collect()
}

fn things_of(number: usize, order: &OrderTurn<'_, '_>, health: &Health) -> ShardCensus<SessionId> {
    let name = |id| SessionId::new(number, id);
    let sessions = &*order.sessions;
    ShardCensus {
        number,
        calls: sessions.iter().map(|session| name(session.id())).collect(),
        open_invites: health.call_count,
        dialogs: order.sizes.dialogs,
        call_dialogs: sessions.iter().map(Session::dialog_count).sum(),
        timers: health.timer_count,
        deadlines: health.deadline_count,
        leaks: sessions.leaks().map(|leak| (name(leak.session()), leak.to_string())).collect(),
        ports: None,
    }
}
