//! What programs see of a session's media.

use crate::api::CallTone;
use crate::api::Codec;
use contract::{Direction, LegRow, StreamQuality};
use serde::{Deserialize, Serialize};
use session::Session;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where the media of a session flows. It prints as one line.
///
/// ```
/// # use ringplane::api::*;
/// fn tell(media: &MediaInfo) {
///     println!("from {}:{}", media.local_rtp_address, media.local_rtp_port);
///     println!("to {}:{}", media.remote_rtp_address, media.remote_rtp_port);
///     println!("all of it: {media}");
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MediaInfo {
    /// Our IP address for RTP, as the peer was told.
    pub local_rtp_address: RtpAddress,
    /// Our port for RTP.
    pub local_rtp_port: RtpPort,
    /// The peer's IP address for RTP, as it told us.
    pub remote_rtp_address: RtpAddress,
    /// The peer's port for RTP.
    pub remote_rtp_port: RtpPort,
    /// The codec that we send.
    pub codec: Option<Codec>,
    /// Which way media flows, seen from us.
    pub direction: MediaDirection,
}

impl MediaInfo {
    /// Our address and port for RTP.
    pub fn local_rtp(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.local_rtp_address.ip()?, self.local_rtp_port.number()?))
    }

    /// The peer's address and port for RTP, as it told us; `None` while it has not.
    pub fn remote_rtp(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.remote_rtp_address.ip()?, self.remote_rtp_port.number()?))
    }
}

impl fmt::Display for MediaInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.codec {
            Some(codec) => write!(f, "{codec}")?,
            None => f.write_str("no codec")?,
        }
        let Self { local_rtp_address, local_rtp_port, remote_rtp_address, remote_rtp_port, direction, .. } = self;
        write!(f, ", {direction}, {local_rtp_address}:{local_rtp_port} and {remote_rtp_address}:{remote_rtp_port}")
    }
}

/// An IP address for RTP. It prints as it is written before a port, IPv6 in brackets, and as `-` while it is not known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RtpAddress(Option<IpAddr>);

impl RtpAddress {
    /// The address; `None` while it is not known.
    pub fn ip(self) -> Option<IpAddr> {
        self.0
    }
}

impl From<Option<SocketAddr>> for RtpAddress {
    fn from(address: Option<SocketAddr>) -> Self {
        Self(address.map(|address| address.ip()))
    }
}

impl fmt::Display for RtpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(IpAddr::V4(ip)) => f.pad(&ip.to_string()),
            Some(IpAddr::V6(ip)) => f.pad(&format!("[{ip}]")),
            None => f.pad("-"),
        }
    }
}

/// A port for RTP. It prints as a number, and as `-` while it is not known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RtpPort(Option<u16>);

impl RtpPort {
    /// The port; `None` while it is not known.
    pub fn number(self) -> Option<u16> {
        self.0
    }
}

impl From<Option<SocketAddr>> for RtpPort {
    fn from(address: Option<SocketAddr>) -> Self {
        Self(address.map(|address| address.port()))
    }
}

impl fmt::Display for RtpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(port) => f.pad(&port.to_string()),
            None => f.pad("-"),
        }
    }
}

/// Which way media flows, seen from us (RFC 3264 §5.1). It prints as in SDP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum MediaDirection {
    /// Neither way.
    Inactive,
    /// We only send.
    SendOnly,
    /// We only receive.
    ReceiveOnly,
    /// Media flows both ways.
    SendReceive,
}

impl fmt::Display for MediaDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inactive => "inactive",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::SendReceive => "sendrecv",
        })
    }
}

/// What is sent.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// coordinator.start_audio_transmission(call.id(), AudioSource::Music("waiting".into())).await?;
/// // An agent is free.
/// coordinator.start_audio_transmission(call.id(), AudioSource::Ringing).await?;
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
    /// A tone as the telephone network of a country has it (ITU-T E.180).
    CallTone {
        /// The country, by its two letters of ISO 3166: `gb`.
        country: String,
        /// What the tone tells.
        tone: CallTone,
    },
}

