//! An INVITE of ours and the dialogs that it makes.

use crate::table::hash::{Key, Keyed};
use crate::table::slab::Handle;
use crate::table::token::Token;
use sip_wire::Message;

/// The call, from INVITE to the end of its transaction.
pub(crate) struct Call {
    /// The transaction that runs now; a challenge starts another.
    pub(crate) transaction: Option<Handle>,
    /// Early and confirmed dialogs, in the order of their responses.
    pub(crate) forks: Vec<Fork>,
    pub(crate) call_id: Box<[u8]>,
    /// Our name without tag.
    pub(crate) from: Box<[u8]>,
    pub(crate) tag: Token,
    pub(crate) has_offer: bool,
    /// What the user hears when the call fails for this reason of ours: 487 cancelled, 408 rang too long.
    pub(crate) ended_by_us: Option<u16>,
    /// Answers that were acknowledged without a dialog.
    pub(crate) passing_count: u16,
    /// The user has heard `Answered` or `Failed`.
    pub(crate) is_told: bool,
}

impl Fork {
    /// Whether a response belongs to it.
    pub(crate) fn is_of(&self, keyed: &Keyed, call: &Call, message: &Message<'_>) -> bool {
        let to_tag = message.to_tag().unwrap_or_default();
        self.key == crate::endpoint::dialogs::identity::key(keyed, &call.call_id, call.tag.as_str().as_bytes(), to_tag)
    }
}

/// Why a call has failed.
#[derive(Clone, Copy)]
pub(crate) struct Failure<'a, 'm> {
    pub(crate) status: u16,
    /// The response that says so.
    pub(crate) message: Option<&'m Message<'a>>,
}

impl Failure<'static, 'static> {
    /// No response says so.
    pub(crate) const fn without_message(status: u16) -> Self {
        Self { status, message: None }
    }
}

/// One dialog of a call. Its key outlives it, so that a late copy of its 2xx does not make it again.
#[derive(Clone, Copy)]
pub(crate) struct Fork {
    pub(crate) key: Key,
    pub(crate) dialog: Handle,
}
