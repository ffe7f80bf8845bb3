//! How fast legs come and go: opened and closed through the queues, as signaling does it.

use crate::host::Host;
use crate::media::progress;
use crate::results::{median, write_json};
use clock::Duration;
use contract::{LegSpec, Source};
use hdrhistogram::Histogram;
use loadtest::peers::{IN_FLIGHT, MediaPlane, OwnLeg, leg_towards};
use loadtest::relay::Percentiles;
use loadtest::usage;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct LegsBench {
    /// Legs open at once.
    pub legs: usize,
    /// How often all are opened and closed.
    pub rounds: usize,
    /// Media workers.
    pub workers: usize,
    /// Further lines for `[media]`.
    pub media: String,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct Legs {
    host: Host,
    load_average: f64,
    legs: usize,
    workers: usize,
    in_flight: usize,
    /// Legs opened a second, many commands on their way: median of the rounds.
    pub opened_per_second: f64,
    /// Legs closed a second, likewise.
    pub closed_per_second: f64,
    /// CPU of the media process for one leg, opened and closed, microseconds: median of the rounds.
    pub cpu_us_per_leg: f64,
    /// From one open command to its answer, nothing else on its way.
    pub open_alone: Percentiles,
    /// From one close command to its answer, nothing else on its way.
    pub close_alone: Percentiles,
    /// From the start of the process, ports bound ahead, to the first command.
    pub start_ms: f64,
    /// Memory with some of the legs open, and with all.
    pub memory: Vec<LegMemory>,
}

/// Memory of the media process with legs open.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LegMemory {
    /// How many.
    pub legs: usize,
    /// Resident memory, less that before the first leg, by leg, bytes.
    pub resident_bytes_per_leg: f64,
}

/// Legs with which memory is read, beside all.
const SOME: usize = 1_000;
/// Every leg's row is published once a second.
const ROWS_PUBLISHED: Duration = Duration::from_millis(1_500);
/// Legs that are opened and closed one by one.
const ALONE: usize = 2_000;

impl LegsBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<Legs> {
        let folder = tempfile::tempdir()?;
        let load_average = usage::load_average();
        let from = clock::now();
        let mut plane = MediaPlane::start(folder.path(), &self.program, self.workers, self.legs, &self.media)?;
        let start_ms = clock::now().since(from).as_secs_f64() * 1e3;
        let bar = progress(self.rounds + 2);
        bar.set_message("memory");
        let memory = self.memory(&mut plane)?;
        bar.inc(1);
        let (mut opened, mut closed, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..self.rounds {
            bar.set_message(format!("{} legs, round {}", self.legs, round + 1));
            let (open_rate, close_rate, cpu_us) = self.round(&mut plane)?;
            opened.push(open_rate);
            closed.push(close_rate);
            cpu.push(cpu_us);
            bar.inc(1);
        }
        bar.set_message("one by one");
        let (open_alone, close_alone) = one_by_one(&mut plane)?;
        bar.finish_and_clear();
        let result = Legs {
            host: Host::read(),
            load_average,
            legs: self.legs,
            workers: self.workers,
            in_flight: IN_FLIGHT,
            opened_per_second: median(opened),
            closed_per_second: median(closed),
            cpu_us_per_leg: median(cpu),
            open_alone: Percentiles::from(&open_alone),
            close_alone: Percentiles::from(&close_alone),
            start_ms,
            memory,
        };
        write_json(&self.folder, "legs", &result)?;
        Ok(result)
    }

    /// Before anything else, while the process has the memory of its start.
    fn memory(&self, plane: &mut MediaPlane) -> io::Result<Vec<LegMemory>> {
        let before = usage::of_process(plane.pid())?.resident_bytes;
        let (mut own, mut memory) = (Vec::with_capacity(self.legs), Vec::new());
        for legs in [SOME.min(self.legs), self.legs] {
            let more = self.take_legs(plane, legs - own.len())?;
            plane.open_all(&more)?;
            own.extend(more.iter().map(|(leg, _)| *leg));
            std::thread::sleep(ROWS_PUBLISHED);
            let grown = usage::of_process(plane.pid())?.resident_bytes.saturating_sub(before);
            memory.push(LegMemory { legs, resident_bytes_per_leg: grown as f64 / legs.max(1) as f64 });
        }
        plane.close_all(&own)?;
        Ok(memory)
    }

    fn take_legs(&self, plane: &mut MediaPlane, count: usize) -> io::Result<Vec<(OwnLeg, LegSpec)>> {
        (0..count)
            .map(|_| {
                let worker = plane.next_worker();
                Ok((plane.take_port(worker)?, spec()))
            })
            .collect()
    }

    fn round(&self, plane: &mut MediaPlane) -> io::Result<(f64, f64, f64)> {
        let legs = self.take_legs(plane, self.legs)?;
        let own: Vec<OwnLeg> = legs.iter().map(|(leg, _)| *leg).collect();
        let (cpu_from, from) = (usage::of_process(plane.pid())?.cpu_ns, clock::now());
        plane.open_all(&legs)?;
        let open = clock::now().since(from).as_secs_f64();
        let from = clock::now();
        plane.close_all(&own)?;
        let close = clock::now().since(from).as_secs_f64();
        let cpu_ns = usage::of_process(plane.pid())?.cpu_ns - cpu_from;
        let count = self.legs as f64;
        Ok((count / open, count / close, cpu_ns as f64 / 1e3 / count))
    }
}

/// A leg that sends nothing by itself, towards nobody.
fn spec() -> LegSpec {
    leg_towards(SocketAddr::from(([127, 0, 0, 1], 9)), Source::None)
}

fn one_by_one(plane: &mut MediaPlane) -> io::Result<(Histogram<u64>, Histogram<u64>)> {
    let histogram = || Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds are in order");
    let (mut open, mut close): (Histogram<u64>, Histogram<u64>) = (histogram(), histogram());
    let ns = |time: Duration| time.as_nanos() as u64;
    for _ in 0..ALONE {
        let worker = plane.next_worker();
        let leg = plane.take_port(worker)?;
        let from = clock::now();
        plane.open(leg, spec())?;
        let opened = clock::now();
        plane.close(leg)?;
        open.saturating_record(ns(opened.since(from)));
        close.saturating_record(ns(clock::now().since(opened)));
    }
    Ok((open, close))
}

impl Legs {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let line = |name: &str, p: &Percentiles| {
            format!("{name:<28} p50 {:>7.1}  p99 {:>7.1}  p99.9 {:>7.1} us\n", p.p50_us, p.p99_us, p.p999_us)
        };
        format!(
            "{} legs on {} workers, {} commands on their way: {:.0} opened/s, {:.0} closed/s, {:.1} us of CPU a leg\n{}{}{}\
             ready {:.0} ms after its start; load average before: {:.1}\n",
            self.legs,
            self.workers,
            self.in_flight,
            self.opened_per_second,
            self.closed_per_second,
            self.cpu_us_per_leg,
            line("open to answer, alone", &self.open_alone),
            line("close to answer, alone", &self.close_alone),
            self.memory
                .iter()
                .map(|memory| {
                    let kb = memory.resident_bytes_per_leg / 1_024.0;
                    format!("resident memory with {:>6} legs {kb:>7.2} KB/leg\n", memory.legs)
                })
                .collect::<String>(),
            self.start_ms,
            self.load_average
        )
    }
}
