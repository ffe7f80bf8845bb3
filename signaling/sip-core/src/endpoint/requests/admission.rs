//! Requests without To tag: admission (RFC 3261 §8.2), then a new call or a request to hand up.

use crate::config::Reliability;
use crate::endpoint::Endpoint;
use crate::endpoint::requests::Kind;
use crate::message::incoming::Incoming;
use crate::output::Output;
use crate::transactions::stateless::Asked;
use sip_wire::{BodyError, MediaType, Method, Name, Scheme, Uri};

/// Bodies are taken as they are.
const ACCEPT_ENCODING: &[u8] = b"Accept-Encoding: identity\r\n";

/// A refusal by rule: status and complete header lines.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) lines: Vec<u8>,
}

impl Refusal {
    pub(crate) fn plain(status: u16) -> Self {
        Self { status, lines: Vec::new() }
    }

    pub(crate) fn with(status: u16, lines: &[u8]) -> Self {
        Self { status, lines: lines.to_vec() }
    }
}

impl Endpoint {
    pub(crate) fn receive_out_of_dialog(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        // RFC 3261 §8.2.2.2: the same request by another way.
        if self.transactions.merge_index.contains_key(&inc.merge_key(&self.transactions.keyed)) {
            // A copy that comes once the first request is forgotten gets the same answer, as long as there is room for that.
            return if self.has_room_for(inc) {
                self.refuse_statefully(inc, 482, b"", out);
            } else {
                self.transactions.refuse(inc, 482, b"", out);
            };
        }
        let refusal = self.inspect_security(inc).or_else(|| self.inspect(inc));
        if let Some(refusal) = refusal.or_else(|| self.inspect_lonely(inc)) {
            return self.transactions.refuse(inc, refusal.status, &refusal.lines, out);
        }
        if inc.method == Method::Invite {
            return self.receive_invite(inc, out);
        }
        if let Some(status) = self.options_status.filter(|_| inc.method == Method::Options) {
            return self.answer_option_query(inc, status, out);
        }
        if !self.has_room_for(inc) {
            self.transactions.counters.source_limited += 1;
            return self.transactions.reply_overload(inc, out);
        }
        let tag = self.transactions.tokens.next();
        if let Some(handle) = self.open_server(inc, tag.as_str(), out) {
            let message = Self::keep(inc.message, out);
            self.hand_up(handle, None, message, out);
        }
    }

    fn answer_option_query(&mut self, inc: &Incoming<'_, '_>, status: u16, out: &mut Output) {
        let lines = [&*self.lines.allow, &*self.lines.supported, &*self.lines.accept].concat();
        let lines = if status < 300 { &*lines } else { b"" };
        self.transactions.reply_stateless(Asked::by(inc), (status, ""), lines, out);
    }

    /// What RFC 3261 §8.2 checks of every request, in its order: method, Request-URI, extensions, body.
    pub(crate) fn inspect(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        self.inspect_method(inc)
            .or_else(|| self.inspect_uri(inc))
            .or_else(|| self.inspect_require(inc))
            .or_else(|| self.inspect_supported(inc))
            .or_else(|| self.inspect_body(inc))
            .or_else(|| self.inspect_accept(inc))
            .or_else(|| self.inspect_timer(inc))
    }

    fn inspect_method(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        let is_allowed = match inc.method {
            Method::Invite | Method::Bye | Method::Ack | Method::Cancel => true,
            Method::Prack => self.config.reliability != Reliability::Off,
            _ => self.config.allow.iter().any(|allowed| allowed.as_bytes() == inc.method.as_bytes()),
        };
        match inc.method {
            _ if is_allowed => None,
            Method::Other(_) => Some(Refusal::with(501, &self.lines.allow)),
            _ => Some(Refusal::with(405, &self.lines.allow)),
        }
    }

    fn inspect_uri(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        match Uri::parse(inc.uri).map(|uri| uri.scheme) {
            Ok(Scheme::Sip | Scheme::Sips | Scheme::Tel) => None,
            _ => Some(Refusal::plain(416)),
        }
    }

    fn supports(&self, option: &[u8]) -> bool {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        (is("100rel") && self.config.reliability != Reliability::Off)
            || is("timer")
            || is("replaces")
            || (is("sec-agree") && !self.config.security.is_empty())
            || self.config.supported.iter().any(|supported| is(supported))
    }

    fn inspect_require(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        if !inc.message.has(Name::Require) {
            return None;
        }
        let mut lines = Vec::new();
        for option in inc.message.tokens(Name::Require).filter(|option| !self.supports(option)) {
            lines.extend_from_slice(if lines.is_empty() { b"Unsupported: " } else { b", " });
            lines.extend_from_slice(option);
        }
        if lines.is_empty() {
            return None;
        }
        lines.extend_from_slice(b"\r\n");
        Some(Refusal { status: 420, lines })
    }

