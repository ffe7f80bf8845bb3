//! RTP of the phones: what they send says which packet of which call it is, so that every packet that leaves the switch is
//! checked: the right phone hears it and no other, and while nothing disturbs a call none is missing.

mod hold;
mod reports;
mod talk;
mod verdict;

use crate::system::phone::description::{Directions, Ways};
use clock::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
pub(super) use talk::Talk;
use talk::{ArrivedEvent, HeardEvent, event_in, packet_id};

/// A call, and whether this is the side of the caller.
pub(super) type Side = (u32, bool);

/// Time between two packets.
pub(super) const FRAME: Duration = Duration::from_millis(20);
/// After both sides talk, and after a change, sources are settled within this time.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// A phone that takes nothing hears the last packet within this time.
const DEAF_AFTER: Duration = Duration::from_secs(1);
/// From the first message of a call to its answer at most so long.
const SET_UP_WITHIN: Duration = Duration::from_secs(40);

/// Two sides that hear each other.
struct Pair {
    sides: [Side; 2],
    /// The side that has brought them together.
    by: Option<Side>,
    /// Since when; `None`: a transfer has yet to succeed.
    from: Option<Instant>,
    /// When one of them, or the switch, ended it.
    closed: Option<Instant>,
}

/// All audio.
#[derive(Default)]
pub(super) struct Audio {
    pub(super) talks: BTreeMap<Side, Talk>,
    pairs: Vec<Pair>,
    /// The side whose RTP comes to an address.
    listeners: BTreeMap<SocketAddr, Side>,
    /// Calls that an operator of the switch has changed, and since when: what is heard in them is the operator's wish then.
    operated: BTreeMap<u32, Instant>,
    /// Digits that operators have sent.
    operated_digits: usize,
    /// When something died.
    pub(super) deaths: Vec<Instant>,
    /// Report blocks of RTCP that were checked.
    pub(super) reports_count: u64,
}

impl Audio {
    /// A call is up on one side.
    pub(super) fn begin(&mut self, side: Side, talk: Talk) {
        self.listeners.insert(talk.rtp, side);
        self.talks.insert(side, talk);
        let sides = [(side.0, true), (side.0, false)];
        if !self.pairs.iter().any(|pair| pair.sides == sides) {
            self.pairs.push(Pair { sides, by: None, from: Some(Instant::ZERO), closed: None });
        }
    }

    /// The first side is transferring its peer to the other: they may hear each other from now on, and have to once the
    /// transfer has succeeded ([`Self::transferred`]). Where one of them has been transferred before, they only may.
    pub(super) fn will_pair(&mut self, by: Side, to: &[Side]) {
        let peers: BTreeSet<Side> = self.partners(by).collect();
        for (one, other) in peers.iter().flat_map(|one| to.iter().map(move |other| (*one, *other))) {
            let is_first = peers.len() == 1 && to.len() == 1;
            self.pairs.push(Pair { sides: [one, other], by: is_first.then_some(by), from: None, closed: None });
        }
    }

