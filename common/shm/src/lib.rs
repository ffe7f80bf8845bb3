//! The memory that the media process shares with its control clients: queues, port pool, leg table, counters.
//!
//! The media process makes a [`Host`] and gives each of its threads a [`WorkerEnd`]; each signaling shard is a client
//! with a [`ClientEnd`] of its own. Read those three first. Nothing here waits, locks or allocates after the start, and
//! whatever comes out of the memory is copied and checked as if a stranger had written it: a peer can stop its own
//! queues, never the process on the other side.
//!
//! ```
//! use contract::{Command, Event, LegSpec};
//! use shm::{FromClient, Host, RegionPlan, WorkerIndex};
//! use std::os::unix::net::UnixStream;
//! use std::time::Duration;
//!
//! // The media process: one region, one end per worker, an offer for each client that connects.
//! let host = Host::create(&RegionPlan::default())?;
//! println!("{}", host.region().plan().summary());
//! let mut media = host.worker(WorkerIndex(0)).expect("nobody else runs this worker");
//! let (ours, theirs) = UnixStream::pair()?;
//! host.offer(&ours)?;
//!
//! // The signaling process.
//! let mut signaling = shm::accept_offer(&theirs, Duration::from_secs(1))?;
//! let leg = signaling.take_port(WorkerIndex(0))?;
//! signaling.push(WorkerIndex(0), &Command::Open { leg, number: 7, spec: LegSpec::default() })?;
//!
//! // A worker's turn.
//! while let Some((client, message)) = media.pop() {
//!     if let FromClient::Command(Command::Open { leg, number, .. }) = message {
//!         media.push(client, &Event::Opened { leg, number })?;
//!     }
//! }
//! media.wake_clients();
//! if media.prepare_sleep() { /* wait for media.wake_fd(), packets or a deadline */ }
//! media.cancel_sleep();
//!
//! let (_, event) = signaling.pop().expect("an event");
//! assert_eq!(event?, Event::Opened { leg, number: 7 });
//! signaling.give_back(leg)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! When a client's socket hangs up, the media process calls [`Host::release`]; each worker gets [`FromClient::Gone`],
//! ends the client's legs and confirms; [`Host::settle`] then takes the ports back and frees the place.
//!
//! Unsafe code is in `mapping.rs` only: the rest works on `&[AtomicU64]`. Tests: `cargo test -p ringplane-shm`, and every
//! interleaving of queue, pool and rows with
//! `RUSTFLAGS="--cfg loom" cargo test -p ringplane-shm --release --lib --test loom_queue`.

pub mod queue;
mod sync;

#[cfg(not(loom))]
mod client;
#[cfg(not(loom))]
mod counters;
#[cfg(not(loom))]
mod files;
#[cfg(not(loom))]
mod handover;
#[cfg(not(loom))]
mod host;
#[cfg(not(loom))]
mod index;
#[cfg(not(loom))]
mod latency;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod legs;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(not(loom))]
mod mapping;
#[cfg(any(test, not(loom)))]
mod pairs;
#[cfg(not(loom))]
mod plan;
#[cfg(not(loom))]
mod ports;
#[cfg(not(loom))]
mod region;
#[cfg(any(test, not(loom)))]
mod ring;
#[cfg(any(test, not(loom)))]
mod seqlock;
#[cfg(not(loom))]
mod slots;
#[cfg(not(loom))]
mod wake;
#[cfg(not(loom))]
mod worker;

pub use sync::Words;

#[cfg(not(loom))]
pub use {
    client::ClientEnd,
    counters::CounterBlock,
    files::{FromSocket, give_file, take_file},
    handover::{HandoverError, accept_offer},
    host::{Host, NoClientSlot, OfferError},
    index::{ClientIndex, WorkerIndex},
    latency::{Latency, LatencySnapshot},
    legs::{LegTable, NoSuchPort},
    plan::{PlanError, RegionPlan},
    ports::{Exhausted, NotFree, NotYours, PortLevels, PortPool},
    queue::{Corrupt, NeedsWake, PushError},
    region::{AttachError, CreateError, Region},
    wake::WakeFd,
    worker::{FromClient, Rejected, WorkerEnd},
};
