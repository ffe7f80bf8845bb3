//! Finds what stays behind. [`engine::LeakSearch`] compares; here is what it compares, and the waiting between its two looks.

use crate::api::{SessionCoordinator, SessionError, SessionId};
use engine::{LeakKind, LeakSearch};
use serde::{Deserialize, Serialize};

/// Something that stays although nothing needs it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Leak {
    /// What kind of thing.
    pub kind: LeakKind,
    /// The session that it belonged to, where that is known.
    pub session_id: Option<SessionId>,
    /// Its name, and what is wrong with it.
    pub what: String,
}

/// What [`SessionCoordinator::find_leaks`] found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeakReport {
    /// Everything that was found; empty in a sound program.
    pub leaks: Vec<Leak>,
    /// How many things were compared.
    pub compared_count: usize,
    /// Nothing has happened for so long that dialogs could be compared as well.
    pub at_rest: bool,
}

impl LeakReport {
    /// Nothing is left behind.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }

    fn new(search: &LeakSearch<SessionId>) -> Self {
        let leak =
            |leak: &engine::Leak<SessionId>| Leak { kind: leak.kind, session_id: leak.call, what: leak.what.clone() };
        let leaks = search.leaks().iter().map(leak).collect();
        Self { leaks, compared_count: search.compared_count(), at_rest: search.at_rest() }
    }
}

/// In words, a line each.
impl std::fmt::Display for LeakReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rest = if self.at_rest { ", dialogs included" } else { "" };
        write!(f, "{} leaks among {} things{rest}", self.leaks.len(), self.compared_count)?;
        self.leaks.iter().try_for_each(|leak| write!(f, "\n{:?}: {}", leak.kind, leak.what))
    }
}

impl SessionCoordinator {
    /// Compares sessions, dialogs, ports, media legs, timers, tasks, places, groups, dependencies and sequences with one
    /// another, and names what belongs to nothing. It works beside live traffic: what looks strange is looked at again
    /// after two seconds, and only what has stayed is a leak.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(coordinator: &SessionCoordinator) -> Result<(), SessionError> {
    /// let report = coordinator.find_leaks().await?;
    /// assert!(report.is_clean(), "{report}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn find_leaks(&self) -> Result<LeakReport, SessionError> {
        let census = self.census().await?.things;
        let now = clock::now();
        let mut search = LeakSearch::new(now, &census, self.config.handler_timeout);
        if let Some(deadline) = search.deadline() {
            tokio::time::sleep(deadline.since(now)).await;
            let census = self.census().await?.things;
            search.look_again(clock::now(), &census);
        }
        Ok(LeakReport::new(&search))
    }
}
