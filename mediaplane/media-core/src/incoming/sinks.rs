//! Who sends what a leg receives: each leg knows the first of its sinks, each sink the next.

use crate::leg::{Leg, LegIndex};

/// `sink` sends from now on what `source_leg` receives: another source than before.
pub(crate) fn link(legs: &mut [Leg], source_leg: usize, sink: usize) {
    relink(legs, source_leg, sink);
    legs[sink].sending.change_source();
}

/// `sink` goes on sending what `source_leg` receives.
pub(crate) fn relink(legs: &mut [Leg], source_leg: usize, sink: usize) {
    unlink(legs, sink);
    let next = legs[source_leg].links.first_sink;
    let links = &mut legs[sink].links;
    (links.source_leg, links.next_sink) = (LegIndex::new(source_leg), next);
    legs[source_leg].links.first_sink = LegIndex::new(sink);
}

/// `sink` sends nobody's packets any more.
pub(crate) fn unlink(legs: &mut [Leg], sink: usize) {
    let Some(source_leg) = legs[sink].links.source_leg.get() else { return };
    let after = legs[sink].links.next_sink;
    let mut before = None;
    let mut at = legs[source_leg].links.first_sink;
    while let Some(place) = at.get() {
        if place == sink {
            match before {
                None => legs[source_leg].links.first_sink = after,
                Some(before) => legs[before as usize].links.next_sink = after,
            }
            break;
        }
        before = Some(place as u32);
        at = legs[place].links.next_sink;
    }
    let links = &mut legs[sink].links;
    (links.source_leg, links.next_sink) = (LegIndex::NONE, LegIndex::NONE);
    // Nothing tells any more when a key of the other leg's peer is released.
    legs[sink].dialling.release(0);
}

/// Nobody sends what `source_leg` receives any more.
pub(crate) fn unlink_all(legs: &mut [Leg], source_leg: usize) {
    while let Some(sink) = legs[source_leg].links.first_sink.get() {
        unlink(legs, sink);
    }
}
