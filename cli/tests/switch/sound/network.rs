//! What a network does to a stream: loss, jitter with reordering, and a sender whose clock is off. Every run is the same.

use super::media::Departure;
use clock::Duration;

/// Numbers that look random, from a seed.
pub(super) struct Chance(u32);

impl Chance {
    pub(super) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_769) | 1)
    }

    /// Below a limit that is not 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % limit
    }
}

/// Which packets of a stream are lost.
pub(super) fn lost(percent: u32, seed: u32, count: usize) -> Vec<bool> {
    let mut chance = Chance::new(seed);
    (0..count).map(|_| chance.below(100) < percent).collect()
}

/// Without the packets that are lost.
pub(super) fn losing(departures: Vec<Departure>, lost: &[bool]) -> Vec<Departure> {
    departures.into_iter().enumerate().filter(|(index, _)| !lost[*index]).map(|(_, it)| it).collect()
}

/// Each packet comes up to `most` later than it would; those that are overtaken come behind.
pub(super) fn jittering(mut departures: Vec<Departure>, most: Duration, seed: u32) -> Vec<Departure> {
    let mut chance = Chance::new(seed);
    for departure in &mut departures {
        departure.at += Duration::from_micros(u64::from(chance.below(most.as_micros() as u32)));
    }
    departures
}

/// A sender whose clock runs faster by so many parts in a million.
pub(super) fn drifting(mut departures: Vec<Departure>, ppm: i64) -> Vec<Departure> {
    for departure in &mut departures {
        let nanos = departure.at.as_nanos() as i64;
        departure.at = Duration::from_nanos((nanos - nanos * ppm / 1_000_000) as u64);
    }
    departures
}
