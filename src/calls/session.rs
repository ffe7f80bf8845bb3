//! One session, as programs see it.

use crate::advanced::SipMessage;
use crate::handlers::call_task::Word;
use crate::api::{DialogId, MediaStatistics, Operation, QualityLevel, SessionCoordinator, SessionId, SessionState};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A call: who with, where in its life. A clone is the same call; it stays readable after the end. What is to be done
/// with it goes through its coordinator.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example(call: CallSession) -> Result<(), SessionError> {
/// println!("{} from {} to {}: {:?} for {:?}", call.id(), call.from, call.to, call.state(), call.duration());
/// call.coordinator().terminate_session(call.id()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CallSession {
    pub(crate) entry: Arc<Entry>,
    coordinator: Weak<SessionCoordinator>,
    runtime: tokio::runtime::Handle,
    /// Its name; [`Self::id`] gives the same.
    pub id: SessionId,
    /// Caller, as a URI.
    pub from: String,
    /// Called, as a URI.
    pub to: String,
}

impl CallSession {
    pub(crate) fn new(
        entry: &Arc<Entry>,
        coordinator: Weak<SessionCoordinator>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let (from, to) = (entry.from.to_string(), entry.to.to_string());
        Self { entry: entry.clone(), coordinator, runtime, id: entry.id, from, to }
    }

    /// Its name.
    pub fn id(&self) -> &SessionId {
        &self.entry.id
    }

    /// Where it is in its life, now.
    pub fn state(&self) -> SessionState {
        self.entry.state()
    }

    /// How long it has been there, up to its end.
    pub fn duration(&self) -> Duration {
        let until = self.entry.facts().ended_at.unwrap_or_else(Instant::now);
        until.saturating_duration_since(self.entry.created_at)
    }

    /// Its Call-ID.
    pub fn call_id(&self) -> &str {
        &self.entry.call_id
    }

    /// What identifies its dialog; `None` until it is answered.
    pub fn dialog(&self) -> Option<DialogId> {
        self.entry.facts().dialog.clone()
    }

    /// Whether the other side called.
    pub fn is_incoming(&self) -> bool {
        self.entry.is_incoming
    }

    /// What its media has counted by now, at most a second old; after the end, in all, if that is asked soon, as in
    /// [`crate::api::CallHandler::on_call_ended`]. `None` where there was no media.
    ///
    /// ```
    /// # use ringplane::api::*;
    /// struct Counts;
    ///
    /// #[async_trait]
    /// impl CallHandler for Counts {
    ///     async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
    ///         CallDecision::Accept(None)
    ///     }
    ///
    ///     async fn on_call_ended(&self, call: CallSession, reason: &str) {
    ///         let Some(counted) = call.media_statistics().await else { return };
    ///         println!("{} {reason}: {} packets, {} lost", call.call_id(), counted.packets_received, counted.packets_lost);
    ///     }
    /// }
    /// ```
    pub async fn media_statistics(&self) -> Option<MediaStatistics> {
        if let Some(coordinator) = self.coordinator.upgrade() {
            coordinator.count_media(&self.entry).await;
        }
        self.entry.facts().counted.as_deref().copied()
    }

    /// The coordinator that it belongs to. A call does not keep its coordinator alive: once that has been dropped, all its
    /// calls have ended, and what this gives then finds no session and does not start.
    pub fn coordinator(&self) -> Arc<SessionCoordinator> {
        self.coordinator.upgrade().unwrap_or_else(|| SessionCoordinator::gone(self.runtime.clone()))
    }
}

impl std::fmt::Debug for CallSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallSession")
            .field("id", &self.id)
            .field("state", &self.state())
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

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
    words: OnceLock<mpsc::WeakSender<Word>>,
    /// Told with every change of state.
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
    pub(crate) quality: QualityLevel,
    /// What the peer said last about the call as a whole, where that is kept.
    pub(crate) message: Option<SipMessage>,
    /// Who was named by the last REFER.
    pub(crate) refer_target: Option<Box<str>>,
    /// Its media leg, whose row keeps the last numbers for a while after the end.
    pub(crate) leg: Option<contract::LegRef>,
    /// What its media had counted when somebody looked last.
    pub(crate) counted: Option<Box<MediaStatistics>>,
    /// Whoever tells its numbers again and again.
    pub(crate) monitoring: Option<tokio::task::AbortHandle>,
    pub(crate) ended_at: Option<Instant>,
    pub(crate) end: Option<session::EndReason>,
    /// Its place among the sessions; none before it is known how important it is.
    pub(crate) place: Option<crate::care::Place>,
    /// Who waits for an operation, and for its outcome: done, or the status that says why not.
    pub(crate) waiting: Vec<(Operation, oneshot::Sender<Result<(), Refusal>>)>,
}

