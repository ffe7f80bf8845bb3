//! The times by which something must have happened to a session, one for each kind of thing.

use clock::Instant;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alarm {
    /// The end of the dialog after our BYE, CANCEL or refusal.
    SipEnd,
    /// The leg's end after `Close`.
    LegEnd,
    /// The media plane's answer to `Open` or to a change.
    Media,
    /// The end of whatever a peer's change waits for.
    Change,
    /// A decision about an incoming call, or the answer to an outgoing one.
    Answer,
    /// The outcome of a transfer.
    Transfer,
    /// The end of a call in which nothing flows.
    Idle,
    /// The end of a call that has lasted long enough.
    Age,
    /// The next look at a peer that has nothing to say.
    Probe,
}

/// Alarms by kind.
const KINDS: [Alarm; 9] = {
    use Alarm::*;
    [SipEnd, LegEnd, Media, Change, Answer, Transfer, Idle, Age, Probe]
};

/// The alarms of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarms([Instant; KINDS.len()]);

impl Default for Alarms {
    fn default() -> Self {
        Self([Instant::FAR_FUTURE; KINDS.len()])
    }
}

impl Alarms {
    pub(crate) fn set(&mut self, alarm: Alarm, at: Option<Instant>) {
        self.0[alarm as usize] = at.unwrap_or(Instant::FAR_FUTURE);
    }

    pub(crate) fn is_set(&self, alarm: Alarm) -> bool {
        self.0[alarm as usize] != Instant::FAR_FUTURE
    }

    pub(crate) fn has(&self, at: Instant) -> bool {
        self.0.contains(&at)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|at| **at != Instant::FAR_FUTURE).count()
    }

    /// The next one whose time has come; it is off then.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Alarm> {
        let alarm = KINDS.into_iter().find(|alarm| self.0[*alarm as usize] <= now)?;
        self.set(alarm, None);
        Some(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_rings_once_and_alone() {
        let at = |seconds| Instant::ZERO + clock::Duration::from_secs(seconds);
        let mut alarms = Alarms::default();
        for (index, alarm) in KINDS.into_iter().enumerate() {
            assert_eq!(alarm as usize, index);
            alarms.set(alarm, Some(at(index as u64)));
        }
        alarms.set(Alarm::Media, None);
        let due: Vec<_> = std::iter::from_fn(|| alarms.take_due(at(3))).collect();
        assert_eq!(due, [Alarm::SipEnd, Alarm::LegEnd, Alarm::Change]);
        assert_eq!(alarms.count(), 5);
        assert!(alarms.has(at(4)) && !alarms.has(at(2)) && alarms.is_set(Alarm::Age) && !alarms.is_set(Alarm::Media));
    }
}
