//! Packets that come: taken, measured, passed on, pointed at for recordings, and the digits in them.

pub(crate) mod digits;
pub(crate) mod loss_pattern;
pub(crate) mod packets;
pub(crate) mod relay;
pub(crate) mod sinks;
pub(crate) mod statistics;
pub(crate) mod tap;
