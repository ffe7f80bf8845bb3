//! Care for sessions as a whole: who comes first, who belongs together, what all of it takes, and whether anything stays
//! behind.

mod census;
mod groups;
mod health;
mod leaks;
mod priority;
mod resources;
mod sequence;
mod tasks;
mod tree;

pub use groups::{GROUPS_MAX, GroupId, GroupInfo};
pub use health::{HealthReport, HealthStatus};
pub use leaks::{Leak, LeakKind, LeakReport};
pub(crate) use priority::{Admission, Place, full};
pub use priority::{Priority, PriorityShares};
pub use resources::{LevelUse, ResourceCounters, SessionResources};
pub use sequence::{LegRole, SEQUENCE_LEGS_MAX, SequenceId, SequenceInfo, SequenceLeg, SequenceRule};
pub(crate) use tasks::{Tasks, Work};
pub use tree::DEPENDENCY_DEPTH_MAX;

use crate::api::{SessionConfig, SessionCoordinator, SessionError, SessionId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a coordinator keeps for all of this.
pub(crate) struct Care {
    pub(crate) admission: Arc<Admission>,
    pub(crate) tasks: Arc<Tasks>,
    ties: Mutex<Ties>,
    last_end: Mutex<Option<Instant>>,
}

/// Who belongs together.
#[derive(Default)]
pub(crate) struct Ties {
    pub(crate) groups: groups::Groups,
    pub(crate) tree: tree::Tree,
    pub(crate) sequences: sequence::Sequences,
    pub(crate) pairs: crate::bridge::ends_together::Pairs,
}

impl Care {
    pub(crate) fn new(config: &SessionConfig) -> Self {
        Self {
            admission: Admission::new(config.max_sessions, config.priority_shares),
            tasks: Arc::default(),
            ties: Mutex::default(),
            last_end: Mutex::default(),
        }
    }

    pub(crate) fn ties(&self) -> MutexGuard<'_, Ties> {
        self.ties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session is over, and no longer known: gives those that end with it.
    pub(crate) fn ended(&self, id: SessionId, reason: &str, now: Instant) -> Vec<SessionId> {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let mut ties = self.ties();
        ties.groups.ended(id);
        let mut along = ties.tree.ended(id);
        along.extend(ties.sequences.ended(id, reason));
        along
    }

    /// When the last session ended.
    fn last_end(&self) -> Option<Instant> {
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionCoordinator {
    /// Ends a session because another one that it depends on has.
    pub(crate) fn end_along(&self, id: SessionId) {
        let this = self.this.clone();
        self.runtime.spawn(async move {
            let Some(this) = this.upgrade() else { return };
            let ended = this.operate(id, |order, id| order.sessions.terminate(order.turn, id)).await;
            // It may have ended by itself.
            if let Err(error @ (SessionError::Transport { .. } | SessionError::ResourceExhausted)) = ended {
                tracing::warn!(session = %id, "it should have ended with another one: {error}");
            }
        });
    }
}

/// A number that names something of ours.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub struct $name(u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}
use numbered;

#[cfg(test)]
pub(crate) fn id(number: u64) -> SessionId {
    SessionId::new(0, session::SessionId::from_u64(number))
}
