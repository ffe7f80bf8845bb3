//! What leaves a leg: one stream of ours, continuous, or another's passed on.

use crate::rtp_clock;
use clock::Instant;
use contract::{Address, ClockRate};
use rtp_wire::{Header, RtpTime, Seq, Ssrc};

/// A larger step of the sequence number is a new stream (RFC 3550 §A.1, MAX_DROPOUT).
const MOST_DROPOUT: u16 = 3_000;
/// Packets after a change of source among which late ones of before the change are looked for.
const GUARDED_PACKETS: u8 = 64;

/// The sending side of a leg.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    /// Packets say where they go: the socket is not connected.
    pub(crate) named: bool,
    /// Direction, state and a known destination let us send.
    pub(crate) ready: bool,
    /// Relayed packets get our SSRC and continuous numbers.
    pub(crate) continuous: bool,
    pub(crate) muted: bool,
    pub(crate) allowance: Allowance,
    /// Something was sent.
    pub(crate) begun: bool,
    /// The SSRC that the peer sees now.
    pub(crate) ssrc: Ssrc,
    /// The SSRC of what we make or rewrite.
    pub(crate) own_ssrc: Ssrc,
    pub(crate) last_seq: Seq,
    pub(crate) last_time: RtpTime,
    /// The clock of the stream that leaves.
    pub(crate) clock: ClockRate,
    /// When `last_time` was.
    pub(crate) last_at: Instant,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Payload bytes, for sender reports.
    pub(crate) octets: u64,
    pub(crate) input: Input,
    /// Where we send, also when the socket is connected.
    pub(crate) remote: Address,
}

/// What may go to a peer before it has shown that it is at its address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    /// It has not: what goes there has a limit.
    pub(crate) bounded: bool,
    /// Bytes that have gone there, and that may, until then.
    spent_bytes: u32,
    pub(crate) allowed_bytes: u32,
}

/// How the relayed stream maps onto ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Input {
    ssrc: Ssrc,
    last_seq: Seq,
    first_seq: Seq,
    pub(crate) seq_offset: u16,
    pub(crate) time_offset: u32,
    guarded: u8,
    known: bool,
    /// Packets were held back: go on with the next sequence number, the clock is unchanged.
    gap: bool,
}

impl Sending {
    pub(crate) fn new(ssrc: u32, random: u64) -> Self {
        Self {
            named: false,
            ready: false,
            continuous: false,
            muted: false,
            allowance: Allowance::default(),
            begun: false,
            ssrc: Ssrc(ssrc),
            own_ssrc: Ssrc(ssrc),
            last_seq: Seq(random as u16),
            last_time: RtpTime((random >> 16) as u32),
            clock: ClockRate::default(),
            last_at: Instant::ZERO,
            packets: 0,
            bytes: 0,
            octets: 0,
            input: Input::default(),
            remote: Address::NONE,
        }
    }

    /// Where a packet says that it goes: nowhere on a connected socket.
    #[inline]
    pub(crate) fn to(&self) -> Address {
        if self.named { self.remote } else { Address::NONE }
    }

    /// The timestamp of `at`: the stream's clock never stops.
    pub(crate) fn time_at(&self, at: Instant) -> RtpTime {
        self.last_time.plus(rtp_clock::ticks(self.clock, at.since(self.last_at)) as u32)
    }

    /// The header of the next packet that we make, whose sound is of `at`.
    pub(crate) fn next_header(&mut self, at: Instant, payload_type: u8, marker: bool, payload_bytes: u16) -> Header {
        let time = if self.begun { self.time_at(at) } else { self.last_time };
        let seq = if self.begun { self.last_seq.next() } else { self.last_seq };
        self.begun = true;
        (self.last_seq, self.last_time, self.last_at) = (seq, time, at.max(self.last_at));
        self.ssrc = self.own_ssrc;
        // A relayed stream that follows starts afresh from here.
        self.input.known = false;
        Header { marker, payload_type, seq, time, ssrc: self.own_ssrc, payload_start: 12, payload_bytes }
    }

    #[inline]
    pub(crate) fn count(&mut self, packet_bytes: usize, payload_bytes: u16) {
        self.packets += 1;
        self.bytes += packet_bytes as u64;
        self.octets += u64::from(payload_bytes);
    }

    /// A relayed packet passes as it is.
    #[inline]
    pub(crate) fn pass(&mut self, header: &Header, at: Instant) {
        self.ssrc = header.ssrc;
        if !self.begun || header.seq.since(self.last_seq) > 0 || header.ssrc != self.input.ssrc {
            self.begun = true;
            (self.input.ssrc, self.last_seq, self.last_time, self.last_at) = (header.ssrc, header.seq, header.time, at);
        }
    }

    /// The numbers that a relayed packet gets in our stream; `None` for a late one of before a change of source, whose
    /// numbers are used already.
    #[inline]
    pub(crate) fn map(&mut self, header: &Header, at: Instant) -> Option<Header> {
        let step = header.seq.since(self.input.last_seq);
        let changed = !self.input.known || header.ssrc != self.input.ssrc || step.unsigned_abs() > MOST_DROPOUT;
        if changed {
            self.adopt(header, at);
        } else if self.input.gap {
            self.input.gap = false;
            self.input.seq_offset = self.last_seq.next().0.wrapping_sub(header.seq.0);
            self.guard(header.seq);
        } else if self.input.guarded > 0 {
            self.input.guarded -= 1;
            if header.seq.since(self.input.first_seq) < 0 {
                return None;
            }
        }
        let seq = header.seq.plus(self.input.seq_offset);
        let time = header.time.plus(self.input.time_offset);
        if changed || step > 0 {
            self.input.last_seq = header.seq;
            (self.last_seq, self.last_time, self.last_at) = (seq, time, at);
        }
        self.ssrc = self.own_ssrc;
        Some(Header { seq, time, ssrc: self.own_ssrc, marker: header.marker | changed, ..*header })
    }

