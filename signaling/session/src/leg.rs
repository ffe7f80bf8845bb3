//! The media side of a session, and changes of it that are on their way.

use crate::{Port, Session};
use sdp_core::{Negotiated, OtherMedia};
use sip_core::{InviteId, RequestId};

/// The media side of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leg {
    None,
    Opening(Port),
    Open(Port),
    Closing(Port),
}

/// A change of media that is agreed on and that the media plane has yet to carry out.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) answer_to: AnswerTo,
    pub(crate) description: String,
    pub(crate) agreed: Negotiated,
    pub(crate) others: OtherMedia,
    /// `Update` answers to wait for until it is this one's turn.
    pub(crate) updates_before: u32,
    /// The offer as it came, while it waits for the answer of the other side of the call.
    pub(crate) waits_with: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnswerTo {
    Reinvite(InviteId),
    Update(RequestId),
    /// The peer answered an offer of ours; there is nothing more to say.
    Nobody,
}

impl Session {
    /// Its port, whatever becomes of it.
    pub(crate) fn port(&self) -> Option<Port> {
        match self.leg {
            Leg::None => None,
            Leg::Opening(port) | Leg::Open(port) | Leg::Closing(port) => Some(port),
        }
    }
}
