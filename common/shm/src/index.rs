/// A media worker, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WorkerIndex(pub u8);

/// A control client's place, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientIndex(pub u8);

impl WorkerIndex {
    /// As an index into a table.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

impl ClientIndex {
    /// As an index into a table.
    pub fn index(self) -> usize {
        self.0.into()
    }
}
