//! What a phone does in a call that is up: changes of the media by both sides, digits, transfers.

use super::description::{Description, Directions, Ways};
use super::{Happened, Phone};
use crate::ledger::Ledger;
use clock::Instant;
use sip_core::{Answer, Content, DialogId, Event, Refused};
use sip_wire::{Message, Method};

/// What the user of a phone does in a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::system) enum Act {
    /// A re-INVITE that wants these ways: hold, resume, or nothing new.
    Reinvite(Ways),
    /// The same by UPDATE.
    Update(Ways),
    /// A digit by INFO.
    Info(u8),
    /// REFER to this URI.
    Refer(String),
    /// REFER to the peer of another call of this phone (RFC 3891).
    Attend(DialogId),
}

impl Phone {
    /// Does it. `false`: it cannot be done now.
    pub(in crate::system) fn act(&mut self, now: Instant, dialog: DialogId, act: &Act, ledger: &mut Ledger) -> bool {
        let done = match act {
            Act::Reinvite(ways) => self.offer(now, dialog, *ways, Method::Invite),
            Act::Update(ways) => self.offer(now, dialog, *ways, Method::Update),
            Act::Info(digit) => {
                let body = format!("Signal={}\r\nDuration=160\r\n", sign(*digit));
                let content = Content { headers: &[], content_type: "application/dtmf-relay", body: body.as_bytes() };
                self.endpoint.info(now, dialog, content, &mut self.out)
            }
            Act::Refer(target) => self.refer(now, dialog, target),
            Act::Attend(other) => match self.endpoint.replaces_uri(*other) {
                Some(target) => self.refer(now, dialog, &target),
                None => return false,
            },
        };
        match done {
            Ok(request) => {
                ledger.sent_request(self.node, request);
                if let (Act::Info(digit), Some(call)) = (act, self.calls.get_mut(&dialog)) {
                    call.infos.insert(request, (*digit, now));
                }
            }
            Err(Refused::BadText | Refused::BadStatus | Refused::TooLong) => {
                ledger.fail(format!("phone {}: {act:?} is refused: {done:?}", self.node));
            }
            Err(_) => {}
        }
        done.is_ok()
    }

    fn refer(&mut self, now: Instant, dialog: DialogId, target: &str) -> Result<sip_core::ClientRequestId, Refused> {
        Ok(self.endpoint.refer(now, dialog, target, &mut self.out)?.0)
    }

    fn offer(
        &mut self,
        now: Instant,
        dialog: DialogId,
        ways: Ways,
        method: Method,
    ) -> Result<sip_core::ClientRequestId, Refused> {
        let call = self.calls.get(&dialog).filter(|call| call.pending.is_none()).ok_or(Refused::Busy)?;
        let (number, version) = (call.side.0, call.version + 1);
        let sdp = self.describe(number, version, ways);
        let content = Content::sdp(&sdp);
        let request = match method {
            Method::Update => self.endpoint.update(now, dialog, content, &mut self.out)?,
            _ => self.endpoint.reinvite(now, dialog, content, &mut self.out)?,
        };
        if let Some(call) = self.calls.get_mut(&dialog) {
            call.version = version;
            call.pending = Some((request, ways));
        }
        Ok(request)
    }

    /// The answer to an offer of the peer, or an offer where it made none. A change of the phone's own that has no answer yet
    /// is not in it.
    fn answer(&mut self, dialog: DialogId, message: &[u8]) -> Vec<u8> {
        let offer = Description::read(message);
        let Some(call) = self.calls.get_mut(&dialog) else { return self.describe(0, 1, Ways::BOTH) };
        call.version += 1;
        call.peer = offer.or(call.peer);
        let ways = offer.map_or(call.ways, |offer| call.ways.limited_by(offer.ways));
        let (number, version) = (call.side.0, call.version);
        self.describe(number, version, ways)
    }

    fn agreed(&self, dialog: DialogId) -> Option<Happened> {
        let call = self.calls.get(&dialog)?;
        let rtp = call.peer.map(|peer| peer.rtp);
        Some(Happened::Agreed { side: call.side, rtp, directions: self.directions(dialog)? })
    }

