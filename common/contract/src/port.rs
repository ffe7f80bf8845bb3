use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A local port pair, as the client knows it that took it from the pool: the even RTP port, and how often the pair had been
/// given out by then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortRef {
    /// From the pool; counts the lives of the pair.
    pub generation: u32,
    /// Local RTP port; RTCP is one above, unless multiplexed. 0: no port.
    pub rtp: u16,
    /// Zero.
    pub reserved: u16,
}

impl PortRef {
    /// No port.
    pub const NONE: PortRef = PortRef { generation: 0, rtp: 0, reserved: 0 };

    /// The pair of this RTP port in its `generation`.
    pub const fn new(rtp: u16, generation: u32) -> Self {
        Self { generation, rtp, reserved: 0 }
    }

    /// Whether it names none.
    pub fn is_none(self) -> bool {
        self.rtp == 0
    }

    /// Whether it is none, or what a pool could have given out.
    pub(crate) fn is_sound(self) -> bool {
        self.rtp.is_multiple_of(2) && self.reserved == 0
    }
}
