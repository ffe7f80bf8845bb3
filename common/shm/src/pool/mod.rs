//! Ids and ports that any process takes and gives back without a lock: a word for each says whose it is (`lease`), a ring
//! says which one is next (`ring`).

pub(crate) mod lease;
pub(crate) mod ring;

#[cfg(not(loom))]
mod legs;
#[cfg(not(loom))]
mod ports;
#[cfg(not(loom))]
mod reservation;

#[cfg(not(loom))]
pub(crate) use legs::LegPool;
#[cfg(not(loom))]
pub use {
    ports::{NotFree, PortLevels, PortPool},
    reservation::{Exhausted, NotYours, Reservation, Reservations},
};
