//! The SIP side of sessions, carried out by the endpoint of `sip_core`.

use crate::{Accepted, Refusal, Sip};
use clock::Instant;
use sip_core::auth::Account;
use sip_core::{
    AccountId, Answer, CallId, ClientRequestId, Content, DialogId, DialogInfo, DialogRequest, Endpoint, Flow, InviteId,
    NewRequest, Output, ReferProgress, Refused, RequestId, Span, SubscriptionId,
};
use sip_wire::{Message, Method};
use std::net::{IpAddr, SocketAddr};

/// How long we report about a call that a peer referred us to.
const REFER_LIMIT_S: u32 = 300;

/// What an endpoint does not know: the host that it runs on, and the addresses of names. The defaults are those of a host
/// that has no name server.
pub trait Host {
    /// As [`Sip::home`].
    fn home(&self, address: SocketAddr) -> Option<Flow> {
        let _ = address;
        None
    }
    /// As [`Sip::is_of_this_host`].
    fn is_of_this_host(&self, ip: IpAddr) -> bool {
        let _ = ip;
        false
    }
    /// As [`Sip::paths_to`].
    fn paths_to(&mut self, uri: &str) -> Option<Vec<Flow>> {
        let _ = uri;
        None
    }
    /// As [`Sip::look_up`].
    fn look_up(&mut self, uris: &[Box<str>]) -> Option<u64> {
        let _ = uris;
        None
    }
}

/// An endpoint with the output that it writes into, for one turn.
pub struct EndpointSip<'w> {
    /// The endpoint of the shard.
    pub endpoint: &'w mut Endpoint,
    /// Messages to send, and the events whose messages sessions read.
    pub out: &'w mut Output,
    /// The host.
    pub host: &'w mut dyn Host,
}

