//! What a peer said when it refused or ended its side of a call, for the other side (RFC 3326).

use super::Moment;
use crate::{EndReason, Refusal, SessionId, Sessions, Turn};
use sip_core::Span;
use sip_wire::RetryAfter;

/// Longest reason phrase that goes on, in bytes.
const PHRASE_BYTES_MAX: usize = 128;

/// Header fields and words of the message that ended a call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Farewell {
    headers: Vec<(Box<str>, Box<str>)>,
    /// The status of the response, and its reason phrase.
    phrase: Option<(u16, Box<str>)>,
    retry_after_s: Option<u64>,
}

impl Farewell {
    /// Header fields of our BYE, CANCEL or refusal. Where the peer gave no `Reason`, the switch gives its own.
    pub(crate) fn headers(&self, reason: EndReason) -> Vec<(&str, &str)> {
        let mut headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        if !headers.iter().any(|(name, _)| *name == "Reason")
            && let Some(ours) = own_reason(reason)
        {
            headers.push(("Reason", ours));
        }
        headers
    }

    /// A refusal with the peer's reason phrase, where it has the peer's status.
    pub(crate) fn refusal<'f>(&'f self, refusal: Refusal<'f>, headers: &'f [(&'f str, &'f str)]) -> Refusal<'f> {
        let phrase = self.phrase.as_ref().filter(|(status, _)| *status == refusal.status);
        Refusal {
            reason: phrase.map_or(refusal.reason, |(_, phrase)| phrase),
            retry_after_s: self.retry_after_s.or(refusal.retry_after_s),
            headers: if refusal.headers.is_empty() { headers } else { refusal.headers },
            ..refusal
        }
    }
}

impl Sessions {
    /// Reads what a peer's last message says to the other side of its call.
    pub(crate) fn farewell(&mut self, turn: &Turn<'_>, id: SessionId, message: Option<Span>) -> Farewell {
        let Some(span) = message.filter(|_| self.table.get(id).is_some_and(|session| session.linked_to().is_some()))
        else {
            return Farewell::default();
        };
        let Some(message) = turn.sip.message(span) else { return Farewell::default() };
        let Some(status) = message.status().map(|status| status.code()) else {
            return Farewell { headers: self.crossing_lines(turn, id, span, Moment::End), ..Farewell::default() };
        };
        let phrase = core::str::from_utf8(message.reason_phrase()).ok();
        let phrase = phrase.filter(|phrase| phrase.len() <= PHRASE_BYTES_MAX && !phrase.contains(char::is_control));
        let mut headers = self.crossing_lines(turn, id, span, Moment::Refusal);
        let retry_after = headers.iter().position(|(name, _)| &**name == "Retry-After").map(|at| headers.remove(at).1);
        let retry_after = retry_after.and_then(|value| Some(RetryAfter::parse(value.as_bytes())?.seconds.into()));
        Farewell { headers, phrase: phrase.map(|phrase| (status, phrase.into())), retry_after_s: retry_after }
    }
}

/// The `Reason` of a call that the switch ends itself, where the peer could mistake the cause.
fn own_reason(reason: EndReason) -> Option<&'static str> {
    Some(match reason {
        EndReason::Replaced => "SIP;cause=200;text=\"Call completed elsewhere\"",
        EndReason::MediaTimeout => "Q.850;cause=102;text=\"No media arrived\"",
        EndReason::MediaFailed | EndReason::MediaLost => "Q.850;cause=41;text=\"Media failed\"",
        EndReason::AgeLimit => "Q.850;cause=102;text=\"Longest duration reached\"",
        _ => return None,
    })
}
