//! The API that programs are written with: sessions whose media follows by itself.
//!
//! Start with [`SessionManager`] (a server in three lines) or [`SessionManagerBuilder`]. A [`CallHandler`] decides about
//! calls; [`SessionControl`] and [`MediaControl`] act on them from anywhere; [`SessionCoordinator::subscribe`] tells
//! what happens; [`advanced`] opens SIP itself. Signaling runs on threads of this process; so does the media plane, unless
//! [`SessionManagerBuilder::with_media_plane`] names a running one. Nothing here panics on what a user or a peer says.

pub mod advanced;

pub use crate::bridge::handle::Bridging;
pub use crate::bridge::{BridgeEvent, BridgeId, BridgeInfo};
pub use crate::calls::control::{SessionControl, SessionStats};
pub use crate::calls::dialog::DialogId;
pub use crate::calls::digits::DigitPassing;
pub use crate::calls::handle::{Call, Placing};
pub use crate::calls::id::{NotASessionId, SessionId};
pub use crate::calls::session::CallSession;
pub use crate::coordinator::SessionCoordinator;
pub use crate::coordinator::manager::SessionManager;
pub use crate::coordinator::server::{SipClient, SipServer, create_sip_client, create_sip_server};
pub use crate::error::{ErrorCategory, ErrorContext, InvalidUri, MissingSession, Resource, Result, SessionError};
pub use crate::events::custom::CUSTOM_EVENT_BYTES_MAX;
pub use crate::events::{EventClass, EventFilter, EventKind, Receiver, SessionEvent};
pub use crate::groups::{GroupInfo, SequenceInfo, SequenceLeg};
pub use crate::handlers::ready_made::{
    AutoAnswerHandler, CallMetrics, CapacityLimitHandler, CompositeHandler, LoggingHandler, MetricsHandler,
    RejectHandler,
};
pub use crate::handlers::{CallDecision, CallHandler, IncomingCall};
pub use crate::health::{
    HealthReport, HealthStatus, Leak, LeakReport, LevelUse, ResourceCounters, SessionResources, SipCounters,
};
pub use crate::media::quality::{QualityChange, QualityLevel, QualityStream};
pub use crate::media::{
    AnnounceOptions, AnnouncementId, AudioEnd, AudioFrame, AudioSource, AudioStream, AudioStreamEvent,
    AudioStreamOptions, AudioTrack, AudioTracks, CallTone, MediaControl, MediaDirection, MediaInfo,
    MediaQualityAlertLevel, MediaStatistics, PlayOptions, QualityMetrics, RecordingEnd, RecordingOptions,
    RecordingSummary, RoomRole, RtpAddress, RtpPort, SentQuality, VoiceProcessing, WebSocketEnd, WebSocketOptions,
    WebSocketStream, WebSocketSummary,
};
pub use crate::settings::authenticator::{Authenticator, DigestAlgorithm, UserSecret, UserStore};
pub use crate::settings::builder::SessionManagerBuilder;
pub use crate::settings::credentials::Credentials;
pub use crate::settings::tls::{Certificate, ClientCertificates, TlsConfig};
pub use crate::settings::transport::Transport;
pub use crate::settings::{Codec, QualitySettings, SessionConfig, SessionManagerConfig, SoundFiles};
pub use async_trait::async_trait;
#[doc(inline)]
pub use engine::{
    DEPENDENCY_DEPTH_MAX, GROUPS_MAX, GroupId, LeakKind, LegRole, Priority, PriorityShares, SEQUENCE_LEGS_MAX,
    SequenceId, SequenceRule,
};
#[doc(inline)]
pub use session::{Operation, SessionState};

/// Errors by themselves, for `use ringplane::api::errors::SessionError`.
pub mod errors {
    pub use crate::error::{ErrorCategory, ErrorContext, InvalidUri, MissingSession, Resource, Result, SessionError};
}
