//! How late the frames go out that the media plane makes itself, by its own account and by a receiver's.

use crate::host::Host;
use crate::results::write_json;
use clock::Duration;
use contract::Source;
use loadtest::media::{Expect, StreamSpec, Traffic, TrafficConfig};
use loadtest::peers::{MediaPlane, leg_towards};
use loadtest::relay::Percentiles;
use loadtest::usage;
use serde::Serialize;
use shm::LatencySnapshot;
use stats::MediaCounter;
use std::io;
use std::path::PathBuf;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct PacingBench {
    /// Streams of a 440 Hz tone.
    pub streams: usize,
    /// Measured time.
    pub seconds: u64,
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
pub struct Pacing {
    host: Host,
    streams: usize,
    seconds: u64,
    /// Frames made in the measured time.
    pub frames: u64,
    /// Frames that were not made because the worker was late.
    pub skipped: u64,
    /// Lateness by the media plane's own histogram.
    pub own: Percentiles,
    /// Distance of two packets from 20 ms, as a receiver sees it: the gap itself, microseconds.
    pub gap: Percentiles,
    /// Packets that the receiver missed.
    pub holes: u64,
    /// CPU of the media process for a frame, microseconds.
    pub cpu_us_per_frame: f64,
}

impl PacingBench {
    /// Runs the measurement and writes its results.
    pub fn run(&self) -> io::Result<Pacing> {
        let folder = tempfile::tempdir()?;
        let mut plane = MediaPlane::start(folder.path(), &self.program, self.workers, self.streams, &self.media)?;
        let mut traffic = Traffic::start(TrafficConfig::default())?;
        for n in 0..self.streams {
            let socket = n % traffic.sockets(0).len();
            let here = traffic.sockets(0)[socket];
            let worker = plane.next_worker();
            let leg = plane.take_port(worker)?;
            let from = std::net::SocketAddr::new(here.ip(), leg.port.rtp);
            let spec = StreamSpec { socket, to: from, from, payload_type: 0, expect: Expect::Generated, sends: false };
            traffic.add(0, spec).ok_or_else(|| io::Error::other("too many streams for one generator thread"))?;
            plane.open(leg, leg_towards(here, Source::Tone440))?;
        }
        std::thread::sleep(Duration::from_secs(2));
        traffic.forget_histograms();
        let (before, from) = (lateness(&mut plane), usage::of_process(plane.pid())?);
        let (skipped, heard) = (skipped(&mut plane), traffic.totals().0);
        std::thread::sleep(Duration::from_secs(self.seconds));
        let (after, to) = (lateness(&mut plane), usage::of_process(plane.pid())?);
        let totals = traffic.totals().0;
        let own = after.since(&before);
        let frames = own.count();
        let result = Pacing {
            host: Host::read(),
            streams: self.streams,
            seconds: self.seconds,
            frames,
            skipped: self::skipped(&mut plane) - skipped,
            own: Percentiles::from(&own),
            gap: Percentiles::from(&totals.gap_ns),
            holes: totals.holes - heard.holes,
            cpu_us_per_frame: (to.cpu_ns - from.cpu_ns) as f64 / 1e3 / frames.max(1) as f64,
        };
        write_json(&self.folder, "pacing", &result)?;
        Ok(result)
    }
}

fn lateness(plane: &mut MediaPlane) -> LatencySnapshot {
    let region = plane.client().region();
    let mut workers = region.plan().workers().map(|worker| region.pacing_lateness(worker).read());
    let first = workers.next().expect("a media plane has a worker");
    workers.fold(first, |mut all, next| {
        all.merge(&next);
        all
    })
}

fn skipped(plane: &mut MediaPlane) -> u64 {
    let region = plane.client().region();
    region.plan().workers().map(|worker| region.media_counters(worker).read().get(MediaCounter::FramesSkipped)).sum()
}

impl Pacing {
    /// The results as text for a terminal.
    pub fn to_text(&self) -> String {
        let line = |name: &str, p: &Percentiles| {
            format!(
                "{name:<28} p50 {:>9.1}  p99 {:>9.1}  p99.9 {:>9.1}  max {:>9.1} us\n",
                p.p50_us, p.p99_us, p.p999_us, p.max_us
            )
        };
        format!(
            "{} streams, {} frames in {} s, {} skipped, {} missing at the receiver, {:.2} us of CPU a frame\n{}{}",
            self.streams,
            self.frames,
            self.seconds,
            self.skipped,
            self.holes,
            self.cpu_us_per_frame,
            line("late, by its own account", &self.own),
            line("gap, at the receiver", &self.gap)
        )
    }
}
