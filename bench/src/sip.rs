//! Answered calls beside SIPp's own UAS: CPU of a call, time to the answer, memory of a call.

use crate::host::Host;
use crate::media::progress;
use crate::results::{median, write_json};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::peers::{Process, Scenario, Sipp, SippPlan, Switch, SwitchPlan};
use loadtest::relay::Percentiles;
use loadtest::usage;
use serde::Serialize;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct SipBench {
    /// Calls a second of the CPU comparison.
    pub rate: u32,
    /// Calls a second at which the time to the answer is measured.
    pub latency_rates: Vec<u32>,
    /// Calls held at once to measure their memory.
    pub held: usize,
    /// Seconds of one run.
    pub seconds: u32,
    /// Rounds.
    pub rounds: usize,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// The budget: memory is back at the idle level this long after the last call.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// Room for calls of 200 ms at several thousand a second, and no more ports than a busy host has in a row.
const MOST_UP: usize = 2_500;

/// CPU of one run.
#[derive(Clone, Debug, Serialize)]
pub struct CpuRun {
    /// Who answered.
    pub server: &'static str,
    /// Processes that ran or wanted to, averaged over the minute before.
    pub load_average_before: f64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Requests that SIPp had to send again.
    pub retransmissions: u64,
    /// CPU of signaling (or of SIPp's UAS) for an answered call, microseconds.
    pub signal_us_per_call: f64,
    /// CPU of the media process for an answered call, microseconds.
    pub media_us_per_call: f64,
}

/// Time to the answer at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerTime {
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

/// Memory of calls that are up.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Calls held.
    pub calls: usize,
    /// Resident bytes of a call in signaling.
    pub signal_bytes_per_call: f64,
    /// In media.
    pub media_bytes_per_call: f64,
    /// What signaling has more than before, a minute after the last call.
    pub signal_bytes_left: i64,
    /// What media has more than before.
    pub media_bytes_left: i64,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct SipResult {
    host: Host,
    rate: u32,
    /// Median CPU of a call in ringplane's signaling over that of SIPp's UAS.
    pub ratio: f64,
    /// Every run.
    pub cpu: Vec<CpuRun>,
    /// By rate.
    pub answer_times: Vec<AnswerTime>,
    /// With many calls up.
    pub memory: Memory,
}

impl SipBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<SipResult> {
        let bar = progress(2 * self.rounds + self.latency_rates.len() + 1);
        let mut cpu = Vec::new();
        for round in 0..self.rounds {
            for at in 0..2 {
                bar.set_message(format!("{} calls/s, round {}", self.rate, round + 1));
                cpu.push(if (round + at) % 2 == 0 { self.cpu_of_switch()? } else { self.cpu_of_sipp()? });
                bar.inc(1);
            }
        }
        let mut answer_times = Vec::new();
        for &rate in &self.latency_rates {
            bar.set_message(format!("time to the answer at {rate} calls/s"));
            answer_times.push(self.answer_time(rate)?);
            bar.inc(1);
        }
        bar.set_message(format!("memory of {} calls", self.held));
        let memory = self.memory()?;
        bar.finish_and_clear();
        let of = |server| median(cpu.iter().filter(|run| run.server == server).map(|run| run.signal_us_per_call));
        let ratio = of("ringplane") / of("sipp").max(1e-9);
        let result = SipResult { host: Host::read(), rate: self.rate, ratio, cpu, answer_times, memory };
        write_json(&self.folder, "sip", &result)?;
        Ok(result)
    }

    fn switch(&self, folder: &Path, calls: usize) -> io::Result<Switch> {
        let mut plan = SwitchPlan::new(&self.program);
        plan.port_pairs = u16::try_from(calls * 3 / 2 + 100).unwrap_or(20_000).min(20_000);
        plan.sip = format!("max_calls = {}", 2 * calls);
        plan.media = "media_timeout_s = 600".into();
        Switch::start(folder, &plan)
    }

    fn cpu_of_switch(&self) -> io::Result<CpuRun> {
        let folder = tempfile::tempdir()?;
        let switch = self.switch(folder.path(), MOST_UP)?;
        let missing = || io::Error::other("a part of the switch is not there");
        let (signal, media) = (switch.part("signal").ok_or_else(missing)?, switch.part("media").ok_or_else(missing)?);
        self.cpu_of("ringplane", folder.path(), switch.sip, signal, Some(media))
    }

    fn cpu_of_sipp(&self) -> io::Result<CpuRun> {
        let folder = tempfile::tempdir()?;
        let plan = SippPlan { scenario: Scenario::BuiltIn("uas"), ..SippPlan::default() };
        let mut uas = Sipp::start(folder.path(), "uas", None, &plan)?;
        let to = uas.address;
        let listens = |_: &Process| UdpSocket::bind(to).is_err().then_some(());
        uas.process().ready(Duration::from_secs(10), listens)?;
        let pid = uas.process().pid();
        self.cpu_of("sipp", folder.path(), to, pid, None)
    }

    fn cpu_of(
        &self,
        server: &'static str,
        folder: &Path,
        to: SocketAddr,
        signal: u32,
        media: Option<u32>,
    ) -> io::Result<CpuRun> {
        let read = || -> io::Result<(u64, u64)> {
            let media = media.map(usage::of_process).transpose()?.unwrap_or_default();
            Ok((usage::of_process(signal)?.cpu_ns, media.cpu_ns))
        };
        let load_average_before = usage::load_average();
        let before = read()?;
        let plan = SippPlan { rate: self.rate, calls: self.rate * self.seconds, ..SippPlan::default() };
        let uac = Sipp::start(folder, "uac", Some(to), &plan)?;
        let result = uac.finish(Duration::from_secs(u64::from(self.seconds) + 60))?;
        let after = read()?;
        let succeeded = result.count("SuccessfulCall");
        let us_per_call = |ns: u64| ns as f64 / 1e3 / succeeded.max(1) as f64;
        Ok(CpuRun {
            server,
            load_average_before,
            succeeded,
            failed: result.count("FailedCall"),
            retransmissions: result.count("Retransmissions"),
            signal_us_per_call: us_per_call(after.0 - before.0),
            media_us_per_call: us_per_call(after.1 - before.1),
        })
    }

    fn answer_time(&self, rate: u32) -> io::Result<AnswerTime> {
        let folder = tempfile::tempdir()?;
        let switch = self.switch(folder.path(), MOST_UP)?;
        let calls = (rate * self.seconds) as usize;
        let plan = CallPlan {
            rate: f64::from(rate),
            calls,
            hold: Duration::from_millis(200),
            ..CallPlan::signaling(switch.sip)
        };
        let report = call(&plan, &mut |_, _| {})?;
        Ok(AnswerTime {
            rate,
            completed: report.completed,
            failed: report.failed_count(),
            retransmissions: report.retransmissions,
            invite_to_200: report.set_up(),
        })
    }

    fn memory(&self) -> io::Result<Memory> {
        let folder = tempfile::tempdir()?;
        let switch = self.switch(folder.path(), self.held)?;
        let read = |name: &str| {
            let pid = switch.part(name).ok_or_else(|| io::Error::other(format!("no {name} process")))?;
            usage::of_process(pid).map(|usage| usage.resident_bytes as f64)
        };
        // Code and buffers that any call touches are not a call's memory.
        let few = CallPlan { calls: 20, rate: 100.0, ..CallPlan::tone(switch.sip) };
        call(&few, &mut |_, _| {})?;
        let before = (read("signal")?, read("media")?);
        let calls = self.held;
        let up_within = 5.0;
        let plan = CallPlan {
            calls,
            rate: calls as f64 / up_within,
            hold: Duration::from_secs_f64(up_within + 3.0),
            ..CallPlan::tone(switch.sip)
        };
        let mut most = before;
        call(&plan, &mut |_, up| {
            if up as usize == calls
                && let (Ok(signal), Ok(media)) = (read("signal"), read("media"))
            {
                most = (most.0.max(signal), most.1.max(media));
            }
        })?;
        std::thread::sleep(IDLE_AFTER);
        let after = (read("signal")?, read("media")?);
        Ok(Memory {
            calls,
            signal_bytes_per_call: (most.0 - before.0) / calls as f64,
            media_bytes_per_call: (most.1 - before.1) / calls as f64,
            signal_bytes_left: (after.0 - before.0) as i64,
            media_bytes_left: (after.1 - before.1) as i64,
        })
    }
}

