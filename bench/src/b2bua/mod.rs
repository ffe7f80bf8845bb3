//! Calls through the back-to-back user agent, with media ports on both sides: CPU of a call, what is sent again, time to
//! the answer, memory, and what is left after thousands. Beside the same calls straight, and through Kamailio.

mod memory;
mod run;

pub use memory::{Churn, Idle};
pub use run::{Load, Through};

use crate::host::Host;
use crate::media::progress;
use crate::plot::{Line, lines};
use crate::results::{median, write_json};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::relay::Percentiles;
use run::Way;
use serde::Serialize;
use std::io;
use std::path::PathBuf;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct B2buaBench {
    /// Calls a second of the CPU comparison.
    pub rate: u32,
    /// Calls a second that SIPp makes with SIPp behind, to see what breaks first.
    pub load_rates: Vec<u32>,
    /// Calls a second at which the time to the answer is measured.
    pub latency_rates: Vec<u32>,
    /// What the calls go through.
    pub through: Vec<Through>,
    /// Calls held at once to measure their memory; 0: not measured.
    pub held: usize,
    /// Calls one after the other that have to leave nothing; 0: not measured.
    pub churn: u32,
    /// Seconds of one run.
    pub seconds: u32,
    /// Rounds of the CPU comparison.
    pub rounds: usize,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// Calls without a length that may be there at once, also where they pile up for a second.
const AT_ONCE: usize = 2_000;

/// Time to the answer at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerTime {
    /// What the calls went through.
    pub through: Through,
    /// Calls a second.
    pub rate: u32,
    /// Calls that completed.
    pub completed: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Requests sent again.
    pub retransmissions: u64,
    /// INVITE to 200, by the caller's clock.
    pub invite_to_200: Percentiles,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct B2buaResult {
    host: Host,
    rate: u32,
    /// Median CPU of a call in signaling, microseconds.
    pub signal_us_per_call: f64,
    /// Calls a second that one signaling core could carry by that.
    pub calls_per_core_second: f64,
    /// Median CPU of a call over that of Kamailio as a stateful proxy; 0: not measured.
    pub ratio_to_kamailio: f64,
    /// Every run of the comparison.
    pub cpu: Vec<Load>,
    /// By rate.
    pub load: Vec<Load>,
    /// By rate.
    pub answer_times: Vec<AnswerTime>,
    /// With many calls up.
    pub idle: Option<Idle>,
    /// After thousands of calls.
    pub churn: Option<Churn>,
}

impl B2buaBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<B2buaResult> {
        let ways = self.through.len();
        let more = usize::from(self.held > 0) + usize::from(self.churn > 0);
        let bar = progress(ways * (self.rounds + self.latency_rates.len()) + self.load_rates.len() + more);
        let mut cpu = Vec::new();
        for round in 0..self.rounds {
            for at in 0..ways {
                // Who comes first changes.
                let through = self.through[(round + at) % ways];
                bar.set_message(format!("{} calls/s {through}, round {}", self.rate, round + 1));
                cpu.push(self.load(through, self.rate)?);
                bar.inc(1);
            }
        }
        let mut load = Vec::new();
        for &rate in &self.load_rates {
            bar.set_message(format!("{rate} calls/s"));
            load.push(self.load(Through::Ringplane, rate)?);
            bar.inc(1);
        }
        let mut answer_times = Vec::new();
        for &through in &self.through {
            for &rate in &self.latency_rates {
                bar.set_message(format!("time to the answer at {rate} calls/s {through}"));
                answer_times.push(self.answer_time(through, rate)?);
                bar.inc(1);
            }
        }
        bar.set_message(format!("memory of {} calls, then {} calls", self.held, self.churn));
        let idle = (self.held > 0).then(|| self.idle()).transpose()?;
        let churn = (self.churn > 0).then(|| self.leave_nothing()).transpose()?;
        bar.finish_and_clear();
        let of = |through| median(cpu.iter().filter(|run| run.through == through).map(|run| run.signal_us_per_call));
        let (ours, theirs) = (of(Through::Ringplane), of(Through::Kamailio));
        let result = B2buaResult {
            host: Host::read(),
            rate: self.rate,
            signal_us_per_call: ours,
            calls_per_core_second: if ours > 0.0 { 1e6 / ours } else { 0.0 },
            ratio_to_kamailio: if theirs > 0.0 { ours / theirs } else { 0.0 },
            cpu,
            load,
            answer_times,
            idle,
            churn,
        };
        write_json(&self.folder, "b2bua", &result)?;
        result.draw(&self.folder.join("b2bua.svg"))?;
        Ok(result)
    }

    fn load(&self, through: Through, rate: u32) -> io::Result<Load> {
        let folder = tempfile::tempdir()?;
        Way::prepare(folder.path(), &self.program, through, AT_ONCE)?.load(folder.path(), rate, rate * self.seconds)
    }

    fn answer_time(&self, through: Through, rate: u32) -> io::Result<AnswerTime> {
        let folder = tempfile::tempdir()?;
        let way = Way::prepare(folder.path(), &self.program, through, AT_ONCE)?;
        let calls = (rate * self.seconds) as usize;
        let hold = Duration::from_millis(200);
        let plan =
            CallPlan { rate: f64::from(rate), calls, hold, user: "service".into(), ..CallPlan::signaling(way.entry()) };
        let report = call(&plan, &mut |_, _| {})?;
        Ok(AnswerTime {
            through,
            rate,
            completed: report.completed,
            failed: report.failed_count(),
            retransmissions: report.retransmissions,
            invite_to_200: report.set_up(),
        })
    }
}

