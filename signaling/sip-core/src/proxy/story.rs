//! What became of a request, for those who write it down.

use crate::flow::Flow;
use crate::proxy::context::Context;
use crate::proxy::{Proxy, ProxyId, Standing};
use crate::table::slab::Handle;
use crate::transactions::Server;
use crate::transactions::proven::{is_success, status_of};
use clock::Instant;
use std::net::SocketAddr;

/// Where the final answer to a request came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnsweredBy {
    /// A target.
    Target,
    /// The proxy or its user, before anything was sent on.
    Proxy,
    /// The proxy, because the caller gave up.
    Caller,
    /// The proxy, because no target answered in time.
    TimeOut,
    /// The proxy, because no target could be reached.
    Network,
}

/// What is known of a request.
#[derive(Clone, Debug)]
pub struct ProxyStory<'p> {
    /// The request, as it came but for Route values of ours; empty once another request than an INVITE is answered.
    pub request: &'p [u8],
    /// The last answer that went upstream; empty before the first.
    pub response: &'p [u8],
    /// Where the request came from.
    pub remote: SocketAddr,
    /// When it came.
    pub began_at: Instant,
    /// It is an INVITE.
    pub is_invite: bool,
    /// It does not belong to a dialog that was there before it.
    pub is_new: bool,
    /// The last answer that went upstream says that it rings, or what goes on there (180 to 189).
    pub is_ringing: bool,
    /// Who gave the final answer, once there is one.
    pub answered_by: AnsweredBy,
    /// Where it was sent to, as far as that is remembered: Request-URI and next hop.
    pub tried: Vec<(&'p [u8], Flow)>,
}

impl Proxy {
    /// Calls that are being set up: INVITEs outside dialogs without a final answer.
    pub fn open_calls(&self) -> impl Iterator<Item = (ProxyId, ProxyStory<'_>)> {
        self.calls(|call| !call.outcome.is_answered)
    }

    /// Calls that were answered a moment ago, for as long as copies of the answer may come. What became of them since is
    /// not known here.
    pub fn answered_calls(&self) -> impl Iterator<Item = (ProxyId, ProxyStory<'_>)> {
        self.calls(|call| is_success(&call.response))
    }

    fn calls(&self, is_meant: fn(&Server<Context>) -> bool) -> impl Iterator<Item = (ProxyId, ProxyStory<'_>)> {
        let servers = &self.transactions.servers;
        let is_one = move |handle: &Handle| servers.get(*handle).is_some_and(|one| one.is_call() && is_meant(one));
        servers.handles().filter(is_one).filter_map(|handle| {
            let request = ProxyId(handle);
            Some((request, self.story(request)?))
        })
    }

    /// The story of a request, for as long as copies of it may come.
    pub fn story(&self, request: ProxyId) -> Option<ProxyStory<'_>> {
        let context = self.transactions.servers.get(request.0)?;
        let answered_by = match &context.outcome.best {
            _ if context.targets.count == 0 => AnsweredBy::Proxy,
            _ if context.outcome.called_off.is_some_and(|called_off| {
                status_of(&context.response) == called_off.status && !context.outcome.is_cancelled
            }) =>
            {
                AnsweredBy::Proxy
            }
            Some(best) if !best.bytes.is_empty() => AnsweredBy::Target,
            Some(best) if best.status == 503 => AnsweredBy::Network,
            None if context.outcome.is_cancelled => AnsweredBy::Caller,
            _ => AnsweredBy::TimeOut,
        };
        let branches = context.targets.branches.iter().filter_map(|handle| self.transactions.clients.get(*handle));
        let uri = |bytes| <[u8]>::split(bytes, |byte: &u8| *byte == b' ').nth(1).unwrap_or_default();
        let tried = branches.filter(|branch| !branch.is_cancel).map(|branch| (uri(&branch.bytes), branch.flow));
        Some(ProxyStory {
            request: &context.request,
            response: &context.response,
            remote: context.in_flow.remote,
            began_at: context.began_at,
            is_invite: context.is_invite,
            is_new: !matches!(context.standing, Standing::InDialog { .. }),
            is_ringing: context.response.starts_with(b"SIP/2.0 18"),
            answered_by,
            tried: tried.collect(),
        })
    }
}
