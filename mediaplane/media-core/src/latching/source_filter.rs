//! Whose packets a leg takes: those of its peer's address in the session description, always; those of another source
//! only where a blind sender cannot follow (symmetric RTP, RFC 4961). `latch.rs` acts on it.
//!
//! The rules, in the order in which they are asked:
//!
//! 1. A packet from exactly the address of the session description is the peer's, at any time, at once.
//! 2. Before the call is answered, and where the peer has not said its address yet, no other source is taken.
//! 3. While the source that was taken last is heard, no other one is taken.
//! 4. Once it is silent for [`QUIET`], a packet from elsewhere that goes on with the same stream (its SSRC, the next
//!    sequence numbers, a timestamp that fits the time that passed) is the peer's behind a NAT that has rebound.
//! 5. Where no source has been heard since the last offer and answer, one is taken that is steady for [`SETTLE_TIME`]
//!    and has no rival: see [`crate::candidates`]. A peer that was heard from exactly the address that it still names is
//!    not behind a NAT that hides it: of other hosts than those of its media and its signaling only rule 4 takes one.
//! 6. Once the source that was taken last is silent for [`RESTART_QUIET`], by RTP, RTCP and keep-alives, another one on its
//!    host, or on the host of the session description or of signaling, is taken by the same proof as in rule 5: a phone
//!    that begins a new stream behind a NAT that has rebound. Should the former source only have paused, its next packet
//!    takes the leg back at once: it goes on with a stream that a blind sender cannot know.
//!
//! Packets that wait for rule 4, 5 or 6 are held ([`crate::held_packets`]), so that none of the peer's is lost.

use crate::incoming::statistics::StreamPoint;
use crate::latching::probation::{Probation, RoomIndex};
use clock::{Duration, Instant};
use contract::{Address, Latching, LegRef};
use rtp_wire::Header;

/// A source that is silent for so long may have moved. A kernel socket that lets in the peer only is opened for others then.
pub const QUIET: Duration = Duration::from_millis(200);
/// A source that is silent for so long may have begun anew elsewhere on its host. Longer than the pauses between words where a
/// phone suppresses silence, and short enough that people still wait for each other's voice. Who would take the leg over has
/// to send from that host in that time: another one behind the same NAT, or a sender that forges the address and gets nothing.
pub const RESTART_QUIET: Duration = Duration::from_secs(2);
/// How often a leg whose peer was silent looks whether the kernel may let in the peer only again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Whose packets a leg takes.
#[derive(Clone, Debug)]
pub(crate) struct SourceFilter {
    /// RTP is taken from here; none: nothing was taken yet.
    pub(crate) accepted: Address,
    /// The kernel lets only `accepted` through, and says no source any more. Never while `accepted` is another address
    /// than that of the session description, which has to be heard.
    pub(crate) connected: bool,
    /// The direction lets packets in.
    pub(crate) receives: bool,
    /// RTCP comes on the RTP port.
    pub(crate) mux: bool,
    /// RTCP is taken at all.
    pub(crate) rtcp: bool,
    pub(crate) rtcp_connected: bool,
    /// The peer has sent something from exactly its address.
    pub(crate) is_proven: bool,
    /// That was RTP. RTCP does not show it: it may have an address of its own (RFC 3605), which a NAT in front of the RTP
    /// address leaves reachable.
    pub(crate) is_proven_by_rtp: bool,
    pub(crate) latching: Latching,
    /// RTCP is taken from here; none: nothing was taken yet.
    pub(crate) rtcp_accepted: Address,
    /// When the peer sent anything else than RTP that was taken: RTCP, STUN, keep-alives.
    pub(crate) alive_at: Instant,
    /// The answer, or the last offer and answer since: sources are judged by what they send from here on.
    pub(crate) judges_since: Instant,
    /// When the address of the session description became known.
    pub(crate) known_since: Instant,
    /// The stream of the source before the one that is taken now.
    pub(crate) former: StreamPoint,
    /// That source gets the leg back with its next packet. Not where the address of the session description has taken it over.
    pub(crate) may_return: bool,
    /// Sources that may be the peer.
    pub(crate) room: RoomIndex,
}

