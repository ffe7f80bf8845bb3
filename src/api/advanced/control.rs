use super::{Headers, Request, Response, SipMessage};
use crate::api::{CallSession, DialogId, IncomingCall, Priority, SessionCoordinator, SessionError, SessionId};
use async_trait::async_trait;
use session::{Plan, PlannedSource};
use signald::OrderTurn;
use sip_core::NewRequest;
use std::sync::Arc;
use std::time::Duration;

/// A request that gets no answer ends after 64*T1, 32 s; with credentials it may go out more than once.
const ANSWER_LIMIT: Duration = Duration::from_secs(70);
/// Most places that a redirection names.
const CONTACTS_MAX: usize = 16;

/// A call with more than caller and called.
///
/// ```
/// # use ringplane::api::advanced::*;
/// # use ringplane::api::SessionError;
/// let call = OutgoingCall::new("\"Alice\" <sip:alice@example.com>", "sip:bob@192.0.2.7")
///     .headers(Headers::new().with("X-Account", "4711")?)
///     .answer_timeout(std::time::Duration::from_secs(20));
/// # Ok::<(), SessionError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutgoingCall {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) sdp: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) priority: Priority,
}

impl OutgoingCall {
    /// From one address to another.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            sdp: None,
            headers: Headers::new(),
            answer_timeout: None,
            priority: Priority::Normal,
        }
    }

    /// With a session description of the program's own.
    #[must_use]
    pub fn sdp(mut self, sdp: impl Into<String>) -> Self {
        self.sdp = Some(sdp.into());
        self
    }

    /// With these header fields in its INVITE.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// The priority of the call; normal, unless this says otherwise.
    #[must_use]
    pub fn priority(mut self, level: Priority) -> Self {
        self.priority = level;
        self
    }

    /// How long it may ring: 60 s, unless this says otherwise. Then it is cancelled, and `wait_for_answer` says 408.
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.answer_timeout = Some(limit);
        self
    }
}

/// Operations in SIP's own words.
#[async_trait]
pub trait AdvancedControl {
    /// Places a call; its session is known when this returns.
    async fn place_call(&self, call: OutgoingCall) -> Result<CallSession, SessionError>;
    /// Answers a call that rings, with header fields in the 200, and returns when it is up.
    async fn accept_with(
        &self,
        call: &IncomingCall,
        sdp: Option<String>,
        headers: Headers,
    ) -> Result<CallSession, SessionError>;
    /// Refuses a call that rings, with a status of 300 to 699, a reason phrase (empty: the usual one) and header fields.
    async fn reject_with(
        &self,
        call: &IncomingCall,
        status: u16,
        reason: &str,
        headers: Headers,
    ) -> Result<(), SessionError>;
    /// Sends the caller of a call that rings elsewhere: 300 (several choices), 301 (for good), 302 (for now) or 305 (by a
    /// proxy), with SIP addresses, the most wanted first.
    async fn redirect(&self, call: &IncomingCall, status: u16, contacts: &[&str]) -> Result<(), SessionError>;
    /// Sends a request in the dialog of an answered call, and waits for the answer. An UPDATE must have no body: media has
    /// operations of its own.
    async fn send_in_dialog(&self, id: &SessionId, request: Request) -> Result<Response, SessionError>;
    /// Sends a request outside of dialogs, and waits for the answer.
    async fn send(&self, from: &str, to: &str, request: Request) -> Result<Response, SessionError>;
    /// What identifies the dialog of a call; `None` until it is answered.
    fn dialog_id(&self, id: &SessionId) -> Result<Option<DialogId>, SessionError>;
    /// What the peer said last about the call as a whole: the INVITE of one that came in, the final answer to one of
    /// ours. `None` unless messages are kept ([`crate::api::SessionManagerBuilder::with_kept_messages`]), or before it
    /// came. Calls of ours that are over are remembered for a while.
    fn message(&self, id: &SessionId) -> Result<Option<SipMessage>, SessionError>;
}

#[async_trait]
impl AdvancedControl for Arc<SessionCoordinator> {
    async fn place_call(&self, call: OutgoingCall) -> Result<CallSession, SessionError> {
        self.dial(call).await
    }

    async fn accept_with(
        &self,
        call: &IncomingCall,
        sdp: Option<String>,
        headers: Headers,
    ) -> Result<CallSession, SessionError> {
        let entry = self.entry(call.id)?;
        let accept = move |order: OrderTurn<'_, '_>, id| {
            let headers: Vec<_> = headers.iter().collect();
            let plan = Plan::of(PlannedSource::Silence);
            order.sessions.accept_saying(order.turn, id, plan, sdp.as_deref(), &headers)
        };
        self.operate(call.id, accept).await?;
        self.comes_up(&entry).await
    }

