//! What a caller hears of ours while the called side rings and sends nothing.

use crate::PlannedSource;

/// The ringing of a call that goes on.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Ringback {
    source: Option<PlannedSource>,
    is_heard: bool,
}

/// What a provisional response without media means for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ringing {
    /// The caller hears it from now on.
    Begins,
    /// The caller hears it already.
    GoesOn,
    /// There is none.
    Silent,
}

impl Ringback {
    pub(crate) fn new(source: Option<PlannedSource>) -> Self {
        Self { source, is_heard: false }
    }

    /// The called side rings (180), is queued or makes progress (18x).
    pub(crate) fn begin(&mut self, status: u16) -> Ringing {
        match (self.source, self.is_heard) {
            (Some(_), true) => Ringing::GoesOn,
            (Some(_), false) if (180..=183).contains(&status) => {
                self.is_heard = true;
                Ringing::Begins
            }
            _ => Ringing::Silent,
        }
    }

    /// The called side is heard from now on.
    pub(crate) fn end(&mut self) {
        self.is_heard = false;
    }

    /// What the caller hears of ours now.
    pub(crate) fn heard(&self) -> Option<PlannedSource> {
        self.source.filter(|_| self.is_heard)
    }
}
