//! Requests out (RFC 3261 §16.6).

use crate::content::{Refused, is_line, is_uri};
use crate::flow::Flow;
use crate::message::compose::{put, put_address, shown};
use crate::message::incoming::Request;
use crate::output::Span;
use crate::proxy::targets::branch::{Attempt, Branch, Failure, Waiting};
use crate::proxy::{Proxy, ProxyId, ProxyOutput, SenderIdentity, Standing, Target};
use crate::table::slab::Handle;
use crate::transactions::Opening;
use clock::Instant;
use sip_wire::{Auth, Message, Method, Name, Rewrite};

/// What `Max-Breadth` starts with when the caller wrote none (RFC 5393 §5.3.3).
pub(crate) const MAX_BREADTH: u8 = 60;
/// What `Max-Forwards` starts with when the caller wrote none.
const MAX_FORWARDS: u8 = 70;

/// A request that is to be sent on, and what is known of who sent it.
struct Sending<'s> {
    request: &'s [u8],
    /// How it came.
    flow: &'s Flow,
    standing: Standing,
    identity: &'s SenderIdentity,
    /// Of the new Via, without the cookie.
    branch: &'s str,
    /// `None`: what the request says stays.
    breadth: Option<u8>,
}

impl Proxy {
    /// Says who sent a request, before its targets are named.
    pub fn identify(&mut self, request: ProxyId, identity: SenderIdentity) {
        if let Some(context) = self.transactions.servers.get_mut(request.0) {
            context.identity = identity;
        }
    }

