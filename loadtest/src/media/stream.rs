//! One stream as its thread keeps it: where it goes, where it must come back, and what came.

use super::ledger::{Arrival, Jitter, Ledger};
use super::packet::{self, Content};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::net::SocketAddr;

/// What a new stream is to do.
#[derive(Clone, Copy, Debug)]
pub struct StreamSpec {
    /// Index of the thread's socket that it is sent from.
    pub socket: usize,
    /// Where its packets go.
    pub to: SocketAddr,
    /// The only address that its packets may come back from, where it hears anything.
    pub from: SocketAddr,
    /// RTP payload type.
    pub payload_type: u8,
    /// What is expected from [`Self::from`].
    pub expect: Expect,
    /// Whether it sends at all, or only listens.
    pub sends: bool,
}

/// What comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Our own packets, byte for byte.
    Content,
    /// RTP that the other side makes: a tone, a prompt.
    Generated,
}

/// A stream that runs.
pub(super) struct Stream {
    pub(super) spec: StreamSpec,
    pub(super) life: u32,
    pub(super) number: u64,
    pub(super) sending: bool,
    pub(super) book: StreamBook,
    heard: Option<Heard>,
}

#[derive(Clone, Copy)]
struct Heard {
    sequence: u16,
    timestamp: u32,
    at_ns: u64,
}

/// What is known of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamBook {
    /// Sent, received, lost, in order.
    pub ledger: Ledger,
    /// Jitter of what came back.
    pub jitter: Jitter,
    /// Sum of the one-way latencies of what came back, nanoseconds.
    pub latency_sum_ns: u64,
    /// Packets from the right place that were not what was sent.
    pub damaged: u64,
    /// Holes in the sequence of generated packets, in packets.
    pub holes: u64,
    /// Generated packets whose timestamp did not step by 160.
    pub odd_steps: u64,
    /// Generated packets received.
    pub generated: u64,
    /// When the first packet came, calendar nanoseconds; 0: none.
    pub first_at_ns: u64,
}

impl StreamBook {
    /// Mean one-way latency, nanoseconds.
    pub fn latency_mean_ns(&self) -> u64 {
        self.latency_sum_ns.checked_div(self.ledger.received).unwrap_or(0)
    }
}

/// What all streams of a thread, or of all threads, add up to.
#[derive(Clone, Debug, Serialize)]
pub struct Totals {
    /// Packets handed to the kernel.
    pub sent: u64,
    /// Different packets that came back.
    pub received: u64,
    /// Packets that came after a later one of their stream.
    pub reordered: u64,
    /// Packets that came more than once.
    pub duplicates: u64,
    /// Packets that were not what was sent.
    pub damaged: u64,
    /// Packets from an address where no stream is, or of a stream that has ended.
    pub stray: u64,
    /// Packets that came from another address than the stream's.
    pub misdirected: u64,
    /// Packets that the kernel refused to send.
    pub refused: u64,
    /// Packets that the other side made.
    pub generated: u64,
    /// Missing among these.
    pub holes: u64,
    /// Steps of their timestamps other than 160.
    pub odd_steps: u64,
    /// From sending to the kernel's time of arrival, nanoseconds.
    #[serde(skip)]
    pub latency_ns: Histogram<u64>,
    /// Between two packets of one generated stream, nanoseconds.
    #[serde(skip)]
    pub gap_ns: Histogram<u64>,
    /// How late the generator itself was, nanoseconds.
    #[serde(skip)]
    pub lateness_ns: Histogram<u64>,
}

/// Latencies up to ten seconds, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds are in order")
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            sent: 0,
            received: 0,
            reordered: 0,
            duplicates: 0,
            damaged: 0,
            stray: 0,
            misdirected: 0,
            refused: 0,
            generated: 0,
            holes: 0,
            odd_steps: 0,
            latency_ns: histogram(),
            gap_ns: histogram(),
            lateness_ns: histogram(),
        }
    }
}

impl Totals {
    /// Adds another thread's.
    pub fn add(&mut self, other: &Totals) {
        let pairs = [
            (&mut self.sent, other.sent),
            (&mut self.received, other.received),
            (&mut self.reordered, other.reordered),
            (&mut self.duplicates, other.duplicates),
            (&mut self.damaged, other.damaged),
            (&mut self.stray, other.stray),
            (&mut self.misdirected, other.misdirected),
            (&mut self.refused, other.refused),
            (&mut self.generated, other.generated),
            (&mut self.holes, other.holes),
            (&mut self.odd_steps, other.odd_steps),
        ];
        for (sum, value) in pairs {
            *sum += value;
        }
        self.latency_ns += &other.latency_ns;
        self.gap_ns += &other.gap_ns;
        self.lateness_ns += &other.lateness_ns;
    }

    /// Packets that never came back; right only when no packet is on its way.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

impl Stream {
    pub(super) fn new(spec: StreamSpec, life: u32) -> Self {
        Self { spec, life, number: 0, sending: spec.sends, book: StreamBook::default(), heard: None }
    }

    /// Writes the next packet.
    pub(super) fn write_next(&mut self, stream: u32, sent_at_ns: u64, packet: &mut [u8; packet::PACKET_BYTES]) {
        let content = Content { stream, life: self.life, number: self.number, sent_at_ns };
        packet::write(&content, self.spec.payload_type, packet);
        self.number += 1;
        self.book.ledger.sent += 1;
    }

    /// One of our own packets came back whole.
    pub(super) fn came_back(&mut self, content: &Content, at_ns: u64, totals: &mut Totals) {
        match self.book.ledger.arrived(content.number) {
            Arrival::Duplicate => {
                totals.duplicates += 1;
                return;
            }
            Arrival::Reordered => totals.reordered += 1,
            Arrival::InOrder => {}
        }
        totals.received += 1;
        let latency = at_ns.saturating_sub(content.sent_at_ns);
        totals.latency_ns.saturating_record(latency.max(1));
        self.book.latency_sum_ns += latency;
        self.book.jitter.arrived(content.sent_at_ns, at_ns);
        if self.book.first_at_ns == 0 {
            self.book.first_at_ns = at_ns;
        }
    }

    /// A packet of the other side's making came.
    pub(super) fn generated_came(&mut self, packet: &[u8], at_ns: u64, totals: &mut Totals) {
        let [first, _, s0, s1, t0, t1, t2, t3, _, _, _, _, ..] = *packet else {
            self.book.damaged += 1;
            totals.damaged += 1;
            return;
        };
        if first >> 6 != 2 {
            self.book.damaged += 1;
            totals.damaged += 1;
            return;
        }
        let now =
            Heard { sequence: u16::from_be_bytes([s0, s1]), timestamp: u32::from_be_bytes([t0, t1, t2, t3]), at_ns };
        self.book.generated += 1;
        totals.generated += 1;
        if self.book.first_at_ns == 0 {
            self.book.first_at_ns = at_ns;
        }
        let Some(before) = self.heard.replace(now) else { return };
        let step = now.sequence.wrapping_sub(before.sequence);
        let holes = u64::from(step.wrapping_sub(1));
        if holes > 0 {
            self.book.holes += holes;
            totals.holes += holes;
        }
        let ticks = u32::from(step).wrapping_mul(packet::TICKS_PER_PACKET);
        if now.timestamp.wrapping_sub(before.timestamp) != ticks {
            self.book.odd_steps += 1;
            totals.odd_steps += 1;
        }
        let gap = at_ns.saturating_sub(before.at_ns);
        totals.gap_ns.saturating_record(gap.max(1));
        self.book.jitter.arrived(u64::from(now.sequence) * 20_000_000, at_ns);
    }
}
