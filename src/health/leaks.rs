//! Finds what stays behind: compares what there is with what there should be.

use super::census::{Census, ShardCensus};
use super::tasks::Work;
use crate::api::{SessionCoordinator, SessionError, SessionId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What is there both times this far apart stays: the media plane's table is up to a second old, and a session leaves
/// one table after the other.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// SIP keeps a dialog for 64*T1, 32 s, after its end; twice that without the end of any session is rest.
const REST: Duration = Duration::from_secs(64);
/// The shard sweeps its deadlines when they are more than so many, and more than four for each session.
const DEADLINES_KEPT: usize = 1_024;

/// What kind of thing was left behind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LeakKind {
    /// A session that one side knows and the other does not, or that is ending for ever.
    Session,
    /// A dialog or a transfer without a session, or a seat in a bridge.
    Dialog,
    /// A media port that no session has.
    Port,
    /// A media leg that runs although its port was given back.
    MediaLeg,
    /// Deadlines of sessions that are gone.
    Timer,
    /// Code of the handler that runs although it was given up, or a task of a session that is gone.
    Task,
    /// A place among the sessions that no session has.
    Place,
    /// A member of a group that is gone.
    Group,
    /// A dependency on a session that is gone.
    Dependency,
    /// A leg of a sequence that is gone.
    Sequence,
}

/// Something that stays although nothing needs it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Leak {
    /// What kind of thing.
    pub kind: LeakKind,
    /// The session that it belonged to, where that is known.
    pub session_id: Option<SessionId>,
    /// Its name, and what is wrong with it.
    pub what: String,
}

/// What [`SessionCoordinator::find_leaks`] found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeakReport {
    /// All of it; empty in a sound program.
    pub leaks: Vec<Leak>,
    /// How many things were compared.
    pub compared_count: usize,
    /// Nothing has happened for so long that dialogs could be compared as well.
    pub at_rest: bool,
}

impl LeakReport {
    /// Nothing is left behind.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }
}

/// In words, a line each.
impl std::fmt::Display for LeakReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rest = if self.at_rest { ", dialogs included" } else { "" };
        write!(f, "{} leaks among {} things{rest}", self.leaks.len(), self.compared_count)?;
        self.leaks.iter().try_for_each(|leak| write!(f, "\n{:?}: {}", leak.kind, leak.what))
    }
}

impl Leak {
    fn new(kind: LeakKind, session_id: Option<SessionId>, what: impl Into<String>) -> Self {
        Self { kind, session_id, what: what.into() }
    }
}

impl SessionCoordinator {
    /// Compares sessions, dialogs, ports, media legs, timers, tasks, places, groups, dependencies and sequences with one
    /// another, and names what belongs to nothing. It works beside live traffic: what looks strange is looked at again
    /// after two seconds, and only what has stayed is a leak.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(coordinator: &SessionCoordinator) -> Result<(), SessionError> {
    /// let report = coordinator.find_leaks().await?;
    /// assert!(report.is_clean(), "{report}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn find_leaks(&self) -> Result<LeakReport, SessionError> {
        let give_up = self.config.handler_timeout;
        let census = self.census().await?;
        let (compared_count, at_rest) = (census.compared_count(), census.is_at_rest(Instant::now()));
        let mut leaks = census.suspects(Instant::now(), give_up);
        if !leaks.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
            let again = self.census().await?.suspects(Instant::now(), give_up);
            leaks.retain(|leak| again.contains(leak));
        }
        Ok(LeakReport { leaks, compared_count, at_rest })
    }
}

impl Census {
    fn compared_count(&self) -> usize {
        let shard = |shard: &ShardCensus| shard.sessions.len() + shard.dialogs + shard.taken_ports.len();
        let shards: usize = self.shards.iter().map(shard).sum();
        self.known.len() + self.place_count + self.tasks.len() + self.seats.len() + shards
    }

