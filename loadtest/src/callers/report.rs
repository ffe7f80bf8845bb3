//! What calling showed.

use super::quality::mos;
use crate::media::{Expect, StreamBook, Totals};
use crate::relay::Percentiles;
use clock::Duration;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts and histograms of all calls.
#[derive(Clone, Debug, Serialize)]
pub struct CallsReport {
    /// INVITEs sent, each call once.
    pub started: u64,
    /// Calls that got a 200.
    pub answered: u64,
    /// Calls that ended by our BYE and its 200.
    pub completed: u64,
    /// Calls that did not, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Requests that we sent again because nothing came.
    pub retransmissions: u64,
    /// Messages that belong to no call or to another moment of it.
    pub unexpected: u64,
    /// Calls that got no packet at all.
    pub silent: u64,
    /// Most calls up at once.
    pub up_max: u64,
    /// From the first INVITE to the last answer.
    pub took: Duration,
    /// Everything about media.
    pub media: Totals,
    /// CPU of the media threads.
    pub media_cpu: Duration,
    /// INVITE to the first response above 100, nanoseconds.
    #[serde(skip)]
    pub post_dial_delay_ns: Histogram<u64>,
    /// INVITE to 200, nanoseconds.
    #[serde(skip)]
    pub set_up_ns: Histogram<u64>,
    /// BYE to 200, nanoseconds.
    #[serde(skip)]
    pub tear_down_ns: Histogram<u64>,
    /// 200 to the first packet, nanoseconds.
    #[serde(skip)]
    pub first_packet_ns: Histogram<u64>,
    /// Jitter of each call at its end (RFC 3550), nanoseconds.
    #[serde(skip)]
    pub jitter_ns: Histogram<u64>,
    /// Packets lost of a call, in 1/10,000.
    #[serde(skip)]
    pub loss_e4: Histogram<u64>,
    /// Listening and talking quality of each call (E-model), times 100.
    #[serde(skip)]
    pub mos_e2: Histogram<u64>,
}

impl Default for CallsReport {
    fn default() -> Self {
        let histogram = crate::media::histogram;
        Self {
            started: 0,
            answered: 0,
            completed: 0,
            failed: BTreeMap::new(),
            retransmissions: 0,
            unexpected: 0,
            silent: 0,
            up_max: 0,
            took: Duration::ZERO,
            media: Totals::default(),
            media_cpu: Duration::ZERO,
            post_dial_delay_ns: histogram(),
            set_up_ns: histogram(),
            tear_down_ns: histogram(),
            first_packet_ns: histogram(),
            jitter_ns: histogram(),
            loss_e4: histogram(),
            mos_e2: histogram(),
        }
    }
}

impl CallsReport {
    /// A call failed.
    pub(super) fn fail(&mut self, reason: impl Into<String>) {
        *self.failed.entry(reason.into()).or_default() += 1;
    }

    /// Calls that failed.
    pub fn failed_count(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds what is known of a call's media.
    pub(super) fn add_media(&mut self, book: &StreamBook, expect: Expect, answered_at_ns: u64) {
        if book.first_at_ns == 0 {
            self.silent += 1;
            return;
        }
        self.first_packet_ns.saturating_record(book.first_at_ns.saturating_sub(answered_at_ns).max(1));
        self.jitter_ns.saturating_record(book.jitter.nanos().max(1));
        // An echo's way is there and back; one way is what counts for talking.
        let (lost, of, one_way_ns) = match expect {
            Expect::Content => (book.ledger.lost(), book.ledger.sent, book.latency_mean_ns() / 2),
            Expect::Generated => (book.holes, book.generated + book.holes, 0),
        };
        let loss = lost as f64 / of.max(1) as f64;
        self.loss_e4.saturating_record((loss * 1e4).round() as u64);
        let delay_ms = (one_way_ns + 2 * book.jitter.nanos()) as f64 / 1e6 + 20.0;
        self.mos_e2.saturating_record((mos(delay_ms, loss) * 100.0).round() as u64);
    }

    /// The histograms with their names, and how many of a unit their numbers are.
    pub fn histograms(&self) -> [(&'static str, &'static str, f64, &Histogram<u64>); 9] {
        [
            ("Post-dial delay", "ms", 1e6, &self.post_dial_delay_ns),
            ("Set-up: INVITE to 200", "ms", 1e6, &self.set_up_ns),
            ("Tear-down: BYE to 200", "ms", 1e6, &self.tear_down_ns),
            ("200 to the first packet", "ms", 1e6, &self.first_packet_ns),
            ("Latency of packets", "us", 1e3, &self.media.latency_ns),
            ("Time between two packets", "ms", 1e6, &self.media.gap_ns),
            ("Jitter of a call", "us", 1e3, &self.jitter_ns),
            ("Loss of a call", "%", 1e2, &self.loss_e4),
            ("MOS of a call", "", 1e2, &self.mos_e2),
        ]
    }

    /// Counts and percentiles as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        for (name, unit, scale, histogram) in self.histograms().into_iter().filter(|entry| !entry.3.is_empty()) {
            let at = |percentile| histogram.value_at_percentile(percentile) as f64 / scale;
            json["histograms"][name] = serde_json::json!({
                "unit": unit, "count": histogram.len(), "min": histogram.min() as f64 / scale, "p50": at(50.0),
                "p90": at(90.0), "p99": at(99.0), "p99.9": at(99.9), "max": histogram.max() as f64 / scale,
            });
        }
        json
    }

    /// A page of plain words for a terminal.
    pub fn to_text(&self) -> String {
        let m = &self.media;
        let mut text = format!(
            "{} calls started, {} answered, {} completed, {} failed, at most {} at once, {:.1} s\n\
             {} retransmissions, {} unexpected messages, {} calls without a packet\n\
             media: {} sent, {} back, {} lost, {} damaged, {} duplicates, {} reordered, {} misdirected, {} stray\n\
             heard: {} packets, {} missing, {} odd timestamps\n",
            self.started,
            self.answered,
            self.completed,
            self.failed_count(),
            self.up_max,
            self.took.as_secs_f64(),
            self.retransmissions,
            self.unexpected,
            self.silent,
            m.sent,
            m.received,
            if m.received > 0 { m.lost() } else { 0 },
            m.damaged,
            m.duplicates,
            m.reordered,
            m.misdirected,
            m.stray,
            m.generated,
            m.holes,
            m.odd_steps,
        );
        for (reason, count) in &self.failed {
            text += &format!("  failed: {count} {reason}\n");
        }
        text += &format!("{:<26} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", "p50", "p90", "p99", "p99.9", "max");
        for (name, unit, scale, histogram) in self.histograms().into_iter().filter(|entry| !entry.3.is_empty()) {
            text += &format!("{:<26}", format!("{name} {unit}"));
            for percentile in [50.0, 90.0, 99.0, 99.9, 100.0] {
                text += &format!(" {:>9.2}", histogram.value_at_percentile(percentile) as f64 / scale);
            }
            text.push('\n');
        }
        text
    }

    /// INVITE to 200.
    pub fn set_up(&self) -> Percentiles {
        Percentiles::from(&self.set_up_ns)
    }
}
