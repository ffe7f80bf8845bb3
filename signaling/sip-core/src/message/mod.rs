//! Messages: requests as they come, and the pieces of what is written.

pub(crate) mod compose;
pub(crate) mod derive;
pub(crate) mod incoming;
pub(crate) mod route;
