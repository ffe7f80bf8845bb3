//! What a shard tells of recordings: calls that have been answered, and recordings that are over.

use super::running::{RecordingName, RunningRecordings};
use super::too_many;
use crate::recordings::Keeper;
use clock::Duration;
use contract::{RecordingEnd, RecordingKind, RecordingOutcome};
use crossbeam::channel::{Sender, unbounded};
use session::{Session, SessionEvent, SessionId, SessionState, Sessions};
use shard_core::ShardOutput;
use shard_core::call_row::leg_id;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Answered calls whose recordings may wait to be begun: more than a second's calls.
const ANSWERED_MAX: usize = 4_096;
/// How often the log says that recordings could not be begun.
pub(super) const TELL_AFTER: Duration = Duration::from_secs(5);

/// What the keeper of recordings is told.
pub(super) enum Wish {
    /// A call was answered; this is its caller's leg.
    Answered { shard: usize, leg: SessionId },
    /// A leg is connected with one whose packets are captured.
    Joined { shard: usize, leg: SessionId, captured: SessionId },
    /// A recording is over.
    Over {
        name: RecordingName,
        end: RecordingEnd,
        /// The other party of its leg, which goes on in the call.
        goes_on: Option<SessionId>,
    },
}

/// Looks at the events of a shard for the keeper of recordings.
#[derive(Clone)]
pub(crate) struct RecordingWatch {
    /// `None`: no call can be recorded.
    wishes: Option<Sender<Wish>>,
    records_all: bool,
    /// Users whose calls are recorded because that is what they are for.
    users: Arc<BTreeSet<String>>,
    left_out: Arc<Told>,
    ended_early: Arc<Told>,
    running: Arc<RunningRecordings>,
    /// The recorded legs of the shard.
    recorded: HashMap<SessionId, RecordedLeg>,
}

#[derive(Clone, Copy, Default)]
struct RecordedLeg {
    /// The leg that it has heard last.
    partner: Option<SessionId>,
    /// Its recordings whose end is not known.
    recording_count: u8,
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

/// The user of a SIP URI.
fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user)
}

impl RecordingWatch {
    /// A watch for each shard to clone, and the thread that it tells; the thread ends with the last shard.
    pub(crate) fn new(config: &config::Config) -> (Self, Option<Keeper>) {
        let records = |(name, word): &(String, config::Word)| (*word == config::Word::Record).then(|| name.clone());
        let is_called_here = config.sip.mode == config::Mode::Numbers;
        let users = config.media.words.numbers.iter().filter_map(records).filter(|_| is_called_here).collect();
        let config = &config.recording;
        let (sender, wishes) = unbounded();
        let can_record = config.folder.is_some();
        let watch = Self {
            wishes: can_record.then_some(sender),
            records_all: config.calls == config::RecordedCalls::All,
            users: Arc::new(users),
            left_out: Arc::default(),
            ended_early: Arc::default(),
            running: Arc::default(),
            recorded: HashMap::new(),
        };
        (watch, can_record.then(|| Keeper::new(wishes)))
    }

    pub(super) fn running(&self) -> Arc<RunningRecordings> {
        self.running.clone()
    }

    /// Looks at what happened in a turn. Gives the number of calls that are not recorded for want of room.
    pub(crate) fn tell(&mut self, shard: usize, out: &ShardOutput, sessions: &Sessions) -> u64 {
        let mut left_out_count = 0;
        let Some(wishes) = self.wishes.clone().filter(|_| !out.events.is_empty()) else { return 0 };
        for event in &out.events {
            match event {
                SessionEvent::StateChanged { id, new: SessionState::Connected, old, .. } => {
                    use SessionState::{Dialing, Initializing, Ringing};
                    let Some(session) = sessions.get(*id) else { continue };
                    self.look_at_link(&wishes, (shard, session), sessions);
                    // Of a call with two legs the caller's is recorded: it has both sides' sound.
                    let is_answer = matches!(old, Initializing | Dialing | Ringing);
                    let is_wanted = self.records_all || self.users.contains(user_of(&session.parties().to));
                    if is_wanted && is_answer && !session.is_outgoing() {
                        left_out_count += u64::from(!self.answered(&wishes, shard, *id));
                    }
                }
                SessionEvent::RecordingStarted { id, .. } => {
                    let recorded = self.recorded.entry(*id).or_default();
                    recorded.recording_count += 1;
                    recorded.partner = sessions.get(*id).and_then(Session::linked_to).or(recorded.partner);
                }
                SessionEvent::RecordingEnded { id, recording, outcome } => {
                    let goes_on = self.recording_ended(*id).filter(|partner| {
                        let partner = sessions.get(*partner);
                        partner.is_some_and(|partner| !partner.state().is_ending())
                    });
                    // The keeper's thread is there as long as a shard is.
                    let _ = wishes.send(Wish::Over { name: (shard, *recording), end: outcome.end(), goes_on });
                    self.warn(shard, *id, outcome);
                }
                _ => {}
            }
        }
        left_out_count
    }

    /// Whether the recording of a call that was answered is on its way.
    fn answered(&self, wishes: &Sender<Wish>, shard: usize, leg: SessionId) -> bool {
        let has_room = wishes.len() < ANSWERED_MAX && !self.running.is_full();
        let is_told = has_room && wishes.send(Wish::Answered { shard, leg }).is_ok();
        if !is_told && let Some(count) = self.left_out.count() {
            tracing::warn!("{count} call(s) are not recorded: {}", too_many());
        }
        is_told
    }

    /// One of the recordings of a leg is over; gives the leg that it has heard last.
    fn recording_ended(&mut self, leg: SessionId) -> Option<SessionId> {
        let recorded = self.recorded.get_mut(&leg)?;
        recorded.recording_count = recorded.recording_count.saturating_sub(1);
        let RecordedLeg { partner, recording_count } = *recorded;
        if recording_count == 0 {
            self.recorded.remove(&leg);
        }
        partner
    }

    /// A leg is connected, maybe with one that is recorded.
    fn look_at_link(&mut self, wishes: &Sender<Wish>, (shard, session): (usize, &Session), sessions: &Sessions) {
        let Some(linked) = session.linked_to().filter(|_| !self.recorded.is_empty()) else { return };
        if let Some(recorded) = self.recorded.get_mut(&session.id()) {
            recorded.partner = Some(linked);
        }
        let Some(recorded) = self.recorded.get_mut(&linked) else { return };
        recorded.partner = Some(session.id());
        let is_captured = |session: &Session| session.recording(RecordingKind::Packets).is_some();
        if sessions.get(linked).is_some_and(is_captured) && !is_captured(session) {
            let joined = Wish::Joined { shard, leg: session.id(), captured: linked };
            // The keeper's thread is there as long as a shard is.
            let _ = wishes.send(joined);
        }
    }

    fn warn(&self, shard: usize, leg: SessionId, outcome: &RecordingOutcome) {
        let why = match outcome.end() {
            RecordingEnd::Stopped | RecordingEnd::LegClosed | RecordingEnd::LimitReached => return,
            RecordingEnd::WriteFailed => io::Error::from_raw_os_error(outcome.os_error).to_string(),
            other => format!("{other:?}"),
        };
        if let Some(count) = self.ended_early.count() {
            tracing::warn!(
                "{count} recording(s) ended too early or never began; the last one, of leg {}, because {why}",
                leg_id(shard, leg)
            );
        }
    }
}
