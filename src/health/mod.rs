//! Whether calls can be taken now, what sessions take, and whether anything stays behind.

mod census;
mod leaks;
mod resources;
mod tasks;

pub use leaks::{Leak, LeakReport};
pub use resources::{LevelUse, ResourceCounters, SessionResources, SipCounters};
pub(crate) use tasks::Tasks;

use crate::api::{SessionCoordinator, SessionError};
use census::Census;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Above this many percent of a bound there is a word about it.
const NEARLY_FULL_PERCENT: usize = 90;

/// How a coordinator is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum HealthStatus {
    /// Calls are taken.
    Healthy,
    /// Calls are taken, but something should be looked at.
    Degraded,
    /// No call is taken.
    Down,
}

/// How a coordinator is, with the reasons and the numbers. It serialises, for a health page.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>) {
/// let health = coordinator.health().await;
/// if health.status != HealthStatus::Healthy {
///     println!("{}", health.problems.join("; "));
/// }
/// println!("{}", serde_json::to_string(&health).unwrap_or_default());
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HealthReport {
    /// In one word.
    pub status: HealthStatus,
    /// What is wrong, and what helps; empty when healthy.
    pub problems: Vec<String>,
    /// Where SIP is listened for; `None` while it does not run.
    pub listening: Option<SocketAddr>,
    /// How long it has run.
    pub uptime: Duration,
    /// Events that slow subscribers lost.
    pub lost_events: u64,
    /// What sessions take.
    pub resources: ResourceCounters,
}

impl SessionCoordinator {
    /// Looks at everything once. It never fails: what cannot be asked is a problem of its own.
    pub async fn health(&self) -> HealthReport {
        let census = self.census().await;
        let mut report = HealthReport {
            status: HealthStatus::Healthy,
            problems: Vec::new(),
            listening: self.local_addr(),
            uptime: self.uptime(),
            lost_events: self.events.lost_count() + self.bridge_events.lost_count(),
            resources: census.as_ref().map_or_else(|_| ResourceCounters::default(), |census| self.counters(census)),
        };
        report.judge(census.as_ref(), self.config.handler_timeout);
        report
    }
}

impl HealthReport {
    fn judge(&mut self, census: Result<&Census, &SessionError>, give_up: Duration) {
        if self.listening.is_none() {
            return self.down("it does not listen: start it");
        }
        let census = match census {
            Ok(census) => census,
            Err(error) => return self.down(&format!("signaling does not answer: {error}")),
        };
        if census.shards.iter().any(|shard| shard.ports.is_none()) {
            return self.down("no media plane: new calls get 503 until it is back");
        }
        let of = &self.resources;
        let (sessions, max, free) = (of.sessions, of.max_sessions, of.ports_free);
        if is_nearly(sessions, max) {
            self.warn(format!("{sessions} of {max} sessions: calls will be refused; allow more by with_max_sessions"));
        }
        if free == 0 || is_nearly(self.resources.ports_in_use, self.resources.ports_in_use + free) {
            self.warn(format!("{free} media ports are free: give more by with_media_ports"));
        }
        if self.lost_events > 0 {
            self.warn(format!("slow subscribers have lost {} events: let them only store events", self.lost_events));
        }
        // The first look of the leak detector, less what a call may look like while it moves on.
        let leaks: usize = census.things.shards.iter().map(|shard| shard.leaks.len()).sum();
        if leaks > 0 {
            self.warn(format!("{leaks} entries of tables belong to no session: find_leaks names them"));
        }
        let stuck = census.things.handlers_older_than(clock::now(), 2 * give_up).count();
        if stuck > 0 {
            self.warn(format!("{stuck} handlers were given up and still run: they block a thread each"));
        }
    }

    fn down(&mut self, why: &str) {
        self.status = HealthStatus::Down;
        self.problems.push(why.into());
    }

    fn warn(&mut self, why: String) {
        self.status = HealthStatus::Degraded;
        self.problems.push(why);
    }
}

fn is_nearly(count: usize, of: usize) -> bool {
    of > 0 && count * 100 >= of * NEARLY_FULL_PERCENT
}

#[cfg(test)]
fn id(number: u64) -> crate::api::SessionId {
    crate::api::SessionId::new(0, session::SessionId::from_u64(number))
}

#[cfg(test)]
mod tests {
    use super::census::{PortCounts, ShardCounts};
    use super::*;

    fn report() -> HealthReport {
        HealthReport {
            status: HealthStatus::Healthy,
            problems: Vec::new(),
            listening: Some(([127, 0, 0, 1], 5060).into()),
            uptime: Duration::ZERO,
            lost_events: 0,
            resources: ResourceCounters { max_sessions: 100, ports_free: 50, ..Default::default() },
        }
    }

    fn judged(change: impl FnOnce(&mut HealthReport, &mut Census)) -> HealthReport {
        let mut report = report();
        let shard = ShardCounts { ports: Some(PortCounts::default()), ..Default::default() };
        let mut census = Census { shards: vec![shard], ..Census::default() };
        census.things.shards.push(Default::default());
        change(&mut report, &mut census);
        report.judge(Ok(&census), Duration::from_secs(10));
        report
    }

    #[test]
    fn each_problem_is_named_with_what_helps() {
        assert_eq!(judged(|_, _| {}).status, HealthStatus::Healthy);
        for (found, word) in [
            (judged(|report, _| report.resources.sessions = 90), "with_max_sessions"),
            (judged(|report, _| report.resources.ports_free = 0), "with_media_ports"),
            (judged(|report, _| report.lost_events = 1), "subscribers"),
            (
                judged(|_, census| {
                    census.things.shards[0].leaks.push((super::id(1), "x".into()));
                }),
                "find_leaks",
            ),
        ] {
            assert_eq!((found.status, found.problems.len()), (HealthStatus::Degraded, 1), "{found:?}");
            assert!(found.problems[0].contains(word), "{found:?}");
        }
        for (found, word) in [
            (judged(|report, _| report.listening = None), "start"),
            (judged(|_, census| census.shards[0].ports = None), "media plane"),
        ] {
            assert_eq!(found.status, HealthStatus::Down);
            assert!(found.problems[0].contains(word), "{found:?}");
        }
        let mut mute = report();
        mute.judge(Err(&SessionError::transport("no")), Duration::ZERO);
        assert_eq!(mute.status, HealthStatus::Down);
        assert!(serde_json::to_string(&mute).unwrap().contains("\"Down\""));
    }
}
