//! When a recording is paused.

use clock::{Duration, Instant};

/// Pauses that are remembered.
const PAUSES_KEPT: usize = 8;

/// When a recording is paused. Packets come to the writer a little later than the word about it, so the last pauses that
/// are over are remembered.
#[derive(Default)]
pub(super) struct Pauses {
    since: Option<Instant>,
    before: [Option<(Instant, Instant)>; PAUSES_KEPT],
    /// Of those that are over.
    total: Duration,
}

impl Pauses {
    pub(super) fn set(&mut self, at: Instant, is_paused: bool) {
        match (self.since, is_paused) {
            (None, true) => self.since = Some(at),
            (Some(since), false) => {
                self.total += at.since(since);
                self.since = None;
                self.before.rotate_right(1);
                self.before[0] = Some((since, at));
            }
            _ => {}
        }
    }

    pub(super) fn covers(&self, at: Instant) -> bool {
        self.since.is_some_and(|since| at >= since)
            || self.before.iter().flatten().any(|(from, to)| at >= *from && at < *to)
    }

    pub(super) fn total_ms(&self) -> u32 {
        u32::try_from(self.total.as_millis()).unwrap_or(u32::MAX)
    }
}
