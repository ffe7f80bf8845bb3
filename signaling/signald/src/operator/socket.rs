//! The operator's socket: one command line in, one JSON value out, then the end of the connection.

use super::report::{self, Question, Snapshot, SwitchFacts};
use crate::operator::hangup::{self, HangUp, Which};
use crate::operator::trace::{self, Filter, Tracer, Watch};
use crate::operator::voice;
use crate::recordings::Recordings;
use crate::shard::inbox::Inbox;
use crate::sockets::poll;
use crate::{Error, Orders, Stop, run};
use clock::Instant;
use local_socket::{BindError, LocalSocket};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use transport::Streams;

const COMMANDS: [&str; 8] = ["calls", "stats", "health", "reload", "hangup", "record", "voice", "trace"];
/// Longest command line.
const COMMAND_BYTES_MAX: u64 = 1_024;
/// How long an operator may take to ask or to read.
const OPERATOR_LIMIT: Duration = Duration::from_secs(5);
/// How long calls that were told to end are waited for.
const END_LIMIT: Duration = Duration::from_millis(1_500);
const END_PAUSE: Duration = Duration::from_millis(20);
/// How often one who watches is looked after.
const WATCH_PAUSE: Duration = Duration::from_millis(500);
/// How long a shard may take to answer.
const SHARD_LIMIT: Duration = Duration::from_secs(2);

/// What operators ask, and what answers them.
pub(crate) struct Operator {
    socket: LocalSocket,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) listening: Vec<String>,
    /// The mode needs a media process.
    pub(crate) has_media: bool,
    pub(crate) streams: Option<Arc<Streams>>,
    pub(crate) started_at: Instant,
    pub(crate) tracer: Tracer,
    /// Where calls can be recorded.
    pub(crate) recordings: Option<Arc<Recordings>>,
    /// What shards are asked to do.
    pub(crate) orders: Option<Orders>,
}

impl Operator {
    pub(crate) fn bind(path: &Path) -> Result<Self, Error> {
        let socket = LocalSocket::bind(path, 0o660).map_err(|error| match error {
            BindError::AlreadyRunning => Error::AlreadyRunning { path: path.to_owned() },
            BindError::System { what, source } => Error::Folder { what, path: path.to_owned(), source },
        })?;
        Ok(Self {
            socket,
            inboxes: Vec::new(),
            listening: Vec::new(),
            has_media: true,
            streams: None,
            started_at: clock::now(),
            tracer: Tracer::default(),
            recordings: None,
            orders: None,
        })
    }

    /// Until the end is asked for.
    pub(crate) fn run(&self, stop: &Stop) {
        while !poll::readable(&[stop.as_fd(), self.socket.as_fd()], None)[0] {
            if let Ok(stream) = self.socket.accept()
                && let Err(error) = self.answer(stream, stop)
            {
                tracing::debug!("an operator went away: {error}");
            }
        }
    }

