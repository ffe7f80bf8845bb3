//! An INVITE of ours (RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §7.2).

use super::Actions;
use crate::config::Timers;
use clock::{Duration, Instant};

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A response with this status came.
    Response(u16),
    /// [`InviteClient::deadline`] has come.
    Deadline,
}

/// What it wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the INVITE (again).
    Send,
    /// Hand the response up.
    Deliver,
    /// Send the ACK for this 3xx-6xx.
    Ack,
    /// Timer B: no answer came.
    GiveUp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Calling,
    Proceeding,
    Accepted,
    Completed,
    Terminated,
}

/// The machine. How long a peer may ring is for the user to decide: Proceeding has no timer.
#[derive(Clone, Copy, Debug)]
pub struct InviteClient {
    state: State,
    reliable: bool,
    resend_after: Duration,
    wake_at: Instant,    // timer A, then D or M
    give_up_at: Instant, // timer B
}

impl InviteClient {
    /// Sends the INVITE.
    pub fn start(now: Instant, timers: &Timers, reliable: bool, out: &mut Actions<Action>) -> Self {
        out.push(Action::Send);
        let give_up_at = now + timers.give_up();
        let wake_at = if reliable { give_up_at } else { now + timers.t1 };
        Self { state: State::Calling, reliable, resend_after: timers.t1, wake_at, give_up_at }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, timers: &Timers, input: Input, out: &mut Actions<Action>) {
        use State::{Accepted, Calling, Completed, Proceeding, Terminated};
        match (self.state, input) {
            (Calling | Proceeding, Input::Response(status)) => {
                if status >= 300 {
                    out.push(Action::Ack);
                    self.state = if self.reliable { Terminated } else { Completed };
                    self.wake_at = now + timers.d; // timer D
                } else if status >= 200 {
                    self.state = Accepted;
                    self.wake_at = now + timers.give_up(); // timer M
                } else {
                    self.state = Proceeding;
                }
                out.push(Action::Deliver);
            }
            // Copies of the 2xx, and the 2xx of other branches of a fork, are the user's to acknowledge.
            (Accepted, Input::Response(200..=299)) => out.push(Action::Deliver),
            (Completed, Input::Response(300..)) => out.push(Action::Ack),
            (Calling, Input::Deadline) if now >= self.give_up_at => {
                out.push(Action::GiveUp);
                self.state = Terminated;
            }
            (Calling, Input::Deadline) if now >= self.wake_at && !self.reliable => {
                out.push(Action::Send);
                self.resend_after *= 2;
                self.wake_at = now + self.resend_after; // timer A
            }
            (Accepted | Completed, Input::Deadline) if now >= self.wake_at => self.state = Terminated,
            _ => {}
        }
    }

    /// When to come back with [`Input::Deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Calling => Some(self.wake_at.min(self.give_up_at)),
            State::Accepted | State::Completed => Some(self.wake_at),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// There is reason to think that nobody is there: timer B ends no later than that, unless a response comes before it.
    pub fn hurry(&mut self, give_up_at: Instant) {
        self.give_up_at = self.give_up_at.min(give_up_at);
    }

    /// No final response came to its CANCEL, or the transport failed: nobody waits any longer.
    pub fn abandon(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether nothing more will happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a final response is still awaited.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// Whether a provisional response came: before one, CANCEL may not be sent (RFC 3261 §9.1).
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }
}
