//! Media traffic whose every packet is checked: content, order, loss, copies, and latency from one end to the other.

mod ledger;
mod packet;
mod socket;
mod stream;
mod traffic;
mod worker;

pub use ledger::{Arrival, Jitter, Ledger};
pub use packet::{Content, Damage, PACKET_BYTES, TICKS_PER_PACKET};
pub use socket::bind;
pub(crate) use stream::histogram;
pub use stream::{Expect, StreamBook, StreamSpec, Totals};
pub use traffic::{PACKET_TIME, StreamRef, Traffic, TrafficConfig};
