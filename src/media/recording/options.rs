//! What a recording is to be, and its file.

use crate::api::SessionError;
use contract::RecordingLayout;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a recording may get unless [`RecordingOptions::max_length`] says otherwise.
const LENGTH_DEFAULT: Duration = Duration::from_secs(4 * 3_600);

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
    pub(super) path: PathBuf,
    pub(super) layout: RecordingLayout,
    pub(super) max_length: Duration,
    overwrite: bool,
}

impl RecordingOptions {
    /// Left what the session's peer says, right what it hears.
    pub fn stereo(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), layout: RecordingLayout::Stereo, max_length: LENGTH_DEFAULT, overwrite: false }
    }

    /// Both directions added up, in half the bytes: 16 KB a second.
    pub fn mono(path: impl Into<PathBuf>) -> Self {
        Self { layout: RecordingLayout::Mono, ..Self::stereo(path) }
    }

    /// The recording ends by itself after so long: 4 hours unless set, 1 second to 24 hours. The call goes on.
    pub fn max_length(self, max_length: Duration) -> Self {
        Self { max_length, ..self }
    }

    /// A file that is there already is replaced. Without this it is left alone, and nothing is recorded.
    pub fn overwrite(self) -> Self {
        Self { overwrite: true, ..self }
    }

    /// Opens the file, which may take as long as the disk likes.
    pub(super) fn open(&self) -> Result<File, SessionError> {
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
    pub(super) fn discard(&self) {
        if !self.overwrite {
            // The error that led here is the one that the program is told.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What helps.
pub(super) fn fix(kind: ErrorKind) -> &'static str {
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
