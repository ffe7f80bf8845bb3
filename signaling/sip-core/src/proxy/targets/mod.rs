//! Targets of a request: branches out, responses in, redirections, CANCEL, and the best response.

mod best_response;
pub(crate) mod branch;
mod cancel;
mod follow;
pub(crate) mod forward;
mod responses;
