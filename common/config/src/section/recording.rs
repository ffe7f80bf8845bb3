use crate::reading::reader::{Reader, integer};
use std::path::PathBuf;
use std::time::Duration;

/// `[recording]`: calls that are written into files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// Directory of the files; `None`: no call can be recorded.
    pub folder: Option<PathBuf>,
    /// The calls that are recorded from their answer on, without being asked for.
    pub calls: RecordedCalls,
    /// Whether the two sides of a call have a channel each.
    pub is_stereo: bool,
    /// Longest recording.
    pub limit: Duration,
    /// Largest file of a recording, in megabytes of 1,000,000 bytes; 0: as large as it gets.
    pub file_mb_max: u32,
    /// What is kept of the calls that are all recorded.
    pub contents: RecordedContents,
}

impl Recording {
    /// Whether the sound of all calls is written.
    pub fn writes_all_sound(&self) -> bool {
        self.calls == RecordedCalls::All && self.contents.has_sound()
    }
}

/// What a file has of the calls that are all recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordedContents {
    /// Their sound.
    Sound,
    /// Their packets.
    Packets,
    /// A file of each.
    Both,
}

impl RecordedContents {
    /// Whether there is a file with the sound.
    pub fn has_sound(self) -> bool {
        self != Self::Packets
    }
}

/// The calls that are recorded from their answer on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordedCalls {
    /// None: an operator says which.
    None,
    /// All of them.
    All,
}

impl Recording {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "recording";
        let folder = reader.get(section, "folder", "must be an absolute path, or empty", |value| {
            value.as_str().filter(|path| path.is_empty() || path.starts_with('/')).map(str::to_owned)
        });
        let seconds = "must be a whole number from 1 to 86400";
        Self {
            folder: (!folder.is_empty()).then(|| folder.into()),
            calls: reader.word(section, "calls", &[("none", RecordedCalls::None), ("all", RecordedCalls::All)]),
            is_stereo: reader.word(section, "layout", &[("stereo", true), ("mono", false)]),
            contents: reader.word(
                section,
                "contents",
                &[
                    ("sound", RecordedContents::Sound),
                    ("packets", RecordedContents::Packets),
                    ("both", RecordedContents::Both),
                ],
            ),
            file_mb_max: reader.get(section, "limit_mb", "must be a whole number from 0 to 1000000", |value| {
                integer(value, 0..=1_000_000).and_then(|limit| limit.try_into().ok())
            }),
            limit: Duration::from_secs(reader.get(section, "limit_s", seconds, |value| integer(value, 1..=86_400))),
        }
    }
}
