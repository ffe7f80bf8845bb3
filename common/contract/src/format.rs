use crate::{Invalid, PayloadMap};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a leg's packets hold: payload types and packet length. One of the three parts of a [`crate::LegSpec`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FormatSpec {
    /// The payload types that the peer and we agreed on.
    pub payloads: PayloadMap,
    /// Milliseconds of audio in a packet that we make: 10, 20, 30, 40 or 60.
    pub ptime_ms: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

impl Default for FormatSpec {
    fn default() -> Self {
        Self { payloads: PayloadMap::default(), ptime_ms: 20, reserved: [0; 3] }
    }
}

impl FormatSpec {
    /// Looks at every field as if a stranger had written it.
    pub fn check(&self) -> Result<(), Invalid> {
        crate::spec::check_rules(&[
            ("ptime_ms", matches!(self.ptime_ms, 10 | 20 | 30 | 40 | 60)),
            ("reserved", self.reserved == [0; 3]),
        ])?;
        self.payloads.check()
    }
}
