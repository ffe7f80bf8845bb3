//! The roles between peers: the stateful proxy (RFC 3261 §16) and the redirect server (§8.3), by the routes of the
//! configuration. The protocol is `sip_core`'s; this decides where requests go.

mod auth;
mod calls;
mod contacts;
mod pending;
mod redirects;

use crate::auth::Auth;
use crate::dialplan::routes::{Called, Routes};
use crate::log::{self, Proxied, Refusals};
use crate::names::{Found, Lookups, PathFinder};
pub use calls::HungUp;
use clock::Instant;
use config::Network;
use pending::{Pending, Table};
use session::{Destinations, EndOrigin};
use sip_core::proxy::{AnsweredBy, Proxy, ProxyConfig, ProxyEvent, ProxyId, ProxyOutput, Standing, Target};
use sip_core::{Answer, Content, Flow};
use sip_wire::{Message, Method, Uri};
use stats::{Counts, SignalCounter};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// Targets of a request that a line of the log names.
const TRIED_SHOWN: usize = 8;

/// How long a call waits, when the proxy stops, for targets that have not answered at all. It leaves time for copies of the
/// 503 before the process ends.
const STOP_PATIENCE: clock::Duration = clock::Duration::from_secs(4);

/// What OPTIONS to the proxy itself is told.
const OPTIONS_HEADERS: [(&str, &str); 2] = [("Accept", "application/sdp"), ("Supported", "path")];

/// One shard's part in it.
pub struct Relay {
    pub proxy: Proxy,
    pub routes: Routes,
    pub is_redirecting: bool,
    pub auth: Option<Auth>,
    pub paths: Arc<dyn PathFinder>,
    pub pending: Table,
    pub forwarded_count: u64,
    calls: CallCounts,
    /// ACKs that belong to no dialog of ours.
    stray_acks_count: u64,
    trusted: Arc<[Network]>,
    destinations: Destinations,
    /// Where the message came from that is handled now.
    source: SocketAddr,
}

impl Relay {
    pub fn new(config: ProxyConfig, seed: u64, shard: usize, plan: &RelayPlan, auth: Option<Auth>) -> Self {
        Self {
            proxy: Proxy::new(config, seed),
            routes: plan.routes.clone(),
            is_redirecting: plan.is_redirecting,
            auth,
            paths: plan.paths.clone(),
            pending: Table::new(shard, plan.lookups.clone()),
            forwarded_count: 0,
            calls: CallCounts::default(),
            stray_acks_count: 0,
            trusted: plan.trusted.clone(),
            destinations: plan.destinations,
            source: SocketAddr::from(([0; 4], 0)),
        }
    }

    /// Takes what the proxy hands up, until there is nothing left.
    pub fn take_events(&mut self, now: Instant, out: &mut ProxyOutput, refused: &mut Refusals) {
        while let Some(event) = out.next_event() {
            match event {
                ProxyEvent::Request { request, message, next_hop, standing, flow, is_for_us } => {
                    let message = out.bytes(message).to_vec();
                    let next_hop = out.bytes(next_hop).to_vec();
                    let asked = Asked { request, message: &message, next_hop: &next_hop, standing, flow, is_for_us };
                    self.decide(now, &asked, out);
                }
                ProxyEvent::Stateless { message, next_hop, standing, flow, is_for_us } => {
                    let (message, next_hop) = (out.bytes(message).to_vec(), out.bytes(next_hop).to_vec());
                    match standing {
                        Standing::InDialog { .. } => self.pass_on(message, &next_hop, flow, out),
                        // An ACK cannot be asked who it is, so none goes by the routes of users.
                        _ if is_for_us && self.auth.is_none() => self.pass_by_routes(&message, out),
                        _ => self.stray_acks_count += 1,
                    }
                }
                ProxyEvent::Redirected { request, redirect, message } => {
                    let message = out.bytes(message).to_vec();
                    self.follow(now, request, redirect, &message, out);
                }
                ProxyEvent::Finished { request, status } => {
                    self.count_call(request, status);
                    if status >= 300 {
                        self.note(now, request, status, refused);
                    }
                }
                ProxyEvent::SourceFull { source } => tracing::warn!(
                    %source,
                    "this source has a quarter of the proxy's table in progress: its further requests get 503 until some are \
                     answered; [limits] trusted_sources lifts that limit"
                ),
                ProxyEvent::Cancelled { .. } => {}
            }
        }
    }

