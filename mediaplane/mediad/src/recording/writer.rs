//! The writer: one thread that empties the workers' queues into files. It alone waits for disks.

use super::packets::{Capture, PacketFiles, PacketPiece};
use super::pauses::Pauses;
use super::queues::{Done, OfferedFile, Piece, Queues, Recorder, RecordingInfo, WriterMessage, place_of};
use super::sound::Sound;
use super::tape::Scratch;
use crate::shared::Shared;
use clock::{Duration, Instant};
use contract::{ClockRate, RECORDINGS_MAX, RecordingEnd, RecordingKind, RecordingOutcome};
use media_core::TapId;
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
    packet_files: PacketFiles,
}

struct Recording {
    tap: TapId,
    info: RecordingInfo,
    content: Content,
    pauses: Pauses,
    /// When and why it ends, and the pass that heard of it: the next one has all that was on its way.
    ending: Option<(Instant, RecordingEnd, u64)>,
    error: Option<i32>,
}

/// What goes into the file.
enum Content {
    Sound(Box<Sound>),
    Packets(Capture),
}

impl<W: Fn(u8)> Writer<W> {
    pub(crate) fn new(recorder: Arc<Recorder>, wake: W) -> Self {
        Self {
            packet_files: PacketFiles::new(recorder.media_address),
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
        self.take_packets(queues, now);
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
            let is_its = |recording: &&mut Box<Recording>| recording.info.key() == offered.key && !recording.has_file();
            match self.recordings.iter_mut().flatten().find(is_its) {
                Some(recording) => recording.begin_file(offered.file, &mut self.packet_files),
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
            recording.begin_file(self.files.swap_remove(index).0.file, &mut self.packet_files);
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

    /// Takes the datagrams of captured legs.
    fn take_packets(&mut self, queues: &Queues, now: Instant) {
        let recorder = self.recorder.clone();
        for pieces in recorder.packets.by_worker() {
            let count = pieces.len();
            self.take_messages(queues, now);
            let mut taken = 0;
            // A datagram is whole before the pass ends: its pieces were pushed together.
            let mut is_inside = false;
            while taken < count || is_inside {
                let Some(piece) = pieces.pop() else { break };
                taken += 1;
                is_inside = !self.packet_files.join(&piece);
                if is_inside {
                    continue;
                }
                if self.find(piece.tap).is_none() {
                    self.take_messages(queues, now);
                }
                let recording = self.recordings.get_mut(place_of(piece.tap)).and_then(Option::as_deref_mut);
                let Some(recording) = recording.filter(|recording| recording.tap == piece.tap) else { continue };
                if recording.error.is_none() && !recording.pauses.covers(piece.at()) {
                    let done = recording.take_packet(&piece, &mut self.packet_files);
                    recording.note(done);
                }
            }
        }
    }

    fn look_after(&mut self, queues: &Queues, place: usize, now: Instant) {
        let Some(Some(recording)) = self.recordings.get_mut(place) else { return };
        let done = recording.advance(now, &mut self.scratch, &mut self.packet_files);
        recording.note(done);
        let Some((at, end)) = recording.end(now, self.pass_count, &self.packet_files) else { return };
        if recording.error.is_none() {
            let done = recording.finish(at, &mut self.scratch, &mut self.packet_files);
            recording.note(done);
        }
        let Some(mut recording) = self.recordings[place].take() else { return };
        self.running_count -= 1;
        // The file is closed before anybody hears of it.
        recording.pauses.set(at, false);
        let Recording { tap, info, .. } = *recording;
        let mut outcome = recording.outcome(end, at, &self.packet_files);
        recording.close(&mut self.packet_files);
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
        let content = match info.shape.format.kind() {
            RecordingKind::Sound => Content::Sound(Box::new(Sound::new(&info))),
            RecordingKind::Packets => Content::Packets(Capture::default()),
        };
        Self { tap, info, content, pauses: Pauses::default(), ending: None, error: None }
    }

    fn has_file(&self) -> bool {
        match &self.content {
            Content::Sound(sound) => sound.tape.has_file(),
            Content::Packets(capture) => capture.has_file(),
        }
    }

    fn begin_file(&mut self, file: File, packet_files: &mut PacketFiles) {
        let done = match &mut self.content {
            Content::Sound(sound) => sound.begin_file(&self.info, file, self.tap.0.get()),
            Content::Packets(capture) => {
                let name = format!("RTP port {}", self.info.port);
                packet_files.open(capture, file, &name, self.info.shape.continues)
            }
        };
        self.note(done);
    }

    fn take(&mut self, piece: &Piece, scratch: &mut Scratch) -> io::Result<()> {
        let is_silent = self.pauses.covers(piece.at);
        match &mut self.content {
            Content::Sound(sound) => sound.take(piece, is_silent, scratch),
            Content::Packets(_) => Ok(()),
        }
    }

    fn take_packet(&mut self, last: &PacketPiece, packet_files: &mut PacketFiles) -> io::Result<()> {
        match &mut self.content {
            Content::Packets(capture) => packet_files.add(capture, last),
            Content::Sound(_) => Ok(()),
        }
    }

    /// Writes what is due.
    fn advance(&mut self, now: Instant, scratch: &mut Scratch, packet_files: &mut PacketFiles) -> io::Result<()> {
        match &mut self.content {
            Content::Sound(sound) => {
                let until = sound.samples_until(now);
                sound.tape.advance(until, scratch)
            }
            Content::Packets(capture) => packet_files.advance(capture, now),
        }
    }

    /// Writes the rest, up to this time.
    fn finish(&mut self, at: Instant, scratch: &mut Scratch, packet_files: &mut PacketFiles) -> io::Result<()> {
        match &mut self.content {
            Content::Sound(sound) => {
                let until = sound.samples_until(at);
                sound.tape.finish(until, scratch)
            }
            Content::Packets(capture) => packet_files.finish(capture),
        }
    }

    /// Closes its file.
    fn close(mut self: Box<Self>, packet_files: &mut PacketFiles) {
        if let Content::Packets(capture) = &mut self.content {
            packet_files.close(capture);
        }
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
    fn end(&self, now: Instant, pass: u64, packet_files: &PacketFiles) -> Option<(Instant, RecordingEnd)> {
        let is_missing = !self.has_file() && now - self.info.began_at > FILE_LIMIT;
        match self.ending {
            _ if self.error.is_some() => Some((now, RecordingEnd::WriteFailed)),
            _ if self.is_full(now, packet_files) => Some((now, RecordingEnd::LimitReached)),
            _ if is_missing => Some((now, RecordingEnd::NoFile)),
            Some((at, end, heard_in)) if heard_in < pass && self.has_file() => Some((at, end)),
            _ => None,
        }
    }

    /// Whether it is as long, or its file as large, as it may be.
    fn is_full(&self, now: Instant, packet_files: &PacketFiles) -> bool {
        let most = self.info.shape.file_bytes_max();
        match &self.content {
            Content::Sound(sound) => sound.tape.is_full() || sound.tape.file_bytes() >= most,
            Content::Packets(capture) => {
                let is_long = now.since(self.info.began_at) >= Duration::from_secs(self.info.limit_s.into());
                is_long || packet_files.file_bytes(capture) >= most
            }
        }
    }

    fn outcome(&self, end: RecordingEnd, at: Instant, packet_files: &PacketFiles) -> RecordingOutcome {
        let end = if self.error.is_some() { RecordingEnd::WriteFailed } else { end };
        let (paused_ms, os_error) = (self.pauses.total_ms(), self.error.unwrap_or(0));
        let outcome = RecordingOutcome { paused_ms, os_error, ..RecordingOutcome::new(end) };
        match &self.content {
            Content::Sound(sound) => sound.describe(outcome),
            Content::Packets(capture) => {
                let [received_packets, sent_packets] = capture.packets();
                let clock_rate = ClockRate::default();
                let sample_count = clock_rate.ticks(at.since(self.info.began_at));
                let file_bytes = packet_files.file_bytes(capture);
                RecordingOutcome { sample_count, file_bytes, received_packets, sent_packets, clock_rate, ..outcome }
            }
        }
    }
}
