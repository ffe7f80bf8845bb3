//! Calls between two codecs through ringplane and through rtpengine, alternating, with the same generator; what members of
//! rooms and recordings cost; the codecs alone.

mod coding;
mod factors;
mod recordings;
mod rooms;
mod through;
mod traffic;

pub use coding::Coding;
pub use factors::Factors;
pub use recordings::RecordingRow;
pub use rooms::RoomRow;

use crate::host::Host;
use crate::media::progress;
use crate::results::{median, write_json};
use clock::Duration;
use loadtest::peers::{MediaPlane, RtpEngine};
use loadtest::usage;
use recordings::LAYOUTS;
use rooms::SIZES;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use through::{Ringplane, Rtpengine, Transcodes};
use traffic::{Counts, Heard, Traffic};

/// The pairs of the budgets, and the most that ringplane may cost beside rtpengine.
const PAIRS: [([Coding; 2], f64); 3] =
    [([Coding::Pcmu, Coding::Pcma], 0.15), ([Coding::Pcmu, Coding::G722], 0.35), ([Coding::Pcmu, Coding::Opus], 0.8)];

/// What is measured.
#[derive(Clone, Debug)]
pub struct AudioBench {
    /// Two-way calls.
    pub calls: usize,
    /// How often each is measured.
    pub rounds: usize,
    /// Measured seconds of one run.
    pub seconds: u64,
    /// Worker threads of each.
    pub workers: usize,
    /// The `ringplane` executable.
    pub program: PathBuf,
    /// Where results go.
    pub folder: PathBuf,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pair: String,
    through: &'static str,
    /// CPU of the process for a packet that was transcoded: received, converted, sent.
    cpu_us_per_packet: f64,
    packets_per_second: f64,
    sent: u64,
    received: u64,
    /// Whether both sides of the first call heard what was sent.
    is_the_sound: bool,
    /// From the departure of a packet to the arrival of its sound, median, milliseconds.
    delay_ms: f64,
    /// The longest such time.
    delay_max_ms: f64,
    memory_bytes_per_call: f64,
    load_average_before: f64,
}

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct AudioResult {
    host: Host,
    calls: usize,
    workers: usize,
    rows: Vec<Row>,
    rooms: Vec<RoomRow>,
    recordings: Vec<RecordingRow>,
    factors: Vec<Factors>,
    runs: Vec<Run>,
}

/// One pair of codecs: medians of the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pair: String,
    ringplane_us: f64,
    rtpengine_us: f64,
    ratio: f64,
    budget: f64,
    ringplane_delay_ms: f64,
    rtpengine_delay_ms: f64,
    /// Of what was sent, what did not arrive as the other side's codec, ringplane, parts of a million.
    ringplane_missing_ppm: f64,
}

fn name(codings: [Coding; 2]) -> String {
    format!("{}<->{}", codings[0].name(), codings[1].name())
}

