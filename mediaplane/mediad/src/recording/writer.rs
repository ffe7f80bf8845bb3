//! The writer: one thread that empties the workers' queues into files. It alone waits for disks.

use super::direction::{Direction, Placed};
use super::queues::{Done, OfferedFile, Piece, Queues, Recorder, RecordingInfo, WriterMessage, place_of};
use super::tape::{Scratch, Tape};
use crate::shared::Shared;
use clock::{Duration, Instant};
use contract::{RECORDINGS_MAX, RecordingEnd, RecordingOutcome};
use media_core::{Side, TapId};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// While something is recorded, the queues are emptied this often.
const PASS_EVERY: Duration = Duration::from_millis(10);
/// How long a recording waits for its file, or a file for its recording.
const FILE_LIMIT: Duration = Duration::from_secs(2);
/// A full disk, where the system gives no number.
const EIO: i32 = 5;

/// The thread. It ends when the recorder is stopped, after everything is in its file.
pub(crate) fn run(shared: &Shared) {
    shared.recorder.set_writer(std::thread::current());
    let wake = |worker| shared.host.wake_worker(shm::WorkerIndex(worker));
    let mut writer = Writer::new(shared.recorder.clone(), wake);
    loop {
        let is_last = shared.recorder.is_stopping();
        writer.pass(clock::now());
        if is_last {
            return writer.end_all(clock::now());
        }
        if writer.is_idle() { std::thread::park() } else { std::thread::park_timeout(PASS_EVERY) }
    }
}

/// Empties the queues of a recorder into files. `wake` wakes a worker that has an outcome to tell.
pub(crate) struct Writer<W> {
    recorder: Arc<Recorder>,
    wake: W,
    /// By place.
    recordings: Vec<Option<Box<Recording>>>,
    running_count: usize,
    /// Files whose recording has not begun yet.
    files: Vec<(OfferedFile, Instant)>,
    /// Outcomes that their worker had no room for.
    outcomes: VecDeque<Done>,
    pass_count: u64,
    scratch: Scratch,
}

/// Pauses that are remembered.
const PAUSES_KEPT: usize = 8;

/// When a recording is paused. Packets come to the writer a little later than the word about it, so the last pauses that
/// are over are remembered.
#[derive(Default)]
struct Pauses {
    since: Option<Instant>,
    before: [Option<(Instant, Instant)>; PAUSES_KEPT],
    /// Of those that are over.
    total: Duration,
}

impl Pauses {
    fn set(&mut self, at: Instant, is_paused: bool) {
        match (self.since, is_paused) {
            (None, true) => self.since = Some(at),
            (Some(since), false) => {
                self.total += at.since(since);
                self.since = None;
                self.before.rotate_right(1);
                self.before[0] = Some((since, at));
            }
            _ => {}
        }
    }

    fn covers(&self, at: Instant) -> bool {
        self.since.is_some_and(|since| at >= since)
            || self.before.iter().flatten().any(|(from, to)| at >= *from && at < *to)
    }

    fn total_ms(&self) -> u32 {
        u32::try_from(self.total.as_millis()).unwrap_or(u32::MAX)
    }
}

struct Recording {
    tap: TapId,
    info: RecordingInfo,
    tape: Tape,
    /// What the leg receives, then what it sends.
    directions: [Direction; 2],
    late_packets: u64,
    pauses: Pauses,
    /// When and why it ends, and the pass that heard of it: the next one has all that was on its way.
    ending: Option<(Instant, RecordingEnd, u64)>,
    error: Option<i32>,
}

impl<W: Fn(u8)> Writer<W> {
    pub(crate) fn new(recorder: Arc<Recorder>, wake: W) -> Self {
        Self {
            recorder,
            wake,
            recordings: Vec::new(),
            running_count: 0,
            files: Vec::new(),
            outcomes: VecDeque::new(),
            pass_count: 0,
            scratch: Scratch::default(),
        }
    }

    /// Whether there is nothing to do until the next wake-up.
    pub(crate) fn is_idle(&self) -> bool {
        self.running_count == 0 && self.files.is_empty() && self.outcomes.is_empty()
    }