    /// No session has ended for so long that nothing of one can be left.
    fn is_at_rest(&self, now: Instant) -> bool {
        self.last_end.is_none_or(|at| now.saturating_duration_since(at) >= REST)
    }

    /// What would be a leak if it stayed.
    pub(crate) fn suspects(&self, now: Instant, give_up: Duration) -> Vec<Leak> {
        let mut found = Vec::new();
        for shard in &self.shards {
            self.compare_sessions(shard, &mut found);
            shard.compare_media(&mut found);
            shard.compare_tables(self.is_at_rest(now), &mut found);
        }
        self.compare_tasks(now, give_up, &mut found);
        let placed = self.known.values().filter(|has_place| **has_place).count();
        if self.place_count > placed {
            let what = format!("{} places are taken, {placed} by sessions that are there", self.place_count);
            found.push(Leak::new(LeakKind::Place, None, what));
        }
        for (kind, id, place) in self.seats.iter().filter(|(_, id, _)| !self.known.contains_key(id)) {
            found.push(Leak::new(*kind, Some(*id), format!("session {id} is gone and still in {place}")));
        }
        found
    }

    fn compare_sessions(&self, shard: &ShardCensus, found: &mut Vec<Leak>) {
        for (id, what) in &shard.leaks {
            let kind = if shard.sessions.contains(id) { LeakKind::Session } else { LeakKind::Dialog };
            found.push(Leak::new(kind, Some(*id), what.clone()));
        }
        let ours = self.known.keys().filter(|id| id.shard() == shard.number);
        for id in ours.filter(|id| !shard.sessions.contains(id)) {
            let what = format!("the program knows session {id}, its shard does not");
            found.push(Leak::new(LeakKind::Session, Some(*id), what));
        }
        for id in shard.sessions.iter().filter(|id| !self.known.contains_key(id)) {
            let what = format!("a shard has session {id}, the program does not know it");
            found.push(Leak::new(LeakKind::Session, Some(*id), what));
        }
    }

    fn compare_tasks(&self, now: Instant, give_up: Duration, found: &mut Vec<Leak>) {
        let is_handled = |id: SessionId| self.tasks.iter().any(|row| row.session == id && row.work == Work::Handler);
        for row in &self.tasks {
            let (id, age) = (row.session, now.saturating_duration_since(row.since));
            if row.work == Work::Handler && age > give_up + LOOK_AGAIN {
                let what = format!("the handler of session {id} runs on although it was given up; does it block?");
                found.push(Leak::new(LeakKind::Task, Some(id), what));
            } else if row.work == Work::Telling && !self.known.contains_key(&id) && !is_handled(id) {
                found.push(Leak::new(LeakKind::Task, Some(id), format!("a task of session {id}, which is gone")));
            }
        }
    }
}

impl ShardCensus {
    fn compare_media(&self, found: &mut Vec<Leak>) {
        // Without a media plane there is nothing that could be held.
        if self.ports.is_none() {
            return;
        }
        for port in self.taken_ports.difference(&self.used_ports) {
            found.push(Leak::new(LeakKind::Port, None, format!("port {port} is taken, and no session has it")));
        }
        for port in &self.orphan_legs {
            let what = format!("the media plane runs a leg on port {port}, which no session holds");
            found.push(Leak::new(LeakKind::MediaLeg, None, what));
        }
    }

