//! The recordings that run, with what is needed to go on in their files.

use super::too_many;
use contract::{RECORDINGS_MAX, RecordingKind, RecordingLayout};
use session::SessionId;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A recording of a leg.
pub(super) struct Running {
    pub(super) leg: SessionId,
    pub(super) kind: RecordingKind,
    pub(super) layout: RecordingLayout,
    pub(super) path: PathBuf,
    /// To go on in it.
    pub(super) file: File,
}

/// A shard, and the number of a recording in it.
pub(super) type RecordingName = (usize, u64);

#[derive(Default)]
pub(crate) struct RunningRecordings {
    /// Those that run or are about to begin.
    claimed_count: AtomicUsize,
    /// Locked for single look-ups only, never while a file is opened.
    by_name: Mutex<HashMap<RecordingName, Running>>,
}

impl RunningRecordings {
    fn rows(&self) -> MutexGuard<'_, HashMap<RecordingName, Running>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for so many more; the media plane has no more than [`RECORDINGS_MAX`].
    pub(super) fn claim(&self, count: usize) -> Result<(), String> {
        let claim = |claimed: usize| (claimed + count <= RECORDINGS_MAX).then_some(claimed + count);
        self.claimed_count.fetch_update(Relaxed, Relaxed, claim).map(drop).map_err(|_| too_many())
    }

    pub(super) fn release(&self, count: usize) {
        self.claimed_count.fetch_sub(count, Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.claimed_count.load(Relaxed) >= RECORDINGS_MAX
    }

    pub(super) fn insert(&self, name: RecordingName, running: Running) {
        self.rows().insert(name, running);
    }

    /// A recording is over.
    pub(super) fn remove(&self, name: RecordingName) -> Option<Running> {
        let running = self.rows().remove(&name)?;
        self.release(1);
        Some(running)
    }

    /// Whether another recording goes into the file.
    pub(super) fn uses(&self, path: &Path) -> bool {
        self.rows().values().any(|running| running.path == path)
    }

    /// The file into which the packets of a leg go.
    pub(super) fn capture_of(&self, shard: usize, leg: SessionId) -> Option<(PathBuf, File)> {
        let rows = self.rows();
        let is_its = |running: &Running| running.leg == leg && running.kind == RecordingKind::Packets;
        let (_, running) = rows.iter().find(|((of, _), running)| *of == shard && is_its(running))?;
        Some((running.path.clone(), running.file.try_clone().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_claimed_than_the_media_plane_has() {
        let running = RunningRecordings::default();
        assert_eq!(running.claim(RECORDINGS_MAX - 1), Ok(()));
        assert!(running.claim(2).is_err() && !running.is_full());
        assert_eq!(running.claim(1), Ok(()));
        assert_eq!((running.claim(1), running.is_full()), (Err(too_many()), true));
        let (leg, kind, layout) = (SessionId::from_u64(1), RecordingKind::Sound, RecordingLayout::Stereo);
        let (path, file) = (PathBuf::from("a.wav"), tempfile::tempfile().unwrap());
        running.insert((0, 7), Running { leg, kind, layout, path, file });
        assert!(running.remove((1, 7)).is_none() && running.uses(Path::new("a.wav")));
        assert!(running.remove((0, 7)).is_some() && !running.uses(Path::new("a.wav")));
        assert_eq!(running.claim(1), Ok(()));
    }
}
