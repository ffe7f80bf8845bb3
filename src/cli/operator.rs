//! Questions to a running switch, over its operator's socket.

use super::Failure;
use clap::Args;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Longest answer that is read; a switch full of calls stays far below.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where the switch is, and how to print its answer.
#[derive(Args)]
pub(crate) struct Question {
    /// The configuration file that the switch was started with
    #[arg(short, long)]
    config: Option<PathBuf>,
    /// The directory with the switch's sockets, where it was started with --runtime-dir
    #[arg(long)]
    runtime_dir: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Question {
    /// Asks, and gives the answer as JSON.
    pub(crate) fn ask(&self, command: &str) -> Result<serde_json::Value, Failure> {
        let mut config = super::options::load(self.config.as_deref())?;
        if let Some(folder) = &self.runtime_dir {
            config.process.runtime_dir = folder.clone();
        }
        let path = config.process.signal_operator_socket();
        let failed = |what: &str, error: std::io::Error| {
            Failure::new(format!(
                "cannot {what} {}: {error}\n  Is the switch running? Start it with `ringplane serve`; if it was started \
                 with --runtime-dir or --config, give the same here.",
                path.display()
            ))
        };
        let mut socket = UnixStream::connect(&path).map_err(|error| failed("reach the switch at", error))?;
        socket.set_read_timeout(Some(ANSWER_WITHIN)).map_err(|error| failed("use", error))?;
        writeln!(socket, "{command}").map_err(|error| failed("ask", error))?;
        let mut answer = String::new();
        socket.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(|error| failed("hear from", error))?;
        serde_json::from_str(&answer).map_err(|_| Failure::new(format!("the switch said: {}", answer.trim())))
    }
}
