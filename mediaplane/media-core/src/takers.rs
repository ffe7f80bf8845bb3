//! Who sends what a leg receives: each leg knows the first of its takers, each taker the next.

use crate::leg::{Leg, LegIndex};

/// `taker` sends from now on what `giver` receives: another source than before.
pub(crate) fn link(legs: &mut [Leg], giver: usize, taker: usize) {
    relink(legs, giver, taker);
    legs[taker].sending.change_source();
}

/// `taker` goes on sending what `giver` receives.
pub(crate) fn relink(legs: &mut [Leg], giver: usize, taker: usize) {
    unlink(legs, taker);
    let next = legs[giver].links.first_taker;
    let links = &mut legs[taker].links;
    (links.giver, links.next_taker) = (LegIndex::new(giver), next);
    legs[giver].links.first_taker = LegIndex::new(taker);
}

/// `taker` sends nobody's packets any more.
pub(crate) fn unlink(legs: &mut [Leg], taker: usize) {
    let Some(giver) = legs[taker].links.giver.get() else { return };
    let after = legs[taker].links.next_taker;
    let mut before = None;
    let mut at = legs[giver].links.first_taker;
    while let Some(place) = at.get() {
        if place == taker {
            match before {
                None => legs[giver].links.first_taker = after,
                Some(before) => legs[before as usize].links.next_taker = after,
            }
            break;
        }
        before = Some(place as u32);
        at = legs[place].links.next_taker;
    }
    let links = &mut legs[taker].links;
    (links.giver, links.next_taker) = (LegIndex::NONE, LegIndex::NONE);
}

/// Nobody sends what `giver` receives any more.
pub(crate) fn unlink_all(legs: &mut [Leg], giver: usize) {
    while let Some(taker) = legs[giver].links.first_taker.get() {
        unlink(legs, taker);
    }
}
