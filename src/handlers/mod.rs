//! The handlers of programs: they decide about calls, and are told what becomes of them.

pub(crate) mod call_task;
pub(crate) mod ready_made;

use crate::api::{
    CallSession, DialogId, MediaInfo, MediaQualityAlertLevel, Priority, QualityChange, SessionId, SessionState,
};
use async_trait::async_trait;
use std::collections::HashMap;
use std::time::SystemTime;

/// A call that waits for a decision. It can be kept and decided later: see [`CallDecision::Defer`].
#[derive(Clone, Debug)]
pub struct IncomingCall {
    /// Its session.
    pub id: SessionId,
    /// Caller, as a URI.
    pub from: String,
    /// Called, as a URI.
    pub to: String,
    /// The user that the caller has proved to be, where it was asked ([`crate::api::Authenticator`]).
    pub user: Option<String>,
    /// The user part of who is really called (Request-URI).
    pub called_user: String,
    /// The caller's session description; `None` where it waits for ours.
    pub sdp: Option<String>,
    /// All header fields by name, as the RFCs write it (`User-Agent`, `Call-ID`) or, where none knows it, as it came
    /// (`X-Account`); those that came more than once are joined by commas.
    pub headers: HashMap<String, String>,
    /// Where it came from.
    pub remote: std::net::SocketAddr,
    /// When it came.
    pub received_at: SystemTime,
}

/// What becomes of a call.
///
/// ```
/// # use ringplane::api::*;
/// fn decide(call: &IncomingCall) -> CallDecision {
///     match call.called_user.as_str() {
///         "office" => CallDecision::Forward("sip:office@192.0.2.7".into()),
///         "queue" => CallDecision::Defer,
///         "echo" => CallDecision::Accept(None),
///         _ => CallDecision::Reject { status: 404, reason: String::new() },
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallDecision {
    /// Answer it; with this session description, or with one that is made for it. The caller is sent silence until
    /// [`crate::api::MediaControl::start_audio_transmission`] or a bridge says otherwise.
    Accept(Option<String>),
    /// Refuse it.
    Reject {
        /// SIP status, 300 to 699.
        status: u16,
        /// Reason phrase; empty: the usual one.
        reason: String,
    },
    /// Call this SIP address for it, as another session, with the media of both through us: the caller hears it ring,
    /// and gets its answer or its refusal. 404 where the address leads nowhere. To answer the caller with an address
    /// instead, see [`crate::api::advanced::AdvancedControl::redirect`].
    Forward(String),
    /// Let it ring; the decision comes later, from anywhere, by
    /// [`SessionControl::accept_incoming_call`](crate::api::SessionControl::accept_incoming_call) or
    /// [`reject_incoming_call`](crate::api::SessionControl::reject_incoming_call). 480 where none comes within
    /// [`SessionManagerBuilder::with_decision_timeout`](crate::api::SessionManagerBuilder::with_decision_timeout).
    Defer,
}

impl CallDecision {
    pub(crate) fn reject(status: u16, reason: &str) -> Self {
        Self::Reject { status, reason: reason.into() }
    }
}

