use std::fmt;
use std::num::NonZeroU64;

/// Names a session of one shard for as long as that shard runs; it is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    pub(crate) fn new(index: u32, generation: u32) -> Self {
        Self::from_u64(u64::from(generation) << 32 | u64::from(index))
    }

    pub(crate) fn index(self) -> usize {
        self.as_u64() as u32 as usize
    }

    /// As one number: the tag of its legs.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }

    /// The inverse of [`Self::as_u64`]. Any other number names no session, or an unrelated one.
    pub fn from_u64(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
