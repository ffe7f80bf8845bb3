use crate::api::{CallHandler, SessionConfig, SessionCoordinator, SessionError, SessionManagerBuilder};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A SIP server in three lines.
///
/// ```no_run
/// use ringplane::api::*;
/// use std::sync::Arc;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
/// manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
/// manager.start_server("127.0.0.1:5060".parse()?).await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it ends all calls properly; [`Self::shutdown`] also waits for that.
#[derive(Debug)]
pub struct SessionManager {
    coordinator: Arc<SessionCoordinator>,
}

impl SessionManager {
    /// Not started yet.
    pub async fn new(config: impl Into<SessionConfig>) -> Result<Self, SessionError> {
        Ok(Self { coordinator: SessionManagerBuilder::from_config(config).build().await? })
    }

    /// Sets the handler that decides about calls.
    pub async fn set_call_handler(&self, handler: Arc<dyn CallHandler>) -> Result<(), SessionError> {
        self.coordinator.set_handler(handler);
        Ok(())
    }

    /// Listens on this address; port 0: the system chooses.
    pub async fn start_server(&self, address: SocketAddr) -> Result<(), SessionError> {
        self.coordinator.start(Some(address)).await
    }

    /// Where it listens; `None` before the start.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.coordinator.local_addr()
    }

    /// What `SessionControl` and `MediaControl` work on.
    pub fn coordinator(&self) -> &Arc<SessionCoordinator> {
        &self.coordinator
    }

    /// Ends every call with BYE, then everything; an error if that takes longer than `grace`.
    pub async fn shutdown(&self, grace: Duration) -> Result<(), SessionError> {
        self.coordinator.stop(grace).await
    }
}
