//! What a completion tells by its user data.

/// What a completion is about, in the top byte of its user data; below it the socket's generation (24 bits), then its
/// index (32 bits).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Receive = 1,
    Send = 2,
    Wake = 3,
    Cancel = 4,
}

pub(super) const GENERATION_MASK: u32 = 0x00ff_ffff;

pub(super) fn user_data(kind: Kind, generation: u32, socket: u32) -> u64 {
    u64::from(kind as u8) << 56 | u64::from(generation & GENERATION_MASK) << 32 | u64::from(socket)
}
