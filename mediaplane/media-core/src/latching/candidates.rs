//! Sources other than the one of the session description, while it shows whether one of them is the peer.
//!
//! A blind sender knows neither who talks on a port nor from where. So it is never enough to be there first, or to be
//! loud: a candidate is taken when it was steady for [`SETTLE_TIME`] after the answer and nobody else was steady in
//! that time. Of several, one on the host of the peer's session description or signaling is the peer; several of those,
//! or several of others, are nobody, until all but one are silent. A source that was heard long before the peer could
//! know the port (a spray while it rings) is never taken, and is no rival. What it costs is bounded: a few places in
//! each leg, and the places that are left over go to those that send steadily.

use crate::latching::held_packets::HeldList;
use crate::latching::source_filter::QUIET;
use clock::{Duration, Instant};
use contract::Address;
use rtp_wire::{Header, RtpTime, Seq, Ssrc};

/// How long a source has to be steady. As many packets of 20 ms wait meanwhile as `held_packets.rs` has places for.
pub const SETTLE_TIME: Duration = Duration::from_millis(160);
/// Packets in a row that a source has to send in that time at least.
pub const SETTLE_PACKETS: u8 = 5;
/// Sources that are looked at at the same time.
const PLACES: usize = 4;
/// From so many packets in a row on a source is steady: a rival of others, and not pushed out by a flood.
const STEADY_PACKETS: u8 = 3;
/// A source with fewer makes room after so long; packets have 10 to 60 ms.
const UNSTEADY_PATIENCE: Duration = Duration::from_millis(65);
/// Sequence numbers that may be missing between two packets, or that a packet may be late.
const MOST_GAP: i16 = 16;
/// A source that was heard for longer than this before the peer said its address did not learn of the port from us.
const TOO_EARLY: Duration = Duration::from_secs(1);

/// The sources of one leg that may be its peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    places: [Candidate; PLACES],
}

#[derive(Clone, Debug, Default)]
struct Candidate {
    from: Address,
    /// Its first packet.
    first_at: Instant,
    /// The first packet of its steady run.
    since: Instant,
    seen_at: Instant,
    ssrc: Ssrc,
    seq: Seq,
    time: RtpTime,
    /// Packets in a row; 0: the place is free.
    count: u8,
    /// On a host that the peer has named.
    is_near: bool,
    held: HeldList,
}

impl Candidate {
    fn is_steady(&self) -> bool {
        self.count >= STEADY_PACKETS
    }

    fn is_free(&self, at: Instant) -> bool {
        let patience = if self.is_steady() { QUIET } else { UNSTEADY_PATIENCE };
        self.count == 0 || at.since(self.seen_at) > patience
    }

    fn is_too_early(&self, known_since: Instant) -> bool {
        self.first_at + TOO_EARLY < known_since
    }
}

impl Candidates {
    /// Counts a packet of a source; says its place, or none where all are taken. One that `goes_on` with the peer's stream
    /// always finds a place. Packets of a source that was pushed out or that was not steady are left in `stale`.
    pub(crate) fn note(
        &mut self,
        from: Address,
        header: &Header,
        at: Instant,
        is_near: bool,
        goes_on: bool,
        stale: &mut HeldList,
    ) -> Option<usize> {
        if let Some(place) = self.places.iter().position(|known| known.count > 0 && known.from == from) {
            self.go_on(place, header, at, stale);
            return Some(place);
        }
        let free = self.places.iter().position(|candidate| candidate.is_free(at));
        let least = || (0..PLACES).min_by_key(|place| self.places[*place].count).filter(|_| goes_on);
        let place = free.or_else(least)?;
        let candidate = &mut self.places[place];
        *stale = std::mem::take(&mut candidate.held);
        *candidate = Candidate { from, first_at: at, is_near, ..Candidate::default() };
        candidate.start(header, at);
        Some(place)
    }

    fn go_on(&mut self, place: usize, header: &Header, at: Instant, stale: &mut HeldList) {
        let candidate = &mut self.places[place];
        let step = header.seq.since(candidate.seq);
        let is_same = header.ssrc == candidate.ssrc && at.since(candidate.seen_at) <= QUIET;
        candidate.seen_at = at;
        if !is_same
            || step.unsigned_abs() > MOST_GAP.unsigned_abs()
            || header.time.since(candidate.time) < 0 && step > 0
        {
            *stale = std::mem::take(&mut candidate.held);
            candidate.start(header, at);
        } else if step > 0 {
            (candidate.seq, candidate.time) = (header.seq, header.time);
            candidate.count = candidate.count.saturating_add(1);
        }
    }

    /// Whether the source at a place is the peer.
    pub(crate) fn is_peer(&self, place: usize, at: Instant, judges_since: Instant, known_since: Instant) -> bool {
        let Some(it) = self.places.get(place) else { return false };
        let is_rival = |other: &Candidate| {
            let is_heard = other.is_steady() && at.since(other.seen_at) <= QUIET;
            is_heard && (other.is_near || !it.is_near) && !other.is_too_early(known_since)
        };
        let is_long = at.since(it.since.max(judges_since)) >= SETTLE_TIME;
        is_long
            && it.count >= SETTLE_PACKETS
            && !it.is_too_early(known_since)
            && !self.places.iter().enumerate().any(|(other, rival)| other != place && is_rival(rival))
    }

    /// The packets that wait at a place.
    pub(crate) fn held(&mut self, place: usize) -> Option<&mut HeldList> {
        self.places.get_mut(place).map(|candidate| &mut candidate.held)
    }

    /// The packets that wait at a place, to be passed on.
    pub(crate) fn take_held(&mut self, place: usize) -> HeldList {
        self.held(place).map(std::mem::take).unwrap_or_default()
    }

    /// The packets that wait at all places.
    pub(crate) fn into_held(self) -> impl Iterator<Item = HeldList> {
        self.places.into_iter().map(|candidate| candidate.held)
    }
}

impl Candidate {
    fn start(&mut self, header: &Header, at: Instant) {
        (self.since, self.seen_at, self.count) = (at, at, 1);
        (self.ssrc, self.seq, self.time) = (header.ssrc, header.seq, header.time);
    }
}

#[cfg(test)]
mod tests;
