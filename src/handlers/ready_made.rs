//! Handlers that come with the library.

use crate::api::{CallDecision, CallHandler, CallSession, IncomingCall, SessionId, SessionState};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Answers every call, and sends it silence.
///
/// ```
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// let builder = SessionManagerBuilder::new().with_handler(Arc::new(AutoAnswerHandler));
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct AutoAnswerHandler;

#[async_trait]
impl CallHandler for AutoAnswerHandler {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }
}

/// Refuses every call with a status.
///
/// ```
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// let builder = SessionManagerBuilder::new().with_handler(Arc::new(RejectHandler(480)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RejectHandler(
    /// 300 to 699.
    pub u16,
);

#[async_trait]
impl CallHandler for RejectHandler {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::reject(self.0, "")
    }
}

/// Leaves every decision to others, and logs what happens, by `tracing`. See [`CompositeHandler`].
#[derive(Clone, Copy, Default, Debug)]
pub struct LoggingHandler;

#[async_trait]
impl CallHandler for LoggingHandler {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        tracing::info!(session = %call.id, from = call.from, to = call.to, "a call has come in");
        CallDecision::Defer
    }

    async fn on_session_state_changed(&self, id: &SessionId, old: SessionState, new: SessionState) {
        tracing::info!(session = %id, ?old, ?new, "the call moved on");
    }

    async fn on_call_ended(&self, call: CallSession, reason: &str) {
        tracing::info!(session = %call.id(), reason, "the call has ended");
    }

    async fn on_dtmf(&self, call: CallSession, digit: char) {
        tracing::info!(session = %call.id(), %digit, "a key was pressed");
    }
}

/// Leaves every decision to others, and counts.
///
/// ```
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// let metrics = Arc::new(MetricsHandler::default());
/// let handler = CompositeHandler::new().add(metrics.clone(), 10).add(Arc::new(AutoAnswerHandler), 0);
/// assert_eq!(metrics.metrics().incoming, 0);
/// ```
#[derive(Default, Debug)]
pub struct MetricsHandler {
    incoming: AtomicU64,
    established: AtomicU64,
    ended: AtomicU64,
}

/// What a [`MetricsHandler`] counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct CallMetrics {
    /// Calls that came in.
    pub incoming: u64,
    /// Calls that were answered.
    pub established: u64,
    /// Calls that are over.
    pub ended: u64,
}

impl MetricsHandler {
    /// What was counted by now.
    pub fn metrics(&self) -> CallMetrics {
        CallMetrics {
            incoming: self.incoming.load(Relaxed),
            established: self.established.load(Relaxed),
            ended: self.ended.load(Relaxed),
        }
    }
}

#[async_trait]
impl CallHandler for MetricsHandler {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        self.incoming.fetch_add(1, Relaxed);
        CallDecision::Defer
    }

    async fn on_call_established(&self, _: CallSession, _: Option<String>, _: Option<String>) {
        self.established.fetch_add(1, Relaxed);
    }

    async fn on_call_ended(&self, _: CallSession, _: &str) {
        self.ended.fetch_add(1, Relaxed);
    }
}

/// Refuses calls with 486 while as many as its capacity are there; leaves other decisions to others.
///
/// ```
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// let limit = Arc::new(CapacityLimitHandler::new(8));
/// let handler = CompositeHandler::new().add(limit.clone(), 10).add(Arc::new(AutoAnswerHandler), 0);
/// assert_eq!(limit.active(), 0);
/// ```
#[derive(Debug)]
pub struct CapacityLimitHandler {
    capacity: usize,
    taken: AtomicUsize,
    calls: std::sync::Mutex<std::collections::HashSet<SessionId>>,
}

