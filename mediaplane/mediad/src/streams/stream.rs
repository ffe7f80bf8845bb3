//! One stream: its socket, and what passes through it.

use super::hearing::{FRAME_SAMPLES_MAX, Hearing};
use super::queues::{Arrival, Piece};
use super::speaking::{Passed, Speaking};
use clock::{Duration, Instant};
use contract::{
    LegRef, MediaMessage, ProgramMessage, STREAM_FRAME_MS, STREAM_MESSAGE_BYTES_MAX, StreamEnd, StreamRate,
    StreamTrack, StreamTracks,
};
use media_core::{Program, ProgramState, Side};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use shm::ClientLife;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

/// Frames of a program that reads too slowly; the oldest give way.
const FRAMES_WAITING_MAX: usize = 50;
/// Messages of one program that are taken before the others get their turn.
const PASS_MESSAGES: usize = 128;
/// Answers that wait for a program which reads nothing: with more the stream ends.
const ANSWERS_MAX: usize = 2_048;
/// Room of the socket for a program that reads late: some 20 frames. What is older is dropped here, where it is counted.
const SOCKET_BYTES: usize = 32 * 1_024;
/// A program that was so late with all of its frames is given none of them: a thread without processor time does not burst.
const CATCH_UP_FRAMES: u64 = 5;

/// What a stream is to be.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    rate: StreamRate,
    pub(super) tracks: StreamTracks,
    pub(super) speaks: bool,
}

/// A stream of a leg.
pub(super) struct Stream {
    pub(super) client: ClientLife,
    pub(super) leg: LegRef,
    pub(super) program: Arc<Program>,
    pub(super) since: Instant,
    plan: Plan,
    socket: File,
    is_started: bool,
    /// What the leg receives, then what it sends.
    hearing: [Hearing; 2],
    next_frame_at: Instant,
    position: u64,
    speaking: Speaking,
    /// Frames that wait for the program, with their track and position.
    frames: VecDeque<(StreamTrack, u64, Box<[u8]>)>,
    lost: u32,
    answers: VecDeque<Answer>,
    told_taken: u64,
}

enum Answer {
    Started,
    Mark(Passed),
}

/// The first message of a socket; `None`: it has not come yet.
pub(super) fn read_plan(arrival: &Arrival) -> Result<Option<Plan>, StreamEnd> {
    let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
    match recv(&arrival.socket, &mut bytes[..], RecvFlags::DONTWAIT) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(_) => Err(StreamEnd::BadMessage),
        Ok((count, _)) => match ProgramMessage::read(&bytes[..count.min(bytes.len())]) {
            Ok(ProgramMessage::Begin { rate, tracks, speaks }) => Ok(Some(Plan { rate, tracks, speaks })),
            Ok(_) | Err(_) => Err(StreamEnd::BadMessage),
        },
    }
}