    /// Nothing new begins from now on; see [`Proxy::stop`].
    pub fn stop(&mut self, now: Instant, out: &mut ProxyOutput) {
        self.proxy.stop(now, now + STOP_PATIENCE, out);
    }

    /// Answers everything that is still open; see [`Proxy::end`].
    pub fn end(&mut self, now: Instant, out: &mut ProxyOutput) {
        self.proxy.end(now, out);
    }

    /// Whether something is still to pass after a [`stop`](Self::stop).
    pub fn is_busy(&mut self) -> bool {
        self.proxy.unanswered_count() > 0 || self.proxy.awaits_acks() || self.pending.has_acks()
    }

    /// Counts the outcome of a call that was being set up. A challenge and a redirect server's redirection are steps of it.
    fn count_call(&mut self, request: ProxyId, status: u16) {
        let Some(story) = self.proxy.story(request).filter(|story| story.is_invite && story.is_new) else { return };
        match status {
            ..300 => self.calls.answered += 1,
            401 | 407 => {}
            300..=399 if self.is_redirecting => {}
            _ if story.answered_by == AnsweredBy::Caller => self.calls.cancelled += 1,
            _ => self.calls.refused += 1,
        }
    }

    /// Writes down what became of an INVITE that was refused. A redirect server's redirection is what it is there for.
    fn note(&self, now: Instant, request: ProxyId, status: u16, refused: &mut Refusals) {
        let Some(story) = self.proxy.story(request).filter(|story| story.is_invite) else { return };
        if self.is_redirecting && status < 400 {
            return;
        }
        let origin = match story.answered_by {
            AnsweredBy::Target => EndOrigin::Called,
            AnsweredBy::Proxy => EndOrigin::Here,
            AnsweredBy::Caller => EndOrigin::Peer,
            AnsweredBy::TimeOut => EndOrigin::TimeOut,
            AnsweredBy::Network => EndOrigin::Network,
        };
        let mut more = String::new();
        if let Ok(uri) = Message::parse(story.request).and_then(|message| message.request_uri()) {
            let found = self.routes.ways_of(&Called::of(&uri));
            log::put(&mut more, "route", found.as_ref().map_or("", |(route, _)| route));
        }
        let one = |(uri, flow): &(&[u8], Flow)| {
            let transport = flow.transport.via_name().to_ascii_lowercase();
            format!("{} by {transport}:{}", String::from_utf8_lossy(uri), flow.remote)
        };
        let tried: Vec<String> = story.tried.iter().take(TRIED_SHOWN).map(one).collect();
        log::put_list(&mut more, "tried", &tried);
        let _ = write!(more, " after={:.3}s", now.since(story.began_at).as_secs_f64());
        refused.note_proxied(&Proxied {
            status,
            origin,
            remote: story.remote,
            request: story.request,
            answer: story.response,
            more,
        });
    }

    /// Takes a message.
    pub fn receive(&mut self, now: Instant, flow: &Flow, message: &Message<'_>, out: &mut ProxyOutput) {
        self.source = flow.remote;
        self.proxy.receive_parsed(now, flow, message, out);
    }

