use super::{Operation, SessionId, SessionState};
use std::time::{Duration, SystemTime};

/// What an error is about. What is not known, or makes no sense for it, is `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorContext {
    /// The session.
    pub session_id: Option<SessionId>,
    /// Its Call-ID.
    pub dialog_id: Option<String>,
    /// Where it was in its life.
    pub state: Option<SessionState>,
    /// When it happened.
    pub at: SystemTime,
}

impl ErrorContext {
    pub(crate) fn none() -> Self {
        Self { session_id: None, dialog_id: None, state: None, at: SystemTime::now() }
    }

    pub(crate) fn of(id: SessionId) -> Self {
        Self { session_id: Some(id), ..Self::none() }
    }
}

/// The class of an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCategory {
    /// The program asked for something that makes no sense, or not now.
    Usage,
    /// A limit is reached.
    Resource,
    /// The other side refused, or did not answer.
    Peer,
    /// Network, media plane or operating system.
    System,
}

/// Why an operation did not work. An operation that is refused changes nothing.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// match SessionControl::hold_session(&coordinator, &call.id()).await {
///     Err(SessionError::InvalidState { state, allowed, .. }) => println!("it is {state:?}, and may {allowed:?}"),
///     Err(SessionError::Rejected { status, .. }) => println!("the peer said {status}"),
///     Err(error) if error.is_retryable() => println!("{error}; later perhaps"),
///     Err(error) => println!("{error}: {} ({:?})", error.hint(), error.context().dialog_id),
///     Ok(()) => {}
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SessionError {
    /// Not a `sip:`, `sips:` or `tel:` address.
    #[error("`{uri}` is not a SIP address: {reason}")]
    InvalidUri {
        /// What was given.
        uri: String,
        /// What is wrong with it.
        reason: String,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// The session has ended, or never was.
    #[error("there is no session {id}")]
    SessionNotFound {
        /// Which.
        id: SessionId,
        /// When.
        context: ErrorContext,
    },
    /// Not in this state.
    #[error("a session that is {state:?} does not allow {operation:?}; it allows {allowed:?}")]
    InvalidState {
        /// What was asked.
        operation: Operation,
        /// Where the session is.
        state: SessionState,
        /// What may be asked there.
        allowed: Vec<Operation>,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// A limit is reached; what runs goes on.
    #[error("no more {what}: the limit is {limit}")]
    ResourceExhausted {
        /// Of what.
        what: String,
        /// How many there may be.
        limit: usize,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// Nothing happened in time.
    #[error("no answer within {after:?}")]
    Timeout {
        /// How long was waited.
        after: Duration,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// The other side said no.
    #[error("refused with {status} {reason}")]
    Rejected {
        /// SIP status, 300 to 699.
        status: u16,
        /// Reason phrase.
        reason: String,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// The network, or signaling as a whole.
    #[error("{reason}")]
    Transport {
        /// What happened, and what helps.
        reason: String,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// The media plane.
    #[error("{reason}")]
    Media {
        /// What happened, and what helps.
        reason: String,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// The other side does not keep to the protocol, or something that was asked for would break a message.
    #[error("{reason}")]
    Protocol {
        /// What is wrong.
        reason: String,
        /// When, and for which session.
        context: ErrorContext,
    },
    /// The configuration.
    #[error("{reason}")]
    Config {
        /// What is wrong, and what helps.
        reason: String,
        /// When.
        context: ErrorContext,
    },
}

impl SessionError {
    /// What it is about.
    pub fn context(&self) -> &ErrorContext {
        match self {
            Self::InvalidUri { context, .. }
            | Self::SessionNotFound { context, .. }
            | Self::InvalidState { context, .. }
            | Self::ResourceExhausted { context, .. }
            | Self::Timeout { context, .. }
            | Self::Rejected { context, .. }
            | Self::Transport { context, .. }
            | Self::Media { context, .. }
            | Self::Protocol { context, .. }
            | Self::Config { context, .. } => context,
        }
    }

    /// With what is known about a call.
    pub(crate) fn of_call(mut self, entry: &super::call::Entry) -> Self {
        let context = self.context_mut();
        context.dialog_id.get_or_insert_with(|| entry.call_id.to_string());
        context.state.get_or_insert_with(|| entry.state());
        self
    }

    fn context_mut(&mut self) -> &mut ErrorContext {
        match self {
            Self::InvalidUri { context, .. }
            | Self::SessionNotFound { context, .. }
            | Self::InvalidState { context, .. }
            | Self::ResourceExhausted { context, .. }
            | Self::Timeout { context, .. }
            | Self::Rejected { context, .. }
            | Self::Transport { context, .. }
            | Self::Media { context, .. }
            | Self::Protocol { context, .. }
            | Self::Config { context, .. } => context,
        }
    }

    /// Its class.
    pub fn category(&self) -> ErrorCategory {
        match self {
            Self::InvalidUri { .. }
            | Self::SessionNotFound { .. }
            | Self::InvalidState { .. }
            | Self::Config { .. } => ErrorCategory::Usage,
            Self::ResourceExhausted { .. } => ErrorCategory::Resource,
            Self::Timeout { .. } | Self::Rejected { .. } | Self::Protocol { .. } => ErrorCategory::Peer,
            Self::Transport { .. } | Self::Media { .. } => ErrorCategory::System,
        }
    }

    /// Whether the same operation may work later, unchanged.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ResourceExhausted { .. } | Self::Timeout { .. } | Self::Transport { .. } | Self::Media { .. } => true,
            // RFC 3261 §21: these say that it is not for ever.
            Self::Rejected { status, .. } => matches!(status, 408 | 480 | 486 | 491 | 500 | 503 | 504 | 600),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::InvalidUri { .. } => "give an address such as sip:alice@example.com".into(),
            Self::SessionNotFound { .. } => "it has ended; `list_active_sessions` names those that are there".into(),
            Self::InvalidState { allowed, .. } => format!("the session allows {allowed:?} now"),
            Self::ResourceExhausted { what, .. } => format!("end some, or allow more {what} in the configuration"),
            Self::Timeout { .. } => "look whether the peer is reachable, or wait longer".into(),
            Self::Rejected { .. } if self.is_retryable() => "try again later".into(),
            Self::Rejected { .. } => "the same call will be refused again; change it".into(),
            Self::Transport { .. } => "look at the address and the network".into(),
            Self::Media { .. } => "do what the error names; where it names nothing, `SessionCoordinator::health` says how the media plane is".into(),
            Self::Protocol { .. } => {
                "change the text that the error names; where it names none the peer is at fault, and a capture shows it"
                    .into()
            }
            Self::Config { .. } => "change the configuration as the error says".into(),
        }
    }

    pub(crate) fn not_found(id: SessionId) -> Self {
        Self::SessionNotFound { id, context: ErrorContext::of(id) }
    }

    pub(crate) fn config(reason: impl Into<String>) -> Self {
        Self::Config { reason: reason.into(), context: ErrorContext::none() }
    }

    pub(crate) fn exhausted(what: impl Into<String>, limit: usize) -> Self {
        Self::ResourceExhausted { what: what.into(), limit, context: ErrorContext::none() }
    }

    pub(crate) fn transport(reason: impl Into<String>) -> Self {
        Self::Transport { reason: reason.into(), context: ErrorContext::none() }
    }

    pub(crate) fn media(reason: impl Into<String>) -> Self {
        Self::Media { reason: reason.into(), context: ErrorContext::none() }
    }

    pub(crate) fn media_of(id: SessionId, reason: impl Into<String>) -> Self {
        Self::Media { reason: reason.into(), context: ErrorContext::of(id) }
    }

    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol { reason: reason.into(), context: ErrorContext::none() }
    }

    pub(crate) fn invalid_uri(uri: &str, reason: impl Into<String>) -> Self {
        Self::InvalidUri { uri: uri.into(), reason: reason.into(), context: ErrorContext::none() }
    }

    /// What was said when there is no session yet.
    pub(crate) fn of_nothing(error: session::SessionError) -> Self {
        Self::from_inner(ErrorContext::none(), error)
    }

    pub(crate) fn rejected(id: SessionId, status: u16, reason: &str) -> Self {
        Self::Rejected { status, reason: reason.into(), context: ErrorContext::of(id) }
    }

    pub(crate) fn timeout(id: SessionId, after: Duration) -> Self {
        Self::Timeout { after, context: ErrorContext::of(id) }
    }

    /// What a session said, with what is known about it.
    pub(crate) fn of_session(id: SessionId, call_id: Option<&str>, error: session::SessionError) -> Self {
        let context = ErrorContext { dialog_id: call_id.map(str::to_owned), ..ErrorContext::of(id) };
        Self::from_inner(context, error)
    }

    fn from_inner(mut context: ErrorContext, error: session::SessionError) -> Self {
        match error {
            session::SessionError::SessionNotFound(id) => {
                let id = context.session_id.unwrap_or_else(|| SessionId::new(0, id));
                Self::SessionNotFound { id, context }
            }
            session::SessionError::InvalidState { operation, state, allowed } => {
                context.state = Some(state);
                Self::InvalidState { operation, state, allowed, context }
            }
            session::SessionError::ResourceExhausted { what, limit } => {
                Self::ResourceExhausted { what: what.into(), limit, context }
            }
            session::SessionError::InvalidUri(uri) => {
                Self::InvalidUri { uri: uri.into(), reason: "it cannot be called".into(), context }
            }
            // RFC 3261 §14.1: 491 is what a change beside another one gets.
            busy @ session::SessionError::Busy(_) => Self::Rejected { status: 491, reason: busy.to_string(), context },
            media @ session::SessionError::Media(_) => Self::Media { reason: media.to_string(), context },
            // The status that such an offer earns, for whoever wants to refuse the call with it.
            session::SessionError::Description(unfit) => {
                Self::Rejected { status: unfit.status(), reason: unfit.to_string(), context }
            }
            argument @ session::SessionError::Argument(_) => Self::Config { reason: argument.to_string(), context },
            other => Self::Protocol { reason: other.to_string(), context },
        }
    }
}
