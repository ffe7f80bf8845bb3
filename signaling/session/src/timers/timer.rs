//! The timers of a session, one of each kind.

use clock::Instant;

/// What a timer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// The end of the dialog after our BYE, CANCEL or refusal.
    SipEnd,
    /// The end of what a peer's change of media waits for.
    Change,
    /// The end of what an operation of the user's waits for: digits that are being sent, or its patience.
    Operation,
    /// A decision about an incoming call, or the answer to an outgoing one.
    Answer,
    /// The outcome of a transfer.
    Transfer,
    /// The end of a call in which nothing flows.
    Idle,
    /// The end of a call that has lasted long enough.
    Age,
    /// The next look at a peer that may send no media.
    Probe,
}

/// Timers by kind.
const KINDS: [Timer; 8] = {
    use Timer::*;
    [SipEnd, Change, Operation, Answer, Transfer, Idle, Age, Probe]
};

/// The timers of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers([Instant; KINDS.len()]);

impl Default for Timers {
    fn default() -> Self {
        Self([Instant::FAR_FUTURE; KINDS.len()])
    }
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at.unwrap_or(Instant::FAR_FUTURE);
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Instant::FAR_FUTURE
    }

    pub(crate) fn has(&self, at: Instant) -> bool {
        self.0.contains(&at)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|at| **at != Instant::FAR_FUTURE).count()
    }

    /// The next timer that has expired; it is not set any more.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = KINDS.into_iter().find(|timer| self.0[*timer as usize] <= now)?;
        self.set(timer, None);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_rings_once_and_alone() {
        let at = |seconds| Instant::ZERO + clock::Duration::from_secs(seconds);
        let mut timers = Timers::default();
        for (index, timer) in KINDS.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
            timers.set(timer, Some(at(index as u64)));
        }
        timers.set(Timer::Operation, None);
        let due: Vec<_> = std::iter::from_fn(|| timers.take_due(at(3))).collect();
        assert_eq!(due, [Timer::SipEnd, Timer::Change, Timer::Answer]);
        assert_eq!(timers.count(), 4);
        assert!(
            timers.has(at(4)) && !timers.has(at(2)) && timers.is_set(Timer::Age) && !timers.is_set(Timer::Operation)
        );
    }
}
