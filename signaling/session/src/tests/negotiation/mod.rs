//! Offers and answers while a call is up.

mod codecs;
mod descriptions;
mod hold;
mod late_offer;
mod pending_change;
mod pending_operations;
