//! Requests of programs that wait for their answers.

use super::{Response, SipMessage};
use sip_core::ClientRequestId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// By shard and number. A request ends with an answer or 408; those of dialogs that ended first go when no task waits
/// for them any more.
#[derive(Default)]
pub(crate) struct Pending(Mutex<HashMap<(usize, u64), oneshot::Sender<Response>>>);

impl Pending {
    pub(super) fn expect(&self, shard: usize, request: ClientRequestId) -> oneshot::Receiver<Response> {
        let (told, answer) = oneshot::channel();
        let mut rows = self.rows();
        if rows.len() == rows.capacity() {
            rows.retain(|_, waiting| !waiting.is_closed());
            rows.shrink_to_fit();
        }
        rows.insert((shard, request.as_u64()), told);
        answer
    }

    /// An answer came, provisional ones included, which are not waited for.
    pub(crate) fn settle(&self, shard: usize, request: ClientRequestId, status: u16, message: Option<&[u8]>) {
        if status < 200 {
            return;
        }
        if let Some(waiting) = self.rows().remove(&(shard, request.as_u64())) {
            // The task may have stopped waiting.
            let _ = waiting.send(Response { status, message: message.map(SipMessage::new) });
        }
    }

    /// Signaling has stopped: no answer will come.
    pub(crate) fn clear(&self) {
        self.rows().clear();
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<(usize, u64), oneshot::Sender<Response>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_the_waiting_task_and_abandoned_requests_are_dropped() {
        let pending = Pending::default();
        let number = ClientRequestId::from_u64;
        let mut first = pending.expect(0, number(1));
        let mut other_shard = pending.expect(1, number(1));
        pending.settle(0, number(1), 100, None);
        assert!(first.try_recv().is_err(), "provisional");
        pending.settle(0, number(1), 486, None);
        assert_eq!(first.try_recv().unwrap().status, 486);
        assert!(other_shard.try_recv().is_err());
        for count in 2..10_000 {
            drop(pending.expect(0, number(count)));
        }
        assert!(pending.rows().len() < 64, "{}", pending.rows().len());
        pending.clear();
        assert!(other_shard.try_recv().is_err() && pending.rows().is_empty());
    }
}
