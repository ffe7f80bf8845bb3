//! The program's ear in a shard: it turns what the shard says into events and words for the handler, and never waits.

use super::call::Entry;
use super::event::{EventKind, SessionEvent};
use super::handler::IncomingCall;
use super::task::{self, Word};
use super::{BridgeEvent, BridgeId, Operation, Priority, SessionCoordinator, SessionId, SessionState};
use session::{Decide, Decision, EndReason, Sessions, Side};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Words that may wait for the handler of one call. Only a flood of keys fills it; keys beyond it are lost.
const WORD_COUNT_MAX: usize = 256;
/// Places kept for what is not a key.
const PLACES_KEPT: usize = 32;

pub(crate) struct ShardUser {
    shard: usize,
    coordinator: Weak<SessionCoordinator>,
    sessions: HashMap<session::SessionId, Known>,
}

struct Known {
    entry: Arc<Entry>,
    words: mpsc::Sender<Word>,
}

impl ShardUser {
    pub(crate) fn new(shard: usize, coordinator: Weak<SessionCoordinator>) -> Self {
        Self { shard, coordinator, sessions: HashMap::new() }
    }

    /// Makes a session known to the program, with a task of its own for its handler.
    fn meet(&mut self, coordinator: &Arc<SessionCoordinator>, id: session::SessionId, entry: Arc<Entry>) -> &Known {
        coordinator.registry.insert(entry.clone());
        let (words, inbox) = mpsc::channel(WORD_COUNT_MAX);
        coordinator.runtime.spawn(task::run(self.coordinator.clone(), entry.clone(), inbox));
        self.sessions.entry(id).insert_entry(Known { entry, words }).into_mut()
    }
}

impl ShardUser {
    fn meet_placed(&mut self, coordinator: &Arc<SessionCoordinator>, sessions: &Sessions, id: session::SessionId) {
        let public = SessionId::new(self.shard, id);
        let placed = coordinator.registry.get(public).or_else(|| {
            let parties = sessions.get(id)?.parties();
            let entry = Entry::new(public, &parties.from, &parties.to, &parties.call_id, false);
            // Placed for a peer that was asked to call somebody else: it takes the place of a call that is there.
            entry.facts().place = Some(coordinator.care.admission.seat(Priority::Normal));
            Some(Arc::new(entry))
        });
        if let Some(entry) = placed {
            self.meet(coordinator, id, entry);
        }
    }
}

impl Decide for ShardUser {
    fn incoming(&mut self, call: &session::IncomingCall<'_>) -> Decision {
        let Some(coordinator) = self.coordinator.upgrade() else {
            return Decision::Reject { status: 503, reason: "".into() };
        };
        let id = SessionId::new(self.shard, call.id);
        let message = sip_wire::Message::parse(call.message).ok();
        let (headers, sdp) = message.as_ref().map_or_else(Default::default, |message| (headers(message), sdp(message)));
        let call_id = headers.get("Call-ID").cloned().unwrap_or_default();
        let entry = Entry::new(id, call.from, call.to, &call_id, true);
        entry.facts().remote_sdp = sdp.as_deref().map(Into::into);
        let incoming = IncomingCall {
            id,
            from: call.from.to_owned(),
            to: call.to.to_owned(),
            called_user: call.called_user.to_owned(),
            sdp,
            headers,
            remote: call.remote,
            received_at: SystemTime::now(),
        };
        let kind = EventKind::IncomingCall { from: incoming.from.clone(), to: incoming.to.clone() };
        let known = self.meet(&coordinator, call.id, Arc::new(entry));
        coordinator.publish(&known.entry, kind);
        known.tell(Word::Incoming(Box::new(incoming)));
        Decision::Defer
    }

    fn described(&mut self, id: session::SessionId, side: Side, sdp: &[u8]) {
        let Some(known) = self.sessions.get(&id) else { return };
        let text = String::from_utf8_lossy(sdp).into();
        let mut facts = known.entry.facts();
        match side {
            Side::Local => facts.local_sdp = Some(text),
            Side::Remote => facts.remote_sdp = Some(text),
        }
    }
}

