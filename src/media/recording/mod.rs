//! Recordings, from the file's name to what is in it.

mod options;
mod registry;
mod summary;

pub use options::RecordingOptions;
pub(crate) use registry::Recordings;
pub use summary::{RecordingEnd, RecordingSummary};

use crate::api::{Operation, SessionCoordinator, SessionError, SessionId};
use crate::calls::entry::Entry;
use contract::{RECORDINGS_MAX, RecordingKind};
use registry::{Progress, Recorded};
use signald::OrderTurn;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the media plane may take to begin a recording, or to finish its file.
const MEDIA_LIMIT: Duration = Duration::from_secs(10);

impl SessionCoordinator {
    pub(super) async fn record(&self, id: SessionId, options: RecordingOptions) -> Result<(), SessionError> {
        let entry = self.entry(id)?;
        let options = options.within(self.config.files.recording_folder.as_deref())?;
        let kind = options.shape.format.kind();
        // No file is made for a session that cannot be recorded.
        let check = move |order: OrderTurn<'_, '_>, id| {
            let session = order.sessions.get(id).ok_or(session::SessionError::SessionNotFound(id))?;
            session.check(if kind == RecordingKind::Sound {
                Operation::StartRecording
            } else {
                Operation::StartCapture
            })
        };
        self.operate(id, check).await?;
        let (opening, folder) = (options.clone(), self.config.files.recording_folder.clone());
        let opened = tokio::task::spawn_blocking(move || opening.open(folder.as_deref())).await;
        let file = opened.map_err(|error| SessionError::config(format!("cannot open a file: {error}")))??;
        let begun = self.begin_recording(&entry, &options, file).await;
        if begun.is_err() {
            options.discard();
        }
        begun
    }

    async fn begin_recording(
        &self,
        entry: &Arc<Entry>,
        options: &RecordingOptions,
        file: File,
    ) -> Result<(), SessionError> {
        let (progress, mut news) = watch::channel(Progress::Starting);
        let (id, this, options) = (entry.id, self.this.clone(), options.clone());
        let recorded = entry.clone();
        let start = move |order: OrderTurn<'_, '_>, inner| {
            let (shape, limit) = (options.shape, options.max_length);
            let key = (id, shape.format.kind());
            let number = order.sessions.start_recording(order.turn, inner, file, shape, limit)?;
            // Before its events come.
            if let Some(coordinator) = this.upgrade() {
                let (path, entry, progress) = (options.path.clone(), recorded.clone(), progress.clone());
                coordinator.recordings.insert(key, Arc::new(Recorded { number, path, entry, progress }));
            }
            Ok(number)
        };
        let number = self.operate(id, start).await?;
        let told = news.wait_for(|progress| !matches!(progress, Progress::Starting));
        let told = match tokio::time::timeout(MEDIA_LIMIT, told).await {
            Ok(Ok(progress)) => progress.clone(),
            Ok(Err(_)) | Err(_) => return Err(SessionError::timeout(id, MEDIA_LIMIT)),
        };
        let Progress::Over(end, summary) = told else { return Ok(()) };
        if end.has_begun() {
            return Ok(()); // it was short; `stop_recording` tells about it
        }
        self.recordings.remove(id, number);
        Err(match (end, &summary.end) {
            (contract::RecordingEnd::Full, _) => SessionError::exhausted("recordings at once", RECORDINGS_MAX),
            (_, RecordingEnd::Failed { reason }) => SessionError::media_of(id, reason.clone()),
            _ => SessionError::media_of(id, "the recording could not begin; try again"),
        })
    }

    pub(super) async fn pause_recording(
        &self,
        id: SessionId,
        kind: RecordingKind,
        is_paused: bool,
    ) -> Result<(), SessionError> {
        let pause = move |order: OrderTurn<'_, '_>, id| order.sessions.pause_recording(order.turn, id, kind, is_paused);
        self.operate(id, pause).await
    }

    pub(super) async fn end_recording(
        &self,
        id: SessionId,
        kind: RecordingKind,
    ) -> Result<RecordingSummary, SessionError> {
        let recorded = self.recordings.get((id, kind));
        let is_over = |recorded: &Arc<Recorded>| matches!(*recorded.progress.borrow(), Progress::Over(..));
        if !recorded.as_ref().is_some_and(is_over) {
            let stop = move |order: OrderTurn<'_, '_>, id| order.sessions.stop_recording(order.turn, id, kind);
            match (self.operate(id, stop).await, &recorded) {
                (Ok(_), _) => {}
                // The call, or the recording, is just coming to its end by itself.
                (Err(SessionError::SessionNotFound(_) | SessionError::InvalidState { .. }), Some(_)) => {}
                (Err(error), _) => return Err(error),
            }
        }
        let Some(recorded) = recorded.or_else(|| self.recordings.get((id, kind))) else {
            return Err(SessionError::not_found(id));
        };
        let mut news = recorded.progress.subscribe();
        let over = news.wait_for(|progress| matches!(progress, Progress::Over(..)));
        let over = match tokio::time::timeout(MEDIA_LIMIT, over).await {
            Ok(Ok(progress)) => progress.clone(),
            Ok(Err(_)) | Err(_) => return Err(SessionError::timeout(id, MEDIA_LIMIT)),
        };
        self.recordings.remove(id, recorded.number);
        let Progress::Over(_, summary) = over else { return Err(SessionError::not_found(id)) };
        match &summary.end {
            RecordingEnd::Failed { reason } => {
                Err(SessionError::media_of(id, format!("{reason} (it has {:?})", summary.duration)))
            }
            _ => Ok(RecordingSummary::clone(&summary)),
        }
    }
}
