//! How many calls one user may have, across all shards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the calls of each user, and refuses those above the limit. A clone counts in the same place: give one to every
/// shard, because a user's calls fall on all of them.
#[derive(Clone, Debug)]
pub struct UserLimit {
    limit: usize,
    /// Only users who have a call; the shards' limits of calls bound it.
    counts: Arc<Mutex<HashMap<Box<str>, usize>>>,
}

impl UserLimit {
    /// A limit of calls for each user.
    pub fn new(limit: usize) -> Self {
        Self { limit, counts: Arc::default() }
    }

    /// The limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Users who have a call now.
    pub fn user_count(&self) -> usize {
        self.counts().len()
    }

    /// The user of a URI: without parameters, header fields, scheme and case.
    pub(crate) fn user_of(uri: &str) -> Box<str> {
        let end = uri.find([';', '?']).unwrap_or(uri.len());
        let name = uri[..end].split_once(':').map_or(&uri[..end], |(_, rest)| rest);
        name.to_ascii_lowercase().into()
    }

    /// Counts one more call. `false`: the user is at the limit.
    pub(crate) fn take(&self, user: &str) -> bool {
        let mut counts = self.counts();
        match counts.get_mut(user) {
            Some(count) if *count >= self.limit => return false,
            Some(count) => *count += 1,
            None if self.limit == 0 => return false,
            None => drop(counts.insert(user.into(), 1)),
        }
        true
    }

    /// Counts one call less.
    pub(crate) fn give_back(&self, user: &str) {
        let mut counts = self.counts();
        match counts.get_mut(user) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(counts.remove(user)),
            None => {}
        }
    }

    /// No code panics while the lock is held; a poisoned lock guards numbers that are still valid.
    fn counts(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_counted_in_one_place() {
        let (one, other) = (UserLimit::new(2), UserLimit::new(2));
        let shared = one.clone();
        let user = UserLimit::user_of("sip:Alice@Example.com;transport=tcp?x=y");
        assert_eq!((&*user, UserLimit::user_of("alice@example.com")), ("alice@example.com", user.clone()));
        assert!(one.take(&user) && shared.take(&user) && !one.take(&user) && other.take(&user));
        shared.give_back(&user);
        assert!(one.take(&user) && !shared.take(&user));
        for _ in 0..3 {
            one.give_back(&user);
        }
        assert_eq!((one.user_count(), other.user_count()), (0, 1));
        assert!(!UserLimit::new(0).take("x"));
    }
}
