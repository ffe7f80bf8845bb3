//! One session: a call leg on the SIP side and its leg on the media side.

use crate::{EndReason, Plan, PlannedSource, Port, SessionId, SessionState};
use clock::Instant;
use contract::{Codec, LegRef, LegSpec, Source};
use sdp_core::{Negotiated, Offer, Origin, OtherMedia};
use sip_core::{DialogId, InviteId, RequestId};
use std::net::{IpAddr, SocketAddr};

/// A call as this switch sees it: who with, where in its life, with which media.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) state: SessionState,
    pub(crate) dialog: DialogId,
    /// The first INVITE, until it has its final answer.
    pub(crate) invite: Option<InviteId>,
    pub(crate) parties: Parties,
    pub(crate) remote_signaling: SocketAddr,
    /// Our address for session descriptions.
    pub(crate) local_ip: IpAddr,
    pub(crate) created_at: Instant,
    pub(crate) connected_at: Option<Instant>,
    pub(crate) plan: Plan,
    /// What the caller offered, until the call has been decided on.
    pub(crate) offer: Option<Box<Offer>>,
    /// Our description for the 2xx, until it is sent.
    pub(crate) description: Option<Box<str>>,
    pub(crate) others: OtherMedia,
    pub(crate) origin: Origin,
    pub(crate) spec: LegSpec,
    pub(crate) leg: Leg,
    /// The leg, also after its end.
    pub(crate) last_leg: Option<LegRef>,
    pub(crate) change: Option<Box<Change>>,
    /// `Update` commands on their way; the answers come in order.
    pub(crate) updates_open: u32,
    /// We offered in a 2xx and wait for the answer in the ACK.
    pub(crate) awaits_answer: bool,
    /// The dialog to end once this call is up (`Replaces`).
    pub(crate) replaces: Option<DialogId>,
    pub(crate) reason: Option<EndReason>,
    /// The dialog has ended.
    pub(crate) is_sip_over: bool,
    pub(crate) deadline: Option<Instant>,
}

/// Who talks to whom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parties {
    /// URI of From.
    pub from: Box<str>,
    /// URI of To.
    pub to: Box<str>,
    /// User part of the Request-URI.
    pub called_user: Box<str>,
    /// Call-ID.
    pub call_id: Box<str>,
}

/// The media side of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leg {
    None,
    Opening(Port),
    Open(Port),
    Closing(Port),
}

/// A change of media that the peer asked for and the media plane has yet to carry out.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) answer_to: AnswerTo,
    pub(crate) description: String,
    pub(crate) agreed: Negotiated,
    pub(crate) others: OtherMedia,
    pub(crate) spec: LegSpec,
    /// `Update` answers to wait for until it is this one's turn.
    pub(crate) updates_before: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnswerTo {
    Reinvite(InviteId),
    Update(RequestId),
    /// The answer came in an ACK; there is nothing more to say.
    Nobody,
}

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
        self.spec.remote_rtp.get()
    }

    /// The codec that we send.
    pub fn codec(&self) -> Option<Codec> {
        self.spec.payloads.audio().map(|(_, codec)| codec)
    }

    pub(crate) fn port(&self) -> Option<Port> {
        match self.leg {
            Leg::None => None,
            Leg::Opening(port) | Leg::Open(port) | Leg::Closing(port) => Some(port),
        }
    }

    /// Moves on; a step that the matrix does not have is a mistake of ours.
    pub(crate) fn go(&mut self, next: SessionState) {
        assert!(self.state.can_transition_to(next), "{:?} cannot become {next:?}", self.state);
        self.state = next;
    }
}

impl PlannedSource {
    /// For a leg.
    pub(crate) fn of(self, leg: LegRef) -> Source {
        match self {
            Self::Silence => Source::Silence,
            Self::Tone440 => Source::Tone440,
            Self::Ringing => Source::Ringing,
            Self::Prompt(number) => Source::Prompt(number),
            Self::Echo => Source::Leg(leg),
        }
    }
}
