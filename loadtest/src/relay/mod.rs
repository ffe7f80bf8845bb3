//! Two-way calls through something that relays RTP, and what that costs.

mod account;
mod run;
mod through;

pub use account::Account;
pub use run::{CpuUse, Percentiles, RelayRun, RunConfig, run};
pub use through::{Relay, Straight, ThroughMediaPlane, ThroughRtpEngine};
