//! One connection as other threads see it.

use crate::error::SendError;
use crate::inbound::Side;
use crate::outbox::{Kind, Outbox, State};
use sip_core::Flow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// A connection that is open or being opened.
pub(crate) struct Connection {
    pub(crate) flow: Flow,
    pub(crate) side: Side,
    /// The name that the peer's certificate was asked to be for, when we opened it.
    pub(crate) tls_name: Option<Arc<str>>,
    /// The client certificate of a peer who proved to hold it.
    pub(crate) client_certificate: OnceLock<CertificateDer<'static>>,
    outbox: Mutex<Outbox>,
}

/// Bounds of [`Connection::push`].
pub(crate) struct Room<'a> {
    pub(crate) queue_max_bytes: usize,
    pub(crate) total_max_bytes: usize,
    pub(crate) total_bytes: &'a AtomicUsize,
}

impl Connection {
    pub(crate) fn new(flow: Flow, side: Side, tls_name: Option<Arc<str>>) -> Self {
        Self { flow, side, tls_name, client_certificate: OnceLock::new(), outbox: Mutex::default() }
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // Nothing in an outbox is half done when a thread dies inside: take it as it is.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues bytes and wakes the connection's task.
    pub(crate) fn push(&self, kind: Kind, bytes: &[u8], room: &Room<'_>) -> Result<(), SendError> {
        let mut outbox = self.outbox();
        if outbox.state != State::Open {
            return Err(SendError::Gone);
        }
        if outbox.queued_bytes() + bytes.len() > room.queue_max_bytes {
            return Err(SendError::QueueFull);
        }
        if room.total_bytes.fetch_add(bytes.len(), Relaxed) + bytes.len() > room.total_max_bytes {
            room.total_bytes.fetch_sub(bytes.len(), Relaxed);
            return Err(SendError::QueueFull);
        }
        outbox.waiting.push(kind, bytes);
        let waker = outbox.waker.take();
        drop(outbox);
        wake(waker);
        Ok(())
    }

    /// Takes no more messages; what is queued is written, then the connection closes.
    pub(crate) fn ask_to_close(&self) {
        let mut outbox = self.outbox();
        if outbox.state == State::Open {
            outbox.state = State::Closing;
        }
        let waker = outbox.waker.take();
        drop(outbox);
        wake(waker);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
