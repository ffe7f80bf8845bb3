//! A call's sound over a WebSocket (`docs/AUDIO_STREAMS.md`). Three loops share one task: what goes to the server, what comes from
//! it, and what of that is played.

use super::json::{FromServer, ToServer};
use super::options::{AudioTrack, AudioTracks, WebSocketOptions};
use super::stream::{AudioFrame, AudioStream, AudioStreamEvent};
use super::url::{self, Connection};
use crate::api::{Call, SessionError};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// How long a server may take to accept the connection.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a message may wait for a server that does not read.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// Bytes of the longest message of a server.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024;
/// Messages without sense until the stream ends.
const ERRORS_MAX: u64 = 20;
/// Marks that wait to be heard.
const MARKS_MAX: usize = 500;

type Socket = tokio_tungstenite::WebSocketStream<Box<dyn Connection>>;

/// Why a stream over a WebSocket is over.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WebSocketEnd {
    /// The call is over.
    CallEnded,
    /// By [`WebSocketStream::stop`], or because that was dropped.
    Stopped,
    /// The server said `stop`, or closed the WebSocket.
    Closed,
    /// The connection broke, or the server broke the protocol of WebSockets.
    Broken(String),
    /// The server read nothing for 5 s.
    TooSlow,
    /// The server sent too many messages without sense.
    Nonsense,
    /// The media plane is gone.
    MediaLost,
}

/// What became of a stream over a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSocketSummary {
    /// Why it is over.
    pub end: WebSocketEnd,
    /// Binary messages that the server was sent.
    pub frames_sent: u64,
    /// Frames that the server lost because it did not read in time.
    pub frames_lost: u64,
    /// Binary messages of the server.
    pub messages_received: u64,
    /// Sound of the server that was dropped because too much waited.
    pub dropped: Duration,
    /// Messages of the server that made no sense.
    pub errors: u64,
}

/// A stream over a WebSocket that runs ([`Call::stream_to`]). Dropping it ends the stream.
#[derive(Debug)]
pub struct WebSocketStream {
    stop: watch::Sender<bool>,
    summary: watch::Receiver<Option<WebSocketSummary>>,
}

impl WebSocketStream {
    /// Ends the stream; [`Self::ended`] tells when that is done.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the end.
    pub async fn ended(&self) -> WebSocketSummary {
        let mut summary = self.summary.clone();
        let ended = summary.wait_for(Option::is_some).await.ok().and_then(|summary| summary.clone());
        // The task panics on nothing; a runtime that shuts down may drop it.
        ended.unwrap_or_else(|| Counts::default().summary(WebSocketEnd::Stopped, 0))
    }
}

pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MESSAGE_BYTES_MAX)
}

pub(super) async fn connect(
    call: &Call,
    url: &str,
    options: WebSocketOptions,
) -> Result<WebSocketStream, SessionError> {
    options.audio.stream_rate()?;
    let socket = url::connect(url, options.authorities.as_deref()).await?;
    let audio = call.audio_stream(options.audio.clone()).await?;
    let ((stop, stopped), (told, summary)) = (watch::channel(false), watch::channel(None));
    let call = call.clone();
    tokio::spawn(async move {
        let summary = Bridge::new(audio, &options).run(socket, &call, stopped).await;
        if options.hangs_up && summary.end != WebSocketEnd::CallEnded {
            let _ = call.hang_up().await; // it may be ending by itself
        }
        told.send_replace(Some(summary));
    });
    Ok(WebSocketStream { stop, summary })
}

/// What the loops of one stream share.
struct Bridge {
    audio: AudioStream,
    tracks: AudioTracks,
    /// Samples of the server that may wait.
    samples_max: usize,
    state: Mutex<State>,
    /// There is something to play.
    to_play: Notify,
    /// There is something to tell.
    to_tell: Notify,
}

#[derive(Default)]
struct State {
    pending: VecDeque<Pending>,
    pending_samples: usize,
    pending_marks: usize,
    errors: VecDeque<String>,
    is_dropping: bool,
    counts: Counts,
}

enum Pending {
    Sound(Vec<i16>),
    Mark(String),
}

#[derive(Default)]
struct Counts {
    frames_sent: u64,
    messages_received: u64,
    dropped: Duration,
    errors: u64,
}

impl Counts {
    fn summary(&self, end: WebSocketEnd, frames_lost: u64) -> WebSocketSummary {
        let Self { frames_sent, messages_received, dropped, errors } = *self;
        WebSocketSummary { end, frames_sent, frames_lost, messages_received, dropped, errors }
    }
}