    /// A new stream takes the place of the last one: the next sequence number, and a timestamp by the time that passed.
    #[cold]
    fn adopt(&mut self, header: &Header, at: Instant) {
        let (seq, time) = if self.begun {
            let time = self.time_at(at);
            (self.last_seq.next(), if time == self.last_time { time.plus(1) } else { time })
        } else {
            (self.last_seq, self.last_time)
        };
        self.begun = true;
        self.input = Input {
            ssrc: header.ssrc,
            seq_offset: seq.0.wrapping_sub(header.seq.0),
            time_offset: time.0.wrapping_sub(header.time.0),
            known: true,
            ..Input::default()
        };
        self.guard(header.seq);
    }

    fn guard(&mut self, first: Seq) {
        (self.input.first_seq, self.input.guarded) = (first, GUARDED_PACKETS);
    }

    /// The next relayed packet belongs to another source.
    pub(crate) fn change_source(&mut self) {
        self.input.known = false;
    }

    /// A relayed packet was held back because a digit is being sent.
    pub(crate) fn hold_back(&mut self) {
        self.input.gap = true;
    }

    /// From now on the relayed stream is ours to number, without a break: its SSRC becomes our own.
    pub(crate) fn take_over(&mut self) {
        if self.continuous {
            return;
        }
        self.continuous = true;
        if self.begun {
            self.own_ssrc = self.ssrc;
            self.input = Input { ssrc: self.ssrc, last_seq: self.last_seq, known: true, ..Input::default() };
        }
    }

    /// The header of a packet that we put into a relayed stream, in the stream's own clock.
    pub(crate) fn inserted_header(&mut self, time: RtpTime, payload_type: u8, marker: bool, bytes: u16) -> Header {
        let seq = if self.begun { self.last_seq.next() } else { self.last_seq };
        self.begun = true;
        self.last_seq = seq;
        self.input.gap = true;
        self.ssrc = self.own_ssrc;
        Header { marker, payload_type, seq, time, ssrc: self.own_ssrc, payload_start: 12, payload_bytes: bytes }
    }
}

impl Allowance {
    /// Takes a packet from what may go to a peer that has shown nothing yet; `false`: it must not go.
    #[cold]
    pub(crate) fn spend(&mut self, packet_bytes: usize) -> bool {
        let spent_bytes = self.spent_bytes.saturating_add(packet_bytes as u32);
        let fits = spent_bytes <= self.allowed_bytes;
        if fits {
            self.spent_bytes = spent_bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Duration;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn input(ssrc: u32, seq: u16, time: u32) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            seq: Seq(seq),
            time: RtpTime(time),
            ssrc: Ssrc(ssrc),
            payload_start: 12,
            payload_bytes: 160,
        }
    }

    #[test]
    fn three_sources_make_one_stream() {
        let mut sending = Sending::new(99, 0x0001_0000_fffe);
        let mut out = Vec::new();
        for n in 0..3 {
            out.push(sending.map(&input(1, 500 + n, 1_000 + 160 * u32::from(n)), at(20 * u64::from(n))).unwrap());
        }
        for n in 0..3 {
            out.push(sending.next_header(at(60 + 20 * n), 0, n == 0, 160));
        }
        for n in 0..3 {
            let header = input(2, 9_000 + n, (u32::MAX - 100).wrapping_add(160 * u32::from(n)));
            out.push(sending.map(&header, at(120 + 20 * u64::from(n))).unwrap());
        }
        for pair in out.windows(2) {
            assert_eq!(pair[1].seq.since(pair[0].seq), 1, "{pair:?}");
            assert_eq!(pair[1].time.since(pair[0].time), 160, "{pair:?}");
            assert_eq!(pair[1].ssrc, Ssrc(99));
        }
        let markers: Vec<_> = out.iter().map(|header| header.marker).collect();
        assert_eq!(markers, [true, false, false, true, false, false, true, false, false]);
    }

    #[test]
    fn loss_and_reordering_pass_through_and_late_packets_of_before_do_not() {
        let mut sending = Sending::new(99, 0);
        let mut map = |seq: u16| sending.map(&input(1, seq, 0), at(0)).map(|header| header.seq.0);
        assert_eq!([map(10), map(11), map(14), map(13), map(15)], [Some(0), Some(1), Some(4), Some(3), Some(5)]);
        assert_eq!(map(9), None, "its number belongs to what was sent before the change");
        sending.change_source();
        let other = sending.map(&input(2, 40_000, 0), at(20)).unwrap();
        assert_eq!((other.seq, other.marker), (Seq(6), true));
    }

    #[test]
    fn taking_over_changes_nothing_that_the_peer_sees() {
        let mut sending = Sending::new(99, 0);
        sending.pass(&input(1, 100, 1_000), at(0));
        sending.take_over();
        let event = sending.inserted_header(RtpTime(1_160), 101, true, 4);
        assert_eq!((event.ssrc, event.seq), (Ssrc(1), Seq(101)));
        sending.hold_back();
        let next = sending.map(&input(1, 103, 1_480), at(60)).unwrap();
        assert_eq!((next.ssrc, next.seq, next.time), (Ssrc(1), Seq(102), RtpTime(1_480)));
    }
}
