//! What may be known of a session.

use crate::leg::Leg;
use crate::{BridgeId, Operation, Parties, Session, SessionError, SessionId, SessionState};
use clock::Instant;
use contract::{Codec, Direction, LegRef};
use std::net::SocketAddr;

impl Session {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where it is in its life.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Who talks to whom.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Where its signaling comes from.
    pub fn remote_signaling(&self) -> SocketAddr {
        self.remote_signaling
    }

    /// When it began.
    pub fn created_at(&self) -> Instant {
        self.created_at
    }

    /// When it was answered.
    pub fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    /// Its leg, while there is one.
    pub fn leg(&self) -> Option<LegRef> {
        self.port().map(|port| port.leg)
    }

    /// Our RTP address, as the peer was told.
    pub fn local_rtp(&self) -> Option<SocketAddr> {
        self.port().map(|port| SocketAddr::new(self.local_ip, port.leg.port))
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

    /// We hold the peer.
    pub fn is_held_here(&self) -> bool {
        self.holds
    }

    /// The peer holds us.
    pub fn is_held_there(&self) -> bool {
        self.wanted.sends() && self.sdp.agreed().is_some_and(|agreed| !agreed.direction.sends())
    }

    /// The session that it is linked to: the other side of its call, or of its bridge.
    pub fn linked_to(&self) -> Option<SessionId> {
        self.link.map(|link| link.peer)
    }

    /// The bridge that it is in.
    pub fn bridge(&self) -> Option<BridgeId> {
        self.bridge
    }

    /// We have placed it, or are about to.
    pub fn is_outgoing(&self) -> bool {
        self.is_outgoing
    }

    /// Our audio is replaced by silence.
    pub fn is_muted(&self) -> bool {
        self.is_muted
    }

    /// Whether the operation makes sense now.
    pub fn allows(&self, operation: Operation) -> bool {
        self.state.allows(operation)
            && match operation {
                // Decided on already: the leg is on its way.
                Operation::Accept | Operation::Reject => {
                    self.invite.is_some() && (self.leg == Leg::None || self.is_early || self.is_reserved)
                }
                Operation::Hold => !self.is_held_here(),
                Operation::Resume => self.is_held_here(),
                Operation::StartRecording => self.recording.is_none(),
                Operation::StopRecording => self.recording.is_some(),
                Operation::Bridge => self.link.is_none() && self.bridge.is_none(),
                _ => true,
            }
    }

    /// What may be asked now.
    pub fn allowed(&self) -> Vec<Operation> {
        self.state.allowed().into_iter().filter(|operation| self.allows(*operation)).collect()
    }

    /// Refuses the operation unless it makes sense now.
    pub fn check(&self, operation: Operation) -> Result<(), SessionError> {
        if self.allows(operation) {
            return Ok(());
        }
        Err(SessionError::InvalidState { operation, state: self.state, allowed: self.allowed() })
    }

    /// The state of an answered call by who holds whom.
    pub(crate) fn settled_state(&self) -> SessionState {
        if self.wanted != Direction::Both || self.is_held_there() {
            SessionState::OnHold
        } else {
            SessionState::Connected
        }
    }
}
