//! The operator's socket: one command line in, one JSON value out, then the end of the connection.

use crate::inbox::Inbox;
use crate::report::{self, Question, Snapshot};
use crate::{Error, Stop, run, wait};
use clock::Instant;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use transport::Streams;

/// Longest command line.
const COMMAND_BYTES_MAX: u64 = 1_024;
/// How long an operator may take to ask or to read.
const OPERATOR_LIMIT: Duration = Duration::from_secs(5);
/// How long a shard may take to answer.
const SHARD_LIMIT: Duration = Duration::from_secs(2);

/// The bound socket; its file goes with it.
pub(crate) struct Operator {
    listener: UnixListener,
    path: PathBuf,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) listening: Vec<String>,
    pub(crate) streams: Option<Arc<Streams>>,
    pub(crate) started_at: Instant,
}

impl Operator {
    pub(crate) fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |what| move |source| Error::Folder { what, path: path.to_owned(), source };
        match UnixStream::connect(path) {
            Ok(_) => return Err(Error::AlreadyRunning { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Left behind by a process that was killed.
            Err(_) => std::fs::remove_file(path).map_err(failed("remove the stale socket"))?,
        }
        let listener = UnixListener::bind(path).map_err(failed("make the socket"))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed("protect the socket"))?;
        listener.set_nonblocking(true).map_err(failed("set up the socket"))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inboxes: Vec::new(),
            listening: Vec::new(),
            streams: None,
            started_at: clock::now(),
        })
    }

    /// Until the end is asked for.
    pub(crate) fn run(&self, stop: &Stop) {
        while !wait::readable(&[stop.as_fd(), self.listener.as_fd()], None)[0] {
            if let Ok((stream, _)) = self.listener.accept()
                && let Err(error) = self.answer(&stream)
            {
                tracing::debug!("an operator went away: {error}");
            }
        }
    }

    fn answer(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(OPERATOR_LIMIT))?;
        stream.set_write_timeout(Some(OPERATOR_LIMIT))?;
        let mut line = String::new();
        BufReader::new(stream.take(COMMAND_BYTES_MAX)).read_line(&mut line)?;
        let mut text = self.carry_out(line.trim()).to_string();
        text.push('\n');
        (&*stream).write_all(text.as_bytes())
    }

    fn carry_out(&self, command: &str) -> Value {
        match command {
            "calls" => report::calls_json(&self.ask(true)),
            "stats" => report::stats_json(&self.ask(false), self.streams.as_deref().map(Streams::counters)),
            "reload" => match self.streams.as_deref().map(run::reload_certificates) {
                Some(Err(error)) => json!({ "error": error.to_string() }),
                _ => json!({ "status": "ok" }),
            },
            "health" => {
                let uptime_s = clock::now().since(self.started_at).as_secs();
                report::health_json(&self.ask(false), self.inboxes.len(), uptime_s, &self.listening)
            }
            _ => {
                json!({ "error": format!("no such command: `{command}`"), "commands": ["calls", "stats", "health", "reload"] })
            }
        }
    }

    /// Asks every shard. One that does not answer in time is left out.
    fn ask(&self, with_calls: bool) -> Vec<Snapshot> {
        let (answer_to, answers) = mpsc::channel();
        for inbox in &self.inboxes {
            // A full queue means that many operators ask and the shard does not come round to answer.
            if inbox.questions.push(Question { answer_to: answer_to.clone(), with_calls }).is_ok() {
                inbox.wake();
            }
        }
        drop(answer_to);
        let until = clock::now() + SHARD_LIMIT;
        let next = || answers.recv_timeout(until.since(clock::now())).ok();
        let mut snapshots: Vec<Snapshot> = std::iter::from_fn(next).take(self.inboxes.len()).collect();
        snapshots.sort_by_key(|snapshot| snapshot.shard);
        snapshots
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_and_a_stale_socket_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signal.sock");
        let operator = Operator::bind(&path).unwrap();
        assert!(matches!(Operator::bind(&path), Err(Error::AlreadyRunning { .. })));
        drop(operator);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists() && Operator::bind(&path).is_ok());
        let error = Operator::bind(&folder.path().join("none/signal.sock")).err().unwrap();
        assert!(error.to_string().contains("runtime_dir"), "{error}");
    }

    #[test]
    fn unknown_commands_list_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let operator = Operator::bind(&folder.path().join("signal.sock")).unwrap();
        assert_eq!(operator.carry_out("reboot")["commands"][0], "calls");
        assert_eq!(operator.carry_out("calls"), json!([]));
        assert_eq!(operator.carry_out("health")["status"], "ok");
    }
}
