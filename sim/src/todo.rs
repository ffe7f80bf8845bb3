//! What a user means to do, and when.

use sip_core::proxy::ProxyId;
use sip_core::{CallId, DialogId, InviteId, RequestId, SubscriptionId};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Todo {
    Call,
    Options,
    Subscribe,
    Cancel(CallId),
    Ring {
        invite: InviteId,
        reliably: bool,
        with_sdp: bool,
    },
    Accept(InviteId),
    Reject(InviteId, u16),
    Ack(DialogId),
    Prack(DialogId),
    Bye(DialogId),
    Reinvite {
        dialog: DialogId,
        with_sdp: bool,
    },
    Update(DialogId),
    Info(DialogId),
    Refer(DialogId),
    Respond(RequestId, u16),
    AcceptSubscription(RequestId),
    Notify {
        subscription: SubscriptionId,
        left: u8,
    },
    Unsubscribe(SubscriptionId),
    /// The proxy's database has answered.
    Route(ProxyId),
}
