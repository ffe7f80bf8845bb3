//! The sessions of a coordinator, by name.

use crate::api::SessionId;
use crate::calls::entry::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The sessions of a coordinator.
#[derive(Default)]
pub(crate) struct Registry(RwLock<HashMap<SessionId, Arc<Entry>>>, Mutex<VecDeque<Arc<Entry>>>);

/// Ended outgoing calls that are remembered, for a program that has not asked yet how they went.
const REMEMBERED_MAX: usize = 1_024;

impl Registry {
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(entry.id, entry);
    }

    pub(crate) fn remove(&self, id: SessionId) -> Option<Arc<Entry>> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let removed = entries.remove(&id);
        if let Some(entry) = removed.as_ref().filter(|entry| !entry.is_incoming) {
            let mut ended = self.ended();
            if ended.len() >= REMEMBERED_MAX {
                ended.pop_front();
            }
            ended.push_back(entry.clone());
        }
        // Back to the idle level: a table that once was full does not stay so.
        if entries.len() < entries.capacity() / 8 {
            entries.shrink_to(64);
        }
        removed
    }

    /// A session that is there, or an outgoing call that has ended lately.
    pub(crate) fn known(&self, id: SessionId) -> Option<Arc<Entry>> {
        self.get(id).or_else(|| self.ended().iter().rev().find(|entry| entry.id == id).cloned())
    }

    fn ended(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
