//! Two-way calls through something that relays RTP, and what that costs.

mod run;
mod through;

pub use run::{Percentiles, RelayRun, RunConfig, run};
pub use through::{Relay, Straight, ThroughMediaPlane, ThroughRtpEngine};
