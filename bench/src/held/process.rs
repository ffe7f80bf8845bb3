//! Calls held through the running switch: what its signaling process grows by, and gives back.

use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::peers::{Switch, SwitchPlan, free_range};
use loadtest::usage;
use serde::Serialize;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

/// One round: calls come, are held, end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    /// Calls that were up at once.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Private memory of signaling before the round.
    pub before_bytes: u64,
    /// With all calls up: transactions of the last 32 s are still there.
    pub up_bytes: u64,
    /// With all calls up and the transactions forgotten; 0 where they were not held that long.
    pub idle_bytes: u64,
    /// Some time after the last call.
    pub after_bytes: u64,
}

/// How rounds go.
#[derive(Clone, Debug)]
pub struct RoundPlan {
    /// Calls held at once.
    pub calls: usize,
    /// New calls a second.
    pub rate: f64,
    /// Time from answer to BYE.
    pub hold: Duration,
    /// Pause after a round.
    pub rest: Duration,
    /// Rounds before the ones that count.
    pub warm_up_count: usize,
    /// Rounds.
    pub round_count: usize,
}

/// Transactions are forgotten after 32 s.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(36);

/// Ports rest before they are used again.
const SPARE_PAIRS: usize = 300;

/// `wanted` calls, or as many as the media process has descriptors and ports for: two sockets each, bound ahead.
pub(super) fn possible_calls(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let described = (usize::try_from(limit).unwrap_or(usize::MAX) / 2).saturating_sub(SPARE_PAIRS + 200);
    let has_ports = |calls: usize| {
        let ports = u16::try_from(2 * (calls + SPARE_PAIRS)).unwrap_or(u16::MAX);
        free_range(Ipv4Addr::LOCALHOST.into(), ports).is_ok()
    };
    let mut calls = wanted.min(described);
    while calls > 1_000 && !has_ports(calls) {
        calls -= calls / 10;
    }
    calls
}

/// Makes the calls; none has any audio, so that many can be held.
pub fn rounds(program: &Path, plan: &RoundPlan, say: &mut dyn FnMut(&str)) -> io::Result<Vec<Round>> {
    let folder = tempfile::tempdir()?;
    let mut switch_plan = SwitchPlan::new(program);
    switch_plan.port_pairs = u16::try_from(plan.calls + SPARE_PAIRS).unwrap_or(16_000).min(16_000);
    switch_plan.sip = format!("max_calls = {}", 2 * plan.calls);
    switch_plan.media = "media_timeout_s = 3600".into();
    let switch = Switch::start(folder.path(), &switch_plan)?;
    let pid = switch.part("signal").ok_or_else(|| io::Error::other("no signaling process"))?;
    let private_bytes = || usage::of_process(pid).map(|usage| usage.private_bytes);
    // An echo has nothing to send back to callers who are silent.
    let calls = |calls| CallPlan {
        user: "echo".into(),
        calls,
        rate: plan.rate,
        hold: plan.hold,
        limit: plan.calls,
        ..CallPlan::signaling(switch.sip)
    };
    let few = CallPlan { hold: Duration::from_secs(1), ..calls(50) };
    call(&few, &mut |_, _| {})?;
    for round in 0..plan.warm_up_count {
        say(&format!("warming up, round {} of {}", round + 1, plan.warm_up_count));
        call(&calls(plan.calls), &mut |_, _| {})?;
    }
    say("waiting for an idle switch");
    std::thread::sleep(FORGOTTEN_AFTER);
    let mut all = Vec::new();
    for round in 0..plan.round_count {
        let before_bytes = private_bytes()?;
        let (mut up_bytes, mut idle_bytes, mut up_since) = (0, 0, None);
        let report = call(&calls(plan.calls), &mut |ended, up| {
            say(&format!("round {} of {}: {up} calls up, {ended} ended", round + 1, plan.round_count));
            if up as usize == plan.calls
                && let Ok(bytes) = private_bytes()
            {
                let since = *up_since.get_or_insert(clock::now());
                up_bytes = up_bytes.max(bytes);
                if clock::now().since(since) >= FORGOTTEN_AFTER {
                    idle_bytes = bytes;
                }
            }
        })?;
        say("waiting for an idle switch");
        std::thread::sleep(plan.rest);
        let (calls, failed) = (report.up_max, report.failed_count());
        all.push(Round { calls, failed, before_bytes, up_bytes, idle_bytes, after_bytes: private_bytes()? });
    }
    Ok(all)
}
