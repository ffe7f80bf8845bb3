//! Groups: sessions that a program treats as one, such as the calls of a team or of a campaign.

use super::numbered;
use crate::api::{SessionControl, SessionCoordinator, SessionError, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most groups of one coordinator.
pub const GROUPS_MAX: usize = 10_000;

numbered!(
    /// Names a group of one [`SessionCoordinator`]; it is never used twice.
    GroupId
);

/// A group and who is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Which.
    pub id: GroupId,
    /// As the program calls it.
    pub name: String,
    /// Its sessions.
    pub sessions: Vec<SessionId>,
    /// How many it may have.
    pub max_sessions: usize,
}

#[derive(Default)]
pub(crate) struct Groups {
    rows: BTreeMap<GroupId, Group>,
    made_count: u64,
}

struct Group {
    name: String,
    sessions: BTreeSet<SessionId>,
    max_sessions: usize,
}

impl Groups {
    fn create(&mut self, name: &str, max_sessions: usize) -> Result<GroupId, SessionError> {
        if self.rows.len() >= GROUPS_MAX {
            return Err(SessionError::exhausted("groups", GROUPS_MAX));
        }
        self.made_count += 1;
        let id = GroupId(self.made_count);
        self.rows.insert(id, Group { name: name.into(), sessions: BTreeSet::new(), max_sessions });
        Ok(id)
    }

    fn add(&mut self, group: GroupId, id: SessionId) -> Result<(), SessionError> {
        let group = self.rows.get_mut(&group).ok_or_else(|| missing(group))?;
        if group.sessions.len() >= group.max_sessions && !group.sessions.contains(&id) {
            return Err(SessionError::exhausted(format!("sessions of the group {}", group.name), group.max_sessions));
        }
        group.sessions.insert(id);
        Ok(())
    }

    fn remove(&mut self, group: GroupId, id: SessionId) -> Result<(), SessionError> {
        let found = self.rows.get_mut(&group).ok_or_else(|| missing(group))?;
        if found.sessions.remove(&id) { Ok(()) } else { Err(SessionError::not_found(id)) }
    }

    /// A session is over.
    pub(crate) fn ended(&mut self, id: SessionId) {
        for group in self.rows.values_mut() {
            group.sessions.remove(&id);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (GroupId, SessionId)> {
        self.rows.iter().flat_map(|(group, row)| row.sessions.iter().map(move |id| (*group, *id)))
    }

    fn info(&self, id: GroupId) -> Option<GroupInfo> {
        let group = self.rows.get(&id)?;
        let sessions = group.sessions.iter().copied().collect();
        Some(GroupInfo { id, name: group.name.clone(), sessions, max_sessions: group.max_sessions })
    }
}

fn missing(group: GroupId) -> SessionError {
    SessionError::config(format!("there is no group {group}; `list_groups` names those that are there"))
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
        self.care.ties().groups.create(name, max_sessions)
    }

    /// Puts a session into a group; it may be there already.
    pub fn add_session_to_group(&self, group: &GroupId, id: &SessionId) -> Result<(), SessionError> {
        let mut ties = self.care.ties();
        // Looked for under the lock: whoever ends later is taken out later.
        self.entry(*id)?;
        ties.groups.add(*group, *id)
    }

    /// Takes a session out of a group; it goes on.
    pub fn remove_session_from_group(&self, group: &GroupId, id: &SessionId) -> Result<(), SessionError> {
        self.care.ties().groups.remove(*group, *id)
    }

    /// A group that is there now.
    pub fn group(&self, group: &GroupId) -> Option<GroupInfo> {
        self.care.ties().groups.info(*group)
    }

    /// All groups that are there now.
    pub fn list_groups(&self) -> Vec<GroupInfo> {
        let ties = self.care.ties();
        ties.groups.rows.keys().filter_map(|id| ties.groups.info(*id)).collect()
    }

    /// The groups that a session is in.
    pub fn groups_of(&self, id: &SessionId) -> Vec<GroupId> {
        let ties = self.care.ties();
        ties.groups.members().filter(|(_, member)| member == id).map(|(group, _)| group).collect()
    }

    /// Takes a group away; its sessions go on.
    pub fn destroy_group(&self, group: &GroupId) -> Result<(), SessionError> {
        self.care.ties().groups.rows.remove(group).map(drop).ok_or_else(|| missing(*group))
    }

    /// Ends all sessions of a group. Gives how many were told to end; others had ended by themselves meanwhile.
    pub async fn terminate_group(self: &Arc<Self>, group: &GroupId) -> Result<usize, SessionError> {
        let members = self.group(group).ok_or_else(|| missing(*group))?.sessions;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::id;

    #[test]
    fn groups_are_bounded_and_left_at_the_end() {
        let mut groups = Groups::default();
        let (small, large) = (groups.create("small", 2).unwrap(), groups.create("large", 100).unwrap());
        for number in [1, 2, 2] {
            groups.add(small, id(number)).unwrap();
            groups.add(large, id(number)).unwrap();
        }
        let full = groups.add(small, id(3)).unwrap_err();
        assert_eq!(full.limit(), Some(2), "{full}");
        groups.ended(id(1));
        groups.add(small, id(3)).unwrap();
        assert_eq!(groups.info(small).unwrap().sessions, [id(2), id(3)]);
        assert_eq!(groups.members().count(), 3);
        groups.remove(large, id(2)).unwrap();
        assert!(groups.remove(large, id(2)).is_err() && groups.add(GroupId(99), id(2)).is_err());
        assert_eq!(groups.info(large).unwrap().sessions, []);
    }

    #[test]
    fn there_are_so_many_groups_and_no_more() {
        let mut groups = Groups::default();
        assert!((0..GROUPS_MAX).all(|_| groups.create("g", 1).is_ok()));
        assert_eq!(groups.create("g", 1).unwrap_err().limit(), Some(GROUPS_MAX));
    }
}
