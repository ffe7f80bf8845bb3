//! Recordings, from the file's name to what is in it.

use crate::api::{Operation, SessionCoordinator, SessionError, SessionId};
use contract::{RECORDINGS_MAX, RecordingLayout, RecordingOutcome};
use serde::{Deserialize, Serialize};
use signald::OrderTurn;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a recording may get unless [`RecordingOptions::max_length`] says otherwise.
const LENGTH_DEFAULT: Duration = Duration::from_secs(4 * 3_600);
/// How long the media plane may take to begin a recording, or to finish its file.
const MEDIA_LIMIT: Duration = Duration::from_secs(10);
/// Recordings that have ended and that nobody has asked about yet.
const REMEMBERED_MAX: usize = 1_024;

/// What a recording is to be. A path alone makes it stereo.
///
/// ```
/// use ringplane::api::RecordingOptions;
/// use std::time::Duration;
///
/// let options = RecordingOptions::mono("/tmp/call.wav").max_length(Duration::from_secs(600)).overwrite();
/// assert_ne!(options, RecordingOptions::from("/tmp/call.wav"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingOptions {
    path: PathBuf,
    layout: RecordingLayout,
    max_length: Duration,
    overwrite: bool,
}

impl RecordingOptions {
    /// Left what the session's peer says, right what it hears.
    pub fn stereo(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), layout: RecordingLayout::Stereo, max_length: LENGTH_DEFAULT, overwrite: false }
    }

    /// Both added up, in half the bytes: 16 KB a second.
    pub fn mono(path: impl Into<PathBuf>) -> Self {
        Self { layout: RecordingLayout::Mono, ..Self::stereo(path) }
    }

    /// It ends by itself after so long: 4 hours unless set, 1 second to 24 hours. The call goes on.
    pub fn max_length(self, max_length: Duration) -> Self {
        Self { max_length, ..self }
    }

    /// A file that is there already is replaced. Without this it is left alone, and nothing is recorded.
    pub fn overwrite(self) -> Self {
        Self { overwrite: true, ..self }
    }

    /// Opens the file, which may take as long as the disk likes.
    fn open(&self) -> Result<File, SessionError> {
        let mut how = OpenOptions::new();
        how.write(true);
        let opened = if self.overwrite && self.path.exists() {
            // Emptied when the recording begins. Opening a pipe would wait for a reader.
            match std::fs::metadata(&self.path) {
                Ok(facts) if facts.is_file() => how.open(&self.path),
                Ok(_) => Err(io::Error::other("it is not a file")),
                Err(error) => Err(error),
            }
        } else {
            how.create_new(true).open(&self.path)
        };
        opened.map_err(|error| {
            let (path, fix) = (self.path.display(), fix(error.kind()));
            SessionError::config(format!("cannot record into {path}: {error}; {fix}"))
        })
    }

    /// Nothing was recorded into a file that we made.
    fn discard(&self) {
        if !self.overwrite {
            // Nobody is served by an error here.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn fix(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "create the directory first",
        ErrorKind::AlreadyExists => "take another name, or allow `RecordingOptions::overwrite`",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or take another place"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, or take another disk",
        _ => "take another place",
    }
}

impl From<&str> for RecordingOptions {
    fn from(path: &str) -> Self {
        Self::stereo(path)
    }
}

impl From<String> for RecordingOptions {
    fn from(path: String) -> Self {
        Self::stereo(path)
    }
}

impl From<&Path> for RecordingOptions {
    fn from(path: &Path) -> Self {
        Self::stereo(path)
    }
}

impl From<&PathBuf> for RecordingOptions {
    fn from(path: &PathBuf) -> Self {
        Self::stereo(path)
    }
}

impl From<PathBuf> for RecordingOptions {
    fn from(path: PathBuf) -> Self {
        Self::stereo(path)
    }
}

/// Why a recording is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RecordingEnd {
    /// By [`crate::api::MediaControl::stop_recording`].
    Stopped,
    /// The call is over.
    CallEnded,
    /// It is as long as it may be.
    LimitReached,
    /// The disk, or the media plane, broke it off: the file has what came before.
    Failed {
        /// What happened, and what helps.
        reason: String,
    },
}

/// What is in a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordingSummary {
    /// Its file, by the name that it was asked for.
    pub path: PathBuf,
    /// Its length.
    pub duration: Duration,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// RTP packets of the peer that are in it.
    pub packets_received: u64,
    /// RTP packets to the peer that are in it.
    pub packets_sent: u64,
    /// Packets of the peer that never came: silence in their place.
    pub lost_received: u64,
    /// Packets that the other side of a forwarded or bridged call lost on the way to us: silence in their place.
    pub lost_sent: u64,
    /// Packets that the media plane could not keep, because the disk was too slow: silence in their place.
    pub overflow_packets: u64,
    /// Packets that came later than the file could wait: silence in their place.
    pub late_packets: u64,
    /// Packets of a codec that is not decoded: silence in their place.
    pub undecoded_packets: u64,
    /// Why it is over.
    pub end: RecordingEnd,
}

