//! A non-INVITE request, from first send to final answer (RFC 3261 §17.1.2).

use super::Actions;
use crate::config::Timers;
use clock::{Duration, Instant};

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A response with this status came.
    Response(u16),
    /// [`NonInviteClient::deadline`] has come.
    Deadline,
}

/// What it wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the request (again).
    Send,
    /// Hand the response up.
    Deliver,
    /// Timer F: no answer came.
    GiveUp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct NonInviteClient {
    state: State,
    reliable: bool,
    resend_after: Duration,
    wake_at: Instant,    // timer E, then K
    give_up_at: Instant, // timer F
    /// The same for the first response alone, where there is reason to think that nobody is there.
    hurried_until: Option<Instant>,
}

impl NonInviteClient {
    /// Sends the request.
    pub fn start(now: Instant, timers: &Timers, reliable: bool, out: &mut Actions<Action>) -> Self {
        out.push(Action::Send);
        let give_up_at = now + timers.give_up();
        let wake_at = if reliable { give_up_at } else { now + timers.t1 };
        Self { state: State::Trying, reliable, resend_after: timers.t1, wake_at, give_up_at, hurried_until: None }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, timers: &Timers, input: Input, out: &mut Actions<Action>) {
        use State::{Completed, Proceeding, Terminated, Trying};
        match (self.state, input) {
            (Trying | Proceeding, Input::Response(status)) => {
                out.push(Action::Deliver);
                if status < 200 {
                    self.state = Proceeding;
                } else if self.reliable {
                    self.state = Terminated; // timer K is zero
                } else {
                    self.state = Completed;
                    self.wake_at = now + timers.t4; // timer K
                }
            }
            (Trying | Proceeding, Input::Deadline) if now >= self.patience_ends_at() => {
                out.push(Action::GiveUp);
                self.state = Terminated;
            }
            (Trying | Proceeding, Input::Deadline) if now >= self.wake_at && !self.reliable => {
                out.push(Action::Send);
                let doubled = timers.t2.min(self.resend_after * 2);
                self.resend_after = if self.state == Trying { doubled } else { timers.t2 };
                self.wake_at = now + self.resend_after; // timer E
            }
            (Completed, Input::Deadline) if now >= self.wake_at => self.state = Terminated,
            _ => {} // late copies of the final answer stop here
        }
    }

    /// When to come back with [`Input::Deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Trying | State::Proceeding => Some(self.wake_at.min(self.patience_ends_at())),
            State::Completed => Some(self.wake_at),
            State::Terminated => None,
        }
    }

    fn patience_ends_at(&self) -> Instant {
        match (self.state, self.hurried_until) {
            (State::Trying, Some(until)) => self.give_up_at.min(until),
            _ => self.give_up_at,
        }
    }

    /// There is reason to think that nobody is there: timer F ends no later than that if no response has come by then.
    pub fn hurry(&mut self, give_up_at: Instant) {
        self.hurried_until = Some(self.hurried_until.map_or(give_up_at, |at| at.min(give_up_at)));
    }

    /// Whether a provisional response came.
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// The transport failed: no answer can come.
    pub fn abandon(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether nothing more will happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a final response is still awaited.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }
}