    async fn reject_with(
        &self,
        call: &IncomingCall,
        status: u16,
        reason: &str,
        headers: Headers,
    ) -> Result<(), SessionError> {
        let reason = reason.to_owned();
        let reject = move |order: OrderTurn<'_, '_>, id| {
            let headers: Vec<_> = headers.iter().collect();
            order.sessions.reject_with(order.turn, id, status, &reason, &headers)
        };
        self.operate(call.id, reject).await
    }

    async fn redirect(&self, call: &IncomingCall, status: u16, contacts: &[&str]) -> Result<(), SessionError> {
        if !matches!(status, 300 | 301 | 302 | 305) || contacts.is_empty() || contacts.len() > CONTACTS_MAX {
            return Err(SessionError::config("a redirection is a 300, 301, 302 or 305 with 1 to 16 addresses"));
        }
        let contacts: Vec<String> = contacts.iter().map(|uri| checked_contact(uri)).collect::<Result<_, _>>()?;
        let reject = move |order: OrderTurn<'_, '_>, id| {
            let headers: Vec<_> = contacts.iter().map(|contact| ("Contact", &**contact)).collect();
            order.sessions.reject_with(order.turn, id, status, "", &headers)
        };
        self.operate(call.id, reject).await
    }

    async fn send_in_dialog(&self, id: &SessionId, request: Request) -> Result<Response, SessionError> {
        let (this, shard) = (self.this.clone(), id.shard());
        let send = move |order: OrderTurn<'_, '_>, id| {
            let sent = request.lend(|content| order.sessions.request_in(order.turn, id, request.method, content))?;
            Ok(this.upgrade().map(|this| this.pending.expect(shard, sent)))
        };
        let answer = self.operate(*id, send).await?;
        self.answer(answer).await
    }

    async fn send(&self, from: &str, to: &str, request: Request) -> Result<Response, SessionError> {
        self.start(None).await?;
        let target = self.targets(to).await?.remove(0);
        let (from, to) = (self.checked_address(from, &target)?, session::bracketed(to));
        let (this, shard) = (self.this.clone(), self.next_shard());
        let sent = self.order(shard, move |order| {
            let sent = request.lend(|content| {
                let new = NewRequest { content, ..NewRequest::new(target.flow, &target.uri, &from, &to) };
                order.sessions.request(order.turn, request.method, &new)
            })?;
            Ok(this.upgrade().map(|this| this.pending.expect(shard, sent)))
        });
        let answer = sent.await?.map_err(SessionError::of_nothing)?;
        self.answer(answer).await
    }

    fn dialog_id(&self, id: &SessionId) -> Result<Option<DialogId>, SessionError> {
        let entry = self.registry.known(*id).ok_or_else(|| SessionError::not_found(*id))?;
        let dialog = entry.facts().dialog.clone();
        Ok(dialog)
    }

    fn message(&self, id: &SessionId) -> Result<Option<SipMessage>, SessionError> {
        let entry = self.registry.known(*id).ok_or_else(|| SessionError::not_found(*id))?;
        let message = entry.facts().message.clone();
        Ok(message)
    }
}

impl SessionCoordinator {
    async fn answer(&self, answer: Option<tokio::sync::oneshot::Receiver<Response>>) -> Result<Response, SessionError> {
        let gone = || SessionError::transport("signaling has stopped");
        let answer = answer.ok_or_else(gone)?;
        tokio::time::timeout(ANSWER_LIMIT, answer).await.map_err(|_| gone())?.map_err(|_| gone())
    }
}

/// An address as a Contact has it: one, without anything behind it.
fn checked_contact(uri: &str) -> Result<String, SessionError> {
    let wrong = |reason: String| SessionError::invalid_uri(uri, reason);
    let is_plain = !uri.contains(|sign: char| sign.is_control() || sign.is_whitespace() || "<>\",".contains(sign));
    if !is_plain {
        return Err(wrong("an address alone is wanted, without name, brackets and spaces".into()));
    }
    let parsed = sip_wire::Uri::parse(uri.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    if !parsed.scheme.is_sip() || parsed.host.is_none() {
        return Err(wrong("only sip: and sips: with a host can be called".into()));
    }
    Ok(format!("<{uri}>"))
}