    pub(crate) fn pass(&mut self, now: Instant) {
        let recorder = self.recorder.clone();
        let Some(queues) = recorder.started_queues() else { return };
        self.pass_count += 1;
        self.take_files(now);
        self.take_messages(queues, now);
        for pieces in &queues.pieces {
            // What comes meanwhile is for the next pass; a pause was told before what comes after it.
            let count = pieces.len();
            self.take_messages(queues, now);
            for _ in 0..count {
                let Some(piece) = pieces.pop() else { break };
                if self.find(piece.tap).is_none() {
                    self.take_messages(queues, now);
                }
                self.take_piece(&piece);
            }
        }
        for place in 0..self.recordings.len() {
            self.look_after(queues, place, now);
        }
        self.tell(queues);
    }

    /// Everything that still runs ends now.
    pub(super) fn end_all(&mut self, now: Instant) {
        for recording in self.recordings.iter_mut().flatten() {
            recording.ending.get_or_insert((now, RecordingEnd::LegClosed, 0));
        }
        self.pass(now);
    }

    fn take_files(&mut self, now: Instant) {
        self.files.retain(|(_, since)| now - *since < FILE_LIMIT);
        for offered in self.recorder.take_files() {
            let is_its =
                |recording: &&mut Box<Recording>| recording.info.key() == offered.key && !recording.tape.has_file();
            match self.recordings.iter_mut().flatten().find(is_its) {
                Some(recording) => recording.begin_file(offered.file),
                None if self.files.len() < RECORDINGS_MAX => self.files.push((offered, now)),
                None => tracing::warn!("too many files wait for recordings; one is given up"),
            }
        }
    }

    fn take_messages(&mut self, queues: &Queues, now: Instant) {
        // A file comes before its recording begins.
        self.take_files(now);
        while let Some(message) = queues.messages.pop() {
            match message {
                WriterMessage::Begin(tap, info) => self.begin(tap, info),
                WriterMessage::Pause(tap, at, is_paused) => {
                    if let Some(recording) = self.find(tap) {
                        recording.pauses.set(at, is_paused);
                    }
                }
                WriterMessage::End(tap, at, end) => {
                    let pass = self.pass_count;
                    if let Some(recording) = self.find(tap) {
                        recording.ending.get_or_insert((at, end, pass));
                    }
                }
            }
        }
    }

    fn begin(&mut self, tap: TapId, info: RecordingInfo) {
        let place = place_of(tap);
        if self.recordings.len() <= place {
            self.recordings.resize_with(place + 1, || None);
        }
        let mut recording = Box::new(Recording::new(tap, info));
        if let Some(index) = self.files.iter().position(|(offered, _)| offered.key == info.key()) {
            recording.begin_file(self.files.swap_remove(index).0.file);
        }
        self.running_count += 1;
        self.recordings[place] = Some(recording);
    }

    fn find(&mut self, tap: TapId) -> Option<&mut Recording> {
        self.recordings.get_mut(place_of(tap))?.as_deref_mut().filter(|recording| recording.tap == tap)
    }

    fn take_piece(&mut self, piece: &Piece) {
        let recording = self.recordings.get_mut(place_of(piece.tap)).and_then(Option::as_deref_mut);
        // A recording that has failed is no longer there.
        let Some(recording) = recording.filter(|recording| recording.tap == piece.tap) else { return };
        let done = recording.take(piece, &mut self.scratch);
        recording.note(done);
    }

    fn look_after(&mut self, queues: &Queues, place: usize, now: Instant) {
        let Some(Some(recording)) = self.recordings.get_mut(place) else { return };
        let done = recording.tape.advance(recording.samples_until(now), &mut self.scratch);
        recording.note(done);
        let Some((at, end)) = recording.end(now, self.pass_count) else { return };
        let until = recording.samples_until(at);
        if recording.error.is_none() {
            let done = recording.tape.finish(until, &mut self.scratch);
            recording.note(done);
        }
        let Some(mut recording) = self.recordings[place].take() else { return };
        self.running_count -= 1;
        // The file is closed before anybody hears of it.
        recording.pauses.set(at, false);
        let Recording { tap, info, .. } = *recording;
        let mut outcome = recording.outcome(end);
        drop(recording);
        outcome.overflow_packets = queues.release(tap);
        self.outcomes.push_back(Done { info, tap, outcome });
        if self.running_count == 0 {
            (self.recordings, self.scratch) = (Vec::new(), Scratch::default());
        }
    }

