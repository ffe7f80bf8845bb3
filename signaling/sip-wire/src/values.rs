//! The small typed values: CSeq, timers, events and what else has a grammar of its own.

pub(crate) mod address;
pub(crate) mod auth;
pub(crate) mod date;
pub(crate) mod via;

use crate::limits::{COMMENT_MAX_DEPTH, CSEQ_LIMIT};
use crate::values::address::unescape_quoted;
use crate::{Method, Params, scan};
use std::borrow::Cow;

/// CSeq (RFC 3261 §20.16).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CSeq<'a> {
    /// Below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The method's bytes.
    pub method_raw: &'a [u8],
}

/// RAck (RFC 3262 §7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RAck {
    /// RSeq of the provisional response.
    pub rseq: u32,
    /// Its CSeq number.
    pub cseq: u32,
    /// Its CSeq method.
    pub method: Method,
}

/// Who refreshes a session (RFC 4028).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answered.
    Uas,
}

/// Session-Expires (RFC 4028 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionExpires {
    /// The interval in seconds.
    pub seconds: u32,
    /// Who refreshes, when said.
    pub refresher: Option<Refresher>,
}

/// Replaces (RFC 3891), Join (RFC 3911), Target-Dialog (RFC 4538): a dialog by its identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DialogId<'a> {
    /// Call-ID of the dialog.
    pub call_id: &'a [u8],
    /// `to-tag` (`local-tag` in Target-Dialog).
    pub to_tag: &'a [u8],
    /// `from-tag` (`remote-tag` in Target-Dialog).
    pub from_tag: &'a [u8],
    /// Replaces: only an early dialog may be replaced.
    pub early_only: bool,
}

/// A token with parameters: Event, Subscription-State, Content-Type and many more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenValue<'a> {
    /// The token, compared without case by most header fields.
    pub token: &'a [u8],
    /// Its parameters.
    pub params: Params<'a>,
}

/// Subscription-State (RFC 6665 §8.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated` or an extension.
    pub state: &'a [u8],
    /// Seconds left.
    pub expires: Option<u32>,
    /// Why it was terminated.
    pub reason: Option<&'a [u8]>,
    /// Seconds to wait before trying again.
    pub retry_after: Option<u32>,
}

/// Content-Type (RFC 3261 §20.15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaType<'a> {
    /// `application`
    pub kind: &'a [u8],
    /// `sdp`
    pub subtype: &'a [u8],
    /// Its parameters.
    pub params: Params<'a>,
}

/// Retry-After (RFC 3261 §20.33).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryAfter<'a> {
    /// Seconds to wait.
    pub seconds: u32,
    /// The comment with its brackets; empty when there is none.
    pub comment: &'a [u8],
    /// `duration`: how long the callee will be reachable.
    pub duration: Option<u32>,
}

/// One value of Reason (RFC 3326).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850`, ...
    pub protocol: &'a [u8],
    /// The cause in that protocol.
    pub cause: Option<u16>,
    text: &'a [u8],
}

/// One value of Warning (RFC 3261 §20.43).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Warning<'a> {
    /// Three digits.
    pub code: u16,
    /// Host or pseudonym.
    pub agent: &'a [u8],
    text: &'a [u8],
}

/// Timestamp (RFC 3261 §20.38), as it came: an answer copies it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timestamp<'a> {
    /// The sender's time.
    pub time: &'a [u8],
    /// The answerer's delay.
    pub delay: Option<&'a [u8]>,
}

pub(crate) fn u32_value(value: &[u8]) -> Option<u32> {
    scan::number(scan::trim(value), u64::from(u32::MAX)).map(|v| v as u32)
}