impl Sip for EndpointSip<'_> {
    fn bytes(&self, message: Span) -> &[u8] {
        self.out.bytes(message)
    }

    fn message(&self, message: Span) -> Option<Message<'_>> {
        self.out.message(message)
    }

    fn ringing(&mut self, now: Instant, invite: InviteId) -> bool {
        self.endpoint.provisional(now, invite, &Answer::of(180), self.out).is_ok()
    }

    fn accept(&mut self, now: Instant, invite: InviteId, content: Content<'_>) -> Accepted {
        match self.endpoint.accept(now, invite, content, self.out) {
            Ok(_) => Accepted::Sent,
            Err(Refused::AwaitingPrack) => Accepted::AfterPrack,
            Err(_) => Accepted::Gone,
        }
    }

    fn reject(&mut self, now: Instant, invite: InviteId, refusal: &Refusal<'_>) -> bool {
        let ours = refusal.header_fields();
        let ours = ours.iter().map(|(name, value)| (*name, &**value));
        let ours =
            ours.filter(|(name, _)| *name != "Warning" || !refusal.headers.iter().any(|(given, _)| given == name));
        let headers: Vec<(&str, &str)> = ours.chain(refusal.headers.iter().copied()).collect();
        let content = Content::headers(&headers);
        self.endpoint
            .reject(now, invite, &Answer { status: refusal.status, reason: refusal.reason, content }, self.out)
            .is_ok()
    }

    fn respond(&mut self, now: Instant, request: RequestId, status: u16, sdp: &str) -> bool {
        self.respond_with(now, request, status, "", described(sdp)).is_ok()
    }

    fn respond_with(
        &mut self,
        now: Instant,
        request: RequestId,
        status: u16,
        reason: &str,
        content: Content<'_>,
    ) -> Result<(), Refused> {
        self.endpoint.respond(now, request, &Answer { status, reason, content }, self.out)
    }

    fn bye_saying(&mut self, now: Instant, dialog: DialogId, headers: &[(&str, &str)]) -> bool {
        self.endpoint.bye(now, dialog, Content::headers(headers), self.out).is_ok()
    }

    fn progress(&mut self, now: Instant, invite: InviteId, status: u16, sdp: &str, headers: &[(&str, &str)]) -> bool {
        let content = described(sdp).with_headers(headers);
        let reliably = !sdp.is_empty()
            && self.endpoint.provisional_reliably(now, invite, &Answer::with(status, content), self.out).is_ok();
        if !reliably {
            // Where the INVITE has ended meanwhile the caller waits for nothing.
            let _ = self.endpoint.provisional(now, invite, &Answer::with(status, content), self.out);
        }
        reliably
    }

    fn home(&self, address: SocketAddr) -> Option<Flow> {
        self.host.home(address)
    }

    fn prove(&mut self, now: Instant, remote: SocketAddr) {
        self.endpoint.prove(now, &Flow::udp(remote, remote));
    }

    fn is_of_this_host(&self, ip: IpAddr) -> bool {
        self.host.is_of_this_host(ip)
    }

    fn invite(&mut self, now: Instant, request: &NewRequest<'_>) -> Result<CallId, Refused> {
        self.endpoint.invite(now, request, self.out)
    }

    fn add_account(&mut self, account: Account) -> Result<AccountId, Refused> {
        self.endpoint.add_account(account)
    }

    fn remove_account(&mut self, account: AccountId) -> Result<(), Refused> {
        self.endpoint.remove_account(account)
    }

    fn cancel_saying(&mut self, now: Instant, call: CallId, headers: &[(&str, &str)]) -> bool {
        self.endpoint.cancel_saying(now, call, &Content::headers(headers), self.out).is_ok()
    }

    fn refer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        target: &str,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        self.endpoint.refer(now, dialog, target, self.out)
    }

    fn replaces_uri(&self, dialog: DialogId) -> Option<String> {
        self.endpoint.replaces_uri(dialog)
    }

    fn accept_refer(&mut self, now: Instant, request: RequestId) -> Option<SubscriptionId> {
        self.endpoint.accept_subscription(now, request, REFER_LIMIT_S, self.out).ok()
    }

    fn notify_refer(
        &mut self,
        now: Instant,
        subscription: SubscriptionId,
        status: u16,
        is_last: bool,
    ) -> Option<ClientRequestId> {
        self.endpoint.notify_refer(now, subscription, ReferProgress { status, is_last }, self.out).ok()
    }

    fn find_dialog(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Option<DialogId> {
        self.endpoint.find_dialog(call_id, local_tag, remote_tag)
    }

    fn dialog_info(&self, dialog: DialogId) -> Option<DialogInfo<'_>> {
        self.endpoint.dialog_info(dialog)
    }

    fn set_account(&mut self, dialog: DialogId, account: AccountId) {
        // Where the dialog has ended its peer asks for nothing any more.
        let _ = self.endpoint.set_account(dialog, Some(account));
    }

    fn request_in(
        &mut self,
        now: Instant,
        dialog: DialogId,
        method: Method,
        content: Content<'_>,
    ) -> Result<ClientRequestId, Refused> {
        self.endpoint.request_in(now, dialog, &DialogRequest { method, content }, self.out)
    }

    fn request(&mut self, now: Instant, method: Method, request: &NewRequest<'_>) -> Result<ClientRequestId, Refused> {
        self.endpoint.request(now, method, request, self.out)
    }

    fn paths_to(&mut self, uri: &str) -> Option<Vec<Flow>> {
        self.host.paths_to(uri)
    }

    fn look_up(&mut self, uris: &[Box<str>]) -> Option<u64> {
        self.host.look_up(uris)
    }

    fn flow_of(&self, dialog: DialogId) -> Option<Flow> {
        Some(self.endpoint.dialog_info(dialog)?.flow)
    }

    fn reinvite(&mut self, now: Instant, dialog: DialogId, sdp: &str) -> Result<ClientRequestId, Refused> {
        self.endpoint.reinvite(now, dialog, Content::sdp(sdp.as_bytes()), self.out)
    }

    fn withdraw_reinvite(&mut self, request: ClientRequestId) {
        self.endpoint.withdraw_reinvite(request);
    }

    fn pass_glare_on(&mut self, dialog: DialogId) {
        self.endpoint.pass_glare_on(dialog);
    }

    fn info(&mut self, now: Instant, dialog: DialogId, kind: &str, body: &[u8]) -> Result<ClientRequestId, Refused> {
        self.endpoint.info(now, dialog, Content { headers: &[], content_type: kind, body }, self.out)
    }
}

/// A session description, unless it is empty.
fn described(sdp: &str) -> Content<'_> {
    if sdp.is_empty() { Content::NONE } else { Content::sdp(sdp.as_bytes()) }
}