    fn decide(&mut self, now: Instant, asked: &Asked<'_>, out: &mut ProxyOutput) {
        let request = asked.request;
        let Ok(message) = Message::parse(asked.message) else { return self.reject(now, request, 400, out) };
        let Ok(uri) = message.request_uri() else { return self.reject(now, request, 400, out) };
        if asked.is_for_us && auth::is_ping(&message) {
            let _ = self.proxy.reject(now, request, &Answer::with(200, Content::headers(&OPTIONS_HEADERS)), out);
            return;
        }
        if !self.admits(now, asked, &message, out) {
            return;
        }
        match asked.standing {
            Standing::InDialog { .. } if self.is_redirecting => self.reject(now, request, 481, out),
            Standing::InDialog { .. } => self.go_on(now, request, asked, out),
            // What can only be part of a dialog begins nothing that could be sent elsewhere.
            Standing::New if self.is_redirecting && is_of_dialog(&message) => self.reject(now, request, 481, out),
            Standing::New => self.by_routes(now, request, &uri, out),
            // A Route to elsewhere in front of a new request: its sender wants to reach others by our address.
            Standing::Prerouted => self.reject(now, request, 403, out),
            // Its sender knows no route set: the called user is still one of ours (RFC 3261 §16.5). Elsewhere nothing goes.
            Standing::Unproven if asked.is_for_us && !self.is_redirecting => self.by_routes(now, request, &uri, out),
            Standing::Unproven => self.reject(now, request, 481, out),
        }
    }

    fn reject(&mut self, now: Instant, request: ProxyId, status: u16, out: &mut ProxyOutput) {
        let _ = self.proxy.reject(now, request, &Answer::of(status), out);
    }

    /// New requests go by the routes.
    fn by_routes(&mut self, now: Instant, request: ProxyId, uri: &Uri<'_>, out: &mut ProxyOutput) {
        let Some(ways) = self.routes.ways(&Called::of(uri)) else {
            return self.reject(now, request, 404, out);
        };
        self.forwarded_count += 1;
        if self.is_redirecting {
            let contacts = contacts::of_groups(&ways);
            let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
            let _ = self.proxy.redirect(now, request, (302, &contacts), out);
            return;
        }
        let mut targets = Vec::new();
        for way in &ways {
            let Some((flow, alternates)) = way.paths.split_first() else { continue };
            targets.push(Target { flow: *flow, alternates, uri: Some(&way.uri), route: None, group: way.group });
        }
        if targets.is_empty() {
            return self.reject(now, request, 503, out);
        }
        self.forward(now, request, &targets, out);
    }

