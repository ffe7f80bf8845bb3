//! What the two phones of a call are told about the direction of its media has to fit (RFC 3264 §8.4): when one of them holds,
//! the other one is told so from its own point of view, and after the resume both are told that media flow both ways.

use super::{Audio, Pair, Talk};
use crate::system::phone::description::{Directions, Ways};
use clock::{Duration, Instant};

/// Nothing was said for so long: a re-INVITE that was refused with 491 has been repeated by then (RFC 3261 §14.1).
const SAID_AFTER: Duration = Duration::from_secs(6);

impl Audio {
    /// Checks the calls in which nothing was said for a while. `is_quiet` says whether the switch has had nothing to say to a
    /// phone for that long. Gives how many calls were checked in which media do not flow both ways.
    pub(in crate::system) fn check_directions(
        &self,
        now: Instant,
        is_quiet: impl Fn(&Talk, Duration) -> bool,
    ) -> Result<u64, String> {
        let mut held_count = 0;
        for pair in self.pairs.iter().filter(|pair| self.is_alone(pair)) {
            let [Some(one), Some(other)] = pair.sides.map(|side| self.talks.get(&side)) else { continue };
            let is_still = |talk: &&Talk| {
                let is_settled = talk.directions.is_settled && now.since(talk.told_since) >= SAID_AFTER;
                !talk.is_over && is_settled && is_quiet(talk, SAID_AFTER)
            };
            let is_together = pair.from.is_some_and(|from| now.since(from) >= SAID_AFTER);
            if !is_together || ![one, other].iter().all(is_still) || self.is_disturbed(one, other, now) {
                continue;
            }
            if !fit(one.directions, other.directions) {
                let [a, b] = pair.sides;
                return Err(format!(
                    "what {a:?} is told does not fit: {:?}, {b:?}: {:?}",
                    one.directions, other.directions
                ));
            }
            held_count += u64::from(one.directions.flow() != Ways::BOTH);
        }
        Ok(held_count)
    }

    /// Whether the two sides have no other peers, and neither they nor an operator have begun to end or change their call.
    fn is_alone(&self, pair: &Pair) -> bool {
        let is_other = |other: &&Pair| !std::ptr::eq(*other, pair) && other.closed.is_none();
        let has_other = |other: &Pair| other.sides.iter().any(|side| pair.sides.contains(side));
        let is_operated = pair.sides.iter().any(|side| self.operated.contains_key(&side.0));
        pair.closed.is_none() && !is_operated && !self.pairs.iter().filter(is_other).any(has_other)
    }
}

/// Whether what two phones are told fits: media flow the ways that both want, and neither is told more than the other one
/// wants.
fn fit(one: Directions, other: Directions) -> bool {
    let is_right = |here: Directions, there: Directions| {
        here.flow() == here.wants.limited_by(there.wants) && here.told.is_within(there.wants)
    };
    is_right(one, other) && is_right(other, one)
}
