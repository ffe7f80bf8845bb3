//! What there is, as each of them says: the program, its shards, the media plane.

use super::LeakKind;
use super::tasks::Row;
use crate::api::{SessionCoordinator, SessionError, SessionId};
use session::{Health, Session};
use signald::OrderTurn;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// All of it, at about one moment: a comparison has to look twice.
#[derive(Default)]
pub(crate) struct Census {
    /// Sessions that the program knows, and whether they have a place.
    pub(crate) known: HashMap<SessionId, bool>,
    /// Places that are taken.
    pub(crate) place_count: usize,
    pub(crate) shards: Vec<ShardCensus>,
    pub(crate) tasks: Vec<Row>,
    /// Seats of sessions in groups, in the dependency tree and in sequences, each with words for it.
    pub(crate) seats: Vec<(LeakKind, SessionId, String)>,
    pub(crate) last_end: Option<Instant>,
}

/// What one shard says, and what the media plane has for it.
#[derive(Default)]
pub(crate) struct ShardCensus {
    pub(crate) number: usize,
    pub(crate) health: Health,
    /// Dialogs that SIP has.
    pub(crate) dialogs: usize,
    pub(crate) transactions: usize,
    pub(crate) sessions: HashSet<SessionId>,
    /// Dialogs that its sessions have.
    pub(crate) session_dialogs: usize,
    /// What it finds by itself.
    pub(crate) leaks: Vec<(SessionId, String)>,
    /// Ports of its sessions.
    pub(crate) used_ports: HashSet<u16>,
    /// Ports that it has taken from the pool.
    pub(crate) taken_ports: HashSet<u16>,
    /// Legs that run although their port was given back.
    pub(crate) orphan_legs: Vec<u16>,
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
        let mut census = Census { last_end: self.totals.last_end(), ..Census::default() };
        for number in 0..self.shard_count() {
            let ask = move |order: OrderTurn<'_, '_>| {
                let sizes = order.sizes;
                let transactions = sizes.server_transactions + sizes.client_transactions;
                let shard = ShardCensus { dialogs: sizes.dialogs, transactions, ..ShardCensus::of(number, &order) };
                (shard, order.region.zip(order.client))
            };
            let (mut shard, media) = self.order(number, ask).await?;
            // Thousands of ports, and not on the shard's time: a call that moves on meanwhile looks strange only once.
            if let Some((region, client)) = media {
                let pool = region.ports();
                let mut counts = PortCounts::default();
                for worker in region.plan().workers() {
                    let levels = pool.levels(worker);
                    counts.free += levels.free;
                    counts.in_use += levels.owned;
                    counts.unavailable += levels.unavailable;
                    let held = |port: &u16| pool.holder(*port).is_some_and(|(holder, _)| holder == client);
                    shard.taken_ports.extend(pool.ports_of(worker).filter(held));
                }
                shard.ports = Some(counts);
                let runs = |state| matches!(state, contract::LegState::Open | contract::LegState::TimedOut);
                let table = region.legs();
                let legs = table.rows().filter(|row| runs(row.state())).map(|row| row.leg);
                let is_held = |leg| pool.holder(leg_port(leg)).is_some_and(|(_, holder)| holder == leg);
                shard.orphan_legs = legs.filter(|leg| !is_held(*leg)).map(leg_port).collect();
            }
            census.shards.push(shard);
        }
        for entry in self.registry.all() {
            census.known.insert(entry.id, entry.facts().place.is_some());
        }
        census.place_count = self.admission.counts().admitted_count();
        census.tasks = self.tasks.all();
        let mut relations = self.relations();
        for (group, id) in relations.groups().members() {
            census.seats.push((LeakKind::Group, id, format!("group {group}")));
        }
        for (child, parent) in relations.dependencies().pairs() {
            census.seats.push((LeakKind::Dependency, parent, format!("the dependency of {child} on it")));
        }
        for (sequence, id) in relations.sequences().legs() {
            census.seats.push((LeakKind::Sequence, id, format!("sequence {sequence}")));
        }
        Ok(census)
    }
}

fn leg_port(leg: contract::LegRef) -> u16 {
    leg.port
}

impl ShardCensus {
    fn of(number: usize, order: &OrderTurn<'_, '_>) -> Self {
        let name = |id| SessionId::new(number, id);
        let sessions = &*order.sessions;
        Self {
            number,
            health: sessions.health(order.turn.now),
            sessions: sessions.iter().map(|session| name(session.id())).collect(),
            session_dialogs: sessions.iter().map(Session::dialog_count).sum(),
            leaks: sessions.leaks().map(|leak| (name(leak.session()), leak.to_string())).collect(),
            used_ports: sessions.iter().filter_map(|session| Some(session.leg()?.port)).collect(),
            ..Self::default()
        }
    }
}
