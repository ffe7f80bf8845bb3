//! Finds what stays behind: compares what each part of a switch has with what the others say that there should be.

mod census;
mod search;

pub use census::{Census, HeldPorts, Seat, ShardCensus, Task, Work};
pub use search::LeakSearch;

use serde::{Deserialize, Serialize};

/// What kind of thing was left behind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LeakKind {
    /// A session that one side knows and the other does not, or that is ending for ever.
    Session,
    /// A dialog or a transfer without a session, or a seat in a bridge.
    Dialog,
    /// A media port that no session has.
    Port,
    /// A media leg that runs although its port was given back.
    MediaLeg,
    /// Deadlines of sessions that are gone.
    Timer,
    /// Code of the handler that runs although it was given up, or a task of a session that is gone.
    Task,
    /// A place among the sessions that no session has.
    Place,
    /// A member of a group that is gone.
    Group,
    /// A dependency on a session that is gone.
    Dependency,
    /// A leg of a sequence that is gone.
    Sequence,
}

/// Something that stays although nothing needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leak<C> {
    /// What kind of thing.
    pub kind: LeakKind,
    /// The call that it belonged to, where that is known.
    pub call: Option<C>,
    /// Its name, and what is wrong with it. Users know calls as sessions.
    pub what: String,
}

impl<C> Leak<C> {
    fn new(kind: LeakKind, call: Option<C>, what: impl Into<String>) -> Self {
        Self { kind, call, what: what.into() }
    }
}
