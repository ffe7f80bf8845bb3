//! What signaling counts.

crate::counters! {
    /// Counters of one signaling shard.
    pub enum SignalCounter {
        CallsActive: "calls_active", Level, "Calls that are up or being set up now.";
        CallsAnswered: "calls_answered", Events, "Calls that were answered.";
        CallsRefused: "calls_refused", Events, "Calls that were refused.";
        MessagesReceived: "sip_received_packets", Packets, "SIP messages that were understood.";
        MessagesSent: "sip_sent_packets", Packets, "SIP messages sent.";
        DroppedMalformed: "sip_dropped_malformed_packets", Packets, "Datagrams that are not SIP and could not be answered.";
    }
}
