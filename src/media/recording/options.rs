//! What a recording is to be, and its file.

use crate::api::SessionError;
use contract::{RecordingFormat, RecordingLayout, RecordingShape};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// How long a recording may get unless [`RecordingOptions::max_length`] says otherwise.
const LENGTH_DEFAULT: Duration = Duration::from_secs(4 * 3_600);

/// What a recording is to be. A path alone makes it stereo. A name that ends in `.ogg` or `.opus` makes it a file of Opus in
/// Ogg, one that ends in `.pcapng` a capture of the call's packets, every other one WAV.
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
    pub(super) shape: RecordingShape,
    pub(super) max_length: Duration,
    overwrite: bool,
    joins: bool,
}

impl RecordingOptions {
    /// Left what the session's peer says, right what it hears.
    pub fn stereo(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), RecordingLayout::Stereo)
    }

    /// Both directions added up, in half the bytes: 16 KB a second of G.711 in WAV.
    pub fn mono(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), RecordingLayout::Mono)
    }

    /// What the session's peer says, alone.
    pub fn received(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), RecordingLayout::Received)
    }

    /// What the session's peer hears, alone.
    pub fn sent(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), RecordingLayout::Sent)
    }

    /// All that is said in the room of which the session is a member ([`crate::api::Call::join_room`]), at 16 kHz, until the room is
    /// empty or the session ends. It takes the place of a recording of the session itself.
    pub fn room(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), RecordingLayout::Room)
    }

    /// The packets of RTP and RTCP in both directions, as pcapng: with the addresses and ports of both ends, arrival times in
    /// nanoseconds, and headers of IP and UDP, for Wireshark and its like. It may run beside a recording of the sound.
    pub fn packets(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into(), RecordingLayout::Stereo).pcapng()
    }

    fn new(path: PathBuf, layout: RecordingLayout) -> Self {
        let extension = path.extension().map(|it| it.to_ascii_lowercase());
        let format = match extension.as_ref().and_then(|it| it.to_str()) {
            Some("ogg" | "opus") => RecordingFormat::OggOpus,
            Some("pcapng") => RecordingFormat::Pcapng,
            _ => RecordingFormat::Wav,
        };
        let shape = RecordingShape { format, ..layout.into() };
        Self { path, shape, max_length: LENGTH_DEFAULT, overwrite: false, joins: false }
    }

    /// Opus in Ogg, whatever the name of the file: some 8 KB a second of stereo of G.711,
    /// 10 KB of G.722 or Opus.
    pub fn ogg_opus(self) -> Self {
        Self { shape: RecordingShape { format: RecordingFormat::OggOpus, ..self.shape }, ..self }
    }

    /// WAV of 16 bits, whatever the name of the file.
    pub fn wav(self) -> Self {
        Self { shape: RecordingShape { format: RecordingFormat::Wav, ..self.shape }, ..self }
    }

    /// A capture, whatever the name of the file.
    pub(in crate::media) fn pcapng(self) -> Self {
        Self { shape: RecordingShape { format: RecordingFormat::Pcapng, ..self.shape }, ..self }
    }

    /// The recording ends by itself after so long: 4 hours unless set, 1 second to 24 hours. The call goes on.
    pub fn max_length(self, max_length: Duration) -> Self {
        Self { max_length, ..self }
    }

    /// The recording ends by itself once its file has so many megabytes (of 1,000,000 bytes): any unless set. The call goes on.
    pub fn max_file_mb(self, megabytes: u32) -> Self {
        Self { shape: RecordingShape { file_mb_max: megabytes, ..self.shape }, ..self }
    }

    /// Packets go into a file that is there already, behind what it has: into one that another call's packets are being
    /// written to, so that the legs of a forwarded or bridged call are side by side, each as an interface of the file. Of a
    /// WAV file that the switch has written in the same layout it goes on with the sound.
    pub fn join(self) -> Self {
        Self { joins: true, shape: RecordingShape { continues: true, ..self.shape }, ..self }
    }

    /// A file that is there already is replaced. Without this it is left alone, and nothing is recorded.
    pub fn overwrite(self) -> Self {
        Self { overwrite: true, ..self }
    }

    /// The same with its path in the folder that recordings may go to; an error where it leads out of that.
    pub(super) fn within(mut self, folder: Option<&Path>) -> Result<Self, SessionError> {
        let Some(folder) = folder else { return Ok(self) };
        let inner = self.path.strip_prefix(folder).unwrap_or(&self.path);
        let stays = inner.components().all(|part| matches!(part, Component::Normal(_)));
        if !stays || inner.as_os_str().is_empty() {
            let (path, folder) = (self.path.display(), folder.display());
            return Err(SessionError::config(format!("cannot record into {path}: it is not a file below {folder}")));
        }
        self.path = folder.join(inner);
        Ok(self)
    }

    /// Opens the file, which may take as long as the disk likes. With a folder no symbolic link on the way below that is
    /// followed.
    pub(super) fn open(&self, folder: Option<&Path>) -> Result<File, SessionError> {
        match folder {
            Some(folder) => self.open_below(folder),
            None => self.open_anywhere(),
        }
    }

    fn open_below(&self, folder: &Path) -> Result<File, SessionError> {
        let inner = self.path.strip_prefix(folder).unwrap_or(&self.path);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let flags = match (self.joins, self.overwrite) {
            (true, _) => flags,
            (false, true) => flags | OFlags::CREATE,
            (false, false) => flags | OFlags::CREATE | OFlags::EXCL,
        };
        // A mode without a file to create is refused (openat2(2)).
        let mode = if self.joins { Mode::empty() } else { Mode::RUSR | Mode::WUSR | Mode::RGRP };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let opened = File::open(folder).and_then(|folder| {
            let file = File::from(rustix::fs::openat2(folder, inner, flags, mode, resolve)?);
            if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
        });
        opened.map_err(|error| self.failed(&error))
    }

    fn open_anywhere(&self) -> Result<File, SessionError> {
        let mut how = OpenOptions::new();
        how.read(true).write(true);
        let opened = if self.joins || self.overwrite && self.path.exists() {
            // Emptied when the recording begins. Opening a pipe would wait for a reader.
            match std::fs::metadata(&self.path) {
                Ok(facts) if facts.is_file() => how.open(&self.path),
                Ok(_) => Err(io::Error::other("it is not a file")),
                Err(error) => Err(error),
            }
        } else {
            how.create_new(true).open(&self.path)
        };
        opened.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> SessionError {
        let (path, fix) = (self.path.display(), fix(error.kind()));
        SessionError::config(format!("cannot record into {path}: {error}; {fix}"))
    }

    /// Nothing was recorded into a file that we made.
    pub(super) fn discard(&self) {
        if !self.overwrite && !self.joins {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("calls");
        std::fs::create_dir_all(folder.join("today")).unwrap();
        std::os::unix::fs::symlink(place.path(), folder.join("out")).unwrap();
        std::os::unix::fs::symlink(place.path().join("there.wav"), folder.join("link.wav")).unwrap();
        let open = |path: &Path, overwrite: bool| {
            let options = RecordingOptions::from(path);
            let options = if overwrite { options.overwrite() } else { options };
            options.within(Some(&folder)).and_then(|options| options.open(Some(&folder)))
        };
        for good in ["1.wav", "today/2.wav"] {
            assert!(open(Path::new(good), false).is_ok(), "{good}");
            assert!(folder.join(good).is_file());
            assert!(open(&folder.join(good), false).is_err(), "it is there already");
            assert!(open(&folder.join(good), true).is_ok());
        }
        for bad in ["../1.wav", "today/../../1.wav", "/tmp/1.wav", "", ".", "out/1.wav", "link.wav", "today"] {
            for overwrite in [false, true] {
                let error = open(Path::new(bad), overwrite).unwrap_err().to_string();
                assert!(error.contains("cannot record into"), "{bad}: {error}");
            }
        }
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing was made outside");
    }

    #[test]
    fn the_name_says_what_the_file_is() {
        for (name, format) in
            [("a.wav", RecordingFormat::Wav), ("a", RecordingFormat::Wav), ("a.OGG", RecordingFormat::OggOpus)]
        {
            assert_eq!(RecordingOptions::from(name).shape.format, format);
        }
        for packets in [RecordingOptions::from("a.pcapng"), RecordingOptions::packets("a")] {
            assert_eq!(packets.shape, RecordingFormat::Pcapng.into());
        }
        assert_eq!(RecordingOptions::mono("a.opus").wav().shape, RecordingLayout::Mono.into());
        assert_eq!(RecordingOptions::received("a").ogg_opus().shape.format, RecordingFormat::OggOpus);
    }
}
