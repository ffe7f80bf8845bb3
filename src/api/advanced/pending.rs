//! Requests of programs that wait for their answers.

use super::{Response, SipMessage};
use sip_core::ClientRequestId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// By shard and number. Every request ends with an answer or 408, so none stays.
#[derive(Default)]
pub(crate) struct Pending(Mutex<HashMap<(usize, u64), oneshot::Sender<Response>>>);

impl Pending {
    pub(super) fn expect(&self, shard: usize, request: ClientRequestId) -> oneshot::Receiver<Response> {
        let (told, answer) = oneshot::channel();
        self.rows().insert((shard, request.as_u64()), told);
        answer
    }

    /// An answer came, provisional ones included, which nobody waits for.
    pub(crate) fn settle(&self, shard: usize, request: ClientRequestId, status: u16, message: Option<&[u8]>) {
        if status < 200 {
            return;
        }
        if let Some(waiting) = self.rows().remove(&(shard, request.as_u64())) {
            // Whoever asked may have stopped waiting.
            let _ = waiting.send(Response { status, message: message.map(SipMessage::new) });
        }
    }

    /// Signaling has stopped: nobody answers any more.
    pub(crate) fn clear(&self) {
        self.rows().clear();
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<(usize, u64), oneshot::Sender<Response>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
