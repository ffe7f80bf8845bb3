//! Operations on the media of sessions.

mod info;
mod monitoring;
pub(crate) mod quality;
mod recording;

pub use info::{
    AudioSource, MediaDirection, MediaInfo, MediaQualityAlertLevel, MediaStatistics, QualityMetrics, RtpAddress,
    RtpPort,
};
pub(crate) use recording::Recordings;
pub use recording::{RecordingEnd, RecordingOptions, RecordingSummary};

use crate::api::{Codec, Operation, SessionCoordinator, SessionError, SessionId};
use crate::calls::entry::Entry;
use async_trait::async_trait;
use contract::LegState;
use info::{info, statistics};
use session::{AtEnd, Plan, Remote};
use signald::OrderTurn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a recording waits for the end of its leg's move between workers, and how often it looks.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

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
    /// Writes what the peer says and what it hears into a WAV file of 16 bits at 8 kHz, and returns once that has begun.
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
    /// Ends a recording and says what is in the file, which is closed then. Also answers, once, for a recording that has
    /// ended by itself. A recording that the disk did not take is an error.
    async fn stop_recording(&self, id: &SessionId) -> Result<RecordingSummary, SessionError>;
    /// Where media flows; `None` while there is none.
    async fn get_media_info(&self, id: &SessionId) -> Result<Option<MediaInfo>, SessionError>;
    /// Sends this from now on.
    async fn start_audio_transmission(&self, id: &SessionId, source: AudioSource) -> Result<(), SessionError>;
    /// Sends silence from now on.
    async fn stop_audio_transmission(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Asks the peer to go over to another codec by re-INVITE, and waits for its answer.
    async fn change_codec(&self, id: &SessionId, codec: Codec) -> Result<(), SessionError>;
    /// Replaces what the peer hears by silence, or stops doing so. RTP goes on, and the peer is not told.
    async fn set_muted(&self, id: &SessionId, muted: bool) -> Result<(), SessionError>;
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
        self.operate(*id, |order, id| order.sessions.offer_text(order.turn, id)).await
    }

    async fn generate_sdp_answer(&self, id: &SessionId, offer: &str) -> Result<String, SessionError> {
        let offer = offer.to_owned();
        self.operate(*id, move |order, id| order.sessions.answer_text(order.turn, id, &offer)).await
    }

    async fn establish_media_flow(&self, id: &SessionId, remote: &str) -> Result<(), SessionError> {
        let text = remote.trim_start().to_owned();
        let address = text.trim_end().parse::<SocketAddr>();
        if address.is_err() && !text.starts_with("v=0") {
            let words = format!("`{text}` is neither an address such as 192.0.2.7:4000 nor a session description");
            return Err(SessionError::config(words));
        }
        let send = move |order: OrderTurn<'_, '_>, id| {
            let remote = address.as_ref().map_or(Remote::Description(&text), |address| Remote::Address(*address));
            order.sessions.send_media_to(order.turn, id, remote)
        };
        self.complete_unless_done(*id, Operation::ChangeMedia, send).await
    }

    async fn start_recording(
        &self,
        id: &SessionId,
        options: impl Into<RecordingOptions> + Send,
    ) -> Result<(), SessionError> {
        self.record(*id, options.into()).await
    }

    async fn stop_recording(&self, id: &SessionId) -> Result<RecordingSummary, SessionError> {
        self.end_recording(*id).await
    }

    async fn get_media_info(&self, id: &SessionId) -> Result<Option<MediaInfo>, SessionError> {
        let inner = id.inner();
        let read = move |order: OrderTurn<'_, '_>| order.sessions.get(inner).map(info);
        self.order(id.shard(), read).await?.ok_or_else(|| SessionError::not_found(*id))
    }

    async fn start_audio_transmission(&self, id: &SessionId, source: AudioSource) -> Result<(), SessionError> {
        let at_end = if matches!(source, AudioSource::Music(_)) { AtEnd::Repeat } else { AtEnd::Silence };
        let plan = Plan { at_end, ..Plan::of(self.planned(source)?) };
        self.operate(*id, move |order, id| order.sessions.play(order.turn, id, plan)).await
    }

    async fn stop_audio_transmission(&self, id: &SessionId) -> Result<(), SessionError> {
        self.start_audio_transmission(id, AudioSource::Silence).await
    }

    async fn change_codec(&self, id: &SessionId, codec: Codec) -> Result<(), SessionError> {
        let codec = match codec {
            Codec::Pcmu => contract::Codec::Pcmu,
            Codec::Pcma => contract::Codec::Pcma,
            Codec::Opus | Codec::G722 => {
                return Err(SessionError::media(format!("the media plane does not have {codec:?} yet")));
            }
        };
        let change = move |order: OrderTurn<'_, '_>, id| order.sessions.change_codec(order.turn, id, codec);
        self.complete(*id, Operation::ChangeMedia, change).await
    }

    async fn set_muted(&self, id: &SessionId, muted: bool) -> Result<(), SessionError> {
        self.operate(*id, move |order, id| order.sessions.mute(order.turn, id, muted)).await
    }

    async fn get_media_statistics(&self, id: &SessionId) -> Result<Option<MediaStatistics>, SessionError> {
        let inner = id.inner();
        let read = move |order: OrderTurn<'_, '_>| {
            let session = order.sessions.get(inner)?;
            let row = session.leg().and_then(|leg| {
                let row = order.region.as_ref()?.legs().read(leg.port)?;
                (row.leg == leg && row.state() != LegState::Free).then_some(row)
            });
            Some(row.map(|row| statistics(&row)))
        };
        self.order(id.shard(), read).await?.ok_or_else(|| SessionError::not_found(*id))
    }

    async fn start_statistics_monitoring(
        &self,
        id: &SessionId,
        every: Duration,
    ) -> Result<mpsc::Receiver<MediaStatistics>, SessionError> {
        self.monitor(*id, every)
    }
}

