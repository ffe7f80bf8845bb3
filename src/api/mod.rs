//! The API that programs are written with: sessions whose media follows by itself.
//!
//! Start with [`SessionManager`] (a server in three lines) or [`SessionManagerBuilder`]. A [`CallHandler`] decides about
//! calls; [`SessionControl`] and [`MediaControl`] act on them from anywhere; [`SessionCoordinator::subscribe`] tells
//! what happens; [`advanced`] opens SIP itself. Signaling runs on threads of this process; so does the media plane, unless
//! [`SessionManagerBuilder::with_media_plane`] names a running one. Nothing here panics on what a user or a peer says.

pub mod advanced;
mod authenticator;
mod bridge;
mod builder;
mod call;
mod care;
mod config;
mod control;
mod coordinator;
mod credentials;
mod decided;
mod dial;
mod dialog;
mod error;
mod event;
mod handler;
mod handlers;
mod hold;
mod id;
mod manager;
mod media;
mod native;
mod plane;
mod publish;
mod quality;
mod running;
mod server;
mod task;
mod tls;
mod told;
mod transport;
mod user;

pub use self::config::{Codec, SessionConfig, SessionManagerConfig};
pub use async_trait::async_trait;
pub use authenticator::{Authenticator, DigestAlgorithm, UserSecret, UserStore};
pub use bridge::{BridgeEvent, BridgeId, BridgeInfo};
pub use builder::SessionManagerBuilder;
pub use call::CallSession;
pub use care::{
    DEPENDENCY_DEPTH_MAX, GROUPS_MAX, GroupId, GroupInfo, HealthReport, HealthStatus, Leak, LeakKind, LeakReport,
    LegRole, LevelUse, Priority, PriorityShares, ResourceCounters, SEQUENCE_LEGS_MAX, SequenceId, SequenceInfo,
    SequenceLeg, SequenceRule, SessionResources,
};
pub use control::{SessionControl, SessionStats};
pub use coordinator::SessionCoordinator;
pub use credentials::Credentials;
pub use dialog::DialogId;
pub use error::{ErrorCategory, ErrorContext, InvalidUri, MissingSession, Resource, Result, SessionError};
pub use event::{EventClass, EventFilter, EventKind, Receiver, SessionEvent};
pub use handler::{CallDecision, CallHandler, IncomingCall};
pub use handlers::{
    AutoAnswerHandler, CallMetrics, CapacityLimitHandler, CompositeHandler, LoggingHandler, MetricsHandler,
    RejectHandler,
};
pub use id::{NotASessionId, SessionId};
pub use manager::SessionManager;
pub use media::{
    AudioSource, MediaControl, MediaDirection, MediaInfo, MediaQualityAlertLevel, MediaStatistics, QualityMetrics,
    RecordingEnd, RecordingOptions, RecordingSummary, RtpAddress, RtpPort,
};
pub use native::{Bridging, Call, Placing};
pub use publish::CUSTOM_EVENT_BYTES_MAX;
pub use quality::{QualityChange, QualityLevel};
pub use server::{SipClient, SipServer, create_sip_client, create_sip_server};
pub use session::{Operation, SessionState};

/// Errors by themselves, for `use ringplane::api::errors::SessionError`.
pub mod errors {
    pub use super::error::{ErrorCategory, ErrorContext, InvalidUri, MissingSession, Resource, Result, SessionError};
}
pub use tls::{Certificate, ClientCertificates, TlsConfig};
pub use transport::Transport;
