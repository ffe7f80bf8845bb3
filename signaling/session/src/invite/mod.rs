//! The initial INVITE of a call, in both directions, up to its answer (RFC 3261 §13).

/// The user's answer: with its own description or header fields, or early media first.
pub(crate) mod answering;
/// Where calls may go because a peer says so: REFER and 3xx.
pub(crate) mod destination;
/// The user places a call.
pub(crate) mod dial;
/// Whether what the user dials makes sense.
pub(crate) mod dial_check;
/// Early dialogs of the branches of one INVITE (RFC 3261 §12.1), and early answers to a caller (RFC 3262).
pub(crate) mod early_dialogs;
/// An incoming call goes on to somewhere else: a back-to-back user agent (RFC 7092).
pub(crate) mod forward;
/// A call comes in: admission, decision, leg, 200 OK.
pub(crate) mod incoming;
/// The INVITE of an incoming call, until its final answer.
pub(crate) mod incoming_invite;
/// What a session reads from an INVITE: parties, hops, the offer.
pub(crate) mod invitation;
/// Names of targets that have to be looked up first (RFC 3263).
pub(crate) mod name_lookup;
/// The next target after a refusal, a redirection or a time-out.
pub(crate) mod next_target;
/// A placed call, from its INVITE to its answer.
pub(crate) mod outgoing;
/// Calls that are refused.
pub(crate) mod refusing;
