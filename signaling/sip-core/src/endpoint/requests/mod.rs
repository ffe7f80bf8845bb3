//! What an endpoint keeps of the requests that came and of those that it sent, beside their transactions.

mod accounts;
mod admission;
pub(crate) mod new_request;
pub(crate) mod outgoing;
mod repeat;

use crate::endpoint::dialogs::next_hop::Origin;
use crate::event::{AccountId, CallId, SubscriptionId};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::{ClientUse, ServerUse};
use clock::{Duration, Instant};
use sip_wire::Method;

/// What a request means for the dialog that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The INVITE that makes a dialog.
    Invite,
    /// A later INVITE in it.
    Reinvite,
    Bye,
    Update,
    Prack,
    Subscribe,
    Refer,
    Notify,
    Options,
    Other,
}

impl Kind {
    pub(crate) fn of(method: Method, in_dialog: bool) -> Self {
        match method {
            Method::Invite if in_dialog => Kind::Reinvite,
            Method::Invite => Kind::Invite,
            Method::Bye => Kind::Bye,
            Method::Update => Kind::Update,
            Method::Prack => Kind::Prack,
            Method::Subscribe => Kind::Subscribe,
            Method::Refer => Kind::Refer,
            Method::Notify => Kind::Notify,
            Method::Options => Kind::Options,
            _ => Kind::Other,
        }
    }

    pub(crate) fn is_invite(self) -> bool {
        matches!(self, Kind::Invite | Kind::Reinvite)
    }

    /// Whether a 2xx moves the remote target (RFC 3261 §12.2, RFC 3311, RFC 6665 §4.1.2).
    pub(crate) fn moves_target(self) -> bool {
        self.refreshes() || matches!(self, Kind::Subscribe)
    }

    /// Whether a 2xx restarts the session timer as well (RFC 4028).
    pub(crate) fn refreshes(self) -> bool {
        matches!(self, Kind::Invite | Kind::Reinvite | Kind::Update)
    }
}

/// A reliable provisional response that waits for its PRACK (RFC 3262 §3).
pub(crate) struct Unpracked {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) has_sdp: bool,
    pub(crate) resend_after: Duration,
    pub(crate) wake_at: Instant,
    pub(crate) give_up_at: Instant,
}

/// What the request said about extensions.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Asked {
    pub(crate) supports_100rel: bool,
    pub(crate) requires_100rel: bool,
    pub(crate) supports_timer: bool,
    /// `Session-Expires` in seconds; zero when absent.
    pub(crate) session_expires_s: u32,
    pub(crate) min_se_s: u32,
    pub(crate) refresher: Option<crate::endpoint::dialogs::session_timer::Refresher>,
    pub(crate) takes_update: bool,
}

/// What the endpoint keeps of a request that came.
pub(crate) struct Received {
    pub(crate) kind: Kind,
    /// Stands for the Request-URI of an INVITE that makes a dialog: CANCEL and ACK have the same.
    pub(crate) uri: Option<Key>,
    /// Via, From, To with our tag, Call-ID and CSeq of every response; Record-Route behind them.
    pub(crate) head: Box<[u8]>,
    pub(crate) head_bytes: u16,
    pub(crate) dialog: Option<Handle>,
    /// The peer's Contact: the remote target once we accept.
    pub(crate) target: Box<[u8]>,
    /// How it came, where accepting it moves the remote target of a dialog that is there.
    pub(crate) origin: Option<Box<Origin>>,
    pub(crate) cseq: u32,
    pub(crate) asked: Asked,
    /// A SUBSCRIBE's or REFER's, until it is accepted.
    pub(crate) wish: Option<Box<crate::endpoint::subscriptions::notify::Wish>>,
    pub(crate) unpracked: Option<Box<Unpracked>>,
    pub(crate) rseq: u32,
    /// Its sender, and what it costs on that account.
    pub(crate) caller: crate::transactions::quota::Caller,
}

impl ServerUse for Received {
    fn deadline(&self) -> Option<Instant> {
        self.unpracked.as_ref().map(|unpracked| unpracked.wake_at.min(unpracked.give_up_at))
    }
}

/// What the responses to a request of ours are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The first INVITE of a call.
    Call(CallId),
    /// A request of the user, told by this number.
    User(u64),
    /// The endpoint's own BYE, whose answer ends the dialog.
    Bye,
    /// The endpoint's own session refresh.
    Refresh,
    /// CANCEL and PRACK: only their retransmissions matter. Also a request that was repeated by another.
    Nobody,
    /// A SUBSCRIBE or REFER of ours.
    Subscription(SubscriptionId, u64),
    /// A NOTIFY of ours.
    Notify(SubscriptionId, u64),
}

/// What the endpoint keeps of a request of its own.
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) purpose: Purpose,
    pub(crate) dialog: Option<Handle>,
    /// The account that answers its challenges.
    pub(crate) account: Option<AccountId>,
    pub(crate) cseq: u32,
    pub(crate) has_body: bool,
    /// An INVITE in a dialog got its final answer: what follows are copies.
    pub(crate) is_answered: bool,
    /// How often it was repeated after 401, 407, 422 or 491.
    pub(crate) retry_count: u8,
    /// Repeat it then: after a 491.
    pub(crate) retry_at: Option<Instant>,
    pub(crate) dispatch: Dispatch,
}

impl Sent {
    /// A request with this purpose that was not sent before.
    pub(crate) fn new(kind: Kind, purpose: Purpose, cseq: u32) -> Self {
        Self {
            kind,
            purpose,
            dialog: None,
            account: None,
            cseq,
            has_body: false,
            is_answered: false,
            retry_count: 0,
            retry_at: None,
            dispatch: Dispatch::Sent,
        }
    }

    /// The CANCEL of this INVITE.
    pub(crate) fn cancel(&self) -> Self {
        Self { dialog: self.dialog, account: self.account, ..Self::new(Kind::Other, Purpose::Nobody, self.cseq) }
    }
}

impl ClientUse for Sent {
    /// The peer has answered the request that this one repeats, or an INVITE before it (CANCEL and PRACK follow a
    /// provisional response), or has a dialog with us.
    fn is_of_known_peer(&self) -> bool {
        self.dialog.is_some() || self.retry_count > 0 || self.purpose == Purpose::Nobody
    }

    fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    fn is_held(&self) -> bool {
        matches!(self.dispatch, Dispatch::Waiting | Dispatch::Lost)
    }
}

/// Whether a request is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dispatch {
    /// It goes out on its flow.
    Sent,
    /// It waits for the path of its dialog.
    Waiting,
    /// Its connection broke after it was sent. It waits for another path, and the peer may have carried it out.
    Lost,
    /// It goes out on another flow than at first, and on no third one.
    Redirected,
}
