mod about;

pub use about::{ErrorContext, InvalidUri, MissingSession, Resource};

use crate::api::{Operation, SessionId, SessionState};
use crate::calls::entry::Refusal;
use about::{last_refused, remember_refused};
use session::EndOrigin;
use std::time::Duration;

/// What operations of this API give. The error type may be another one, so that importing this beside
/// `std::result::Result` changes nothing: `Result<(), Box<dyn std::error::Error>>` is what it always was.
pub type Result<T, E = SessionError> = std::result::Result<T, E>;

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

/// How long a request without an answer is waited for: 64 times T1 (RFC 3261 §17).
const NO_ANSWER: Duration = Duration::from_secs(32);

/// Why an operation did not work. An operation that is refused changes nothing.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// match SessionControl::hold_session(&coordinator, call.id()).await {
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
    #[error("`{0}` is not a SIP address: {reason}", reason = .0.reason)]
    InvalidUri(InvalidUri),
    /// The session has ended, or never was.
    #[error("there is no session {0}")]
    SessionNotFound(MissingSession),
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
        context: Box<ErrorContext>,
    },
    /// A limit is reached; what runs goes on. [`Self::context`] and the error's text name the resource and its limit: those
    /// of the last such refusal (of this thread, if it had one), since this word carries nothing itself.
    #[error("{}", about::words_of_exhausted())]
    ResourceExhausted,
    /// Nothing happened in time.
    #[error("no answer within {after:?}")]
    Timeout {
        /// How long was waited.
        after: Duration,
        /// When, and for which session.
        context: Box<ErrorContext>,
    },
    /// The other side said no.
    #[error("refused with {status} {reason}")]
    Rejected {
        /// SIP status, 300 to 699.
        status: u16,
        /// Reason phrase.
        reason: String,
        /// When, and for which session.
        context: Box<ErrorContext>,
    },
    /// The network, or signaling as a whole.
    #[error("{reason}")]
    Transport {
        /// What happened, and what helps.
        reason: String,
        /// When, and for which session.
        context: Box<ErrorContext>,
    },
    /// The media plane.
    #[error("{reason}")]
    Media {
        /// What happened, and what helps.
        reason: String,
        /// When, and for which session.
        context: Box<ErrorContext>,
    },
    /// The other side does not keep to the protocol, or something that was asked for would break a message.
    #[error("{reason}")]
    Protocol {
        /// What is wrong.
        reason: String,
        /// When, and for which session.
        context: Box<ErrorContext>,
    },
    /// The configuration.
    #[error("{reason}")]
    Config {
        /// What is wrong, and what helps.
        reason: String,
        /// When it happened.
        context: Box<ErrorContext>,
    },
}

impl SessionError {
    /// What it is about.
    pub fn context(&self) -> ErrorContext {
        match self {
            Self::InvalidUri(InvalidUri { context, .. }) | Self::SessionNotFound(MissingSession { context, .. }) => {
                (**context).clone()
            }
            Self::ResourceExhausted => last_refused(),
            Self::InvalidState { context, .. }
            | Self::Timeout { context, .. }
            | Self::Rejected { context, .. }
            | Self::Transport { context, .. }
            | Self::Media { context, .. }
            | Self::Protocol { context, .. }
            | Self::Config { context, .. } => (**context).clone(),
        }
    }

    /// What the call engine refused, in the words of this API.
    pub(crate) fn of_engine(refusal: engine::Refusal<SessionId>) -> Self {
        use engine::Refusal::{Circle, Full, LegAlready, NoGroup, NoSequence, NotInGroup};
        match refusal {
            Full { what, limit } => Self::exhausted(what, limit),
            NoGroup(group) => {
                Self::config(format!("there is no group {group}; `list_groups` names those that are there"))
            }
            NotInGroup(id) => Self::not_found(id),
            NoSequence(id) => {
                Self::config(format!("there is no sequence {id} with a leg that is up; create one for its A-leg"))
            }
            LegAlready { call, sequence } => Self::config(format!("{call} is a leg of sequence {sequence} already")),
            Circle(way) => {
                let names: Vec<String> = way.iter().map(SessionId::to_string).collect();
                let child = names.first().map_or("", String::as_str);
                Self::config(format!("{child} would depend on itself: {}", names.join(" > ")))
            }
        }
    }

