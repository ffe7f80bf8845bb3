//! Calls that are handed to another party (RFC 3515, RFC 3891, RFC 5589).

/// REFER that a peer sends.
pub(crate) mod received_refer;
/// What a received REFER asks for.
pub(crate) mod refer_request;
/// The call that was placed for a received REFER.
pub(crate) mod referred_call;
/// An INVITE that takes the place of another call.
pub(crate) mod replaces;
/// REFER that the user has us send.
pub(crate) mod sent_refer;
/// The transfers of one session.
pub(crate) mod transfers;
