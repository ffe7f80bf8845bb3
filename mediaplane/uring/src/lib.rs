//! Packets by io_uring: [`UringIo`] is `media-core`'s `PacketIo` over real UDP sockets, [`UringBackend`] its `Backend`.
//!
//! One ring per worker thread, sockets bound ahead of time and registered in it, a ring of provided buffers, multishot
//! receives with kernel timestamps, and one `io_uring_enter` per turn that sends what the last turn made and waits for
//! what comes next. This crate knows no RTP, decides nothing about calls, and never starts a thread. Unsafe code
//! lives here, in `shm` and in `heap`, and as vector code in `audio`; each block says why it is sound.
//!
//! Read [`UringIo`] first, then [`Sockets`]. Tests: `cargo test -p ringplane-uring` (real sockets on loopback, ephemeral ports).

mod adaptive;
mod backend;
mod buffers;
mod error;
mod io;
mod lending;
mod limits;
mod message;
mod probe;
mod realtime;
mod ring;
mod sockets;

pub use adaptive::WaitMode;
pub use backend::UringBackend;
pub use buffers::TurnBuffers;
pub use error::{BindError, Denied};
pub use io::{IoSettings, UringIo};
pub use limits::{DescriptorLimit, raise_descriptor_limit};
pub use probe::{Features, probe};
pub use sockets::{BindTo, Sockets};
