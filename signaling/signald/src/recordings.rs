//! Recordings by the configuration: of every call from its answer on, or of a call that an operator names. Files are opened
//! here, on threads that may wait for a disk; nothing of a name comes from a peer.

use crate::{OrderTurn, Orders};
use clock::Duration;
use contract::{RecordingEnd, RecordingLayout};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use serde_json::{Value, json};
use session::{SessionEvent, SessionId, SessionState, Sessions};
use shard_core::ShardOutput;
use shard_core::call_row::{CallRow, leg_id};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Answered calls whose recordings may wait to be begun: more than a second's calls.
const WISHES_MAX: usize = 4_096;
/// How long a shard may take to begin or end a recording that an operator waits for.
const SHARD_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
/// How often the log says that recordings could not be begun.
const TELL_AFTER: Duration = Duration::from_secs(5);
/// Files of one second and one leg that may be there already, from the life of the switch before.
const NAMES_MAX: u32 = 100;

/// How recordings are made.
pub(crate) struct Recordings {
    folder: PathBuf,
    layout: RecordingLayout,
    limit: Duration,
    orders: Orders,
}

/// A call that was answered.
struct Wish {
    shard: usize,
    id: SessionId,
}

/// Tells of the calls of a shard that have been answered, if all of them are recorded.
#[derive(Clone)]
pub(crate) struct AnsweredCalls {
    wishes: Option<Sender<Wish>>,
    left_out: Arc<AtomicU64>,
    ended_early: Arc<Told>,
}

/// What is counted, and told once in [`TELL_AFTER`].
#[derive(Default)]
struct Told {
    count: AtomicU64,
    /// When it may be told again, in milliseconds of the clock.
    again_at_ms: AtomicU64,
}

impl Told {
    /// One more; how many there were, where it is time to tell that.
    fn count(&self) -> Option<u64> {
        self.count.fetch_add(1, Relaxed);
        let (now, again) = (clock::now().as_nanos() / 1_000_000, self.again_at_ms.load(Relaxed));
        let next = now + TELL_AFTER.as_millis() as u64;
        let is_time = now >= again && self.again_at_ms.compare_exchange(again, next, Relaxed, Relaxed).is_ok();
        is_time.then(|| self.count.swap(0, Relaxed))
    }
}

/// The thread that records all calls, before it runs.
pub(crate) struct RecordsAll {
    wishes: Receiver<Wish>,
    left_out: Arc<AtomicU64>,
}

/// What the shards tell, and the thread that they tell it to; the thread ends with the last shard.
pub(crate) fn answered_calls(config: &config::Recording) -> (AnsweredCalls, Option<RecordsAll>) {
    let left_out = Arc::new(AtomicU64::new(0));
    if config.calls == config::RecordedCalls::None {
        return (AnsweredCalls { wishes: None, left_out, ended_early: Arc::default() }, None);
    }
    let (sender, wishes) = bounded(WISHES_MAX);
    let ended_early = Arc::default();
    (
        AnsweredCalls { wishes: Some(sender), left_out: left_out.clone(), ended_early },
        Some(RecordsAll { wishes, left_out }),
    )
}

impl AnsweredCalls {
    /// Looks at what happened in a turn. Of a call with two legs the caller's is recorded: it has both sides' sound.
    pub(crate) fn tell(&self, shard: usize, out: &ShardOutput, sessions: &Sessions) {
        for event in &out.events {
            match event {
                SessionEvent::StateChanged { id, new: SessionState::Connected, old, .. } => {
                    use SessionState::{Dialing, Initializing, Ringing};
                    let is_answer = matches!(old, Initializing | Dialing | Ringing);
                    let is_caller = sessions.get(*id).is_some_and(|session| !session.is_outgoing());
                    let Some(wishes) = self.wishes.as_ref().filter(|_| is_answer && is_caller) else { continue };
                    if let Err(TrySendError::Full(_)) = wishes.try_send(Wish { shard, id: *id }) {
                        self.left_out.fetch_add(1, Relaxed);
                    }
                }
                SessionEvent::RecordingEnded { id, outcome, .. } => {
                    let why = match outcome.end() {
                        RecordingEnd::Stopped | RecordingEnd::LegClosed | RecordingEnd::LimitReached => continue,
                        RecordingEnd::WriteFailed => io::Error::from_raw_os_error(outcome.os_error).to_string(),
                        other => format!("{other:?}"),
                    };
                    if let Some(count) = self.ended_early.count() {
                        tracing::warn!(
                            "{count} recording(s) ended too early or never began; the last one, of leg {}, because {why}",
                            leg_id(shard, *id)
                        );
                    }
                }
                _ => {}
            }
        }
    }
}

impl RecordsAll {
    /// Records every call that is told of, until no shard is left.
    pub(crate) fn run(self, recordings: &Recordings) {
        let (answer_to, answers) = unbounded();
        let (mut failed_count, mut told_at) = (0, clock::now() - TELL_AFTER);
        for Wish { shard, id } in self.wishes {
            let begun = recordings.begin(shard, id, answer_to.clone());
            let outcomes = begun.err().into_iter().chain(answers.try_iter().filter_map(Begun::failure));
            for why in outcomes {
                failed_count += 1;
                if clock::now().since(told_at) >= TELL_AFTER {
                    let count = failed_count + self.left_out.swap(0, Relaxed);
                    tracing::warn!("{count} call(s) could not be recorded; the last one because {why}");
                    (failed_count, told_at) = (0, clock::now());
                }
            }
        }
    }
}

