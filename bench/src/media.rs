//! Two-way calls through ringplane and through rtpengine, alternating, with the same generator.

use crate::host::Host;
use crate::plot;
use crate::results::{median, write_json};
use clock::Duration;
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::media::TrafficConfig;
use loadtest::peers::{MediaPlane, RtpEngine};
use loadtest::relay::{Relay, RelayRun, RunConfig, Straight, ThroughMediaPlane, ThroughRtpEngine, run};
use serde::Serialize;
use std::io;
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Debug)]
pub struct MediaBench {
    /// Numbers of calls.
    pub calls: Vec<usize>,
    /// How often each is measured.
    pub rounds: usize,
    /// Measured time of one run.
    pub seconds: u64,
    /// What calls go through, by name.
    pub through: Vec<Through>,
    /// Worker threads of each relay.
    pub workers: usize,
    /// How the generator works.
    pub traffic: TrafficConfig,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Further lines for its `[media]`, such as `wait = "busy"`.
    pub media: String,
    /// Where results go.
    pub folder: PathBuf,
}

/// What a call goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
pub enum Through {
    /// Nothing: what the generator and the kernel cost alone.
    Straight,
    /// rtpengine in userspace.
    Rtpengine,
    /// ringplane's media process.
    Ringplane,
}

impl Through {
    fn start(self, bench: &MediaBench, calls: usize, folder: &std::path::Path) -> io::Result<Box<dyn Relay>> {
        Ok(match self {
            Self::Straight => Box::new(Straight),
            Self::Ringplane => {
                let plane = MediaPlane::start(folder, &bench.program, bench.workers, 2 * calls, &bench.media)?;
                Box::new(ThroughMediaPlane::new(plane))
            }
            Self::Rtpengine => Box::new(ThroughRtpEngine::new(RtpEngine::start(folder, bench.workers, calls)?)),
        })
    }
}

/// One number of calls through one relay: the medians of its rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the calls went through.
    pub through: &'static str,
    /// Two-way calls.
    pub calls: usize,
    /// CPU of the relay for a relayed packet, microseconds.
    pub cpu_us_per_packet: f64,
    /// The same for the whole host.
    pub host_us_per_packet: f64,
    /// Busy part of the host.
    pub host_busy: f64,
    /// Latency added to the straight way's, microseconds, where that was measured too; else the whole latency.
    pub added_p50_us: f64,
    /// Likewise.
    pub added_p99_us: f64,
    /// Likewise.
    pub added_p999_us: f64,
    /// Packets lost in all rounds, of how many.
    pub lost: u64,
    /// Packets sent in all rounds.
    pub sent: u64,
    /// Rounds in which a packet came changed, twice, out of order, or from elsewhere.
    pub unclean_rounds: usize,
    /// Memory of one call in the relay, bytes.
    pub memory_bytes_per_call: f64,
    /// Calls set up a second.
    pub set_up_per_second: f64,
    /// CPU of this relay over that of rtpengine with as many calls, where both were measured.
    pub ratio_to_rtpengine: Option<f64>,
}

#[derive(Serialize)]
struct Report<'a> {
    host: Host,
    workers: usize,
    seconds: u64,
    rounds: usize,
    slot_us: u128,
    rows: &'a [Row],
    runs: &'a [RelayRun],
}

