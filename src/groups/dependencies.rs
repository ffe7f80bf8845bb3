//! Sessions that depend on others: when one ends, those that depend on it end as well.

use crate::api::{SessionCoordinator, SessionError, SessionId};

/// Dependencies between sessions: consultations that end with the call that they are for, supervisors that leave with
/// the agent, announcements to a room. Each session depends on one other at most; when that one ends, it ends too, and
/// so on down the tree.
///
/// ```no_run
/// # use ringplane::api::*;
/// # fn example(coordinator: &SessionCoordinator, call: CallSession, consultation: CallSession) -> Result<(), SessionError> {
/// coordinator.add_dependency(consultation.id(), call.id())?;
/// // The other way round is refused: the tree would have a circle.
/// assert!(coordinator.add_dependency(call.id(), consultation.id()).is_err());
/// # Ok(())
/// # }
/// ```
impl SessionCoordinator {
    /// Lets `child` end when `parent` ends. It no longer depends on what it depended on before. Refused where that
    /// would make a circle; the error names it.
    pub fn add_dependency(&self, child: &SessionId, parent: &SessionId) -> Result<(), SessionError> {
        let mut relations = self.relations();
        self.entry(*child)?;
        self.entry(*parent)?;
        relations.dependencies().add(*child, *parent).map_err(SessionError::of_engine)
    }

    /// Lets a session outlive the one that it depends on; `false`: it depends on none.
    pub fn remove_dependency(&self, child: &SessionId) -> bool {
        self.relations().dependencies().remove(*child)
    }

    /// What a session depends on: the nearest first, then what that depends on.
    pub fn dependencies_of(&self, id: &SessionId) -> Vec<SessionId> {
        self.relations().dependencies().way_up(*id).collect()
    }

    /// All sessions that would end with this one, nearest first.
    pub fn dependents_of(&self, id: &SessionId) -> Vec<SessionId> {
        self.relations().dependencies().all_below(*id)
    }
}