impl Bridge {
    fn new(audio: AudioStream, options: &WebSocketOptions) -> Self {
        let samples_max = (options.buffer.as_millis() as usize) * audio.rate() as usize / 1_000;
        let tracks = options.audio.tracks;
        Self { audio, tracks, samples_max, state: Mutex::default(), to_play: Notify::new(), to_tell: Notify::new() }
    }

    /// Nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, socket: Socket, call: &Call, mut stopped: watch::Receiver<bool>) -> WebSocketSummary {
        let (mut sink, mut source) = socket.split();
        let call_id = call.coordinator().entry(call.id).map(|entry| entry.call_id.clone()).unwrap_or_default();
        let start = ToServer::Start {
            session_id: call.id.to_string(),
            call_id: &call_id,
            from: &call.from,
            to: &call.to,
            rate: self.audio.rate(),
            tracks: self.tracks.names(),
        };
        let end = tokio::select! {
            end = self.write(&mut sink, start.text()) => end,
            end = self.read(&mut source) => end,
            end = self.play() => end,
            // An error: the handle was dropped.
            _ = stopped.wait_for(|is_stopped| *is_stopped) => WebSocketEnd::Stopped,
        };
        let reason = match &end {
            WebSocketEnd::CallEnded => "call ended",
            WebSocketEnd::Stopped | WebSocketEnd::Closed => "stopped",
            WebSocketEnd::Broken(_) => "protocol error",
            WebSocketEnd::TooSlow => "too slow",
            WebSocketEnd::Nonsense => "too many errors",
            WebSocketEnd::MediaLost => "media lost",
        };
        let farewell = async {
            // A server that is gone hears nothing of it.
            let _ = sink.send(Message::text(ToServer::Stop { reason }.text())).await;
            let _ = sink.close().await;
        };
        if end != WebSocketEnd::TooSlow {
            let _ = tokio::time::timeout(WRITE_LIMIT, farewell).await;
        }
        tracing::debug!("the audio stream of {} over a WebSocket is over: {end:?}", call.id);
        self.state().counts.summary(end, self.audio.lost_frames())
    }

    /// Frames, events and errors go to the server.
    async fn write(&self, sink: &mut SplitSink<Socket, Message>, start: String) -> WebSocketEnd {
        let (mut message, mut lost, mut left) = (Message::text(start), 0, None);
        loop {
            match tokio::time::timeout(WRITE_LIMIT, sink.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return WebSocketEnd::Broken(error.to_string()),
                Err(_) => return WebSocketEnd::TooSlow,
            }
            message = loop {
                let error = self.state().errors.pop_front();
                if let Some(reason) = error {
                    break Message::text(ToServer::Error { reason }.text());
                }
                let frames = self.audio.lost_frames();
                if frames > lost {
                    lost = frames;
                    break Message::text(ToServer::Lost { frames }.text());
                }
                tokio::select! {
                    event = self.audio.next_event() => match event {
                        Some(AudioStreamEvent::Digit(digit)) => break Message::text(ToServer::Digit { digit }.text()),
                        Some(AudioStreamEvent::MarkHeard(name)) => {
                            break Message::text(ToServer::Mark { name, heard: true }.text());
                        }
                        Some(AudioStreamEvent::MarkFlushed(name)) => {
                            break Message::text(ToServer::Mark { name, heard: false }.text());
                        }
                        Some(AudioStreamEvent::Ended(super::AudioEnd::CallEnded)) => return WebSocketEnd::CallEnded,
                        Some(AudioStreamEvent::Ended(_)) | None => return WebSocketEnd::MediaLost,
                    },
                    frame = self.audio.next() => match frame {
                        Some(frame) => if let Some(bytes) = channels(self.tracks, &mut left, frame) {
                            self.state().counts.frames_sent += 1;
                            break Message::binary(bytes);
                        },
                        // The event says why.
                        None => tokio::task::yield_now().await,
                    },
                    () = self.to_tell.notified() => {}
                }
            };
        }
    }

    /// Sound and orders of the server are put where they are played.
    async fn read(&self, source: &mut SplitStream<Socket>) -> WebSocketEnd {
        while let Some(message) = source.next().await {
            let taken = match message {
                Ok(Message::Binary(bytes)) => self.take_sound(&bytes),
                Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                    Ok(FromServer::Stop) => return WebSocketEnd::Closed,
                    Ok(order) => self.obey(order).await,
                    Err(error) => Err(format!("a text message is not understood: {error}")),
                },
                Ok(Message::Close(_)) => return WebSocketEnd::Closed,
                Ok(_) => Ok(()),
                Err(error) => return WebSocketEnd::Broken(error.to_string()),
            };
            if let Err(reason) = taken {
                let mut state = self.state();
                state.counts.errors += 1;
                if state.counts.errors >= ERRORS_MAX {
                    return WebSocketEnd::Nonsense;
                }
                state.errors.push_back(reason);
                self.to_tell.notify_one();
            }
        }
        WebSocketEnd::Broken("the connection is gone".into())
    }

    fn take_sound(&self, bytes: &[u8]) -> Result<(), String> {
        let mut state = self.state();
        state.counts.messages_received += 1;
        if !bytes.len().is_multiple_of(2) {
            return Err(format!("{} bytes are no whole samples of 16 bits", bytes.len()));
        }
        if bytes.is_empty() {
            return Err("a message without a sample".into());
        }
        if !self.audio.speaks() {
            return Err("this stream only listens: it takes no sound".into());
        }
        let count = bytes.len() / 2;
        if state.pending_samples + count > self.samples_max {
            state.counts.dropped += Duration::from_millis(count as u64 * 1_000 / u64::from(self.audio.rate()));
            let is_first = !std::mem::replace(&mut state.is_dropping, true);
            if is_first {
                state.errors.push_back("too much sound waits to be played; what comes now is dropped".into());
                self.to_tell.notify_one();
            }
            return Ok(());
        }
        state.is_dropping &= state.pending_samples > self.samples_max / 2;
        state.pending_samples += count;
        let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        match state.pending.back_mut() {
            // Many small messages take no more memory than one.
            Some(Pending::Sound(waiting)) if waiting.len() < self.audio.rate() as usize => waiting.extend(samples),
            _ => state.pending.push_back(Pending::Sound(samples.collect())),
        }
        self.to_play.notify_one();
        Ok(())
    }

    async fn obey(&self, order: FromServer) -> Result<(), String> {
        let done = match order {
            FromServer::Mark { name } => {
                let mut state = self.state();
                if state.pending_marks + self.audio.waiting_marks() >= MARKS_MAX || name.len() > 256 {
                    return Err(format!("at most {MARKS_MAX} marks of 256 bytes wait to be heard"));
                }
                state.pending_marks += 1;
                state.pending.push_back(Pending::Mark(name));
                self.to_play.notify_one();
                Ok(())
            }
            FromServer::Flush => {
                let forgotten = {
                    let mut state = self.state();
                    (state.pending_samples, state.pending_marks) = (0, 0);
                    std::mem::take(&mut state.pending)
                };
                let flushed = self.audio.flush().await;
                for pending in forgotten {
                    if let Pending::Mark(name) = pending {
                        self.audio.tell_flushed(name);
                    }
                }
                flushed
            }
            FromServer::Pause => self.audio.pause().await,
            FromServer::Resume => self.audio.resume().await,
            FromServer::Stop => Ok(()),
        };
        done.map_err(|error| error.to_string())
    }

    /// What waits is played, at the pace of the call. It never ends before the stream.
    async fn play(&self) -> WebSocketEnd {
        loop {
            let next = {
                let mut state = self.state();
                let next = state.pending.pop_front();
                match &next {
                    Some(Pending::Sound(samples)) => {
                        state.pending_samples = state.pending_samples.saturating_sub(samples.len());
                    }
                    Some(Pending::Mark(_)) => state.pending_marks = state.pending_marks.saturating_sub(1),
                    None => {}
                }
                next
            };
            let played = match next {
                Some(Pending::Sound(samples)) => self.audio.send(&samples).await,
                Some(Pending::Mark(name)) => self.audio.mark(name).await,
                None => {
                    self.to_play.notified().await;
                    Ok(())
                }
            };
            if played.is_err() {
                // The stream is over, and its event says why.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The bytes of a message: one frame, or the two of one moment side by side. `None`: the other one is to come.
fn channels(tracks: AudioTracks, left: &mut Option<AudioFrame>, frame: AudioFrame) -> Option<Vec<u8>> {
    if tracks != AudioTracks::Both {
        return Some(frame.samples.into_iter().flat_map(i16::to_le_bytes).collect());
    }
    if frame.track == AudioTrack::Received {
        *left = Some(frame);
        return None;
    }
    // Where one of the two was lost, neither is told.
    let received = left.take().filter(|received| received.at == frame.at)?;
    let pairs = received.samples.into_iter().zip(frame.samples);
    Some(pairs.flat_map(|(left, right)| [left, right]).flat_map(i16::to_le_bytes).collect())
}
