//! What programs see of a session's media.

use crate::api::Codec;
use contract::{Direction, LegRow};
use serde::{Deserialize, Serialize};
use session::Session;
use std::net::SocketAddr;

/// Where the media of a session flows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
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
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// coordinator.start_audio_transmission(&call.id(), AudioSource::Music("waiting".into())).await?;
/// // Somebody has time.
/// coordinator.start_audio_transmission(&call.id(), AudioSource::Ringing).await?;
/// # Ok(())
/// # }
/// ```
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
    /// A prompt, by its name ([`crate::api::SessionManagerBuilder::with_prompt`]): once, then silence.
    /// [`crate::api::EventKind::AudioEnded`] says when. On hold it begins again.
    Prompt(String),
    /// A prompt again and again, until something else is sent.
    Music(String),
}

/// How good it sounds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
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

pub(super) fn info(session: &Session) -> Option<MediaInfo> {
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

pub(super) fn statistics(row: &LegRow) -> MediaStatistics {
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
