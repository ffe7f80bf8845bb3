use serde::{Deserialize, Serialize};
use std::fmt;

/// What identifies a dialog, as SIP messages and other programs' logs show it (RFC 3261 §12).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag.
    pub remote_tag: String,
}

impl DialogId {
    pub(crate) fn of(dialog: &sip_core::DialogInfo<'_>) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { call_id: text(dialog.call_id), local_tag: text(dialog.local_tag), remote_tag: text(dialog.remote_tag) }
    }
}

/// The dialog as a Replaces header field names it, seen from the peer (RFC 3891).
impl fmt::Display for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.remote_tag, self.local_tag)
    }
}