impl signald::User for ShardUser {
    fn events(&mut self, sessions: &Sessions, events: &[session::SessionEvent]) {
        let Some(coordinator) = self.coordinator.upgrade() else { return };
        for event in events {
            match *event {
                session::SessionEvent::StateChanged { id, old, new } => {
                    // A call that we placed is first heard of here.
                    if !self.sessions.contains_key(&id) {
                        self.meet_placed(&coordinator, sessions, id);
                    }
                    self.moved_on(&coordinator, id, old, new);
                }
                session::SessionEvent::Digit { id, digit } => self.pressed(&coordinator, id, digit),
                session::SessionEvent::HoldChanged { id, here, there } => {
                    self.publish(&coordinator, id, EventKind::HoldChanged { here, there });
                }
                session::SessionEvent::MediaChanged { id } => self.publish(&coordinator, id, EventKind::MediaChanged),
                session::SessionEvent::SourceEnded { id } => self.publish(&coordinator, id, EventKind::AudioEnded),
                session::SessionEvent::Progress { id, status, has_media } => {
                    self.publish(&coordinator, id, EventKind::Progress { status, has_media });
                }
                session::SessionEvent::Forwarded { id, to } => {
                    let to = SessionId::new(self.shard, to);
                    let from = SessionId::new(self.shard, id);
                    coordinator.care.ties().sequences.went_on(from, to, SystemTime::now());
                    self.publish(&coordinator, id, EventKind::Forwarded { to });
                }
                session::SessionEvent::ParticipantAdded { bridge, id } => {
                    let (bridge_id, session_id) = (BridgeId::new(self.shard, bridge), SessionId::new(self.shard, id));
                    coordinator.bridge_events.publish(BridgeEvent::ParticipantAdded { bridge_id, session_id });
                }
                session::SessionEvent::ParticipantRemoved { bridge, id, reason } => {
                    let (bridge_id, session_id) = (BridgeId::new(self.shard, bridge), SessionId::new(self.shard, id));
                    let reason = super::bridge::words(reason).into();
                    coordinator.bridge_events.publish(BridgeEvent::ParticipantRemoved {
                        bridge_id,
                        session_id,
                        reason,
                    });
                }
                session::SessionEvent::BridgeDestroyed { bridge } => {
                    let bridge_id = BridgeId::new(self.shard, bridge);
                    coordinator.bridge_events.publish(BridgeEvent::BridgeDestroyed { bridge_id });
                }
                session::SessionEvent::RecordingStarted { id, recording } => {
                    let public = SessionId::new(self.shard, id);
                    if let Some(path) = coordinator.recordings.started(public, recording) {
                        self.publish(&coordinator, id, EventKind::RecordingStarted { path });
                    }
                }
                session::SessionEvent::RecordingEnded { id, recording, ref outcome } => {
                    let public = SessionId::new(self.shard, id);
                    if let Some((recorded, summary)) = coordinator.recordings.ended(public, recording, outcome) {
                        coordinator.publish_for(public, &recorded.call_id, EventKind::RecordingEnded { summary });
                    }
                }
                // Below: whoever waits for the outcome of an operation sees the state that it led to.
                session::SessionEvent::Done { .. }
                | session::SessionEvent::Failed { .. }
                | session::SessionEvent::Ended { .. } => {}
                session::SessionEvent::TransferRequested { id } => {
                    self.publish(&coordinator, id, EventKind::TransferRequested);
                    self.tell(id, Word::TransferRequested);
                }
                session::SessionEvent::TransferProgress { id, status } => {
                    self.publish(&coordinator, id, EventKind::TransferProgress { status });
                    self.tell(id, Word::TransferProgress(status));
                }
            }
        }
        for event in events {
            match *event {
                session::SessionEvent::Done { id, operation } => self.settle(id, operation, Ok(())),
                session::SessionEvent::Failed { id, operation, status } => self.settle(id, operation, Err(status)),
                session::SessionEvent::Ended { id, reason, .. } => self.ended(&coordinator, id, reason),
                _ => {}
            }
        }
    }
}

