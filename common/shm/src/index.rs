/// A media worker, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WorkerIndex(pub u8);

/// A control client's place, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientIndex(pub u8);

/// One life of a control client's place: a later client in the same place has another epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientLife {
    /// The place.
    pub index: ClientIndex,
    /// Counts the clients that have had the place.
    pub epoch: u32,
}

impl WorkerIndex {
    /// As an index into a table.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

impl ClientIndex {
    /// Stands for the media process, in the port pool, where it goes on with legs whose client has hung up.
    pub const KEPT: ClientIndex = ClientIndex(u8::MAX - 1);

    /// As an index into a table.
    pub fn index(self) -> usize {
        self.0.into()
    }
}
