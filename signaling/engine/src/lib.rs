//! The call engine: decisions about calls as a whole, beside those that `session` takes about each.
//!
//! [`Admission`] says whether there is room for one more call of a [`Priority`], and refuses the lower ones first when it
//! becomes full. [`Relations`] knows which calls belong together, as [`Groups`], [`Dependencies`], [`Sequences`] of legs and
//! [`Conversations`], and says which calls have to end when one of them has. [`LeakSearch`] compares what the parts of a switch
//! have ([`Census`]) and names what belongs to nothing.
//!
//! A call is whatever its user names it by (`C`), a bridge likewise (`B`); the engine never asks what stands behind a name.
//! It holds no lock, sends nothing, and reads no clock: times arrive as arguments, and what has to be done is returned. What is
//! refused ([`Refusal`]) has changed nothing. Every table has a named limit. Read [`Relations`] first. Tests: `cargo test -p
//! ringplane-engine`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admission;
mod conversations;
mod dependencies;
mod groups;
mod leaks;
mod priority;
mod refusal;
mod relations;
mod sequences;

pub use admission::{Admission, LevelCounts};
pub use conversations::Conversations;
pub use dependencies::{DEPENDENCY_DEPTH_MAX, Dependencies};
pub use groups::{GROUPS_MAX, Group, GroupId, Groups};
pub use leaks::{Census, HeldPorts, Leak, LeakKind, LeakSearch, Seat, ShardCensus, Task, Work};
pub use priority::{CallRequest, Priority, PriorityShares};
pub use refusal::Refusal;
pub use relations::Relations;
pub use sequences::{Leg, LegRole, SEQUENCE_LEGS_MAX, Sequence, SequenceId, SequenceRule, Sequences};

use std::fmt::{Debug, Display};
use std::hash::Hash;

/// The name of a call, or of a bridge.
pub trait Name: Copy + Ord + Hash + Debug + Display {}

impl<T: Copy + Ord + Hash + Debug + Display> Name for T {}

/// A number that names one of the engine's things. It is never used twice by the same table.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub struct $name(u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}
use numbered;