impl B2buaResult {
    fn draw(&self, path: &std::path::Path) -> io::Result<()> {
        let mut all: Vec<Line> = Vec::new();
        let mut done: Vec<Through> = Vec::new();
        for at in &self.answer_times {
            if done.contains(&at.through) {
                continue;
            }
            done.push(at.through);
            let points = |read: fn(&Percentiles) -> f64| {
                let ours = self.answer_times.iter().filter(|other| other.through == at.through);
                ours.map(|at| (f64::from(at.rate), read(&at.invite_to_200) / 1e3)).collect()
            };
            all.push((format!("{} p50", at.through), points(|times| times.p50_us)));
            all.push((format!("{} p99", at.through), points(|times| times.p99_us)));
        }
        lines(path, "INVITE to 200 with SIPp answering", "calls a second", "ms", &all)
    }

    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:<10} {:>8} {:>10} {:>8} {:>8} {:>14} {:>14} {:>6}\n",
            "through", "calls/s", "succeeded", "failed", "resent", "signal us/call", "media us/call", "load"
        );
        for run in self.cpu.iter().chain(&self.load) {
            text += &format!(
                "{:<10} {:>8} {:>10} {:>8} {:>8} {:>14.1} {:>14.1} {:>6.1}\n",
                run.through.to_string(),
                run.rate,
                run.succeeded,
                run.failed,
                run.resent(),
                run.signal_us_per_call,
                run.media_us_per_call,
                run.load_average_before
            );
        }
        text += &format!(
            "median at {} calls/s: {:.1} us of signaling a call, {:.0} calls/s on one core, {:.2} of Kamailio\n",
            self.rate, self.signal_us_per_call, self.calls_per_core_second, self.ratio_to_kamailio
        );
        for at in &self.answer_times {
            let times = &at.invite_to_200;
            text += &format!(
                "INVITE to 200 {} at {} calls/s: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us; {} completed, {} failed, {} resent\n",
                at.through,
                at.rate,
                times.p50_us,
                times.p99_us,
                times.p999_us,
                at.completed,
                at.failed,
                at.retransmissions
            );
        }
        text += &self.idle.map_or(String::new(), |idle| idle.to_text());
        text + &self.churn.map_or(String::new(), |churn| churn.to_text())
    }
}