impl AudioBench {
    /// Measures everything, prints nothing but progress; results are in the folder.
    pub fn run(&self) -> io::Result<AudioResult> {
        let bar = progress(PAIRS.len() * self.rounds * 2 + 1 + SIZES.len() + LAYOUTS.len());
        bar.set_message("codecs alone");
        let factors = factors::factors(3);
        bar.inc(1);
        let mut runs = Vec::new();
        for (codings, _) in PAIRS {
            for round in 0..self.rounds {
                for at in 0..2 {
                    // Who comes first changes from round to round.
                    let is_ours = (at + round) % 2 == 0;
                    let who = if is_ours { "ringplane" } else { "rtpengine" };
                    bar.set_message(format!("{} round {}, {who}", name(codings), round + 1));
                    runs.push(self.one(codings, is_ours)?);
                    bar.inc(1);
                }
            }
        }
        let mut rooms = Vec::new();
        for members in SIZES {
            bar.set_message(format!("rooms of {members}"));
            rooms.push(self.rooms_of(members)?);
            bar.inc(1);
        }
        let mut recordings = Vec::new();
        for layout in LAYOUTS {
            bar.set_message(format!("recordings: {}", layout.unwrap_or("none")));
            recordings.push(self.recorded_in(layout)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let rows = PAIRS.map(|(codings, budget)| row(&runs, name(codings), budget)).to_vec();
        let (host, calls, workers) = (Host::read(), self.calls, self.workers);
        let result = AudioResult { host, calls, workers, rows, rooms, recordings, factors, runs };
        write_json(&self.folder, "audio", &result)?;
        match result.runs.iter().find(|run| !run.is_the_sound) {
            Some(run) => Err(io::Error::other(format!("{} did not bring the sound of {}", run.through, run.pair))),
            None => Ok(result),
        }
    }

    fn one(&self, codings: [Coding; 2], is_ours: bool) -> io::Result<Run> {
        let folder = tempfile::tempdir()?;
        let load_average_before = usage::load_average();
        let mut relay: Box<dyn Transcodes> = if is_ours {
            let plane = MediaPlane::start(folder.path(), &self.program, self.workers, 2 * self.calls, "")?;
            Box::new(Ringplane::new(plane))
        } else {
            Box::new(Rtpengine::new(RtpEngine::start(folder.path(), self.workers, self.calls)?))
        };
        let mut traffic = Traffic::new(codings)?;
        let resident_from = usage::of_process(relay.pid())?.resident_bytes;
        for _ in 0..self.calls {
            let to = relay.open(traffic.addresses()?, codings)?;
            traffic.add(to);
        }
        traffic.run(Duration::from_secs(3));
        traffic.listen_anew();
        let from = usage::of_process(relay.pid())?;
        let Counts { sent, received } = traffic.run(Duration::from_secs(self.seconds));
        let to = usage::of_process(relay.pid())?;
        let Heard { is_the_sound, delays_ms } = traffic.heard();
        Ok(Run {
            pair: name(codings),
            through: relay.name(),
            cpu_us_per_packet: (to.cpu_ns - from.cpu_ns) as f64 / 1e3 / received.max(1) as f64,
            packets_per_second: received as f64 / self.seconds.max(1) as f64,
            sent,
            received,
            is_the_sound,
            delay_ms: median(delays_ms.iter().copied()),
            delay_max_ms: delays_ms.iter().copied().fold(0.0, f64::max),
            memory_bytes_per_call: to.resident_bytes.saturating_sub(resident_from) as f64 / self.calls.max(1) as f64,
            load_average_before,
        })
    }
}

fn row(runs: &[Run], pair: String, budget: f64) -> Row {
    let of = |through: &str, value: fn(&Run) -> f64| {
        median(runs.iter().filter(|run| run.pair == pair && run.through == through).map(value))
    };
    let cpu = |through| of(through, |run| run.cpu_us_per_packet);
    let delay = |through| of(through, |run| run.delay_ms);
    let (ringplane_us, rtpengine_us) = (cpu("ringplane"), cpu("rtpengine"));
    Row {
        ringplane_us,
        rtpengine_us,
        ratio: if rtpengine_us > 0.0 { ringplane_us / rtpengine_us } else { f64::NAN },
        budget,
        ringplane_delay_ms: delay("ringplane"),
        rtpengine_delay_ms: delay("rtpengine"),
        ringplane_missing_ppm: of("ringplane", |run| {
            run.sent.saturating_sub(run.received) as f64 * 1e6 / run.sent.max(1) as f64
        }),
        pair,
    }
}

impl AudioResult {
    /// The tables for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} two-way calls\n{:<14} {:>12} {:>12} {:>7} {:>7} {:>7} {:>14} {:>14} {:>12}\n",
            self.calls,
            "pair",
            "ringplane us",
            "rtpengine us",
            "ratio",
            "budget",
            "",
            "delay ms, ours",
            "rtpengine's",
            "missing ppm"
        );
        for row in &self.rows {
            text += &format!(
                "{:<14} {:>12.2} {:>12.2} {:>7.2} {:>7.2} {:>7} {:>14.1} {:>14.1} {:>12.0}\n",
                row.pair,
                row.ringplane_us,
                row.rtpengine_us,
                row.ratio,
                row.budget,
                if row.ratio <= row.budget { "met" } else { "missed" },
                row.ringplane_delay_ms,
                row.rtpengine_delay_ms,
                row.ringplane_missing_ppm,
            );
        }
        text += &format!(
            "\n{:<16} {:>8} {:>18} {:>12}\n",
            "members of a room", "rooms", "us a member, 20 ms", "missing ppm"
        );
        for room in &self.rooms {
            text += &format!(
                "{:<16} {:>8} {:>18.2} {:>12.0}\n",
                room.members, room.rooms, room.member_us, room.missing_ppm
            );
        }
        text += &format!("\n{:<16} {:>18} {:>18} {:>8}\n", "recording", "us a second", "bytes a second", "calls");
        for row in &self.recordings {
            text +=
                &format!("{:<16} {:>18.1} {:>18.0} {:>8}\n", row.layout, row.second_us, row.second_bytes, row.calls);
        }
        text += &format!(
            "\n{:<8} {:>12} {:>12} {:>16} {:>16}\n",
            "codec", "encode us", "decode us", "times real time", "decoding"
        );
        for codec in &self.factors {
            text += &format!(
                "{:<8} {:>12.2} {:>12.2} {:>16.0} {:>16.0}\n",
                codec.codec, codec.encode_us, codec.decode_us, codec.encoding, codec.decoding
            );
        }
        text
    }
}
