//! What transaction users count.

/// Counts of one transaction user. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were understood.
    pub received: u64,
    /// Messages that are no SIP, or break its rules.
    pub malformed: u64,
    /// Requests that were answered 4xx-6xx by the rules of the protocol alone.
    pub refused: u64,
    /// Requests that were refused with 503 because a table was full.
    pub overloaded: u64,
    /// Requests that were refused with 503 because their source has shown nothing and has enough of them in progress.
    pub source_limited: u64,
    /// Requests that a proxy refused with 503 because it is being stopped.
    pub refused_stopping: u64,
    /// Copies of requests that were absorbed or answered from memory.
    pub retransmissions: u64,
    /// Responses without a transaction; a proxy does not forward them (RFC 6026 §8.7).
    pub stray_responses: u64,
    /// ACKs that acknowledge nothing that waits.
    pub stray_acks: u64,
    /// INVITEs that were sent, those that a proxy sent on included.
    pub invites_sent: u64,
    /// Messages of the network that nobody is at a peer's address (ICMP).
    pub unreachable: u64,
    /// Those of them that changed nothing: about peers that have answered, or about nothing that we sent.
    pub unreachable_ignored: u64,
    /// Requests whose topmost Via has an `maddr` that is not their source, which their answers do not follow.
    pub foreign_maddr: u64,
    /// Answers to INVITEs of ours that could not be used and were ended with BYE.
    pub unusable_answers: u64,
}

impl Counters {
    /// The counts of both.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            malformed: self.malformed + other.malformed,
            refused: self.refused + other.refused,
            overloaded: self.overloaded + other.overloaded,
            source_limited: self.source_limited + other.source_limited,
            refused_stopping: self.refused_stopping + other.refused_stopping,
            retransmissions: self.retransmissions + other.retransmissions,
            stray_responses: self.stray_responses + other.stray_responses,
            stray_acks: self.stray_acks + other.stray_acks,
            invites_sent: self.invites_sent + other.invites_sent,
            unreachable: self.unreachable + other.unreachable,
            unreachable_ignored: self.unreachable_ignored + other.unreachable_ignored,
            foreign_maddr: self.foreign_maddr + other.foreign_maddr,
            unusable_answers: self.unusable_answers + other.unusable_answers,
        }
    }
}