impl RecordingSummary {
    fn new(path: &Path, outcome: &RecordingOutcome) -> Self {
        use contract::RecordingEnd::*;
        let place = path.display();
        let end = match outcome.end() {
            Stopped => RecordingEnd::Stopped,
            LegClosed => RecordingEnd::CallEnded,
            LimitReached => RecordingEnd::LimitReached,
            WriteFailed => {
                let error = io::Error::from_raw_os_error(outcome.os_error);
                let fix = fix(error.kind());
                RecordingEnd::Failed { reason: format!("{place} took no more sound: {error}; {fix}") }
            }
            MediaLost => {
                RecordingEnd::Failed { reason: format!("the media plane is gone; {place} has what came before") }
            }
            NoFile | NoSuchLeg | Full | AlreadyRunning => {
                RecordingEnd::Failed { reason: format!("nothing was recorded into {place}; try again") }
            }
        };
        Self {
            path: path.to_owned(),
            duration: Duration::from_micros(outcome.sample_count.saturating_mul(125)),
            file_bytes: outcome.file_bytes,
            packets_received: outcome.received_packets,
            packets_sent: outcome.sent_packets,
            lost_received: outcome.received_lost_packets,
            lost_sent: outcome.sent_lost_packets,
            overflow_packets: outcome.overflow_packets,
            late_packets: outcome.late_packets,
            undecoded_packets: outcome.undecoded_packets,
            end,
        }
    }
}

/// The last recording of each session: those that run, and those that nobody has asked about.
#[derive(Default)]
pub(crate) struct Recordings(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    by_session: HashMap<SessionId, Arc<Recorded>>,
    /// Those that have ended, oldest first.
    ended: VecDeque<(SessionId, u64)>,
}

/// One of them.
pub(crate) struct Recorded {
    number: u64,
    path: PathBuf,
    /// Of the call, which may be gone by the time that the file is finished.
    pub(crate) call_id: Arc<str>,
    progress: watch::Sender<Progress>,
}

#[derive(Clone)]
enum Progress {
    Starting,
    Running,
    /// The media plane's word, and what it means.
    Over(contract::RecordingEnd, Arc<RecordingSummary>),
}

impl Recordings {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: SessionId) -> Option<Arc<Recorded>> {
        self.rows().by_session.get(&id).cloned()
    }

    fn insert(&self, id: SessionId, recorded: Arc<Recorded>) {
        self.rows().by_session.insert(id, recorded);
    }

    fn remove(&self, id: SessionId, number: u64) {
        let mut rows = self.rows();
        if rows.by_session.get(&id).is_some_and(|recorded| recorded.number == number) {
            rows.by_session.remove(&id);
        }
        rows.ended.retain(|ended| *ended != (id, number));
    }

    fn numbered(&self, id: SessionId, number: u64) -> Option<Arc<Recorded>> {
        self.get(id).filter(|recorded| recorded.number == number)
    }

    /// The media plane has begun; gives the file.
    pub(crate) fn started(&self, id: SessionId, number: u64) -> Option<PathBuf> {
        let recorded = self.numbered(id, number)?;
        recorded.progress.send_replace(Progress::Running);
        Some(recorded.path.clone())
    }

    /// It is over; gives what there is to tell, unless it never began.
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

impl SessionCoordinator {
    pub(super) async fn record(&self, id: SessionId, options: RecordingOptions) -> Result<(), SessionError> {
        let entry = self.entry(id)?;
        // No file is made for a session that cannot be recorded.
        let check = |order: OrderTurn<'_, '_>, id| {
            let session = order.sessions.get(id).ok_or(session::SessionError::SessionNotFound(id))?;
            session.check(Operation::StartRecording)
        };
        self.operate(id, check).await?;
        let opening = options.clone();
        let opened = tokio::task::spawn_blocking(move || opening.open()).await;
        let file = Arc::new(opened.map_err(|error| SessionError::config(format!("cannot open a file: {error}")))??);
        let begun = self.begin_recording(id, entry.call_id.clone(), &options, file).await;
        if begun.is_err() {
            options.discard();
        }
        begun
    }

    async fn begin_recording(
        &self,
        id: SessionId,
        call_id: Arc<str>,
        options: &RecordingOptions,
        file: Arc<File>,
    ) -> Result<(), SessionError> {
        let (progress, mut news) = watch::channel(Progress::Starting);
        let (this, options) = (self.this.clone(), options.clone());
        let start = move |order: OrderTurn<'_, '_>, inner| {
            let (layout, limit) = (options.layout, options.max_length);
            let copy = file.try_clone().map_err(|_| {
                session::SessionError::Media("no descriptor is left for the file; raise the limit (`ulimit -n`)")
            })?;
            let number = order.sessions.start_recording(order.turn, inner, copy, layout, limit)?;
            // Before anybody can hear of it.
            if let Some(coordinator) = this.upgrade() {
                let (path, call_id, progress) = (options.path.clone(), call_id.clone(), progress.clone());
                coordinator.recordings.insert(id, Arc::new(Recorded { number, path, call_id, progress }));
            }
            Ok(number)
        };
        let number = self.operate_patiently(id, start).await?;
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

    pub(super) async fn end_recording(&self, id: SessionId) -> Result<RecordingSummary, SessionError> {
        let recorded = self.recordings.get(id);
        let is_over = |recorded: &Arc<Recorded>| matches!(*recorded.progress.borrow(), Progress::Over(..));
        if !recorded.as_ref().is_some_and(is_over) {
            let stop = |order: OrderTurn<'_, '_>, id| order.sessions.stop_recording(order.turn, id);
            match (self.operate_patiently(id, stop).await, &recorded) {
                (Ok(_), _) => {}
                // The call, or the recording, is just coming to its end by itself.
                (Err(SessionError::SessionNotFound { .. } | SessionError::InvalidState { .. }), Some(_)) => {}
                (Err(error), _) => return Err(error),
            }
        }
        let Some(recorded) = recorded.or_else(|| self.recordings.get(id)) else {
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
