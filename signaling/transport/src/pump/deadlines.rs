//! When a connection has waited too long. Time arrives as an argument.

use crate::config::Limits;
use crate::error::CloseReason;
use tokio::time::Instant;

/// What a deadline asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Nothing,
    /// Send a keep-alive.
    Ping,
    /// Close in order.
    Idle(CloseReason),
    /// Drop it.
    End(CloseReason),
    /// It was closing, and has had its time.
    Closed,
}

/// The times that matter, of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// A peer opened this connection, then, and has not sent a message yet.
    silent_since: Option<Instant>,
    /// A message has begun.
    unfinished_since: Option<Instant>,
    /// The peer takes nothing.
    blocked_since: Option<Instant>,
    /// Something came or went.
    active_at: Instant,
    pinged_at: Option<Instant>,
    has_ponged: bool,
    closing_since: Option<Instant>,
}

impl Deadlines {
    pub(super) fn new(now: Instant, is_accepted: bool) -> Self {
        Self {
            silent_since: is_accepted.then_some(now),
            unfinished_since: None,
            blocked_since: None,
            active_at: now,
            pinged_at: None,
            has_ponged: false,
            closing_since: None,
        }
    }

    /// Something came: a whole message or not, a sign of life or not, a pong or not.
    pub(super) fn received(&mut self, now: Instant, has_message: bool, is_sign_of_life: bool, is_pong: bool) {
        if has_message {
            self.silent_since = None;
            self.unfinished_since = None;
        }
        if is_sign_of_life {
            self.active_at = now;
            self.has_ponged |= is_pong && self.pinged_at.is_some();
            self.pinged_at = None;
        }
    }

    pub(super) fn unfinished(&mut self, is_unfinished: bool, now: Instant) {
        self.unfinished_since = is_unfinished.then(|| self.unfinished_since.unwrap_or(now));
    }

    /// All that was to be written is.
    pub(super) fn sent(&mut self, now: Instant) {
        self.blocked_since = None;
        if self.pinged_at.is_none() {
            self.active_at = now;
        }
    }

    /// Not all could be written; whether something was.
    pub(super) fn blocked(&mut self, moved: bool, now: Instant) {
        if moved || self.blocked_since.is_none() {
            self.blocked_since = Some(now);
        }
    }

