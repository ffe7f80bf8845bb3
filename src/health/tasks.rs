//! The tasks that work for sessions, by name, so that one that stays can be found.

use crate::api::SessionId;
use engine::{Task, Work};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The tasks that run now.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Ledger>);

#[derive(Default)]
struct Ledger {
    rows: HashMap<u64, Task<SessionId>>,
    begun_count: u64,
}

/// The task runs as long as this lives.
pub(crate) struct Mark {
    tasks: Arc<Tasks>,
    number: u64,
}

impl Tasks {
    /// A task begins.
    pub(crate) fn begin(self: &Arc<Self>, session: SessionId, work: Work) -> Mark {
        let since = clock::now();
        let mut ledger = self.ledger();
        ledger.begun_count += 1;
        let number = ledger.begun_count;
        ledger.rows.insert(number, Task { call: session, work, since });
        drop(ledger);
        Mark { tasks: self.clone(), number }
    }

    pub(crate) fn all(&self) -> Vec<Task<SessionId>> {
        self.ledger().rows.values().copied().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.ledger().rows.len()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut ledger = self.tasks.ledger();
        ledger.rows.remove(&self.number);
        if ledger.rows.len() < ledger.rows.capacity() / 8 {
            ledger.rows.shrink_to(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::id;
    use super::*;

    #[test]
    fn a_task_is_there_as_long_as_its_mark() {
        let tasks = Arc::<Tasks>::default();
        let marks: Vec<Mark> = (0..1_000).map(|number| tasks.begin(id(number), Work::Telling)).collect();
        assert_eq!((tasks.count(), tasks.all().len()), (1_000, 1_000));
        drop(marks);
        assert_eq!(tasks.count(), 0);
        assert!(tasks.ledger().rows.capacity() < 500, "the table has shrunk");
    }
}