    /// With what is known about a call.
    pub(crate) fn of_call(mut self, entry: &crate::calls::entry::Entry) -> Self {
        if let Some(context) = self.context_mut() {
            context.dialog_id.get_or_insert_with(|| entry.call_id.to_string());
            context.state.get_or_insert_with(|| entry.state());
        }
        self
    }

    fn context_mut(&mut self) -> Option<&mut ErrorContext> {
        match self {
            Self::InvalidUri(InvalidUri { context, .. }) | Self::SessionNotFound(MissingSession { context, .. }) => {
                Some(context)
            }
            Self::ResourceExhausted => None,
            Self::InvalidState { context, .. }
            | Self::Timeout { context, .. }
            | Self::Rejected { context, .. }
            | Self::Transport { context, .. }
            | Self::Media { context, .. }
            | Self::Protocol { context, .. }
            | Self::Config { context, .. } => Some(context),
        }
    }

    /// Its class.
    pub fn category(&self) -> ErrorCategory {
        match self {
            Self::InvalidUri(_) | Self::SessionNotFound(_) | Self::InvalidState { .. } | Self::Config { .. } => {
                ErrorCategory::Usage
            }
            Self::ResourceExhausted => ErrorCategory::Resource,
            Self::Timeout { .. } | Self::Rejected { .. } | Self::Protocol { .. } => ErrorCategory::Peer,
            Self::Transport { .. } | Self::Media { .. } => ErrorCategory::System,
        }
    }