impl CapacityLimitHandler {
    /// Takes up to `capacity` calls at once.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, taken: AtomicUsize::new(0), calls: std::sync::Mutex::default() }
    }

    /// Calls that are there now.
    pub fn active(&self) -> usize {
        self.taken.load(Relaxed)
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<SessionId>> {
        self.calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl CallHandler for CapacityLimitHandler {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        let mut calls = self.calls();
        if calls.len() >= self.capacity {
            return CallDecision::reject(486, "");
        }
        calls.insert(call.id);
        self.taken.store(calls.len(), Relaxed);
        CallDecision::Defer
    }

    async fn on_call_ended(&self, call: CallSession, _: &str) {
        let mut calls = self.calls();
        calls.remove(call.id());
        self.taken.store(calls.len(), Relaxed);
    }
}

/// Asks handlers in order of priority, highest first, until one decides; tells all of them what happens.
///
/// ```
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// let handler = CompositeHandler::new()
///     .add(Arc::new(LoggingHandler), 10)
///     .add(Arc::new(CapacityLimitHandler::new(100)), 5)
///     .add(Arc::new(AutoAnswerHandler), 0);
/// ```
#[derive(Default)]
pub struct CompositeHandler {
    handlers: Vec<(i32, Arc<dyn CallHandler>)>,
}

impl CompositeHandler {
    /// Of none yet: every call is deferred.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; of equal priority the one that was added first is asked first.
    #[must_use]
    pub fn add(mut self, handler: Arc<dyn CallHandler>, priority: i32) -> Self {
        self.handlers.push((priority, handler));
        self.handlers.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
        self
    }
}

macro_rules! tell_all {
    ($($method:ident ( $($argument:ident : $kind:ty => $pass:expr),* );)*) => {
        #[async_trait]
        impl CallHandler for CompositeHandler {
            fn call_priority(&self, call: &IncomingCall) -> Option<crate::api::Priority> {
                self.handlers.iter().find_map(|(_, handler)| handler.call_priority(call))
            }
            async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
                for (_, handler) in &self.handlers {
                    match handler.on_incoming_call(call.clone()).await {
                        CallDecision::Defer => {}
                        decision => return decision,
                    }
                }
                CallDecision::Defer
            }
            $(async fn $method(&self, $($argument: $kind),*) {
                for (_, handler) in &self.handlers {
                    handler.$method($($pass),*).await;
                }
            })*
        }
    };
}

tell_all! {
    on_call_established(call: CallSession => call.clone(), local: Option<String> => local.clone(), remote: Option<String> => remote.clone());
    on_call_ended(call: CallSession => call.clone(), reason: &str => reason);
    on_session_state_changed(id: &SessionId => id, old: SessionState => old, new: SessionState => new);
    on_media_established(call: CallSession => call.clone(), media: Option<crate::api::MediaInfo> => media.clone());
    on_media_paused(call: CallSession => call.clone());
    on_media_resumed(call: CallSession => call.clone());
    on_media_terminated(call: CallSession => call.clone());
    on_dtmf(call: CallSession => call.clone(), digit: char => digit);
    on_quality_changed(call: CallSession => call.clone(), change: crate::api::QualityChange => change);
    on_quality_degraded(call: CallSession => call.clone(), change: crate::api::QualityChange => change);
    on_quality_recovered(call: CallSession => call.clone(), change: crate::api::QualityChange => change);
    on_transfer_requested(call: CallSession => call.clone(), target: &str => target);
    on_transfer_started(call: CallSession => call.clone(), new_call: SessionId => new_call);
    on_reinvite_received(call: CallSession => call.clone(), sdp: Option<String> => sdp.clone());
    on_dialog_created(call: CallSession => call.clone(), dialog: crate::api::DialogId => dialog.clone());
    on_dialog_terminated(call: CallSession => call.clone(), dialog: crate::api::DialogId => dialog.clone());
    on_transfer_accepted(call: CallSession => call.clone());
    on_transfer_failed(call: CallSession => call.clone(), status: u16 => status);
    on_terminated_by_remote(call: CallSession => call.clone(), reason: &str => reason);
}
