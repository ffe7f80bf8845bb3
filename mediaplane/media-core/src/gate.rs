//! Who may send to a leg: symmetric RTP with a probation (RFC 4961), and no way in afterwards.

use clock::{Duration, Instant};
use contract::Address;
use rtp_wire::{Header, Seq, Ssrc};

/// Packets in a row that a source other than the one of SDP has to send before the leg moves there.
pub const PROBATION_PACKETS: u8 = 4;
/// A source on probation that is silent for so long makes room for another.
pub const PROBATION_QUIET: Duration = Duration::from_millis(200);
/// Sources on probation at the same time: a flood of strangers cannot push out a peer that sends steadily.
const CANDIDATES: usize = 3;
/// Sequence numbers that may be missing between two packets on probation.
const PROBATION_GAP: i16 = 4;

/// The door of a leg.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// Packets are taken from here only; none: still looking.
    pub(crate) accepted: Address,
    /// The kernel lets only `accepted` through, and says no source any more.
    pub(crate) connected: bool,
    /// The direction lets packets in.
    pub(crate) receives: bool,
    /// RTCP comes on the RTP port.
    pub(crate) mux: bool,
    /// RTCP is taken at all.
    pub(crate) rtcp: bool,
    pub(crate) rtcp_connected: bool,
    /// Packets of other sources may move the leg.
    pub(crate) probation: bool,
    /// RTCP is taken from here only; none: still looking.
    pub(crate) rtcp_accepted: Address,
    candidates: [Candidate; CANDIDATES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    from: Address,
    seen_at: Instant,
    ssrc: Ssrc,
    seq: Seq,
    count: u8,
}

impl Gate {
    /// Whether the packet comes from the peer that was found before.
    #[inline]
    pub(crate) fn knows(&self, from: Address) -> bool {
        if from.is_none() { self.connected } else { from == self.accepted }
    }

    /// Looks at a sound packet of a source that is not known. True: this is the peer.
    pub(crate) fn try_source(&mut self, from: Address, sdp: Address, header: &Header, at: Instant) -> bool {
        if !self.accepted.is_none() || from.is_none() {
            return false;
        }
        if from == sdp {
            return true;
        }
        self.probation && self.probe(from, header, at)
    }

    fn probe(&mut self, from: Address, header: &Header, at: Instant) -> bool {
        let known = self.candidates.iter().position(|candidate| candidate.count > 0 && candidate.from == from);
        let fresh = Candidate { from, seen_at: at, ssrc: header.ssrc, seq: header.seq, count: 1 };
        let Some(place) = known else {
            let free = |candidate: &Candidate| candidate.count == 0 || at.since(candidate.seen_at) > PROBATION_QUIET;
            if let Some(place) = self.candidates.iter().position(free) {
                self.candidates[place] = fresh;
            }
            return false;
        };
        let candidate = &mut self.candidates[place];
        let step = header.seq.since(candidate.seq);
        let steady = header.ssrc == candidate.ssrc
            && (1..=PROBATION_GAP).contains(&step)
            && at.since(candidate.seen_at) <= PROBATION_QUIET;
        *candidate = if steady { Candidate { count: candidate.count + 1, ..fresh } } else { fresh };
        candidate.count >= PROBATION_PACKETS
    }

    /// Forgets everybody.
    pub(crate) fn rearm(&mut self) {
        *self = Self {
            receives: self.receives,
            mux: self.mux,
            rtcp: self.rtcp,
            probation: self.probation,
            ..Self::default()
        };
    }

    pub(crate) fn forget_candidates(&mut self) {
        self.candidates = Default::default();
    }
}

/// Whether both are on one host.
pub(crate) fn same_host(one: Address, other: Address) -> bool {
    match (one.get(), other.get()) {
        (Some(one), Some(other)) => one.ip() == other.ip(),
        _ => false,
    }
}

/// The RTCP port that belongs to an RTP address where nobody said another (RFC 3550 §11).
pub(crate) fn next_port(address: Address) -> Address {
    let next = address.get().and_then(|mut address| {
        address.set_port(address.port().checked_add(1)?);
        Some(address)
    });
    Address::from(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_wire::RtpTime;
    use std::net::SocketAddr;

    fn address(port: u16) -> Address {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    fn header(ssrc: u32, seq: u16) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            seq: Seq(seq),
            time: RtpTime(0),
            ssrc: Ssrc(ssrc),
            payload_start: 12,
            payload_bytes: 160,
        }
    }

    fn open() -> Gate {
        Gate { probation: true, ..Gate::default() }
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn the_address_of_sdp_is_believed_at_once() {
        assert!(open().try_source(address(4_000), address(4_000), &header(1, 1), at(0)));
        let mut strict = Gate::default();
        assert!(!strict.try_source(address(4_002), address(4_000), &header(1, 1), at(0)));
    }

    #[test]
    fn another_source_needs_several_steady_packets() {
        let mut gate = open();
        let results: Vec<_> = (1..=4)
            .map(|seq| gate.try_source(address(9_000), address(4_000), &header(1, seq), at(20 * u64::from(seq))))
            .collect();
        assert_eq!(results, [false, false, false, true]);
    }

    #[test]
    fn an_unsteady_source_never_gets_in() {
        let sdp = address(4_000);
        let scripts: [&dyn Fn(u16) -> Header; 3] = [
            &|count| header(u32::from(count), count),      // SSRC changes
            &|count| header(1, count.wrapping_mul(1_000)), // sequence jumps
            &|_| header(1, 7),                             // stands still
        ];
        for script in scripts {
            let mut gate = open();
            assert!((1..200).all(|n| !gate.try_source(address(9_000), sdp, &script(n), at(20 * u64::from(n)))));
        }
        let mut slow = open();
        assert!((1..20).all(|n| !slow.try_source(address(9_000), sdp, &header(1, n), at(250 * u64::from(n)))));
    }

    #[test]
    fn a_flood_does_not_keep_a_steady_peer_out() {
        let mut gate = open();
        let sdp = address(4_000);
        // Two strangers send a packet each millisecond; the peer, behind NAT, one every 20 ms.
        let found = (0..2_000_u16).find(|n| {
            let now = at(u64::from(*n));
            let stranger = address(20_000 + n % 2);
            assert!(!gate.try_source(stranger, sdp, &header(1, n.wrapping_mul(77)), now));
            n % 20 == 0 && gate.try_source(address(9_000), sdp, &header(7, n / 20), now)
        });
        assert_eq!(found, Some(60));
    }
}
