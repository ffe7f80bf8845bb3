//! An INVITE that came to us (RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §7.1), and the copies of its 2xx
//! (RFC 3261 §13.3.1.4).

use super::Actions;
use crate::config::Timers;
use clock::{Duration, Instant};

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A copy of the INVITE came.
    Request,
    /// We answer with this status.
    Respond(u16),
    /// The ACK came: for a 3xx-6xx by this transaction, for a 2xx through its dialog.
    Ack,
    /// [`InviteServer::deadline`] has come.
    Deadline,
}

/// What it wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send 100 Trying.
    SendTrying,
    /// Send the response just given, or the last one again.
    Send,
    /// Nobody above answered within the ring limit.
    Unanswered,
    /// The final response was never acknowledged; after a 2xx the dialog has to end with BYE.
    NoAck,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Proceeding,
    Accepted,
    Acknowledged, // Accepted, and the ACK came: the 2xx is not repeated any more
    Completed,
    Confirmed,
    Terminated,
}

/// How often a provisional response is repeated while ringing, so that proxies do not give up (RFC 3261 §13.3.1.1).
const RING_REFRESH: Duration = Duration::from_secs(60);

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct InviteServer {
    state: State,
    reliable: bool,
    responded: bool,
    relays: bool,
    resend_after: Duration,
    wake_at: Instant,    // 100 Trying, then timer G, the 2xx copies, I
    give_up_at: Instant, // ring limit, then timer H or L
}

impl InviteServer {
    /// The INVITE has just come.
    pub fn start(now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            reliable,
            responded: false,
            relays: false,
            resend_after: timers.t1,
            wake_at: now + timers.trying_after,
            give_up_at: now + timers.ring_limit,
        }
    }

    /// An INVITE that a proxy sends on: copies of provisional responses and of the 2xx are made by the target that answers.
    pub fn start_relaying(now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self { relays: true, ..Self::start(now, timers, reliable) }
    }

    fn ring_refresh(&self, now: Instant) -> Instant {
        if self.relays { Instant::FAR_FUTURE } else { now + RING_REFRESH }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, timers: &Timers, input: Input, out: &mut Actions<Action>) {
        match input {
            Input::Request => self.repeat(out),
            Input::Respond(status) if self.state == State::Proceeding => self.respond(now, timers, status, out),
            Input::Respond(_) => {}
            Input::Ack => self.acknowledge(now, timers),
            Input::Deadline => self.wake(now, timers, out),
        }
    }

    fn repeat(&mut self, out: &mut Actions<Action>) {
        match self.state {
            State::Proceeding if self.responded => out.push(Action::Send),
            State::Completed => out.push(Action::Send),
            // RFC 6026 §7.1: absorbed; the 2xx has its own clock.
            _ => {}
        }
    }

    fn respond(&mut self, now: Instant, timers: &Timers, status: u16, out: &mut Actions<Action>) {
        out.push(Action::Send);
        self.responded = true;
        if status < 200 {
            self.wake_at = self.ring_refresh(now);
            return;
        }
        self.give_up_at = now + timers.give_up(); // timer H or L
        self.resend_after = timers.t1;
        self.wake_at = now + timers.t1; // timer G; the 2xx is repeated over every transport, as hops may be unreliable
        if status < 300 && self.relays {
            self.state = State::Acknowledged;
            // The caller may have sent its last copy as late as we answered, and that may be on its way for T4: it must
            // not become another call behind us.
            self.give_up_at += timers.t4;
        } else if status < 300 {
            self.state = State::Accepted;
        } else {
            self.state = State::Completed;
            if self.reliable {
                self.wake_at = self.give_up_at;
            }
        }
    }

    fn acknowledge(&mut self, now: Instant, timers: &Timers) {
        match self.state {
            State::Accepted => {
                self.state = State::Acknowledged;
                self.wake_at = self.give_up_at;
            }
            State::Completed if self.reliable => self.state = State::Terminated,
            State::Completed => {
                self.state = State::Confirmed;
                self.wake_at = now + timers.t4; // timer I
            }
            _ => {}
        }
    }

    fn wake(&mut self, now: Instant, timers: &Timers, out: &mut Actions<Action>) {
        use State::{Accepted, Acknowledged, Completed, Confirmed, Proceeding, Terminated};
        match self.state {
            Proceeding if now >= self.give_up_at => {
                out.push(Action::Unanswered);
                self.give_up_at = Instant::FAR_FUTURE; // the owner answers now
            }
            Proceeding if now >= self.wake_at => {
                out.push(if self.responded { Action::Send } else { Action::SendTrying });
                self.responded = true;
                self.wake_at = self.ring_refresh(now);
            }
            Accepted | Completed if now >= self.give_up_at => {
                out.push(Action::NoAck);
                // The last copies of the INVITE may still be on their way: they are no new call.
                self.state = if self.state == Accepted { Acknowledged } else { Confirmed };
                self.wake_at = now + timers.t4;
                self.give_up_at = self.wake_at;
            }
            Accepted | Completed if now >= self.wake_at => {
                out.push(Action::Send);
                self.resend_after = timers.t2.min(self.resend_after * 2);
                self.wake_at = now + self.resend_after;
            }
            Acknowledged if now >= self.give_up_at => self.state = Terminated, // timer L
            Confirmed if now >= self.wake_at => self.state = Terminated,
            _ => {}
        }
    }

    /// When to come back with [`Input::Deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Proceeding | State::Accepted | State::Completed => Some(self.wake_at.min(self.give_up_at)),
            State::Acknowledged => Some(self.give_up_at),
            State::Confirmed => Some(self.wake_at),
            State::Terminated => None,
        }
    }

    /// Whether nothing more will happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a final response is still owed.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether a 2xx went out and its ACK has not come.
    pub fn is_accepted(&self) -> bool {
        self.state == State::Accepted
    }

    /// Whether a 3xx-6xx went out, is repeated until its ACK comes (timer G), and that has not come.
    pub fn is_repeating_refusal(&self) -> bool {
        self.state == State::Completed && !self.reliable
    }

    /// Whether a 3xx-6xx went out, over whatever transport, and its ACK has not come.
    pub fn is_refusal_unacknowledged(&self) -> bool {
        self.state == State::Completed
    }

    /// Whether a 3xx-6xx went out: its ACK ends here.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Completed | State::Confirmed)
    }
}
