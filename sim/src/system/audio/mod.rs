//! RTP of the phones: what they send says which packet of which call it is, so that every packet that leaves the switch is
//! checked: the right phone hears it and no other, and while nothing disturbs a call none is missing.

mod talk;

use clock::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
pub(super) use talk::Talk;
use talk::{Arrivals, ArrivedEvent, event_in, packet_id};

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
/// A telephone event has crossed the switch within this time.
const EVENT_WITHIN: Duration = Duration::from_secs(3);

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
}

/// What has become of the packets that had to be sent on.
#[derive(Default)]
pub(super) struct Verdict {
    /// Packets and telephone events that were checked.
    pub(super) checked_count: usize,
    /// The first of those that are missing, and how many are.
    pub(super) missing: Option<(String, usize)>,
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

    /// What was agreed on in a call has changed.
    pub(super) fn agree(
        &mut self,
        now: Instant,
        side: Side,
        rtp: Option<SocketAddr>,
        (is_open, is_deaf): (bool, bool),
    ) {
        let Some(talk) = self.talks.get_mut(&side) else { return };
        talk.remote = rtp.unwrap_or(talk.remote);
        talk.open.push((now, is_open));
        talk.deaf_since = if is_deaf { talk.deaf_since.or(Some(now)) } else { None };
    }

    /// A change of a call begins.
    pub(super) fn unsettle(&mut self, now: Instant, side: Side) {
        if let Some(talk) = self.talks.get_mut(&side) {
            talk.open.push((now, false));
            talk.deaf_since = None;
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

    /// A packet leaves the switch: the phone that gets it has to be one that may hear it.
    pub(super) fn leaves(&mut self, now: Instant, to: SocketAddr, packet: &[u8]) -> Result<(), String> {
        let Some(ear) = self.listeners.get(&to).copied() else { return Ok(()) };
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
        } else if let Some((time, digit, _)) = event_in(packet)
            && let Some(talk) = self.talks.get_mut(&ear)
        {
            talk.digits.told_at.push(now);
            if talk.digits.heard_events.insert(time, digit).is_none() && talk.has_events {
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

    /// A call is over on one side, which sends nothing more.
    pub(super) fn end(&mut self, side: Side, now: Instant) {
        self.close(side, now);
        if let Some(talk) = self.talks.get_mut(&side) {
            talk.is_over = true;
        }
    }

    /// Signaling has died, and the media plane goes on with its legs until then: calls that are settled are heard so long.
    pub(super) fn leave(&mut self, now: Instant, until: Instant) {
        let (talks, settled) = (&self.talks, SETTLED_AFTER + Duration::from_secs(1));
        for pair in &mut self.pairs {
            let is_settled = |side| {
                let talk: Option<&Talk> = talks.get(side);
                talk.is_some_and(|talk| talk.is_open(now, settled) && now.since(talk.since) >= settled)
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

    /// When the side has to be heard by its peer, and is.
    fn window(&self, pair: &Pair) -> Option<(Instant, Instant)> {
        let [a, b] = pair.sides.map(|side| self.talks.get(&side));
        let (a, b) = (a?, b?);
        let operated_at = pair.sides.iter().filter_map(|side| self.operated.get(&side.0)).min();
        let to = operated_at.into_iter().fold(pair.closed?, |to, at| to.min(*at));
        let from = pair.from?.max(a.since).max(b.since) + SETTLED_AFTER;
        let begin = a.since.min(b.since);
        let is_disturbed = self.deaths.iter().any(|at| *at <= to && begin.since(*at) < SET_UP_WITHIN);
        (!is_disturbed && from < to).then_some((from, to))
    }

    /// Packets and digits of undisturbed calls that had to be sent on, and those that were not.
    pub(super) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for pair in &self.pairs {
            let Some((from, to)) = self.window(pair) else { continue };
            for (index, side) in pair.sides.into_iter().enumerate() {
                let (Some(talk), Some(peer)) = (self.talks.get(&side), self.talks.get(&pair.sides[1 - index])) else {
                    continue;
                };
                let is_open = |at| talk.is_open(at, SETTLED_AFTER) && peer.is_open(at, SETTLED_AFTER);
                let is_due = |at: Instant| (from..to).contains(&at) && is_open(at);
                // After a change of its source a stream begins anew with the packet that comes first; those that are older
                // cannot be told from late ones of before.
                let begins = pair.from.into_iter().chain([talk.since.max(peer.since)]);
                let changes: Vec<Instant> = talk.changes().chain(peer.changes()).chain(begins).collect();
                let arrivals = Arrivals::of(talk);
                let is_unordered = |number, at| {
                    let is_near = |change: &Instant| arrivals.is_order_unknown(at, *change, SETTLED_AFTER);
                    arrivals.is_overtaken(number, at) && changes.iter().any(is_near)
                };
                for (number, arrived) in talk.arrived.iter().enumerate() {
                    let is_free = |at: Instant| peer.is_told_at(at) || is_unordered(number, at);
                    if let Some(at) = arrived.filter(|at| is_due(*at) && !is_free(*at)) {
                        verdict.check(talk.relayed[number], || format!("packet {number} of {side:?} at {at:?}"));
                    }
                }
                let is_rtp = |event: &&ArrivedEvent| event.has_end && event.packets >= 3;
                for event in talk.digits.events.values().filter(is_rtp) {
                    if is_due(event.at) && is_due(event.at + EVENT_WITHIN) {
                        let is_heard = peer.digits.heard.contains(&event.digit);
                        verdict.check(is_heard, || format!("digit {} of {side:?} at {:?}", event.digit, event.at));
                    }
                }
            }
        }
        verdict
    }
}

impl Verdict {
    fn check(&mut self, is_there: bool, what: impl FnOnce() -> String) {
        self.checked_count += 1;
        if !is_there {
            self.missing.get_or_insert_with(|| (what(), 0)).1 += 1;
        }
    }
}

#[cfg(test)]
mod tests;
