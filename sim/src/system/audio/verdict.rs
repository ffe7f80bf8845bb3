//! What had to be sent on to phones in calls that nothing disturbed, and was not.

use super::talk::{Arrivals, ArrivedEvent, HeardEvent, Talk};
use super::{Audio, Pair, SET_UP_WITHIN, SETTLED_AFTER};
use clock::{Duration, Instant};

/// A digit has crossed the switch within this time, with all packets of its telephone event.
const EVENT_WITHIN: Duration = Duration::from_secs(3);

/// What has become of the packets that had to be sent on.
#[derive(Default)]
pub(in crate::system) struct Verdict {
    /// Packets and telephone events that were checked.
    pub(in crate::system) checked_count: usize,
    /// The first of those that are missing, and how many are.
    pub(in crate::system) missing: Option<(String, usize)>,
}

impl Audio {
    /// When the side has to be heard by its peer, and is.
    fn window(&self, pair: &Pair) -> Option<(Instant, Instant)> {
        let [a, b] = pair.sides.map(|side| self.talks.get(&side));
        let (a, b) = (a?, b?);
        let operated_at = pair.sides.iter().filter_map(|side| self.operated.get(&side.0)).min();
        let to = operated_at.into_iter().fold(pair.closed?, |to, at| to.min(*at));
        let from = pair.from?.max(a.since).max(b.since) + SETTLED_AFTER;
        (!self.is_disturbed(a, b, to) && from < to).then_some((from, to))
    }

    /// Whether something died from the set-up of a call on, until this time.
    pub(super) fn is_disturbed(&self, a: &Talk, b: &Talk, until: Instant) -> bool {
        let begin = a.since.min(b.since);
        self.deaths.iter().any(|at| *at <= until && begin.since(*at) < SET_UP_WITHIN)
    }

    /// Packets and digits of undisturbed calls that had to be sent on, and those that were not.
    pub(in crate::system) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for pair in &self.pairs {
            let Some((from, to)) = self.window(pair) else { continue };
            for (index, side) in pair.sides.into_iter().enumerate() {
                let (Some(talk), Some(peer)) = (self.talks.get(&side), self.talks.get(&pair.sides[1 - index])) else {
                    continue;
                };
                let is_open = |at| talk.flow(at, SETTLED_AFTER).sends && peer.flow(at, SETTLED_AFTER).receives;
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
                let is_whole = |event: &&ArrivedEvent| event.has_end && event.packets >= 3;
                let by_rtp = talk.digits.events.values().filter(is_whole).map(|event| (event.digit, event.at));
                // A digit that goes on by INFO may still be on its way at the end.
                let by_info = talk.digits.taken.iter().copied().filter(|_| peer.has_events);
                let taken = by_rtp.chain(by_info);
                let is_due = |at: Instant| is_due(at) && is_due(at + EVENT_WITHIN);
                for (digit, at) in taken.filter(|(_, at)| is_due(*at)) {
                    let is_heard = peer.digits.heard.contains(&digit);
                    verdict.check(is_heard, || format!("digit {digit} of {side:?} at {at:?}"));
                }
                for event in peer.digits.heard_events.values().filter(|event| is_due(event.at)) {
                    // A digit whose end did not arrive, or before the call was up, has none behind the switch either; and one
                    // may give way to another.
                    let is_cut_off = |own: &ArrivedEvent| own.digit == event.digit && !(own.has_end && is_due(own.at));
                    let is_near =
                        |other: &HeardEvent| other.at != event.at && is_within(other.at, event.at, EVENT_WITHIN);
                    let gives_way = peer.digits.heard_events.values().any(is_near);
                    if !gives_way && !talk.digits.events.values().any(is_cut_off) {
                        let what = || format!("the end of digit {} of {side:?} at {:?}", event.digit, event.at);
                        verdict.check(event.has_end, what);
                    }
                }
            }
        }
        verdict
    }
}

/// Whether two times are no further apart than this.
fn is_within(one: Instant, other: Instant, limit: Duration) -> bool {
    one.since(other) < limit && other.since(one) < limit
}

impl Verdict {
    fn check(&mut self, is_there: bool, what: impl FnOnce() -> String) {
        self.checked_count += 1;
        if !is_there {
            self.missing.get_or_insert_with(|| (what(), 0)).1 += 1;
        }
    }
}
