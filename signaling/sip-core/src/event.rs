//! What an endpoint tells its user.

use crate::output::Span;
use crate::table::slab::Handle;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(pub(crate) Handle);

        impl $name {
            /// As one number, for logs and tables.
            pub const fn as_u64(self) -> u64 {
                (self.0.generation as u64) << 32 | self.0.index as u64
            }

            /// Back from [`Self::as_u64`]; a made-up number is a handle that finds nothing, or something that is not yours.
            pub const fn from_u64(number: u64) -> Self {
                Self(Handle { index: number as u32, generation: (number >> 32) as u32 })
            }
        }
    )*};
}

ids! {
    /// An INVITE that came to us and waits for `provisional`, `accept` or `reject`.
    InviteId
    /// Any other request that came to us and waits for `respond`.
    RequestId
    /// A dialog, early or confirmed.
    DialogId
    /// An INVITE of ours, with all the dialogs that its forks may create.
    CallId
    /// A subscription: one notifies, the other is told.
    SubscriptionId
    /// A username with its secrets, for challenges.
    AccountId
}

/// A request of ours other than the first INVITE of a call; it keeps its number when it is repeated with credentials.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ClientRequestId(pub(crate) u64);

impl ClientRequestId {
    /// As one number, for logs and tables.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Back from [`Self::as_u64`]; a made-up number names nothing, or a request that is not yours.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// Why a dialog is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The peer sent BYE.
    RemoteBye,
    /// We sent BYE, and it was answered or ran out.
    LocalBye,
    /// The peer sent CANCEL before we answered.
    RemoteCancel,
    /// We cancelled, or the call was answered elsewhere.
    LocalCancel,
    /// We refused the INVITE with this status.
    Rejected(u16),
    /// The peer refused our INVITE with this status.
    Refused(u16),
    /// Our 2xx was never acknowledged.
    NoAck,
    /// The session timer ran out (RFC 4028).
    SessionExpired,
    /// The peer does not know the dialog (481), or did not answer in it (408).
    Lost(u16),
    /// The path to the peer broke.
    Transport,
    /// The last subscription in it ended.
    Unsubscribed,
}

/// What happened. `message` is the received message's bytes inside the [`Output`](crate::Output) of that call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A new call. Answer with `provisional`, then `accept` or `reject`. Its dialog exists from now on and ends with
    /// exactly one [`Event::Ended`], whichever way the call goes.
    Invite {
        /// To answer with.
        invite: InviteId,
        /// The dialog to be.
        dialog: DialogId,
        /// The INVITE.
        message: Span,
        /// The dialog that this call takes over (RFC 3891); it has been checked to exist. End it once this one is accepted.
        replaces: Option<DialogId>,
    },
    /// A re-INVITE. Answer with `accept` or `reject`.
    Reinvite {
        /// To answer with.
        invite: InviteId,
        /// In which dialog.
        dialog: DialogId,
        /// The INVITE.
        message: Span,
    },
    /// Our 2xx to an INVITE was acknowledged; the ACK carries the answer when the 2xx carried the offer.
    Acknowledged {
        /// In which dialog.
        dialog: DialogId,
        /// The ACK.
        message: Span,
    },
    /// A reliable provisional response of ours was acknowledged. When the PRACK carries an offer `request` is there to
    /// be answered with `respond`; otherwise it was answered 200.
    Pracked {
        /// The INVITE.
        invite: InviteId,
        /// Its dialog.
        dialog: DialogId,
        /// To answer an offer with.
        request: Option<RequestId>,
        /// The PRACK.
        message: Span,
    },
    /// A reliable provisional response of ours was never acknowledged. The INVITE was refused with 504.
    NotPracked {
        /// The INVITE.
        invite: InviteId,
        /// Its dialog.
        dialog: DialogId,
    },
    /// A re-INVITE was cancelled by the peer and has been answered 487; its dialog goes on.
    ReinviteCancelled {
        /// The re-INVITE.
        invite: InviteId,
        /// Its dialog.
        dialog: DialogId,
    },
    /// Any other request. Answer with `respond` (or `accept_subscription`).
    Request {
        /// To answer with.
        request: RequestId,
        /// In which dialog, if in one.
        dialog: Option<DialogId>,
        /// The request.
        message: Span,
    },
    /// We end a dialog by ourselves, for want of an ACK, a refresh or an answer: the BYE is out, and [`Event::Ended`] follows
    /// once the peer has answered it, or never did. Media stops now.
    Ending {
        /// The dialog.
        dialog: DialogId,
        /// Why.
        cause: Cause,
    },
    /// A dialog is over. Every dialog that was announced ends with exactly one of these.
    Ended {
        /// The dialog.
        dialog: DialogId,
        /// Why.
        cause: Cause,
        /// The message that said so, if one did.
        message: Option<Span>,
    },
    /// A provisional response to our call.
    Progress {
        /// The call.
        call: CallId,
        /// The early dialog, when the response created or belongs to one.
        dialog: Option<DialogId>,
        /// 100 to 199.
        status: u16,
        /// The response.
        message: Span,
        /// It is reliable and waits for your `prack`, because our INVITE had no offer and this response may carry it.
        wants_prack: bool,
    },
    /// Our call was answered. `wants_ack` says that the endpoint waits for your `ack` with the answer, because our INVITE
    /// carried no offer; otherwise the ACK has been sent.
    Answered {
        /// The call.
        call: CallId,
        /// Its dialog, confirmed now.
        dialog: DialogId,
        /// The 2xx.
        message: Span,
        /// Whether `ack` is yours to call.
        wants_ack: bool,
    },
    /// Our call failed. Every call ends with `Answered` or `Failed`.
    Failed {
        /// The call.
        call: CallId,
        /// The response's status; 408 when none came, 503 when the transport broke, 487 when we cancelled.
        status: u16,
        /// The response, if one came.
        message: Option<Span>,
    },
    /// A response to another request of ours.
    Response {
        /// The request.
        request: ClientRequestId,
        /// In which dialog it was sent, if in one.
        dialog: Option<DialogId>,
        /// Its status; 408 when none came, 503 when the transport broke.
        status: u16,
        /// The response, if one came.
        message: Option<Span>,
        /// It answers a re-INVITE that carried no offer: call `ack` with the answer.
        wants_ack: bool,
    },
    /// The session timer asks us to refresh, and the peer does not take UPDATE: call `reinvite` with the present offer. Where that
    /// is not possible now, or fails for now, this comes again while the session has time for it.
    RefreshDue {
        /// The dialog.
        dialog: DialogId,
    },
    /// A peer that we told to REFER, or that we subscribed to, reports. It has been answered 200.
    Notified {
        /// The subscription.
        subscription: SubscriptionId,
        /// Its dialog.
        dialog: DialogId,
        /// The NOTIFY.
        message: Span,
        /// Whether it was the last one.
        is_last: bool,
    },
    /// A subscription ended without a last NOTIFY.
    SubscriptionEnded {
        /// The subscription.
        subscription: SubscriptionId,
        /// Its dialog, if one was made.
        dialog: Option<DialogId>,
    },
    /// Requests of a dialog wait for the path to its next hop
    /// ([`DialogInfo::next_hop`](crate::DialogInfo::next_hop)): find it and call
    /// [`Endpoint::set_path`](crate::Endpoint::set_path), also where there is none.
    PathWanted {
        /// The dialog.
        dialog: DialogId,
    },
}
