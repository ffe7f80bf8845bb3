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
        XrSent: "rtcp_xr_sent_packets", Packets, "RTCP packets sent with an extended report (RFC 3611).";
        XrReceived: "rtcp_xr_received_packets", Packets, "Extended reports in RTCP packets taken.";
        XrDoubtful: "rtcp_xr_doubtful_packets", Packets, "Extended reports of which a part was left out: blocks that do not end in the packet, values that there are not, too many blocks.";
        DroppedMalformed: "dropped_malformed_packets", Packets, "Packets that are neither sound RTP nor sound RTCP.";
        DroppedStranger: "dropped_stranger_packets", Packets, "Packets from an address that is not the peer's.";
        RtpHeld: "rtp_held_packets", Packets, "RTP packets kept for a moment, until their source had shown that it is the peer, then passed on.";
        HeldBackUnproven: "held_back_unproven_packets", Packets, "RTP packets not sent because the peer had not shown yet that it is at its address.";
        Keepalives: "keepalive_packets", Packets, "Packets of peers that are no RTP: empty, or STUN (RFC 6263).";
        PeersMoved: "peers_moved", Events, "Times that a leg went over to another address of its peer: a NAT, or back to that of the session description.";
        DroppedPayloadType: "dropped_payload_type_packets", Packets, "RTP packets of a payload type that was not agreed on.";
        DroppedNoTranscoder: "dropped_no_transcoder_packets", Packets, "RTP packets of a codec that the other side does not have, while no transcoder was free for it (`transcoders` of media) or its stream changed its codec too often.";
        DroppedDirection: "dropped_direction_packets", Packets, "RTP packets against the agreed direction (hold).";
        DroppedNoLeg: "dropped_no_leg_packets", Packets, "Packets for a port without a leg.";
        DroppedNoRoom: "dropped_no_room_packets", Packets, "RTP packets not relayed because the turn had no room for another send.";
        DroppedLate: "dropped_late_packets", Packets, "RTP packets not relayed because they had waited for too long: this worker was behind.";
        HeldBack: "held_back_packets", Packets, "Relayed RTP packets that gave way to a digit that the switch sends, to muting, or to later packets of a new source.";
        RoomsOpen: "rooms_open", Level, "Conferences that have members now.";
        RoomMembers: "room_members", Level, "Legs that are members of a conference now.";
        TranscodersWorking: "transcoders_working", Level, "Legs now whose sound is decoded and encoded anew.";
        TranscodedPackets: "transcoded_packets", Packets, "RTP packets taken to be decoded and encoded anew in another codec.";
        VoiceProcessing: "voice_processing_legs", Level, "Legs now whose peer's sound is processed: echo, noise, gain, voice activity.";
        VoicePackets: "voice_processed_packets", Packets, "RTP packets whose sound was processed before anything else heard it.";
        VoiceUnprocessed: "voice_unprocessed_packets", Packets, "RTP packets of legs with voice processing that went on as they were: late, twice, of a codec without sound here, or of one that changes too often.";
        VoiceRefused: "voice_processing_refused", Events, "Times that a leg got no voice processing, because `voice_processors` of media were at work.";
        DigitsTooFast: "digits_too_fast", Events, "Digits of peers that came faster than keys can be pressed, and were not told.";
        StreamsExcellent: "streams_excellent", Level, "Streams now, two for each leg, whose last score (MOS-CQ) is 4.3 or better: users are very satisfied.";
        StreamsGood: "streams_good", Level, "Streams now with 4.0 to 4.3: users are satisfied.";
        StreamsFair: "streams_fair", Level, "Streams now with 3.6 to 4.0: some users are dissatisfied.";
        StreamsPoor: "streams_poor", Level, "Streams now with 3.1 to 3.6: many users are dissatisfied.";
        StreamsBad: "streams_bad", Level, "Streams now below 3.1: nearly all users are dissatisfied.";
        StreamsDegraded: "streams_degraded", Level, "Streams now that are degraded: they fell below `mos_degraded` of media and have not recovered.";
        QualityDegraded: "quality_degraded", Events, "Times that a stream became degraded.";
        QualityRecovered: "quality_recovered", Events, "Times that a degraded stream had recovered.";
        SendsFailed: "sends_failed_packets", Packets, "Packets that the kernel did not take.";
        FramesSkipped: "frames_skipped", Events, "Frames of generated sound that were not made because the worker was late.";
        Turns: "turns", Events, "How often this worker's thread went round: received, worked, sent. It also counts while there is nothing to do.";
        RingEnters: "ring_enters", Events, "Calls of io_uring_enter: each sends a batch and waits for the next.";
        RingCompletions: "ring_completions", Events, "Completions that the kernel gave us.";
        RingRearms: "ring_rearms", Events, "Receives that the kernel ended and that were started again.";
        RingNoBuffer: "ring_no_buffer", Events, "Receives that ended because all packet buffers were in use; nothing is lost by that.";
        ReceiveErrors: "receive_errors", Events, "Receives that ended with an error, mostly because a peer's port is closed (ICMP).";
        DroppedTooLong: "dropped_too_long_packets", Packets, "Packets longer than a buffer of 2 KB.";
        DroppedStale: "dropped_stale_packets", Packets, "Packets that arrived for a port while its leg was being closed.";
        SocketErrors: "socket_errors", Events, "Socket calls (connect, options) that the kernel refused.";
        WorkerRestarts: "worker_restarts", Events, "Times that this worker failed and was rebuilt.";
        LegsRebuilt: "legs_rebuilt", Events, "Legs that went on after their worker had failed.";
        RecordingsRunning: "recordings_running", Level, "Recordings that run now, or are being finished.";
        RecordingsStarted: "recordings_started", Events, "Recordings that were begun.";
        RecordingsFailed: "recordings_failed", Events, "Recordings that could not begin or that ended before they were to, mostly because of a full disk.";
        RecordedPackets: "recorded_packets", Packets, "RTP packets that were written into recordings.";
        RecordingBytes: "recording_bytes", Bytes, "Bytes of the recordings that have ended.";
        RecordingLost: "recording_lost_packets", Packets, "RTP packets that never came; recordings have silence in their place.";
        RecordingOverflow: "recording_overflow_packets", Packets, "RTP packets that recordings have no room for, because the disk is slow; silence in their place.";
        StreamsStarted: "streams_started", Events, "Streams of audio between legs and programs that were begun.";
        StreamedPackets: "streamed_packets", Packets, "RTP packets that were handed over for programs which listen to their legs.";
        StreamOverflow: "stream_overflow_packets", Packets, "RTP packets that streams have no room for, because too many are decoded; programs hear them as lost.";
        EventsDeferred: "events_deferred", Level, "Events that wait now because a control client does not take them.";
    }
}
