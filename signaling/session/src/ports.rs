//! The SIP side of sessions: what they ask of an endpoint. [`crate::EndpointSip`] carries it out, in the shard and in the
//! tests. The side of the media plane is [`media_control::Ports`].

use clock::Instant;
use sip_core::auth::Account;
use sip_core::{
    AccountId, CallId, ClientRequestId, Content, DialogId, DialogInfo, Flow, InviteId, NewRequest, Refused, RequestId,
    Span, SubscriptionId,
};
use sip_wire::{Message, Method};
use std::net::{IpAddr, SocketAddr};

/// What sessions ask of SIP. `false` says that the INVITE, request or dialog has ended already; the event that tells so has
/// come, or is about to.
pub trait Sip {
    /// The bytes of a message that an event names.
    fn bytes(&self, message: Span) -> &[u8];
    /// A message that an event names, as it was parsed when it arrived. `None`: the span is of no message.
    fn message(&self, message: Span) -> Option<Message<'_>>;
    /// 180 Ringing.
    fn ringing(&mut self, now: Instant, invite: InviteId) -> bool;
    /// A provisional response, 101 to 199, with a session description unless that is empty, and header fields. Whether it is
    /// a reliable one, which the caller has to acknowledge.
    fn progress(&mut self, now: Instant, invite: InviteId, status: u16, sdp: &str, headers: &[(&str, &str)]) -> bool;
    /// 200 with a session description, and whatever header fields a user wants in it.
    fn accept(&mut self, now: Instant, invite: InviteId, content: Content<'_>) -> Accepted;
    /// A final refusal.
    fn reject(&mut self, now: Instant, invite: InviteId, refusal: &Refusal<'_>) -> bool;
    /// A final response to another request, with a session description unless that is empty.
    fn respond(&mut self, now: Instant, request: RequestId, status: u16, sdp: &str) -> bool;
    /// A final response to another request, with whatever a user wants in it.
    fn respond_with(
        &mut self,
        now: Instant,
        request: RequestId,
        status: u16,
        reason: &str,
        content: Content<'_>,
    ) -> Result<(), Refused>;
    /// BYE.
    fn bye(&mut self, now: Instant, dialog: DialogId) -> bool {
        self.bye_saying(now, dialog, &[])
    }
    /// BYE with further header fields, as its reason.
    fn bye_saying(&mut self, now: Instant, dialog: DialogId, headers: &[(&str, &str)]) -> bool;
    /// The path to the switch itself, if this is one of its addresses.
    fn home(&self, address: SocketAddr) -> Option<Flow>;
    /// Whether this is an address of the host that the switch runs on.
    fn is_of_this_host(&self, ip: IpAddr) -> bool {
        let _ = ip;
        false
    }
    /// A peer has shown that it gets what we send to its address.
    fn prove(&mut self, now: Instant, remote: SocketAddr) {
        let _ = (now, remote);
    }
    /// INVITE with our offer. `Progress`, then `Answered` or `Failed` follow; ACK and PRACK are looked after.
    fn invite(&mut self, now: Instant, request: &NewRequest<'_>) -> Result<CallId, Refused>;
    /// Adds credentials for calls that we place.
    fn add_account(&mut self, account: Account) -> Result<AccountId, Refused>;
    /// Removes credentials.
    fn remove_account(&mut self, account: AccountId) -> Result<(), Refused>;
    /// CANCEL. `Failed` follows; an answer that crosses is looked after.
    fn cancel(&mut self, now: Instant, call: CallId) -> bool {
        self.cancel_saying(now, call, &[])
    }
    /// CANCEL with further header fields, as its reason.
    fn cancel_saying(&mut self, now: Instant, call: CallId, headers: &[(&str, &str)]) -> bool;
    /// A re-INVITE with our offer. `Response` follows; the ACK is looked after.
    fn reinvite(&mut self, now: Instant, dialog: DialogId, sdp: &str) -> Result<ClientRequestId, Refused>;
    /// A re-INVITE of ours that waits after a 491 is not sent again (RFC 3261 §14.1). No `Response` follows.
    fn withdraw_reinvite(&mut self, request: ClientRequestId);
    /// That re-INVITE is the other side's, which waits after a 491 itself.
    fn pass_glare_on(&mut self, dialog: DialogId);
    /// REFER to a URI (RFC 3515). `Response`, `Notified` and `SubscriptionEnded` follow.
    fn refer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        target: &str,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused>;
    /// The URI that has its caller take over a dialog: the peer's address with `Replaces`.
    fn replaces_uri(&self, dialog: DialogId) -> Option<String>;
    /// 202 to a REFER; reports may be sent from now on.
    fn accept_refer(&mut self, now: Instant, request: RequestId) -> Option<SubscriptionId>;
    /// Reports the status of the call that was referred to. `Response` follows.
    fn notify_refer(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
        status: u16,
        is_last: bool,
    ) -> Option<ClientRequestId>;
    /// A dialog of ours, by its Call-ID and our and the peer's tag.
    fn find_dialog(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Option<DialogId>;
    /// What identifies a dialog.
    fn dialog_info(&self, dialog: DialogId) -> Option<DialogInfo<'_>>;
    /// The credentials for a peer of a dialog that asks for some.
    fn set_account(&mut self, dialog: DialogId, account: AccountId);
    /// A request of a user in a dialog. `Response` follows.
    fn request_in(
        &mut self,
        now: Instant,
        dialog: DialogId,
        method: Method,
        content: Content<'_>,
    ) -> Result<ClientRequestId, Refused>;
    /// A request of a user outside of dialogs. `Response` follows.
    fn request(&mut self, now: Instant, method: Method, request: &NewRequest<'_>) -> Result<ClientRequestId, Refused>;
    /// The paths to a URI, best first (RFC 3263), none when it cannot be reached; `None`: its name has to be looked up.
    fn paths_to(&mut self, uri: &str) -> Option<Vec<Flow>> {
        let _ = uri;
        None
    }
    /// Asks for the paths to all of these. The answer comes by [`crate::Sessions::found`] with the number that this gives;
    /// `None`: too many questions wait already, or there is no name server.
    fn look_up(&mut self, uris: &[Box<str>]) -> Option<u64> {
        let _ = uris;
        None
    }
    /// The path that a dialog's requests take.
    fn flow_of(&self, dialog: DialogId) -> Option<Flow>;
    /// INFO (RFC 6086). `Response` follows.
    fn info(&mut self, now: Instant, dialog: DialogId, kind: &str, body: &[u8]) -> Result<ClientRequestId, Refused>;
}

/// What became of a 200 to an INVITE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// It was sent.
    Sent,
    /// A reliable provisional response of ours comes first: again after `Pracked` (RFC 3262 §3).
    AfterPrack,
    /// The INVITE has ended already, or the 200 could not be written.
    Gone,
}

/// How a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal<'r> {
    /// 300 to 699.
    pub status: u16,
    /// Reason phrase; empty: the usual one.
    pub reason: &'r str,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// Text of a `Warning` (RFC 3261 §20.43).
    pub warning: &'r str,
    /// The code of the `Warning`.
    pub warning_code: u16,
    /// Further header fields, as challenges or the Contacts of a redirection.
    pub headers: &'r [(&'r str, &'r str)],
}

impl<'r> Refusal<'r> {
    /// `Retry-After` and `Warning`, if there are any. The text comes from this program, so only quotes are escaped.
    pub fn header_fields(&self) -> Vec<(&'static str, String)> {
        let retry_after = self.retry_after_s.map(|seconds| ("Retry-After", seconds.to_string()));
        let words = self.warning.replace(['"', '\\'], "'");
        let warning = (!words.is_empty()).then(|| ("Warning", format!("{} ringplane \"{words}\"", self.warning_code)));
        retry_after.into_iter().chain(warning).collect()
    }

    /// A status with its usual words.
    pub fn status(status: u16) -> Self {
        Self { status, reason: "", retry_after_s: None, warning: "", warning_code: 399, headers: &[] }
    }
}
