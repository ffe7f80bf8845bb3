//! After a target has refused or not answered: redirections, the next target, or the end (RFC 3261 §8.1.3.4, §16.7).

use crate::invite::dial::{TARGETS_MAX, Target};
use crate::invite::name_lookup::{Located, Named};
use crate::lifecycle::call_story::words_of;
use crate::transfer::refer_request::without_method;
use crate::{Destination, EndReason, Outcome, REDIRECTS_MAX, REMEMBERED_BYTES_MAX, SessionId, Sessions, Turn};
use sip_core::{CallId, Flow, Span, Transport};
use sip_wire::{Message, Scheme, Uri};
use std::net::SocketAddr;

impl Sessions {
    /// Our INVITE was refused, cancelled, or never answered.
    pub(crate) fn call_failed(&mut self, turn: &mut Turn<'_>, call: CallId, status: u16, message: Option<Span>) {
        let Some(id) = self.by_call.remove(&call) else { return };
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(out) = &mut session.outgoing {
            out.call = None;
        }
        if session.state().is_ending() {
            session.life.dialog_is_over();
            return self.settle(turn, id);
        }
        let (reason, outcome) = failure(status, message.is_some());
        session.attempt_is(outcome);
        if let Some(message) = message {
            session.heard_words(&turn.sip.message(message).as_ref().map(words_of).unwrap_or_default());
            turn.decide.heard(id, turn.sip.bytes(message));
        }
        let is_redirected = match (status, message) {
            (300..400, Some(message)) => self.redirect(turn, id, status, message),
            _ => false,
        };
        if self.waits_for_names(id) {
            return;
        }
        let goes_on = is_redirected || status == 408 || (500..600).contains(&status);
        if goes_on && self.call_next(turn, id) {
            return;
        }
        let farewell = self.farewell(turn, id, message);
        self.end_saying(turn, id, reason, &farewell);
    }

    /// The target did not answer in time: CANCEL, and the next target.
    pub(crate) fn answer_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        if self.table.get(id).is_none_or(|session| session.state().is_ending()) {
            return; // its CANCEL waits for an answer, and no other target is called
        }
        let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) else {
            // RFC 3261 §13.3.1: 487 for an INVITE that is no longer good. One that went on has no other limit here.
            let is_expired = self.other_side(id).is_some() || self.expires_at(id).is_some_and(|at| at <= turn.now);
            return self.end(turn, id, if is_expired { EndReason::Cancelled } else { EndReason::NotDecided });
        };
        if out.lookup.is_some() {
            return self.names_found(turn, id, &[]);
        }
        if out.waiting.is_empty() {
            if let Some(session) = self.table.get_mut(id) {
                session.attempt_is(Outcome::TimedOut);
            }
            return self.end(turn, id, EndReason::NoAnswer);
        }
        if let Some(session) = self.table.get_mut(id) {
            session.attempt_is(Outcome::TimedOut);
        }
        let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) else { return };
        // Responses to this INVITE concern no session any more; a 2xx that crosses the CANCEL gets its BYE.
        if let Some(call) = out.call.take() {
            self.by_call.remove(&call);
            turn.sip.cancel(turn.now, call);
        }
        if !self.call_next(turn, id) {
            self.end(turn, id, EndReason::NoAnswer);
        }
    }

    /// The Contacts of a 3xx come next, the most wanted first; `false`: there are none that we follow.
    fn redirect(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16, message: Span) -> bool {
        let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) else { return false };
        let Some(by) = out.target.clone() else { return false };
        let Some(response) = turn.sip.message(message) else { return false };
        let mut uris = contacts(&response, &by.uri);
        uris.truncate(REDIRECTS_MAX.saturating_sub(out.redirect_count));
        // Not where it came from: that leads nowhere else.
        let is_new = |target: &Target| target.uri != by.uri || target.flow != by.flow;
        let (mut ready, mut named): (Vec<Target>, Vec<Box<str>>) = (Vec::new(), Vec::new());
        for uri in uris {
            match turn.decide.redirected(id, &uri) {
                Destination::Named => named.push(uri),
                Destination::Home => ready.extend(turn.home_of(&uri).map(|home| Target::new(&uri, home))),
                Destination::Targets(targets) => ready.extend(targets.into_iter().filter(is_new)),
                Destination::Refused(_) => {}
            }
        }
        let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) else { return false };
        out.redirect_count += named.len() + ready.len();
        let (is_ready, is_named) = (!ready.is_empty(), !named.is_empty());
        let located = match is_named {
            false => Located::Now(Vec::new()),
            true => {
                let (otherwise, allowed) = (EndReason::Rejected(status), self.settings.destinations);
                turn.locate(Named { uris: named, by, otherwise, takes_over: false, allowed })
            }
        };
        let (found, lookup, is_allowed) = match located {
            Located::Now(targets) | Located::Full(targets) => (targets, None, is_named),
            Located::Later(lookup) => (Vec::new(), Some(lookup), true),
            Located::Forbidden => (Vec::new(), None, false),
        };
        out.prefer(found);
        out.prefer(ready);
        if let Some(lookup) = lookup {
            self.wait_for_names(turn, id, lookup);
        }
        is_ready || is_allowed
    }
}

