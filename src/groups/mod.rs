//! Sessions that belong together: groups, dependencies, the legs of one call. [`engine::Relations`] decides; here are the
//! operations of programs, and what is done when a session has to end with another one.

mod dependencies;
mod sequences;

pub use sequences::{SequenceInfo, SequenceLeg};

use crate::api::{BridgeId, SessionControl, SessionCoordinator, SessionError, SessionId};
use engine::{Group, GroupId, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Relations between the sessions of a coordinator.
pub(crate) type Relations = engine::Relations<BridgeId, SessionId>;

/// A group and the sessions that are in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Its name, as [`SessionCoordinator::create_group`] gave it.
    pub id: GroupId,
    /// The name that the program gave it.
    pub name: String,
    /// Its sessions.
    pub sessions: Vec<SessionId>,
    /// How many it may have.
    pub max_sessions: usize,
}

impl GroupInfo {
    fn new(id: GroupId, group: &Group<SessionId>) -> Self {
        let (name, sessions) = (group.name().to_owned(), group.calls().collect());
        Self { id, name, sessions, max_sessions: group.calls_max() }
    }
}

/// Groups of sessions. A session may be in several; when it ends it leaves them all. A group stays until it is destroyed.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// let team = coordinator.create_group("sales", 20)?;
/// coordinator.add_session_to_group(&team, call.id())?;
/// println!("{} calls of sales", coordinator.group(&team).map_or(0, |group| group.sessions.len()));
/// coordinator.terminate_group(&team).await?;
/// # Ok(())
/// # }
/// ```
impl SessionCoordinator {
    /// An empty group for so many sessions at most.
    pub fn create_group(&self, name: &str, max_sessions: usize) -> Result<GroupId, SessionError> {
        self.relations().groups().create(name, max_sessions).map_err(SessionError::of_engine)
    }

    /// Puts a session into a group; it may be there already.
    pub fn add_session_to_group(&self, group: &GroupId, id: &SessionId) -> Result<(), SessionError> {
        let mut relations = self.relations();
        // Looked for under the lock: a session that ends later is taken out later.
        self.entry(*id)?;
        relations.groups().add(*group, *id).map_err(SessionError::of_engine)
    }

    /// Takes a session out of a group; it goes on.
    pub fn remove_session_from_group(&self, group: &GroupId, id: &SessionId) -> Result<(), SessionError> {
        self.relations().groups().remove(*group, *id).map_err(SessionError::of_engine)
    }

    /// A group that is there now.
    pub fn group(&self, group: &GroupId) -> Option<GroupInfo> {
        self.relations().groups().get(*group).map(|row| GroupInfo::new(*group, row))
    }

    /// All groups that are there now.
    pub fn list_groups(&self) -> Vec<GroupInfo> {
        self.relations().groups().iter().map(|(id, row)| GroupInfo::new(id, row)).collect()
    }

    /// The groups that a session is in.
    pub fn groups_of(&self, id: &SessionId) -> Vec<GroupId> {
        self.relations().groups().members().filter(|(_, member)| member == id).map(|(group, _)| group).collect()
    }

    /// Takes a group away; its sessions go on.
    pub fn destroy_group(&self, group: &GroupId) -> Result<(), SessionError> {
        self.relations().groups().destroy(*group).map_err(SessionError::of_engine)
    }

    /// Ends all sessions of a group. Gives how many were told to end; others had ended by themselves meanwhile.
    pub async fn terminate_group(self: &Arc<Self>, group: &GroupId) -> Result<usize, SessionError> {
        let members = self.group(group).ok_or_else(|| SessionError::of_engine(Refusal::NoGroup(*group)))?.sessions;
        let mut count = 0;
        for id in members {
            match SessionControl::terminate_session(self, &id).await {
                Ok(()) => count += 1,
                Err(SessionError::SessionNotFound(_) | SessionError::InvalidState { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}

impl SessionCoordinator {
    /// Ends a session because another one that it belongs to has ended.
    pub(crate) fn end_along(&self, id: SessionId) {
        let this = self.this.clone();
        self.runtime.spawn(async move {
            let Some(this) = this.upgrade() else { return };
            let ended = this.operate(id, |order, id| order.sessions.terminate(order.turn, id)).await;
            // The session may have ended by itself.
            if let Err(error @ (SessionError::Transport { .. } | SessionError::ResourceExhausted)) = ended {
                tracing::warn!(session = %id, "it should have ended with another one: {error}");
            }
        });
    }
}
