//! What a call was admitted with: the proof of its peer's address, and the limits that it counts towards.

use super::address_validation::Proof;
use super::source_limit::Seat;

/// What holds a place for a call among those of its source and of its user.
#[derive(Debug)]
pub(crate) struct Admitted {
    proof: Proof,
    /// Its place among the calls of its source that wait for an ACK.
    seat: Seat,
    /// The user whose calls it counts among.
    counts_for: Option<Box<str>>,
    /// Which INFO with a digit the peer takes.
    digit_info: DigitInfo,
}

/// Which INFO with a digit a peer takes, by what it says of itself and what it has refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum DigitInfo {
    /// `application/dtmf-relay`, which says how long the key was pressed.
    #[default]
    Relay,
    /// `application/dtmf`, the digit alone.
    Plain,
    /// None.
    Refused,
}

impl Admitted {
    pub(crate) fn new(proof: Proof, seat: Seat, counts_for: Option<Box<str>>) -> Self {
        Self { proof, seat, counts_for, digit_info: DigitInfo::default() }
    }

    /// Which INFO with a digit the peer takes.
    pub(crate) fn digit_info(&self) -> DigitInfo {
        self.digit_info
    }

    /// The peer has said, or shown by refusing one, which INFO with a digit it takes.
    pub(crate) fn note_digit_info(&mut self, digit_info: DigitInfo) {
        self.digit_info = digit_info;
    }

    pub(crate) fn proof(&self) -> Proof {
        self.proof
    }

    /// The peer has shown this much. `false`: it had before.
    pub(crate) fn prove(&mut self, proof: Proof) -> bool {
        let is_new = self.proof < proof;
        self.proof = self.proof.max(proof);
        is_new
    }

    /// It no longer waits for its ACK.
    pub(crate) fn take_seat(&mut self) -> Seat {
        std::mem::take(&mut self.seat)
    }

    pub(crate) fn user(&self) -> Option<&str> {
        self.counts_for.as_deref()
    }
}
