//! What a leg sends of its own: sound in frames of 20 ms, and digits.

pub(crate) mod clip;
mod digit_packets;
pub(crate) mod digits;
pub(crate) mod frames;
pub(crate) mod pace;
pub(crate) mod program;
pub(crate) mod stream;
