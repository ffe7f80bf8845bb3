//! Two calls that are put together, as an operation of one of them.

use crate::api::{BridgeId, Call, CallSession, SessionError};
use std::future::{Future, IntoFuture};
use std::pin::Pin;

impl Call {
    /// Lets its peer and that of another call hear each other, once this is awaited
    /// ([`crate::api::SessionCoordinator::bridge_sessions`]).
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call, other: Call) -> Result<()> {
    /// let bridge = call.bridge(&other).ends_together().await?;
    /// println!("both talk in {bridge}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn bridge(&self, other: &CallSession) -> Bridging {
        Bridging { call: self.clone(), other: other.clone(), ends_together: false }
    }
}

/// Two calls that are about to be put together; awaiting it does so.
#[derive(Debug)]
#[must_use = "calls are put together when this is awaited"]
pub struct Bridging {
    call: Call,
    other: CallSession,
    ends_together: bool,
}

impl Bridging {
    /// When either call ends, the other one does too ([`crate::api::SessionCoordinator::bridge_sessions_together`]).
    pub fn ends_together(mut self) -> Self {
        self.ends_together = true;
        self
    }
}

impl IntoFuture for Bridging {
    type Output = Result<BridgeId, SessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (coordinator, one, other) = (self.call.coordinator(), self.call.id(), self.other.id());
            match self.ends_together {
                true => coordinator.bridge_sessions_together(one, other).await,
                false => coordinator.bridge_sessions(one, other).await,
            }
        })
    }
}