    fn forward(&mut self, now: Instant, request: ProxyId, targets: &[Target<'_>], out: &mut ProxyOutput) {
        if let Err(refused) = self.proxy.forward(now, request, targets, out) {
            tracing::debug!("not forwarded: {refused}");
            self.reject(now, request, 500, out);
        }
    }

    /// What belongs to a dialog goes where its route set and its target say.
    fn go_on(&mut self, now: Instant, request: ProxyId, asked: &Asked<'_>, out: &mut ProxyOutput) {
        if let Some(flow) = asked.flow {
            return self.forward(now, request, &[Target::unchanged(flow)], out);
        }
        let next_hop = String::from_utf8_lossy(asked.next_hop).into_owned();
        match self.paths.find_now(&next_hop) {
            Some(paths) => self.go_by(now, request, &paths, out),
            None if self.pending.ask(Pending::Request(request), vec![next_hop], self.source.ip()) => {}
            None => self.reject(now, request, 503, out),
        }
    }

    fn go_by(&mut self, now: Instant, request: ProxyId, paths: &[Flow], out: &mut ProxyOutput) {
        match paths.split_first() {
            Some((flow, alternates)) => {
                self.forward(now, request, &[Target { alternates, ..Target::unchanged(*flow) }], out);
            }
            // RFC 3263 §4: as if the next hop had not answered.
            None => self.reject(now, request, 404, out),
        }
    }

    /// An ACK for a 2xx.
    fn pass_on(&mut self, message: Vec<u8>, next_hop: &[u8], flow: Option<Flow>, out: &mut ProxyOutput) {
        if self.is_redirecting {
            return;
        }
        let next_hop = String::from_utf8_lossy(next_hop).into_owned();
        match flow.map(|flow| vec![flow]).or_else(|| self.paths.find_now(&next_hop)) {
            Some(paths) => self.pass_by(&message, &paths, out),
            // With too many waiting it is dropped; its sender repeats it.
            None => drop(self.pending.ask(Pending::Stateless(message), vec![next_hop], self.source.ip())),
        }
    }

    fn pass_by(&mut self, message: &[u8], paths: &[Flow], out: &mut ProxyOutput) {
        if let Some(flow) = paths.first() {
            let _ = self.proxy.forward_stateless(message, &Target::unchanged(*flow), out);
        }
    }

    /// The same from a sender that knows no route set.
    fn pass_by_routes(&mut self, message: &[u8], out: &mut ProxyOutput) {
        let Ok(parsed) = Message::parse(message) else { return };
        let Ok(uri) = parsed.request_uri() else { return };
        let ways = self.routes.ways(&Called::of(&uri)).unwrap_or_default();
        let way = ways.iter().find_map(|way| Some((way, way.paths.first()?)));
        if let Some((way, flow)) = way.filter(|_| !self.is_redirecting) {
            let target = Target { uri: Some(&way.uri), ..Target::unchanged(*flow) };
            let _ = self.proxy.forward_stateless(message, &target, out);
        }
    }

    /// Paths that were asked for.
    pub fn found(&mut self, now: Instant, found: &Found, out: &mut ProxyOutput, refused: &mut Refusals) {
        let first = || found.paths.first().map_or(&[][..], Vec::as_slice);
        match self.pending.take(found.ticket) {
            Some(Pending::Request(request)) => self.go_by(now, request, first(), out),
            Some(Pending::Stateless(message)) => self.pass_by(&message, first(), out),
            Some(Pending::Redirect { request, redirect, mut contacts }) => {
                for (contact, paths) in contacts.iter_mut().zip(&found.paths) {
                    contact.paths.get_or_insert_with(|| self.allowed(paths.clone()));
                }
                self.follow_by(now, request, redirect, &contacts, out);
            }
            None => {}
        }
        self.take_events(now, out, refused);
    }

    /// What its proxy has counted, with the ACKs that it dropped.
    pub fn counters(&self) -> sip_core::Counters {
        let counters = self.proxy.counters();
        sip_core::Counters { stray_acks: counters.stray_acks + self.stray_acks_count, ..counters }
    }

    /// Sets the counters that a proxy alone has, and where it `has_calls` those of calls.
    pub fn count(&self, counts: &mut Counts<SignalCounter>, has_calls: bool) {
        use SignalCounter::*;
        let (sip, sizes) = (self.proxy.counters(), self.proxy.sizes());
        counts.set(BranchesOpen, sizes.branches as u64);
        counts.set(Forwarded, self.forwarded_count);
        if has_calls {
            counts.set(RefusedStopping, sip.refused_stopping);
            counts.set(CallsPlaced, sip.invites_sent);
            counts.set(CallsAnswered, self.calls.answered);
            counts.set(CallsCancelled, self.calls.cancelled);
            counts.set(CallsRefused, self.calls.refused);
        }
    }
}

/// Methods that stand in a dialog only.
fn is_of_dialog(request: &Message<'_>) -> bool {
    let is_one =
        |method| matches!(method, Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Notify);
    request.method().is_some_and(is_one)
}

/// Outcomes of calls that went through the proxy.
#[derive(Clone, Copy, Default)]
struct CallCounts {
    answered: u64,
    cancelled: u64,
    refused: u64,
}

/// A request that wants to be sent on.
struct Asked<'a> {
    request: ProxyId,
    message: &'a [u8],
    next_hop: &'a [u8],
    standing: Standing,
    flow: Option<Flow>,
    is_for_us: bool,
}

/// What the relays of all shards have in common.
#[derive(Clone)]
pub struct RelayPlan {
    pub routes: Routes,
    pub is_redirecting: bool,
    pub paths: Arc<dyn PathFinder>,
    pub lookups: Arc<dyn Lookups>,
    /// Our addresses as `host:port`, and our names.
    pub names: Vec<String>,
    /// The key of the proofs in our Record-Route.
    pub route_secret: [u8; 32],
    /// Peers whose word about identities counts.
    pub trusted: Arc<[Network]>,
    /// Where a target may send requests on to.
    pub destinations: Destinations,
}
