//! The medians of the rounds, and how they are shown.

use crate::results::median;
use loadtest::media::PACKET_TIME;
use loadtest::relay::RelayRun;
use serde::Serialize;

/// One number of calls through one relay: the medians of its rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the calls went through.
    pub through: &'static str,
    /// Two-way calls.
    pub calls: usize,
    /// CPU of the relay for a relayed packet, microseconds.
    pub cpu_us_per_packet: f64,
    /// CPU that the relay's presence costs, of the relay and the generator together, for a relayed packet: theirs less
    /// the generator's alone. Independent of who pays for a delivery on loopback. Where `straight` was measured too.
    pub all_us_per_packet: Option<f64>,
    /// Packets relayed a second.
    pub packets_per_second: f64,
    /// Of the packets that should have been sent in that time, how many were: below 1 the host was too slow.
    pub load_reached: f64,
    /// Cores that the relay used.
    pub relay_cores: f64,
    /// Cores that the generator used.
    pub generator_cores: f64,
    /// The highest load average before a round.
    pub load_average_max: f64,
    /// Latency that the relay adds.
    #[serde(flatten)]
    pub added: AddedLatency,
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
    /// `all_us_per_packet` of this relay over that of rtpengine with as many calls.
    pub all_ratio: Option<f64>,
}

/// Latency that a relay adds to the straight way; the whole latency where the straight way was not measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AddedLatency {
    /// Median, microseconds.
    #[serde(rename = "added_p50_us")]
    pub p50_us: f64,
    /// 99th percentile, microseconds.
    #[serde(rename = "added_p99_us")]
    pub p99_us: f64,
    /// 99.9th percentile, microseconds.
    #[serde(rename = "added_p999_us")]
    pub p999_us: f64,
}

struct Medians<'a> {
    runs: &'a [RelayRun],
}

impl<'a> Medians<'a> {
    fn runs(&self, calls: usize, through: &'a str) -> impl Iterator<Item = &'a RelayRun> {
        self.runs.iter().filter(move |run| run.calls == calls && run.through == through)
    }

    fn of(&self, calls: usize, through: &'a str, value: fn(&RelayRun) -> f64) -> f64 {
        median(self.runs(calls, through).map(value))
    }

    /// 0 where there is no such run.
    fn all_us(&self, calls: usize, through: &'a str) -> f64 {
        let straight = self.of(calls, "straight", |run| run.cpu.generator_us_per_packet);
        if straight == 0.0 || through == "straight" {
            return 0.0;
        }
        self.of(calls, through, |run| run.cpu.cpu_us_per_packet + run.cpu.generator_us_per_packet) - straight
    }

    fn row(&self, calls: usize, through: &'static str) -> Row {
        let value = |value: fn(&RelayRun) -> f64| self.of(calls, through, value);
        let added = |latency: fn(&RelayRun) -> f64| {
            let straight = if through == "straight" { 0.0 } else { self.of(calls, "straight", latency) };
            value(latency) - straight
        };
        let ratio = |ours: f64, theirs: f64| (theirs > 0.0 && ours > 0.0).then(|| ours / theirs);
        let cpu = value(|run| run.cpu.cpu_us_per_packet);
        let all = self.all_us(calls, through);
        let planned = 2.0 * calls as f64 / PACKET_TIME.as_secs_f64();
        Row {
            through,
            calls,
            cpu_us_per_packet: cpu,
            all_us_per_packet: (all > 0.0).then_some(all),
            packets_per_second: value(|run| run.packets_per_second),
            load_reached: value(|run| run.packets_per_second) / planned,
            relay_cores: value(|run| run.cpu.relay_cores),
            generator_cores: value(|run| run.cpu.generator_cores),
            load_average_max: self.runs(calls, through).map(|run| run.load_average_before).fold(0.0, f64::max),
            added: AddedLatency {
                p50_us: added(|run| run.latency.p50_us),
                p99_us: added(|run| run.latency.p99_us),
                p999_us: added(|run| run.latency.p999_us),
            },
            lost: self.runs(calls, through).map(|run| run.lost).sum(),
            sent: self.runs(calls, through).map(|run| run.totals.sent).sum(),
            unclean_rounds: self.runs(calls, through).filter(|run| !run.is_clean() && run.lost == 0).count(),
            memory_bytes_per_call: value(|run| run.memory_bytes_per_call),
            set_up_per_second: value(|run| run.set_up_per_second),
            ratio_to_rtpengine: ratio(cpu, self.of(calls, "rtpengine", |run| run.cpu.cpu_us_per_packet)),
            all_ratio: ratio(all, self.all_us(calls, "rtpengine")),
        }
    }
}

/// A row for every number of calls and relay.
pub(super) fn rows(runs: &[RelayRun]) -> Vec<Row> {
    let mut keys: Vec<(usize, &'static str)> = runs.iter().map(|run| (run.calls, run.through)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|(calls, through)| Medians { runs }.row(calls, through)).collect()
}

/// The rows as a table for a terminal.
pub fn table(rows: &[Row]) -> String {
    let head = [
        "us/packet",
        "ratio",
        "all us",
        "ratio",
        "reached",
        "cores",
        "gen",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "KB/call",
        "calls/s",
        "load",
    ];
    let mut text = format!("{:>6} {:<9}", "calls", "through");
    head.iter().for_each(|name| text += &format!(" {name:>9}"));
    text += "       lost/sent\n";
    for row in rows {
        let or_blank = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
        let cells = [
            format!("{:.2}", row.cpu_us_per_packet),
            or_blank(row.ratio_to_rtpengine),
            or_blank(row.all_us_per_packet),
            or_blank(row.all_ratio),
            format!("{:.1}%", row.load_reached * 100.0),
            format!("{:.2}", row.relay_cores),
            format!("{:.2}", row.generator_cores),
            format!("{:.0}", row.added.p50_us),
            format!("{:.0}", row.added.p99_us),
            format!("{:.0}", row.added.p999_us),
            format!("{:.1}", row.memory_bytes_per_call / 1_024.0),
            format!("{:.0}", row.set_up_per_second),
            format!("{:.1}", row.load_average_max),
        ];
        text += &format!("{:>6} {:<9}", row.calls, row.through);
        cells.iter().for_each(|cell| text += &format!(" {cell:>9}"));
        let unclean = if row.unclean_rounds > 0 { "  changed, repeated or out of order: see the JSON" } else { "" };
        text += &format!(" {:>15}{unclean}\n", format!("{}/{}", row.lost, row.sent));
    }
    text
}
