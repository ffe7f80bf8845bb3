//! Requests of peers that are no calls: MESSAGE, INFO with a body of the program's own, other methods.

use super::request::checked_body;
use super::{Headers, SipMessage};
use crate::api::{SessionCoordinator, SessionError, SessionId};
use async_trait::async_trait;
use sip_core::{Content, RequestId};
use std::sync::Arc;

/// A request of a peer.
#[derive(Clone, Debug)]
pub struct IncomingRequest {
    /// The session in whose dialog it came, if in one.
    pub session: Option<SessionId>,
    /// Such as `MESSAGE`.
    pub method: String,
    /// The whole request.
    pub message: SipMessage,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub(crate) status: u16,
    headers: Headers,
    content_type: String,
    body: Vec<u8>,
}

impl Answer {
    /// A status, 200 to 699, with its usual words.
    pub fn status(status: u16) -> Self {
        let status = if (200..700).contains(&status) { status } else { 500 };
        Self { status, headers: Headers::new(), content_type: String::new(), body: Vec::new() }
    }

    /// With these header fields.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// With a body of a type such as `text/plain`.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Self, SessionError> {
        (self.content_type, self.body) = checked_body(content_type, body.into())?;
        Ok(self)
    }
}

/// Answers requests of peers that are no calls. One that panics or hangs costs its own request a 500.
///
/// ```
/// use ringplane::api::advanced::*;
/// use ringplane::api::*;
///
/// struct Inbox;
///
/// #[async_trait]
/// impl RequestHandler for Inbox {
///     async fn on_request(&self, request: IncomingRequest) -> Answer {
///         println!("{}", String::from_utf8_lossy(request.message.body()));
///         Answer::status(200)
///     }
/// }
///
/// let builder = SessionManagerBuilder::new().with_request_handler(["MESSAGE"], std::sync::Arc::new(Inbox));
/// ```
#[async_trait]
pub trait RequestHandler: Send + Sync {
    /// A request has come.
    async fn on_request(&self, request: IncomingRequest) -> Answer;
}

/// Which methods a program answers itself.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) methods: Vec<String>,
    pub(crate) handler: Arc<dyn RequestHandler>,
}

impl Serving {
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        const OURS: [&str; 11] = [
            "INVITE",
            "ACK",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "PRACK",
            "UPDATE",
            "REFER",
            "NOTIFY",
            "REGISTER",
            "SUBSCRIBE",
        ];
        let is_method = |method: &String| sip_wire::Method::parse(method.as_bytes()).is_some();
        match self.methods.iter().find(|method| !is_method(method) || OURS.contains(&method.as_str())) {
            None => Ok(()),
            Some(bad) => {
                let words =
                    format!("`{}` cannot be left to a program; MESSAGE, INFO and others can", bad.escape_debug());
                Err(SessionError::config(words))
            }
        }
    }
}

/// A request on its way to the program.
pub(crate) struct Served {
    pub(crate) shard: usize,
    pub(crate) request: RequestId,
    pub(crate) incoming: IncomingRequest,
}

impl Served {
    /// Asks the program, and answers.
    pub(crate) async fn serve(self, coordinator: Arc<SessionCoordinator>, handler: Arc<dyn RequestHandler>) {
        let (limit, incoming) = (coordinator.config.handler_timeout, self.incoming);
        let answered =
            crate::handlers::call_task::limited(limit, async move { handler.on_request(incoming).await }).await;
        let answer = answered.unwrap_or_else(|| Answer::status(500));
        let request = self.request;
        let sent = coordinator.order(self.shard, move |order| {
            let headers: Vec<_> = answer.headers.iter().collect();
            let content = Content { headers: &headers, content_type: &answer.content_type, body: &answer.body };
            order.sessions.respond(order.turn, request, answer.status, content)
        });
        if let Ok(Err(error)) = sent.await {
            tracing::debug!("an answer to a request came too late: {error}");
        }
    }
}