impl SipResult {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:<10} {:>10} {:>8} {:>8} {:>14} {:>14} {:>6}\n",
            "server", "succeeded", "failed", "resent", "signal us/call", "media us/call", "load"
        );
        for run in &self.cpu {
            text += &format!(
                "{:<10} {:>10} {:>8} {:>8} {:>14.1} {:>14.1} {:>6.1}\n",
                run.server,
                run.succeeded,
                run.failed,
                run.retransmissions,
                run.signal_us_per_call,
                run.media_us_per_call,
                run.load_average_before
            );
        }
        text += &format!("ratio of the medians at {} calls/s: {:.2}\n", self.rate, self.ratio);
        for at in &self.answer_times {
            text += &format!(
                "INVITE to 200 at {} calls/s: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us; {} completed, {} failed, {} resent\n",
                at.rate,
                at.invite_to_200.p50_us,
                at.invite_to_200.p99_us,
                at.invite_to_200.p999_us,
                at.completed,
                at.failed,
                at.retransmissions
            );
        }
        let memory = &self.memory;
        text + &format!(
            "memory of {} calls with tone: {:.1} KB a call in signaling, {:.1} KB in media; left a minute later: {} KB and {} KB\n",
            memory.calls,
            memory.signal_bytes_per_call / 1_024.0,
            memory.media_bytes_per_call / 1_024.0,
            memory.signal_bytes_left / 1_024,
            memory.media_bytes_left / 1_024
        )
    }
}