/// What became of the beginning of a recording.
struct Begun {
    path: PathBuf,
    result: Result<(), session::SessionError>,
}

impl Begun {
    /// Why it did not begin; its file is taken away again.
    fn failure(self) -> Option<String> {
        let why = self.result.err()?.to_string();
        // It is empty; where it cannot be removed it does no harm.
        let _ = std::fs::remove_file(&self.path);
        Some(why)
    }
}

impl Recordings {
    /// As configured; `None`: no call can be recorded.
    pub(crate) fn new(config: &config::Recording, orders: Orders) -> Option<Self> {
        let layout = if config.is_stereo { RecordingLayout::Stereo } else { RecordingLayout::Mono };
        Some(Self { folder: config.folder.clone()?, layout, limit: config.limit, orders })
    }

    /// Opens a file and asks the shard to record into it.
    fn begin(&self, shard: usize, id: SessionId, answer_to: Sender<Begun>) -> Result<PathBuf, String> {
        let (path, file) = self.open(&leg_id(shard, id)).map_err(|error| {
            format!("no file can be made in {} ([recording] folder): {error}", self.folder.display())
        })?;
        let (layout, limit, told) = (self.layout, self.limit, path.clone());
        let order = move |order: OrderTurn<'_, '_>| {
            let result = order.sessions.start_recording(order.turn, id, file, layout, limit).map(drop);
            // The one who asked may have given up.
            let _ = answer_to.send(Begun { path: told, result });
        };
        if self.orders.send(shard, Box::new(order)).is_err() {
            let result = Err(session::SessionError::Media("the shard has too much to do"));
            return Err(Begun { path, result }.failure().unwrap_or_default());
        }
        Ok(path)
    }

    /// A new file by the time and the leg.
    fn open(&self, leg: &str) -> io::Result<(PathBuf, File)> {
        let time = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().replace([':', '-'], "");
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for number in 0..NAMES_MAX {
            let more = if number == 0 { String::new() } else { format!("-{number}") };
            let path = self.folder.join(format!("{time}-{leg}{more}.wav"));
            match OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// An operator's `record call NAME` or `record stop NAME`.
    pub(crate) fn command(&self, words: &str) -> Value {
        let done = match words.split_once(' ').map(|(what, name)| (what, name.trim())) {
            Some(("call", name)) if !name.is_empty() => self.record(name),
            Some(("stop", name)) if !name.is_empty() => self.stop(name),
            _ => Err("say `record call NAME` or `record stop NAME`".to_owned()),
        };
        done.unwrap_or_else(|why| json!({ "error": why }))
    }

    fn record(&self, name: &str) -> Result<Value, String> {
        let (shard, id) = self.find(name)?;
        let (answer_to, answers) = unbounded();
        let path = self.begin(shard, id, answer_to)?;
        let begun = answers.recv_timeout(SHARD_LIMIT).map_err(|_| "the shard does not answer".to_owned())?;
        match begun.failure() {
            Some(why) => Err(why),
            None => Ok(json!({ "id": leg_id(shard, id), "file": path })),
        }
    }

    fn stop(&self, name: &str) -> Result<Value, String> {
        let (shard, id) = self.find(name)?;
        let (answer_to, answers) = unbounded();
        let order = move |order: OrderTurn<'_, '_>| {
            // The operator may be gone.
            let _ = answer_to.send(order.sessions.stop_recording(order.turn, id).map(drop));
        };
        self.orders.send(shard, Box::new(order)).map_err(|error| error.to_string())?;
        let stopped = answers.recv_timeout(SHARD_LIMIT).map_err(|_| "the shard does not answer".to_owned())?;
        stopped.map_err(|error| error.to_string())?;
        Ok(json!({ "id": leg_id(shard, id) }))
    }

    /// The leg of this name; of a call with two legs that of its caller.
    fn find(&self, name: &str) -> Result<(usize, SessionId), String> {
        let (answer_to, answers) = unbounded();
        for shard in 0..self.orders.shard_count() {
            let (name, answer_to) = (name.to_owned(), answer_to.clone());
            let order = move |order: OrderTurn<'_, '_>| {
                let (now, sessions) = (order.turn.now, &*order.sessions);
                let named = sessions.iter().filter(|session| CallRow::of(now, shard, session).names().has(&name));
                let leg = named.min_by_key(|session| session.is_outgoing()).map(|session| session.id());
                // The operator may be gone.
                let _ = answer_to.send(leg.map(|id| (shard, id)));
            };
            // A shard without room does not answer.
            let _ = self.orders.send(shard, Box::new(order));
        }
        drop(answer_to);
        let until = clock::now() + SHARD_LIMIT;
        let next = || answers.recv_timeout(until.since(clock::now())).ok();
        std::iter::from_fn(next).flatten().next().ok_or_else(|| format!("no such call: {name}"))
    }
}
