//! One of the two processes, as its parent sees it.

use crate::Failure;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// A process that ran for so long gets the shortest back-off again.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Tells the allocator to give memory back at once. By default it does that a second later and with the next of its
/// work, which after a rush may not come for hours. An operator's own setting goes first.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// What reaches the parent's inbox.
pub(super) enum Notice {
    /// The user wants the end.
    Stop,
    /// The configuration is to be read again.
    Reload,
    /// This life of a process takes calls.
    Ready { life: u64, words: String },
    /// This life of a process is over.
    Ended { life: u64, status: Option<ExitStatus> },
}

/// A process and its restarts.
pub(super) struct SupervisedProcess {
    name: &'static str,
    program: OsString,
    arguments: Vec<OsString>,
    notices: Sender<Notice>,
    running: Option<Running>,
    /// Whether an end of the process is followed by a restart: not during start and stop.
    restarts: bool,
    restart_at: Option<Instant>,
    back_off: Duration,
    ready: Option<String>,
    /// A newer configuration came while it was starting, perhaps after it had read the old one.
    reloads_when_ready: bool,
}

struct Running {
    life: u64,
    process: OwnedFd,
    since: Instant,
}

impl SupervisedProcess {
    /// `arguments` come after its name.
    pub(super) fn new(name: &'static str, arguments: &[OsString], notices: &Sender<Notice>) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::new(format!("cannot find my own program file: {error}")))?;
        let own = [OsString::from(name), OsString::from("--supervised")];
        let arguments = own.into_iter().chain(arguments.iter().cloned()).collect();
        Ok(Self {
            name,
            program: program.into(),
            arguments,
            notices: notices.clone(),
            running: None,
            restarts: false,
            restart_at: None,
            back_off: BACK_OFF_FIRST,
            ready: None,
            reloads_when_ready: false,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    pub(super) fn ready_words(&self) -> &str {
        self.ready.as_deref().unwrap_or("")
    }

    pub(super) fn restart_at(&self) -> Option<Instant> {
        self.restart_at
    }

    /// Starts the process; a thread waits for its words and its end.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::new(format!("cannot start the {} process: {error}", self.name));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        if std::env::var_os(PURGE_DELAY.0).is_none() {
            command.env(PURGE_DELAY.0, PURGE_DELAY.1);
        }
        let mut child = command.spawn().map_err(failed)?;
        let pid = Pid::from_child(&child);
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(failed(error.into()));
            }
        };
        let life = u64::from(child.id());
        let notices = self.notices.clone();
        std::thread::spawn(move || listen(child, life, &notices));
        self.running = Some(Running { life, process, since: Instant::now() });
        self.ready = None;
        Ok(())
    }

    /// Looks whether a notice is about this process.
    pub(super) fn take(&mut self, notice: &Notice) {
        let Some(running) = &self.running else { return };
        match notice {
            Notice::Ready { life, words } if *life == running.life => {
                if self.ready.is_none() && self.back_off > BACK_OFF_FIRST {
                    tracing::info!("the {} process is back: {words}", self.name);
                }
                self.ready = Some(words.clone());
                if std::mem::take(&mut self.reloads_when_ready) {
                    self.reload();
                }
            }
            Notice::Ended { life, status } if *life == running.life => self.ended(*status),
            _ => {}
        }
    }

    fn ended(&mut self, status: Option<ExitStatus>) {
        let lived = self.running.take().map_or(Duration::ZERO, |running| running.since.elapsed());
        if lived > STABLE_AFTER {
            self.back_off = BACK_OFF_FIRST;
        }
        if !self.restarts {
            return;
        }
        let wait = self.back_off;
        self.restart_at = Some(Instant::now() + wait);
        self.back_off = (2 * wait).min(BACK_OFF_MAX);
        let why = match status {
            Some(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("was ended by signal {signal}"),
                (_, Some(0)) => "has ended".to_string(),
                (_, code) => format!("failed with status {}", code.unwrap_or(-1)),
            },
            None => "is gone".to_string(),
        };
        tracing::error!("the {} process {why}; starting it again in {wait:?}", self.name);
    }

    pub(super) fn restart_if_due(&mut self) {
        if self.restart_at.is_some_and(|at| at <= Instant::now()) {
            self.restart_at = None;
            if let Err(failure) = self.start() {
                tracing::error!("{failure}");
                self.ended(None);
            }
        }
    }

    /// From now on the process is started again when it dies, or no longer.
    pub(super) fn set_restarts(&mut self, restarts: bool) {
        self.restarts = restarts;
        self.restart_at = None;
    }

    /// Has it read its configuration again, now or once it is ready: before that it may not listen to the signal.
    pub(super) fn reload(&mut self) {
        match self.running.as_ref().filter(|_| self.is_ready()) {
            // The process may have ended in this moment; the next one reads the new file.
            Some(running) => drop(pidfd_send_signal(&running.process, Signal::HUP)),
            None => self.reloads_when_ready = true,
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            // The process may have ended in this moment; then the signal has no receiver.
            let _ = pidfd_send_signal(&running.process, signal);
        }
    }
}

/// Waits for the line `ready ...` on the process's standard output, then for its end.
fn listen(mut child: Child, life: u64, notices: &Sender<Notice>) {
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(words) = line.strip_prefix("ready ") {
                let _ = notices.send(Notice::Ready { life, words: words.to_string() });
            }
        }
    }
    let _ = notices.send(Notice::Ended { life, status: child.wait().ok() });
}