    fn tell(&mut self, queues: &Queues) {
        for _ in 0..self.outcomes.len() {
            let Some(done) = self.outcomes.pop_front() else { return };
            let worker = done.info.worker;
            let Some(outcomes) = queues.outcomes.get(usize::from(worker)) else { continue };
            match outcomes.push(done) {
                Ok(()) => (self.wake)(worker),
                Err(done) => self.outcomes.push_back(done),
            }
        }
    }
}

impl Recording {
    fn new(tap: TapId, info: RecordingInfo) -> Self {
        let limit = Duration::from_secs(info.limit_s.into());
        Self {
            tap,
            info,
            tape: Tape::new(info.shape, info.clock, limit),
            directions: [Direction::new(info.clock), Direction::new(info.clock)],
            late_packets: 0,
            pauses: Pauses::default(),
            ending: None,
            error: None,
        }
    }

    fn begin_file(&mut self, file: File) {
        let done = self.tape.set_file(file, self.tap.0.get());
        self.note(done);
    }

    fn samples_until(&self, at: Instant) -> u64 {
        self.info.clock.ticks(at.since(self.info.began_at))
    }

    fn take(&mut self, piece: &Piece, scratch: &mut Scratch) -> io::Result<()> {
        let channel = match piece.side {
            Side::Received => 0,
            Side::Sent => 1,
        };
        let Some(direction) = self.directions.get_mut(channel) else { return Ok(()) };
        let Some(Placed { at, sound }) = direction.take(piece, self.info.began_at) else { return Ok(()) };
        if self.pauses.covers(piece.at) {
            return Ok(());
        }
        let in_time = self.tape.place(channel, at, sound.iter().copied(), scratch)?;
        self.late_packets += u64::from(!in_time && piece.is_first);
        Ok(())
    }

    /// The first error of the file is the reason of the end.
    fn note(&mut self, done: io::Result<()>) {
        if let Err(error) = done
            && self.error.is_none()
        {
            let (port, shape) = (self.info.port, self.info.shape);
            tracing::warn!("the recording ({shape:?}) of port {port} ends: {error}");
            self.error = Some(error.raw_os_error().unwrap_or(EIO));
        }
    }

    /// Whether it is over, since when and why.
    fn end(&self, now: Instant, pass: u64) -> Option<(Instant, RecordingEnd)> {
        let is_missing = !self.tape.has_file() && now - self.info.began_at > FILE_LIMIT;
        match self.ending {
            _ if self.error.is_some() => Some((now, RecordingEnd::WriteFailed)),
            _ if self.tape.is_full() => Some((now, RecordingEnd::LimitReached)),
            _ if is_missing => Some((now, RecordingEnd::NoFile)),
            Some((at, end, heard_in)) if heard_in < pass && self.tape.has_file() => Some((at, end)),
            _ => None,
        }
    }

    fn outcome(&self, end: RecordingEnd) -> RecordingOutcome {
        let [received, sent] = &self.directions;
        let end = if self.error.is_some() { RecordingEnd::WriteFailed } else { end };
        RecordingOutcome {
            sample_count: self.tape.sample_count(),
            file_bytes: self.tape.file_bytes(),
            received_packets: received.packets(),
            sent_packets: sent.packets(),
            received_lost_packets: received.lost(),
            sent_lost_packets: sent.lost(),
            late_packets: self.late_packets,
            undecoded_packets: received.undecoded_packets + sent.undecoded_packets,
            paused_ms: self.pauses.total_ms(),
            clock_rate: self.info.clock,
            os_error: self.error.unwrap_or(0),
            ..RecordingOutcome::new(end)
        }
    }
}
