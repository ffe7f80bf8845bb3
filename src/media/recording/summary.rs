//! What became of a recording.

use super::options::fix;
use contract::RecordingOutcome;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a recording is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RecordingEnd {
    /// By [`crate::api::MediaControl::stop_recording`].
    Stopped,
    /// The call is over.
    CallEnded,
    /// The recording is as long as it may be.
    LimitReached,
    /// The disk, or the media plane, broke it off: the file has what came before.
    Failed {
        /// What happened, and what helps.
        reason: String,
    },
}

/// What is in a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordingSummary {
    /// Its file, by the name that it was asked for.
    pub path: PathBuf,
    /// Its length.
    pub duration: Duration,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// RTP packets of the peer that are in it.
    pub packets_received: u64,
    /// RTP packets to the peer that are in it.
    pub packets_sent: u64,
    /// Packets of the peer that never came: silence in their place.
    pub lost_received: u64,
    /// Packets that the other side of a forwarded or bridged call lost on the way to us: silence in their place.
    pub lost_sent: u64,
    /// Packets that the media plane could not keep, because the disk was too slow: silence in their place.
    pub overflow_packets: u64,
    /// Packets that came later than the file could wait: silence in their place.
    pub late_packets: u64,
    /// Packets of a codec that is not decoded: silence in their place.
    pub undecoded_packets: u64,
    /// How long it was paused: silence in the file.
    #[serde(default)]
    pub paused: Duration,
    /// Why it is over.
    pub end: RecordingEnd,
}

impl RecordingSummary {
    pub(super) fn new(path: &Path, outcome: &RecordingOutcome) -> Self {
        use contract::RecordingEnd::*;
        let place = path.display();
        let end = match outcome.end() {
            Stopped => RecordingEnd::Stopped,
            LegClosed => RecordingEnd::CallEnded,
            LimitReached => RecordingEnd::LimitReached,
            WriteFailed => {
                let error = io::Error::from_raw_os_error(outcome.os_error);
                let fix = fix(error.kind());
                RecordingEnd::Failed { reason: format!("{place} took no more sound: {error}; {fix}") }
            }
            MediaLost => {
                RecordingEnd::Failed { reason: format!("the media plane is gone; {place} has what came before") }
            }
            NoFile | NoSuchLeg | Full | AlreadyRunning => {
                RecordingEnd::Failed { reason: format!("nothing was recorded into {place}; try again") }
            }
        };
        Self {
            path: path.to_owned(),
            duration: outcome.duration(),
            file_bytes: outcome.file_bytes,
            packets_received: outcome.received_packets,
            packets_sent: outcome.sent_packets,
            lost_received: outcome.received_lost_packets,
            lost_sent: outcome.sent_lost_packets,
            overflow_packets: outcome.overflow_packets,
            late_packets: outcome.late_packets,
            undecoded_packets: outcome.undecoded_packets,
            paused: Duration::from_millis(outcome.paused_ms.into()),
            end,
        }
    }
}