impl SessionCoordinator {
    /// Where the media of a call flows now, and which leg that is, for later.
    pub(crate) async fn media_of(&self, entry: &Entry) -> Option<MediaInfo> {
        let inner = entry.id.inner();
        let read = move |order: OrderTurn<'_, '_>| {
            let session = order.sessions.get(inner)?;
            Some((session.leg(), info(session)))
        };
        let (leg, info) = self.order(entry.id.shard(), read).await.ok()??;
        entry.facts().leg = leg;
        info
    }

    /// Reads a call's numbers. A row belongs to a leg until its port lives again.
    pub(crate) async fn count_media(&self, entry: &Entry) {
        let (inner, known) = (entry.id.inner(), entry.facts().leg);
        let read = move |order: OrderTurn<'_, '_>| {
            let leg = order.sessions.get(inner).and_then(session::Session::leg).or(known)?;
            let row = order.region.as_ref()?.legs().read(leg.port).filter(|row| row.leg == leg);
            Some((leg, row.map(|row| statistics(&row))))
        };
        let Ok(Some((leg, counted))) = self.order(entry.id.shard(), read).await else { return };
        let mut facts = entry.facts();
        facts.leg = Some(leg);
        if let Some(counted) = counted {
            facts.counted = Some(Box::new(counted));
        }
    }

    /// An operation on a recording; where its leg goes to another worker, the end of that is waited for.
    async fn operate_patiently<T: Send + 'static>(
        &self,
        id: SessionId,
        work: impl Fn(OrderTurn<'_, '_>, session::SessionId) -> Result<T, session::SessionError> + Clone + Send + 'static,
    ) -> Result<T, SessionError> {
        let entry = self.entry(id)?;
        let give_up_at = tokio::time::Instant::now() + BUSY_LIMIT;
        loop {
            let work = work.clone();
            match self.order(id.shard(), move |turn| work(turn, id.inner())).await? {
                Err(session::SessionError::Busy(_)) if tokio::time::Instant::now() < give_up_at => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                done => return done.map_err(|error| SessionError::of_session(id, Some(&entry.call_id), error)),
            }
        }
    }
}
