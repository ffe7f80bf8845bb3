//! A change of media that has been agreed on, or waits for the other side of the call to agree.

use sdp_core::{Negotiated, OtherMedia};
use sip_core::{InviteId, RequestId};

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
