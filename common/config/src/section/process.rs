use crate::reading::reader::Reader;
use std::path::PathBuf;

/// `[process]`: the processes themselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Directory of the sockets, resolved.
    pub runtime_dir: PathBuf,
    /// Least important log line to print.
    pub log: LogLevel,
    /// Whether every SIP message is printed.
    pub trace: bool,
}

/// Importance of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    /// Something broke.
    Error,
    /// Something may break.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    const ALL: [LogLevel; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The level as the file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Process {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "process";
        let log = reader.word(section, "log", &LogLevel::ALL.map(|level| (level.name(), level)));
        let path: String = reader.get(section, "runtime_dir", "must be an absolute path, or empty", |value| {
            value.as_str().filter(|path| path.is_empty() || path.starts_with('/')).map(str::to_owned)
        });
        let runtime_dir = if path.is_empty() { default_runtime_dir() } else { path.into() };
        let trace = reader.get(section, "trace", "must be true or false", |value| value.as_bool());
        Self { runtime_dir, log, trace }
    }

    /// Where the media process hands its shared memory over.
    pub fn media_control_socket(&self) -> PathBuf {
        self.runtime_dir.join("media-control.sock")
    }

    /// Where an operator asks the media process.
    pub fn media_operator_socket(&self) -> PathBuf {
        self.runtime_dir.join("media.sock")
    }

    /// Where an operator asks the signaling process.
    pub fn signal_operator_socket(&self) -> PathBuf {
        self.runtime_dir.join("signal.sock")
    }
}

fn default_runtime_dir() -> PathBuf {
    let uid = rustix::process::geteuid();
    match std::env::var_os("XDG_RUNTIME_DIR") {
        _ if uid.is_root() => PathBuf::from("/run/ringplane"),
        Some(dir) if !dir.is_empty() => PathBuf::from(dir).join("ringplane"),
        _ => PathBuf::from(format!("/tmp/ringplane-{}", uid.as_raw())),
    }
}
