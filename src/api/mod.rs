//! The API that programs are written with: sessions whose media follows by itself.
//!
//! Start with [`SessionManager`] (a server in three lines) or [`SessionManagerBuilder`]. A [`CallHandler`] decides about
//! calls; [`SessionControl`] and [`MediaControl`] act on them from anywhere; [`SessionCoordinator::subscribe`] tells
//! what happens. Signaling runs on threads of this process; so does the media plane, unless
//! [`SessionManagerBuilder::with_media_plane`] names a running one. Nothing here panics on what a user or a peer says.

mod bridge;
mod call;
mod care;
mod config;
mod control;
mod coordinator;
mod dial;
mod error;
mod event;
mod handler;
mod handlers;
mod id;
mod manager;
mod media;
mod plane;
mod task;
mod user;

pub use self::config::{Codec, SessionConfig, SessionManagerBuilder};
pub use async_trait::async_trait;
pub use bridge::{BridgeEvent, BridgeId, BridgeInfo};
pub use call::CallSession;
pub use care::{
    DEPENDENCY_DEPTH_MAX, GROUPS_MAX, GroupId, GroupInfo, HealthReport, HealthStatus, Leak, LeakKind, LeakReport,
    LegRole, LevelUse, Priority, PriorityShares, ResourceCounters, SEQUENCE_LEGS_MAX, SequenceId, SequenceInfo,
    SequenceLeg, SequenceRule, SessionResources,
};
pub use control::{SessionControl, SessionStats};
pub use coordinator::SessionCoordinator;
pub use error::{ErrorCategory, ErrorContext, SessionError};
pub use event::{EventClass, EventFilter, EventKind, Receiver, SessionEvent};
pub use handler::{CallDecision, CallHandler, IncomingCall};
pub use handlers::{
    AutoAnswerHandler, CallMetrics, CapacityLimitHandler, CompositeHandler, LoggingHandler, MetricsHandler,
    RejectHandler,
};
pub use id::{NotASessionId, SessionId};
pub use manager::SessionManager;
pub use media::{
    AudioSource, MediaControl, MediaDirection, MediaInfo, MediaStatistics, QualityMetrics, RecordingEnd,
    RecordingOptions, RecordingSummary,
};
pub use session::{Operation, SessionState};
