//! The memory that the media process shares with its control clients: queues, pools of leg ids and ports, leg table, counters.
//!
//! The media process makes a [`Host`] and gives each of its threads a [`WorkerEnd`]; each signaling shard is a client
//! with a [`ClientEnd`] of its own. Read those three first. Nothing here waits, locks or allocates after the start, and
//! whatever comes out of the memory is copied and checked as if a stranger had written it: a peer can stop its own
//! queues, never the process on the other side.
//!
//! ```
//! use contract::{Command, Event, LegSpec};
//! use shm::{FromClient, Host, RegionPlan, Reservation, WorkerIndex};
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
//! let Reservation { leg, port } = signaling.reserve(WorkerIndex(0))?;
//! let spec = LegSpec::default().with(|spec| spec.transport.port = port);
//! signaling.push(WorkerIndex(0), &Command::Open { leg, number: 7, spec })?;
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
//! signaling.give_back(Reservation { leg, port })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! When a client's socket hangs up, the media process calls [`Host::release`]; each worker gets [`FromClient::Gone`],
//! ends the client's legs and confirms; [`Host::settle`] then takes the ids and ports back and frees the place.
//!
//! Unsafe code is in `region/mapping.rs` only: the rest works on `&[AtomicU64]`. Tests: `cargo test -p ringplane-shm`, and every
//! interleaving of queue, pools and rows with
//! `RUSTFLAGS="--cfg loom" cargo test -p ringplane-shm --release --lib --test loom_queue`.

pub mod queue;
mod sync;

#[cfg(not(loom))]
mod clients;
#[cfg(not(loom))]
mod index;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(any(test, not(loom)))]
mod pool;
#[cfg(not(loom))]
mod region;
#[cfg(any(test, not(loom)))]
mod tables;

pub use sync::Words;

#[cfg(not(loom))]
pub use {
    clients::{FromSocket, HandoverError, Host, NoClientSlot, OfferError, accept_offer, give_file, take_file},
    index::{ClientIndex, ClientLife, WorkerIndex},
    pool::{Exhausted, NotFree, NotYours, PortLevels, PortPool, Reservation, Reservations},
    queue::{ClientEnd, Corrupt, FromClient, NeedsWake, PushError, Rejected, WakeFd, WorkerEnd},
    region::{AttachError, CreateError, PlanError, Region, RegionPlan},
    tables::{CounterBlock, Latency, LatencySnapshot, LegTable, NoSuchRow},
};
