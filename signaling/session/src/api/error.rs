use crate::{Operation, SessionId, SessionState};

/// Why an operation on a session was refused. Nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SessionError {
    /// It has ended, or never was.
    #[error("there is no session {0}")]
    SessionNotFound(SessionId),
    /// It was taken down, or never was.
    #[error("there is no bridge {0}")]
    BridgeNotFound(crate::BridgeId),
    /// The switch is being stopped.
    #[error("the switch is being stopped and takes no further calls")]
    Stopping,
    /// Not in this state.
    #[error("a session that is {} does not allow {operation:?}; it allows {allowed:?}", state.name())]
    InvalidState {
        /// What was asked.
        operation: Operation,
        /// Where the session is.
        state: SessionState,
        /// What may be asked there.
        allowed: Vec<Operation>,
    },
    /// Another change of the same call is on its way, from either side. Try again when it is done.
    #[error("{0:?} has to wait: another change of this call is on its way; try again when it is done")]
    Busy(Operation),
    /// A limit is reached.
    #[error("no room for more {what} than {limit}")]
    ResourceExhausted {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No URI, or none that can be called.
    #[error("`{0}` is not a URI that can be used here")]
    InvalidUri(Box<str>),
    /// A call that has come through as many switches as one may does not go on.
    #[error("the call has taken all the hops that it may")]
    TooManyHops,
    /// The media plane cannot do it.
    #[error("{0}")]
    Media(&'static str),
    /// SIP cannot do it.
    #[error("SIP refuses: {0}")]
    Protocol(sip_core::Refused),
    /// A session description does not fit.
    #[error("{0}")]
    Description(sdp_core::SdpError),
    /// An argument is outside its range.
    #[error("{0}")]
    Argument(&'static str),
}

impl SessionError {
    /// The status for a caller whose call could not go on for this reason.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::ResourceExhausted { .. } | Self::Media(_) | Self::Stopping => 503,
            Self::TooManyHops => 483,
            Self::InvalidUri(_) => 404,
            _ => 500,
        }
    }

    /// Whether the same may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy(_) | Self::ResourceExhausted { .. } => true,
            Self::Protocol(refused) => matches!(refused, sip_core::Refused::Busy | sip_core::Refused::Full),
            _ => false,
        }
    }
}
