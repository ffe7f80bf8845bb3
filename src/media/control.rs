//! Operations on the media of sessions, by a coordinator and a name.

use crate::api::{
    AudioSource, Codec, MediaInfo, MediaStatistics, RecordingOptions, RecordingSummary, RoomRole, SessionCoordinator,
    SessionError, SessionId, VoiceProcessing,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Operations on the media of sessions, as `MediaControl::set_muted(&coordinator, &id, true)` or
/// `coordinator.set_muted(&id, true)`. They are refused like those of [`crate::api::SessionControl`].
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// let id = call.id();
/// coordinator.start_audio_transmission(id, AudioSource::Prompt("menu".into())).await?;
/// if let Some(media) = coordinator.get_media_info(id).await? {
///     println!("media goes to {}:{}", media.remote_rtp_address, media.remote_rtp_port);
/// }
/// let mut numbers = coordinator.start_statistics_monitoring(id, std::time::Duration::from_secs(5)).await?;
/// while let Some(now) = numbers.recv().await {
///     println!("{} packets, {:?}", now.packets_received, now.quality_metrics.and_then(|quality| quality.mos_score));
/// }
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait MediaControl {
    /// A session description (RFC 4566) with the session's own address, port and codecs, as it would be offered now. A
    /// call that waits for a decision gets its media port for that and keeps it: accept it with this text. Where its
    /// caller has made an offer, the text is the answer to that.
    async fn generate_sdp_offer(&self, id: &SessionId) -> Result<String, SessionError>;
    /// The session's answer to an offer (RFC 3264): the codecs in common, and our address and port.
    /// [`SessionError::Rejected`] has the status that such an offer earns, 488 where there is no common codec. A call that
    /// waits for a decision can be accepted with the text; a call that is up goes on as it is.
    async fn generate_sdp_answer(&self, id: &SessionId, offer: &str) -> Result<String, SessionError>;
    /// Sends the session's media to `remote` from now on, without a word to the peer: an address such as
    /// `192.0.2.7:4000`, or a session description of the one who is to hear it. Packets are taken from there as well. A
    /// later description of the peer's own counts again.
    async fn establish_media_flow(&self, id: &SessionId, remote: &str) -> Result<(), SessionError>;
    /// Writes what the peer says and what it hears into a file, WAV of 16 bits or Opus in Ogg by its name, and returns once
    /// that has begun. The file has the rate of the call's first codec (G.711: 8 kHz, G.722: 16 kHz, Opus: 48 kHz) for its life; where the call changes to
    /// one with another rate, its sound is converted.
    /// A path makes it stereo, with the peer left and us (or the other side of a forwarded or bridged call) right; see
    /// [`RecordingOptions`] for more. Hold, mute and transfers are part of it; what did not come is silence of the same
    /// length. The file is finished by [`Self::stop_recording`], by the end of the call or by its limit, and is a sound
    /// one at any time in between.
    ///
    /// ```no_run
    /// # async fn example(coordinator: std::sync::Arc<ringplane::api::SessionCoordinator>, call: ringplane::api::CallSession) -> Result<(), ringplane::api::SessionError> {
    /// use ringplane::prelude::*;
    /// MediaControl::start_recording(&coordinator, call.id(), "/var/spool/calls/1.wav").await?;
    /// // ... the call goes on ...
    /// let summary = MediaControl::stop_recording(&coordinator, call.id()).await?;
    /// println!("{} has {:?}, {} packets were lost", summary.path.display(), summary.duration, summary.lost_received);
    /// # Ok(())
    /// # }
    /// ```
    async fn start_recording(
        &self,
        id: &SessionId,
        options: impl Into<RecordingOptions> + Send,
    ) -> Result<(), SessionError>;
    /// Leaves silence in the recording from now on, or goes on with the sound ([`crate::api::Call::pause_recording`]).
    async fn pause_recording(&self, id: &SessionId, paused: bool) -> Result<(), SessionError>;
    /// Ends a recording and says what is in the file, which is closed then. Also answers, once, for a recording that has
    /// ended by itself. A recording that the disk did not take is an error.
    async fn stop_recording(&self, id: &SessionId) -> Result<RecordingSummary, SessionError>;
    /// Where media flows; `None` while there is none.
    async fn get_media_info(&self, id: &SessionId) -> Result<Option<MediaInfo>, SessionError>;
    /// Sends this from now on.
    async fn start_audio_transmission(&self, id: &SessionId, source: AudioSource) -> Result<(), SessionError>;
    /// Sends silence from now on.
    async fn stop_audio_transmission(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Becomes a member of a room, or changes its part in it ([`crate::api::Call::join_room`]).
    async fn join_room(&self, id: &SessionId, room: &str, role: RoomRole) -> Result<(), SessionError>;
    /// Leaves its room, and sends silence from now on.
    async fn leave_room(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Asks the peer to go over to another codec by re-INVITE, and waits for its answer.
    async fn change_codec(&self, id: &SessionId, codec: Codec) -> Result<(), SessionError>;
    /// Replaces what the peer hears by silence, or stops doing so. RTP goes on, and the peer is not told.
    async fn set_muted(&self, id: &SessionId, muted: bool) -> Result<(), SessionError>;
    /// Has the sound of the peer processed from now on ([`crate::api::Call::set_voice_processing`]).
    async fn set_voice_processing(&self, id: &SessionId, wanted: VoiceProcessing) -> Result<(), SessionError>;
    /// What was counted, at most a second old; `None` while there is no media. For a call that is over ask
    /// [`crate::api::CallSession::media_statistics`].
    async fn get_media_statistics(&self, id: &SessionId) -> Result<Option<MediaStatistics>, SessionError>;
    /// The statistics again and again until the session ends, to three places: this receiver,
    /// [`crate::api::CallHandler::on_media_quality`], and the event stream ([`crate::api::EventKind::MediaQuality`]). It goes on for the
    /// other two when the receiver is dropped; a receiver that is slow misses some. Asked again, the new interval takes the
    /// place of the old one, whose receiver then ends. The shortest interval is 20 ms.
    async fn start_statistics_monitoring(
        &self,
        id: &SessionId,
        every: Duration,
    ) -> Result<mpsc::Receiver<MediaStatistics>, SessionError>;
}

#[async_trait]
impl MediaControl for Arc<SessionCoordinator> {
    async fn generate_sdp_offer(&self, id: &SessionId) -> Result<String, SessionError> {
        self.live_call(*id)?.sdp_offer().await
    }

    async fn generate_sdp_answer(&self, id: &SessionId, offer: &str) -> Result<String, SessionError> {
        self.live_call(*id)?.sdp_answer(offer).await
    }

    async fn establish_media_flow(&self, id: &SessionId, remote: &str) -> Result<(), SessionError> {
        self.live_call(*id)?.send_media_to(remote).await
    }

    async fn start_recording(
        &self,
        id: &SessionId,
        options: impl Into<RecordingOptions> + Send,
    ) -> Result<(), SessionError> {
        self.live_call(*id)?.record(options).await
    }

    async fn pause_recording(&self, id: &SessionId, paused: bool) -> Result<(), SessionError> {
        let call = self.live_call(*id)?;
        if paused { call.pause_recording().await } else { call.resume_recording().await }
    }

    async fn stop_recording(&self, id: &SessionId) -> Result<RecordingSummary, SessionError> {
        // Also answers for a call that is over.
        self.end_recording(*id, contract::RecordingKind::Sound).await
    }

    async fn get_media_info(&self, id: &SessionId) -> Result<Option<MediaInfo>, SessionError> {
        self.media_info(*id).await
    }

    async fn start_audio_transmission(&self, id: &SessionId, source: AudioSource) -> Result<(), SessionError> {
        self.live_call(*id)?.play(source).await
    }

    async fn stop_audio_transmission(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.stop_playing().await
    }

    async fn join_room(&self, id: &SessionId, room: &str, role: RoomRole) -> Result<(), SessionError> {
        self.live_call(*id)?.join_room(room, role).await
    }

    async fn leave_room(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.leave_room().await
    }

    async fn change_codec(&self, id: &SessionId, codec: Codec) -> Result<(), SessionError> {
        self.live_call(*id)?.change_codec(codec).await
    }

    async fn set_voice_processing(&self, id: &SessionId, wanted: VoiceProcessing) -> Result<(), SessionError> {
        self.live_call(*id)?.set_voice_processing(wanted).await
    }

    async fn set_muted(&self, id: &SessionId, muted: bool) -> Result<(), SessionError> {
        self.live_call(*id)?.set_muted(muted).await
    }

    async fn get_media_statistics(&self, id: &SessionId) -> Result<Option<MediaStatistics>, SessionError> {
        self.media_counts(*id).await
    }

    async fn start_statistics_monitoring(
        &self,
        id: &SessionId,
        every: Duration,
    ) -> Result<mpsc::Receiver<MediaStatistics>, SessionError> {
        self.live_call(*id)?.monitor_statistics(every)
    }
}
