//! The calls, the capture, and what the switch held before and after.

use super::evidence::{Evidence, read_capture};
use crate::callers::{CallPlan, CallsReport, call};
use crate::capture::{SharkStream, shark_streams};
use crate::peers::{Dumpcap, Switch, SwitchPlan};
use crate::usage::{self, UdpSockets, Usage};
use clock::Duration;
use std::io;
use std::path::{Path, PathBuf};

/// The load of a `heard` run: number of calls, their length and the user they are placed to.
#[derive(Clone, Debug)]
pub struct HeardPlan {
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Calls held at once.
    pub calls: usize,
    /// New calls a second.
    pub rate: f64,
    /// Time from answer to BYE.
    pub hold: Duration,
    /// The user that is called; the switch plays it a steady tone.
    pub user: String,
}

/// Resources of the switch at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The signaling process.
    pub signal: Usage,
    /// The media process.
    pub media: Usage,
    /// Sockets on the media ports.
    pub sockets: UdpSockets,
    /// Legs that run, by the switch's own count.
    pub legs: u64,
    /// Calls that are up, by the switch's own count.
    pub calls: u64,
    /// SIP transactions that are remembered.
    pub transactions: u64,
}

/// What was found.
pub struct HeardRun {
    /// The plan.
    pub plan: HeardPlan,
    /// First and last media port.
    pub media_ports: (u16, u16),
    /// What the callers saw.
    pub report: CallsReport,
    /// What the capture shows.
    pub evidence: Evidence,
    /// What tshark says of the same capture.
    pub shark: Vec<SharkStream>,
    /// After as many calls as are held later, and their end.
    pub before: Held,
    /// While all calls are up.
    pub during: Option<Held>,
    /// When all is over.
    pub after: Held,
}

/// How long the switch may take to forget its last call: RFC 3261's timers run for 32 s, ports rest, memory goes back.
const IDLE_WITHIN: Duration = Duration::from_secs(60);
/// Rounds of short calls before anything is judged.
const WARM_UP_ROUNDS: usize = 8;
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Does all of it. `say` is told what is going on.
pub fn hear(plan: &HeardPlan, folder: &Path, say: &mut dyn FnMut(&str)) -> io::Result<HeardRun> {
    let mut switch_plan = SwitchPlan::new(&plan.program);
    switch_plan.port_pairs = u16::try_from(plan.calls * 3 / 2 + 100).unwrap_or(20_000).min(20_000);
    switch_plan.sip = format!("max_calls = {}", plan.calls + 100);
    let switch = Switch::start(folder, &switch_plan)?;
    let calls =
        |hold, rate| CallPlan { calls: plan.calls, rate, hold, user: plan.user.clone(), ..CallPlan::tone(switch.sip) };
    // What as many calls touch for the first time is not growth. More calls than that, since an allocator keeps pages
    // for each size that was ever wanted at once.
    for round in 1..=WARM_UP_ROUNDS {
        say(&format!("{} calls to warm up, round {round} of {WARM_UP_ROUNDS}", plan.calls));
        call(&calls(Duration::from_secs(2), plan.calls as f64 / 2.0), &mut |_, _| {})?;
    }
    say("waiting until the switch is idle");
    let before = idle(&switch)?;

    let ports = switch.media_ports;
    let filter = format!("udp and (port {} or src portrange {}-{})", switch.sip.port(), ports.0, ports.1);
    let capture = Dumpcap::start(folder, &filter)?;
    let mut during = None;
    let report = call(&calls(plan.hold, plan.rate), &mut |ended, up| {
        say(&format!("{up} calls up, {ended} ended"));
        if up as usize == plan.calls && ended == 0 && during.is_none() {
            during = held(&switch).ok();
        }
    })?;
    let file = capture.finish()?;
    say("waiting until the switch has let go");
    let after = idle(&switch)?;
    say("reading the capture");
    let evidence = read_capture(&file, switch.sip, ports)?;
    say("tshark reads the capture");
    let shark = shark_streams(&file, switch.sip.port())?;
    let shark = shark.into_iter().filter(|stream| (ports.0..=ports.1).contains(&stream.from.port())).collect();
    Ok(HeardRun { plan: plan.clone(), media_ports: ports, report, evidence, shark, before, during, after })
}

/// What the switch holds once it has no calls and no legs; or what it still holds when it may no longer.
fn idle(switch: &Switch) -> io::Result<Held> {
    let is_idle = || {
        let now = held(switch).ok()?;
        (now.calls == 0 && now.legs == 0 && now.transactions == 0).then_some(())
    };
    let give_up = clock::now() + IDLE_WITHIN;
    // Each look is two processes of the switch's own command line: seldom, so that looking is no load.
    while is_idle().is_none() && clock::now() < give_up {
        std::thread::sleep(LOOK_EVERY);
    }
    held(switch)
}

fn held(switch: &Switch) -> io::Result<Held> {
    let part = |name: &str| {
        let pid = switch.part(name).ok_or_else(|| io::Error::other(format!("no {name} process")))?;
        usage::of_process(pid)
    };
    Ok(Held {
        signal: part("signal")?,
        media: part("media")?,
        sockets: usage::udp_sockets(switch.media_ports.0, switch.media_ports.1),
        legs: switch.counter("legs_open")?,
        calls: switch.call_count()? as u64,
        transactions: switch.counter("transactions_open")?,
    })
}
