//! One shard: the calls that fall on it, from datagrams to datagrams. It has no socket, clock or thread;
//! whatever runs it hands in time, datagrams and media events, and carries out what comes out.

pub mod chooser;
mod host;
pub mod io;
mod refusing;
pub mod shard_config;
mod standing;

use crate::CallHandler;
use crate::auth::{Auth, Authenticated};
use crate::call_row::{self, CallNames, CallRow};
use crate::names::next_hops::NextHops;
use crate::names::{Found, Lookups, PathFinder, Questions, is_of_proxy};
use crate::proxy::{HungUp, Relay};
use crate::shard::host::ShardHost;
use crate::shard::io::{Arrival, Input, ShardOutput};
use crate::shard::refusing::{challenge, note_refusal};
use chooser::{Chooser, User};
use clock::Instant;
use config::Config;
use session::{EndReason, EndpointSip, Path, Ports, Sessions, Sources, Standing, Turn, UserLimit};
use sip_core::auth::Scope;
use sip_core::{Endpoint, EndpointConfig, Flow};
use sip_wire::Message;
use stats::{Counts, SignalCounter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// One shard.
pub struct Shard {
    endpoint: Endpoint,
    sessions: Sessions,
    user: Box<dyn CallHandler>,
    paths: Option<Arc<dyn PathFinder>>,
    questions: Option<Questions>,
    next_hops: NextHops,
    advertised: Option<IpAddr>,
    path: Path,
    auth: Option<Auth>,
    relay: Option<Relay>,
    chooser: Chooser,
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
            chooser: Chooser::only(User::Agent),
            trusted: config.limits.trusted_sources.clone(),
        }
    }

    /// Whose callers have to prove who they are.
    pub fn authenticated(self, auth: Option<Auth>) -> Self {
        let user: Box<dyn CallHandler> = match &auth {
            Some(auth) => Box::new(Authenticated { user: self.user, auth: auth.clone() }),
            None => self.user,
        };
        Self { auth, user, ..self }
    }

    /// Whose calls may go to names.
    pub fn asking(self, number: usize, lookups: Arc<dyn Lookups>) -> Self {
        Self { questions: Some(Questions::new(number, lookups)), ..self }
    }

    /// With a proxy beside the user agent, or in its place.
    pub fn relaying(self, relay: Option<Relay>, chooser: Chooser) -> Self {
        Self { relay, chooser, ..self }
    }

    /// Takes one thing, and adds what follows from it to `out`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, ports: &mut dyn Ports, out: &mut ShardOutput) {
        match input {
            Input::Message { flow, bytes } => self.receive(&Arrival { now, flow, is_ours: false }, bytes, out),
            Input::Ours { flow, bytes } => self.receive(&Arrival { now, flow, is_ours: true }, bytes, out),
            Input::Broken(flow) => self.broken(now, &flow, out),
            Input::Unreachable { flow, quoted } => {
                if self.chooser.usual() == User::Agent {
                    self.endpoint.unreachable(now, &flow, quoted, &mut out.sip);
                }
                if let Some(relay) = &mut self.relay {
                    relay.proxy.unreachable(now, &flow, quoted, &mut out.proxied);
                }
            }
            Input::Media(event) => self.turn(now, ports, out, |sessions, turn| sessions.handle_media(turn, event)),
            Input::MediaLost => self.turn(now, ports, out, |sessions, turn| {
                sessions.counts.add(SignalCounter::MediaPlaneLost, 1);
                sessions.media_lost(turn);
            }),
            Input::Deadline => {
                self.endpoint.wake(now, &mut out.sip);
                if let Some(relay) = &mut self.relay {
                    relay.proxy.wake(now, &mut out.proxied);
                }
                self.turn(now, ports, out, |sessions, turn| sessions.handle_deadline(turn));
            }
            Input::Stop => {
                if let Some(relay) = &mut self.relay {
                    relay.stop(now, &mut out.proxied);
                }
                self.turn(now, ports, out, |sessions, turn| sessions.stop(turn, EndReason::Shutdown));
            }
            Input::End => {
                if let Some(relay) = &mut self.relay {
                    relay.end(now, &mut out.proxied);
                }
            }
            Input::Found(found) => self.found(now, found, ports, out),
        }
        self.take_events(now, ports, out);
        if let Some(relay) = &mut self.relay {
            relay.take_events(now, &mut out.proxied, &mut out.refused);
        }
    }

    /// Every connection that closes is told of, and most carried no request of ours.
    fn broken(&mut self, now: Instant, flow: &Flow, out: &mut ShardOutput) {
        if self.endpoint.sizes().client_transactions > 0 {
            self.endpoint.transport_failed(now, flow, &mut out.sip);
        }
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.proxy.sizes().branches > 0) {
            relay.proxy.transport_failed(now, flow, &mut out.proxied);
        }
    }

    fn found(&mut self, now: Instant, found: &Found, ports: &mut dyn Ports, out: &mut ShardOutput) {
        if let Some(relay) = self.relay.as_mut().filter(|_| is_of_proxy(found.ticket)) {
            return relay.found(now, found, &mut out.proxied, &mut out.refused);
        }
        if let Some(questions) = &mut self.questions {
            questions.answered();
        }
        if let Some(dialog) = self.next_hops.found(found.ticket) {
            let path = found.paths.first().and_then(|paths| paths.first()).copied();
            return self.endpoint.set_path(now, dialog, path, &mut out.sip);
        }
        self.turn(now, ports, out, |sessions, turn| sessions.found(turn, found.ticket, &found.paths));
    }

    /// A message, for the transaction user that it is for.
    fn receive(&mut self, arrival: &Arrival, bytes: &[u8], out: &mut ShardOutput) {
        let Ok(message) = Message::parse(bytes) else {
            // Its user counts it.
            return match &mut self.relay {
                Some(relay) if self.chooser.usual() == User::Proxy => {
                    relay.proxy.receive(arrival.now, &arrival.flow, bytes, &mut out.proxied);
                }
                _ => self.endpoint.receive(arrival.now, &arrival.flow, bytes, &mut out.sip),
            };
        };
        let choose = |relay: &Relay| self.chooser.choose(&arrival.flow, &message, &self.endpoint, relay);
        match self.relay.as_ref().map_or(User::Agent, choose) {
            User::Agent => self.receive_for_agent(arrival, &message, out),
            User::Proxy => self.receive_for_proxy(arrival, &message, out),
        }
    }

    fn receive_for_agent(&mut self, arrival: &Arrival, message: &Message<'_>, out: &mut ShardOutput) {
        let Arrival { now, flow, is_ours } = *arrival;
        if !is_ours
            && let Some(auth) = &self.auth
            && challenge(auth, arrival, message, || Some(Scope::Methods), (&mut out.sip, &mut out.refused))
        {
            return self.sessions.counts.add(SignalCounter::Challenges, 1);
        }
        let standing = self.standing(arrival, message);
        self.path = Path { local: self.advertised.unwrap_or(flow.local.ip()), remote: flow.remote, is_ours, standing };
        self.endpoint.answer_options(Some(if self.sessions.is_full() { 486 } else { 200 }));
        let (mark, copies) = (out.sip.transmits.len(), self.endpoint.counters().retransmissions);
        self.endpoint.receive_parsed(now, &flow, message, &mut out.sip);
        if self.endpoint.counters().retransmissions == copies {
            note_refusal(&mut out.refused, &out.sip, mark, &flow, message);
        }
    }

    fn receive_for_proxy(&mut self, arrival: &Arrival, message: &Message<'_>, out: &mut ShardOutput) {
        let Arrival { now, flow, is_ours } = *arrival;
        let Some(relay) = &mut self.relay else { return };
        let (out, refused) = (&mut out.proxied, &mut out.refused);
        let is_asked = !is_ours && !relay.proxy.is_stopping();
        if let Some(auth) = relay.auth.as_ref().filter(|_| is_asked)
            && challenge(auth, arrival, message, || relay.scope(&flow, message), (out, refused))
        {
            return self.sessions.counts.add(SignalCounter::Challenges, 1);
        }
        let (mark, copies) = (out.transmits.len(), relay.proxy.counters().retransmissions);
        if message.is_request() && self.trusted.iter().any(|one| one.contains(flow.remote.ip())) {
            relay.proxy.trust(now, &flow);
        }
        relay.receive(now, &flow, message, out);
        if relay.proxy.counters().retransmissions == copies {
            note_refusal(refused, out, mark, &flow, message);
        }
    }

    fn take_events(&mut self, now: Instant, ports: &mut dyn Ports, out: &mut ShardOutput) {
        while let Some(event) = out.sip.next_event() {
            if let sip_core::Event::PathWanted { dialog } = event {
                let mut host = ShardHost { paths: self.paths.as_deref(), questions: self.questions.as_mut() };
                self.next_hops.find(now, dialog, &mut self.endpoint, &mut host, out);
                continue;
            }
            self.turn(now, ports, out, |sessions, turn| sessions.handle(turn, event));
        }
    }

    /// Which knows where it can be reached.
    pub fn with_paths(self, paths: Arc<dyn PathFinder>) -> Self {
        Self { paths: Some(paths), ..self }
    }

    /// With a limit of each user's calls that all shards share.
    pub fn limited(mut self, limit: Option<UserLimit>) -> Self {
        self.sessions.limit_users(limit);
        self
    }

    /// With limits of each source's calls that all shards share.
    pub fn shared(mut self, sources: Sources) -> Self {
        self.sessions.limit_sources(Some(sources));
        self
    }

    /// Does something with its calls, for the program; adds what follows from it to `out`.
    pub fn work(
        &mut self,
        now: Instant,
        ports: &mut dyn Ports,
        out: &mut ShardOutput,
        work: impl FnOnce(&mut Sessions, &mut Turn<'_>),
    ) {
        self.turn(now, ports, out, work);
        self.take_events(now, ports, out);
    }

    /// Ends calls that its proxy is setting up, as far as a proxy can; adds what follows from it to `out`.
    pub fn hang_up_proxied(
        &mut self,
        now: Instant,
        number: usize,
        is_meant: impl Fn(&CallNames<'_>) -> bool,
        out: &mut ShardOutput,
    ) -> HungUp {
        let Some(relay) = &mut self.relay else { return HungUp::default() };
        let hung_up = relay.hang_up(now, number, is_meant, &mut out.proxied);
        relay.take_events(now, &mut out.proxied, &mut out.refused);
        hung_up
    }

    /// Tells the user what happened since the output was emptied.
    pub fn tell_user(&mut self, out: &ShardOutput) {
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

    /// Whether calls, or requests of its proxy and their ACKs, have to end before the shard can, after [`Input::Stop`].
    pub fn is_busy(&mut self) -> bool {
        self.sessions.count() > 0 || self.relay.as_mut().is_some_and(Relay::is_busy)
    }

    /// Its calls, and requests that its proxy has not answered.
    pub fn open_count(&self) -> usize {
        self.sessions.count() + self.relay.as_ref().map_or(0, |relay| relay.proxy.unanswered_count())
    }

    /// Its calls as operators see them.
    pub fn call_rows(&self, now: Instant, number: usize) -> Vec<CallRow> {
        let mut rows = call_row::calls(now, number, &self.sessions);
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
            sizes.server_transactions += proxy.requests;
            sizes.client_transactions += proxy.branches;
        }
        sizes
    }

    /// What it has counted by now.
    pub fn counts(&mut self) -> &mut Counts<SignalCounter> {
        use SignalCounter::*;
        let (mut sip, mut active) = (self.endpoint.counters(), self.sessions.count() as u64);
        let mut transactions = self.endpoint.sizes().server_transactions as u64;
        let counts = &mut self.sessions.counts;
        if let Some(relay) = &self.relay {
            sip = sip.plus(&relay.counters());
            active += relay.proxy.open_call_count() as u64;
            transactions += relay.proxy.sizes().requests as u64;
            relay.count(counts, self.chooser.usual() == User::Proxy);
        }
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
        let mut host = ShardHost { paths: self.paths.as_deref(), questions: self.questions.as_mut() };
        let mut turn = Turn {
            now,
            path: self.path,
            sip: &mut EndpointSip { endpoint: &mut self.endpoint, out: &mut out.sip, host: &mut host },
            ports,
            decide: &mut *self.user,
            commands: &mut out.commands,
            events: &mut out.events,
        };
        work(&mut self.sessions, &mut turn);
    }
}
