//! Programs written with `ringplane::api`, called by real peers.

mod advanced;
mod audio_stream;
mod certificates;
mod credentials;
mod decisions;
mod events;
mod fixture;
mod groups_and_health;
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
mod rooms;
mod samples;
mod sdp;
mod server_and_client;
mod tls;
mod voice;