    /// Whether the same operation may work later, unchanged.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ResourceExhausted | Self::Timeout { .. } | Self::Transport { .. } | Self::Media { .. } => true,
            // RFC 3261 §21: these say that it is not for ever.
            Self::Rejected { status, .. } => matches!(status, 408 | 480 | 486 | 491 | 500 | 503 | 504 | 600),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::InvalidUri(_) => "give an address such as sip:alice@example.com".into(),
            Self::SessionNotFound(_) => "it has ended; `list_active_sessions` names those that are there".into(),
            Self::InvalidState { allowed, .. } => format!("the session allows {allowed:?} now"),
            Self::ResourceExhausted => match last_refused().resource {
                Some(Resource { what, .. }) => format!("end some, or allow more {what} in the configuration"),
                None => "end some, or allow more in the configuration".into(),
            },
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
        Self::SessionNotFound(MissingSession { id, context: Box::new(ErrorContext::of(id)) })
    }

    pub(crate) fn config(reason: impl Into<String>) -> Self {
        Self::Config { reason: reason.into(), context: Box::new(ErrorContext::none()) }
    }

    pub(crate) fn exhausted(what: impl Into<String>, limit: usize) -> Self {
        Self::exhausted_in(ErrorContext::none(), what.into(), limit)
    }

    fn exhausted_in(context: ErrorContext, what: String, limit: usize) -> Self {
        let refused = ErrorContext { resource: Some(Resource { what, limit }), ..context };
        remember_refused(refused);
        Self::ResourceExhausted
    }

    pub(crate) fn transport(reason: impl Into<String>) -> Self {
        Self::Transport { reason: reason.into(), context: Box::new(ErrorContext::none()) }
    }

    pub(crate) fn media(reason: impl Into<String>) -> Self {
        Self::Media { reason: reason.into(), context: Box::new(ErrorContext::none()) }
    }

    pub(crate) fn media_of(id: SessionId, reason: impl Into<String>) -> Self {
        Self::Media { reason: reason.into(), context: Box::new(ErrorContext::of(id)) }
    }

    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol { reason: reason.into(), context: Box::new(ErrorContext::none()) }
    }

    pub(crate) fn invalid_uri(uri: &str, reason: impl Into<String>) -> Self {
        let context = Box::new(ErrorContext::none());
        Self::InvalidUri(InvalidUri { uri: uri.into(), reason: reason.into(), context })
    }

    /// What was said when there is no session yet.
    pub(crate) fn of_nothing(error: session::SessionError) -> Self {
        Self::from_inner(ErrorContext::none(), error)
    }

    pub(crate) fn rejected(id: SessionId, status: u16, reason: &str) -> Self {
        Self::Rejected { status, reason: reason.into(), context: Box::new(ErrorContext::of(id)) }
    }

    /// An operation that was not carried out. Only a peer's own answer is a [`Self::Rejected`].
    pub(crate) fn refused(id: SessionId, refusal: Refusal) -> Self {
        let (status, origin) = match refusal {
            Refusal::Status { status, origin } => (status, origin),
            Refusal::Declined(error) => return Self::of_session(id, None, *error),
        };
        let context = Box::new(ErrorContext::of(id));
        let reason = |words: &str| words.to_owned();
        match origin {
            EndOrigin::Peer | EndOrigin::Called => {
                let phrase = sip_wire::StatusCode::new(status).map_or("", sip_wire::StatusCode::reason_phrase);
                Self::rejected(id, status, phrase)
            }
            EndOrigin::TimeOut => Self::Timeout { after: NO_ANSWER, context },
            EndOrigin::Network => Self::Transport { reason: reason("the peer cannot be reached"), context },
            EndOrigin::NoPath => Self::Transport { reason: reason("no address is known for it"), context },
            EndOrigin::Media => Self::Media { reason: reason("the media plane could not do it"), context },
            EndOrigin::Here => Self::Protocol { reason: reason("it could not be asked of the peer"), context },
        }
    }

    pub(crate) fn timeout(id: SessionId, after: Duration) -> Self {
        Self::Timeout { after, context: Box::new(ErrorContext::of(id)) }
    }

    /// What a session said, with what is known about it.
    pub(crate) fn of_session(id: SessionId, call_id: Option<&str>, error: session::SessionError) -> Self {
        let context = ErrorContext { dialog_id: call_id.map(str::to_owned), ..ErrorContext::of(id) };
        Self::from_inner(context, error)
    }

    fn from_inner(context: ErrorContext, error: session::SessionError) -> Self {
        let mut context = Box::new(context);
        match error {
            session::SessionError::SessionNotFound(id) => {
                let id = context.session_id.unwrap_or_else(|| SessionId::new(0, id));
                Self::SessionNotFound(MissingSession { id, context })
            }
            session::SessionError::InvalidState { operation, state, allowed } => {
                context.state = Some(state);
                Self::InvalidState { operation, state, allowed, context }
            }
            session::SessionError::ResourceExhausted { what, limit } => {
                Self::exhausted_in(*context, what.into(), limit)
            }
            session::SessionError::InvalidUri(uri) => {
                let reason = "it cannot be called".into();
                Self::InvalidUri(InvalidUri { uri: uri.into(), reason, context })
            }
            // RFC 3261 §14.1: 491 is what a change beside another one gets.
            busy @ session::SessionError::Busy(_) => Self::Rejected { status: 491, reason: busy.to_string(), context },
            media @ session::SessionError::Media(_) => Self::Media { reason: media.to_string(), context },
            // The status that such an offer earns, for a program that refuses the call with it.
            session::SessionError::Description(unfit) => {
                Self::Rejected { status: unfit.status(), reason: unfit.to_string(), context }
            }
            argument @ session::SessionError::Argument(_) => Self::Config { reason: argument.to_string(), context },
            other => Self::Protocol { reason: other.to_string(), context },
        }
    }
}
