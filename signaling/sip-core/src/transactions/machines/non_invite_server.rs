//! A non-INVITE request that came to us (RFC 3261 §17.2.2).

use super::Actions;
use crate::config::Timers;
use clock::Instant;

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A copy of the request came.
    Request,
    /// We answer with this status.
    Respond(u16),
    /// [`NonInviteServer::deadline`] has come.
    Deadline,
}

/// What it wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the response just given, or the last one again.
    Send,
    /// Nobody above answered while the peer still waited.
    Unanswered,
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
pub struct NonInviteServer {
    state: State,
    reliable: bool,
    wake_at: Instant, // the peer's timer F, then timer J
}

impl NonInviteServer {
    /// The request has just come.
    pub fn start(now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self { state: State::Trying, reliable, wake_at: now + timers.give_up() }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, timers: &Timers, input: Input, out: &mut Actions<Action>) {
        use State::{Completed, Proceeding, Terminated, Trying};
        match (self.state, input) {
            (Trying, Input::Request) => {}
            (Proceeding | Completed, Input::Request) => out.push(Action::Send),
            (Trying | Proceeding, Input::Respond(status)) => {
                out.push(Action::Send);
                if status < 200 {
                    self.state = Proceeding;
                } else if self.reliable {
                    self.state = Terminated; // timer J is zero
                } else {
                    self.state = Completed;
                    self.wake_at = now + timers.give_up(); // timer J
                }
            }
            (Trying | Proceeding, Input::Deadline) if now >= self.wake_at => {
                out.push(Action::Unanswered);
                self.state = Terminated;
            }
            (Completed, Input::Deadline) if now >= self.wake_at => self.state = Terminated,
            _ => {}
        }
    }

    /// When to come back with [`Input::Deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_terminated() { None } else { Some(self.wake_at) }
    }

    /// Whether nothing more will happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a final response is still owed.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }
}
