//! The sound of a call as a stream of frames, to a program and from it, or over a WebSocket.

mod json;
mod options;
mod state;
mod stream;
mod url;
mod websocket;

pub use options::{AudioStreamOptions, AudioTrack, AudioTracks, WebSocketOptions};
pub use stream::{AudioEnd, AudioFrame, AudioStream, AudioStreamEvent};
pub use websocket::{WebSocketEnd, WebSocketStream, WebSocketSummary};

use crate::api::{Call, SessionCoordinator, SessionError, SessionId};

impl Call {
    /// Opens a stream of the call's sound: what its peer says comes in frames of 20 ms ([`AudioStream::next`]), and what is given
    /// to [`AudioStream::send`] is sent to the peer. A call has one stream at a time, beside a recording. The stream ends with the
    /// call, and when it is dropped.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let stream = call.audio_stream(AudioStreamOptions::rate(16_000)).await?;
    /// while let Some(frame) = stream.next().await {
    ///     stream.send(&frame.samples).await?; // an echo
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn audio_stream(&self, options: AudioStreamOptions) -> Result<AudioStream, SessionError> {
        self.coordinator().subscribe_to_audio(&self.id, options).await
    }

    /// Connects the call's sound to a WebSocket server at `ws://` or `wss://`, and returns once that has answered: binary
    /// messages are L16 (16-bit PCM, little endian), text messages are JSON. `docs/AUDIO_STREAMS.md` has the protocol.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let options = WebSocketOptions::rate(24_000).hang_up_at_end();
    /// let summary = call.stream_to("wss://agent.example.com/calls", options).await?.ended().await;
    /// println!("{:?} after {} frames", summary.end, summary.frames_sent);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stream_to(&self, url: &str, options: WebSocketOptions) -> Result<WebSocketStream, SessionError> {
        websocket::connect(self, url, options).await
    }
}

impl SessionCoordinator {
    /// [`Call::audio_stream`] by the session's name.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>, call: CallSession) -> Result<()> {
    /// let options = AudioStreamOptions::rate(8_000).tracks(AudioTracks::Mixed).listen_only();
    /// let stream = coordinator.subscribe_to_audio(call.id(), options).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn subscribe_to_audio(
        &self,
        id: &SessionId,
        options: AudioStreamOptions,
    ) -> Result<AudioStream, SessionError> {
        AudioStream::open(self, *id, options).await
    }
}
