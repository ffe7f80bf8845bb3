//! Which source of packets is the peer: that of the session description, or another one that has proved itself.

pub(crate) mod candidates;
pub(crate) mod held_packets;
pub(crate) mod latch;
pub(crate) mod probation;
pub(crate) mod source_filter;
