//! What an endpoint keeps of one server or client transaction, around the machine that decides.

use crate::config::Timers;
use crate::event::{AccountId, CallId, SubscriptionId};
use crate::flow::Flow;
use crate::hash::Key;
use crate::next_hop::Origin;
use crate::proven::Budget;
use crate::slab::Handle;
use crate::timer::Alarm;
use crate::transaction::{Actions, InviteClient, InviteServer, NonInviteClient, NonInviteServer};
use clock::{Duration, Instant};
use sip_wire::Method;

/// The machine of a request that came to us.
pub(crate) enum ServerMachine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

impl ServerMachine {
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_waiting(),
            Self::Other(machine) => machine.is_waiting(),
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_terminated(),
            Self::Other(machine) => machine.is_terminated(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }
}

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
    pub(crate) refresher: Option<crate::session_timer::Refresher>,
    pub(crate) takes_update: bool,
}

/// A request that came to us.
pub(crate) struct ServerTransaction {
    pub(crate) machine: ServerMachine,
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    pub(crate) merge_key: Option<Key>,
    /// Stands for the Request-URI of an INVITE that makes a dialog: CANCEL and ACK have the same.
    pub(crate) uri: Option<Key>,
    /// Where responses go (RFC 3261 §18.2.2).
    pub(crate) flow: Flow,
    /// Via, From, To with our tag, Call-ID and CSeq of every response; Record-Route behind them.
    pub(crate) head: Box<[u8]>,
    pub(crate) head_bytes: u16,
    /// The last response, to be repeated.
    pub(crate) response: Box<[u8]>,
    pub(crate) dialog: Option<Handle>,
    /// The peer's Contact: the remote target once we accept.
    pub(crate) target: Box<[u8]>,
    /// How it came, where accepting it moves the remote target of a dialog that is there.
    pub(crate) origin: Option<Box<Origin>>,
    pub(crate) cseq: u32,
    pub(crate) asked: Asked,
    /// A SUBSCRIBE's or REFER's, until it is accepted.
    pub(crate) wish: Option<Box<crate::endpoint::notify::Wish>>,
    pub(crate) unpracked: Option<Box<Unpracked>>,
    pub(crate) rseq: u32,
    pub(crate) budget: Budget,
    pub(crate) alarm: Alarm,
}

impl ServerTransaction {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let prack = self.unpracked.as_ref().map(|unpracked| unpracked.wake_at.min(unpracked.give_up_at));
        match (self.machine.deadline(), prack) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// The machine of a request of ours.
pub(crate) enum ClientMachine {
    Invite(InviteClient),
    Other(NonInviteClient),
}

impl ClientMachine {
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Invite(machine) => machine.abandon(),
            Self::Other(machine) => machine.abandon(),
        }
    }

    /// The same request from its start, over a flow that may be of another kind.
    pub(crate) fn start_again(&mut self, now: Instant, timers: &Timers, reliable: bool) {
        // The first action of both machines is to send.
        match self {
            Self::Invite(machine) => *machine = InviteClient::start(now, timers, reliable, &mut Actions::default()),
            Self::Other(machine) => *machine = NonInviteClient::start(now, timers, reliable, &mut Actions::default()),
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_terminated(),
            Self::Other(machine) => machine.is_terminated(),
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_waiting(),
            Self::Other(machine) => machine.is_waiting(),
        }
    }

    /// Whether no response has come at all.
    pub(crate) fn is_unheard(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_waiting() && !machine.is_proceeding(),
            Self::Other(machine) => machine.is_waiting() && !machine.is_proceeding(),
        }
    }

    /// Waits no longer than that for the first response.
    pub(crate) fn hurry(&mut self, give_up_at: Instant) {
        match self {
            Self::Invite(machine) => machine.hurry(give_up_at),
            Self::Other(machine) => machine.hurry(give_up_at),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }
}

/// Whom the responses to a request of ours concern.
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

/// A request of ours.
pub(crate) struct ClientTransaction {
    pub(crate) machine: ClientMachine,
    pub(crate) kind: Kind,
    pub(crate) purpose: Purpose,
    pub(crate) key: Key,
    pub(crate) flow: Flow,
    pub(crate) dialog: Option<Handle>,
    /// Who answers its challenges.
    pub(crate) account: Option<AccountId>,
    /// The request: start line, Via, CSeq, then what a repetition keeps.
    pub(crate) bytes: Box<[u8]>,
    pub(crate) cseq: u32,
    pub(crate) has_body: bool,
    /// An INVITE in a dialog got its final answer: what follows are copies.
    pub(crate) is_answered: bool,
    /// How often it was repeated after 401, 407, 422 or 491.
    pub(crate) retry_count: u8,
    /// Repeat it then: after a 491.
    pub(crate) retry_at: Option<Instant>,
    /// CANCEL as soon as a provisional response allows it; given up this long after it went out.
    pub(crate) cancel: Cancel,
    /// Header lines for the CANCEL, as its `Reason` (RFC 3326).
    pub(crate) cancel_lines: Box<[u8]>,
    pub(crate) dispatch: Dispatch,
    /// Copies of it that may still go out by themselves.
    pub(crate) copies_left: u8,
    /// An INVITE that rings longer is cancelled.
    pub(crate) ring_until: Instant,
    pub(crate) alarm: Alarm,
}

/// Whether a request is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dispatch {
    /// It goes out on its flow.
    Sent,
    /// It waits for the path of its dialog.
    Waiting,
    /// It goes out on another flow than at first, and on no third one.
    Redirected,
}

/// What became of the wish to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Cancel {
    #[default]
    No,
    /// No provisional response has come yet (RFC 3261 §9.1).
    Wanted,
    /// CANCEL is out; without a final response the INVITE is given up then.
    Sent(Instant),
}

impl ClientTransaction {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let is_waiting = self.machine.is_waiting();
        let cancel = match self.cancel {
            Cancel::Sent(at) if is_waiting => Some(at),
            _ => None,
        };
        let ring = (is_waiting && self.kind.is_invite() && cancel.is_none()).then_some(self.ring_until);
        [self.machine.deadline(), self.retry_at, cancel, ring].into_iter().flatten().min()
    }
}
