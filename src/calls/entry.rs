//! What is known about a session outside its shard.

use crate::api::advanced::SipMessage;
use crate::api::{DialogId, MediaStatistics, Operation, SessionId, SessionState};
use crate::handlers::call_task::HandlerNotice;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Places kept for what is not a key.
const PLACES_KEPT: usize = 32;

/// What is known about a session outside its shard.
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    pub(crate) from: Arc<str>,
    pub(crate) to: Arc<str>,
    pub(crate) call_id: Arc<str>,
    pub(crate) is_incoming: bool,
    pub(crate) created_at: Instant,
    state: AtomicU8,
    facts: Mutex<Facts>,
    /// The way to the handler of this call.
    notices: OnceLock<mpsc::WeakSender<HandlerNotice>>,
    /// Notified with every change of the state, and of what was agreed on for media.
    pub(crate) changed: tokio::sync::Notify,
}

/// What becomes known in the course of a call.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) local_sdp: Option<Box<str>>,
    pub(crate) remote_sdp: Option<Box<str>>,
    /// What identifies its dialog, once it is answered.
    pub(crate) dialog: Option<DialogId>,
    /// Its end was told.
    pub(crate) is_dialog_over: bool,
    /// What the peer said last about the call as a whole, where that is kept.
    pub(crate) message: Option<SipMessage>,
    /// The target that the last REFER named.
    pub(crate) refer_target: Option<Box<str>>,
    /// Its media leg, whose row keeps the last numbers for a while after the end.
    pub(crate) leg: Option<contract::LegRef>,
    /// What its media had counted when it was read last.
    pub(crate) counted: Option<Box<MediaStatistics>>,
    /// The task that publishes its statistics at an interval.
    pub(crate) monitoring: Option<tokio::task::AbortHandle>,
    pub(crate) ended_at: Option<Instant>,
    pub(crate) end: Option<session::EndReason>,
    /// Its place among the sessions; none before it is known how important it is.
    pub(crate) place: Option<crate::admission::Place>,
    /// Tasks that wait for the outcome of an operation.
    pub(crate) waiting: Vec<(Operation, oneshot::Sender<Result<(), Refusal>>)>,
}

/// Why an operation was not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It was refused; the status is the peer's, where it is the peer that refused.
    Status { status: u16, origin: session::EndOrigin },
    /// It waited for another change to end, and could not begin.
    Declined(Box<session::SessionError>),
}

impl Entry {
    pub(crate) fn new(id: SessionId, from: &str, to: &str, call_id: &str, is_incoming: bool) -> Self {
        Self {
            id,
            from: from.into(),
            to: to.into(),
            call_id: call_id.into(),
            is_incoming,
            created_at: Instant::now(),
            state: AtomicU8::new(SessionState::Initializing as u8),
            facts: Mutex::default(),
            notices: OnceLock::new(),
            changed: tokio::sync::Notify::new(),
        }
    }

    /// Where its handler hears of it from now on.
    pub(crate) fn set_notices(&self, notices: &mpsc::Sender<HandlerNotice>) {
        // Met once.
        let _ = self.notices.set(notices.downgrade());
    }

    /// Tells its handler.
    pub(crate) fn tell(&self, notice: HandlerNotice) {
        let Some(notices) = self.notices.get().and_then(mpsc::WeakSender::upgrade) else { return };
        // Closed: the handler was not asked about this call, or is gone.
        if let Err(mpsc::error::TrySendError::Full(_)) = notices.try_send(notice) {
            tracing::warn!(session = %self.id, "the handler of this call hangs; it will not hear everything");
        }
    }

    /// Tells its handler what may be lost in a flood: some places are kept for everything else.
    pub(crate) fn tell_if_room(&self, notice: HandlerNotice) {
        let notices = self.notices.get().and_then(mpsc::WeakSender::upgrade);
        if notices.is_some_and(|notices| notices.capacity() > PLACES_KEPT) {
            self.tell(notice);
        }
    }

    pub(crate) fn state(&self) -> SessionState {
        SessionState::ALL[usize::from(self.state.load(Relaxed)) % SessionState::ALL.len()]
    }

    pub(crate) fn set_state(&self, state: SessionState) {
        self.state.store(state as u8, Relaxed);
        self.changed.notify_waiters();
    }

    /// Looks now and after every change, until there is something.
    pub(crate) async fn look_until<T, F: Future<Output = Option<T>>>(&self, look: impl Fn() -> F) -> T {
        loop {
            // Registered before we look, so that no change goes by.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = look().await {
                return found;
            }
            changed.await;
        }
    }

    /// Waits until it is answered, or over.
    pub(crate) async fn left_ringing(&self) -> SessionState {
        let rings = |state| matches!(state, SessionState::Initializing | SessionState::Dialing | SessionState::Ringing);
        self.look_until(|| std::future::ready(Some(self.state()).filter(|state| !rings(*state)))).await
    }

    /// Waits for the outcome of an operation that is about to be asked for.
    pub(crate) fn expect(&self, operation: Operation) -> oneshot::Receiver<Result<(), Refusal>> {
        let (told, outcome) = oneshot::channel();
        let mut facts = self.facts();
        facts.waiting.retain(|(_, waiting)| !waiting.is_closed());
        facts.waiting.push((operation, told));
        outcome
    }

    /// Gives the outcome of an operation to the task that has waited longest for it.
    pub(crate) fn settle(&self, operation: Operation, outcome: Result<(), Refusal>) {
        let mut facts = self.facts();
        facts.waiting.retain(|(_, waiting)| !waiting.is_closed());
        if let Some(index) = facts.waiting.iter().position(|(waited_for, _)| *waited_for == operation) {
            // The task may have stopped waiting.
            let _ = facts.waiting.remove(index).1.send(outcome);
        }
    }

    /// Gives it a place among the sessions, unless it has ended meanwhile.
    pub(crate) fn seat(&self, place: crate::admission::Place) {
        let mut facts = self.facts();
        if facts.ended_at.is_none() {
            facts.place = Some(place);
        }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
