//! Which events a subscriber gets.

use super::{EventKind, SessionEvent};
use crate::api::SessionId;
use std::collections::HashSet;

impl EventKind {
    /// The class, for filters.
    pub fn class(&self) -> EventClass {
        match self {
            Self::IncomingCall { .. } => EventClass::Incoming,
            Self::StateChanged { .. } | Self::Progress { .. } | Self::Forwarded { .. } => EventClass::State,
            Self::TransferRequested { .. }
            | Self::TransferStarted { .. }
            | Self::TransferProgress { .. }
            | Self::TransferAccepted
            | Self::TransferFailed { .. } => EventClass::Transfer,
            Self::DtmfReceived { .. } => EventClass::Dtmf,
            Self::HoldChanged { .. }
            | Self::MediaChanged
            | Self::AudioEnded
            | Self::VoiceActivity { .. }
            | Self::RoomSpeaking { .. }
            | Self::AnnouncementEnded { .. }
            | Self::VoiceProcessingRefused
            | Self::MediaEstablished
            | Self::MediaPaused
            | Self::MediaResumed
            | Self::RecordingStarted { .. }
            | Self::RecordingEnded { .. }
            | Self::MediaTerminated => EventClass::Media,
            Self::QualityChanged { .. } | Self::QualityDegraded { .. } | Self::QualityRecovered { .. } => {
                EventClass::Quality
            }
            Self::MediaQuality { .. } | Self::CodecChangeOffered { .. } => EventClass::Quality,
            Self::DialogCreated { .. } | Self::DialogTerminated { .. } | Self::ReinviteReceived { .. } => {
                EventClass::Dialog
            }
            Self::TerminatedByRemote | Self::Ended { .. } => EventClass::Ended,
            Self::Custom { .. } => EventClass::Custom,
        }
    }
}

/// Classes of events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum EventClass {
    /// Calls that come in.
    Incoming,
    /// Changes of state.
    State,
    /// Transfers.
    Transfer,
    /// Keys.
    Dtmf,
    /// Media set up, changed, held and gone; ends of what is played; recordings; who speaks.
    Media,
    /// Changes of quality, and the numbers of monitored calls.
    Quality,
    /// Dialogs that come and go, and what peers change in them.
    Dialog,
    /// Ends.
    Ended,
    /// The program's own.
    Custom,
}

/// Which events a subscriber wants. The default is all.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>) {
/// let filter = EventFilter::all().class(EventClass::Dtmf).class(EventClass::Quality);
/// let mut events = coordinator.subscribe(filter);
/// while let Some(event) = events.recv().await {
///     println!("{}: {:?}", event.session_id, event.kind);
/// }
/// # }
/// ```
#[derive(Clone, Default, Debug)]
pub struct EventFilter {
    session: Option<SessionId>,
    classes: Option<HashSet<EventClass>>,
}

impl EventFilter {
    /// All events.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of one session.
    pub fn session(mut self, id: SessionId) -> Self {
        self.session = Some(id);
        self
    }

    /// Only those of a class, or of all classes named so far.
    pub fn class(mut self, class: EventClass) -> Self {
        self.classes.get_or_insert_default().insert(class);
        self
    }

    pub(super) fn takes(&self, event: &SessionEvent) -> bool {
        self.session.is_none_or(|id| id == event.session_id)
            && self.classes.as_ref().is_none_or(|classes| classes.contains(&event.kind.class()))
    }
}
