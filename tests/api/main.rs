//! Programs written with `ringplane::api`, called by real peers.

mod advanced;
mod care;
mod certificates;
mod credentials;
mod decisions;
mod doors;
mod events;
mod handset;
mod injection;
mod operations;
mod outgoing;
mod page;
mod phone;
mod recording;
mod room;
mod sdp;
mod tls;
