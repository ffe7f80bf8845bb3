//! One shard: the calls that fall on it, from datagrams to datagrams. It has no socket, clock or thread;
//! whatever runs it hands in time, datagrams and media events, and carries out what comes out.

pub(crate) mod idle_work;
pub(crate) mod inbox;
pub(crate) mod intake;
pub(crate) mod io;
pub(crate) mod shard_config;
pub(crate) mod sharding;
mod sip;
pub(crate) mod stateless;
pub(crate) mod thread;
pub(crate) mod turn_rate;

use crate::CallHandler;
use crate::auth::{Auth, Authenticated};
use crate::log::{Refusals, status_of};
use crate::operator::report::{self, CallRow};
use crate::orders::{Order, OrderTurn};
use crate::paths::Paths;
use crate::paths::lookups::{Found, Lookups, Questions};
use crate::paths::next_hops::NextHops;
use crate::proxy::Relay;
use crate::shard::io::{Input, ShardOutput};
use crate::shard::sip::Wired;
use clock::Instant;
use config::Config;
use session::{EndReason, Path, Ports, Sessions, Sources, Standing, Turn, UserLimit};
use shm::Region;
use sip_core::auth::Scope;
use sip_core::{Endpoint, EndpointConfig, Flow, NewCalls, Output};
use sip_wire::Message;
use stats::{Counts, SignalCounter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One shard.
pub struct Shard {
    endpoint: Endpoint,
    sessions: Sessions,
    user: Box<dyn CallHandler>,
    paths: Option<Paths>,
    questions: Option<Questions>,
    next_hops: NextHops,
    advertised: Option<IpAddr>,
    path: Path,
    auth: Option<Auth>,
    relay: Option<Relay>,
    /// Sources whose calls may wait without a limit.
    trusted: Vec<config::Network>,
}

impl Shard {
    /// One of `shard_count` shards of a switch, with a number below that. No two shards may have the same seed.
    pub fn new(config: &Config, number: usize, shard_count: usize, seed: u64, mut user: Box<dyn CallHandler>) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let mut settled = EndpointConfig { mark: number as u8, ..shard_config::endpoint_config(config, shard_count) };
        settled.allow.extend(user.methods());
        let mut endpoint = Endpoint::new(settled, seed);
        let mut sessions = Sessions::new(shard_config::settings(config, shard_count, seed.rotate_left(32)));
        // One whose texts cannot stand in a message answers nobody.
        sessions.use_account(user.account().and_then(|account| endpoint.add_account(account).ok()));
        Self {
            endpoint,
            sessions,
            user,
            paths: None,
            questions: None,
            next_hops: NextHops::default(),
            advertised: config.sip.advertised_address,
            path: Path {
                local: nowhere,
                remote: SocketAddr::new(nowhere, 0),
                is_ours: false,
                standing: Standing::Unproven,
            },
            auth: None,
            relay: None,
            trusted: config.limits.trusted_sources.clone(),
        }
    }

    /// Whose callers have to prove who they are.
    pub(crate) fn authenticated(self, auth: Option<Auth>) -> Self {
        let user: Box<dyn CallHandler> = match &auth {
            Some(auth) => Box::new(Authenticated { user: self.user, auth: auth.clone() }),
            None => self.user,
        };
        Self { auth, user, ..self }
    }

    /// Whose calls may go to names.
    pub(crate) fn asking(self, number: usize, lookups: Lookups) -> Self {
        Self { questions: Some(Questions::new(number, lookups)), ..self }
    }

    /// Which takes no calls, but sends requests on.
    pub(crate) fn relaying(self, relay: Option<Relay>) -> Self {
        Self { relay, ..self }
    }

    /// Takes one thing, and adds what follows from it to `out`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, ports: &mut dyn Ports, out: &mut ShardOutput) {
        if self.relay.is_some() {
            return self.relay(now, input, out);
        }
        match input {
            Input::Message { flow, bytes } if self.challenge(now, &flow, bytes, &mut out.sip, &mut out.refused) => {}
            Input::Message { flow, bytes } => self.receive(now, flow, bytes, false, out),
            Input::Ours { flow, bytes } => self.receive(now, flow, bytes, true, out),
            // Every connection that closes is told of, and most carried no request of ours.
            Input::Broken(_) if self.endpoint.sizes().client_transactions == 0 => {}
            Input::Broken(flow) => self.endpoint.transport_failed(now, &flow, &mut out.sip),
            Input::Unreachable { flow, quoted } => self.endpoint.unreachable(now, &flow, quoted, &mut out.sip),
            Input::Media(event) => self.turn(now, ports, out, |sessions, turn| sessions.handle_media(turn, event)),
            Input::MediaLost => self.turn(now, ports, out, |sessions, turn| {
                sessions.counts.add(SignalCounter::MediaPlaneLost, 1);
                sessions.media_lost(turn);
            }),
            Input::Deadline => {
                self.endpoint.wake(now, &mut out.sip);
                self.turn(now, ports, out, |sessions, turn| sessions.handle_deadline(turn));
            }
            Input::Stop => self.turn(now, ports, out, |sessions, turn| sessions.stop(turn, EndReason::Shutdown)),
            Input::Found(found) => self.found(now, found, ports, out),
        }
        self.take_events(now, ports, out);
    }

    fn found(&mut self, now: Instant, found: &Found, ports: &mut dyn Ports, out: &mut ShardOutput) {
        if let Some(questions) = &mut self.questions {
            questions.answered();
        }
        if let Some(dialog) = self.next_hops.found(found.ticket) {
            let path = found.paths.first().and_then(|paths| paths.first()).copied();
            return self.endpoint.set_path(now, dialog, path, &mut out.sip);
        }
        self.turn(now, ports, out, |sessions, turn| sessions.found(turn, found.ticket, &found.paths));
    }

    fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8], is_ours: bool, out: &mut ShardOutput) {
        let standing = self.standing(now, &flow, bytes, is_ours);
        self.path = Path { local: self.advertised.unwrap_or(flow.local.ip()), remote: flow.remote, is_ours, standing };
        self.endpoint.answer_options(Some(if self.sessions.is_full() { 486 } else { 200 }));
        let (mark, copies) = (out.sip.transmits.len(), self.endpoint.counters().retransmissions);
        self.endpoint.receive(now, &flow, bytes, &mut out.sip);
        if self.endpoint.counters().retransmissions == copies {
            note_refusal(&mut out.refused, &out.sip, mark, &flow, bytes);
        }
    }

    /// What the source of a new call has shown; one that has enough of them waiting is refused without any state.
    fn standing(&mut self, now: Instant, flow: &Flow, bytes: &[u8], is_ours: bool) -> Standing {
        if is_ours || !bytes.starts_with(b"INVITE ") {
            return Standing::Proven;
        }
        let source = flow.remote.ip();
        let mut standing = if self.endpoint.is_proven(now, flow) { Standing::Proven } else { Standing::Unproven };
        let mut has_room = self.sessions.has_room_for(source, standing);
        let is_trusted =
            || self.trusted.iter().any(|network| network.contains(source)) || self.user.trusts(flow.remote);
        if !has_room && is_trusted() {
            (standing, has_room) = (Standing::Trusted, true);
        }
        self.endpoint.take_calls(if has_room { NewCalls::Taken } else { NewCalls::Refused });
        standing
    }

    /// The same between peers.
    fn relay(&mut self, now: Instant, input: Input<'_>, out: &mut ShardOutput) {
        let (out, refused) = (&mut out.proxied, &mut out.refused);
        if let (Input::Message { flow, bytes }, Some(auth), Some(relay)) = (input, &self.auth, &self.relay)
            && !relay.proxy.is_stopping()
            && challenge(auth, now, &flow, bytes, |message| relay.scope(&flow, message), out, refused)
        {
            return self.sessions.counts.add(SignalCounter::Challenges, 1);
        }
        let Some(relay) = &mut self.relay else { return };
        match input {
            Input::Message { flow, bytes } | Input::Ours { flow, bytes } => {
                let (mark, copies) = (out.transmits.len(), relay.proxy.counters().retransmissions);
                if bytes.starts_with(b"INVITE ") && self.trusted.iter().any(|one| one.contains(flow.remote.ip())) {
                    relay.proxy.trust(now, &flow);
                }
                relay.receive(now, &flow, bytes, out);
                if relay.proxy.counters().retransmissions == copies {
                    note_refusal(refused, out, mark, &flow, bytes);
                }
            }
            Input::Broken(flow) if relay.proxy.sizes().branches > 0 => relay.proxy.transport_failed(now, &flow, out),
            Input::Unreachable { flow, quoted } => relay.proxy.unreachable(now, &flow, quoted, out),
            Input::Found(found) => relay.found(now, found, out, refused),
            Input::Deadline => relay.proxy.wake(now, out),
            Input::Stop => relay.stop(now, out),
            Input::Broken(_) | Input::Media(_) | Input::MediaLost => {}
        }
        relay.take_events(now, out, refused);
    }

    /// Asks a caller for credentials where there are none, without any state.
    fn challenge(&mut self, now: Instant, flow: &Flow, bytes: &[u8], out: &mut Output, refused: &mut Refusals) -> bool {
        let Some(auth) = &self.auth else { return false };
        let is_asked = challenge(auth, now, flow, bytes, |_| Some(Scope::Methods), out, refused);
        self.sessions.counts.add(SignalCounter::Challenges, is_asked.into());
        is_asked
    }

    fn take_events(&mut self, now: Instant, ports: &mut dyn Ports, out: &mut ShardOutput) {
        while let Some(event) = out.sip.next_event() {
            if let sip_core::Event::PathWanted { dialog } = event {
                self.next_hops.find(now, dialog, &mut self.endpoint, self.paths.as_ref(), &mut self.questions, out);
                continue;
            }
            self.turn(now, ports, out, |sessions, turn| sessions.handle(turn, event));
        }
    }

    /// Which knows where it can be reached.
    pub(crate) fn with_paths(self, paths: Paths) -> Self {
        Self { paths: Some(paths), ..self }
    }

    /// With a limit of each user's calls that all shards share.
    pub(crate) fn limited(mut self, limit: Option<UserLimit>) -> Self {
        self.sessions.limit_users(limit);
        self
    }

    /// With limits of each source's calls that all shards share.
    pub(crate) fn shared(mut self, sources: Sources) -> Self {
        self.sessions.limit_sources(Some(sources));
        self
    }

    /// Carries out an order of the program.
    pub(crate) fn obey(
        &mut self,
        now: Instant,
        order: Order,
        media: Option<(Region, shm::ClientIndex)>,
        ports: &mut dyn Ports,
        out: &mut ShardOutput,
    ) {
        let (region, client) = media.unzip();
        let sizes = self.endpoint.sizes();
        self.turn(now, ports, out, |sessions, turn| order(OrderTurn { sessions, turn, region, client, sizes }));
        self.take_events(now, ports, out);
    }

    /// Tells the user what happened since the output was emptied.
    pub(crate) fn tell_user(&mut self, out: &ShardOutput) {
        if !out.events.is_empty() {
            self.user.events(&self.sessions, &out.events);
        }
    }

    /// When to hand in [`Input::Deadline`]; it may turn out that nothing was due.
    pub fn deadline(&self) -> Option<Instant> {
        let relay = self.relay.as_ref().and_then(|relay| relay.proxy.deadline());
        self.endpoint.deadline().into_iter().chain(self.sessions.deadline()).chain(relay).min()
    }

    /// Its calls.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What has to end before the shard can: its calls, and requests that its proxy has not answered.
    pub(crate) fn open_count(&self) -> usize {
        self.sessions.count() + self.relay.as_ref().map_or(0, |relay| relay.proxy.unanswered_count())
    }

    /// Its calls as operators see them.
    pub(crate) fn call_rows(&self, now: Instant, number: usize) -> Vec<CallRow> {
        let mut rows = report::calls(now, number, &self.sessions);
        if let Some(relay) = &self.relay {
            rows.extend(relay.call_rows(now, number));
        }
        rows
    }

    /// Levels of its SIP tables.
    pub fn sizes(&self) -> sip_core::Sizes {
        let mut sizes = self.endpoint.sizes();
        if let Some(relay) = &self.relay {
            let proxy = relay.proxy.sizes();
            (sizes.server_transactions, sizes.client_transactions) = (proxy.requests, proxy.branches);
        }
        sizes
    }

    /// What it has counted by now.
    pub fn counts(&mut self) -> &mut Counts<SignalCounter> {
        use SignalCounter::*;
        let (sip, active) = (self.endpoint.counters(), self.sessions.count() as u64);
        let transactions = self.endpoint.sizes().server_transactions as u64;
        let counts = &mut self.sessions.counts;
        counts.set(CallsActive, active);
        counts.set(MessagesReceived, sip.received);
        counts.set(DroppedMalformed, sip.malformed);
        counts.set(Retransmissions, sip.retransmissions);
        counts.set(RefusedByProtocol, sip.refused);
        counts.set(RefusedTableFull, sip.overloaded);
        counts.set(RefusedSourceLimit, sip.source_limited);
        counts.set(Stray, sip.stray_responses + sip.stray_acks);
        counts.set(MaddrNotFollowed, sip.foreign_maddr);
        counts.set(Unreachable, sip.unreachable);
        counts.set(UnreachableIgnored, sip.unreachable_ignored);
        counts.set(AnswersUnusable, sip.unusable_answers);
        counts.set(TransactionsOpen, transactions);
        if let Some(relay) = &self.relay {
            relay.count(counts);
        }
        if let Some(auth) = &self.auth {
            auth.count(counts);
        }
        counts
    }

    fn turn(
        &mut self,
        now: Instant,
        ports: &mut dyn Ports,
        out: &mut ShardOutput,
        work: impl FnOnce(&mut Sessions, &mut Turn<'_>),
    ) {
        let mut turn = Turn {
            now,
            path: self.path,
            sip: &mut Wired {
                endpoint: &mut self.endpoint,
                paths: self.paths.as_ref(),
                questions: self.questions.as_mut(),
                out: &mut out.sip,
            },
            ports,
            decide: &mut *self.user,
            commands: &mut out.commands,
            events: &mut out.events,
        };
        work(&mut self.sessions, &mut turn);
    }
}

