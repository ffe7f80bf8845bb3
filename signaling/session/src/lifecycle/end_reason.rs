//! Why a session ended.

use crate::EndOrigin;

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// The peer hung up.
    RemoteBye,
    /// We hung up.
    LocalBye,
    /// The caller gave up before the answer.
    Cancelled,
    /// The one that was called, or a server on the way there, refused it with this status.
    Rejected(u16),
    /// We refused it with this status.
    Refused(u16),
    /// The peer cannot be reached: its port is closed, or a connection could not be made or broke.
    Unreachable,
    /// The one that we called did not answer in time.
    NoAnswer,
    /// No path leads to the target: its name has no address, or could not be looked up in time.
    NoPath,
    /// Our INVITE could not be sent: no target takes it as it is, or a table is full.
    NotPlaced,
    /// The user decided nothing in time; the call was refused with 480.
    NotDecided,
    /// Our 2xx was never acknowledged.
    NoAck,
    /// The peer answered our offer with nothing that fits.
    BadAnswer,
    /// Nothing came from the peer for the media timeout.
    MediaTimeout,
    /// The media plane refused or failed the leg.
    MediaFailed,
    /// The media plane is gone.
    MediaLost,
    /// The session timer ran out.
    SessionExpired,
    /// The peer no longer knows the call, or the way to it broke.
    PeerLost,
    /// The switch is being stopped.
    Shutdown,
    /// The call has lasted as long as a call may.
    AgeLimit,
    /// A call on hold has lasted longer than its limit.
    IdleLimit,
    /// The call was transferred to another party.
    Transferred,
    /// Another call took this one over (`Replaces`, RFC 3891).
    Replaced,
}

/// Classes of reasons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndKind {
    /// An answered call that came to its end.
    Completed,
    /// Given up before the answer.
    Cancelled,
    /// Refused.
    Rejected,
    /// The peer, the network or the media plane failed.
    Failed,
}

impl EndReason {
    /// Its class.
    pub fn kind(self) -> EndKind {
        match self {
            Self::RemoteBye | Self::LocalBye | Self::Shutdown | Self::Replaced | Self::Transferred => {
                EndKind::Completed
            }
            Self::Cancelled => EndKind::Cancelled,
            Self::Rejected(_) | Self::Refused(_) | Self::NotDecided => EndKind::Rejected,
            _ => EndKind::Failed,
        }
    }

    /// The status for an INVITE that has not been answered yet.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Rejected(status) | Self::Refused(status) => status,
            Self::Unreachable => 503,
            Self::NotDecided => 480,
            Self::NoPath => 404,
            Self::MediaFailed | Self::MediaLost | Self::Shutdown => 503,
            Self::NoAnswer | Self::LocalBye | Self::AgeLimit | Self::IdleLimit => 480,
            Self::NotPlaced | Self::PeerLost => 500,
            Self::BadAnswer => 488,
            _ => 487,
        }
    }

    /// The status that a caller gets for it, or got from the one that was called, while the call is not answered.
    pub fn sip_status(self) -> Option<u16> {
        Some(self.status())
    }

    /// Where the end came from, for the session that ended so.
    pub fn origin(self) -> EndOrigin {
        match self {
            Self::RemoteBye | Self::Cancelled | Self::BadAnswer => EndOrigin::Peer,
            Self::Rejected(_) => EndOrigin::Called,
            Self::NoAnswer | Self::NotDecided | Self::NoAck | Self::MediaTimeout | Self::SessionExpired => {
                EndOrigin::TimeOut
            }
            Self::Unreachable | Self::PeerLost => EndOrigin::Network,
            Self::NoPath => EndOrigin::NoPath,
            Self::MediaFailed | Self::MediaLost => EndOrigin::Media,
            Self::LocalBye
            | Self::Refused(_)
            | Self::NotPlaced
            | Self::Shutdown
            | Self::AgeLimit
            | Self::IdleLimit
            | Self::Transferred
            | Self::Replaced => EndOrigin::Here,
        }
    }

    /// What it means for the other side of the same call.
    pub(crate) fn for_other_side(self) -> Self {
        match self {
            Self::RemoteBye => Self::LocalBye,
            // The target asked the switch for credentials that the caller does not have, or redirected it to an address that
            // is not followed.
            Self::Rejected(401 | 407) => Self::Rejected(403),
            Self::Rejected(300..=399 | 487) => Self::Rejected(480),
            other => other,
        }
    }

    /// The reason as operators see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RemoteBye => "hung up by the peer",
            Self::LocalBye => "hung up here",
            Self::Cancelled => "cancelled",
            Self::Rejected(_) => "refused by the called side",
            Self::Refused(_) => "refused here",
            Self::Unreachable => "unreachable",
            Self::NoAnswer => "not answered in time",
            Self::NoPath => "no way to there",
            Self::NotPlaced => "could not be placed",
            Self::NotDecided => "not decided in time",
            Self::NoAck => "answer never acknowledged",
            Self::BadAnswer => "unusable answer to our offer",
            Self::MediaTimeout => "media timeout",
            Self::MediaFailed => "refused by the media plane",
            Self::MediaLost => "media plane lost",
            Self::SessionExpired => "session timer expired",
            Self::PeerLost => "peer lost",
            Self::Shutdown => "switch stopped",
            Self::AgeLimit => "age limit",
            Self::IdleLimit => "idle limit",
            Self::Transferred => "transferred",
            Self::Replaced => "taken over by another call",
        }
    }
}

impl From<sip_core::Cause> for EndReason {
    fn from(cause: sip_core::Cause) -> Self {
        use sip_core::Cause;
        match cause {
            Cause::RemoteBye => Self::RemoteBye,
            Cause::LocalBye | Cause::Unsubscribed => Self::LocalBye,
            Cause::RemoteCancel | Cause::LocalCancel => Self::Cancelled,
            Cause::Rejected(status) => Self::Refused(status),
            Cause::Refused(status) => Self::Rejected(status),
            Cause::NoAck => Self::NoAck,
            Cause::SessionExpired => Self::SessionExpired,
            Cause::Lost(_) | Cause::Transport => Self::PeerLost,
        }
    }
}
