//! Session timers (RFC 4028): who refreshes, when, and when a session without refresh is over.

use clock::{Duration, Instant};

/// With less time left than this a refresh that failed is not repeated: two requests would not run out in it.
const RETRY_FROM: Duration = Duration::from_secs(64);

/// Who refreshes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refresher {
    We,
    Peer,
}

/// The session timer of one dialog; off until a 2xx sets it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionClock {
    interval_s: u32,
    we_refresh: bool,
    wake_at: Instant,
    expires_at: Instant,
}

/// What its deadline asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Refresh,
    Bye,
    Nothing,
}

impl SessionClock {
    /// Starts over, as each 2xx to an INVITE or UPDATE does.
    pub(crate) fn start(&mut self, now: Instant, interval_s: u32, refresher: Refresher) {
        let interval = Duration::from_secs(interval_s.into());
        self.interval_s = interval_s;
        self.we_refresh = refresher == Refresher::We;
        self.expires_at = now + interval;
        // RFC 4028 §10: refresh at half the interval; the other side sends BYE a bit before the end, by the smaller of
        // 32 s and a third of the interval.
        self.wake_at = match refresher {
            Refresher::We => now + interval / 2,
            Refresher::Peer => now + (interval - Duration::from_secs(32).min(interval / 3)),
        };
    }

    /// A refresh has failed or may not have been sent, and the session is there: another one is due in the middle of the time
    /// that is left, if that is long enough for a request to run out.
    pub(crate) fn retry(&mut self, now: Instant) {
        let (left, is_refreshing) = (self.expires_at.since(now), self.wake_at == self.expires_at);
        if self.is_on() && self.we_refresh && is_refreshing && left >= RETRY_FROM {
            self.wake_at = now + left / 2;
        }
    }

    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_on(&self) -> bool {
        self.interval_s != 0
    }

    pub(crate) fn interval_s(&self) -> u32 {
        self.interval_s
    }

    pub(crate) fn refresher(&self) -> Refresher {
        if self.we_refresh { Refresher::We } else { Refresher::Peer }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_on() { Some(self.wake_at) } else { None }
    }

    pub(crate) fn wake(&mut self, now: Instant) -> Due {
        if !self.is_on() || now < self.wake_at {
            return Due::Nothing;
        }
        if self.we_refresh && now < self.expires_at {
            // Should the refresh fail or never come, the session ends with its interval.
            self.wake_at = self.expires_at;
            return Due::Refresh;
        }
        self.stop();
        Due::Bye
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresher_wakes_at_half_and_the_other_side_shortly_before_the_end() {
        let mut clock = SessionClock::default();
        assert_eq!(clock.deadline(), None);
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        clock.start(at(0), 1800, Refresher::We);
        assert_eq!((clock.deadline(), clock.wake(at(899))), (Some(at(900)), Due::Nothing));
        assert_eq!((clock.wake(at(900)), clock.deadline()), (Due::Refresh, Some(at(1800))));
        assert_eq!((clock.wake(at(1800)), clock.is_on()), (Due::Bye, false));
        clock.start(at(0), 1800, Refresher::Peer);
        assert_eq!((clock.deadline(), clock.wake(at(1768))), (Some(at(1768)), Due::Bye));
        clock.start(at(0), 90, Refresher::Peer);
        assert_eq!(clock.deadline(), Some(at(60)));
    }

    #[test]
    fn a_refresh_that_failed_is_tried_again_while_there_is_time() {
        let (mut clock, at) = (SessionClock::default(), |seconds| Instant::ZERO + Duration::from_secs(seconds));
        clock.start(at(0), 600, Refresher::We);
        clock.retry(at(10));
        assert_eq!(clock.deadline(), Some(at(300)), "another request was refused, not the refresh");
        let mut tries = vec![];
        while let Some(deadline) = clock.deadline() {
            tries.push(deadline);
            if clock.wake(deadline) == Due::Refresh {
                clock.retry(deadline);
            }
        }
        assert_eq!(
            tries,
            [300, 450, 525, 562, 600].map(at).map(|time| if time == at(562) {
                time + Duration::from_millis(500)
            } else {
                time
            })
        );
    }
}