/// Tells a program why it has no stream any more; it may not listen.
pub(super) fn tell_end(socket: &File, end: StreamEnd) {
    let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
    let _ = send(socket, MediaMessage::Ended(end).write(&mut bytes), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

impl Stream {
    pub(super) fn new(arrival: Arrival, plan: Plan, program: Arc<Program>, now: Instant) -> Self {
        let Arrival { client, leg, socket } = arrival;
        // With the kernel's own size a late program only hears older frames.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES);
        Self {
            client,
            leg,
            program,
            since: now,
            plan,
            socket,
            is_started: false,
            hearing: [Hearing::new(plan.rate), Hearing::new(plan.rate)],
            next_frame_at: now,
            position: 0,
            speaking: Speaking::new(plan.rate),
            frames: VecDeque::new(),
            lost: 0,
            answers: VecDeque::new(),
            told_taken: 0,
        }
    }

    /// Takes a packet of the leg.
    pub(super) fn hear(&mut self, piece: &Piece) {
        let side = usize::from(piece.side == Side::Sent);
        self.hearing[side].take(piece);
    }

    /// Everything that is due; the reason where the stream is over.
    pub(super) fn pass(&mut self, now: Instant) -> Result<(), Over> {
        match self.program.state() {
            ProgramState::Waiting => return Ok(()),
            ProgramState::Connected if !self.is_started => {
                (self.is_started, self.next_frame_at) = (true, now);
                self.answers.push_back(Answer::Started);
            }
            ProgramState::Connected => {}
            ProgramState::LegClosed if self.is_started => return Err(Over::Told(StreamEnd::LegClosed)),
            ProgramState::LegClosed => return Err(Over::Told(StreamEnd::NoSuchLeg)),
            ProgramState::Refused => return Err(Over::Told(StreamEnd::AlreadyRunning)),
            ProgramState::Over => return Err(Over::HungUp),
        }
        self.take_messages()?;
        self.speaking.feed(&self.program);
        let mut passed = Vec::new();
        self.speaking.tell_heard(&self.program, &mut passed);
        self.answers.extend(passed.into_iter().map(Answer::Mark));
        if self.answers.len() > ANSWERS_MAX {
            return Err(Over::Told(StreamEnd::BadMessage));
        }
        self.make_frames(now);
        self.send_messages()
    }

    fn take_messages(&mut self) -> Result<(), Over> {
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX + 1];
        for _ in 0..PASS_MESSAGES {
            let count = match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(_) | Ok((0, _)) => return Err(Over::HungUp),
                Ok((count, _)) => count.min(bytes.len()),
            };
            let is_sound = match ProgramMessage::read(&bytes[..count]) {
                Ok(ProgramMessage::Sound(samples)) => {
                    let is_frame = self.plan.speaks && samples.len() == 2 * self.plan.rate.frame_samples();
                    if is_frame {
                        self.speaking.take(samples);
                    }
                    is_frame
                }
                Ok(ProgramMessage::Mark(number)) => self.speaking.mark(number),
                Ok(ProgramMessage::Flush) => {
                    let mut passed = Vec::new();
                    self.speaking.flush(&self.program, &mut passed);
                    self.answers.extend(passed.into_iter().map(Answer::Mark));
                    true
                }
                Ok(ProgramMessage::Pause) => {
                    self.program.set_paused(true);
                    true
                }
                Ok(ProgramMessage::Resume) => {
                    self.program.set_paused(false);
                    true
                }
                Ok(ProgramMessage::Begin { .. }) | Err(_) => false,
            };
            if !is_sound {
                return Err(Over::Told(StreamEnd::BadMessage));
            }
        }
        Ok(())
    }

    /// The frames whose time has come.
    fn make_frames(&mut self, now: Instant) {
        if self.plan.tracks == StreamTracks::None {
            return;
        }
        let length = Duration::from_millis(STREAM_FRAME_MS.into());
        let due = (now.since(self.next_frame_at).as_millis() as u64 / u64::from(STREAM_FRAME_MS)) + 1;
        if now < self.next_frame_at {
            return;
        }
        if due > CATCH_UP_FRAMES {
            let skipped = due - CATCH_UP_FRAMES;
            let tracks = if self.plan.tracks == StreamTracks::Both { 2 } else { 1 };
            self.lost = self.lost.saturating_add((skipped * tracks).min(u64::from(u32::MAX)) as u32);
            self.position += skipped;
            self.next_frame_at += length * skipped as u32;
        }
        for _ in 0..due.min(CATCH_UP_FRAMES) {
            self.make_frame();
            self.position += 1;
            self.next_frame_at += length;
        }
    }

    fn make_frame(&mut self) {
        let at = self.next_frame_at;
        let mut samples = [[0; FRAME_SAMPLES_MAX]; 2];
        let [received, sent] = samples.each_mut().map(|side| &mut side[..self.plan.rate.frame_samples()]);
        let tracks = self.plan.tracks;
        if tracks.has_received() {
            self.hearing[0].frame(at, received);
        }
        if tracks.has_sent() {
            self.hearing[1].frame(at, sent);
        }
        match tracks {
            StreamTracks::None => {}
            StreamTracks::Received => self.push_frame(StreamTrack::Received, received),
            StreamTracks::Sent => self.push_frame(StreamTrack::Sent, sent),
            StreamTracks::Both => {
                self.push_frame(StreamTrack::Received, received);
                self.push_frame(StreamTrack::Sent, sent);
            }
            StreamTracks::Mixed => {
                received.iter_mut().zip(sent).for_each(|(one, other)| *one = one.saturating_add(*other));
                self.push_frame(StreamTrack::Mixed, received);
            }
        }
    }

    fn push_frame(&mut self, track: StreamTrack, samples: &[i16]) {
        if self.frames.len() == FRAMES_WAITING_MAX {
            self.frames.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        let bytes = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.frames.push_back((track, self.position, bytes));
    }

    fn send_messages(&mut self) -> Result<(), Over> {
        while let Some(answer) = self.answers.front() {
            let message = match answer {
                Answer::Started => MediaMessage::Started,
                Answer::Mark(Passed { number, is_heard }) => {
                    MediaMessage::Mark { number: *number, is_heard: *is_heard }
                }
            };
            if !self.send(&message)? {
                return Ok(());
            }
            self.answers.pop_front();
        }
        let taken = self.speaking.taken();
        if taken != self.told_taken {
            if !self.send(&MediaMessage::Taken(taken))? {
                return Ok(());
            }
            self.told_taken = taken;
        }
        while let Some((track, position, samples)) = self.frames.front() {
            let (track, position, lost) = (*track, *position, self.lost);
            if !self.send(&MediaMessage::Sound { track, position, lost, samples })? {
                return Ok(());
            }
            self.frames.pop_front();
        }
        Ok(())
    }

    /// `false`: the socket has no room now.
    fn send(&self, message: &MediaMessage<'_>) -> Result<bool, Over> {
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
        match send(&self.socket, message.write(&mut bytes), SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(false),
            Err(_) => Err(Over::HungUp),
        }
    }

    /// The stream is over.
    pub(super) fn end(self, over: Over) {
        self.program.set_state(ProgramState::Over);
        if let Over::Told(end) = over {
            tell_end(&self.socket, end);
        }
    }
}

/// Why a stream is over.
#[derive(Clone, Copy)]
pub(super) enum Over {
    /// The program has closed its socket, or died.
    HungUp,
    /// By the media plane, which tells the program.
    Told(StreamEnd),
}
