//! The names of what both sides talk about. Each has a life: a number that is used again has another generation, or is
//! not used again.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names a leg: its row of the leg table, and how often that row had been given out by then.
///
/// A client takes it from the pool in shared memory before its first command about the leg, so that nobody has to answer
/// before the leg can be named. It says nothing about ports, which are part of a leg's transport. A handle of an earlier
/// life of the row has another generation and is refused everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LegRef {
    /// From the pool; counts the lives of the row, from 1. 0: no leg.
    pub generation: u32,
    /// Row of the leg table, from 0.
    pub row: u32,
}

impl LegRef {
    /// No leg.
    pub const NONE: LegRef = LegRef { generation: 0, row: 0 };

    /// The leg with this row in its `generation`.
    pub const fn new(row: u32, generation: u32) -> Self {
        Self { generation, row }
    }

    /// Whether it names none.
    pub fn is_none(self) -> bool {
        self.generation == 0
    }

    /// The row as an index.
    pub fn row_index(self) -> usize {
        self.row as usize
    }
}

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

/// Names a player: what makes the sound of a leg whose source is no other leg. The client that has it begin draws the number,
/// unique among its players. A leg whose flow names another player than before begins with the new one, also where both have
/// the same sound; one that names the same player goes on with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct PlayerId(u64);

impl PlayerId {
    /// No player; or, beside a sound, one without a name, which goes on until the sound is another one.
    pub const NONE: PlayerId = PlayerId(0);

    /// The player with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether it names none.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}