/// Notes that an INVITE was refused by the rules of the protocol, if one of the messages from `mark` on says so. 491 is a
/// step of changes that cross, and no refusal.
fn note_refusal<E: Copy>(refused: &mut Refusals, out: &Output<E>, mark: usize, flow: &Flow, request: &[u8]) {
    if !request.starts_with(b"INVITE ") {
        return;
    }
    let new = out.transmits.get(mark..).unwrap_or_default();
    let answer = new.iter().map(|sent| out.bytes(sent.bytes)).find(|bytes| status_of(bytes) >= 300);
    if let Some(answer) = answer.filter(|answer| status_of(answer) != 491) {
        refused.note(flow, request, answer);
    }
}

/// Writes the challenge that a request gets which has no credentials and needs some.
fn challenge<E: Copy>(
    auth: &Auth,
    now: Instant,
    flow: &Flow,
    bytes: &[u8],
    scope: impl FnOnce(&Message<'_>) -> Option<Scope>,
    out: &mut Output<E>,
    refused: &mut Refusals,
) -> bool {
    let mut answer = Vec::new();
    let Some(way) = stateless::challenge(auth, now, flow, bytes, scope, &mut answer) else { return false };
    out.send_message(way, &answer);
    if bytes.starts_with(b"INVITE ") {
        refused.note(flow, bytes, &answer);
    }
    true
}