/// Why an operation was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// The peer's, where it is the peer that refused.
    pub(crate) status: u16,
    pub(crate) origin: session::EndOrigin,
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
            words: OnceLock::new(),
            changed: tokio::sync::Notify::new(),
        }
    }

    /// Where its handler hears of it from now on.
    pub(crate) fn set_words(&self, words: &mpsc::Sender<Word>) {
        // Met once.
        let _ = self.words.set(words.downgrade());
    }

    /// Tells its handler.
    pub(crate) fn tell(&self, word: Word) {
        let Some(words) = self.words.get().and_then(mpsc::WeakSender::upgrade) else { return };
        // Closed: the handler was not asked about this call, or is gone.
        if let Err(mpsc::error::TrySendError::Full(_)) = words.try_send(word) {
            tracing::warn!(session = %self.id, "the handler of this call hangs; it will not hear everything");
        }
    }

    /// The same for what may be lost in a flood: some places are kept for the rest.
    pub(crate) fn tell_if_room(&self, word: Word) {
        let words = self.words.get().and_then(mpsc::WeakSender::upgrade);
        if words.is_some_and(|words| words.capacity() > PLACES_KEPT) {
            self.tell(word);
        }
    }

    pub(crate) fn state(&self) -> SessionState {
        SessionState::ALL[usize::from(self.state.load(Relaxed)) % SessionState::ALL.len()]
    }

    pub(crate) fn set_state(&self, state: SessionState) {
        self.state.store(state as u8, Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until it is answered, or over.
    pub(crate) async fn left_ringing(&self) -> SessionState {
        loop {
            // Registered before we look, so that no change goes by.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.state() {
                SessionState::Initializing | SessionState::Dialing | SessionState::Ringing => changed.await,
                state => return state,
            }
        }
    }

    /// Waits for the outcome of an operation that is about to be asked for.
    pub(crate) fn expect(&self, operation: Operation) -> oneshot::Receiver<Result<(), Refusal>> {
        let (told, outcome) = oneshot::channel();
        let mut facts = self.facts();
        facts.waiting.retain(|(_, waiting)| !waiting.is_closed());
        facts.waiting.push((operation, told));
        outcome
    }

    /// Tells whoever has waited longest for this operation.
    pub(crate) fn settle(&self, operation: Operation, outcome: Result<(), Refusal>) {
        let mut facts = self.facts();
        facts.waiting.retain(|(_, waiting)| !waiting.is_closed());
        if let Some(index) = facts.waiting.iter().position(|(waited_for, _)| *waited_for == operation) {
            // Whoever asked may have stopped waiting.
            let _ = facts.waiting.remove(index).1.send(outcome);
        }
    }

    /// Gives it a place among the sessions, unless it has ended meanwhile.
    pub(crate) fn seat(&self, place: crate::care::Place) {
        let mut facts = self.facts();
        if facts.ended_at.is_none() {
            facts.place = Some(place);
        }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions of a coordinator.
#[derive(Default)]
pub(crate) struct Registry(RwLock<HashMap<SessionId, Arc<Entry>>>, Mutex<VecDeque<Arc<Entry>>>);

/// Ended calls of ours that are remembered, for whoever has not asked yet how they went.
const REMEMBERED_MAX: usize = 1_024;

impl Registry {
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(entry.id, entry);
    }

    pub(crate) fn remove(&self, id: SessionId) -> Option<Arc<Entry>> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let removed = entries.remove(&id);
        if let Some(entry) = removed.as_ref().filter(|entry| !entry.is_incoming) {
            let mut ended = self.ended();
            if ended.len() >= REMEMBERED_MAX {
                ended.pop_front();
            }
            ended.push_back(entry.clone());
        }
        // Back to the idle level: a table that once was full does not stay so.
        if entries.len() < entries.capacity() / 8 {
            entries.shrink_to(64);
        }
        removed
    }

    /// One that is there, or was.
    pub(crate) fn known(&self, id: SessionId) -> Option<Arc<Entry>> {
        self.get(id).or_else(|| self.ended().iter().rev().find(|entry| entry.id == id).cloned())
    }

    fn ended(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
