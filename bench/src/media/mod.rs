//! Two-way calls through ringplane and through rtpengine, alternating, with the same generator.

mod rows;

pub use rows::{Row, table};

use crate::host::Host;
use crate::plot;
use crate::results::write_json;
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
                    // After each: a run that fails later takes nothing away.
                    self.write(&rows::rows(&runs), &runs)?;
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Ok(rows::rows(&runs))
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
        let cores: Vec<_> = names.iter().map(|name| line(name, |row| row.relay_cores)).collect();
        plot::lines(
            &self.folder.join("media-cores.svg"),
            "Cores that the relay uses",
            "two-way calls",
            "cores",
            &cores,
        )?;
        let mut latency: Vec<_> = names.iter().map(|name| line(name, |row| row.added.p50_us)).collect();
        latency.iter_mut().for_each(|(name, _)| name.push_str(" p50"));
        for name in &names {
            let (name, points) = line(name, |row| row.added.p99_us);
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