impl MediaBench {
    /// Measures everything, prints nothing but progress; results are in the folder, rows are returned.
    pub fn run(&self) -> io::Result<Vec<Row>> {
        let bar = progress(self.calls.len() * self.rounds * self.through.len());
        let mut runs = Vec::new();
        for &calls in &self.calls {
            for round in 0..self.rounds {
                for at in 0..self.through.len() {
                    // Who comes first changes from round to round.
                    let through = self.through[(at + round) % self.through.len()];
                    bar.set_message(format!("{calls} calls, round {}, {through:?}", round + 1));
                    runs.push(self.one(through, calls)?);
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        let rows = rows(&runs);
        self.write(&rows, &runs)?;
        Ok(rows)
    }

    fn one(&self, through: Through, calls: usize) -> io::Result<RelayRun> {
        let folder = tempfile::tempdir()?;
        let mut relay = through.start(self, calls, folder.path())?;
        let config = RunConfig {
            calls,
            measure: Duration::from_secs(self.seconds),
            warm_up: Duration::from_secs(2),
            traffic: self.traffic,
        };
        run(relay.as_mut(), &config, &mut |_| {})
    }

    fn write(&self, rows: &[Row], runs: &[RelayRun]) -> io::Result<()> {
        let (workers, seconds, rounds) = (self.workers, self.seconds, self.rounds);
        let slot_us = self.traffic.slot.as_micros();
        let report = Report { host: Host::read(), workers, seconds, rounds, slot_us, rows, runs };
        write_json(&self.folder, "media", &report)?;
        let line = |name: &str, value: fn(&Row) -> f64| {
            let rows = rows.iter().filter(|row| row.through == name);
            (name.to_owned(), rows.map(|row| (row.calls as f64, value(row))).collect())
        };
        let relays: Vec<&str> = rows.iter().map(|row| row.through).filter(|name| *name != "straight").collect();
        let mut names: Vec<&str> = Vec::new();
        relays.into_iter().for_each(|name| {
            if !names.contains(&name) {
                names.push(name)
            }
        });
        let cpu: Vec<_> = names.iter().map(|name| line(name, |row| row.cpu_us_per_packet)).collect();
        let path = self.folder.join("media-cpu.svg");
        plot::lines(&path, "CPU of one relayed packet", "two-way calls", "microseconds", &cpu)?;
        let mut latency: Vec<_> = names.iter().map(|name| line(name, |row| row.added_p50_us)).collect();
        latency.iter_mut().for_each(|(name, _)| name.push_str(" p50"));
        for name in &names {
            let (name, points) = line(name, |row| row.added_p99_us);
            latency.push((name + " p99", points));
        }
        let path = self.folder.join("media-latency.svg");
        plot::lines(&path, "Latency added by the relay", "two-way calls", "microseconds", &latency)
    }
}

/// A progress bar that shows only on a terminal.
pub fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn rows(runs: &[RelayRun]) -> Vec<Row> {
    let mut keys: Vec<(usize, &'static str)> = Vec::new();
    for run in runs {
        if !keys.contains(&(run.calls, run.through)) {
            keys.push((run.calls, run.through));
        }
    }
    let of = |calls, through| runs.iter().filter(move |run| run.calls == calls && run.through == through);
    let medians = |calls, through, value: fn(&RelayRun) -> f64| median(of(calls, through).map(value));
    let mut rows: Vec<Row> = keys
        .iter()
        .map(|&(calls, through)| {
            let value = |value: fn(&RelayRun) -> f64| medians(calls, through, value);
            let added = |latency: fn(&RelayRun) -> f64| {
                let straight = if through == "straight" { 0.0 } else { medians(calls, "straight", latency) };
                value(latency) - straight
            };
            let rtpengine = medians(calls, "rtpengine", |run| run.cpu_us_per_packet);
            let cpu = value(|run| run.cpu_us_per_packet);
            Row {
                through,
                calls,
                cpu_us_per_packet: cpu,
                host_us_per_packet: value(|run| run.host_us_per_packet),
                host_busy: value(|run| run.host_busy),
                added_p50_us: added(|run| run.latency.p50_us),
                added_p99_us: added(|run| run.latency.p99_us),
                added_p999_us: added(|run| run.latency.p999_us),
                lost: of(calls, through).map(|run| run.lost).sum(),
                sent: of(calls, through).map(|run| run.totals.sent).sum(),
                unclean_rounds: of(calls, through).filter(|run| !run.is_clean() && run.lost == 0).count(),
                memory_bytes_per_call: value(|run| run.memory_bytes_per_call),
                set_up_per_second: value(|run| run.set_up_per_second),
                ratio_to_rtpengine: (rtpengine > 0.0 && through != "straight").then(|| cpu / rtpengine),
            }
        })
        .collect();
    rows.sort_by_key(|row| (row.calls, row.through));
    rows
}

/// The rows as a table for a terminal.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:>6} {:<10} {:>10} {:>10} {:>6} {:>9} {:>9} {:>9} {:>14} {:>9} {:>9} {:>7}\n",
        "calls",
        "through",
        "us/packet",
        "host us",
        "busy",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "lost/sent",
        "KB/call",
        "calls/s",
        "ratio"
    );
    for row in rows {
        let ratio = row.ratio_to_rtpengine.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        text += &format!(
            "{:>6} {:<10} {:>10.2} {:>10.2} {:>5.0}% {:>9.0} {:>9.0} {:>9.0} {:>14} {:>9.1} {:>9.0} {:>7}{}\n",
            row.calls,
            row.through,
            row.cpu_us_per_packet,
            row.host_us_per_packet,
            row.host_busy * 100.0,
            row.added_p50_us,
            row.added_p99_us,
            row.added_p999_us,
            format!("{}/{}", row.lost, row.sent),
            row.memory_bytes_per_call / 1_024.0,
            row.set_up_per_second,
            ratio,
            if row.unclean_rounds > 0 { "  packets changed, repeated or out of order: see the JSON" } else { "" },
        );
    }
    text
}