impl<'a> CSeq<'a> {
    /// `number method`.
    pub fn parse(value: &'a [u8]) -> Option<CSeq<'a>> {
        let (digits, rest) = split_word(scan::trim(value));
        let number = scan::number(digits, u64::from(CSEQ_LIMIT - 1))? as u32;
        Some(CSeq { number, method: Method::parse(rest)?, method_raw: rest })
    }
}

impl RAck {
    /// `rseq cseq method`.
    pub fn parse(value: &[u8]) -> Option<RAck> {
        let (rseq, rest) = split_word(scan::trim(value));
        let cseq = CSeq::parse(rest)?;
        Some(RAck { rseq: u32_value(rseq)?, cseq: cseq.number, method: cseq.method })
    }
}

impl SessionExpires {
    /// `seconds;refresher=uac`.
    pub fn parse(value: &[u8]) -> Option<SessionExpires> {
        let value = TokenValue::parse(value)?;
        let refresher = match value.params.get("refresher") {
            Some(r) if r.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(r) if r.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            Some(_) => return None,
            None => None,
        };
        Some(SessionExpires { seconds: u32_value(value.token)?, refresher })
    }
}

impl<'a> DialogId<'a> {
    /// `call-id;to-tag=..;from-tag=..`, or with `local-tag` and `remote-tag` as Target-Dialog has them.
    pub fn parse(value: &'a [u8]) -> Option<DialogId<'a>> {
        let (call_id, params) = split_params(value)?;
        let tag = |a, b| params.get(a).or_else(|| params.get(b)).filter(|t| !t.is_empty());
        let (to_tag, from_tag) = (tag("to-tag", "local-tag")?, tag("from-tag", "remote-tag")?);
        let one_word = !call_id.is_empty() && !call_id.iter().any(|b| scan::is_space(*b));
        one_word.then_some(DialogId { call_id, to_tag, from_tag, early_only: params.has("early-only") })
    }
}

impl<'a> TokenValue<'a> {
    /// `token;params`.
    pub fn parse(value: &'a [u8]) -> Option<TokenValue<'a>> {
        let (token, params) = split_params(value)?;
        scan::is_token(token).then_some(TokenValue { token, params })
    }

    /// Whether the token is `text`, in any case.
    pub fn is(&self, text: &str) -> bool {
        self.token.eq_ignore_ascii_case(text.as_bytes())
    }

    /// The `id` parameter of Event.
    pub fn id(&self) -> Option<&'a [u8]> {
        self.params.get("id")
    }
}

impl<'a> SubscriptionState<'a> {
    /// `state;expires=..;reason=..;retry-after=..`.
    pub fn parse(value: &'a [u8]) -> Option<SubscriptionState<'a>> {
        let TokenValue { token: state, params } = TokenValue::parse(value)?;
        let seconds = |name| params.get(name).and_then(u32_value);
        Some(SubscriptionState {
            state,
            expires: seconds("expires"),
            reason: params.get("reason"),
            retry_after: seconds("retry-after"),
        })
    }

    /// Whether the state is `text`, in any case.
    pub fn is(&self, text: &str) -> bool {
        self.state.eq_ignore_ascii_case(text.as_bytes())
    }
}

impl<'a> MediaType<'a> {
    /// `type/subtype;params`; one value of Accept too, where both may be `*`.
    pub fn parse(value: &'a [u8]) -> Option<MediaType<'a>> {
        let (media, params) = split_params(value)?;
        let slash = memchr::memchr(b'/', media)?;
        let (kind, subtype) = (scan::trim_end(&media[..slash]), scan::trim_start(&media[slash + 1..]));
        (scan::is_token(kind) && scan::is_token(subtype)).then_some(MediaType { kind, subtype, params })
    }

    /// Whether it is `kind/subtype`, in any case: `media.is("application", "sdp")`.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes()) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }
}

impl<'a> RetryAfter<'a> {
    /// `seconds (comment) ;duration=..`.
    pub fn parse(value: &'a [u8]) -> Option<RetryAfter<'a>> {
        let value = scan::trim(value);
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        let seconds = u32_value(&value[..digits])?;
        let mut rest = scan::trim_start(&value[digits..]);
        let mut comment = &b""[..];
        if rest.first() == Some(&b'(') {
            (comment, rest) = rest.split_at(scan::comment_bytes(rest, COMMENT_MAX_DEPTH)?);
        }
        let params = Params::parse(rest)?;
        Some(RetryAfter { seconds, comment, duration: params.get("duration").and_then(u32_value) })
    }
}

impl<'a> Reason<'a> {
    /// `protocol;cause=..;text=".."`.
    pub fn parse(value: &'a [u8]) -> Option<Reason<'a>> {
        let TokenValue { token: protocol, params } = TokenValue::parse(value)?;
        let cause = params.get("cause").and_then(|v| scan::number(v, 65_535)).map(|v| v as u16);
        Some(Reason { protocol, cause, text: params.get("text").unwrap_or_default() })
    }

    /// The text with its escapes resolved.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        (!self.text.is_empty()).then(|| unescape_quoted(self.text))
    }
}

impl<'a> Warning<'a> {
    /// `code agent "text"`.
    pub fn parse(value: &'a [u8]) -> Option<Warning<'a>> {
        let (code, rest) = split_word(scan::trim(value));
        let (agent, text) = split_word(rest);
        let whole = text.first() == Some(&b'"') && scan::quoted_bytes(text) == Some(text.len());
        let code = scan::number(code, 999)? as u16;
        (whole && code >= 100 && !agent.is_empty()).then_some(Warning { code, agent, text })
    }

    /// The text with its escapes resolved.
    pub fn text(&self) -> Cow<'a, str> {
        unescape_quoted(self.text)
    }
}

impl<'a> Timestamp<'a> {
    /// `time [delay]`, decimal fractions.
    pub fn parse(value: &'a [u8]) -> Option<Timestamp<'a>> {
        let (time, delay) = split_word(scan::trim(value));
        let decimal = |b: &[u8]| b.iter().all(|b| b.is_ascii_digit() || *b == b'.') && b.iter().any(u8::is_ascii_digit);
        let delay = (!delay.is_empty()).then_some(delay);
        (decimal(time) && delay.is_none_or(decimal)).then_some(Timestamp { time, delay })
    }
}

/// The first word, and what follows it and its white space.
fn split_word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| scan::is_space(*b)).unwrap_or(bytes.len());
    (&bytes[..end], scan::trim_start(&bytes[end..]))
}

/// What stands before the first `;`, trimmed, and the parameters from it on.
pub(crate) fn split_params(value: &[u8]) -> Option<(&[u8], Params<'_>)> {
    let at = memchr::memchr(b';', value).unwrap_or(value.len());
    Some((scan::trim(&value[..at]), Params::parse(&value[at..])?))
}
