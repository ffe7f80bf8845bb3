//! The options that `serve`, `media` and `signal` share, and the configuration that they lead to.

use super::Failure;
use clap::Args;
use config::Config;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
        Ok(config)
    }

    /// What is unwise about the file that they name.
    pub(crate) fn warning(&self, config: &Config) -> Option<String> {
        config.warning(self.config.as_deref()?)
    }

    /// The same options for a child.
    pub(crate) fn to_arguments(&self) -> Vec<OsString> {
        let config = self.config.iter().flat_map(|path| ["--config".into(), path.into()]);
        let listen = self.listen.iter().flat_map(|address| ["--listen".into(), address.to_string().into()]);
        let folder = self.runtime_dir.iter().flat_map(|path| ["--runtime-dir".into(), path.into()]);
        config.chain(listen).chain(folder).collect()
    }

    pub(crate) fn is_supervised(&self) -> bool {
        self.supervised
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
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(config.process.log.name()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| Failure::new(format!("cannot start the log: {error}")))
}
