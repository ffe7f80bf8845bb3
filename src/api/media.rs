use super::{Codec, Operation, SessionCoordinator, SessionError, SessionId};
use async_trait::async_trait;
use contract::{Direction, LegRow, LegState};
use session::{Plan, PlannedSource, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Where the media of a session flows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaInfo {
    /// Our address for RTP, as the peer was told.
    pub local_rtp_address: Option<SocketAddr>,
    /// Its port.
    pub local_rtp_port: Option<u16>,
    /// The peer's address for RTP, as it told us.
    pub remote_rtp_address: Option<SocketAddr>,
    /// Its port.
    pub remote_rtp_port: Option<u16>,
    /// The codec that we send.
    pub codec: Option<Codec>,
    /// Which way media flows, seen from us.
    pub direction: MediaDirection,
}

/// Which way media flows, seen from us (RFC 3264 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaDirection {
    /// Neither way.
    Inactive,
    /// We only send.
    SendOnly,
    /// We only receive.
    ReceiveOnly,
    /// Both ways.
    SendReceive,
}

/// What is sent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AudioSource {
    /// Silence, as packets.
    Silence,
    /// A sine of 440 Hz.
    Tone,
    /// The European ringing tone.
    Ringing,
    /// What the peer sends comes back.
    Echo,
    /// A prompt, by its name ([`crate::api::SessionManagerBuilder::with_prompt`]).
    Prompt(String),
}

/// How good it sounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct QualityMetrics {
    /// Listening quality by the E-model (ITU-T G.107), 1.0 to 4.5; `None` before the first packets.
    pub mos_score: Option<f64>,
    /// Packets that never came, percent of those expected.
    pub packet_loss_percent: f64,
    /// Interarrival jitter (RFC 3550 §6.4.1), milliseconds.
    pub jitter_ms: f64,
    /// From RTCP, milliseconds; `None` while the peer has sent no report.
    pub round_trip_time_ms: Option<f64>,
    /// Loss of what we sent, as the peer reports it, percent.
    pub remote_loss_percent: f64,
}

/// What a session's media has counted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MediaStatistics {
    /// Quality; `None` before the first packet.
    pub quality_metrics: Option<QualityMetrics>,
    /// RTP packets taken.
    pub packets_received: u64,
    /// RTP bytes taken, headers included.
    pub bytes_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP bytes sent, headers included.
    pub bytes_sent: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Packets that were dropped: from a stranger, malformed, of an unknown payload type.
    pub packets_dropped: u64,
}

/// Operations on the media of sessions.
#[async_trait]
pub trait MediaControl {
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
    /// What was counted, at most a second old; `None` while there is no media.
    async fn get_media_statistics(&self, id: &SessionId) -> Result<Option<MediaStatistics>, SessionError>;
    /// The statistics again and again, until the session ends or the receiver is dropped. A receiver that is slow
    /// misses some.
    async fn start_statistics_monitoring(
        &self,
        id: &SessionId,
        every: Duration,
    ) -> Result<mpsc::Receiver<MediaStatistics>, SessionError>;
}

#[async_trait]
impl MediaControl for Arc<SessionCoordinator> {
    async fn get_media_info(&self, id: &SessionId) -> Result<Option<MediaInfo>, SessionError> {
        let inner = id.inner();
        let read = move |order: signald::OrderTurn<'_, '_>| order.sessions.get(inner).map(info);
        self.order(id.shard(), read).await?.ok_or_else(|| SessionError::not_found(*id))
    }

    async fn start_audio_transmission(&self, id: &SessionId, source: AudioSource) -> Result<(), SessionError> {
        let source = match source {
            AudioSource::Silence => PlannedSource::Silence,
            AudioSource::Tone => PlannedSource::Tone440,
            AudioSource::Ringing => PlannedSource::Ringing,
            AudioSource::Echo => PlannedSource::Echo,
            AudioSource::Prompt(name) => PlannedSource::Prompt(self.config.prompt_number(&name)?),
        };
        self.operate(*id, move |order, id| order.sessions.play(order.turn, id, Plan::of(source))).await
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
        let change = move |order: signald::OrderTurn<'_, '_>, id| order.sessions.change_codec(order.turn, id, codec);
        self.complete(*id, Operation::ChangeMedia, change).await
    }

    async fn set_muted(&self, id: &SessionId, muted: bool) -> Result<(), SessionError> {
        self.operate(*id, move |order, id| order.sessions.mute(order.turn, id, muted)).await
    }

    async fn get_media_statistics(&self, id: &SessionId) -> Result<Option<MediaStatistics>, SessionError> {
        let inner = id.inner();
        let read = move |order: signald::OrderTurn<'_, '_>| {
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
        self.entry(*id)?;
        let (sender, receiver) = mpsc::channel(16);
        let (this, id) = (Arc::downgrade(self), *id);
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(20)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        tokio::spawn(async move {
            while !sender.is_closed() {
                ticks.tick().await;
                let Some(coordinator) = this.upgrade() else { return };
                match coordinator.get_media_statistics(&id).await {
                    // A full channel: its reader is slow, and misses this one.
                    Ok(Some(statistics)) => drop(sender.try_send(statistics)),
                    Ok(None) => {}
                    Err(_) => return,
                }
            }
        });
        Ok(receiver)
    }
}

fn info(session: &Session) -> Option<MediaInfo> {
    let local = session.local_rtp()?;
    let remote = session.remote_rtp();
    Some(MediaInfo {
        local_rtp_address: Some(local),
        local_rtp_port: Some(local.port()),
        remote_rtp_address: remote,
        remote_rtp_port: remote.map(|address| address.port()),
        codec: session.codec().map(|codec| match codec {
            contract::Codec::Pcma => Codec::Pcma,
            _ => Codec::Pcmu,
        }),
        direction: match session.direction() {
            Direction::Inactive => MediaDirection::Inactive,
            Direction::Send => MediaDirection::SendOnly,
            Direction::Receive => MediaDirection::ReceiveOnly,
            Direction::Both => MediaDirection::SendReceive,
        },
    })
}

fn statistics(row: &LegRow) -> MediaStatistics {
    let lost = u64::try_from(row.lost_packets).unwrap_or(0);
    let expected = row.received_packets + lost;
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    MediaStatistics {
        quality_metrics: (row.received_packets > 0).then(|| QualityMetrics {
            mos_score: (row.mos_x100 > 0).then(|| f64::from(row.mos_x100) / 100.0),
            packet_loss_percent: percent(lost, expected),
            jitter_ms: f64::from(row.jitter_us) / 1_000.0,
            round_trip_time_ms: (row.round_trip_us > 0).then(|| f64::from(row.round_trip_us) / 1_000.0),
            remote_loss_percent: f64::from(row.remote_loss_fraction) * 100.0 / 256.0,
        }),
        packets_received: row.received_packets,
        bytes_received: row.received_bytes,
        packets_sent: row.sent_packets,
        bytes_sent: row.sent_bytes,
        packets_lost: lost,
        packets_dropped: row.dropped_packets,
    }
}
