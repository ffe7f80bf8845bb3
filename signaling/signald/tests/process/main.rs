//! The whole of signaling over loopback, with a small media process of the tests' own behind real shared memory.

use std::time::Duration;

mod bad_input;
mod calls;
mod certificates;
mod corpora;
mod floods;
mod line;
mod loops;
mod media;
mod mixed_roles;
#[path = "../../../transport/tests/all/name_server.rs"]
#[allow(dead_code, reason = "its own tests say more")]
mod name_server;
mod names;
mod next_hop;
mod operators;
mod outgoing;
mod peers;
mod phone;
mod proxy_stop;
mod relay_rights;
mod reload;
mod roles;
mod shards;
mod sources;
mod streams;
mod switch;
mod torture;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
