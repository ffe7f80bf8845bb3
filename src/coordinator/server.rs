//! A server or a client as one object with the operations of calls, over the same coordinator.

use crate::api::{
    CallDecision, CallHandler, CallSession, EventFilter, IncomingCall, Receiver, SessionConfig, SessionControl,
    SessionCoordinator, SessionError, SessionEvent, SessionId, SessionManagerBuilder,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Leaves every call to the program.
struct Defers;

#[async_trait]
impl CallHandler for Defers {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Defer
    }
}

/// Starts a switch that takes calls. Until [`SipServer::set_call_handler`] says who decides, every call rings until
/// [`SipServer::accept_call`] or [`SipServer::reject_call`] does.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example() -> Result<(), SessionError> {
/// let server = create_sip_server(SessionConfig::server("127.0.0.1:5060")?).await?;
/// let mut calls = server.subscribe(EventFilter::all().class(EventClass::Incoming));
/// while let Some(event) = calls.recv().await {
///     server.accept_call(&event.session_id).await?;
/// }
/// # Ok(())
/// # }
/// ```
pub async fn create_sip_server(config: SessionConfig) -> Result<SipServer, SessionError> {
    start(config).await.map(SipServer)
}

/// Starts a switch that makes calls. It can take calls as well.
///
/// ```no_run
/// # use ringplane::api::*;
/// # async fn example() -> Result<(), SessionError> {
/// let client = create_sip_client(SessionConfig::client("127.0.0.1:0")?).await?;
/// let call = client.make_call("sip:alice@example.com", "sip:bob@127.0.0.1:5060").await?;
/// client.wait_for_answer(call.id(), std::time::Duration::from_secs(30)).await?;
/// client.hold_call(call.id()).await?;
/// client.end_call(call.id()).await?;
/// # Ok(())
/// # }
/// ```
pub async fn create_sip_client(config: SessionConfig) -> Result<SipClient, SessionError> {
    start(config).await.map(SipClient)
}

async fn start(config: SessionConfig) -> Result<Arc<SessionCoordinator>, SessionError> {
    let builder = SessionManagerBuilder::from_config(config).with_handler(Arc::new(Defers));
    let coordinator = builder.build().await?;
    SessionControl::start(&coordinator).await?;
    Ok(coordinator)
}

/// A running switch, seen by a program that takes calls. [`create_sip_server`] makes one; dropping the last clone of its
/// coordinator ends all calls properly.
#[derive(Debug)]
pub struct SipServer(Arc<SessionCoordinator>);

/// A running switch, seen by a program that makes calls. [`create_sip_client`] makes one; dropping the last clone of its
/// coordinator ends all calls properly.
#[derive(Debug)]
pub struct SipClient(Arc<SessionCoordinator>);

macro_rules! operations {
    ($name:ident) => {
        impl $name {
            /// Answers a call that rings, and returns when it is up.
            pub async fn accept_call(&self, id: &SessionId) -> Result<CallSession, SessionError> {
                let call = self.0.live_call(*id)?;
                call.accept().await?;
                Ok(CallSession::clone(&call))
            }

            /// Refuses a call that rings with a SIP status, 300 to 699.
            pub async fn reject_call(&self, id: &SessionId, status: u16) -> Result<(), SessionError> {
                self.0.live_call(*id)?.reject(status, "").await
            }

            /// Pauses its media, and returns when the peer has agreed.
            pub async fn hold_call(&self, id: &SessionId) -> Result<(), SessionError> {
                SessionControl::hold_session(&self.0, id).await
            }

            /// Lets its media flow again, and returns when the peer has agreed.
            pub async fn resume_call(&self, id: &SessionId) -> Result<(), SessionError> {
                SessionControl::resume_session(&self.0, id).await
            }

            /// Ends a call in whichever state it is.
            pub async fn end_call(&self, id: &SessionId) -> Result<(), SessionError> {
                SessionControl::terminate_session(&self.0, id).await
            }

            /// Places a call and returns at once; [`Self::wait_for_answer`] tells whether it is answered.
            pub async fn make_call(&self, from: &str, to: &str) -> Result<CallSession, SessionError> {
                SessionControl::create_outgoing_call(&self.0, from, to, None).await
            }

            /// Waits until a call of ours is answered, refused, or the time is over.
            pub async fn wait_for_answer(&self, id: &SessionId, limit: Duration) -> Result<CallSession, SessionError> {
                SessionControl::wait_for_answer(&self.0, id, limit).await
            }

            /// The calls that are there now.
            pub async fn get_active_sessions(&self) -> Result<Vec<CallSession>, SessionError> {
                Ok(self.0.registry.all().iter().map(|entry| self.0.session_of(entry)).collect())
            }

            /// Sets the handler that decides about calls from now on.
            pub fn set_call_handler(&self, handler: Arc<dyn CallHandler>) {
                self.0.set_handler(handler);
            }

            /// Events that the filter lets through, from now on.
            pub fn subscribe(&self, filter: EventFilter) -> Receiver<SessionEvent> {
                self.0.subscribe(filter)
            }

            /// Where it listens by UDP; `None` after [`Self::shutdown`].
            pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
                self.0.local_addr()
            }

            /// What every other operation works on.
            pub fn coordinator(&self) -> &Arc<SessionCoordinator> {
                &self.0
            }

            /// Ends every call with BYE, then everything; an error if that takes longer than `grace`.
            pub async fn shutdown(&self, grace: Duration) -> Result<(), SessionError> {
                SessionCoordinator::stop(&self.0, grace).await
            }
        }
    };
}

operations!(SipServer);
operations!(SipClient);
