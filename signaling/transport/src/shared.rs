//! What every connection of one [`Streams`](crate::Streams) shares, and the end of each.

use crate::carrier::Writing;
use crate::config::{Limits, Origins};
use crate::connection::{Connection, Room};
use crate::counters::{Counters, StreamCounter};
use crate::error::{CloseReason, SendError};
use crate::inbound::{Inbound, Receiver};
use crate::outbox::{Kind, State};
use crate::registry::Registry;
use crate::tls::Tls;
use sip_core::{Flow, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::Notify;

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) registry: Registry,
    pub(crate) tls: Option<Tls>,
    pub(crate) origins: Origins,
    pub(crate) listening: Vec<(Transport, SocketAddr)>,
    pub(crate) receiver: Box<dyn Receiver>,
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) unfinished_bytes: AtomicUsize,
    /// A connection has ended.
    pub(crate) ended: Notify,
}

impl Shared {
    pub(crate) fn push(&self, connection: &Connection, kind: Kind, bytes: &[u8]) -> Result<(), SendError> {
        let room = Room {
            queue_max_bytes: self.limits.queue_max_bytes,
            total_max_bytes: self.limits.queues_total_max_bytes,
            total_bytes: &self.queued_bytes,
        };
        connection.push(kind, bytes, &room)
    }
}

/// Ends a connection exactly once, however its task goes: removes it, reports what was not written, then says `Closed`.
pub(crate) struct Life {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Arc<Connection>,
    /// What is being written.
    pub(crate) writing: Writing,
    /// Bytes of [`Writing`] that are certainly written.
    pub(crate) written_bytes: usize,
    /// The user knows this connection: it was opened, or the user asked for it.
    pub(crate) is_announced: bool,
    pub(crate) reason: CloseReason,
}

impl Life {
    pub(crate) fn new(shared: Arc<Shared>, connection: Arc<Connection>, is_announced: bool) -> Self {
        shared.counters.one(StreamCounter::ConnectionsOpen);
        // If nothing else is known it was our runtime that stopped.
        let reason = CloseReason::Asked;
        Self { shared, connection, writing: Writing::default(), written_bytes: 0, is_announced, reason }
    }

    pub(crate) fn flow(&self) -> Flow {
        self.connection.flow
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let waiting = {
            let mut outbox = self.connection.outbox();
            outbox.state = State::Closed;
            outbox.waker = None;
            self.shared.queued_bytes.fetch_sub(outbox.queued_bytes(), Relaxed);
            outbox.in_flight_bytes = 0;
            std::mem::take(&mut outbox.waiting)
        };
        self.shared.registry.remove(&self.connection);
        let (flow, reason) = (self.flow(), &self.reason);
        for bytes in self.writing.batch.messages_after(self.written_bytes).chain(waiting.messages_after(0)) {
            self.shared.counters.one(StreamCounter::SendsFailed);
            self.shared.receiver.take(Inbound::SendFailed { flow, bytes, reason });
        }
        if self.is_announced {
            self.shared.receiver.take(Inbound::Closed { flow, reason });
        }
        count(&self.shared.counters, reason);
        self.shared.counters.down(StreamCounter::ConnectionsOpen);
        self.shared.ended.notify_waiters();
    }
}

fn count(counters: &Counters, reason: &CloseReason) {
    use StreamCounter::*;
    counters.one(match reason {
        CloseReason::ConnectFailed(_) | CloseReason::ConnectTimedOut(_) => ConnectFailed,
        CloseReason::HandshakeFailed(_) => HandshakeFailed,
        CloseReason::HandshakeTimedOut(_) => HandshakeTimedOut,
        CloseReason::CertificateRefused(_) => CertificateRefused,
        CloseReason::Garbage => Garbage,
        CloseReason::WebSocket(_) => WebSocket,
        CloseReason::OriginRefused => OriginRefused,
        CloseReason::Invalid => Invalid,
        CloseReason::FirstMessageLate(_) => FirstMessageLate,
        CloseReason::MessageLate(_) => MessageLate,
        CloseReason::WriteStalled(_) => WriteStalled,
        CloseReason::MemoryExceeded => MemoryExceeded,
        CloseReason::Idle(_) => Idle,
        CloseReason::NoPong(_) => NoPong,
        CloseReason::PeerClosed | CloseReason::Broken(_) | CloseReason::Asked => return,
    });
}