/// Decides about calls, and is told what becomes of them: of those that come in as of those that the program places.
/// Methods of one call never run at the same time; those of different calls do. What is to be told waits for the method
/// that runs, so what takes long (asking a database, waiting for an answer) belongs into a task of its own, as below.
///
/// A method that panics, or takes longer than
/// [`SessionManagerBuilder::with_handler_timeout`](crate::api::SessionManagerBuilder::with_handler_timeout), is given up and
/// logged. Where it was to decide, its call gets a 500; every other call, and one that is up already, goes on.
///
/// ```
/// use ringplane::api::*;
///
/// struct Friends;
///
/// #[async_trait]
/// impl CallHandler for Friends {
///     async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
///         if call.from.contains("@friends.example") {
///             CallDecision::Accept(None)
///         } else {
///             CallDecision::Reject { status: 603, reason: "Decline".into() }
///         }
///     }
///
///     async fn on_dtmf(&self, call: CallSession, digit: char) {
///         let coordinator = call.coordinator();
///         match digit {
///             '0' => drop(tokio::spawn(connect(coordinator, call))),
///             '#' => drop(coordinator.terminate_session(call.id()).await),
///             _ => {}
///         }
///     }
/// }
///
/// /// Calls an agent for a caller, and lets them talk until either hangs up.
/// async fn connect(coordinator: std::sync::Arc<SessionCoordinator>, caller: CallSession) -> Result<(), SessionError> {
///     coordinator.start_audio_transmission(caller.id(), AudioSource::Ringing).await?;
///     let other = coordinator.create_outgoing_call("", "sip:desk@192.0.2.7", None).await?;
///     let sequence = coordinator.create_sequence(caller.id(), SequenceRule::Together)?;
///     coordinator.add_b_leg(&sequence, other.id())?;
///     coordinator.wait_for_answer(other.id(), std::time::Duration::from_secs(20)).await?;
///     coordinator.bridge_sessions(caller.id(), other.id()).await?;
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait CallHandler: Send + Sync {
    /// How important a call is that has come in; asked first. `None`: like most. A call whose level has no room left gets
    /// 503 with Retry-After, and the handler hears no more of it ([`crate::api::PriorityShares`]).
    ///
    /// ```
    /// # use ringplane::api::*;
    /// struct Trusting;
    ///
    /// #[async_trait]
    /// impl CallHandler for Trusting {
    ///     fn call_priority(&self, call: &IncomingCall) -> Option<Priority> {
    ///         Priority::asked_for(call).filter(|_| call.remote.ip().is_loopback())
    ///     }
    ///     async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
    ///         CallDecision::Accept(None)
    ///     }
    /// }
    /// ```
    fn call_priority(&self, call: &IncomingCall) -> Option<Priority> {
        let _ = call;
        None
    }
    /// A call has come in.
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision;
    /// It was answered, and media flows.
    async fn on_call_established(&self, call: CallSession, local_sdp: Option<String>, remote_sdp: Option<String>) {
        let _ = (call, local_sdp, remote_sdp);
    }
    /// It is over, for this reason, such as `hung up by the peer`, `hung up here`, `cancelled`, `rejected`,
    /// `not answered in time` or `media timeout`. [`CallSession::media_statistics`] has its last numbers.
    async fn on_call_ended(&self, call: CallSession, reason: &str) {
        let _ = (call, reason);
    }
    /// The state of a session has changed.
    async fn on_session_state_changed(&self, id: &SessionId, old: SessionState, new: SessionState) {
        let _ = (id, old, new);
    }
    /// Its media was set up.
    async fn on_media_established(&self, call: CallSession, media: Option<MediaInfo>) {
        let _ = (call, media);
    }
    /// Its media is paused.
    async fn on_media_paused(&self, call: CallSession) {
        let _ = call;
    }
    /// Its media flows again.
    async fn on_media_resumed(&self, call: CallSession) {
        let _ = call;
    }
    /// Its media is gone, and its port is free. Told of every call whose media was established.
    async fn on_media_terminated(&self, call: CallSession) {
        let _ = call;
    }
    /// The peer pressed a key: `0` to `9`, `*`, `#`, `A` to `D`.
    async fn on_dtmf(&self, call: CallSession, digit: char) {
        let _ = (call, digit);
    }
    /// How it sounds now: the E-model's score, and packets lost in percent. Told again and again of calls for which
    /// [`crate::api::MediaControl::start_statistics_monitoring`] was asked.
    async fn on_media_quality(
        &self,
        session_id: &SessionId,
        mos_score: f32,
        packet_loss: f32,
        alert_level: MediaQualityAlertLevel,
    ) {
        let _ = (session_id, mos_score, packet_loss, alert_level);
    }
    /// It sounds better or worse than before ([`crate::api::SessionManagerBuilder::with_quality_interval`]).
    async fn on_quality_changed(&self, call: CallSession, change: QualityChange) {
        let _ = (call, change);
    }
    /// What is heard, or what the peer hears, is degraded ([`crate::api::SessionManagerBuilder::with_degraded_mos`]).
    async fn on_quality_degraded(&self, call: CallSession, change: QualityChange) {
        let _ = (call, change);
    }
    /// A degraded stream has recovered.
    async fn on_quality_recovered(&self, call: CallSession, change: QualityChange) {
        let _ = (call, change);
    }
    /// The peer asked us to call `target` in its place. The session layer does so by itself, unless
    /// [`crate::api::SessionManagerBuilder::with_transfers`] says that it does not.
    async fn on_transfer_requested(&self, call: CallSession, target: &str) {
        let _ = (call, target);
    }
    /// The call that the peer asked for is being placed. Once answered it takes the place of this one.
    async fn on_transfer_started(&self, call: CallSession, new_call: SessionId) {
        let _ = (call, new_call);
    }
    /// The call that we asked the peer for was answered; ours ends.
    async fn on_transfer_accepted(&self, call: CallSession) {
        let _ = call;
    }
    /// The call that we asked the peer for was not taken, with this status; ours goes on.
    async fn on_transfer_failed(&self, call: CallSession, status: u16) {
        let _ = (call, status);
    }
    /// The peer wants to change what was agreed on, by re-INVITE or UPDATE; with its session description, or asking for
    /// ours. Media follows by itself.
    async fn on_reinvite_received(&self, call: CallSession, sdp: Option<String>) {
        let _ = (call, sdp);
    }
    /// Its dialog is there: it was answered.
    async fn on_dialog_created(&self, call: CallSession, dialog: DialogId) {
        let _ = (call, dialog);
    }
    /// Its dialog is over.
    async fn on_dialog_terminated(&self, call: CallSession, dialog: DialogId) {
        let _ = (call, dialog);
    }
    /// The peer ended it: BYE, or CANCEL before it was answered.
    async fn on_terminated_by_remote(&self, call: CallSession, reason: &str) {
        let _ = (call, reason);
    }
}