    /// What the phone and the switch have told each other about the direction of a call.
    pub(in crate::system) fn directions(&self, dialog: DialogId) -> Option<Directions> {
        let call = self.calls.get(&dialog)?;
        let told = call.peer.map_or(Ways::BOTH, |peer| peer.ways);
        let is_settled = call.pending.is_none() && !call.is_unsure && !call.is_unacknowledged;
        Some(Directions { wants: call.ways, told, is_settled })
    }

    /// Whether a change of its own is on its way, or it holds its peer.
    pub(in crate::system) fn ways(&self, dialog: DialogId) -> Option<Ways> {
        self.calls.get(&dialog).map(|call| call.ways)
    }

    /// Whether digits go as telephone events.
    pub(in crate::system) fn has_events(&self, dialog: DialogId) -> bool {
        let peer = self.calls.get(&dialog).and_then(|call| call.peer);
        self.model.has_events && peer.is_some_and(|peer| peer.has_events)
    }

    pub(super) fn take_in_call(
        &mut self,
        now: Instant,
        event: &Event,
        message: &[u8],
        ledger: &mut Ledger,
        happened: &mut Vec<Happened>,
    ) {
        let dialog = match *event {
            Event::Reinvite { invite, dialog, .. } => {
                let sdp = self.answer(dialog, message);
                let _ = self.endpoint.accept(now, invite, Content::sdp(&sdp), &mut self.out);
                if let Some(call) = self.calls.get_mut(&dialog) {
                    call.is_unacknowledged = true;
                }
                dialog
            }
            Event::Request { request, dialog: Some(dialog), .. } => {
                let method = Message::parse(message).ok().and_then(|message| message.method());
                let sdp = match method {
                    Some(Method::Update) if Description::read(message).is_some() => self.answer(dialog, message),
                    _ => Vec::new(),
                };
                let content = if sdp.is_empty() { Content::NONE } else { Content::sdp(&sdp) };
                let status = if method == Some(Method::Refer) { 603 } else { 200 };
                let _ = self.endpoint.respond(now, request, &Answer::with(status, content), &mut self.out);
                if let Some((side, digit)) = self.calls.get(&dialog).map(|call| call.side).zip(digit_in(message)) {
                    happened.push(Happened::Digit(side, digit));
                }
                dialog
            }
            Event::Acknowledged { dialog, .. } => {
                self.hear(dialog, message);
                if let Some(call) = self.calls.get_mut(&dialog) {
                    call.is_unacknowledged = false;
                }
                dialog
            }
            Event::Response { request, dialog: Some(dialog), status: status @ 200.., .. } => {
                let Some(call) = self.calls.get_mut(&dialog) else { return };
                if let Some((digit, at)) = call.infos.remove(&request).filter(|_| status < 300) {
                    happened.push(Happened::Taken(call.side, digit, at));
                }
                let Some((_, ways)) = call.pending.take_if(|(pending, _)| *pending == request) else { return };
                call.is_unsure = matches!(status, 408 | 503);
                if status < 300 {
                    (call.ways, call.is_unacknowledged) = (ways, false);
                    self.hear(dialog, message);
                }
                dialog
            }
            Event::RefreshDue { dialog } => {
                if let Some(ways) = self.ways(dialog)
                    && let Ok(request) = self.offer(now, dialog, ways, Method::Invite)
                {
                    ledger.sent_request(self.node, request);
                }
                dialog
            }
            _ => return,
        };
        happened.extend(self.agreed(dialog));
    }

    /// The peer's description in an answer.
    fn hear(&mut self, dialog: DialogId, message: &[u8]) {
        if let Some(call) = self.calls.get_mut(&dialog) {
            call.peer = Description::read(message).or(call.peer);
        }
    }
}

fn sign(digit: u8) -> char {
    char::from(b"0123456789*#ABCD"[usize::from(digit & 15)])
}

/// The digit of an INFO.
fn digit_in(message: &[u8]) -> Option<u8> {
    let message = Message::parse(message).ok().filter(|message| message.method() == Some(Method::Info))?;
    let text = std::str::from_utf8(message.body()).ok()?;
    let signal = text.lines().find_map(|line| line.strip_prefix("Signal="))?;
    let sign = signal.trim().chars().next()?;
    "0123456789*#ABCD".find(sign).map(|index| index as u8)
}