    /// Names targets for a request; more may be named until it is answered. Groups are tried one after the other.
    pub fn forward(
        &mut self,
        now: Instant,
        request: ProxyId,
        targets: &[Target<'_>],
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        if !targets.iter().all(is_fine) {
            return Err(Refused::BadText);
        }
        let context = self.transactions.servers.get_mut(request.0).ok_or(Refused::Gone)?;
        if context.outcome.is_ending() || targets.is_empty() {
            return Err(Refused::WrongState);
        }
        if context.targets.count + targets.len() > self.config.max_targets {
            return Err(Refused::Full);
        }
        context.targets.count += targets.len();
        if context.targets.redirects_left > 0 {
            context.targets.tried.extend(targets.iter().filter_map(|target| target.uri).map(Into::into));
        }
        context.targets.waiting.extend(targets.iter().map(|target| Waiting::new(target, false)));
        context.targets.waiting.sort_by_key(|target| target.group);
        self.finish(now, request.0, out); // starts the first group when none is open
        Ok(())
    }

    /// Tries the next group; `false` when there is none, or none of it could be tried.
    pub(crate) fn start_group(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) -> bool {
        loop {
            let Some(context) = self.transactions.servers.get_mut(handle) else { return false };
            let Some(group) = context.targets.waiting.first().map(|target| target.group) else { return false };
            let in_group = context.targets.waiting.iter().take_while(|target| target.group == group).count();
            // RFC 5393 §5.3: more than the breadth allows at once go one after the other.
            let count = in_group.min(usize::from(context.targets.breadth));
            let breadth = context.targets.breadth / count.max(1) as u8;
            let attempts: Vec<Attempt> =
                context.targets.waiting.drain(..count).map(|target| Attempt { target, breadth }).collect();
            let mut started_count = 0;
            for attempt in &attempts {
                started_count += usize::from(self.start_branch(now, handle, attempt, out));
            }
            if started_count > 0 {
                return true;
            }
            if let Some(context) = self.transactions.servers.get_mut(handle) {
                context.outcome.lacked_room = true;
            }
            self.note_final(handle, &Failure::Path);
        }
    }

    pub(crate) fn start_branch(
        &mut self,
        now: Instant,
        handle: Handle,
        attempt: &Attempt,
        out: &mut ProxyOutput,
    ) -> bool {
        let Attempt { target, breadth } = attempt;
        let token = self.transactions.tokens.next();
        let Some(context) = self.transactions.servers.get(handle) else { return false };
        let branch = format!("{}{}", token.as_str(), context.loop_mark.as_str());
        let sending = Sending {
            request: &context.request,
            flow: &context.in_flow,
            standing: context.standing,
            identity: &context.identity,
            branch: &branch,
            breadth: Some(*breadth),
        };
        let Some((bytes, method)) = self.write_forward(&sending, target, out) else { return false };
        if !self.make_room_for_branch(now, handle, out.bytes(bytes).len(), out) {
            return false;
        }
        let key = self.transactions.client_key(branch.as_bytes(), method.as_bytes());
        let again = (!target.alternates.is_empty()).then(|| Box::new(attempt.clone()));
        let is_in_dialog = sip_wire::to_tag(out.bytes(bytes)).is_some();
        let user = Branch { context: handle, is_cancel: false, is_in_dialog, is_final: false, again };
        let (flow, is_invite) = (target.flow, method == Method::Invite);
        let copies_left = self.copies_of_new_branch(handle, out.bytes(bytes).len());
        let opening = Opening { key, flow, is_invite, copies_left, user };
        let Some(handle_of_branch) = self.transactions.open_client(now, opening, bytes, out) else { return false };
        let Some(context) = self.transactions.servers.get_mut(handle) else { return false };
        context.targets.branches.push(handle_of_branch);
        context.targets.open_count += 1;
        self.recount(handle);
        true
    }

    /// The request as it leaves: Request-URI, Max-Forwards, Record-Route, Route, Via.
    fn write_forward(&self, sending: &Sending<'_>, target: &Waiting, out: &mut ProxyOutput) -> Option<(Span, Method)> {
        let message = Message::parse(sending.request).ok()?;
        let method = message.method()?;
        let via = self.via_value(&target.flow, sending.branch);
        let mut rewrite = Rewrite::new(&message);
        rewrite.push_via(&via);
        rewrite.max_forwards(message.max_forwards().ok()?.map_or(MAX_FORWARDS, |left| left.saturating_sub(1)));
        let breadth = sending.breadth.filter(|breadth| *breadth < MAX_BREADTH || message.has(Name::MaxBreadth));
        let breadth = breadth.map(|breadth| breadth.to_string());
        if let Some(breadth) = &breadth {
            rewrite.replace(Name::MaxBreadth, breadth.as_bytes());
        }
        let record_routes = self.record_routes(&message, sending.standing, sending.flow, &target.flow);
        for value in &record_routes {
            rewrite.prepend(Name::RecordRoute, value);
        }
        let routes: Vec<&[u8]> = message.raw_values(Name::Route).collect();
        let strict = strict_route(&routes, message.request_uri_raw());
        match (&target.uri, &strict) {
            (Some(uri), _) => {
                rewrite.request_uri(uri.as_bytes());
            }
            (None, Some((uri, rest))) => {
                rewrite.request_uri(uri).replace(Name::Route, rest);
            }
            (None, None) => {}
        }
        if let Some(route) = &target.route {
            rewrite.prepend(Name::Route, route.as_bytes());
        }
        let asserted = match sending.identity {
            SenderIdentity::Asserted(uri) => Some(format!("<{uri}>")),
            SenderIdentity::AsItCame | SenderIdentity::Nothing => None,
        };
        if *sending.identity != SenderIdentity::AsItCame {
            rewrite.remove(Name::PPreferredIdentity).remove(Name::RemotePartyId);
            match &asserted {
                Some(value) => rewrite.replace(Name::PAssertedIdentity, value.as_bytes()),
                None => rewrite.remove(Name::PAssertedIdentity),
            };
        }
        let all: Vec<&[u8]> = message.header_lines(Name::ProxyAuthorization).collect();
        let foreign: Vec<&[u8]> = all.iter().filter(|value| !self.is_for_our_realm(value)).copied().collect();
        if foreign.len() != all.len() {
            rewrite.remove(Name::ProxyAuthorization);
            for value in &foreign {
                rewrite.append(Name::ProxyAuthorization, value);
            }
        }
        let mark = out.mark();
        rewrite.write(out.arena()).ok()?;
        Some((out.span_from(mark), method))
    }

    /// Credentials that were meant for us tell nobody behind us anything.
    fn is_for_our_realm(&self, value: &[u8]) -> bool {
        let realm = Auth::parse(value).and_then(|auth| auth.realm());
        realm.is_some_and(|realm| self.config.realms.iter().any(|own| own.as_bytes() == realm))
    }

    fn via_value(&self, flow: &Flow, branch: &str) -> Vec<u8> {
        let mut via = Vec::with_capacity(96);
        put(&mut via, &[b"SIP/2.0/", flow.transport.via_name().as_bytes(), b" "]);
        put_address(&mut via, shown(self.config.advertise, flow));
        put(&mut via, &[b";branch=z9hG4bK", branch.as_bytes(), b";rport"]);
        via
    }

    /// Passes on a request that has no transaction here, as [`ProxyEvent::Stateless`](crate::proxy::ProxyEvent::Stateless) gave
    /// it (RFC 3261 §16.11).
    pub fn forward_stateless(
        &mut self,
        message: &[u8],
        target: &Target<'_>,
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        if !is_fine(target) {
            return Err(Refused::BadText);
        }
        let parsed = Message::parse(message).map_err(|_| Refused::BadText)?;
        let top = parsed.raw_values(Name::Via).next().unwrap_or_default();
        let inc = Request::new(&parsed).map_err(|_| Refused::BadText)?;
        let branch = [self.transactions.tokens.derived(&[b"stateless", top]), self.loop_mark(&inc)]
            .map(|token| token.as_str().to_owned());
        let (flow, target) = (target.flow, Waiting::new(target, false));
        let sending = Sending {
            request: message,
            flow: &flow,
            standing: Standing::Unproven,
            identity: &SenderIdentity::AsItCame,
            branch: &branch.concat(),
            breadth: None,
        };
        let (bytes, _) = self.write_forward(&sending, &target, out).ok_or(Refused::BadText)?;
        out.send(flow, bytes);
        Ok(())
    }
}

pub(crate) fn is_fine(target: &Target<'_>) -> bool {
    let is_route = |text: &&str| is_line(text) && sip_wire::Address::check(text).is_ok();
    target.uri.is_none_or(is_uri) && target.route.as_ref().is_none_or(is_route)
}

/// For a first Route without `lr`: it becomes the Request-URI, which goes to the end of the list (RFC 3261 §16.6, step 6).
fn strict_route<'a>(routes: &[&'a [u8]], uri: &[u8]) -> Option<(&'a [u8], Vec<u8>)> {
    let (first, rest) = routes.split_first()?;
    let first = crate::message::route::uri_in(first);
    if sip_wire::Uri::parse(first).ok()?.is_loose() {
        return None;
    }
    let last = [&b"<"[..], uri, b">"].concat();
    let mut list = rest.to_vec();
    list.push(&last);
    let joined = crate::message::incoming::unfolded(&list.join(&b", "[..])).into_owned();
    Some((first, joined))
}
