//! What others read of a session.

use crate::bridge::link::Link;
use crate::invite::incoming_invite::Stage;
use crate::{BridgeId, EndReason, Operation, Parties, Session, SessionError, SessionId, SessionState};
use clock::Instant;
use contract::{Codec, Direction, LegRef, RecordingKind};
use sdp_core::Offer;
use sip_core::DialogId;
use std::net::{IpAddr, SocketAddr};

impl Session {
    /// Its number in its shard.
    pub fn id(&self) -> SessionId {
        self.facts.id()
    }

    /// Its state.
    pub fn state(&self) -> SessionState {
        self.life.state()
    }

    /// Caller, called party and Call-ID.
    pub fn parties(&self) -> &Parties {
        self.facts.parties()
    }

    /// The address of the peer's signaling.
    pub fn remote_signaling(&self) -> SocketAddr {
        self.facts.remote_signaling()
    }

    /// When the session began.
    pub fn created_at(&self) -> Instant {
        self.facts.created_at()
    }

    /// When the call was answered.
    pub fn connected_at(&self) -> Option<Instant> {
        self.facts.connected_at()
    }

    /// Its leg, while there is one.
    pub fn leg(&self) -> Option<LegRef> {
        self.leg.place()
    }

    /// The local RTP port of its leg, while there is one.
    pub fn local_port(&self) -> Option<u16> {
        self.leg.local_port()
    }

    /// Our RTP address, as the peer was told.
    pub fn local_rtp(&self) -> Option<SocketAddr> {
        self.local_port().map(|port| SocketAddr::new(self.local_ip(), port))
    }

    /// The peer's RTP address, as it told us.
    pub fn remote_rtp(&self) -> Option<SocketAddr> {
        self.agreement()?.remote_rtp
    }

    /// The codec that we send.
    pub fn codec(&self) -> Option<Codec> {
        self.agreement()?.payloads.audio().map(|(_, codec)| codec)
    }

    /// Which ways media flows, seen from us.
    pub fn direction(&self) -> Direction {
        self.agreement().map_or(Direction::Inactive, |agreed| agreed.direction)
    }

    /// Whether we hold the peer.
    pub fn is_held_here(&self) -> bool {
        self.hold.is_ours()
    }

    /// Whether the peer holds us.
    pub fn is_held_there(&self) -> bool {
        self.hold.wanted().sends() && self.sdp.agreed().is_some_and(|agreed| !agreed.direction.sends())
    }

    /// The session that it is linked to: the other side of its call, or of its bridge.
    pub fn linked_to(&self) -> Option<SessionId> {
        self.link().map(|link| link.peer)
    }

    /// The bridge that it is in.
    pub fn bridge(&self) -> Option<BridgeId> {
        self.membership.bridge()
    }

    /// Whether it is a call that we place.
    pub fn is_outgoing(&self) -> bool {
        self.facts.is_outgoing()
    }

    /// The number of its recording of this kind, until its end is known.
    pub fn recording(&self, kind: RecordingKind) -> Option<u64> {
        self.leg.recording(kind)
    }

    /// Whether our audio is replaced by silence.
    pub fn is_muted(&self) -> bool {
        self.playback.is_muted()
    }

    /// Whether the operation makes sense now.
    pub fn allows(&self, operation: Operation) -> bool {
        self.state().allows(operation)
            && match operation {
                // Once the call has been decided on its leg is on its way.
                Operation::Accept | Operation::Reject => {
                    let is_open = |stage| matches!(stage, Stage::Early | Stage::Reserved);
                    let stage = self.incoming.as_ref().map(|incoming| incoming.stage());
                    stage.is_some_and(|stage| self.leg().is_none() || is_open(stage))
                }
                Operation::Hold => !self.is_held_here(),
                Operation::Resume => self.is_held_here(),
                Operation::StartRecording => self.leg.recording(RecordingKind::Sound).is_none(),
                Operation::StopRecording => self.leg.recording(RecordingKind::Sound).is_some(),
                Operation::StartCapture => self.leg.recording(RecordingKind::Packets).is_none(),
                Operation::StopCapture => self.leg.recording(RecordingKind::Packets).is_some(),
                Operation::Bridge => self.link().is_none() && self.bridge().is_none(),
                _ => true,
            }
    }

    /// The operations that make sense now.
    pub fn allowed(&self) -> Vec<Operation> {
        self.state().allowed().into_iter().filter(|operation| self.allows(*operation)).collect()
    }

    /// Refuses the operation unless it makes sense now.
    pub fn check(&self, operation: Operation) -> Result<(), SessionError> {
        if self.allows(operation) {
            return Ok(());
        }
        Err(SessionError::InvalidState { operation, state: self.state(), allowed: self.allowed() })
    }

    pub(crate) fn dialog(&self) -> Option<DialogId> {
        self.facts.dialog()
    }

    pub(crate) fn local_ip(&self) -> IpAddr {
        self.facts.local_ip()
    }

    /// Whether the call was answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.facts.connected_at().is_some()
    }

    pub(crate) fn reason(&self) -> Option<EndReason> {
        self.life.reason()
    }

    /// The session that it hears, and what holds the two together.
    pub(crate) fn link(&self) -> Option<Link> {
        self.membership.link()
    }

    /// What the caller has offered, until the call has been decided on.
    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.incoming.as_ref()?.offer()
    }

    /// Whether it is a call that comes in, at this stage of its decision.
    pub(crate) fn is_at(&self, stage: Stage) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.stage() == stage)
    }

    /// The state of an answered call: on hold where either side holds, else connected.
    pub(crate) fn settled_state(&self) -> SessionState {
        if self.hold.wanted() != Direction::Both || self.is_held_there() {
            SessionState::OnHold
        } else {
            SessionState::Connected
        }
    }
}
