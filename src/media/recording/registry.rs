//! The recordings that run, and those whose summary has not been asked for yet.

use super::RecordingSummary;
use crate::api::SessionId;
use crate::calls::entry::Entry;
use contract::{RecordingKind, RecordingOutcome};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Recordings that have ended and whose summary has not been asked for yet.
const REMEMBERED_MAX: usize = 1_024;

/// The last recording of each session and kind: those that run, and those whose summary has not been asked for.
#[derive(Default)]
pub(crate) struct Recordings(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    by_session: HashMap<Key, Arc<Recorded>>,
    /// Recordings that have ended, oldest first.
    ended: VecDeque<(SessionId, u64)>,
}

/// A session has one recording of each kind.
type Key = (SessionId, RecordingKind);

/// One recording.
pub(crate) struct Recorded {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// The call, which may be over by the time that the file is finished.
    pub(crate) entry: Arc<Entry>,
    pub(super) progress: watch::Sender<Progress>,
}

#[derive(Clone)]
pub(super) enum Progress {
    Starting,
    Running,
    /// The media plane's word, and what it means.
    Over(contract::RecordingEnd, Arc<RecordingSummary>),
}

impl Recordings {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<Recorded>> {
        self.rows().by_session.get(&key).cloned()
    }

    pub(super) fn insert(&self, key: Key, recorded: Arc<Recorded>) {
        self.rows().by_session.insert(key, recorded);
    }

    pub(super) fn remove(&self, id: SessionId, number: u64) {
        let mut rows = self.rows();
        for key in RecordingKind::ALL.map(|kind| (id, kind)) {
            if rows.by_session.get(&key).is_some_and(|recorded| recorded.number == number) {
                rows.by_session.remove(&key);
            }
        }
        rows.ended.retain(|ended| *ended != (id, number));
    }

    fn numbered(&self, id: SessionId, number: u64) -> Option<Arc<Recorded>> {
        let mut recorded = RecordingKind::ALL.into_iter().filter_map(|kind| self.get((id, kind)));
        recorded.find(|recorded| recorded.number == number)
    }

    /// The media plane has begun; gives the file.
    pub(crate) fn started(&self, id: SessionId, number: u64) -> Option<PathBuf> {
        let recorded = self.numbered(id, number)?;
        recorded.progress.send_replace(Progress::Running);
        Some(recorded.path.clone())
    }

    /// A recording is over; gives what there is to tell, unless it never began.
    pub(crate) fn ended(
        &self,
        id: SessionId,
        number: u64,
        outcome: &RecordingOutcome,
    ) -> Option<(Arc<Recorded>, Arc<RecordingSummary>)> {
        let recorded = self.numbered(id, number)?;
        let summary = Arc::new(RecordingSummary::new(&recorded.path, outcome));
        recorded.progress.send_replace(Progress::Over(outcome.end(), summary.clone()));
        let mut rows = self.rows();
        rows.ended.push_back((id, number));
        let forgotten = if rows.ended.len() > REMEMBERED_MAX { rows.ended.pop_front() } else { None };
        drop(rows);
        if let Some((id, number)) = forgotten {
            self.remove(id, number);
        }
        outcome.end().has_begun().then_some((recorded, summary))
    }
}