impl Default for SourceFilter {
    fn default() -> Self {
        Self {
            accepted: Address::NONE,
            connected: false,
            receives: false,
            mux: false,
            rtcp: false,
            rtcp_connected: false,
            is_proven: false,
            is_proven_by_rtp: false,
            latching: Latching::Off,
            rtcp_accepted: Address::NONE,
            alive_at: Instant::ZERO,
            judges_since: Instant::ZERO,
            known_since: Instant::ZERO,
            former: StreamPoint::default(),
            may_return: false,
            room: RoomIndex::NONE,
        }
    }
}

/// What a packet's source is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The peer, from the address of its session description, or with the stream that it had before.
    Peer,
    /// The peer, from elsewhere: the candidate at this place.
    Settled(usize),
    /// It may be the peer; its packets wait at this place.
    Waits(usize),
    Stranger,
}

/// What a leg knows when it looks at a packet.
pub(crate) struct Judged<'h> {
    pub(crate) from: Address,
    pub(crate) header: &'h Header,
    pub(crate) at: Instant,
    pub(crate) leg: LegRef,
    /// The address of the session description.
    pub(crate) sdp: Address,
    /// Where signaling comes from.
    pub(crate) signaling: Address,
    /// The stream that was taken last.
    pub(crate) stream: StreamPoint,
}

impl SourceFilter {
    /// Whether the packet comes from the peer that was found before.
    #[inline]
    pub(crate) fn knows(&self, from: Address) -> bool {
        if from.is_none() { self.connected } else { from == self.accepted }
    }

    /// Looks at a sound packet, of an agreed payload type, whose source is not known.
    pub(crate) fn judge(&mut self, packet: &Judged<'_>, probation: &mut Probation) -> Verdict {
        let Judged { from, header, at, leg, sdp, .. } = *packet;
        if from.is_none() {
            return Verdict::Stranger;
        }
        if from.is_at(sdp) {
            return Verdict::Peer;
        }
        if self.latching == Latching::Off || !self.receives {
            return Verdict::Stranger;
        }
        let is_first = self.accepted.is_none();
        let heard_at = packet.stream.at.max(self.alive_at);
        let is_quiet = is_first || at.since(heard_at) >= QUIET;
        let goes_on = !is_first && (packet.stream.leads_to(header, at) || self.former.leads_to(header, at));
        if self.latching == Latching::Probation && self.may_return && self.former.leads_to(header, at) {
            (self.former, self.may_return) = (StreamPoint::default(), false);
            return Verdict::Peer;
        }
        let is_near = from.is_beside(sdp) || from.is_beside(packet.signaling);
        let may_begin_anew = is_near || from.is_beside(self.accepted);
        let begins_anew = !is_first && may_begin_anew && at.since(heard_at) >= RESTART_QUIET;
        if !goes_on && !is_first && !begins_anew && heard_at >= self.judges_since {
            return Verdict::Stranger;
        }
        let is_near = is_near || begins_anew;
        if self.is_proven_by_rtp && !is_near && !goes_on {
            return Verdict::Stranger;
        }
        let Some(place) = probation.note(leg, &mut self.room, (from, header, at), is_near, goes_on) else {
            return Verdict::Stranger;
        };
        let may_settle = self.latching == Latching::Probation && !sdp.is_none() && is_quiet;
        let mut is_peer = || {
            let candidates = probation.of(leg, self.room);
            candidates.is_some_and(|all| all.is_peer(place, at, self.judges_since, self.known_since))
        };
        if !may_settle || !(goes_on || is_peer()) {
            return Verdict::Waits(place);
        }
        // Of several that took the leg one after the other in a pause, the first one had it by right.
        if !goes_on && !is_first && !self.may_return {
            (self.former, self.may_return) = (packet.stream, true);
        }
        Verdict::Settled(place)
    }

    /// Whether a packet that is no RTP is the peer's.
    pub(crate) fn is_of_peer(&self, from: Address, sdp: Address) -> bool {
        self.knows(from) || (!from.is_none() && from.is_at(sdp))
    }

    /// When the kernel socket has to be looked at: opened for others once the peer is silent, closed to them once it is
    /// heard again.
    pub(crate) fn watch_at(&self, heard_at: Instant, listening_since: Instant, sdp: Address, now: Instant) -> Instant {
        if self.latching == Latching::Off || !self.receives || self.accepted.is_none() {
            Instant::FAR_FUTURE
        } else if self.connected {
            heard_at.max(listening_since) + QUIET
        } else if self.accepted.is_at(sdp) {
            now + LOOK_AGAIN
        } else {
            Instant::FAR_FUTURE
        }
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
