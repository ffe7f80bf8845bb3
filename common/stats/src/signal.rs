//! What signaling counts.

crate::counters! {
    /// Counters of one signaling shard.
    pub enum SignalCounter {
        CallsActive: "calls_active", Level, "Calls that are up, being set up or being ended now.";
        CallsAnswered: "calls_answered", Events, "Calls that were answered.";
        CallsPlaced: "calls_placed", Events, "INVITEs that were sent to place a call, further targets included.";
        CallsCompleted: "calls_completed", Events, "Calls that ended by a BYE of either side.";
        CallsCancelled: "calls_cancelled", Events, "Calls that the caller gave up before the answer.";
        CallsRefused: "calls_refused", Events, "Calls that were refused, for any reason.";
        CallsFailed: "calls_failed", Events, "Calls that something ended: silence, no ACK, a lost peer, the media plane.";
        RefusedCallLimit: "refused_call_limit", Events, "Calls refused with 503 because the limit of calls was reached.";
        RefusedUserLimit: "refused_user_limit", Events, "Calls refused with 486 because their user had as many as one may have.";
        RefusedSourceLimit: "refused_source_limit", Events, "Calls, and requests for the proxy, refused with 503 without state because their source had as many in progress as it may.";
        RefusedNoPort: "refused_no_port", Events, "Calls refused with 503 because no media port was free or no media plane there.";
        RefusedDescription: "refused_description", Events, "Calls refused because nothing in their session description fits.";
        RefusedQueueFull: "refused_queue_full", Events, "INVITEs answered 503 without state because their shard was too far behind.";
        RefusedByProtocol: "refused_by_protocol", Events, "Requests answered 4xx-6xx by the rules of SIP alone.";
        RefusedTableFull: "refused_table_full", Events, "Requests answered 503 because a table of transactions or dialogs was full.";
        RefusedStopping: "refused_stopping", Events, "Calls refused with 503 because the switch is being stopped.";
        Changes: "changes", Events, "Re-INVITEs and UPDATEs: hold, resume, new address, refresh.";
        MediaTimeouts: "media_timeouts", Events, "Calls ended because nothing came from the peer.";
        CallsNotRecorded: "calls_not_recorded", Events, "Calls that are not recorded although all are to be, because as many recordings run as there may be.";
        MediaRefusals: "media_refusals", Events, "Media commands that were refused or never answered.";
        MediaEventsStale: "media_events_stale", Events, "Media events about calls that had ended.";
        MediaPlaneLost: "media_plane_lost", Events, "Times that the media plane went away.";
        LegsNeverClosed: "legs_never_closed", Events, "Ports given back without the media plane's word after a limit.";
        DialogsNeverEnded: "dialogs_never_ended", Events, "Calls forgotten without the end of their dialog after a limit; always 0 in a sound switch.";
        MessagesReceived: "sip_received_packets", Packets, "SIP messages that were understood.";
        Retransmissions: "sip_retransmitted_packets", Packets, "Copies of requests that were absorbed or answered from memory.";
        Stray: "sip_stray_packets", Packets, "Responses and ACKs that belong to nothing.";
        AnswersUnusable: "answers_unusable", Events, "Answers to calls of ours that could not be used and were ended with BYE at once.";
        TransactionsOpen: "transactions_open", Level, "Transactions that are remembered now, most of them to absorb retransmissions.";
        MessagesSent: "sip_sent_packets", Packets, "SIP messages sent.";
        DroppedMalformed: "sip_dropped_malformed_packets", Packets, "Datagrams that are not SIP and could not be answered.";
        DroppedQueueFull: "sip_dropped_queue_full_packets", Packets, "Messages dropped because their shard was too far behind.";
        DroppedNotSent: "sip_not_sent_packets", Packets, "SIP messages that the kernel did not take.";
        HeadersNotPassed: "headers_not_passed", Events, "Header lines that were too much, or no text, to go on to the other side of their call.";
        DroppedOverflow: "sip_dropped_overflow_packets", Packets, "Datagrams that the kernel dropped because a socket's buffer was full; told with the next one that it keeps.";
        DroppedUnreadable: "sip_dropped_unreadable_packets", Packets, "Datagrams that came cut short, or without their sender or the address that they were sent to.";
        DroppedSource: "sip_dropped_source_packets", Packets, "Datagrams from where no answer may go: port 0, a multicast or broadcast address, or our own socket.";
        KeepAlives: "sip_keep_alive_packets", Packets, "Keep-alive datagrams without a message, empty ones included.";
        MaddrNotFollowed: "maddr_not_followed", Events, "Requests that wanted their answers sent to another address than they came from (Via maddr); the answers went to the source.";
        Unreachable: "icmp_unreachable", Events, "ICMP messages that nobody is at the address of a peer.";
        UnreachableUnread: "icmp_unread", Events, "ICMP messages that name no request of ours and came faster than we look into such.";
        UnreachableIgnored: "icmp_ignored", Events, "ICMP messages that changed nothing: about peers that had answered or calls that were up, or about nothing that we had sent.";
        Challenges: "challenges", Events, "Requests that were asked for credentials because they brought none.";
        AuthFailures: "auth_failures", Events, "Credentials that were wrong, or came too soon after wrong ones.";
        RefusedIdentity: "refused_identity", Events, "Requests refused with 403 because a proven user named another user in From.";
        Forwarded: "forwarded", Events, "Requests that the proxy sent on, or the redirect server sent elsewhere.";
        BranchesOpen: "branches_open", Level, "Targets that the proxy is busy with now, or remembers to absorb retransmissions.";
        Turns: "turns", Events, "How often this shard's thread went round: received, worked, sent. It also counts while there is nothing to do.";
    }
}
