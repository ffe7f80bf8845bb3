//! Recordings by the configuration: of every call from its answer on, or of a call that an operator names. Files are opened
//! here, on threads that may wait for a disk; nothing of a name comes from a peer.
//!
//! A recording belongs to a leg. Where its leg ends and the other party of the call goes on, as after a transfer by the
//! caller, that party's leg is recorded into the same file. `watch.rs` is what a shard tells, `keeper.rs` the thread that
//! acts on it, `commands.rs` what operators ask for.

mod commands;
mod keeper;
mod running;
mod watch;

pub(crate) use keeper::Keeper;
pub(crate) use watch::RecordingWatch;

use crate::{OrderTurn, Orders};
use clock::Duration;
use contract::{RECORDINGS_MAX, RecordingFormat, RecordingKind, RecordingLayout, RecordingShape};
use crossbeam::channel::Sender;
use running::{Running, RunningRecordings};
use session::SessionId;
use shard_core::call_row::leg_id;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of one second and one leg that may be there already, from the life of the switch before.
const NAMES_MAX: u32 = 100;

/// How recordings are made.
pub(crate) struct Recordings {
    folder: PathBuf,
    layout: RecordingLayout,
    limit: Duration,
    file_mb_max: u32,
    /// What is kept of calls that are all recorded.
    contents: config::RecordedContents,
    orders: Orders,
    running: Arc<RunningRecordings>,
}

/// Legs of one shard that go into one file.
struct Start {
    shard: usize,
    legs: Vec<SessionId>,
    path: PathBuf,
    file: File,
    shape: RecordingShape,
    /// Other recordings write into the file, or have written into it.
    is_shared: bool,
}

/// What became of the beginning of a recording.
struct Begun {
    path: PathBuf,
    result: Result<(), String>,
    is_shared: bool,
}

impl Begun {
    /// Why it did not begin; a file that was made for it is taken away again.
    fn failure(self) -> Option<String> {
        let why = self.result.err()?;
        if !self.is_shared {
            discard(&self.path);
        }
        Some(why)
    }
}

/// Takes a file away into which nothing was recorded.
fn discard(path: &Path) {
    // It is empty; where it cannot be removed it does no harm.
    let _ = std::fs::remove_file(path);
}

impl Recordings {
    /// As configured; `None`: no call can be recorded.
    pub(crate) fn new(config: &config::Recording, orders: Orders, watch: &RecordingWatch) -> Option<Self> {
        Some(Self {
            folder: config.folder.clone()?,
            layout: if config.is_stereo { RecordingLayout::Stereo } else { RecordingLayout::Mono },
            limit: config.limit,
            file_mb_max: config.file_mb_max,
            contents: config.contents,
            orders,
            running: watch.running(),
        })
    }

    /// Opens a file and asks the shard to record the legs into it: the sound of one, or the packets of all.
    fn begin(
        &self,
        (shard, legs): (usize, Vec<SessionId>),
        kind: RecordingKind,
        answer_to: Sender<Begun>,
    ) -> Result<PathBuf, String> {
        let first = *legs.first().ok_or("there is no such leg")?;
        let shape: RecordingShape = match kind {
            RecordingKind::Sound => self.layout.into(),
            RecordingKind::Packets => RecordingFormat::Pcapng.into(),
        };
        // No file is made for what cannot be recorded.
        self.running.claim(legs.len())?;
        let opened = self
            .open(&leg_id(shard, first), kind)
            .map_err(|error| format!("no file can be made in {} ([recording] folder): {error}", self.folder.display()));
        let (path, file) = opened.inspect_err(|_| self.running.release(legs.len()))?;
        let start = Start { shard, legs, path: path.clone(), file, shape, is_shared: false };
        self.start(start, answer_to)?;
        Ok(path)
    }

    /// Has the shard begin. As many recordings as there are legs have been claimed; those that do not begin are given back.
    fn start(&self, start: Start, answer_to: Sender<Begun>) -> Result<(), String> {
        let (limit, running, count) = (self.limit, self.running.clone(), start.legs.len());
        let shape = RecordingShape { file_mb_max: self.file_mb_max, ..start.shape };
        let (shard, told, is_shared) = (start.shard, start.path.clone(), start.is_shared);
        let order = move |order: OrderTurn<'_, '_>| {
            let Start { legs, path, file, .. } = start;
            let (mut begun_count, mut failure) = (0, None);
            for leg in legs {
                // The first leg makes the file, the others share it.
                let shape = RecordingShape { continues: is_shared || begun_count > 0, ..shape };
                let begun = file.try_clone().map_err(|error| error.to_string()).and_then(|file| {
                    let started = order.sessions.start_recording(order.turn, leg, file, shape, limit);
                    started.map_err(|error| error.to_string())
                });
                match begun.and_then(|number| Ok((number, file.try_clone().map_err(|error| error.to_string())?))) {
                    Ok((number, file)) => {
                        begun_count += 1;
                        let layout = shape.layout;
                        let kind = shape.format.kind();
                        running.insert((shard, number), Running { leg, kind, layout, path: path.clone(), file });
                    }
                    Err(why) => {
                        running.release(1);
                        failure = Some(why);
                    }
                }
            }
            let result = if begun_count > 0 { Ok(()) } else { failure.map_or(Ok(()), Err) };
            // The one who asked may have given up.
            let _ = answer_to.send(Begun { path, result, is_shared });
        };
        if self.orders.send(shard, Box::new(order)).is_err() {
            self.running.release(count);
            let result = Err("the shard has too much to do".to_owned());
            return Err(Begun { path: told, result, is_shared }.failure().unwrap_or_default());
        }
        Ok(())
    }

    /// A new file by the time and the leg.
    fn open(&self, leg: &str, kind: RecordingKind) -> io::Result<(PathBuf, File)> {
        let time = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().replace([':', '-'], "");
        let extension = match kind {
            RecordingKind::Sound => "wav",
            RecordingKind::Packets => "pcapng",
        };
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..NAMES_MAX {
            let more = if number == 0 { String::new() } else { format!("-{number}") };
            let path = self.folder.join(format!("{time}-{leg}{more}.{extension}"));
            // Read as well, where a later recording goes on in it.
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

/// What is said where no more can be recorded.
fn too_many() -> String {
    format!("{RECORDINGS_MAX} recordings run already")
}
