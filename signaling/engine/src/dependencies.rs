//! Calls that depend on others: when one ends, those that depend on it end as well.

use crate::{Name, Refusal};
use std::collections::{HashMap, HashSet};

/// Longest way from a call to the one that it depends on in the end.
pub const DEPENDENCY_DEPTH_MAX: usize = 64;

/// A forest: each call depends on one other at most, so there is one way up from each.
#[derive(Clone, Debug)]
pub struct Dependencies<C> {
    parents: HashMap<C, C>,
    children: HashMap<C, HashSet<C>>,
}

impl<C> Default for Dependencies<C> {
    fn default() -> Self {
        Self { parents: HashMap::new(), children: HashMap::new() }
    }
}

impl<C: Name> Dependencies<C> {
    /// Lets `child` depend on `parent`, and no longer on what it depended on before.
    pub fn add(&mut self, child: C, parent: C) -> Result<(), Refusal<C>> {
        let mut way = vec![child, parent];
        way.extend(self.way_up(parent));
        if let Some(index) = way.iter().skip(1).position(|call| *call == child) {
            way.truncate(index + 2);
            return Err(Refusal::Circle(way));
        }
        let depth = way.len() - 1 + self.depth_below(child);
        if depth > DEPENDENCY_DEPTH_MAX {
            return Err(Refusal::full("sessions that depend on one another in a row", DEPENDENCY_DEPTH_MAX));
        }
        self.remove(child);
        self.parents.insert(child, parent);
        self.children.entry(parent).or_default().insert(child);
        Ok(())
    }

    /// All that it depends on, nearest first.
    pub fn way_up(&self, call: C) -> impl Iterator<Item = C> {
        std::iter::successors(self.parents.get(&call).copied(), |call| self.parents.get(call).copied())
    }

    /// All that depend on it, parents before their children.
    pub fn all_below(&self, call: C) -> Vec<C> {
        let mut all = vec![call];
        let mut next = 0;
        while let Some(call) = all.get(next).copied() {
            let mut children: Vec<_> = self.children.get(&call).into_iter().flatten().copied().collect();
            children.sort_unstable();
            all.extend(children);
            next += 1;
        }
        all.remove(0);
        all
    }

    fn depth_below(&self, call: C) -> usize {
        let far = |below: &C| self.way_up(*below).take_while(|up| *up != call).count() + 1;
        self.all_below(call).iter().map(far).max().unwrap_or(0)
    }

    /// Lets a call outlive the one that it depends on; `false`: it depends on none.
    pub fn remove(&mut self, child: C) -> bool {
        let Some(parent) = self.parents.remove(&child) else { return false };
        if let Some(siblings) = self.children.get_mut(&parent) {
            siblings.remove(&child);
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        true
    }

    /// A call is over: gives those that depended on it, which are free of it now.
    pub(crate) fn ended(&mut self, call: C) -> Vec<C> {
        self.remove(call);
        let mut children: Vec<_> = self.children.remove(&call).into_iter().flatten().collect();
        children.sort_unstable();
        for child in &children {
            self.parents.remove(child);
        }
        children
    }

    /// How many calls depend on another.
    pub fn count(&self) -> usize {
        self.parents.len()
    }

    /// Each call that depends on another, and that other one.
    pub fn pairs(&self) -> impl Iterator<Item = (C, C)> {
        self.parents.iter().map(|(child, parent)| (*child, *parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_refused_and_named() {
        let mut tree = Dependencies::default();
        tree.add(2, 1).unwrap();
        tree.add(3, 2).unwrap();
        tree.add(4, 2).unwrap();
        for (child, parent, circle) in [(1, 3, &[1, 3, 2, 1][..]), (2, 2, &[2, 2]), (1, 2, &[1, 2, 1])] {
            assert_eq!(tree.add(child, parent), Err(Refusal::Circle(circle.to_vec())));
        }
        assert_eq!(tree.all_below(1), [2, 3, 4]);
        assert_eq!(tree.way_up(4).collect::<Vec<_>>(), [2, 1]);
        // To somewhere else, with all that depend on it.
        tree.add(2, 9).unwrap();
        assert_eq!((tree.all_below(1), tree.all_below(9).len(), tree.count()), (vec![], 3, 3));
        tree.add(1, 3).unwrap();
    }

    #[test]
    fn those_below_come_out_when_one_ends() {
        let mut tree = Dependencies::default();
        for (child, parent) in [(2, 1), (3, 1), (4, 3)] {
            tree.add(child, parent).unwrap();
        }
        assert_eq!(tree.ended(1), [2, 3]);
        assert_eq!(tree.ended(2), []);
        assert_eq!(tree.ended(3), [4]);
        assert!(tree.parents.is_empty() && tree.children.is_empty());
    }

    #[test]
    fn the_tree_is_so_deep_and_no_deeper() {
        let mut tree = Dependencies::default();
        let depth = DEPENDENCY_DEPTH_MAX as u64;
        for number in 1..=depth {
            tree.add(number + 1, number).unwrap();
        }
        let further = tree.add(depth + 2, depth + 1).unwrap_err();
        assert_eq!(further.limit(), Some(DEPENDENCY_DEPTH_MAX));
        assert!(tree.add(1, 1_000).is_err(), "from above neither");
        assert!(tree.remove(2) && !tree.remove(2));
        tree.add(1, 1_000).unwrap();
    }
}