    fn compare_tables(&self, at_rest: bool, found: &mut Vec<Leak>) {
        let dialogs = self.dialogs.saturating_sub(self.session_dialogs + self.health.call_count);
        if at_rest && dialogs > 0 {
            let what = format!("{dialogs} dialogs more than the sessions of shard {} have", self.number);
            found.push(Leak::new(LeakKind::Dialog, None, what));
        }
        let kept = DEADLINES_KEPT + 4 * (self.health.session_count + 1);
        if self.health.deadline_count > kept {
            let what = format!("{} deadlines for {} alarms", self.health.deadline_count, self.health.timer_count);
            found.push(Leak::new(LeakKind::Timer, None, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::id;
    use super::super::tasks::Row;
    use super::*;

    const GIVE_UP: Duration = Duration::from_secs(10);

    /// Two calls that are up, with everything that belongs to them.
    fn sound(now: Instant) -> Census {
        let mut shard = ShardCensus { ports: Some(Default::default()), session_dialogs: 2, ..Default::default() };
        shard.dialogs = 2;
        shard.sessions = [id(1), id(2)].into();
        shard.used_ports = [10_000, 10_002].into();
        shard.taken_ports = shard.used_ports.clone();
        (shard.health.session_count, shard.health.deadline_count) = (2, 900);
        Census {
            known: [(id(1), true), (id(2), true)].into(),
            place_count: 2,
            shards: vec![shard],
            tasks: vec![
                Row { session: id(1), work: Work::Telling, since: now },
                Row { session: id(3), work: Work::Telling, since: now },
                Row { session: id(3), work: Work::Handler, since: now },
            ],
            seats: vec![(LeakKind::Group, id(2), "group 1".into())],
            last_end: Some(now),
        }
    }

    /// The only thing that is wrong after `change`, a while later.
    fn only(later: Duration, change: impl FnOnce(&mut Census)) -> Leak {
        let now = Instant::now();
        let mut census = sound(now);
        change(&mut census);
        let mut leaks = census.suspects(now + later, GIVE_UP);
        assert_eq!(leaks.len(), 1, "{leaks:?}");
        leaks.remove(0)
    }

    #[test]
    fn a_sound_house_has_no_leaks() {
        let now = Instant::now();
        let census = sound(now);
        assert_eq!(census.suspects(now, GIVE_UP), []);
        assert_eq!((census.compared_count(), census.is_at_rest(now)), (2 + 2 + 3 + 1 + 6, false));
        assert!(census.is_at_rest(now + REST));
    }

    #[test]
    fn whatever_stays_is_named() {
        use LeakKind::*;
        let at_once = Duration::ZERO;
        let found = [
            only(at_once, |census| census.known.extend([(id(9), false)])),
            only(at_once, |census| census.shards[0].sessions.extend([id(8)])),
            only(at_once, |census| census.shards[0].leaks.push((id(7), "dialog 5".into()))),
            only(at_once, |census| census.shards[0].taken_ports.extend([10_004])),
            only(at_once, |census| census.shards[0].orphan_legs.push(10_006)),
            only(at_once, |census| census.shards[0].health.deadline_count = 2_000),
            only(at_once, |census| census.place_count += 1),
            only(at_once, |census| census.seats.push((Sequence, id(6), "sequence 4".into()))),
            only(at_once, |census| census.tasks.truncate(2)),
        ];
        let kinds: Vec<_> = found.iter().map(|leak| leak.kind).collect();
        assert_eq!(kinds, [Session, Session, Dialog, Port, MediaLeg, Timer, Place, Sequence, Task]);
        let words = ["0-9", "0-8", "dialog 5", "10004", "10006", "2000", "3 places", "sequence 4", "0-3"];
        for (leak, word) in found.iter().zip(words) {
            assert!(leak.what.contains(word), "{leak:?}");
        }
        // Time tells: code that was given up and runs on, dialogs that SIP should have forgotten.
        let stuck = only(GIVE_UP * 2, |_| {});
        assert_eq!((stuck.kind, stuck.session_id), (Task, Some(id(3))));
        let now = Instant::now();
        let mut census = sound(now);
        census.tasks.clear();
        census.shards[0].dialogs = 5;
        assert_eq!(census.suspects(now, GIVE_UP), []);
        let late = census.suspects(now + REST, GIVE_UP);
        assert!(late.len() == 1 && late[0].what.contains("3 dialogs"), "{late:?}");
        // Without a media plane there are no ports to compare.
        let mut census = sound(now);
        census.shards[0].ports = None;
        census.shards[0].taken_ports.insert(1);
        assert_eq!(census.suspects(now, GIVE_UP), []);
    }
}
