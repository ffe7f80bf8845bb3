//! Sessions that depend on others: when one ends, those that hang on it end as well.

use crate::api::{SessionCoordinator, SessionError, SessionId};
use std::collections::{HashMap, HashSet};

/// Longest way from a session to the one that it depends on in the end.
pub const DEPENDENCY_DEPTH_MAX: usize = 64;

/// Each session depends on one other at most, so there is one way up from each.
#[derive(Default)]
pub(crate) struct Tree {
    parents: HashMap<SessionId, SessionId>,
    children: HashMap<SessionId, HashSet<SessionId>>,
}

impl Tree {
    fn add(&mut self, child: SessionId, parent: SessionId) -> Result<(), SessionError> {
        let mut way = vec![parent];
        way.extend(self.way_up(parent));
        if let Some(index) = way.iter().position(|id| *id == child) {
            let names: Vec<String> = way[..=index].iter().map(SessionId::to_string).collect();
            let reason = format!("{child} would depend on itself: {child} > {}", names.join(" > "));
            return Err(SessionError::config(reason));
        }
        let depth = way.len() + self.depth_below(child);
        if depth > DEPENDENCY_DEPTH_MAX {
            return Err(SessionError::exhausted("sessions that depend on one another in a row", DEPENDENCY_DEPTH_MAX));
        }
        self.remove(child);
        self.parents.insert(child, parent);
        self.children.entry(parent).or_default().insert(child);
        Ok(())
    }

    /// All that it depends on, nearest first.
    fn way_up(&self, id: SessionId) -> impl Iterator<Item = SessionId> {
        std::iter::successors(self.parents.get(&id).copied(), |id| self.parents.get(id).copied())
    }

    /// All that depend on it, parents before their children.
    fn all_below(&self, id: SessionId) -> Vec<SessionId> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(id) = all.get(next).copied() {
            let mut children: Vec<_> = self.children.get(&id).into_iter().flatten().copied().collect();
            children.sort_unstable();
            all.extend(children);
            next += 1;
        }
        all.remove(0);
        all
    }

    fn depth_below(&self, id: SessionId) -> usize {
        let far = |below: &SessionId| self.way_up(*below).take_while(|up| *up != id).count() + 1;
        self.all_below(id).iter().map(far).max().unwrap_or(0)
    }

    fn remove(&mut self, child: SessionId) -> bool {
        let Some(parent) = self.parents.remove(&child) else { return false };
        if let Some(siblings) = self.children.get_mut(&parent) {
            siblings.remove(&child);
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        true
    }

    /// A session is over: gives those that depended on it, which are free of it now.
    pub(crate) fn ended(&mut self, id: SessionId) -> Vec<SessionId> {
        self.remove(id);
        let children: Vec<_> = self.children.remove(&id).into_iter().flatten().collect();
        for child in &children {
            self.parents.remove(child);
        }
        children
    }

    pub(crate) fn count(&self) -> usize {
        self.parents.len()
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (SessionId, SessionId)> {
        self.parents.iter().map(|(child, parent)| (*child, *parent))
    }
}

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
    /// Lets `child` end when `parent` ends. It no longer depends on whatever it depended on before. Refused where that
    /// would make a circle; the error names it.
    pub fn add_dependency(&self, child: &SessionId, parent: &SessionId) -> Result<(), SessionError> {
        let mut ties = self.care.ties();
        self.entry(*child)?;
        self.entry(*parent)?;
        ties.tree.add(*child, *parent)
    }

    /// Lets a session outlive the one that it depends on; `false`: it depends on none.
    pub fn remove_dependency(&self, child: &SessionId) -> bool {
        self.care.ties().tree.remove(*child)
    }

    /// What a session depends on: the nearest first, then what that depends on.
    pub fn dependencies_of(&self, id: &SessionId) -> Vec<SessionId> {
        self.care.ties().tree.way_up(*id).collect()
    }

    /// All sessions that would end with this one, nearest first.
    pub fn dependents_of(&self, id: &SessionId) -> Vec<SessionId> {
        self.care.ties().tree.all_below(*id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::id;

    #[test]
    fn circles_are_refused_and_named() {
        let mut tree = Tree::default();
        tree.add(id(2), id(1)).unwrap();
        tree.add(id(3), id(2)).unwrap();
        tree.add(id(4), id(2)).unwrap();
        for (child, parent, circle) in [(1, 3, &[1, 3, 2, 1][..]), (2, 2, &[2, 2]), (1, 2, &[1, 2, 1])] {
            let error = tree.add(id(child), id(parent)).unwrap_err().to_string();
            let circle: Vec<_> = circle.iter().map(|number| id(*number).to_string()).collect();
            assert!(error.ends_with(&circle.join(" > ")), "{error}");
        }
        assert_eq!(tree.all_below(id(1)), [id(2), id(3), id(4)]);
        assert_eq!(tree.way_up(id(4)).collect::<Vec<_>>(), [id(2), id(1)]);
        // To somewhere else, with all that hangs on it.
        tree.add(id(2), id(9)).unwrap();
        assert_eq!((tree.all_below(id(1)), tree.all_below(id(9)).len(), tree.count()), (vec![], 3, 3));
        tree.add(id(1), id(3)).unwrap();
    }

    #[test]
    fn those_below_come_out_when_one_ends() {
        let mut tree = Tree::default();
        for (child, parent) in [(2, 1), (3, 1), (4, 3)] {
            tree.add(id(child), id(parent)).unwrap();
        }
        let mut freed = tree.ended(id(1));
        freed.sort_unstable();
        assert_eq!(freed, [id(2), id(3)]);
        assert_eq!(tree.ended(id(2)), []);
        assert_eq!(tree.ended(id(3)), [id(4)]);
        assert!(tree.parents.is_empty() && tree.children.is_empty());
    }

    #[test]
    fn the_tree_is_so_deep_and_no_deeper() {
        let mut tree = Tree::default();
        let depth = DEPENDENCY_DEPTH_MAX as u64;
        for number in 1..=depth {
            tree.add(id(number + 1), id(number)).unwrap();
        }
        let further = tree.add(id(depth + 2), id(depth + 1)).unwrap_err();
        assert_eq!(further.limit(), Some(DEPENDENCY_DEPTH_MAX));
        assert!(tree.add(id(1), id(1_000)).is_err(), "from above neither");
        assert!(tree.remove(id(2)) && !tree.remove(id(2)));
        tree.add(id(1), id(1_000)).unwrap();
    }
}
