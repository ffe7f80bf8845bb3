//! Control clients: how one gets the region and its place, what it hands over besides, and how its place is cleaned up.

mod files;
mod handover;
mod host;
pub(crate) mod slots;

pub use {
    files::{FromSocket, give_file, take_file},
    handover::{HandoverError, accept_offer},
    host::{Host, NoClientSlot, OfferError},
};
