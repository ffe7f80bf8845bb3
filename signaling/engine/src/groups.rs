//! Groups: calls that are treated as one, such as those of a team or of a campaign.

use crate::{Name, Refusal, numbered};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most groups of one table.
pub const GROUPS_MAX: usize = 10_000;

numbered!(
    /// Names a group of one coordinator; it is never used twice.
    GroupId
);

/// A group and the calls that are in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group<C> {
    name: String,
    calls: BTreeSet<C>,
    calls_max: usize,
}

impl<C: Name> Group<C> {
    /// As its user calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The calls in it, in the order of their names.
    pub fn calls(&self) -> impl Iterator<Item = C> {
        self.calls.iter().copied()
    }

    /// How many it may have.
    pub fn calls_max(&self) -> usize {
        self.calls_max
    }
}

/// All groups. A call may be in several; when it ends it leaves them all. A group stays until it is destroyed.
#[derive(Clone, Debug)]
pub struct Groups<C> {
    rows: BTreeMap<GroupId, Group<C>>,
    made_count: u64,
}

impl<C> Default for Groups<C> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), made_count: 0 }
    }
}

impl<C: Name> Groups<C> {
    /// An empty group for so many calls at most.
    pub fn create(&mut self, name: &str, calls_max: usize) -> Result<GroupId, Refusal<C>> {
        if self.rows.len() >= GROUPS_MAX {
            return Err(Refusal::full("groups", GROUPS_MAX));
        }
        self.made_count += 1;
        let id = GroupId(self.made_count);
        self.rows.insert(id, Group { name: name.into(), calls: BTreeSet::new(), calls_max });
        Ok(id)
    }

    /// Puts a call into a group; it may be there already.
    pub fn add(&mut self, group: GroupId, call: C) -> Result<(), Refusal<C>> {
        let group = self.rows.get_mut(&group).ok_or(Refusal::NoGroup(group))?;
        if group.calls.len() >= group.calls_max && !group.calls.contains(&call) {
            return Err(Refusal::full(format!("sessions of the group {}", group.name), group.calls_max));
        }
        group.calls.insert(call);
        Ok(())
    }

    /// Takes a call out of a group.
    pub fn remove(&mut self, group: GroupId, call: C) -> Result<(), Refusal<C>> {
        let found = self.rows.get_mut(&group).ok_or(Refusal::NoGroup(group))?;
        if found.calls.remove(&call) { Ok(()) } else { Err(Refusal::NotInGroup(call)) }
    }

    /// Takes a group away; its calls go on.
    pub fn destroy(&mut self, group: GroupId) -> Result<(), Refusal<C>> {
        self.rows.remove(&group).map(drop).ok_or(Refusal::NoGroup(group))
    }

    /// A call is over.
    pub(crate) fn ended(&mut self, call: C) {
        for group in self.rows.values_mut() {
            group.calls.remove(&call);
        }
    }

    /// One group.
    pub fn get(&self, group: GroupId) -> Option<&Group<C>> {
        self.rows.get(&group)
    }

    /// All groups, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = (GroupId, &Group<C>)> {
        self.rows.iter().map(|(id, group)| (*id, group))
    }

    /// Each call with each group that it is in.
    pub fn members(&self) -> impl Iterator<Item = (GroupId, C)> {
        self.rows.iter().flat_map(|(id, group)| group.calls().map(move |call| (*id, call)))
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_bounded_and_left_at_the_end() {
        let mut groups = Groups::default();
        let (small, large) = (groups.create("small", 2).unwrap(), groups.create("large", 100).unwrap());
        for call in [1, 2, 2] {
            groups.add(small, call).unwrap();
            groups.add(large, call).unwrap();
        }
        let full = groups.add(small, 3).unwrap_err();
        assert_eq!(full.limit(), Some(2), "{full}");
        groups.ended(1);
        groups.add(small, 3).unwrap();
        let calls = |groups: &Groups<u32>, group| groups.get(group).unwrap().calls().collect::<Vec<_>>();
        assert_eq!(calls(&groups, small), [2, 3]);
        assert_eq!(groups.members().count(), 3);
        groups.remove(large, 2).unwrap();
        assert_eq!(groups.remove(large, 2), Err(Refusal::NotInGroup(2)));
        assert_eq!(groups.add(GroupId(99), 2), Err(Refusal::NoGroup(GroupId(99))));
        assert_eq!(calls(&groups, large), []);
        groups.destroy(large).unwrap();
        assert_eq!((groups.destroy(large), groups.count()), (Err(Refusal::NoGroup(large)), 1));
        assert_ne!(groups.create("large", 1).unwrap(), large, "a name is never used twice");
    }

    #[test]
    fn there_are_so_many_groups_and_no_more() {
        let mut groups = Groups::<u32>::default();
        assert!((0..GROUPS_MAX).all(|_| groups.create("g", 1).is_ok()));
        assert_eq!(groups.create("g", 1).unwrap_err().limit(), Some(GROUPS_MAX));
    }
}
