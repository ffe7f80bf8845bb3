//! The thread that begins recordings of all calls, and goes on with those whose leg is gone.

use super::running::{RecordingName, Running};
use super::watch::{TELL_AFTER, Wish};
use super::{Recordings, Start, discard};
use clock::Instant;
use config::RecordedContents;
use contract::{RecordingEnd, RecordingFormat, RecordingKind, RecordingLayout, RecordingShape};
use crossbeam::channel::{Receiver, Sender, unbounded};
use session::SessionId;

/// The thread, before it runs.
pub(crate) struct Keeper {
    wishes: Receiver<Wish>,
}

impl Keeper {
    pub(super) fn new(wishes: Receiver<Wish>) -> Self {
        Self { wishes }
    }

    /// Does what the shards tell of, until none is left.
    pub(crate) fn run(self, recordings: &Recordings) {
        let (answer_to, answers) = unbounded();
        let mut failures = Failures { count: 0, told_at: clock::now() - TELL_AFTER };
        for wish in self.wishes {
            let done = match wish {
                Wish::Answered { shard, leg } => recordings.record_all_of(shard, leg, &answer_to),
                Wish::Joined { shard, leg, captured } => recordings.capture_also(shard, leg, captured, &answer_to),
                Wish::Over { name, end, goes_on } => recordings.over(name, end, goes_on, &answer_to),
            };
            let begun = answers.try_iter().filter_map(super::Begun::failure);
            let outcomes: Vec<String> = done.err().into_iter().chain(begun).collect();
            outcomes.into_iter().for_each(|why| failures.add(&why));
        }
    }
}

/// What the log is told now and then.
struct Failures {
    count: u64,
    told_at: Instant,
}

impl Failures {
    fn add(&mut self, why: &str) {
        self.count += 1;
        if clock::now().since(self.told_at) >= TELL_AFTER {
            tracing::warn!("{} call(s) could not be recorded; the last one because {why}", self.count);
            (self.count, self.told_at) = (0, clock::now());
        }
    }
}

type Answers = Sender<super::Begun>;

impl Recordings {
    /// A call was answered, and all are recorded.
    fn record_all_of(&self, shard: usize, leg: SessionId, answer_to: &Answers) -> Result<(), String> {
        if self.contents.has_sound() {
            self.begin((shard, vec![leg]), RecordingKind::Sound, answer_to.clone())?;
        }
        if self.contents != RecordedContents::Sound {
            self.capture((shard, leg), answer_to.clone())?;
        }
        Ok(())
    }

    /// A leg has come to one whose packets are captured: its own go into the same file.
    fn capture_also(
        &self,
        shard: usize,
        leg: SessionId,
        captured: SessionId,
        answer_to: &Answers,
    ) -> Result<(), String> {
        let Some((path, file)) = self.running.capture_of(shard, captured) else { return Ok(()) };
        self.running.claim(1)?;
        let shape = RecordingFormat::Pcapng.into();
        self.start(Start { shard, legs: vec![leg], path, file, shape, is_shared: true }, answer_to.clone())
    }

    /// A recording is over. Where the other party of its leg goes on, so does the recording.
    fn over(
        &self,
        name: RecordingName,
        end: RecordingEnd,
        goes_on: Option<SessionId>,
        answer_to: &Answers,
    ) -> Result<(), String> {
        let Some(Running { kind, layout, path, file, .. }) = self.running.remove(name) else { return Ok(()) };
        if !end.has_begun() && !self.running.uses(&path) && file.metadata().is_ok_and(|facts| facts.len() == 0) {
            discard(&path);
        }
        let is_sound = kind == RecordingKind::Sound;
        let Some(leg) = goes_on.filter(|_| end == RecordingEnd::LegClosed && is_sound) else { return Ok(()) };
        // The party that goes on keeps its channel: seen from its leg it is the one that is received.
        let layout = match layout {
            RecordingLayout::Stereo => RecordingLayout::Reversed,
            RecordingLayout::Reversed => RecordingLayout::Stereo,
            other => other,
        };
        self.running.claim(1)?;
        let shape = RecordingShape { continues: true, ..layout.into() };
        let start = Start { shard: name.0, legs: vec![leg], path, file, shape, is_shared: true };
        self.start(start, answer_to.clone())
    }
}
