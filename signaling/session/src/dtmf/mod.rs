//! Digits: sent as telephone events (RFC 4733) where they were agreed on, by INFO or as tones otherwise; taken from INFO and from the
//! media plane.

mod info_body;
mod rules;

pub use rules::DigitWay;

use crate::admission::admitted::DigitInfo;
use crate::session::Session;
use crate::{
    EndOrigin, OPERATION_WAIT_LIMIT, Operation, PENDING_OPERATIONS_MAX, SessionError, SessionEvent, SessionId,
    Sessions, Turn,
};
use clock::{Duration, Instant};
use contract::DigitPassing;
use info_body::{char_of, digit_of, read_digit};
use media_control::LegId;
use sip_core::{ClientRequestId, RequestId, Span};
use sip_wire::{Message, Name};
use std::collections::VecDeque;

/// Most digits of one operation.
pub const DIGITS_MAX: usize = 24;
/// How long a digit sounds that crosses from one side of a call to the other, where nothing says how long it was.
const CROSSING_DIGIT: Duration = Duration::from_millis(120);
/// Quiet between two digits, and what a packet more or less may take.
const DIGIT_PAUSE: Duration = Duration::from_millis(100);

/// Digits of one operation.
#[derive(Debug)]
struct Digits {
    signs: VecDeque<u8>,
    duration_ms: u16,
}

/// What is being sent.
#[derive(Debug, Default)]
enum Sending {
    #[default]
    Nothing,
    /// The media plane has all digits, and is done by then.
    ByMedia(Instant),
    /// INFO requests one after the other; this one has no answer yet, and carries the first of these digits.
    ByInfo(ClientRequestId, Digits),
}

/// The digits that a session sends, and what becomes of those of its peer. Sending takes memory from the first digit on.
#[derive(Debug, Default)]
pub(crate) struct DigitSender {
    sender: Option<Box<Sender>>,
    /// None: what the settings say.
    passing: Option<DigitPassing>,
}

#[derive(Debug, Default)]
struct Sender {
    sending: Sending,
    /// Operations that wait for earlier digits, the oldest first, with the time since when.
    waiting: VecDeque<(Instant, Digits)>,
}

impl DigitSender {
    fn passing(&self) -> Option<DigitPassing> {
        self.passing
    }

    fn set_passing(&mut self, passing: Option<DigitPassing>) {
        self.passing = passing;
    }

    fn is_busy(&self, now: Instant) -> bool {
        match self.sender.as_ref().map(|sender| &sender.sending) {
            None | Some(Sending::Nothing) => false,
            Some(Sending::ByMedia(until)) => now < *until,
            Some(Sending::ByInfo(..)) => true,
        }
    }

    fn set(&mut self, sending: Sending) {
        self.sender.get_or_insert_default().sending = sending;
    }

    /// Frees the memory of a sender that has nothing to send.
    fn free_if_idle(&mut self) {
        let is_idle = |sender: &Sender| matches!(sender.sending, Sending::Nothing) && sender.waiting.is_empty();
        self.sender.take_if(|sender| is_idle(sender));
    }

    fn waiting_count(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.waiting.len())
    }

    fn wait(&mut self, now: Instant, digits: Digits) {
        self.sender.get_or_insert_default().waiting.push_back((now, digits));
    }

    fn next(&mut self) -> Option<Digits> {
        self.sender.as_mut()?.waiting.pop_front().map(|(_, digits)| digits)
    }

    /// Drops the digits that have waited long enough; says how many operations that are.
    fn drop_overdue(&mut self, now: Instant) -> usize {
        let Some(sender) = &mut self.sender else { return 0 };
        let before = sender.waiting.len();
        sender.waiting.retain(|(since, _)| *since + OPERATION_WAIT_LIMIT > now);
        before - sender.waiting.len()
    }

    /// When to look at it again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sender = self.sender.as_ref()?;
        let overdue_at = sender.waiting.front().map(|(since, _)| *since + OPERATION_WAIT_LIMIT)?;
        match sender.sending {
            Sending::ByMedia(until) => Some(until.min(overdue_at)),
            _ => Some(overdue_at),
        }
    }

    /// This INFO has its final answer. Gives the digits that follow it; `None`: it is none of these.
    fn take_info(&mut self, request: ClientRequestId) -> Option<Digits> {
        let sender = self.sender.as_mut()?;
        match std::mem::take(&mut sender.sending) {
            Sending::ByInfo(open, digits) if open == request => Some(digits),
            other => {
                sender.sending = other;
                None
            }
        }
    }

    fn waits_for(&self, request: ClientRequestId) -> bool {
        matches!(self.sender.as_ref().map(|sender| &sender.sending), Some(Sending::ByInfo(open, _)) if *open == request)
    }
}

