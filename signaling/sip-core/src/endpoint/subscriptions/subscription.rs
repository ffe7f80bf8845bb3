//! A subscription (RFC 6665), that of a REFER included (RFC 3515).

use crate::table::deadlines::Alarm;
use crate::table::slab::Handle;
use clock::Instant;

/// Which side we are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// We report.
    Notifier,
    /// We are told.
    Subscriber,
}

/// The subscription.
pub(crate) struct Subscription {
    pub(crate) role: Role,
    /// `None` until the first response or NOTIFY makes the dialog.
    pub(crate) dialog: Option<Handle>,
    /// The event package.
    pub(crate) package: Box<str>,
    /// The `id` parameter: the REFER's CSeq, or what the subscriber said; empty without one.
    pub(crate) id: Box<str>,
    /// It ends then, unless it is refreshed.
    pub(crate) expires_at: Instant,
    /// We send SUBSCRIBE again then.
    pub(crate) refresh_at: Option<Instant>,
    pub(crate) interval_s: u32,
    /// We have unsubscribed, and wait for the last NOTIFY.
    pub(crate) is_ending: bool,
    /// Names of the dialog to come, while there is none: Call-ID, our name, our tag, the first CSeq, the target.
    pub(crate) pending: Option<Box<Pending>>,
    pub(crate) alarm: Alarm,
}

/// What makes the dialog of a SUBSCRIBE of ours once the peer's tag is known.
pub(crate) struct Pending {
    pub(crate) call_id: Box<[u8]>,
    pub(crate) from: Box<[u8]>,
    pub(crate) tag: crate::table::token::Token,
    pub(crate) cseq: u32,
    pub(crate) flow: crate::flow::Flow,
    pub(crate) account: Option<crate::event::AccountId>,
}

impl Subscription {
    /// One without a dialog yet.
    pub(crate) fn new(role: Role, package: Box<str>, id: Box<str>, expires_at: Instant) -> Self {
        Self {
            role,
            dialog: None,
            package,
            id,
            expires_at,
            refresh_at: None,
            interval_s: 0,
            is_ending: false,
            pending: None,
            alarm: Alarm::default(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        Some(self.refresh_at.map_or(self.expires_at, |refresh_at| refresh_at.min(self.expires_at)))
    }

    /// Whether an Event value names this subscription (RFC 6665 §8.2.1: package and id).
    pub(crate) fn is(&self, package: &[u8], id: Option<&[u8]>) -> bool {
        let same_id = match id {
            Some(id) => id == self.id.as_bytes(),
            // RFC 3515 §2.4.6: the NOTIFYs of the first REFER may leave the id out.
            None => self.id.is_empty() || self.package.as_ref() == "refer",
        };
        same_id && package.eq_ignore_ascii_case(self.package.as_bytes())
    }
}
