//! Other programs, started for a test or a measurement and ended with it.

mod baresip;
mod dumpcap;
mod kamailio;
mod media_plane;
mod ports;
mod process;
mod rtpengine;
mod sipp;
mod switch;
mod told;

pub use baresip::{Baresip, read_wav, write_wav};
pub use dumpcap::Dumpcap;
pub use kamailio::Kamailio;
pub use media_plane::{IN_FLIGHT, MediaPlane, OwnLeg, leg_towards};
pub use ports::{free_port, free_range};
pub use process::{Process, send_signal, wait_for};
pub use rtpengine::RtpEngine;
pub use sipp::{Scenario, Sipp, SippPlan, SippResult};
pub use switch::{Switch, SwitchPlan};
pub use told::Told;
