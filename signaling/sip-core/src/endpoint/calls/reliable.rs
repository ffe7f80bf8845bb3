//! Reliable provisional responses (RFC 3262), both ways.

/// What became of a provisional response that came to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// Hand it up: it is not reliable, or its PRACK is out.
    Plain,
    /// A copy, or out of order: forget it (RFC 3262 §4).
    Again,
    /// Hand it up; the user owes the PRACK with the answer.
    WantsAnswer,
}
