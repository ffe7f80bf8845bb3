//! A process that we started, and that ends with us.

use clock::{Duration, Instant};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a process may take from SIGTERM to its end before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A running process with its output in a file. Dropping it stops it, by its id.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; standard output and error go to `folder/name.log`.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> io::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{:?}: {error}", command.get_program())))?;
        Ok(Self { name: name.into(), child, log, ended: None })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> io::Result<ExitStatus> {
        let ended = wait_for(within, || self.ended());
        ended.ok_or_else(|| {
            let what = format!("{} did not end within {within:?}; it printed:\n{}", self.name, tail(&self.output()));
            io::Error::new(io::ErrorKind::TimedOut, what)
        })
    }

    /// Waits until `ready` says yes; an error when the process ends first or time runs out.
    pub fn ready<T>(&mut self, within: Duration, mut ready: impl FnMut(&Self) -> Option<T>) -> io::Result<T> {
        let outcome = wait_for(within, || match ready(self) {
            Some(value) => Some(Ok(value)),
            None => self.ended().map(Err),
        });
        let problem = match outcome {
            Some(Ok(value)) => return Ok(value),
            Some(Err(status)) => format!("ended too early ({status})"),
            None => format!("was not ready within {within:?}"),
        };
        Err(io::Error::other(format!("{} {problem}; it printed:\n{}", self.name, tail(&self.output()))))
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        send_signal(self.pid(), signal)
    }

    /// Asks it to end, and makes sure.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(rustix::process::Signal::TERM)?;
        self.wait(STOP_WITHIN).or_else(|_| {
            self.child.kill()?;
            self.child.wait()
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Sends a signal to one process.
pub fn send_signal(pid: u32, signal: rustix::process::Signal) -> io::Result<()> {
    let pid = rustix::process::Pid::from_raw(pid as i32).ok_or_else(|| io::Error::other("no such process id"))?;
    rustix::process::kill_process(pid, signal).map_err(Into::into)
}

/// Looks until `look` finds something or time runs out.
pub fn wait_for<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up: Instant = clock::now() + within;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if clock::now() >= give_up {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The last lines of an output.
pub(crate) fn tail(output: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_stopped_with_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start("sleep", Command::new("sleep").arg("600"), folder.path()).unwrap();
        let pid = process.pid();
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn an_early_end_is_told_with_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let mut process = Process::start("sh", command.args(["-c", "echo because; exit 3"]), folder.path()).unwrap();
        let error = process.ready(Duration::from_secs(10), |_| None::<()>).unwrap_err().to_string();
        assert!(error.contains("ended too early") && error.contains("because"), "{error}");
    }
}
