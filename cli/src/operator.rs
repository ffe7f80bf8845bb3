//! Questions to a running switch, over its operator's socket.

use super::Failure;
use clap::Args;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest answer that is read; a switch full of calls stays far below.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where the switch is.
#[derive(Args)]
pub(crate) struct Place {
    /// The configuration file that the switch was started with
    #[arg(short, long)]
    config: Option<PathBuf>,
    /// The directory with the switch's sockets, where it was started with --runtime-dir
    #[arg(long)]
    runtime_dir: Option<PathBuf>,
}

/// Where the switch is, and how to print its answer.
#[derive(Args)]
pub(crate) struct Question {
    #[command(flatten)]
    place: Place,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl Question {
    /// Asks, and gives the answer as JSON.
    pub(crate) fn ask(&self, command: &str) -> Result<serde_json::Value, Failure> {
        let mut socket = self.place.tell(command)?;
        let failed = |error: std::io::Error| Failure::new(format!("the switch does not answer: {error}"));
        socket.set_read_timeout(Some(ANSWER_WITHIN)).map_err(failed)?;
        let mut answer = String::new();
        (&mut socket).take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(failed)?;
        let answer: serde_json::Value = serde_json::from_str(&answer)
            .map_err(|_| Failure::new(format!("the switch said: {}", answer.trim().escape_debug())))?;
        match answer["error"].as_str() {
            Some(error) => Err(Failure::new(format!("the switch refuses: {error}"))),
            None => Ok(answer),
        }
    }
}

impl Place {
    /// Sends a command; its answer can be read from the socket.
    pub(crate) fn tell(&self, command: &str) -> Result<UnixStream, Failure> {
        let mut config = super::options::load(self.config.as_deref())?;
        if let Some(folder) = &self.runtime_dir {
            config.process.runtime_dir = folder.clone();
        }
        let path = config.process.signal_operator_socket();
        let mut socket = UnixStream::connect(&path).map_err(|error| unreachable(&path, &error))?;
        writeln!(socket, "{command}").map_err(|error| unreachable(&path, &error))?;
        Ok(socket)
    }
}

/// Why a switch cannot be asked, and what helps. That another user may not ask it does not mean that it does not run.
fn unreachable(path: &Path, error: &std::io::Error) -> Failure {
    let at = path.display();
    let program = super::welcome::program();
    Failure::new(match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "the switch at {at} belongs to another user, who alone may ask it\n  Run this as that user, or with sudo."
        ),
        ErrorKind::NotFound => match other_switch(path) {
            Some(other) => format!(
                "no switch has its sockets in {}, but one has in {}\n  Ask it with sudo, as its user, or with --runtime-dir {}",
                parent(path),
                other.display(),
                other.display()
            ),
            None => format!(
                "no switch runs that has its socket at {at}\n  Start it with `{program} serve`. If it was started with \
                 --runtime-dir or --config, give the same here; if by another user, use sudo."
            ),
        },
        ErrorKind::ConnectionRefused => {
            format!("the switch at {at} has ended and left its socket behind\n  Start it again with `{program} serve`.")
        }
        _ => format!("cannot ask the switch at {at}: {error}"),
    })
}

fn parent(path: &Path) -> String {
    path.parent().map_or_else(String::new, |folder| folder.display().to_string())
}

/// Where the switch of another user has its sockets, if there seems to be one.
fn other_switch(path: &Path) -> Option<PathBuf> {
    let inside = |folder: &str| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_users = inside("/run/user").map(|folder| folder.join("ringplane"));
    let of_tmp = inside("/tmp")
        .filter(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ringplane-")));
    let all = std::iter::once(PathBuf::from("/run/ringplane")).chain(of_users).chain(of_tmp);
    let is_there = |folder: &PathBuf| match std::fs::metadata(folder.join("signal.sock")) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::PermissionDenied && folder.is_dir(),
    };
    all.filter(|folder| path.parent() != Some(folder)).find(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_its_own_way_out() {
        let says = |kind: ErrorKind| unreachable(Path::new("/no/such/signal.sock"), &kind.into()).to_string();
        assert!(says(ErrorKind::PermissionDenied).contains("sudo"));
        assert!(says(ErrorKind::ConnectionRefused).contains("has ended"));
        assert!(says(ErrorKind::NotFound).contains("--runtime-dir"));
        assert!(!says(ErrorKind::PermissionDenied).contains(" serve"));
    }
}
