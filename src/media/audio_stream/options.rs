//! What a stream of audio is to be.

use crate::api::SessionError;
use contract::{StreamRate, StreamTrack, StreamTracks};
use std::path::PathBuf;
use std::time::Duration;

/// Sound of the server that waits to be played, unless [`WebSocketOptions::buffer`] says otherwise.
const BUFFER_DEFAULT: Duration = Duration::from_secs(60);

/// Which direction of a call a frame is from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AudioTrack {
    /// What the peer of the call says.
    Received,
    /// What the peer of the call hears.
    Sent,
    /// Both, added up.
    Mixed,
}

impl From<StreamTrack> for AudioTrack {
    fn from(track: StreamTrack) -> Self {
        match track {
            StreamTrack::Received => Self::Received,
            StreamTrack::Sent => Self::Sent,
            StreamTrack::Mixed => Self::Mixed,
        }
    }
}

/// What a program hears of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AudioTracks {
    /// What the peer of the call says.
    #[default]
    Received,
    /// What the peer of the call hears, the program's own sound included.
    Sent,
    /// Both, each in frames of its own.
    Both,
    /// Both, added up.
    Mixed,
    /// Nothing: the program only speaks.
    None,
}

impl AudioTracks {
    pub(super) fn in_contract(self) -> StreamTracks {
        match self {
            Self::Received => StreamTracks::Received,
            Self::Sent => StreamTracks::Sent,
            Self::Both => StreamTracks::Both,
            Self::Mixed => StreamTracks::Mixed,
            Self::None => StreamTracks::None,
        }
    }

    /// The names of the tracks, in the order of the channels of a WebSocket's messages.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Received => &["received"],
            Self::Sent => &["sent"],
            Self::Both => &["received", "sent"],
            Self::Mixed => &["mixed"],
            Self::None => &[],
        }
    }
}

/// What a stream of audio is to be. By default the program hears what the peer says, and may speak.
///
/// ```
/// use ringplane::api::{AudioStreamOptions, AudioTracks};
///
/// let options = AudioStreamOptions::rate(16_000).tracks(AudioTracks::Both);
/// assert_ne!(options, AudioStreamOptions::rate(16_000).listen_only());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioStreamOptions {
    pub(super) rate: u32,
    pub(super) tracks: AudioTracks,
    pub(super) speaks: bool,
}

impl AudioStreamOptions {
    /// Sound of 8,000, 16,000 or 24,000 samples a second in both directions, whatever codec the call has. Any other rate is
    /// refused when the stream is opened.
    pub fn rate(rate: u32) -> Self {
        Self { rate, tracks: AudioTracks::default(), speaks: true }
    }

    /// What the program hears.
    pub fn tracks(self, tracks: AudioTracks) -> Self {
        Self { tracks, ..self }
    }

    /// The call goes on sending what it sends; [`crate::api::AudioStream::send`] is refused.
    pub fn listen_only(self) -> Self {
        Self { speaks: false, ..self }
    }

    pub(super) fn stream_rate(&self) -> Result<StreamRate, SessionError> {
        let words = || format!("{} is not a rate of audio streams: take 8000, 16000 or 24000", self.rate);
        StreamRate::from_hz(self.rate).ok_or_else(|| SessionError::config(words()))
    }
}

/// What a stream over a WebSocket is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSocketOptions {
    pub(super) audio: AudioStreamOptions,
    pub(super) buffer: Duration,
    pub(super) hangs_up: bool,
    pub(super) authorities: Option<PathBuf>,
}

impl WebSocketOptions {
    /// Sound of 8,000, 16,000 or 24,000 samples a second in both directions.
    pub fn rate(rate: u32) -> Self {
        Self { audio: AudioStreamOptions::rate(rate), buffer: BUFFER_DEFAULT, hangs_up: false, authorities: None }
    }

    /// The call goes on sending what it sends; sound of the server is refused.
    pub fn listen_only(self) -> Self {
        Self { audio: self.audio.listen_only(), ..self }
    }

    /// What the server hears. With [`AudioTracks::Both`] messages have two channels, the peer's voice left.
    pub fn tracks(self, tracks: AudioTracks) -> Self {
        Self { audio: self.audio.tracks(tracks), ..self }
    }

    /// How much sound of the server may wait to be played: 60 s unless set, 1 s to 10 min. More is dropped, and the server is told.
    pub fn buffer(self, buffer: Duration) -> Self {
        Self { buffer: buffer.clamp(Duration::from_secs(1), Duration::from_secs(600)), ..self }
    }

    /// A PEM file with the certification authorities that are trusted for `wss://`, in place of those of the host.
    pub fn authorities(self, file: impl Into<PathBuf>) -> Self {
        Self { authorities: Some(file.into()), ..self }
    }

    /// When the stream ends, the call does too. Without this the call goes on.
    pub fn hang_up_at_end(self) -> Self {
        Self { hangs_up: true, ..self }
    }
}
