//! Whether there is room for one more call.

use crate::{Priority, PriorityShares};

/// Counts calls by their priority, and refuses those whose share of all calls is full.
#[derive(Clone, Debug)]
pub struct Admission {
    calls_max: usize,
    shares: PriorityShares,
    counts: LevelCounts,
}

/// Calls by priority, indexed by `priority as usize`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LevelCounts {
    /// Calls that were admitted and have not left.
    pub admitted: [usize; 6],
    /// Calls that were refused since the start.
    pub refused: [u64; 6],
}

impl LevelCounts {
    /// Calls of all priorities.
    pub fn admitted_count(&self) -> usize {
        self.admitted.iter().sum()
    }
}

impl Admission {
    /// For `calls_max` calls of all priorities together.
    pub fn new(calls_max: usize, shares: PriorityShares) -> Self {
        Self { calls_max, shares, counts: LevelCounts::default() }
    }

    /// Admits a call, which counts until [`Self::leave`]. The error is the limit that stands in its way: so many calls of all
    /// priorities together may there be for one of this priority to be admitted.
    pub fn admit(&mut self, level: Priority) -> Result<(), usize> {
        let limit = self.shares.limit(level, self.calls_max);
        if self.counts.admitted_count() >= limit {
            self.counts.refused[level as usize] += 1;
            return Err(limit);
        }
        self.counts.admitted[level as usize] += 1;
        Ok(())
    }

    /// Counts a call that is there already, whatever the shares say.
    pub fn count_in(&mut self, level: Priority) {
        self.counts.admitted[level as usize] += 1;
    }

    /// A call that was counted at `from` counts at `to` from now on.
    ///
    /// # Panics
    /// When no call of that priority was counted.
    pub fn change(&mut self, from: Priority, to: Priority) {
        self.leave(from);
        self.count_in(to);
    }

    /// A call of this priority is over.
    ///
    /// # Panics
    /// When no call of that priority was counted.
    pub fn leave(&mut self, level: Priority) {
        let admitted = &mut self.counts.admitted[level as usize];
        assert!(*admitted > 0, "a call of priority {} leaves that was never counted", level.name());
        *admitted -= 1;
    }

    /// What was counted.
    pub fn counts(&self) -> LevelCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::*;

    #[test]
    fn the_lowest_are_refused_first_and_room_comes_back() {
        let shares = PriorityShares::default().with(Normal, 80).with(Critical, 90);
        let mut admission = Admission::new(10, shares);
        // Three quarters are 7.5 calls: the eighth is the last that may be there with one in the background.
        let steps = [
            ([Normal; 7].as_slice(), Ok(())),
            (&[Background], Ok(())),
            (&[Background, Low, Normal], Err(8)),
            (&[High], Ok(())),
            (&[High, Critical], Err(9)),
            (&[Emergency], Ok(())),
            (&[Emergency], Err(10)),
        ];
        for (levels, expected) in steps {
            for level in levels {
                assert_eq!(admission.admit(*level), expected, "{level:?}");
            }
        }
        assert_eq!(admission.counts(), LevelCounts { admitted: [1, 0, 1, 7, 0, 1], refused: [1; 6] });
        // A call that becomes less important makes room for none, one that ends does.
        admission.change(Emergency, Background);
        assert!(admission.admit(Critical).is_err());
        admission.leave(Background);
        admission.leave(High);
        assert_eq!(admission.admit(Emergency), Ok(()));
        admission.count_in(Low);
        assert_eq!(admission.counts().admitted, [1, 0, 0, 7, 1, 1]);
        assert_eq!(admission.counts().admitted_count(), 10);
    }

    #[test]
    #[should_panic(expected = "never counted")]
    fn what_was_never_counted_cannot_leave() {
        Admission::new(1, PriorityShares::default()).leave(Normal);
    }
}
