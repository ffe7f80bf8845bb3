//! Memory of calls that are up, and what is left after many.

use super::run::{Through, Way, of_part};
use super::{AT_ONCE, B2buaBench};
use clock::Duration;
use loadtest::peers::{Sipp, SippPlan};
use serde::Serialize;
use std::io;

/// The budget: memory is back at the idle level this long after the last call.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// SIP forgets transactions after 64*T1, 32 s.
const TRANSACTIONS_GONE: Duration = Duration::from_secs(36);

/// Memory of calls that are up and quiet.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Idle {
    /// Calls through us: each is two sessions with a port each.
    pub calls: usize,
    /// Private memory of signaling for one session, once its transactions are forgotten, bytes.
    pub signal_bytes_per_session: f64,
    /// Private memory of media for one leg, bytes.
    pub media_bytes_per_leg: f64,
    /// Private memory that signaling has more than before, a minute after the last call, bytes.
    pub signal_bytes_left: i64,
    /// Private memory that media has more than before, bytes.
    pub media_bytes_left: i64,
}

/// What thousands of calls leave.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Churn {
    /// Calls that were made.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Sessions that are there a minute after the last call.
    pub sessions_left: u64,
    /// Ports that are taken then.
    pub ports_left: u64,
    /// Media legs that run then.
    pub legs_left: u64,
    /// Transactions that are remembered then.
    pub transactions_left: u64,
    /// Calls whose dialog never ended, legs that were never closed.
    pub forgotten: u64,
    /// What signaling has more than before the last half of the calls, bytes.
    pub signal_bytes_left: i64,
    /// What media has more than before.
    pub media_bytes_left: i64,
}

impl B2buaBench {
    pub(super) fn idle(&self) -> io::Result<Idle> {
        let folder = tempfile::tempdir()?;
        let way = Way::prepare(folder.path(), &self.program, Through::Ringplane, self.held)?;
        let switch = way.switch()?;
        let calls = self.held as u32;
        // Memory that any call needs once.
        let few = SippPlan { rate: 100, calls: 50, ..SippPlan::default() };
        Sipp::start(folder.path(), "few", Some(switch.sip), &few)?.finish(Duration::from_secs(60))?;
        sleep(TRANSACTIONS_GONE);
        let read = || -> io::Result<(f64, f64)> {
            let bytes = |name| of_part(switch, name).map(|usage| usage.private_bytes as f64);
            Ok((bytes("signal")?, bytes("media")?))
        };
        let before = read()?;
        let rate = 200;
        let up_within = Duration::from_secs(u64::from(calls / rate) + 2);
        let hold = up_within + TRANSACTIONS_GONE + Duration::from_secs(10);
        let plan = SippPlan { rate, calls, limit: calls, hold, ..SippPlan::default() };
        let uac = Sipp::start(folder.path(), "held", Some(switch.sip), &plan)?;
        sleep(up_within + TRANSACTIONS_GONE);
        let sessions = switch.counter("calls_active")?;
        if sessions != 2 * u64::from(calls) {
            return Err(io::Error::other(format!("{sessions} sessions are up instead of {}", 2 * calls)));
        }
        let up = read()?;
        uac.finish(hold + Duration::from_secs(90))?;
        sleep(IDLE_AFTER);
        let after = read()?;
        Ok(Idle {
            calls: self.held,
            signal_bytes_per_session: (up.0 - before.0) / sessions as f64,
            media_bytes_per_leg: (up.1 - before.1) / sessions as f64,
            signal_bytes_left: (after.0 - before.0) as i64,
            media_bytes_left: (after.1 - before.1) as i64,
        })
    }

    pub(super) fn leave_nothing(&self) -> io::Result<Churn> {
        let folder = tempfile::tempdir()?;
        let way = Way::prepare(folder.path(), &self.program, Through::Ringplane, AT_ONCE)?;
        let switch = way.switch()?;
        let read = || -> io::Result<(i64, i64)> {
            let bytes = |name| of_part(switch, name).map(|usage| usage.private_bytes as i64);
            Ok((bytes("signal")?, bytes("media")?))
        };
        let mut failed = 0;
        let mut halves = |name: &str| -> io::Result<(i64, i64)> {
            let plan = SippPlan { rate: self.rate, calls: self.churn / 2, ..SippPlan::default() };
            let limit = Duration::from_secs(u64::from(plan.calls / plan.rate.max(1)) + 90);
            let result = Sipp::start(folder.path(), name, Some(switch.sip), &plan)?.finish(limit)?;
            failed += result.count("FailedCall");
            sleep(IDLE_AFTER);
            read()
        };
        // The first half makes room for as many calls at once as there are; the second must need no more.
        let (before, after) = (halves("first")?, halves("second")?);
        let counter = |name| switch.counter(name);
        Ok(Churn {
            calls: u64::from(self.churn / 2 * 2),
            failed,
            sessions_left: counter("calls_active")?,
            ports_left: counter("ports_in_use")?,
            legs_left: counter("legs_open")?,
            transactions_left: counter("transactions_open")?,
            forgotten: counter("dialogs_never_ended")? + counter("legs_never_closed")?,
            signal_bytes_left: after.0 - before.0,
            media_bytes_left: after.1 - before.1,
        })
    }
}

fn sleep(time: Duration) {
    std::thread::sleep(time);
}

impl Idle {
    pub(super) fn to_text(self) -> String {
        format!(
            "memory of {} calls: {:.0} bytes a session in signaling, {:.0} bytes a leg in media; left a minute later: {} KB and {} KB\n",
            self.calls,
            self.signal_bytes_per_session,
            self.media_bytes_per_leg,
            self.signal_bytes_left / 1_024,
            self.media_bytes_left / 1_024
        )
    }
}

impl Churn {
    pub(super) fn to_text(self) -> String {
        format!(
            "{} calls, {} failed; a minute later {} sessions, {} ports, {} legs, {} transactions, {} forgotten; the second half left {} KB and {} KB\n",
            self.calls,
            self.failed,
            self.sessions_left,
            self.ports_left,
            self.legs_left,
            self.transactions_left,
            self.forgotten,
            self.signal_bytes_left / 1_024,
            self.media_bytes_left / 1_024
        )
    }
}