/// How good it sounds.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct QualityMetrics {
    /// How what we receive sounds, since the beginning of the call: conversational quality by the E-model (ITU-T G.107, for G.722
    /// and Opus G.107.1), 1.0 to 4.5; `None` before the first packets.
    pub mos_score: Option<f64>,
    /// Packets that never came, percent of those expected.
    pub packet_loss_percent: f64,
    /// Interarrival jitter (RFC 3550 §6.4.1), milliseconds.
    pub jitter_ms: f64,
    /// From RTCP, milliseconds; NaN, `null` in JSON, while the peer has sent no report.
    #[serde(deserialize_with = "nan_if_null")]
    pub round_trip_time_ms: f64,
    /// Loss of what we sent, as the peer reports it, percent.
    pub remote_loss_percent: f64,
    /// The score of the last interval; `None` before the first one.
    pub recent_mos_score: Option<f64>,
    /// The transmission rating that belongs to the score: at most 93.2 for narrow-band codecs, 129 for G.722 and Opus.
    pub r_factor: Option<f64>,
    /// Packets that came too late to be played, percent.
    pub discard_percent: f64,
    /// Packets lost within bursts of loss, percent of those in bursts (RFC 3611 §4.7.2).
    pub burst_loss_percent: f64,
    /// Packets lost between bursts, percent of those between bursts.
    pub gap_loss_percent: f64,
    /// Mean length of bursts of loss, milliseconds; 0: there were none.
    pub burst_ms: f64,
    /// Mean length of the gaps between bursts, milliseconds.
    pub gap_ms: f64,
    /// Delay from mouth to ear that the score counts with, milliseconds: half of the round trip, jitter buffer, packets and codec.
    pub delay_ms: f64,
    /// How what we send sounds to the peer; `None` before its first report.
    pub sent: Option<SentQuality>,
}

/// How what we send sounds to the peer, as its RTCP has it.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct SentQuality {
    /// Conversational quality since the beginning, 1.0 to 4.5.
    pub mos_score: Option<f64>,
    /// The same by the last report.
    pub recent_mos_score: Option<f64>,
    /// The transmission rating that belongs to the score.
    pub r_factor: Option<f64>,
    /// Packets that never came, percent, since the beginning.
    pub loss_percent: f64,
    /// Jitter at the peer, milliseconds.
    pub jitter_ms: f64,
    /// Delay that the score counts with, milliseconds.
    pub delay_ms: f64,
    /// Score that the peer itself gives (VoIP metrics of RTCP XR, RFC 3611 §4.7); `None`: it tells none.
    pub peer_mos_score: Option<f64>,
    /// Rating that the peer itself gives, 0 to 100.
    pub peer_r_factor: Option<f64>,
}

fn nan_if_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// How alarming a score is, for [`crate::api::CallHandler::on_media_quality`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum MediaQualityAlertLevel {
    /// A score of 4.0 and above.
    Good,
    /// 3.0 and above.
    Fair,
    /// 2.0 and above.
    Poor,
    /// Below 2.0.
    Critical,
}

impl MediaQualityAlertLevel {
    /// The level of a score of 1.0 to 4.5.
    pub fn of(mos: f64) -> Self {
        match mos {
            mos if mos >= 4.0 => Self::Good,
            mos if mos >= 3.0 => Self::Fair,
            mos if mos >= 2.0 => Self::Poor,
            _ => Self::Critical,
        }
    }
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
    let local = Some(session.local_rtp()?);
    let remote = session.remote_rtp();
    Some(MediaInfo {
        local_rtp_address: local.into(),
        local_rtp_port: local.into(),
        remote_rtp_address: remote.into(),
        remote_rtp_port: remote.into(),
        codec: session.codec().and_then(Codec::of_contract),
        direction: match session.direction() {
            Direction::Inactive => MediaDirection::Inactive,
            Direction::Send => MediaDirection::SendOnly,
            Direction::Receive => MediaDirection::ReceiveOnly,
            Direction::Both => MediaDirection::SendReceive,
        },
    })
}

/// A score from the leg table; `None`: it is not known.
fn score(mos_x100: u16) -> Option<f64> {
    (mos_x100 > 0).then(|| f64::from(mos_x100) / 100.0)
}