    /// We do not read for a moment: what the peer owes us may be there.
    pub(super) fn paused(&mut self, now: Instant) {
        for since in [&mut self.silent_since, &mut self.unfinished_since, &mut self.pinged_at] {
            *since = since.map(|_| now);
        }
    }

    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged_at = Some(now);
    }

    pub(super) fn closing(&mut self, now: Instant) {
        self.closing_since.get_or_insert(now);
    }

    /// When to ask for what is due.
    pub(super) fn next(&self, limits: &Limits) -> Instant {
        if let Some(since) = self.closing_since {
            return since + limits.close;
        }
        let ping = match (limits.keep_alive, self.pinged_at) {
            (Some(after), None) => Some(self.active_at + after),
            (Some(_), Some(at)) if self.has_ponged => Some(at + limits.pong),
            // It may know no pongs, but the address translators on the way need the traffic all the same.
            (Some(after), Some(at)) => Some(at + after),
            (None, _) => None,
        };
        let all = [
            self.silent_since.map(|since| since + limits.first_message),
            self.unfinished_since.map(|since| since + limits.message),
            self.blocked_since.map(|since| since + limits.write_stall),
            ping,
        ];
        all.into_iter().flatten().fold(self.active_at + limits.idle, Instant::min)
    }

    pub(super) fn due(&self, now: Instant, limits: &Limits) -> Due {
        let over = |since: Option<Instant>, limit| since.is_some_and(|since| now >= since + limit);
        if self.closing_since.is_some() {
            return if over(self.closing_since, limits.close) { Due::Closed } else { Due::Nothing };
        }
        if over(self.silent_since, limits.first_message) {
            return Due::End(CloseReason::FirstMessageLate(limits.first_message));
        }
        if over(self.unfinished_since, limits.message) {
            return Due::End(CloseReason::MessageLate(limits.message));
        }
        if over(self.blocked_since, limits.write_stall) {
            return Due::End(CloseReason::WriteStalled(limits.write_stall));
        }
        if self.has_ponged && over(self.pinged_at, limits.pong) {
            return Due::End(CloseReason::NoPong(limits.pong));
        }
        if over(Some(self.active_at), limits.idle) {
            return Due::Idle(CloseReason::Idle(limits.idle));
        }
        match limits.keep_alive {
            Some(after) if over(self.pinged_at.or(Some(self.active_at)), after) => Due::Ping,
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMITS: fn() -> Limits = || Limits {
        first_message: Duration::from_secs(30),
        message: Duration::from_secs(10),
        write_stall: Duration::from_secs(8),
        idle: Duration::from_secs(600),
        keep_alive: Some(Duration::from_secs(100)),
        pong: Duration::from_secs(5),
        close: Duration::from_secs(2),
        ..Limits::default()
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_peer_has_its_first_message_limit_only_once() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, true);
        assert_eq!(deadlines.next(&limits), start + s(30));
        assert_eq!(deadlines.due(start + s(29), &limits), Due::Nothing);
        assert_eq!(deadlines.due(start + s(30), &limits), Due::End(CloseReason::FirstMessageLate(s(30))));
        deadlines.received(start + s(1), true, true, false);
        assert_eq!(deadlines.next(&limits), start + s(101));
        assert_eq!(Deadlines::new(start, false).next(&limits), start + s(100));
    }

    #[test]
    fn pings_alone_are_no_first_message() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, true);
        deadlines.received(start + s(29), false, true, false);
        assert_eq!(deadlines.next(&limits), start + s(30));
    }

    #[test]
    fn a_trickle_does_not_move_the_message_limit() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, false);
        for second in 0..9 {
            deadlines.received(start + s(second), false, false, false);
            deadlines.unfinished(true, start + s(second));
        }
        assert_eq!(deadlines.next(&limits), start + s(10));
        assert_eq!(deadlines.due(start + s(10), &limits), Due::End(CloseReason::MessageLate(s(10))));
        deadlines.received(start + s(9), true, true, false);
        deadlines.unfinished(true, start + s(9));
        assert_eq!(deadlines.next(&limits), start + s(19), "the next message has a limit of its own");
    }

    #[test]
    fn silence_is_broken_by_pings_and_ends_only_who_has_ponged() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, false);
        assert_eq!(deadlines.due(start + s(100), &limits), Due::Ping);
        deadlines.pinged(start + s(100));
        deadlines.sent(start + s(100));
        assert_eq!(deadlines.due(start + s(105), &limits), Due::Nothing, "this peer may know no pongs");
        assert_eq!(deadlines.next(&limits), start + s(200));
        deadlines.received(start + s(106), false, true, true);
        assert_eq!(deadlines.next(&limits), start + s(206));
        deadlines.pinged(start + s(206));
        assert_eq!(deadlines.due(start + s(211), &limits), Due::End(CloseReason::NoPong(s(5))));
    }

    #[test]
    fn a_peer_that_takes_a_little_is_not_stalled() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, false);
        deadlines.blocked(false, start);
        deadlines.blocked(true, start + s(7));
        deadlines.blocked(false, start + s(9));
        assert_eq!(deadlines.next(&limits), start + s(15));
        assert_eq!(deadlines.due(start + s(15), &limits), Due::End(CloseReason::WriteStalled(s(8))));
        deadlines.sent(start + s(14));
        assert_eq!(deadlines.due(start + s(15), &limits), Due::Nothing);
    }

    #[test]
    fn a_peer_that_we_do_not_read_is_not_late() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, true);
        deadlines.unfinished(true, start);
        deadlines.paused(start + s(9));
        assert_eq!(deadlines.due(start + s(18), &limits), Due::Nothing);
        assert_eq!(deadlines.due(start + s(19), &limits), Due::End(CloseReason::MessageLate(s(10))));
    }

    #[test]
    fn closing_has_one_deadline() {
        let (start, limits) = (Instant::now(), LIMITS());
        let mut deadlines = Deadlines::new(start, true);
        deadlines.closing(start + s(1));
        deadlines.closing(start + s(2));
        assert_eq!(deadlines.next(&limits), start + s(3));
        assert_eq!(deadlines.due(start + s(3), &limits), Due::Closed);
    }
}
