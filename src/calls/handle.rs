//! A call as an object with operations. [`crate::calls::operations`], [`crate::media`] and [`crate::bridge`] carry them out;
//! [`crate::api::SessionControl`] and [`crate::api::MediaControl`] give the same by a coordinator and a name.

use crate::api::{CallSession, SessionControl, SessionCoordinator, SessionError, SessionId};
use std::future::{Future, IntoFuture};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

/// A call that a program holds in its hand. It is a [`CallSession`] together with its coordinator, which it keeps alive: as
/// long as a `Call` is there, dropping the coordinator ends nothing. A clone is the same call.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # async fn example(coordinator: Arc<SessionCoordinator>, other: Call) -> Result<()> {
/// let call = coordinator.call("sip:bob@example.com").from("sip:alice@example.com").await?;
/// call.answered(Duration::from_secs(30)).await?;
/// call.play(AudioSource::Prompt("play".into())).await?;
/// call.hold().await?;
/// call.resume().await?;
/// call.bridge(&other).ends_together().await?;
/// call.hang_up().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    session: CallSession,
    coordinator: Arc<SessionCoordinator>,
}

impl Deref for Call {
    type Target = CallSession;
    fn deref(&self) -> &CallSession {
        &self.session
    }
}

impl Call {
    pub(crate) fn coordinator(&self) -> &Arc<SessionCoordinator> {
        &self.coordinator
    }
}

impl CallSession {
    /// The call with its operations.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// struct Greets;
    ///
    /// #[async_trait]
    /// impl CallHandler for Greets {
    ///     async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
    ///         CallDecision::Accept(None)
    ///     }
    ///
    ///     async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
    ///         let _ = call.handle().play(AudioSource::Prompt("play".into())).await;
    ///     }
    /// }
    /// ```
    pub fn handle(&self) -> Call {
        Call { session: self.clone(), coordinator: self.coordinator() }
    }
}

impl SessionCoordinator {
    /// The call of a session that is there now, such as one that a handler has deferred.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>, deferred: IncomingCall) -> Result<()> {
    /// if let Some(call) = coordinator.find_call(&deferred.id) {
    ///     call.accept().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_call(&self, id: &SessionId) -> Option<Call> {
        self.live_call(*id).ok()
    }

    /// The call of a session that is there now; [`SessionError::SessionNotFound`] otherwise.
    pub(crate) fn live_call(&self, id: SessionId) -> Result<Call, SessionError> {
        let entry = self.entry(id)?;
        // Without a coordinator there is no session either.
        let coordinator = self.this.upgrade().ok_or_else(|| SessionError::not_found(id))?;
        Ok(Call { session: self.session_of(&entry), coordinator })
    }

    /// Calls an address: `coordinator.call("sip:bob@example.com").await` places the call, and returns at once.
    pub fn call(self: &Arc<Self>, to: impl Into<String>) -> Placing {
        Placing { coordinator: self.clone(), to: to.into(), from: String::new(), sdp: None }
    }
}

/// A call that is about to be placed; awaiting it places it.
#[derive(Debug)]
#[must_use = "a call is placed when this is awaited"]
pub struct Placing {
    coordinator: Arc<SessionCoordinator>,
    to: String,
    from: String,
    sdp: Option<String>,
}

impl Placing {
    /// The address that calls; our own, unless this says otherwise.
    pub fn from(mut self, from: impl Into<String>) -> Self {
        self.from = from.into();
        self
    }

    /// A session description of the program's own, whose media is the program's business too.
    pub fn with_sdp(mut self, sdp: impl Into<String>) -> Self {
        self.sdp = Some(sdp.into());
        self
    }
}

impl IntoFuture for Placing {
    type Output = Result<Call, SessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { coordinator, to, from, sdp } = self;
            let session = SessionControl::create_outgoing_call(&coordinator, &from, &to, sdp).await?;
            Ok(Call { session, coordinator })
        })
    }
}