    fn answer(&self, stream: UnixStream, stop: &Stop) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(OPERATOR_LIMIT))?;
        stream.set_write_timeout(Some(OPERATOR_LIMIT))?;
        let mut line = String::new();
        BufReader::new((&stream).take(COMMAND_BYTES_MAX)).read_line(&mut line)?;
        let line = line.trim();
        let mut text = match line.strip_prefix("trace") {
            Some(words) if words.is_empty() || words.starts_with(' ') => match self.watch(words) {
                Ok(watch) => {
                    let stop = stop.clone();
                    run::spawn("trace".into(), move || show(&watch, &stream, &stop)).map_err(io::Error::other)?;
                    return Ok(());
                }
                Err(refusal) => refusal,
            },
            _ => self.carry_out(line),
        }
        .to_string();
        text.push('\n');
        (&stream).write_all(text.as_bytes())
    }

    /// Begins a trace: `call=NAME`, `peer=ADDRESS`, or everything.
    fn watch(&self, words: &str) -> Result<Watch, Value> {
        let mut filter = Filter::default();
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some(("call", name)) => filter.calls = self.call_ids(name),
                Some(("peer", address)) => {
                    let peer = trace::parse_peer(address);
                    filter.peer = Some(peer.ok_or_else(|| json!({ "error": format!("`{address}` is no address") }))?);
                }
                _ => return Err(json!({ "error": format!("`{word}` is neither call=NAME nor peer=ADDRESS") })),
            }
        }
        self.tracer.watch(filter).ok_or_else(|| json!({ "error": "as many watch as may" }))
    }

    /// The Call-IDs of a call's legs, and the name itself for legs that are still to come.
    fn call_ids(&self, name: &str) -> Vec<String> {
        let snapshots = self.ask(true);
        let rows = snapshots.iter().flat_map(|snapshot| &snapshot.calls);
        let known = rows.filter_map(|row| row.call_id_of(name)).map(str::to_owned);
        known.take(trace::CALLS_MAX).chain([name.to_owned()]).collect()
    }

    /// Ends calls, and waits a moment for the peers' answers.
    fn hang_up(&self, words: &str) -> Value {
        let Some(which) = Which::parse(words) else {
            return json!({ "error": "say `hangup all`, `hangup call NAME` or `hangup peer ADDRESS`" });
        };
        let (answer_to, answers) = mpsc::channel();
        for inbox in &self.inboxes {
            // A shard that has no room for it does not answer either.
            if inbox.hang_ups.push(HangUp { which: which.clone(), answer_to: answer_to.clone() }).is_ok() {
                inbox.wake();
            }
        }
        drop(answer_to);
        let until = clock::now() + SHARD_LIMIT;
        let next = || answers.recv_timeout(until.since(clock::now())).ok();
        let (mut hung, mut up_count) = (Vec::new(), 0);
        for answer in std::iter::from_fn(next) {
            hung.extend(answer.calls);
            up_count += answer.up_count;
        }
        if hung.is_empty() && !self.has_media {
            return hangup::refusal(up_count);
        }
        let until = clock::now() + END_LIMIT;
        let mut left: Vec<String> = hung.iter().map(|one| one.id.clone()).collect();
        while !left.is_empty() {
            let snapshots = self.ask(true);
            let is_there = |id: &String| snapshots.iter().any(|one| one.calls.iter().any(|row| row.id == *id));
            left.retain(is_there);
            if clock::now() >= until {
                break;
            }
            if !left.is_empty() {
                std::thread::sleep(END_PAUSE);
            }
        }
        Value::Array(hung.iter().map(|one| one.json(!left.contains(&one.id))).collect())
    }

    fn carry_out(&self, command: &str) -> Value {
        if let Some(words) = command.strip_prefix("hangup ") {
            return self.hang_up(words);
        }
        if let Some(words) = command.strip_prefix("record ") {
            return self.recordings.as_ref().map_or_else(
                || json!({ "error": "no call can be recorded: name a directory as `folder` of [recording], and start again" }),
                |recordings| recordings.command(words),
            );
        }
        if let Some(words) = command.strip_prefix("voice ") {
            return self.orders.as_ref().map_or_else(
                || json!({ "error": "a proxy hears no voices" }),
                |orders| voice::command(orders, words).unwrap_or_else(|why| json!({ "error": why })),
            );
        }
        match command {
            "calls" => report::calls_json(&self.ask(true)),
            "stats" => report::stats_json(&self.ask(false), self.streams.as_deref().map(Streams::counters)),
            "reload" => match self.streams.as_deref().map(run::reload_certificates) {
                Some(Err(error)) => json!({ "error": error.to_string() }),
                _ => json!({ "status": "ok" }),
            },
            "health" => {
                let uptime_s = clock::now().since(self.started_at).as_secs();
                let facts = SwitchFacts {
                    shard_count: self.inboxes.len(),
                    has_media: self.has_media,
                    uptime_s,
                    listening: &self.listening,
                };
                report::health_json(&self.ask(false), &facts)
            }
            _ => {
                json!({ "error": format!("no such command: `{command}`"), "commands": COMMANDS })
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

/// Writes what passes by until its reader, or the switch, has had enough.
fn show(watch: &Watch, mut stream: &UnixStream, stop: &Stop) {
    loop {
        let Some(text) = watch.next(WATCH_PAUSE) else { return };
        // One who watches says nothing: what can be read is the end.
        let gone = poll::readable(&[stream.as_fd(), stop.as_fd()], Some(Duration::ZERO));
        if gone[0] || gone[1] || stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_and_a_missing_folder_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signal.sock");
        let _operator = Operator::bind(&path).unwrap();
        assert!(matches!(Operator::bind(&path), Err(Error::AlreadyRunning { .. })));
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
