//! The judgement, line by line: what was wanted, what was found.

use super::run::HeardRun;
use serde::Serialize;
use std::collections::BTreeSet;

/// One line of it.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// What it must be.
    pub wanted: String,
    /// What it is.
    pub found: String,
    /// Whether the one is the other.
    pub good: bool,
}

/// 20 ms, as "20.0" is to be read.
const MEAN_GAP_OFF_MS: f64 = 0.05;
const P99_GAP_MS: f64 = 22.0;
/// RTP on its way when the BYE comes.
const AFTER_BYE_MS: f64 = 40.0;
/// The rest is what G.711 adds to a sine, and the start of the first window.
const TONE_SHARE: f64 = 0.95;
/// Pages that an allocator keeps.
const GROWTH_BYTES: u64 = 2 << 20;

fn check(what: &'static str, wanted: impl ToString, found: impl ToString, good: bool) -> Check {
    Check { what, wanted: wanted.to_string(), found: found.to_string(), good }
}

/// Judges a run.
pub fn checks(run: &HeardRun) -> Vec<Check> {
    let mut all = of_calls(run);
    all.extend(of_streams(run));
    all.extend(of_ports(run));
    all.extend(of_tshark(run));
    all.extend(of_what_is_left(run));
    all
}

fn of_calls(run: &HeardRun) -> Vec<Check> {
    let (calls, report) = (run.plan.calls as u64, &run.report);
    let faults = report.failed_count() + report.unexpected;
    vec![
        check("calls completed", calls, report.completed, report.completed == calls),
        check("held at once", calls, report.up_max, report.up_max == calls),
        check("calls failed, unexpected messages", 0, faults, faults == 0),
    ]
}

fn of_streams(run: &HeardRun) -> Vec<Check> {
    let streams = &run.evidence.streams.streams;
    let count = streams.len();
    let packets: u64 = streams.values().map(|stream| stream.packets).sum();
    let shortest = streams.values().map(|stream| stream.packets).min().unwrap_or(0);
    let least = ((run.plan.hold.as_millis() / 20) as u64).saturating_sub(2);
    let breaks: u64 = streams.values().map(|stream| stream.sequence_breaks).sum();
    let odd: u64 = streams.values().map(|stream| stream.odd_steps).sum();
    let worst = |value: fn(&crate::capture::RtpStream) -> f64| streams.values().map(value).fold(0.0, f64::max);
    let off = worst(|stream| (stream.mean_gap_ms() - 20.0).abs());
    let p99 = worst(|stream| stream.p99_gap_ms());
    let quietest = streams.values().map(|stream| stream.share_of(440.0)).fold(1.0, f64::min);
    let any = count > 0;
    vec![
        check("streams captured", run.plan.calls, count, count == run.plan.calls),
        check("packets of the shortest stream", format!(">= {least}"), shortest, shortest >= least),
        check("holes in the sequence", 0, format!("{breaks} of {packets} packets"), breaks == 0 && any),
        check("timestamp steps other than 160", 0, odd, odd == 0 && any),
        check(
            "mean gap, worst stream, off 20 ms by",
            "< 0.05 ms",
            format!("{off:.4} ms"),
            off < MEAN_GAP_OFF_MS && any,
        ),
        check("p99 gap, worst stream", "< 22 ms", format!("{p99:.2} ms"), p99 < P99_GAP_MS && any),
        check(
            "440 Hz in the sound, worst stream",
            "> 95 %",
            format!("{:.1} %", quietest * 100.0),
            quietest > TONE_SHARE && any,
        ),
    ]
}

fn of_ports(run: &HeardRun) -> Vec<Check> {
    let (first, last) = run.media_ports;
    let calls = &run.evidence.calls;
    let ports: Vec<u16> = calls.calls.values().filter_map(|call| call.answered_port).collect();
    let odd_ones = ports.iter().filter(|port| !(first..=last).contains(port) || !port.is_multiple_of(2)).count();
    let different: BTreeSet<u16> = ports.iter().copied().collect();
    let ended = calls.calls.values().filter(|call| call.ended_at_ns > 0).count();
    let after_ms = run.evidence.after_bye_max_ns as f64 / 1e6;
    vec![
        check("ports that are odd or out of range", 0, odd_ones, odd_ones == 0),
        check("different ports", run.plan.calls, different.len(), different.len() == run.plan.calls),
        check("calls whose BYE was captured", run.plan.calls, ended, ended == run.plan.calls),
        check("last RTP packet after BYE", "<= 40 ms", format!("{after_ms:.2} ms"), after_ms <= AFTER_BYE_MS),
    ]
}

fn of_tshark(run: &HeardRun) -> Vec<Check> {
    let packets: u64 = run.shark.iter().map(|stream| stream.packets).sum();
    let ours: u64 = run.evidence.streams.streams.values().map(|stream| stream.packets).sum();
    let lost: i64 = run.shark.iter().map(|stream| stream.lost.abs()).sum();
    let off = run.shark.iter().map(|stream| (stream.mean_gap_ms - 20.0).abs()).fold(0.0, f64::max);
    let streams = run.shark.len();
    vec![
        check("tshark: streams", run.plan.calls, streams, streams == run.plan.calls),
        check("tshark: packets", ours, packets, packets == ours),
        check("tshark: lost", 0, lost, lost == 0 && streams > 0),
        check(
            "tshark: mean gap, worst stream, off by",
            "< 0.05 ms",
            format!("{off:.4} ms"),
            off < MEAN_GAP_OFF_MS && streams > 0,
        ),
    ]
}

fn of_what_is_left(run: &HeardRun) -> Vec<Check> {
    let (before, after) = (&run.before, &run.after);
    let growth = |before: u64, after: u64| after as i64 - before as i64;
    let memory = |what, before: u64, after: u64| {
        let bytes = growth(before, after);
        let found = format!("{} KB, from {} KB", bytes / 1_024, before / 1_024);
        check(what, "< 2048 KB", found, bytes < GROWTH_BYTES as i64)
    };
    let same = |what, before: u64, after: u64| check(what, before, after, before == after);
    vec![
        check("calls left", 0, after.calls, after.calls == 0),
        check("legs left", 0, after.legs, after.legs == 0),
        same("media sockets connected", before.sockets.connected as u64, after.sockets.connected as u64),
        same("media sockets open", before.sockets.bound as u64, after.sockets.bound as u64),
        same("descriptors of signaling", before.signal.descriptors, after.signal.descriptors),
        same("descriptors of media", before.media.descriptors, after.media.descriptors),
        memory("memory of signaling, growth", before.signal.private_bytes, after.signal.private_bytes),
        memory("memory of media, growth", before.media.private_bytes, after.media.private_bytes),
    ]
}

/// As a table.
pub fn to_text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let verdict = if check.good { "ok" } else { "MISSED" };
        text += &format!("{verdict:<7} {:<40} wanted {:<10} found {}\n", check.what, check.wanted, check.found);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_stands_out() {
        let text = to_text(&[check("a", 1, 1, true), check("b", "< 2", 3, false)]);
        assert_eq!(text.matches("MISSED").count(), 1);
        assert!(text.lines().next().unwrap().starts_with("ok "));
    }
}
