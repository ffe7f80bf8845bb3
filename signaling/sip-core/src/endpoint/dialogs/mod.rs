//! Dialogs: what they are, the requests in them, the path to the peer, the session timer, and their end.

pub(crate) mod dialog;
pub(crate) mod ending;
pub(crate) mod identity;
pub(crate) mod in_flight;
pub(crate) mod next_hop;
pub(crate) mod path;
mod refresh;
mod requests;
pub(crate) mod session_timer;
