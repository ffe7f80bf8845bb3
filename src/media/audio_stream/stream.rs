//! A stream of audio in the program: the socket to the media plane, and what waits on this side of it.

use super::options::{AudioStreamOptions, AudioTrack};
use super::state::{State, Taken};
use crate::api::{
    EventClass, EventFilter, EventKind, Receiver, SessionCoordinator, SessionError, SessionEvent, SessionId,
};
use contract::{MediaMessage, ProgramMessage, STREAM_MESSAGE_BYTES_MAX, StreamEnd, StreamRate};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use signald::OrderTurn;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long the media plane may take to connect a stream.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Marks that wait to be heard, at most.
const MARKS_MAX: usize = 1_000;

/// 20 ms of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioFrame {
    /// Which direction it is from.
    pub track: AudioTrack,
    /// How long the stream had run when it began.
    pub at: Duration,
    /// 16-bit PCM, mono, at the rate of the stream.
    pub samples: Vec<i16>,
}

/// What happens to a stream, besides its frames.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AudioStreamEvent {
    /// All sound before the mark has been sent to the peer.
    MarkHeard(String),
    /// The sound before the mark was forgotten by [`AudioStream::flush`].
    MarkFlushed(String),
    /// The peer pressed a key.
    Digit(char),
    /// The last event.
    Ended(AudioEnd),
}

/// Why a stream is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AudioEnd {
    /// The call is over.
    CallEnded,
    /// The media plane is gone, or has ended the stream.
    MediaLost,
}

/// The sound of a call, to and from a program ([`crate::api::Call::audio_stream`]). All methods take `&self`: one task may
/// listen while another one speaks. Dropping it ends the stream; the call goes on.
///
/// Frames come at the pace of the call, also while the peer is silent. A program that does not take them loses the oldest
/// ([`Self::lost_frames`]); nothing else waits for it.
#[derive(Debug)]
pub struct AudioStream {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    id: SessionId,
    rate: StreamRate,
    speaks: bool,
    socket: UnixDatagram,
    state: Mutex<State>,
    news: Notify,
}