impl Sessions {
    /// Sends digits: `0-9`, `*`, `#`, `A-D`, at most [`DIGITS_MAX`], each for `duration` (40 ms to 5 s). `Done` is told
    /// when they are handed to the media plane, or when the peer has confirmed the last INFO. Further ones wait until
    /// these are sent.
    pub fn send_dtmf(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        digits: &str,
        duration: Duration,
    ) -> Result<(), SessionError> {
        self.check(id, Operation::SendDtmf)?;
        let digits = Digits::read(digits, duration)?;
        self.send_in_turn(turn, id, digits)
    }

    /// Sends digits, behind those that are on their way.
    fn send_in_turn(&mut self, turn: &mut Turn<'_>, id: SessionId, digits: Digits) -> Result<(), SessionError> {
        let session = self.table.get_mut(id).ok_or(SessionError::SessionNotFound(id))?;
        if !session.dtmf.is_busy(turn.now) && session.dtmf.waiting_count() == 0 {
            return self.send_digits(turn, id, digits);
        }
        if session.dtmf.waiting_count() >= PENDING_OPERATIONS_MAX {
            let what = "operations of one call that wait";
            return Err(SessionError::ResourceExhausted { what, limit: PENDING_OPERATIONS_MAX });
        }
        session.dtmf.wait(turn.now, digits);
        self.limit_operations(id);
        Ok(())
    }

    fn send_digits(&mut self, turn: &mut Turn<'_>, id: SessionId, digits: Digits) -> Result<(), SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        // Also where the media plane has yet to carry out what was agreed on: it does so before it sends the digits.
        let Some(leg) = self.leg_for_digits(session) else { return self.next_info(turn, id, digits) };
        let duration = Duration::from_millis(digits.duration_ms.into());
        let signs: Vec<u8> = digits.signs.into();
        let session = self.table.get_mut(id).ok_or(SessionError::SessionNotFound(id))?;
        session.dtmf.set(Sending::ByMedia(turn.now + (duration + DIGIT_PAUSE) * signs.len() as u32));
        let sent = self.legs.send_digits(&mut turn.media(), leg, &signs, duration);
        sent.map_err(|_| SessionError::Busy(Operation::SendDtmf))?;
        turn.events.push(SessionEvent::Done { id, operation: Operation::SendDtmf });
        Ok(())
    }

    /// The leg by which digits reach this peer; none: they go by INFO.
    fn leg_for_digits(&self, session: &Session) -> Option<LegId> {
        let agreed = session.agreement();
        let flows = agreed.is_some_and(|agreed| agreed.direction.sends() && agreed.remote_rtp.is_some());
        let by_media = flows && (self.takes_events(session) || !self.takes_info(session));
        session.leg.id().filter(|leg| by_media && self.legs.runs(*leg))
    }

    /// The next digit by INFO.
    fn next_info(&mut self, turn: &mut Turn<'_>, id: SessionId, digits: Digits) -> Result<(), SessionError> {
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let Some(digit) = digits.signs.front().copied() else {
            turn.events.push(SessionEvent::Done { id, operation: Operation::SendDtmf });
            return Ok(());
        };
        let dialog = session.dialog().ok_or(SessionError::Protocol(sip_core::Refused::Gone))?;
        let (kind, body) = match session.admitted.digit_info() {
            DigitInfo::Plain => ("application/dtmf", format!("{}\r\n", char_of(digit))),
            DigitInfo::Relay | DigitInfo::Refused => {
                let body = format!("Signal={}\r\nDuration={}\r\n", char_of(digit), digits.duration_ms);
                ("application/dtmf-relay", body)
            }
        };
        let request = turn.sip.info(turn.now, dialog, kind, body.as_bytes());
        session.dtmf.set(Sending::ByInfo(request.map_err(SessionError::Protocol)?, digits));
        Ok(())
    }