/// What a failed INVITE means. A status without a message is the endpoint's word for what is no answer of a peer.
fn failure(status: u16, has_answer: bool) -> (EndReason, Outcome) {
    match (status, has_answer) {
        (_, true) => (EndReason::Rejected(status), Outcome::Refused(status)),
        (408, false) => (EndReason::NoAnswer, Outcome::TimedOut),
        (503, false) => (EndReason::Unreachable, Outcome::Unreachable),
        (487, false) => (EndReason::Cancelled, Outcome::Open),
        (_, false) => (EndReason::Refused(status), Outcome::NotSent),
    }
}

/// The URIs of a 3xx that can be called, the most wanted first. Not where it came from: that leads nowhere else.
fn contacts(message: &Message<'_>, present: &str) -> Vec<Box<str>> {
    let mut found: Vec<(u16, Box<str>)> = Vec::new();
    for contact in message.contacts().flatten().take(TARGETS_MAX) {
        let Some(address) = contact.address() else { continue };
        let uri = match address.uri.scheme {
            // Header fields for the new request (RFC 3261 §19.1.5) are not ours to copy.
            Scheme::Sip | Scheme::Sips => without_method(address.uri.as_str().split('?').next().unwrap_or_default()),
            // A number has no host; the one that names it has the way to it.
            Scheme::Tel => match (address.uri.number(), Uri::parse(present.as_bytes())) {
                (Some(number), Ok(by)) => number.at(&by),
                _ => continue,
            },
            Scheme::Other => continue,
        };
        let is_new = uri != present && found.iter().all(|(_, other)| **other != *uri);
        if is_new && uri.len() <= REMEMBERED_BYTES_MAX {
            found.push((address.q_thousandths().unwrap_or(1_000), uri.into()));
        }
    }
    found.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// The path to a URI whose host is an address, or the one that we have been talking to: what is left when nothing else
/// leads there.
pub(crate) fn path_to(uri: &Uri<'_>, present: &Target) -> Option<Flow> {
    let known = Uri::parse(present.uri.as_bytes()).ok()?;
    let host = uri.host?;
    if known.host.is_some_and(|other| other.same(&host)) && known.port == uri.port {
        return Some(present.flow);
    }
    // A connection is the transport's to make, and only UDP needs none.
    let is_udp = uri.transport().is_none_or(|transport| transport.eq_ignore_ascii_case(b"udp"));
    if !is_udp || present.flow.transport != Transport::Udp || !uri.scheme.is_sip() {
        return None;
    }
    let remote = SocketAddr::new(host.ip()?, uri.port_or_default());
    (remote.is_ipv4() == present.flow.local.is_ipv4()).then(|| Flow::udp(present.flow.local, remote))
}
