//! The media of calls: what is sent and heard, recordings, numbers.

mod announcements;
mod audio_stream;
mod control;
mod info;
mod monitoring;
mod operations;
mod playing;
pub(crate) mod quality;
mod recording;
mod rooms;
mod voice;

pub use announcements::{AnnounceOptions, AnnouncementId};
pub use audio_stream::{
    AudioEnd, AudioFrame, AudioStream, AudioStreamEvent, AudioStreamOptions, AudioTrack, AudioTracks, WebSocketEnd,
    WebSocketOptions, WebSocketStream, WebSocketSummary,
};
pub use control::MediaControl;
pub use info::{
    AudioSource, MediaDirection, MediaInfo, MediaQualityAlertLevel, MediaStatistics, QualityMetrics, RtpAddress,
    RtpPort, SentQuality,
};
pub(crate) use playing::tone_of;
pub use playing::{CallTone, PlayOptions};
pub(crate) use recording::Recordings;
pub use recording::{RecordingEnd, RecordingOptions, RecordingSummary};
pub use rooms::RoomRole;
pub(crate) use rooms::Rooms;
pub use voice::VoiceProcessing;

use crate::api::{SessionCoordinator, SessionError, SessionId};
use crate::calls::entry::Entry;
use contract::LegState;
use info::{info, statistics};
use signald::OrderTurn;

impl SessionCoordinator {
    /// Where media flows; `None` while there is none.
    async fn media_info(&self, id: SessionId) -> Result<Option<MediaInfo>, SessionError> {
        let inner = id.inner();
        let read = move |order: OrderTurn<'_, '_>| order.sessions.get(inner).map(info);
        self.order(id.shard(), read).await?.ok_or_else(|| SessionError::not_found(id))
    }

    /// What the media of a session has counted; `None` while there is none.
    async fn media_counts(&self, id: SessionId) -> Result<Option<MediaStatistics>, SessionError> {
        let inner = id.inner();
        let read = move |order: OrderTurn<'_, '_>| {
            let session = order.sessions.get(inner)?;
            let row = session.leg().and_then(|leg| {
                let row = order.region.as_ref()?.legs().read(leg)?;
                (row.state() != LegState::Free).then_some(row)
            });
            Some(row.map(|row| statistics(&row)))
        };
        self.order(id.shard(), read).await?.ok_or_else(|| SessionError::not_found(id))
    }

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

    /// Reads a call's numbers. A row belongs to a leg until its id is used again.
    pub(crate) async fn count_media(&self, entry: &Entry) {
        let (inner, known) = (entry.id.inner(), entry.facts().leg);
        let read = move |order: OrderTurn<'_, '_>| {
            let leg = order.sessions.get(inner).and_then(session::Session::leg).or(known)?;
            let row = order.region.as_ref()?.legs().read(leg);
            Some((leg, row.map(|row| statistics(&row))))
        };
        let Ok(Some((leg, counted))) = self.order(entry.id.shard(), read).await else { return };
        let mut facts = entry.facts();
        facts.leg = Some(leg);
        if let Some(counted) = counted {
            facts.counted = Some(Box::new(counted));
        }
    }
}
