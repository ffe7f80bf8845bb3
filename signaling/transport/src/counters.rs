//! What the stream transports count.

use stats::{CounterSet, Counts};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

stats::counters! {
    /// Counters of the stream transports.
    pub enum StreamCounter {
        ConnectionsOpen: "stream_connections_open", Level, "Connections that are open or being opened now.";
        Accepted: "stream_connections_accepted", Events, "Connections that peers opened.";
        Connected: "stream_connections_connected", Events, "Connections that we opened.";
        ConnectFailed: "stream_connects_failed", Events, "Connections that we could not open: refused, no answer, no route.";
        Reused: "stream_connections_reused", Events, "Sends that found a connection to their target already open.";
        RefusedTotal: "stream_connections_refused_total", Events, "Connections refused because all places were taken.";
        RefusedSource: "stream_connections_refused_source", Events, "Connections refused because their source has too many.";
        AcceptFailed: "stream_accepts_failed", Events, "Times that the kernel could not hand over a connection (no descriptors left).";
        HandshakeFailed: "stream_handshakes_failed", Events, "TLS or WebSocket handshakes that failed.";
        HandshakeTimedOut: "stream_handshakes_timed_out", Events, "TLS or WebSocket handshakes that took too long.";
        CertificateRefused: "stream_certificates_refused", Events, "Peers whose certificate we do not accept, or who do not accept ours.";
        MessagesReceived: "stream_received_packets", Packets, "Messages received.";
        BytesReceived: "stream_received_bytes", Bytes, "Bytes received, after decryption.";
        MessagesSent: "stream_sent_packets", Packets, "Messages written to connections.";
        BytesSent: "stream_sent_bytes", Bytes, "Bytes of the messages written to connections.";
        MessagesRefused: "stream_refused_packets", Packets, "Received messages that the receiving queue had no room for.";
        ReadsPaused: "stream_reads_paused", Events, "Times that a connection was not read for a moment because the receiving queue was almost full.";
        QueueFull: "stream_queue_full_packets", Packets, "Messages not sent because the connection's queue was full.";
        SendsFailed: "stream_sends_failed_packets", Packets, "Messages queued for a connection that went before they were written.";
        Garbage: "stream_closed_garbage", Events, "Connections closed because they carried something else than SIP.";
        WebSocket: "stream_closed_websocket", Events, "Connections closed because a rule of WebSocket was broken: masks, reserved bits, text that is no UTF-8, a message that is too large.";
        OriginRefused: "stream_origins_refused", Events, "WebSocket handshakes refused with 403 because their Origin is not among ws_origins.";
        Invalid: "stream_closed_invalid", Events, "Connections closed because a message had no usable Content-Length or was too large.";
        FirstMessageLate: "stream_closed_first_message", Events, "Connections closed because no first message came in time.";
        MessageLate: "stream_closed_slow_message", Events, "Connections closed because a message took too long to arrive.";
        WriteStalled: "stream_closed_stalled", Events, "Connections closed because the peer read nothing for too long.";
        MemoryExceeded: "stream_closed_memory", Events, "Connections closed because unfinished messages took too much memory.";
        Idle: "stream_closed_idle", Events, "Connections closed because nothing happened on them.";
        NoPong: "stream_closed_no_pong", Events, "Connections closed because keep-alives were no longer answered.";
        PingsReceived: "stream_pings_received", Events, "Keep-alives received.";
        PingsSent: "stream_pings_sent", Events, "Keep-alives sent.";
        TlsReloads: "stream_tls_reloads", Events, "Times that certificates were read anew.";
        TlsReloadsFailed: "stream_tls_reloads_failed", Events, "Times that new certificates were not taken, and the old ones kept.";
    }
}

/// The numbers of [`StreamCounter`], written by every thread of the runtime.
pub(crate) struct Counters([AtomicU64; StreamCounter::ALL.len()]);

impl Counters {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    pub(crate) fn add(&self, counter: StreamCounter, more: u64) {
        self.0[counter.index()].fetch_add(more, Relaxed);
    }

    pub(crate) fn one(&self, counter: StreamCounter) {
        self.add(counter, 1);
    }

    pub(crate) fn down(&self, level: StreamCounter) {
        self.0[level.index()].fetch_sub(1, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Counts<StreamCounter> {
        let mut counts = Counts::default();
        for counter in StreamCounter::ALL {
            counts.set(*counter, self.0[counter.index()].load(Relaxed));
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stats::Unit;
    use std::collections::HashSet;

    #[test]
    fn every_counter_has_its_own_name_its_unit_and_a_sentence() {
        let mut names = HashSet::new();
        for counter in StreamCounter::ALL {
            assert!(names.insert(counter.name()), "{} twice", counter.name());
            assert!(counter.meaning().ends_with('.'), "{} has no sentence", counter.name());
            assert_eq!(counter.name().ends_with("_packets"), counter.unit() == Unit::Packets, "{}", counter.name());
            assert_eq!(counter.name().ends_with("_bytes"), counter.unit() == Unit::Bytes, "{}", counter.name());
        }
    }
}
