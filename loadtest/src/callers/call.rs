//! One call of a caller: INVITE, ACK, hold, BYE, with the retransmissions of UDP (RFC 3261 §17.1).

use super::message::{Identity, Response};
use crate::media::StreamRef;
use clock::{Duration, Instant};
use std::net::SocketAddr;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// Media stops so long before BYE, so that what is on its way still counts.
const QUIET_BEFORE_BYE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Inviting,
    Ringing,
    Up,
    Quiet,
    Ending,
    Done,
}

/// What the call wants done.
#[derive(Debug)]
pub(super) enum Action {
    Send(String),
    Resend(String),
    Answered(Response),
    StopMedia,
    Done,
    Failed(String),
    Unexpected,
}

/// A call that runs.
pub(super) struct Call {
    identity: Identity,
    state: State,
    media_at: SocketAddr,
    hold: Duration,
    resend_after: Duration,
    give_up_at: Instant,
    pub(super) deadline: Instant,
    pub(super) started_at: Instant,
    pub(super) bye_at: Instant,
    pub(super) progressed: bool,
    answer: Option<Response>,
    pub(super) stream: Option<StreamRef>,
}

impl Call {
    pub(super) fn start(now: Instant, identity: Identity, media_at: SocketAddr, hold: Duration) -> (Self, Action) {
        let invite = identity.invite(media_at);
        let call = Self {
            identity,
            state: State::Inviting,
            media_at,
            hold,
            resend_after: T1,
            give_up_at: now + 64 * T1,
            deadline: now + T1,
            started_at: now,
            bye_at: Instant::ZERO,
            progressed: false,
            answer: None,
            stream: None,
        };
        (call, Action::Send(invite))
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn end(&mut self, action: Action) -> Vec<Action> {
        self.state = State::Done;
        self.deadline = Instant::FAR_FUTURE;
        vec![Action::StopMedia, action]
    }

    pub(super) fn response(&mut self, now: Instant, response: Response) -> Vec<Action> {
        match (self.state, response.method.as_str(), response.status) {
            (State::Inviting | State::Ringing, "INVITE", 100..=199) => {
                self.state = State::Ringing;
                self.progressed |= response.status > 100;
                // Timer B is over; a call that rings for ever still ends.
                self.deadline = self.give_up_at;
                Vec::new()
            }
            (State::Inviting | State::Ringing, "INVITE", 200..=299) => {
                let ack = self.identity.ack(&response);
                self.state = State::Up;
                self.deadline = now + self.hold.saturating_sub(QUIET_BEFORE_BYE);
                self.answer = Some(response.clone());
                vec![Action::Send(ack), Action::Answered(response)]
            }
            (State::Inviting | State::Ringing, "INVITE", status) => {
                let ack = self.identity.ack_failure(&response);
                let mut actions = vec![Action::Send(ack)];
                actions.extend(self.end(Action::Failed(format!("INVITE answered {status}"))));
                actions
            }
            // The switch did not get our ACK.
            (State::Up | State::Quiet | State::Ending, "INVITE", 200..=299) => {
                vec![Action::Resend(self.identity.ack(&response))]
            }
            (State::Ending, "BYE", 200..=299) => self.end(Action::Done),
            (State::Ending, "BYE", status) if status >= 300 => {
                self.end(Action::Failed(format!("BYE answered {status}")))
            }
            (State::Done, ..) => Vec::new(),
            _ => vec![Action::Unexpected],
        }
    }

    /// The switch said BYE.
    pub(super) fn ended_by_switch(&mut self, answer: String) -> Vec<Action> {
        let mut actions = vec![Action::Send(answer)];
        if self.state != State::Done && self.state != State::Ending {
            actions.extend(self.end(Action::Failed("ended by the switch".into())));
        }
        actions
    }

    pub(super) fn deadline_passed(&mut self, now: Instant) -> Vec<Action> {
        match self.state {
            State::Inviting | State::Ringing if now >= self.give_up_at => {
                self.end(Action::Failed("INVITE without an answer".into()))
            }
            State::Inviting => {
                self.resend_after = 2 * self.resend_after;
                self.deadline = self.give_up_at.min(now + self.resend_after);
                vec![Action::Resend(self.identity.invite(self.media_at))]
            }
            State::Up => {
                self.state = State::Quiet;
                self.deadline = now + QUIET_BEFORE_BYE.min(self.hold);
                vec![Action::StopMedia]
            }
            State::Quiet => {
                self.state = State::Ending;
                self.bye_at = now;
                self.resend_after = T1;
                self.give_up_at = now + 64 * T1;
                self.deadline = now + T1;
                vec![Action::Send(self.bye())]
            }
            State::Ending if now >= self.give_up_at => self.end(Action::Failed("BYE without an answer".into())),
            State::Ending => {
                self.resend_after = T2.min(2 * self.resend_after);
                self.deadline = self.give_up_at.min(now + self.resend_after);
                vec![Action::Resend(self.bye())]
            }
            State::Ringing | State::Done => Vec::new(),
        }
    }

    fn bye(&self) -> String {
        self.answer.as_ref().map(|answer| self.identity.bye(answer)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(hold: Duration) -> Call {
        let address = "127.0.0.1:5060".parse().unwrap();
        let identity = Identity { number: 1, run: 1, local: address, switch: address, user: "tone".into() };
        Call::start(Instant::ZERO, identity, address, hold).0
    }

    fn response(method: &str, status: u16) -> Response {
        Response { status, call: 1, method: method.into(), to_tag: None, contact: None, media: None }
    }

    #[test]
    fn a_silent_switch_is_asked_seven_times() {
        let mut call = call(Duration::ZERO);
        let mut resends = 0;
        while !call.is_done() {
            let now = call.deadline;
            resends += call.deadline_passed(now).iter().filter(|a| matches!(a, Action::Resend(_))).count();
        }
        assert_eq!(resends, 6);
    }

    #[test]
    fn a_call_by_the_book() {
        let mut call = call(Duration::from_secs(1));
        let now = Instant::ZERO + Duration::from_millis(5);
        assert!(call.response(now, response("INVITE", 180)).is_empty() && call.progressed);
        assert!(matches!(call.response(now, response("INVITE", 200))[..], [Action::Send(_), Action::Answered(_)]));
        let now = call.deadline;
        assert!(matches!(call.deadline_passed(now)[..], [Action::StopMedia]));
        let now = call.deadline;
        assert!(matches!(&call.deadline_passed(now)[..], [Action::Send(bye)] if bye.starts_with("BYE ")));
        assert!(matches!(call.response(now, response("BYE", 200))[..], [Action::StopMedia, Action::Done]));
        assert!(call.is_done() && call.response(now, response("BYE", 200)).is_empty());
    }

    #[test]
    fn refusals_and_surprises() {
        let mut refused = call(Duration::ZERO);
        let actions = refused.response(Instant::ZERO, response("INVITE", 486));
        assert!(matches!(&actions[..], [Action::Send(ack), _, Action::Failed(_)] if ack.starts_with("ACK ")));
        let mut surprised = call(Duration::ZERO);
        assert!(matches!(surprised.response(Instant::ZERO, response("BYE", 200))[..], [Action::Unexpected]));
    }
}
