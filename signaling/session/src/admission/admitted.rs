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
    /// The peer has refused an INFO with a digit as something that it does not know.
    refuses_digits: bool,
}

impl Admitted {
    pub(crate) fn new(proof: Proof, seat: Seat, counts_for: Option<Box<str>>) -> Self {
        Self { proof, seat, counts_for, refuses_digits: false }
    }

    /// Whether the peer has refused an INFO with a digit as something that it does not know.
    pub(crate) fn refuses_digits(&self) -> bool {
        self.refuses_digits
    }

    /// The peer has refused an INFO with a digit.
    pub(crate) fn note_refused_digit(&mut self) {
        self.refuses_digits = true;
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
