//! RTP of the phones: what they send says which packet of which call it is, so that the relay can be checked packet by packet.

use clock::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// A call, and whether this is the side of the caller.
pub(super) type Side = (u32, bool);

/// Time between two packets.
pub(super) const FRAME: Duration = Duration::from_millis(20);
/// After both sides talk, sources are settled within this time.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// From the first message of a call to its answer at most so long.
const SET_UP_WITHIN: Duration = Duration::from_secs(40);
const HEADER_BYTES: usize = 12;
const PAYLOAD_BYTES: usize = 160;
const MARK: &[u8; 4] = b"sim:";

/// What one phone says in one call.
pub(super) struct Talk {
    pub(super) rtp: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) since: Instant,
    pub(super) sent_count: u32,
    pub(super) is_over: bool,
}

/// All audio.
#[derive(Default)]
pub(super) struct Audio {
    pub(super) talks: BTreeMap<Side, Talk>,
    /// Packets that arrived at the switch, the first copy of each.
    arrived: BTreeMap<(Side, u32), Instant>,
    /// Packets that the switch sent on.
    relayed: BTreeSet<(Side, u32)>,
    /// When the first side of a call, or the switch, ended it.
    closed: BTreeMap<u32, Instant>,
    /// When something died.
    pub(super) deaths: Vec<Instant>,
}

impl Audio {
    /// The next packet of a talk; `None`: it is over.
    pub(super) fn next_packet(&mut self, side: Side) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let talk = self.talks.get_mut(&side).filter(|talk| !talk.is_over)?;
        let index = talk.sent_count;
        talk.sent_count += 1;
        let mut packet = vec![0x80, 0];
        packet.extend((index as u16).to_be_bytes());
        packet.extend((index * 160).to_be_bytes());
        packet.extend((side.0 * 2 + u32::from(side.1) + 1).to_be_bytes());
        packet.extend(MARK);
        packet.extend(side.0.to_be_bytes());
        packet.push(u8::from(side.1));
        packet.extend(index.to_be_bytes());
        packet.resize(HEADER_BYTES + PAYLOAD_BYTES, 0xd5);
        Some((talk.rtp, talk.remote, packet))
    }

    pub(super) fn arrives(&mut self, now: Instant, packet: &[u8]) {
        if let Some(id) = packet_id(packet) {
            self.arrived.entry(id).or_insert(now);
        }
    }

    pub(super) fn is_relayed(&mut self, packet: &[u8]) {
        self.relayed.extend(packet_id(packet));
    }

    /// A call ends: what comes later need not be sent on.
    pub(super) fn close(&mut self, number: u32, now: Instant) {
        self.closed.entry(number).or_insert(now);
    }

    /// Packets of undisturbed calls that had to be sent on, those that were not, and the first of them.
    pub(super) fn verdict(&self) -> (usize, usize, Option<(Side, u32)>) {
        let window = |number: u32| {
            let (a, b) = (self.talks.get(&(number, true))?, self.talks.get(&(number, false))?);
            let (from, to) = (a.since.max(b.since) + SETTLED_AFTER, *self.closed.get(&number)?);
            let begin = a.since.min(b.since);
            let is_disturbed = self.deaths.iter().any(|at| *at <= to && begin.since(*at) < SET_UP_WITHIN);
            (!is_disturbed && from < to).then_some((from, to))
        };
        let is_due =
            |(id, at): &(&(Side, u32), &Instant)| window(id.0.0).is_some_and(|(from, to)| (from..to).contains(*at));
        let due: Vec<_> = self.arrived.iter().filter(is_due).map(|(id, _)| *id).collect();
        let missing: Vec<_> = due.iter().filter(|id| !self.relayed.contains(id)).copied().collect();
        (due.len(), missing.len(), missing.first().copied())
    }
}

fn packet_id(packet: &[u8]) -> Option<(Side, u32)> {
    let mark = packet.get(HEADER_BYTES..)?.strip_prefix(MARK)?;
    let number = |at: usize| Some(u32::from_be_bytes(mark.get(at..at + 4)?.try_into().ok()?));
    Some(((number(0)?, *mark.get(4)? == 1), number(5)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    /// A call from 100 s to 110 s whose packets arrive at `arrival_s`; what the verdict is.
    fn verdict(arrival_s: u64, is_relayed: bool, death_s: Option<u64>) -> (usize, usize) {
        let mut audio = Audio::default();
        let address = SocketAddr::from(([10, 0, 0, 1], 40_000));
        for is_caller in [true, false] {
            let talk = Talk { rtp: address, remote: address, since: at(100), sent_count: 0, is_over: false };
            audio.talks.insert((7, is_caller), talk);
        }
        audio.deaths.extend(death_s.map(at));
        let (_, _, packet) = audio.next_packet((7, true)).unwrap();
        audio.arrives(at(arrival_s), &packet);
        if is_relayed {
            audio.is_relayed(&packet);
        }
        audio.close(7, at(110));
        let (due, missing, _) = audio.verdict();
        (due, missing)
    }

    #[test]
    fn a_packet_that_is_not_sent_on_is_found_where_nothing_died() {
        assert_eq!(verdict(105, true, None), (1, 0));
        assert_eq!(verdict(105, false, None), (1, 1));
        assert_eq!(verdict(101, false, None), (0, 0), "the source may not be settled");
        assert_eq!(verdict(110, false, None), (0, 0), "the call is over");
        assert_eq!(verdict(105, false, Some(104)), (0, 0));
        assert_eq!(verdict(105, false, Some(80)), (0, 0), "it may have been in the middle of the set-up");
        assert_eq!((verdict(105, false, Some(50)), verdict(105, false, Some(111))), ((1, 1), (1, 1)));
    }
}