    /// A response to our INFO. `false`: it is to something else.
    pub(crate) fn info_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: ClientRequestId,
        (status, origin): (u16, EndOrigin),
    ) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        if status < 200 {
            return session.dtmf.waits_for(request);
        }
        let Some(mut digits) = session.dtmf.take_info(request) else { return false };
        let operation = Operation::SendDtmf;
        let (status, origin) = match status {
            200..300 => {
                digits.signs.pop_front();
                if self.next_info(turn, id, digits).is_ok() {
                    self.next_digits(turn, id);
                    return true;
                }
                (500, EndOrigin::Here)
            }
            // It does not know digits in such an INFO: this one and those that follow go another way.
            405 | 415 | 469 | 501 if self.goes_another_way(turn, id, status) => {
                if self.send_digits(turn, id, digits).is_ok() {
                    self.next_digits(turn, id);
                    return true;
                }
                (status, origin)
            }
            _ => (status, origin),
        };
        turn.events.push(SessionEvent::Failed { id, operation, status, origin });
        self.next_digits(turn, id);
        true
    }

    /// A peer has refused an INFO with a digit: of the two types the other one is tried, then tones. `false`: there is no other
    /// way to this peer now.
    fn goes_another_way(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        let is_type = matches!(status, 415 | 469);
        let next = match session.admitted.digit_info() {
            DigitInfo::Relay if is_type => DigitInfo::Plain,
            _ => DigitInfo::Refused,
        };
        session.admitted.note_digit_info(next);
        self.sync(turn, id);
        next == DigitInfo::Plain || self.table.get(id).is_some_and(|session| self.leg_for_digits(session).is_some())
    }

    /// Earlier digits are sent: those that wait follow.
    fn next_digits(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        loop {
            let Some(session) = self.table.get_mut(id).filter(|session| !session.state().is_ending()) else { return };
            let next = if session.dtmf.is_busy(turn.now) { None } else { session.dtmf.next() };
            let Some(digits) = next else {
                session.dtmf.free_if_idle();
                return self.limit_operations(id);
            };
            if let Err(error) = self.check(id, Operation::SendDtmf).and_then(|()| self.send_digits(turn, id, digits)) {
                let (operation, error) = (Operation::SendDtmf, Box::new(error));
                turn.events.push(SessionEvent::Declined { id, operation, error });
            }
        }
    }

    /// Digits of the media plane are sent by now, or others have waited long enough.
    pub(crate) fn digits_due(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.next_digits(turn, id);
        let Some(session) = self.table.get_mut(id) else { return };
        let operation = Operation::SendDtmf;
        for _ in 0..session.dtmf.drop_overdue(turn.now) {
            let error = Box::new(SessionError::Busy(operation));
            turn.events.push(SessionEvent::Declined { id, operation, error });
        }
        self.limit_operations(id);
    }

    /// A digit of the peer begins in its media: users hear of it.
    pub(crate) fn digit_heard(&mut self, turn: &mut Turn<'_>, id: SessionId, digit: u8) {
        turn.events.push(SessionEvent::Digit { id, digit });
    }

    /// A digit of the peer's media is over: the other side of a call hears it by INFO, where its leg cannot tell it.
    pub(crate) fn digit_ended(&mut self, turn: &mut Turn<'_>, id: SessionId, digit: u8, duration_ms: u32) {
        let Some(other) = self.other_side(id).and_then(|other| self.table.get(other)) else { return };
        if !self.takes_events(other) && self.takes_info(other) {
            // Best effort: one that dials itself at this moment may not hear it.
            let _ = self.digit_crosses(turn, id, digit, Some(duration_ms));
        }
    }

    /// The other side of a call is sent a digit that is not in the media for it.
    fn digit_crosses(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        digit: u8,
        duration_ms: Option<u32>,
    ) -> Result<(), SessionError> {
        let Some(other) = self.other_side(id) else { return Ok(()) };
        let Some(session) = self.table.get(id) else { return Ok(()) };
        let digit = match self.digit_passing(session) {
            DigitPassing::Pass => digit,
            DigitPassing::Remove => return Ok(()),
            DigitPassing::Replace(replacement) => replacement,
        };
        self.check(other, Operation::SendDtmf)?;
        let duration = duration_ms.map_or(CROSSING_DIGIT, |ms| Duration::from_millis(ms.clamp(40, 5_000).into()));
        let digits = Digits::read(&char_of(digit).to_string(), duration)?;
        self.send_in_turn(turn, other, digits)
    }

    /// INFO with a digit, as older phones send it. Before both sides are up, and where it has something else, it goes to
    /// the other side of the call as it is; without one it is for users, or refused by its type.
    pub(crate) fn info_requested(&mut self, turn: &mut Turn<'_>, id: SessionId, request: RequestId, message: Span) {
        let other = self.other_side(id);
        let is_up = |id| self.table.get(id).is_some_and(|session| session.is_answered());
        let is_early = other.is_some_and(|other| !is_up(id) || !is_up(other));
        let passes = self.table.get(id).is_some_and(|session| self.digit_passing(session) == DigitPassing::Pass);
        let status = match turn.sip.message(message).ok_or(400).and_then(|message| read_digit(&message)) {
            Ok(None) => 200,
            Ok(Some(signal)) if is_early && passes => {
                let digit = signal.digit;
                turn.events.push(SessionEvent::Digit { id, digit });
                match self.pass_info(turn, id, request, message) {
                    true => return,
                    false => CANNOT_PASS,
                }
            }
            Ok(Some(signal)) => {
                let digit = signal.digit;
                turn.events.push(SessionEvent::Digit { id, digit });
                let passed = self.digit_crosses(turn, id, digit, signal.duration_ms);
                if passed.is_ok() { 200 } else { CANNOT_PASS }
            }
            Err(415) if other.is_some() => match self.pass_info(turn, id, request, message) {
                true => return,
                false => CANNOT_PASS,
            },
            Err(415) if turn.is_for_user(request, Some(id), message) => return,
            Err(status) => status,
        };
        turn.sip.respond(turn.now, request, status, "");
    }

    fn pass_info(&mut self, turn: &mut Turn<'_>, id: SessionId, request: RequestId, message: Span) -> bool {
        let Some((kind, body)) = turn.sip.message(message).as_ref().and_then(content_of) else { return false };
        self.info_crosses(turn, id, request, &kind, &body)
    }
}

impl Digits {
    fn read(digits: &str, duration: Duration) -> Result<Self, SessionError> {
        let signs: Option<VecDeque<u8>> = digits.chars().map(digit_of).collect();
        let signs = signs.filter(|signs| (1..=DIGITS_MAX).contains(&signs.len()));
        let signs = signs.ok_or(SessionError::Argument("digits are 0-9, *, #, A-D, at least 1 and at most 24"))?;
        let duration_ms = u16::try_from(duration.as_millis()).ok().filter(|ms| (40..=5_000).contains(ms));
        let duration_ms = duration_ms.ok_or(SessionError::Argument("a digit takes 40 ms to 5 s"))?;
        Ok(Self { signs, duration_ms })
    }
}

/// The other side cannot take an INFO now. The call goes on: this status says nothing about the dialog (RFC 5057 §5.1).
const CANNOT_PASS: u16 = 480;

/// Content type and body of a message that has been read before.
fn content_of(message: &Message<'_>) -> Option<(String, Box<[u8]>)> {
    let kind = message.header(Name::ContentType)?;
    Some((String::from_utf8_lossy(kind).into_owned(), message.body().into()))
}
