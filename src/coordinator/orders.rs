//! Orders: what a program wants of its sessions is done by the shard that owns them, in its turn.

use crate::api::{ErrorContext, Operation, SessionCoordinator, SessionError, SessionId};
use session::Carried;
use signald::OrderTurn;
use std::time::Duration;
use tokio::sync::oneshot;

/// An order that a shard has not begun by then is not carried out any more.
const ORDER_LIMIT: Duration = Duration::from_secs(5);
/// A request that gets no answer ends after 64*T1, 32 s; before that another change may end, which takes as long.
const OPERATION_LIMIT: Duration = Duration::from_secs(70);

impl SessionCoordinator {
    /// Has a shard do something, and waits for what it says.
    pub(crate) async fn order<T: Send + 'static>(
        &self,
        shard: usize,
        work: impl FnOnce(OrderTurn<'_, '_>) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        let not_running = || SessionError::transport("signaling does not run; start it first");
        let orders = self.signaling.orders().ok_or_else(not_running)?;
        let (told, answer) = oneshot::channel();
        let order = move |turn: OrderTurn<'_, '_>| {
            // The caller was told that it took too long: then it must not happen any more.
            if !told.is_closed() {
                let _ = told.send(work(turn));
            }
        };
        orders.send(shard, Box::new(order)).map_err(|full| SessionError::transport(full.to_string()))?;
        match tokio::time::timeout(ORDER_LIMIT, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(not_running()),
            Err(_) => Err(SessionError::Timeout { after: ORDER_LIMIT, context: Box::new(ErrorContext::none()) }),
        }
    }

    /// An operation on one session.
    pub(crate) async fn operate<T: Send + 'static>(
        &self,
        id: SessionId,
        work: impl FnOnce(OrderTurn<'_, '_>, session::SessionId) -> Result<T, session::SessionError> + Send + 'static,
    ) -> Result<T, SessionError> {
        let entry = self.entry(id)?;
        let done = self.order(id.shard(), move |turn| work(turn, id.inner())).await?;
        done.map_err(|error| SessionError::of_session(id, Some(&entry.call_id), error))
    }

    /// An operation that takes its time: waits until it has been carried out or refused. Where another change of the
    /// same call is on its way, the session begins it afterwards.
    pub(crate) async fn complete(
        &self,
        id: SessionId,
        operation: Operation,
        work: impl FnOnce(OrderTurn<'_, '_>, session::SessionId) -> Result<(), session::SessionError> + Send + 'static,
    ) -> Result<(), SessionError> {
        let carry_out = move |turn: OrderTurn<'_, '_>, id| work(turn, id).map(|()| Carried::Later);
        self.complete_unless_done(id, operation, carry_out).await
    }

    /// Like [`Self::complete`], for an operation that may be carried out at once.
    pub(crate) async fn complete_unless_done(
        &self,
        id: SessionId,
        operation: Operation,
        work: impl FnOnce(OrderTurn<'_, '_>, session::SessionId) -> Result<Carried, session::SessionError> + Send + 'static,
    ) -> Result<(), SessionError> {
        let entry = self.entry(id)?;
        let outcome = entry.expect(operation);
        let asked = self.order(id.shard(), move |turn| work(turn, id.inner())).await?;
        match asked.map_err(|error| SessionError::of_session(id, Some(&entry.call_id), error))? {
            Carried::Now => return Ok(()),
            Carried::Later => {}
        }
        match tokio::time::timeout(OPERATION_LIMIT, outcome).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(refusal))) => Err(SessionError::refused(id, refusal).of_call(&entry)),
            // The session has ended meanwhile.
            Ok(Err(_)) => Err(SessionError::not_found(id)),
            Err(_) => Err(SessionError::timeout(id, OPERATION_LIMIT).of_call(&entry)),
        }
    }
}
