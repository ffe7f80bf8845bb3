//! What a shard says, turned into events for subscribers and notices for handlers.

use crate::api::{AnnouncementId, BridgeEvent, BridgeId, Operation, SessionCoordinator, SessionId, SessionState};
use crate::calls::entry::{Entry, Refusal};
use crate::coordinator::shard_user::{KnownSession, MediaPhase, ShardUser};
use crate::events::{EventKind, SessionEvent};
use crate::handlers::call_task::HandlerNotice;
use session::{EndReason, Sessions};
use sip_core::auth::Account;
use std::time::SystemTime;

impl signald::CallHandler for ShardUser {
    fn account(&mut self) -> Option<Account> {
        self.account.take()
    }

    fn methods(&self) -> Vec<String> {
        let coordinator = self.coordinator.upgrade();
        coordinator.and_then(|coordinator| Some(coordinator.serving.as_ref()?.methods.clone())).unwrap_or_default()
    }

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
                session::SessionEvent::MediaChanged { id } => {
                    self.publish(&coordinator, id, EventKind::MediaChanged);
                    if let Some(known) = self.sessions.get(&id) {
                        known.entry.changed.notify_waiters();
                    }
                }
                session::SessionEvent::VoiceActivity { id, is_speaking } => {
                    self.publish(&coordinator, id, EventKind::VoiceActivity { is_speaking });
                }
                session::SessionEvent::VoiceProcessingRefused { id } => {
                    self.publish(&coordinator, id, EventKind::VoiceProcessingRefused);
                }
                session::SessionEvent::QualityChanged { id, change } => {
                    if let Some(known) = self.sessions.get(&id) {
                        coordinator.quality_changed(&known.entry, change);
                    }
                }
                session::SessionEvent::CodecChangeOffered { id, codec } => {
                    if let Some(codec) = crate::api::Codec::of_contract(codec) {
                        self.publish(&coordinator, id, EventKind::CodecChangeOffered { codec });
                    }
                }
                session::SessionEvent::AnnouncementEnded { id, announcement, is_refused } => {
                    let announcement = AnnouncementId::new(announcement);
                    self.publish(&coordinator, id, EventKind::AnnouncementEnded { announcement, is_refused });
                }
                session::SessionEvent::RoomSpeaking { id, is_speaking } => {
                    self.publish(&coordinator, id, EventKind::RoomSpeaking { is_speaking });
                }
                session::SessionEvent::SourceEnded { id } => self.publish(&coordinator, id, EventKind::AudioEnded),
                session::SessionEvent::Progress { id, status, has_media } => {
                    self.publish(&coordinator, id, EventKind::Progress { status, has_media });
                }
                session::SessionEvent::Forwarded { id, to } => {
                    let to = SessionId::new(self.shard, to);
                    let from = SessionId::new(self.shard, id);
                    coordinator.relations().sequences().forwarded(clock::wall_now(), from, to);
                    self.publish(&coordinator, id, EventKind::Forwarded { to });
                }
                session::SessionEvent::ParticipantAdded { bridge, id } => {
                    let (bridge_id, session_id) = (BridgeId::new(self.shard, bridge), SessionId::new(self.shard, id));
                    coordinator.relations().conversations().joined(bridge_id, session_id);
                    coordinator.bridge_events.publish(BridgeEvent::ParticipantAdded { bridge_id, session_id });
                }
                session::SessionEvent::BridgeJoined { bridge } => {
                    coordinator.joining.settle(BridgeId::new(self.shard, bridge));
                }
                session::SessionEvent::ParticipantRemoved { bridge, id, reason } => {
                    let (bridge_id, session_id) = (BridgeId::new(self.shard, bridge), SessionId::new(self.shard, id));
                    coordinator.joining.settle(bridge_id);
                    let along = match reason {
                        session::LeaveReason::Ended => {
                            coordinator.relations().conversations().ended(bridge_id, session_id)
                        }
                        _ => {
                            coordinator.relations().conversations().left(bridge_id, session_id);
                            Vec::new()
                        }
                    };
                    along.into_iter().for_each(|other| coordinator.end_along(other));
                    let reason = crate::bridge::words(reason).into();
                    coordinator.bridge_events.publish(BridgeEvent::ParticipantRemoved {
                        bridge_id,
                        session_id,
                        reason,
                    });
                }
                session::SessionEvent::BridgeDestroyed { bridge } => {
                    let bridge_id = BridgeId::new(self.shard, bridge);
                    coordinator.relations().conversations().destroyed(bridge_id);
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
                        coordinator.publish(&recorded.entry, EventKind::RecordingEnded { summary });
                    }
                }
                session::SessionEvent::Reinvited { id, has_offer } => {
                    let Some(known) = self.sessions.get(&id) else { continue };
                    let sdp = known.entry.facts().remote_sdp.as_deref().filter(|_| has_offer).map(str::to_owned);
                    coordinator.publish(&known.entry, EventKind::ReinviteReceived { sdp: sdp.clone() });
                    known.entry.tell(HandlerNotice::Reinvite(sdp));
                }
                session::SessionEvent::DialogEnded { id } => self.dialog_ended(&coordinator, id),
                session::SessionEvent::EndedByPeer { id } => {
                    self.publish(&coordinator, id, EventKind::TerminatedByRemote);
                    self.tell(id, HandlerNotice::ByRemote);
                }
                session::SessionEvent::TransferRequested { id } => {
                    let Some(known) = self.sessions.get(&id) else { continue };
                    let target = known.entry.facts().refer_target.take().map_or_else(String::new, Into::into);
                    coordinator.publish(&known.entry, EventKind::TransferRequested { target: target.clone() });
                    known.entry.tell(HandlerNotice::TransferRequested(target));
                }
                session::SessionEvent::Referred { id, to } => {
                    // The target of the REFER may have to be looked up; its session is there meanwhile.
                    if !self.sessions.contains_key(&to) {
                        self.meet_placed(&coordinator, sessions, to);
                    }
                    let to = SessionId::new(self.shard, to);
                    self.publish(&coordinator, id, EventKind::TransferStarted { to });
                    self.tell(id, HandlerNotice::TransferStarted(to));
                }
                session::SessionEvent::TransferProgress { id, status } => {
                    self.publish(&coordinator, id, EventKind::TransferProgress { status });
                }
                session::SessionEvent::Done { id, operation: Operation::Transfer } => {
                    self.publish(&coordinator, id, EventKind::TransferAccepted);
                    self.tell(id, HandlerNotice::TransferAccepted);
                }
                session::SessionEvent::Failed { id, operation: Operation::Transfer, status, .. } => {
                    self.publish(&coordinator, id, EventKind::TransferFailed { status });
                    self.tell(id, HandlerNotice::TransferFailed(status));
                }
                // Handled in the second loop: a task that waits for the outcome of an operation sees the state that it led to.
                session::SessionEvent::Done { .. }
                | session::SessionEvent::Failed { .. }
                | session::SessionEvent::Declined { .. }
                | session::SessionEvent::Ended { .. }
                | session::SessionEvent::Refused { .. } => {}
            }
        }
        for event in events {
            match *event {
                session::SessionEvent::Done { id, operation } => self.settle(id, operation, Ok(())),
                session::SessionEvent::Failed { id, operation, status, origin } => {
                    self.settle(id, operation, Err(Refusal::Status { status, origin }));
                }
                session::SessionEvent::Declined { id, operation, ref error } => {
                    self.settle(id, operation, Err(Refusal::Declined(error.clone())));
                }
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
        let Some(known) = self.sessions.get_mut(&id) else { return };
        let entry = &known.entry;
        entry.set_state(new);
        coordinator.publish(entry, EventKind::StateChanged { old, new });
        entry.tell(HandlerNotice::State { old, new });
        let (media, kind, notice) = match (known.media, new) {
            (MediaPhase::None, SessionState::Connected) => {
                (MediaPhase::Flows, EventKind::MediaEstablished, HandlerNotice::Established)
            }
            (MediaPhase::Flows, SessionState::OnHold) => {
                (MediaPhase::Paused, EventKind::MediaPaused, HandlerNotice::Paused)
            }
            (MediaPhase::Paused, SessionState::Connected) => {
                (MediaPhase::Flows, EventKind::MediaResumed, HandlerNotice::Resumed)
            }
            _ => return,
        };
        known.media = media;
        coordinator.publish(entry, kind);
        entry.tell(notice);
    }

    fn dialog_ended(&self, coordinator: &SessionCoordinator, id: session::SessionId) {
        if let Some(known) = self.sessions.get(&id) {
            known.dialog_ended(coordinator);
        }
    }

    fn publish(&self, coordinator: &SessionCoordinator, id: session::SessionId, kind: EventKind) {
        if let Some(known) = self.sessions.get(&id) {
            coordinator.publish(&known.entry, kind);
        }
    }

    fn tell(&self, id: session::SessionId, notice: HandlerNotice) {
        if let Some(known) = self.sessions.get(&id) {
            known.entry.tell(notice);
        }
    }

    fn settle(&self, id: session::SessionId, operation: Operation, outcome: Result<(), Refusal>) {
        if let Some(known) = self.sessions.get(&id) {
            known.entry.settle(operation, outcome);
        }
    }

    fn pressed(&mut self, coordinator: &SessionCoordinator, id: session::SessionId, digit: u8) {
        let Some(known) = self.sessions.get(&id) else { return };
        let Some(digit) = "0123456789*#ABCD".chars().nth(usize::from(digit)) else { return };
        coordinator.publish(&known.entry, EventKind::DtmfReceived { digit });
        known.entry.tell_if_room(HandlerNotice::Digit(digit));
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

impl KnownSession {
    fn dialog_ended(&self, coordinator: &SessionCoordinator) {
        let is_told = std::mem::replace(&mut self.entry.facts().is_dialog_over, true);
        let dialog = self.entry.facts().dialog.clone();
        if let Some(dialog) = dialog.filter(|_| !is_told) {
            coordinator.publish(&self.entry, EventKind::DialogTerminated { dialog: dialog.clone() });
            self.entry.tell(HandlerNotice::DialogTerminated(dialog));
        }
    }

    fn ended(&self, coordinator: &SessionCoordinator, reason: EndReason) {
        // Where the peer never answered our BYE nothing has said so yet.
        self.dialog_ended(coordinator);
        if self.media != MediaPhase::None {
            coordinator.publish(&self.entry, EventKind::MediaTerminated);
            self.entry.tell(HandlerNotice::MediaTerminated);
        }
        let now = std::time::Instant::now();
        let was_answered = self.media != MediaPhase::None || self.entry.facts().dialog.is_some();
        {
            let mut facts = self.entry.facts();
            facts.ended_at = Some(now);
            facts.end = Some(reason);
            facts.place = None;
            if let Some(monitoring) = facts.monitoring.take() {
                monitoring.abort();
            }
            facts.waiting.clear();
        }
        self.entry.set_state(SessionState::Terminated);
        // Counted before it is gone: a program that sees no session any more sees all of them in the totals.
        coordinator.totals.ended(reason, clock::now());
        coordinator.registry.remove(self.entry.id);
        coordinator.rooms.leave(self.entry.id);
        let ended = EventKind::Ended {
            reason: reason.name().into(),
            status: reason.sip_status().filter(|_| !was_answered),
            origin: reason.origin().name().into(),
        };
        coordinator.publish(&self.entry, ended);
        self.entry.tell(HandlerNotice::Ended(reason));
        let along = coordinator.relations().ended(self.entry.id, reason.name());
        for id in along {
            coordinator.end_along(id);
        }
    }
}

impl SessionCoordinator {
    pub(crate) fn publish(&self, entry: &Entry, kind: EventKind) {
        if self.events.has_subscribers() {
            self.events.publish(SessionEvent {
                session_id: entry.id,
                correlation_id: entry.call_id.clone(),
                at: SystemTime::now(),
                from: entry.from.clone(),
                to: entry.to.clone(),
                kind,
            });
        }
    }
}
