use crate::api::advanced::OutgoingCall;
use crate::api::{CallSession, IncomingCall, SessionCoordinator, SessionError, SessionId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long `stop` waits for the ends of calls.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Numbers of a coordinator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionStats {
    /// Sessions that are there now.
    pub active_sessions: usize,
    /// How many there may be.
    pub max_sessions: usize,
    /// Sessions that were answered and came to a proper end.
    pub completed_sessions: u64,
    /// Sessions that were refused, cancelled or broke.
    pub failed_sessions: u64,
    /// Events that slow subscribers lost.
    pub lost_events: u64,
}

/// Operations on sessions, as `SessionControl::hold_session(&coordinator, &id)` or `coordinator.hold_session(&id)`.
/// Each fails with [`SessionError::SessionNotFound`] for a session that is not there and with
/// [`SessionError::InvalidState`] where its state does not allow it; then nothing has changed.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::time::Duration;
/// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>) -> Result<(), SessionError> {
/// let call = coordinator.create_outgoing_call("sip:alice@example.com", "sip:bob@192.0.2.7", None).await?;
/// match coordinator.wait_for_answer(call.id(), Duration::from_secs(30)).await {
///     Ok(_) => coordinator.send_dtmf(call.id(), "123#").await?,
///     Err(error) if error.is_retryable() => println!("later: {}", error.hint()),
///     Err(error) => return Err(error),
/// }
/// coordinator.terminate_session(call.id()).await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SessionControl {
    /// Starts listening where the configuration says.
    async fn start(&self) -> Result<(), SessionError>;
    /// Ends every call with BYE, then stops listening.
    async fn stop(&self) -> Result<(), SessionError>;
    /// Places a call and returns at once; [`Self::wait_for_answer`] waits. An empty `from` is our own address. With a
    /// session description of the program's, its media is the program's business too. A coordinator that does not run is
    /// started.
    ///
    /// A challenge (401, 407) is answered with our credentials ([`crate::api::Credentials`]), up to five redirections (3xx) are followed, early
    /// media is taken ([`crate::api::EventKind::Progress`]), and what rings for 60 s is cancelled. For another limit, or header
    /// fields, see [`crate::api::advanced::OutgoingCall`].
    async fn create_outgoing_call(
        &self,
        from: &str,
        to: &str,
        sdp: Option<String>,
    ) -> Result<CallSession, SessionError>;
    /// Waits until a call that we placed is answered and its media is set up. [`SessionError::Rejected`] has the status of
    /// a refusal of the called side, and of no other; what fails before the called side answers is [`SessionError::Transport`], or
    /// [`SessionError::Timeout`] where it did not in time. One whose `timeout` has run out leaves the call as it is.
    async fn wait_for_answer(&self, id: &SessionId, timeout: Duration) -> Result<CallSession, SessionError>;
    /// Answers a deferred call; with this session description, or with one that is made for it. Returns when it is up, so
    /// that everything else can be asked of it; [`SessionError::Rejected`] with 487 where the caller has given up meanwhile.
    async fn accept_incoming_call(&self, call: &IncomingCall, sdp: Option<String>)
    -> Result<CallSession, SessionError>;
    /// Refuses a deferred call with 603 and this reason; an empty one is `Decline`.
    async fn reject_incoming_call(&self, call: &IncomingCall, reason: &str) -> Result<(), SessionError> {
        self.reject_incoming_call_with(call, 603, reason).await
    }
    /// Refuses a call that rings with a SIP status, 300 to 699; an empty reason is the usual one of the status.
    async fn reject_incoming_call_with(
        &self,
        call: &IncomingCall,
        status: u16,
        reason: &str,
    ) -> Result<(), SessionError>;
    /// Ends a session: BYE, CANCEL or a refusal, whatever its state asks for.
    async fn terminate_session(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Holds the peer: it is asked to send nothing, and hears nothing. Waits for its answer.
    async fn hold_session(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Takes the hold back. Waits for the peer's answer.
    async fn resume_session(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Asks the peer to call `target` instead (blind transfer, RFC 3515), and waits until it has done so: then our call
    /// ends. When the target does not take the call, [`SessionError::Rejected`] has its status, and our call is
    /// back where it was.
    async fn transfer_session(&self, id: &SessionId, target: &str) -> Result<(), SessionError>;
    /// Asks the peer to take over our call with a third party (attended transfer, `Replaces` of RFC 3891), and waits
    /// until it has done so: then both of our calls end. [`crate::api::EventKind::TransferProgress`] says how far it is.
    async fn attended_transfer(&self, id: &SessionId, consultation: &SessionId) -> Result<(), SessionError>;
    /// Replaces what the peer hears by silence. RTP goes on, and the peer is not told.
    async fn mute(&self, id: &SessionId) -> Result<(), SessionError>;
    /// The end of [`Self::mute`].
    async fn unmute(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Sends digits, `0-9`, `*`, `#`, `A-D`, at most 24: as telephone events (RFC 4733) where these were agreed on, by
    /// INFO otherwise.
    async fn send_dtmf(&self, id: &SessionId, digits: &str) -> Result<(), SessionError>;
    /// A session that is there now.
    async fn get_session(&self, id: &SessionId) -> Result<Option<CallSession>, SessionError>;
    /// All sessions that are there now.
    async fn list_active_sessions(&self) -> Result<Vec<SessionId>, SessionError>;
    /// Numbers of the coordinator.
    async fn get_stats(&self) -> Result<SessionStats, SessionError>;
}

#[async_trait]
impl SessionControl for Arc<SessionCoordinator> {
    async fn start(&self) -> Result<(), SessionError> {
        SessionCoordinator::start(self, None).await
    }

    async fn stop(&self) -> Result<(), SessionError> {
        SessionCoordinator::stop(self, STOP_GRACE).await
    }

    async fn create_outgoing_call(
        &self,
        from: &str,
        to: &str,
        sdp: Option<String>,
    ) -> Result<CallSession, SessionError> {
        self.dial(OutgoingCall { sdp, ..OutgoingCall::new(from, to) }).await
    }

    async fn wait_for_answer(&self, id: &SessionId, timeout: Duration) -> Result<CallSession, SessionError> {
        self.answered(*id, timeout).await
    }

    async fn accept_incoming_call(
        &self,
        call: &IncomingCall,
        sdp: Option<String>,
    ) -> Result<CallSession, SessionError> {
        let call = self.live_call(call.id)?;
        call.accept_with_sdp(sdp).await?;
        Ok(CallSession::clone(&call))
    }

    async fn reject_incoming_call_with(
        &self,
        call: &IncomingCall,
        status: u16,
        reason: &str,
    ) -> Result<(), SessionError> {
        self.live_call(call.id)?.reject(status, reason).await
    }

    async fn terminate_session(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.hang_up().await
    }

    async fn hold_session(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.hold().await
    }

    async fn resume_session(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.resume().await
    }

    async fn transfer_session(&self, id: &SessionId, target: &str) -> Result<(), SessionError> {
        self.live_call(*id)?.transfer(target).await
    }

    async fn attended_transfer(&self, id: &SessionId, consultation: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.attended_transfer(*consultation).await
    }

    async fn mute(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.mute().await
    }

    async fn unmute(&self, id: &SessionId) -> Result<(), SessionError> {
        self.live_call(*id)?.unmute().await
    }

    async fn send_dtmf(&self, id: &SessionId, digits: &str) -> Result<(), SessionError> {
        self.live_call(*id)?.send_dtmf(digits).await
    }

    async fn get_session(&self, id: &SessionId) -> Result<Option<CallSession>, SessionError> {
        Ok(self.registry.get(*id).map(|entry| self.session_of(&entry)))
    }

    async fn list_active_sessions(&self) -> Result<Vec<SessionId>, SessionError> {
        Ok(self.registry.all().iter().map(|entry| entry.id).collect())
    }

    async fn get_stats(&self) -> Result<SessionStats, SessionError> {
        Ok(self.stats())
    }
}
