//! SIPp calls, SIPp answers, and something between them.

use clock::Duration;
use loadtest::peers::{Kamailio, Process, Scenario, Sipp, SippPlan, Switch, SwitchPlan};
use loadtest::usage;
use serde::Serialize;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

/// What is between caller and called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// Nothing: the CPU is that of SIPp's UAS.
    Straight,
    /// Our back-to-back user agent, with media ports on both sides and one signaling thread.
    Ringplane,
    /// Kamailio as a stateful proxy, with one worker process and no media.
    Kamailio,
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["straight", "ringplane", "kamailio"][*self as usize])
    }
}

/// Calls at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// What they went through.
    pub through: Through,
    /// Calls a second.
    pub rate: u32,
    /// Processes that ran or wanted to, averaged over the minute before.
    pub load_average_before: f64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Messages that the caller sent again.
    pub retransmissions: u64,
    /// Messages that the called one sent again.
    pub retransmissions_behind: u64,
    /// Copies of requests that the switch saw.
    pub copies_seen: u64,
    /// CPU of signaling (of the proxy, of SIPp's UAS) for an answered call, microseconds.
    pub signal_us_per_call: f64,
    /// CPU of the media process for an answered call, microseconds.
    pub media_us_per_call: f64,
}

impl Load {
    /// Messages that either SIPp sent again.
    pub fn resent(&self) -> u64 {
        self.retransmissions + self.retransmissions_behind
    }
}

/// A called SIPp, and what is before it.
pub(super) struct Way {
    pub(super) uas: Sipp,
    between: Between,
    through: Through,
}

enum Between {
    Nothing,
    Ringplane(Box<Switch>),
    Kamailio(Kamailio),
}

impl Way {
    pub(super) fn prepare(folder: &Path, program: &Path, through: Through, calls: usize) -> io::Result<Self> {
        let plan = SippPlan { scenario: Scenario::BuiltIn("uas"), ..SippPlan::default() };
        let mut uas = Sipp::start(folder, "uas", None, &plan)?;
        let to = uas.address;
        let listens = |_: &Process| UdpSocket::bind(to).is_err().then_some(());
        uas.process().ready(Duration::from_secs(10), listens)?;
        let between = match through {
            Through::Straight => Between::Nothing,
            Through::Ringplane => Between::Ringplane(Box::new(switch(folder, program, to, calls)?)),
            Through::Kamailio => Between::Kamailio(Kamailio::start_proxy(folder, 1, to)?),
        };
        Ok(Self { uas, between, through })
    }

    /// Where callers send to.
    pub(super) fn entry(&self) -> SocketAddr {
        match &self.between {
            Between::Nothing => self.uas.address,
            Between::Ringplane(switch) => switch.sip,
            Between::Kamailio(kamailio) => kamailio.address,
        }
    }

    pub(super) fn switch(&self) -> io::Result<&Switch> {
        match &self.between {
            Between::Ringplane(switch) => Ok(switch),
            _ => Err(io::Error::other("there is no switch in between")),
        }
    }

    /// CPU of signaling and of media, nanoseconds.
    fn cpu_ns(&mut self) -> io::Result<(u64, u64)> {
        match &self.between {
            Between::Nothing => Ok((usage::of_process(self.uas.process().pid())?.cpu_ns, 0)),
            Between::Ringplane(switch) => Ok((of_part(switch, "signal")?.cpu_ns, of_part(switch, "media")?.cpu_ns)),
            Between::Kamailio(kamailio) => Ok((kamailio.cpu_ns()?, 0)),
        }
    }

    /// So many calls by SIPp.
    pub(super) fn load(mut self, folder: &Path, rate: u32, calls: u32) -> io::Result<Load> {
        let load_average_before = usage::load_average();
        let before = self.cpu_ns()?;
        let plan = SippPlan { rate, calls, ..SippPlan::default() };
        let uac = Sipp::start(folder, "uac", Some(self.entry()), &plan)?;
        let result = uac.finish(Duration::from_secs(u64::from(calls / rate.max(1)) + 90))?;
        let after = self.cpu_ns()?;
        let copies_seen = match &self.between {
            Between::Ringplane(switch) => switch.counter("sip_retransmitted_packets")?,
            _ => 0,
        };
        let behind = self.uas.end(Duration::from_secs(60))?;
        let succeeded = result.count("SuccessfulCall");
        let us_per_call = |ns: u64| ns as f64 / 1e3 / succeeded.max(1) as f64;
        Ok(Load {
            through: self.through,
            rate,
            load_average_before,
            succeeded,
            failed: result.count("FailedCall"),
            retransmissions: result.count("Retransmissions"),
            retransmissions_behind: behind.count("Retransmissions"),
            copies_seen,
            signal_us_per_call: us_per_call(after.0 - before.0),
            media_us_per_call: us_per_call(after.1 - before.1),
        })
    }
}

pub(super) fn of_part(switch: &Switch, name: &str) -> io::Result<usage::Usage> {
    usage::of_process(switch.part(name).ok_or_else(|| io::Error::other(format!("no {name} process")))?)
}

/// With one signaling thread, and room for that many calls.
fn switch(folder: &Path, program: &Path, to: SocketAddr, calls: usize) -> io::Result<Switch> {
    let mut plan = SwitchPlan::new(program);
    plan.port_pairs = u16::try_from(calls * 2 + 100).unwrap_or(15_000).min(15_000);
    plan.sip = format!("mode = \"b2bua\"\nshards = 1\nmax_calls = 20000\nroutes = {{ \"*\" = [\"sip:{to}\"] }}");
    plan.media = "media_timeout_s = 600".into();
    let switch = Switch::start(folder, &plan)?;
    // Routes are looked up once it runs.
    let one = SippPlan { rate: 10, calls: 1, ..SippPlan::default() };
    for attempt in 0..50 {
        let ready = Sipp::start(folder, &format!("first-{attempt}"), Some(switch.sip), &one)?;
        if ready.finish(Duration::from_secs(60))?.count("SuccessfulCall") == 1 {
            return Ok(switch);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err(io::Error::other(format!("no call comes through:\n{}", switch.output())))
}