impl AudioStream {
    pub(super) async fn open(
        coordinator: &SessionCoordinator,
        id: SessionId,
        options: AudioStreamOptions,
    ) -> Result<Self, SessionError> {
        let rate = options.stream_rate()?;
        let system = |error: io::Error| SessionError::media_of(id, format!("cannot make a socket: {error}"));
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (own, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(|error| system(error.into()))?;
        // Messages with boundaries, as datagrams have them.
        let socket = UnixDatagram::from_std(own.into()).map_err(system)?;
        let (tracks, speaks) = (options.tracks.in_contract(), options.speaks);
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
        let begin = ProgramMessage::Begin { rate, tracks, speaks };
        socket.send(begin.write(&mut bytes)).await.map_err(system)?;
        let digits = coordinator.subscribe(EventFilter::all().session(id).class(EventClass::Dtmf));
        let other = File::from(other);
        let hand_over = move |order: OrderTurn<'_, '_>, id| order.sessions.open_stream(order.turn, id, other);
        coordinator.operate(id, hand_over).await?;
        let state = Mutex::default();
        let shared = Arc::new(Shared { id, rate, speaks, socket, state, news: Notify::new() });
        let reader = tokio::spawn(read(shared.clone(), digits));
        let stream = Self { shared, reader };
        let started = stream.shared.wait(|state| (state.is_started || state.end.is_some()).then_some(state.end));
        match tokio::time::timeout(START_LIMIT, started).await {
            Ok(None) => Ok(stream),
            Ok(Some((_, end))) => Err(SessionError::media_of(
                id,
                match end {
                    Some(StreamEnd::AlreadyRunning) => "the call has an audio stream already; end that one first",
                    Some(StreamEnd::Full) => "the media plane has all the audio streams that it can have",
                    _ => "the audio stream could not begin; is the call just ending?",
                },
            )),
            Err(_) => Err(SessionError::timeout(id, START_LIMIT)),
        }
    }

    /// Whether it sends sound to the peer.
    pub(super) fn speaks(&self) -> bool {
        self.shared.speaks
    }

    /// Marks that wait to be heard.
    pub(super) fn waiting_marks(&self) -> usize {
        self.shared.state().marks.len()
    }

    /// Samples in a second.
    pub fn rate(&self) -> u32 {
        self.shared.rate.hz()
    }

    /// The next frame; `None` once the stream has ended.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(stream: AudioStream) {
    /// while let Some(frame) = stream.next().await {
    ///     println!("{:?}: {} samples", frame.at, frame.samples.len());
    /// }
    /// # }
    /// ```
    pub async fn next(&self) -> Option<AudioFrame> {
        let take = |state: &mut State| match state.frames.pop_front() {
            None if state.end.is_some() => Some(None),
            frame => frame.map(Some),
        };
        self.shared.wait(take).await
    }

    /// The next mark, digit or end; `None` after [`AudioStreamEvent::Ended`].
    pub async fn next_event(&self) -> Option<AudioStreamEvent> {
        let next = |state: &mut State| state.events.pop_front().map(Some).or(state.end.map(|_| None));
        self.shared.wait(next).await
    }

    /// Frames that the program has lost because it did not take them in time.
    pub fn lost_frames(&self) -> u64 {
        let state = self.shared.state();
        state.lost_here + state.lost_there
    }

    /// Sends sound to the peer: 16-bit PCM, mono, at the rate of the stream, of any length. It waits while half a second is on its
    /// way, so that a program may give minutes at once. What [`Self::flush`] overtakes is forgotten, and this returns. It may be
    /// cancelled: the samples that are not on their way by then are forgotten.
    pub async fn send(&self, samples: &[i16]) -> Result<(), SessionError> {
        if !self.shared.speaks {
            return Err(SessionError::config("this audio stream only listens"));
        }
        let flush_count = self.shared.state().flush_count;
        let (mut rest, rate) = (samples, self.shared.rate);
        while !rest.is_empty() {
            match self.shared.wait(|state| state.take_samples(flush_count, &mut rest, rate)).await {
                Taken::Frame(frame) => self.shared.tell_frame(&frame).await?,
                Taken::Nothing => return Ok(()),
                Taken::Over => return Err(self.shared.over()),
            }
        }
        Ok(())
    }

    /// Sends what waits in frames, as long as there are so many samples and no flush has come.
    async fn send_frames(&self, flush_count: u64, least_samples: usize) -> Result<(), SessionError> {
        loop {
            let taken = self.shared.wait(|state| state.take_frame(flush_count, least_samples, self.shared.rate)).await;
            match taken {
                Taken::Frame(frame) => self.shared.tell_frame(&frame).await?,
                Taken::Nothing => return Ok(()),
                Taken::Over => return Err(self.shared.over()),
            }
        }
    }

    /// Marks this place in the sound that is sent: [`AudioStreamEvent::MarkHeard`] tells when everything before it has left for the
    /// peer. A frame that is not full yet is filled up with silence. At most 1,000 wait to be heard.
    pub async fn mark(&self, name: impl Into<String>) -> Result<(), SessionError> {
        let flush_count = self.shared.state().flush_count;
        self.send_frames(flush_count, 1).await?;
        let number = {
            let mut state = self.shared.state();
            if state.marks.len() >= MARKS_MAX {
                return Err(SessionError::exhausted("marks that wait to be heard", MARKS_MAX));
            }
            if state.flush_count != flush_count {
                // What was before it has been forgotten.
                drop(state);
                self.tell_flushed(name.into());
                return Ok(());
            }
            state.mark_count += 1;
            let number = state.mark_count;
            state.marks.insert(number, name.into());
            number
        };
        self.shared.tell(ProgramMessage::Mark(number)).await
    }

    /// Forgets what has not been sent yet, within 20 ms: the peer has begun to speak (barge-in).
    pub async fn flush(&self) -> Result<(), SessionError> {
        {
            let mut state = self.shared.state();
            state.partial.clear();
            state.flush_count += 1;
        }
        self.shared.news.notify_waiters();
        self.shared.tell(ProgramMessage::Flush).await
    }

    /// Sends silence, and keeps what has not been sent yet.
    pub async fn pause(&self) -> Result<(), SessionError> {
        self.shared.tell(ProgramMessage::Pause).await
    }

    /// A mark that never came to the media plane was forgotten with what was before it.
    pub(super) fn tell_flushed(&self, name: String) {
        self.shared.state().push_event(AudioStreamEvent::MarkFlushed(name));
        self.shared.news.notify_waiters();
    }

    /// Goes on after [`Self::pause`].
    pub async fn resume(&self) -> Result<(), SessionError> {
        self.shared.tell(ProgramMessage::Resume).await
    }
}

impl Drop for AudioStream {
    fn drop(&mut self) {
        // The runtime lets the socket go later, and the call may have another stream at once. Without a peer this fails.
        let _ = self.shared.socket.shutdown(std::net::Shutdown::Both);
        self.reader.abort();
    }
}

impl Shared {
    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `take` finds what it wants.
    async fn wait<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // Before the look: what changes from now on wakes us.
            news.as_mut().enable();
            if let Some(taken) = take(&mut self.state()) {
                return taken;
            }
            news.await;
        }
    }

    async fn tell(&self, message: ProgramMessage<'_>) -> Result<(), SessionError> {
        if self.state().end.is_some() {
            return Err(self.over());
        }
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
        let sent = self.socket.send(message.write(&mut bytes)).await.map(drop);
        sent.map_err(|_| self.over())
    }

    /// Sends a frame that was counted as sent; where that is cancelled it counts no more.
    async fn tell_frame(&self, frame: &[u8]) -> Result<(), SessionError> {
        let mut counted = Counted { shared: self, is_sent: false };
        self.tell(ProgramMessage::Sound(frame)).await?;
        counted.is_sent = true;
        Ok(())
    }

    fn over(&self) -> SessionError {
        SessionError::media_of(self.id, "the audio stream is over")
    }
}

/// A frame on its way into the socket.
struct Counted<'s> {
    shared: &'s Shared,
    is_sent: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.is_sent {
            self.shared.state().sent -= 1;
            self.shared.news.notify_waiters();
        }
    }
}

/// Takes what the media plane says, and the digits of the call, until the stream ends.
async fn read(shared: Arc<Shared>, mut digits: Receiver<SessionEvent>) {
    let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
    let mut hears_digits = true;
    while shared.state().end.is_none() {
        tokio::select! {
            received = shared.socket.recv(&mut bytes) => {
                let count = received.unwrap_or(0).min(bytes.len());
                let mut state = shared.state();
                match MediaMessage::read(&bytes[..count]) {
                    Ok(message) if count > 0 => state.hear(message),
                    Ok(_) | Err(_) => state.finish(AudioEnd::MediaLost, None),
                }
            }
            event = digits.recv(), if hears_digits => match event.map(|event| event.kind) {
                Some(EventKind::DtmfReceived { digit }) => shared.state().push_event(AudioStreamEvent::Digit(digit)),
                Some(_) => {}
                None => hears_digits = false,
            }
        }
        shared.news.notify_waiters();
    }
}
