//! Control clients: how they get the shared region, which legs are theirs, events that wait for them, legs that outlive them.

pub(crate) mod event_backlog;
pub(crate) mod kept_legs;
pub(crate) mod owners;
pub(crate) mod socket;
pub(crate) mod thread;