    /// The sides that the one may hear.
    pub(super) fn peers(&self, side: Side) -> Vec<Side> {
        self.partners(side).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A transfer that this side had asked for has succeeded: its peer hears the new one.
    pub(super) fn transferred(&mut self, side: Side, now: Instant) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.by == Some(side)) {
            pair.from = Some(now);
        }
    }

    /// The sides that the one may hear.
    fn partners(&self, side: Side) -> impl Iterator<Item = Side> {
        let other = move |pair: &Pair| match pair.sides {
            [one, other] if one == side => Some(other),
            [other, one] if one == side => Some(other),
            _ => None,
        };
        self.pairs.iter().filter_map(other).chain([(side.0, !side.1)])
    }

    /// The next packet of a talk, with when the one after it comes; `None`: it is over.
    pub(super) fn next_packet(
        &mut self,
        now: Instant,
        side: Side,
    ) -> Option<(SocketAddr, SocketAddr, Vec<u8>, Instant)> {
        let talk = self.talks.get_mut(&side).filter(|talk| !talk.is_over)?;
        let (packet, next) = talk.next_packet(now, side);
        Some((talk.rtp, talk.remote, packet, next))
    }

    /// A user presses a key. Each side has keys of its own, each of them once.
    pub(super) fn press(&mut self, side: Side, by_rtp: bool) -> Option<u8> {
        let talk = self.talks.get_mut(&side).filter(|talk| !talk.is_over && talk.digits.pressed.len() < 8)?;
        let digit = talk.digits.pressed.len() as u8 + if side.1 { 0 } else { 8 };
        if by_rtp {
            talk.press(digit);
        } else {
            talk.digits.pressed.push(digit);
        }
        Some(digit)
    }

    /// The switch has answered a digit by INFO, which was sent at this time, with 200. A late answer does not say when the
    /// switch took it.
    pub(super) fn taken(&mut self, now: Instant, side: Side, digit: u8, sent_at: Instant) {
        if let Some(talk) = self.talks.get_mut(&side).filter(|_| now.since(sent_at) < SETTLED_AFTER) {
            talk.digits.taken.push((digit, now));
        }
    }

    /// What was agreed on in a call has changed.
    pub(super) fn agree(&mut self, now: Instant, side: Side, rtp: Option<SocketAddr>, directions: Directions) {
        if let Some(talk) = self.talks.get_mut(&side) {
            talk.remote = rtp.unwrap_or(talk.remote);
            talk.agree(now, directions);
        }
    }

    /// A change of a call begins.
    pub(super) fn unsettle(&mut self, now: Instant, side: Side) {
        if let Some(talk) = self.talks.get_mut(&side) {
            talk.agree(now, Directions { is_settled: false, ..talk.directions });
        }
    }

    /// A packet arrives at the switch.
    pub(super) fn arrives(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        if let Some((side, index)) = packet_id(packet)
            && let Some(talk) = self.talks.get_mut(&side)
            && let Some(arrived) = talk.arrived.get_mut(index as usize)
        {
            arrived.get_or_insert(now);
        } else if let Some((time, digit, is_end)) = event_in(packet)
            && let Some(talk) = self.listeners.get(&from).and_then(|side| self.talks.get_mut(side))
        {
            let new = ArrivedEvent { digit, packets: 0, has_end: false, at: now };
            let event = talk.digits.events.entry(time).or_insert(new);
            event.packets += 1;
            event.has_end |= is_end;
        }
    }

    /// Whether a phone takes RTCP at this address.
    pub(super) fn is_rtcp(&self, to: SocketAddr) -> bool {
        !self.listeners.contains_key(&to)
    }

    /// Whether the phones of a call have had no other peers, and no operator has changed it.
    pub(super) fn is_unchanged(&self, number: u32) -> bool {
        let is_of_call = |pair: &&Pair| pair.sides.iter().any(|side| side.0 == number);
        !self.operated.contains_key(&number) && self.pairs.iter().filter(is_of_call).count() == 1
    }

    /// A packet leaves the switch: the phone that gets it has to be one that may hear it.
    pub(super) fn leaves(&mut self, now: Instant, to: SocketAddr, packet: &[u8]) -> Result<(), String> {
        let Some(ear) = self.listeners.get(&to).copied() else { return self.reports(to, packet) };
        if let Some((side, index)) = packet_id(packet) {
            if !self.partners(ear).any(|partner| partner == side) {
                return Err(format!("{ear:?} hears {side:?}, which is not its peer"));
            }
            let deaf_since = self.talks.get(&ear).and_then(|talk| talk.deaf_since);
            if deaf_since.is_some_and(|since| now.since(since) > DEAF_AFTER) {
                return Err(format!("{ear:?} hears {side:?} since {deaf_since:?}, though it takes nothing"));
            }
            if let Some(relayed) = self.talks.get_mut(&side).and_then(|talk| talk.relayed.get_mut(index as usize)) {
                *relayed = true;
            }
        } else if let Some((time, digit, is_end)) = event_in(packet)
            && let Some(talk) = self.talks.get_mut(&ear)
        {
            talk.digits.told_at.push(now);
            let is_new = !talk.digits.heard_events.contains_key(&time);
            let event = talk.digits.heard_events.entry(time).or_insert(HeardEvent { digit, has_end: false, at: now });
            event.has_end |= is_end;
            if is_new && talk.has_events {
                return self.is_told(ear, digit);
            }
        }
        Ok(())
    }

    /// A phone is told a digit: another phone that it hears has pressed it, and it has not been told it before.
    pub(super) fn is_told(&mut self, ear: Side, digit: u8) -> Result<(), String> {
        let partners: BTreeSet<Side> = self.partners(ear).collect();
        // Those of an operator are the keys 1 and 2.
        let is_operated = partners.iter().chain([&ear]).any(|side| self.operated.contains_key(&side.0));
        let by_operator = if is_operated && matches!(digit, 1 | 2) { self.operated_digits } else { 0 };
        let presses = |side: &Side| {
            let pressed = self.talks.get(side).map_or(&[][..], |talk| &talk.digits.pressed);
            pressed.iter().filter(|pressed| **pressed == digit).count()
        };
        let pressed = by_operator + partners.iter().map(presses).sum::<usize>();
        let Some(talk) = self.talks.get_mut(&ear) else { return Ok(()) };
        talk.digits.heard.push(digit);
        let heard = talk.digits.heard.iter().filter(|heard| **heard == digit).count();
        if heard > pressed {
            return Err(format!("{ear:?} is told the digit {digit} {heard} times, which was pressed {pressed} times"));
        }
        Ok(())
    }

    /// A call ends on one side: what comes later need not be sent on.
    pub(super) fn close(&mut self, side: Side, now: Instant) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.sides.contains(&side)) {
            pair.closed = Some(pair.closed.map_or(now, |closed| closed.min(now)));
        }
    }

    /// The same on both sides.
    pub(super) fn close_call(&mut self, number: u32, now: Instant) {
        self.close((number, true), now);
        self.close((number, false), now);
    }

    /// A call is over on one side, which sends nothing more. `is_known` says that the switch has answered its BYE.
    pub(super) fn end(&mut self, side: Side, now: Instant, is_known: bool) {
        self.close(side, now);
        if let Some(talk) = self.talks.get_mut(&side) {
            (talk.is_over, talk.hung_up_at) = (true, is_known.then_some(now));
        }
    }

    /// Sides whose only peer has hung up at least so long ago, as the switch knows.
    pub(super) fn left_alone(&self, now: Instant, since: Duration) -> impl Iterator<Item = &Talk> {
        let has_left = move |talk: &Talk| talk.hung_up_at.is_some_and(|at| now.since(at) >= since);
        let left_behind = move |pair: &Pair| {
            let [one, other] = pair.sides.map(|side| self.talks.get(&side));
            let (one, other) = (one?, other?);
            let left = if has_left(one) { other } else { Some(one).filter(|_| has_left(other))? };
            self.is_unchanged(pair.sides[0].0).then_some(left)
        };
        self.pairs.iter().filter_map(left_behind)
    }

    /// Signaling has died, and the media plane goes on with its legs until then: calls that are settled are heard so long.
    pub(super) fn leave(&mut self, now: Instant, until: Instant) {
        let (talks, settled) = (&self.talks, SETTLED_AFTER + Duration::from_secs(1));
        for pair in &mut self.pairs {
            let is_settled = |side| {
                let talk: Option<&Talk> = talks.get(side);
                talk.is_some_and(|talk| talk.flow(now, settled) == Ways::BOTH && now.since(talk.since) >= settled)
            };
            let is_kept = pair.from.is_some() && pair.sides.iter().all(is_settled);
            let end = if is_kept { until } else { now };
            pair.closed = Some(pair.closed.map_or(end, |closed| closed.min(end)));
        }
    }

    /// Legs that were left are ended by the client that has adopted them.
    pub(super) fn end_left(&mut self, now: Instant) {
        for closed in self.pairs.iter_mut().filter_map(|pair| pair.closed.as_mut()) {
            *closed = now.min(*closed);
        }
    }

    /// An operator changes the call of this number, which may not be up yet, or sends digits in it.
    pub(super) fn operate(&mut self, now: Instant, number: u32, sends_digits: bool) {
        self.operated_digits += usize::from(sends_digits);
        let sides = [(number, true), (number, false)];
        let numbers: BTreeSet<u32> = sides.iter().flat_map(|side| self.partners(*side)).map(|side| side.0).collect();
        for number in numbers {
            self.operated.entry(number).or_insert(now);
        }
    }

    /// Sides whose calls nobody has begun to end, with their peer; both have been up since a while.
    pub(super) fn steady(&self, now: Instant, since: Duration) -> impl Iterator<Item = &Talk> {
        let steady = move |pair: &&Pair| {
            let up =
                |side: &Side| self.talks.get(side).is_some_and(|talk| !talk.is_over && now.since(talk.since) >= since);
            pair.from == Some(Instant::ZERO) && pair.closed.is_none() && pair.sides.iter().all(up)
        };
        self.pairs.iter().filter(steady).flat_map(|pair| pair.sides).filter_map(|side| self.talks.get(&side))
    }
}

#[cfg(test)]
mod tests;
