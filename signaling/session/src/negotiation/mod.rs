//! Offer and answer in the middle of a call (RFC 3264, RFC 6337).

/// What was agreed on is carried out by the media plane, then confirmed to the peer.
pub(crate) mod applying;
/// What a session can offer and accept.
pub(crate) mod capabilities;
/// Two sides that hear each other settle on one codec.
pub(crate) mod codec_matching;
/// A peer's offer that the other side of the call has to answer first.
pub(crate) mod crossing_offer;
/// Descriptions for programs that look after signaling or media themselves.
pub(crate) mod descriptions;
/// Where offer and answer stand: the one state of an exchange, and what waits beside it.
pub(crate) mod exchange;
/// Our re-INVITE: hold, resume, refresh.
pub(crate) mod local_offer;
/// A peer's request that waits for something else to end.
pub(crate) mod pending_change;
/// Operations of the user that wait for something else to end.
pub(crate) mod pending_operations;
/// The peer's offer: re-INVITE, UPDATE, and its answer to an offer in our 2xx.
pub(crate) mod remote_offer;
/// What exchanges have settled so far.
pub(crate) mod sdp_state;
