//! What errors are about: the call, the address, the resource.

use crate::api::{SessionId, SessionState};
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What an error is about. What is not known, or makes no sense for it, is `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorContext {
    /// The session.
    pub session_id: Option<SessionId>,
    /// Its Call-ID.
    pub dialog_id: Option<String>,
    /// Where it was in its life.
    pub state: Option<SessionState>,
    /// What there is no more of, for [`crate::api::SessionError::ResourceExhausted`].
    pub resource: Option<Resource>,
    /// When it happened.
    pub at: SystemTime,
}

/// Something that there is only so much of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// What, in words: `sessions`, `sessions of bridge 0-1f`.
    pub what: String,
    /// How many there may be.
    pub limit: usize,
}

impl ErrorContext {
    pub(crate) fn none() -> Self {
        Self { session_id: None, dialog_id: None, state: None, resource: None, at: SystemTime::now() }
    }

    pub(crate) fn of(id: SessionId) -> Self {
        Self { session_id: Some(id), ..Self::none() }
    }
}

/// An address that cannot be called, as [`crate::api::SessionError::InvalidUri`] carries it. It prints as the address, and is used
/// like a `str`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidUri {
    pub(super) uri: String,
    pub(super) reason: String,
    pub(super) context: Box<ErrorContext>,
}

impl InvalidUri {
    /// What is wrong with it, in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl std::ops::Deref for InvalidUri {
    type Target = str;
    fn deref(&self) -> &str {
        &self.uri
    }
}

impl std::fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.uri)
    }
}

impl From<String> for InvalidUri {
    fn from(uri: String) -> Self {
        Self { uri, reason: "it cannot be called".into(), context: Box::new(ErrorContext::none()) }
    }
}

/// A session that is not there, as [`crate::api::SessionError::SessionNotFound`] carries it. It prints as the session's name, and is
/// used like a [`SessionId`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingSession {
    pub(super) id: SessionId,
    pub(super) context: Box<ErrorContext>,
}

impl std::ops::Deref for MissingSession {
    type Target = SessionId;
    fn deref(&self) -> &SessionId {
        &self.id
    }
}

impl std::fmt::Display for MissingSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.id.to_string())
    }
}

impl PartialEq<SessionId> for MissingSession {
    fn eq(&self, other: &SessionId) -> bool {
        self.id == *other
    }
}

/// What was refused last because a limit was reached, by any thread. [`crate::api::SessionError::ResourceExhausted`] is a plain word, so
/// that programs can match it as one; what it was about is kept here.
static LAST_REFUSED: Mutex<Option<ErrorContext>> = Mutex::new(None);

thread_local! {
    /// The last refusal of this thread, which is the better answer where it has had one.
    static LAST_REFUSED_HERE: RefCell<Option<ErrorContext>> = const { RefCell::new(None) };
}

pub(super) fn last_refused() -> ErrorContext {
    let here = LAST_REFUSED_HERE.with_borrow(Clone::clone);
    let anywhere = || LAST_REFUSED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    here.or_else(anywhere).unwrap_or_else(ErrorContext::none)
}

pub(super) fn remember_refused(refused: ErrorContext) {
    LAST_REFUSED_HERE.set(Some(refused.clone()));
    *LAST_REFUSED.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
}

pub(super) fn words_of_exhausted() -> String {
    match last_refused().resource {
        Some(Resource { what, limit }) => format!("no more {what}: the limit is {limit}"),
        None => "a limit is reached".into(),
    }
}