impl ShardUser {
    fn moved_on(
        &mut self,
        coordinator: &SessionCoordinator,
        id: session::SessionId,
        old: SessionState,
        new: SessionState,
    ) {
        let Some(known) = self.sessions.get(&id) else { return };
        known.entry.set_state(new);
        coordinator.publish(&known.entry, EventKind::StateChanged { old, new });
        known.tell(Word::State { old, new });
    }

    fn publish(&self, coordinator: &SessionCoordinator, id: session::SessionId, kind: EventKind) {
        if let Some(known) = self.sessions.get(&id) {
            coordinator.publish(&known.entry, kind);
        }
    }

    fn tell(&self, id: session::SessionId, word: Word) {
        if let Some(known) = self.sessions.get(&id) {
            known.tell(word);
        }
    }

    fn settle(&self, id: session::SessionId, operation: Operation, outcome: Result<(), u16>) {
        if let Some(known) = self.sessions.get(&id) {
            known.entry.settle(operation, outcome);
        }
    }

    fn pressed(&mut self, coordinator: &SessionCoordinator, id: session::SessionId, digit: u8) {
        let Some(known) = self.sessions.get(&id) else { return };
        let Some(digit) = "0123456789*#ABCD".chars().nth(usize::from(digit)) else { return };
        coordinator.publish(&known.entry, EventKind::DtmfReceived { digit });
        if known.words.capacity() > PLACES_KEPT {
            known.tell(Word::Digit(digit));
        }
    }

    fn ended(&mut self, coordinator: &SessionCoordinator, id: session::SessionId, reason: EndReason) {
        let Some(known) = self.sessions.remove(&id) else { return };
        known.ended(coordinator, reason);
        if self.sessions.len() < self.sessions.capacity() / 8 {
            self.sessions.shrink_to(64);
        }
    }
}

/// The shard is gone; what it could not end in time has ended with it.
impl Drop for ShardUser {
    fn drop(&mut self) {
        let Some(coordinator) = self.coordinator.upgrade() else { return };
        for (_, known) in self.sessions.drain() {
            known.ended(&coordinator, EndReason::Shutdown);
        }
    }
}

impl Known {
    fn ended(&self, coordinator: &SessionCoordinator, reason: EndReason) {
        let now = std::time::Instant::now();
        {
            let mut facts = self.entry.facts();
            facts.ended_at = Some(now);
            facts.end = Some(reason);
            facts.place = None;
            facts.waiting.clear();
        }
        self.entry.set_state(SessionState::Terminated);
        coordinator.registry.remove(self.entry.id);
        coordinator.totals.ended(reason);
        coordinator.publish(&self.entry, EventKind::Ended { reason: reason.name().into() });
        self.tell(Word::Ended(reason));
        for id in coordinator.care.ended(self.entry.id, reason.name(), now) {
            coordinator.end_along(id);
        }
    }
}

impl Known {
    fn tell(&self, word: Word) {
        // Closed: the handler was not asked about this call, or is gone.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.words.try_send(word) {
            tracing::warn!(session = %self.entry.id, "the handler of this call hangs; it will not hear everything");
        }
    }
}

impl SessionCoordinator {
    fn publish(&self, entry: &Entry, kind: EventKind) {
        self.publish_for(entry.id, &entry.call_id, kind);
    }

    fn publish_for(&self, session_id: SessionId, call_id: &Arc<str>, kind: EventKind) {
        if self.events.has_subscribers() {
            let correlation_id = call_id.clone();
            self.events.publish(SessionEvent { session_id, correlation_id, at: SystemTime::now(), kind });
        }
    }
}

fn headers(message: &sip_wire::Message<'_>) -> HashMap<String, String> {
    let mut headers: HashMap<String, String> = HashMap::with_capacity(message.header_count());
    for header in message.headers() {
        let value = String::from_utf8_lossy(header.value);
        let name = match header.name.as_str() {
            "" => String::from_utf8_lossy(header.raw_name).into_owned(),
            name => name.to_owned(),
        };
        headers
            .entry(name)
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    headers
}

fn sdp(message: &sip_wire::Message<'_>) -> Option<String> {
    let body = message.body();
    (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned())
}