    /// RFC 3329 §2.3.1: a peer that wants an agreement gets our mechanisms, and comes again protected by one of them. What a
    /// protected request repeats of our list has to be our list: otherwise it was made weaker on the way.
    fn inspect_security(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        if self.config.security.is_empty()
            || !(inc.says(Name::Require, "sec-agree") || inc.says(Name::ProxyRequire, "sec-agree"))
        {
            return None;
        }
        let same = |value: &[u8], own: &String| value.eq_ignore_ascii_case(own.as_bytes());
        let repeats_us = || {
            let repeated: Vec<&[u8]> = inc.message.raw_values(Name::SecurityVerify).collect();
            let own = &self.config.security;
            repeated.len() == own.len() && repeated.iter().zip(own).all(|(value, own)| same(value, own))
        };
        let mechanism = |value: &[u8]| value.split(|byte| *byte == b';').next().map(<[u8]>::to_ascii_lowercase);
        let ours: Vec<_> = self.config.security.iter().map(|own| mechanism(own.as_bytes())).collect();
        let is_usable = || inc.message.raw_values(Name::SecurityClient).any(|value| ours.contains(&mechanism(value)));
        let is_agreed = match inc.message.has(Name::SecurityVerify) {
            true => repeats_us(),
            false => is_usable(),
        };
        let is_fine = inc.flow.transport.is_secure() && is_agreed;
        (!is_fine).then(|| Refusal::with(494, &self.lines.security_server))
    }

    /// RFC 3261 §21.4.15: an extension that we insist on and the caller does not offer.
    fn inspect_supported(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        let insists = self.config.reliability == Reliability::Required && inc.method == Method::Invite;
        let offers = inc.says(Name::Supported, "100rel") || inc.says(Name::Require, "100rel");
        (insists && inc.to_tag.is_none() && !offers).then(|| Refusal::with(421, b"Require: 100rel\r\n"))
    }

    fn inspect_body(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        if inc.message.body().is_empty() {
            return None;
        }
        if !matches!(inc.method, Method::Invite | Method::Update | Method::Prack) {
            // The user knows what other bodies are for.
            let is_identity = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
            let is_encoded = !inc.message.tokens(Name::ContentEncoding).all(is_identity);
            return is_encoded.then(|| Refusal::with(415, ACCEPT_ENCODING));
        }
        let is_accepted = |media: &MediaType<'_>| {
            let same =
                |accepted: &String| accepted.split_once('/').is_some_and(|(kind, subtype)| media.is(kind, subtype));
            self.config.accept.iter().any(same)
        };
        // One part that is accepted is enough; RFC 5621 says what may stand beside it.
        match inc.message.understood_body(is_accepted) {
            Ok(_) => None,
            Err(BodyError::Malformed) => Some(Refusal::plain(400)),
            Err(BodyError::Type) => Some(Refusal::with(415, &self.lines.accept)),
            Err(BodyError::Encoding) => Some(Refusal::with(415, ACCEPT_ENCODING)),
        }
    }

    /// RFC 3261 §21.4.7: our answer would be a session description, which the peer says that it does not take. Without an
    /// Accept it does (§20.1).
    fn inspect_accept(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        let describes = match inc.method {
            Method::Invite => true,
            Method::Update | Method::Prack => inc.message.session_description().ok().flatten().is_some(),
            _ => false,
        };
        if !describes || !inc.message.has(Name::Accept) {
            return None;
        }
        let takes = |range: &MediaType<'_>| {
            let is_any = range.is("*", "*") || range.is("application", "*") || range.is("application", "sdp");
            let is_never = |q: &[u8]| !q.is_empty() && q.iter().all(|byte| matches!(byte, b'0' | b'.'));
            is_any && !range.params.get("q").is_some_and(is_never)
        };
        // An empty list is one of nothing; a range that cannot be read may be any.
        let mut ranges = inc.message.raw_values(Name::Accept).filter(|range| !range.is_empty());
        let is_taken = ranges.any(|range| MediaType::parse(range).is_none_or(|range| takes(&range)));
        (!is_taken).then(|| Refusal::plain(406))
    }

    /// RFC 4028 §9: an interval that is too short is answered 422 with Min-SE.
    fn inspect_timer(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        if !matches!(inc.method, Method::Invite | Method::Update) {
            return None;
        }
        let expires = inc.message.session_expires().ok().flatten()?;
        let min_se = self.config.session_timer.min_se.as_secs().max(90);
        if u64::from(expires.seconds) >= min_se || !inc.says(Name::Supported, "timer") {
            return None;
        }
        let mut lines = Vec::new();
        crate::message::compose::put_number_line(&mut lines, b"Min-SE", min_se);
        Some(Refusal { status: 422, lines })
    }

    /// What only holds outside a dialog.
    fn inspect_lonely(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        match Kind::of(inc.method, false) {
            Kind::Bye | Kind::Prack | Kind::Update => Some(Refusal::plain(481)),
            // Without a dialog there is no subscription that it could belong to (RFC 6665 §4.1.3).
            Kind::Notify => Some(Refusal::plain(481)),
            Kind::Subscribe => self.inspect_package(inc),
            // RFC 6086 §4.2.2: INFO belongs to the dialog of an INVITE.
            Kind::Other if inc.method == Method::Info => Some(Refusal::plain(481)),
            _ => None,
        }
    }

    /// RFC 6665 §4.2.1: an event package that we do not know is answered 489 with Allow-Events.
    pub(crate) fn inspect_package(&self, inc: &Incoming<'_, '_>) -> Option<Refusal> {
        let known = inc
            .message
            .event()
            .ok()
            .flatten()
            .is_some_and(|event| self.config.event_packages.iter().any(|package| event.is(package)));
        if known { None } else { Some(Refusal::with(489, &self.lines.allow_events)) }
    }
}
