//! The options that `serve`, `media` and `signal` share, and the configuration that they lead to.

use super::Failure;
use clap::Args;
use config::{Config, FilesOnly};
use rustix::fs::MemfdFlags;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Seek, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

/// Options of the processes; each wins over the same key of the configuration file.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// The configuration file; none is needed (`ringplane init` prints one)
    #[arg(short, long)]
    config: Option<PathBuf>,
    /// Listen for SIP on this UDP address, such as 192.0.2.1:5060 (may be given several times)
    #[arg(short, long)]
    listen: Vec<SocketAddr>,
    /// The directory for the switch's own sockets
    #[arg(long)]
    runtime_dir: Option<PathBuf>,
    /// Print every SIP message beside the log, without passwords and keys
    #[arg(long)]
    trace: bool,
    /// Started by `serve`: end with it
    #[arg(long, hide = true)]
    supervised: bool,
}

impl Options {
    /// The configuration: defaults, then the file, then what was typed.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let mut config = load(self.config.as_deref())?;
        if !self.listen.is_empty() {
            config.sip.listen.clone_from(&self.listen);
        }
        if let Some(folder) = &self.runtime_dir {
            config.process.runtime_dir.clone_from(folder);
        }
        config.process.trace |= self.trace;
        Ok(config)
    }

    /// Whether a file was named.
    pub(crate) fn has_file(&self) -> bool {
        self.config.is_some()
    }

    /// What is unwise about the file that they name.
    pub(crate) fn warnings(&self, config: &Config) -> Vec<String> {
        let Some(path) = self.config.as_deref() else { return Vec::new() };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found = Config::examine(&text, &FilesOnly).warnings.0;
        let found = found.iter().map(|warning| format!("{}, {warning}", path.display()));
        config.warning(path).into_iter().chain(found).collect()
    }

    /// The same options for a child, which reads what was last found sound in the file.
    pub(crate) fn to_arguments(&self, sound: &SoundFile) -> Vec<OsString> {
        let config = sound.path().into_iter().flat_map(|path| ["--config".into(), path.into()]);
        let listen = self.listen.iter().flat_map(|address| ["--listen".into(), address.to_string().into()]);
        let folder = self.runtime_dir.iter().flat_map(|path| ["--runtime-dir".into(), path.into()]);
        let trace = self.trace.then(|| "--trace".into());
        config.chain(listen).chain(folder).chain(trace).collect()
    }

    pub(crate) fn is_supervised(&self) -> bool {
        self.supervised
    }
}

/// The text of the configuration file as it was when it last had no mistake, in memory that children inherit. A process
/// that is started again after the file was broken still starts.
pub(crate) struct SoundFile(Option<File>);

impl SoundFile {
    /// Of the file that the options name.
    pub(crate) fn of(options: &Options) -> Result<Self, Failure> {
        if options.config.is_none() {
            return Ok(Self(None));
        }
        let failed = |error: std::io::Error| Failure::new(format!("cannot keep the configuration in memory: {error}"));
        // Without CLOEXEC: it is there for the children.
        let file =
            rustix::fs::memfd_create("ringplane.toml", MemfdFlags::empty()).map_err(|error| failed(error.into()))?;
        let sound = Self(Some(file.into()));
        sound.keep(options).map_err(failed)?;
        Ok(sound)
    }

    /// Takes the text of the file, which has just been found sound.
    pub(crate) fn keep(&self, options: &Options) -> std::io::Result<()> {
        let (Some(mut kept), Some(path)) = (self.0.as_ref(), &options.config) else { return Ok(()) };
        let text = std::fs::read(path)?;
        kept.set_len(0)?;
        kept.rewind()?;
        kept.write_all(&text)
    }

    /// Where a child finds it: under the number that it inherits.
    fn path(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()).into())
    }
}

/// Reads the file, or gives the defaults without one.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, Failure> {
    match file {
        Some(path) => Config::load(path).map_err(|error| Failure::new(error.to_string())),
        None => Ok(Config::default()),
    }
}

/// Log lines go to stderr; `RUST_LOG` wins over the configuration.
pub(crate) fn start_log(config: &Config) -> Result<(), Failure> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(config))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that cannot be read any more, after the end of its terminal, is no reason to stop.
        .log_internal_errors(false)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder.try_init().map_err(|error| Failure::new(format!("cannot start the log: {error}")))?;
    // A second log cannot be started.
    let _ = SET_FILTER.set(Box::new(move |filter| {
        let _ = handle.reload(filter);
    }));
    Ok(())
}

type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

fn filter(config: &Config) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(config.process.log.name()))
}

/// Other lines are logged from now on.
pub(crate) fn set_log_level(config: &Config) {
    if let Some(set) = SET_FILTER.get() {
        set(filter(config));
    }
}