fn rating(quality: &StreamQuality) -> Option<f64> {
    (quality.mos_x100 > 0).then(|| f64::from(quality.r_x10) / 10.0)
}

fn percent_of_256(part: u8) -> f64 {
    f64::from(part) * 100.0 / 256.0
}

fn sent_quality(row: &LegRow) -> SentQuality {
    let (sent, reported) = (&row.quality.sent, &row.reported);
    let by_peer = |value: u8, most: u8| (reported.has_metrics == 1 && value <= most).then(|| f64::from(value));
    SentQuality {
        mos_score: score(sent.mos_x100),
        recent_mos_score: score(sent.recent_mos_x100),
        r_factor: rating(sent),
        loss_percent: percent_of_256(sent.loss_rate),
        jitter_ms: f64::from(reported.jitter_us) / 1_000.0,
        delay_ms: sent.delay_ms.into(),
        peer_mos_score: by_peer(reported.mos_cq_x10, 50).map(|mos| mos / 10.0),
        peer_r_factor: by_peer(reported.r_factor, 100),
    }
}

pub(super) fn statistics(row: &LegRow) -> MediaStatistics {
    let lost = u64::try_from(row.received.lost_packets).unwrap_or(0);
    let expected = row.received.packets + lost;
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    let received = &row.quality.received;
    MediaStatistics {
        quality_metrics: (row.received.packets > 0).then(|| QualityMetrics {
            mos_score: score(received.mos_x100),
            packet_loss_percent: percent(lost, expected),
            jitter_ms: f64::from(row.received.jitter_us) / 1_000.0,
            round_trip_time_ms: match row.reported.round_trip_us {
                0 => f64::NAN,
                round_trip_us => f64::from(round_trip_us) / 1_000.0,
            },
            remote_loss_percent: f64::from(row.reported.loss_fraction) * 100.0 / 256.0,
            recent_mos_score: score(received.recent_mos_x100),
            r_factor: rating(received),
            discard_percent: percent_of_256(received.discard_rate),
            burst_loss_percent: percent_of_256(received.burst_density),
            gap_loss_percent: percent_of_256(received.gap_density),
            burst_ms: received.burst_ms.into(),
            gap_ms: received.gap_ms.into(),
            delay_ms: received.delay_ms.into(),
            sent: (row.quality.sent.mos_x100 > 0).then(|| sent_quality(row)),
        }),
        packets_received: row.received.packets,
        bytes_received: row.received.bytes,
        packets_sent: row.sent.packets,
        bytes_sent: row.sent.bytes,
        packets_lost: lost,
        packets_dropped: row.received.dropped_packets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_written_before_a_port() {
        let of = |address: &str| Some(address.parse::<SocketAddr>().unwrap());
        let media = MediaInfo {
            local_rtp_address: of("192.0.2.1:10000").into(),
            local_rtp_port: of("192.0.2.1:10000").into(),
            remote_rtp_address: of("[2001:db8::7]:4000").into(),
            remote_rtp_port: of("[2001:db8::7]:4000").into(),
            codec: Some(Codec::Pcma),
            direction: MediaDirection::SendOnly,
        };
        assert_eq!(media.to_string(), "PCMA, sendonly, 192.0.2.1:10000 and [2001:db8::7]:4000");
        assert_eq!(media.remote_rtp(), of("[2001:db8::7]:4000"));
        let text = serde_json::to_string(&media).unwrap();
        assert!(text.contains(r#""remote_rtp_address":"2001:db8::7","remote_rtp_port":4000"#), "{text}");
        assert_eq!(serde_json::from_str::<MediaInfo>(&text).unwrap(), media);
        assert_eq!(format!("{}:{}", RtpAddress::default(), RtpPort::default()), "-:-");
    }

    #[test]
    fn alarms_by_score() {
        use MediaQualityAlertLevel::*;
        let levels = [4.0, 3.99, 3.0, 2.0, 1.9, f64::NAN].map(MediaQualityAlertLevel::of);
        assert_eq!(levels, [Good, Fair, Fair, Poor, Critical, Critical]);
    }
}
