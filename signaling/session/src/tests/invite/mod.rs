//! Calls up to their answer.

mod calls;
mod destinations;
mod forwards;
mod header_crossing;
mod name_lookup;
mod outgoing;
