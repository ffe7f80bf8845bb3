//! Calls up to their answer.

mod calls;
mod destinations;
pub(in crate::tests) mod forwards;
mod header_crossing;
mod name_lookup;
mod outgoing;
