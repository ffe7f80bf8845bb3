//! What a media worker counts.

crate::counters! {
    /// Counters of one media worker.
    pub enum MediaCounter {
        LegsOpen: "legs_open", Level, "Legs that run now.";
        LegsOpened: "legs_opened", Events, "Legs that were started.";
        LegsClosed: "legs_closed", Events, "Legs that were closed as asked.";
        LegsTimedOut: "legs_timed_out", Events, "Legs that stopped because nothing came from the peer.";
        CommandsRefused: "commands_refused", Events, "Commands that were not carried out: stale leg, nonsense, no room.";
        RtpReceived: "rtp_received_packets", Packets, "RTP packets taken by legs.";
        RtpReceivedBytes: "rtp_received_bytes", Bytes, "Bytes of the RTP packets taken by legs.";
        RtpSent: "rtp_sent_packets", Packets, "RTP packets sent.";
        RtpSentBytes: "rtp_sent_bytes", Bytes, "Bytes of the RTP packets sent.";
        RtcpReceived: "rtcp_received_packets", Packets, "RTCP packets taken.";
        RtcpSent: "rtcp_sent_packets", Packets, "RTCP packets sent.";
        DroppedMalformed: "dropped_malformed_packets", Packets, "Packets that are neither sound RTP nor sound RTCP.";
        DroppedStranger: "dropped_stranger_packets", Packets, "Packets from an address that is not the peer's.";
        DroppedPayloadType: "dropped_payload_type_packets", Packets, "RTP packets of a payload type that was not agreed on.";
        DroppedDirection: "dropped_direction_packets", Packets, "RTP packets against the agreed direction (hold).";
        DroppedNoLeg: "dropped_no_leg_packets", Packets, "Packets for a port without a leg.";
        SendsFailed: "sends_failed_packets", Packets, "Packets that the kernel did not take.";
        FramesSkipped: "frames_skipped", Events, "Frames of our own that were not made because the worker was late.";
        Turns: "turns", Events, "Rounds of the worker's loop.";
    }
}
