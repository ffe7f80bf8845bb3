use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names a leg: the even RTP port that it owns, and how often that port had been given out by then.
///
/// The port is the leg's place in every table. A handle of an earlier life of the port has another generation and is
/// refused everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LegRef {
    /// From the port pool; counts the lives of the port.
    pub generation: u32,
    /// Local RTP port; RTCP is one above, unless multiplexed. 0: no leg.
    pub port: u16,
    /// Zero.
    pub reserved: u16,
}

impl LegRef {
    /// No leg.
    pub const NONE: LegRef = LegRef { generation: 0, port: 0, reserved: 0 };

    /// A leg on `port` in its `generation`.
    pub const fn new(port: u16, generation: u32) -> Self {
        Self { generation, port, reserved: 0 }
    }

    /// Whether it names none.
    pub fn is_none(self) -> bool {
        self.port == 0
    }
}
