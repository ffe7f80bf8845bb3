//! Programs written with `ringplane::api`, called by real peers.

mod care;
mod decisions;
mod operations;
mod outgoing;
mod room;
