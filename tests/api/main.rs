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
#[path = "../../signaling/transport/tests/all/name_server.rs"]
#[allow(dead_code, reason = "its own tests say more")]
mod name_server;
mod names;
mod operations;
mod outgoing;
mod page;
mod phone;
mod recorded;
mod recording;
mod room;
mod samples;
mod sdp;
mod tls;
