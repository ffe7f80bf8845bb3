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
