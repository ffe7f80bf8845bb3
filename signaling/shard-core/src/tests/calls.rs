//! Shards that call each other over a network in virtual time: phones, and a switch between them. Everything is real
//! but sockets, media and the clock.

use crate::{CallHandler, Input, Shard, ShardOutput};
use clock::{Duration, Instant};
use config::Config;
use contract::{CloseReason, Command, Event, LegRef, LegSpec, PortRef, Source};
use session::{
    Decide, Decision, Dial, EndReason, Forward, IncomingCall, Operation, Plan, PlannedSource, Port, Ports,
    SessionEvent, SessionId, SessionState, Sessions, Target, Turn,
};
use sip_core::Flow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const SWITCH: usize = 3;
/// Nobody is there.
const NOWHERE: usize = 9;
const PORT_COUNT: u16 = 40;

fn address(node: usize) -> SocketAddr {
    format!("192.0.2.{}:5060", node + 1).parse().unwrap()
}

fn path(from: usize, to: usize) -> Flow {
    Flow::udp(address(from), address(to))
}

/// Phones answer with a tone, let it ring or are busy, by the called user; the switch sends everything on.
struct Policy {
    node: usize,
}

impl Decide for Policy {
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        let on = |targets: &[usize]| {
            let target = |to: &usize| {
                let host = address(*to).ip();
                Target::new(&format!("sip:{}@{host}", call.called_user), path(SWITCH, *to))
            };
            Decision::Forward(Forward::to(targets.iter().map(target).collect()))
        };
        match (self.node, call.called_user) {
            (SWITCH, user) if user.starts_with('c') => on(&[C]),
            (SWITCH, "b-after") => on(&[NOWHERE, B]),
            (SWITCH, "loop") => on(&[SWITCH]),
            (SWITCH, _) => on(&[B]),
            (_, user) if user.ends_with("busy") => Decision::Reject { status: 486, reason: "".into() },
            (_, user) if user.ends_with("rings") => Decision::Defer,
            _ => Decision::Accept(Plan::of(PlannedSource::Tone440)),
        }
    }
}

impl CallHandler for Policy {}

struct TwoWorkers {
    free: VecDeque<u16>,
    out: HashSet<LegRef>,
    lives: u32,
}

impl Ports for TwoWorkers {
    fn take(&mut self) -> Option<Port> {
        self.lives += 1;
        let port = self.free.pop_front()?;
        let (leg, pair) = (LegRef::new(u32::from(port) / 2, self.lives), PortRef::new(port, self.lives));
        self.out.insert(leg);
        Some(Port { leg, pair, worker: (port / 2 % 2) as u8 })
    }
    fn take_on(&mut self, worker: u8) -> Option<Port> {
        let place = self.free.iter().position(|port| (port / 2 % 2) as u8 == worker).unwrap_or(0);
        let port = self.free.remove(place)?;
        self.free.push_front(port);
        self.take()
    }
    fn has_worker(&self, worker: u8) -> bool {
        worker < 2
    }
    fn give_back(&mut self, port: Port) {
        assert!(self.out.remove(&port.leg), "{port:?} was not out");
        self.free.push_back(port.pair.rtp);
    }
}

struct Node {
    shard: Shard,
    ports: TwoWorkers,
    out: ShardOutput,
    events: Vec<SessionEvent>,
    specs: HashMap<LegRef, LegSpec>,
}

struct Net {
    now: Instant,
    nodes: Vec<Node>,
    wire: BTreeMap<(Instant, u64), (usize, Flow, Vec<u8>)>,
    sent_count: u64,
    dice: u64,
    loss_percent: u64,
    /// Nodes whose power is off: nothing leaves them, nothing reaches them.
    dead: HashSet<usize>,
}

impl Net {
    fn new(seed: u64, loss_percent: u64) -> Self {
        Self::with(&Config::default(), seed, loss_percent)
    }

    fn with(config: &Config, seed: u64, loss_percent: u64) -> Self {
        let node = |number: usize| Node {
            shard: Shard::new(config, 0, 1, seed * 100 + number as u64, Box::new(Policy { node: number })),
            ports: TwoWorkers {
                free: (0..PORT_COUNT).map(|index| 10_000 + 2 * index).collect(),
                out: HashSet::new(),
                lives: 0,
            },
            out: ShardOutput::default(),
            events: Vec::new(),
            specs: HashMap::new(),
        };
        let nodes = (0..4).map(node).collect();
        Self {
            now: Instant::ZERO,
            nodes,
            wire: BTreeMap::new(),
            sent_count: 0,
            dice: seed,
            loss_percent,
            dead: HashSet::new(),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn input(&mut self, node: usize, input: Input<'_>) {
        let it = &mut self.nodes[node];
        it.shard.handle(self.now, input, &mut it.ports, &mut it.out);
        self.settle(node);
    }

    /// Messages leave for the network; the media plane does at once what it is asked to.
    fn settle(&mut self, node: usize) {
        loop {
            let it = &mut self.nodes[node];
            let sip = &it.out.sip;
            let sent: Vec<_> =
                sip.transmits.iter().map(|transmit| (transmit.flow, sip.bytes(transmit.bytes).to_vec())).collect();
            it.out.sip.clear();
            it.events.append(&mut it.out.events);
            let commands = std::mem::take(&mut it.out.commands);
            for (flow, bytes) in sent {
                self.send(node, flow, bytes);
            }
            if commands.is_empty() {
                return;
            }
            for (_, command) in commands {
                let it = &mut self.nodes[node];
                let (leg, tag) = (command.leg(), command.number());
                let event = match command {
                    Command::Open { spec, .. } => {
                        it.specs.insert(leg, spec);
                        Event::Opened { leg, number: tag }
                    }
                    Command::Update { update, .. } => {
                        let spec = it.specs[&leg].updated(&update);
                        if let Source::Leg(giver) = spec.flow.source() {
                            assert!(it.specs.contains_key(&giver), "it sends what nobody receives");
                        }
                        it.specs.insert(leg, spec);
                        Event::Updated { leg, number: tag }
                    }
                    Command::Close { .. } => {
                        it.specs.remove(&leg);
                        Event::Closed { leg, number: tag, reason: CloseReason::Asked }
                    }
                    Command::Move { worker, .. } => Event::Moved { leg, number: tag, worker },
                    _ => continue,
                };
                it.shard.handle(self.now, Input::Media(event), &mut it.ports, &mut it.out);
            }
        }
    }

    fn send(&mut self, node: usize, flow: Flow, bytes: Vec<u8>) {
        assert_eq!(flow.local, address(node));
        let Some(to) = (0..self.nodes.len()).find(|to| address(*to) == flow.remote) else { return };
        if self.roll(100) < self.loss_percent || self.dead.contains(&node) || self.dead.contains(&to) {
            return;
        }
        self.sent_count += 1;
        let after = Duration::from_millis(2 + self.roll(if self.loss_percent == 0 { 1 } else { 30 }));
        let arrives = Flow::udp(flow.remote, flow.local);
        self.wire.insert((self.now + after, self.sent_count), (to, arrives, bytes));
    }

    fn run(&mut self, pause: Duration) {
        let until = self.now + pause;
        loop {
            let arrives = self.wire.keys().next().map(|(at, _)| *at);
            let wakes = (0..self.nodes.len()).filter_map(|node| Some((self.nodes[node].shard.deadline()?, node))).min();
            let next = [arrives, wakes.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            if arrives == Some(at) {
                let (_, (to, flow, bytes)) = self.wire.pop_first().expect("it was there a moment ago");
                self.input(to, Input::Message { flow, bytes: &bytes });
            } else if let Some((_, node)) = wakes {
                self.input(node, Input::Deadline);
            }
        }
        self.now = until;
    }

    /// A user of a node does something.
    fn order<R>(&mut self, node: usize, work: impl FnOnce(&mut Sessions, &mut Turn<'_>) -> R) -> R {
        let (it, mut result) = (&mut self.nodes[node], None);
        it.shard.work(self.now, &mut it.ports, &mut it.out, |sessions, turn| result = Some(work(sessions, turn)));
        self.settle(node);
        result.expect("work is done at once")
    }

    fn dial(&mut self, from: usize, to: usize, user: &str) -> SessionId {
        let target = Target::new(&format!("sip:{user}@{}", address(to).ip()), path(from, to));
        let dial = Dial::new(&format!("sip:n{from}@{}", address(from).ip()), target);
        self.order(from, |sessions, turn| sessions.dial(turn, dial)).expect("the call is placed")
    }

    /// The only session of a node, ending ones apart.
    fn only(&self, node: usize) -> SessionId {
        let mut ids = self.ids(node);
        assert_eq!(ids.len(), 1, "node {node}");
        ids.remove(0)
    }

    fn ids(&self, node: usize) -> Vec<SessionId> {
        let sessions = self.nodes[node].shard.sessions();
        sessions.iter().filter(|session| !session.state().is_ending()).map(|session| session.id()).collect()
    }

    fn state(&self, node: usize, id: SessionId) -> SessionState {
        self.nodes[node].shard.sessions().get(id).expect("the session lives").state()
    }

    /// The spec of the leg of a session.
    fn spec(&self, node: usize, id: SessionId) -> LegSpec {
        let it = &self.nodes[node];
        it.specs[&it.shard.sessions().get(id).and_then(|session| session.leg()).expect("a leg")]
    }

    fn ends(&self, node: usize) -> Vec<EndReason> {
        let reason = |event: &SessionEvent| match event {
            SessionEvent::Ended { reason, .. } => Some(*reason),
            _ => None,
        };
        self.nodes[node].events.iter().filter_map(reason).collect()
    }

    /// After all transactions have run out nothing is left anywhere.
    fn assert_at_rest(mut self) {
        self.run(Duration::from_secs(400));
        for (number, node) in self.nodes.iter().enumerate() {
            let sizes = node.shard.sizes();
            assert_eq!(node.shard.sessions().count(), 0, "node {number}");
            assert_eq!((sizes.server_transactions, sizes.client_transactions, sizes.dialogs), (0, 0, 0), "{number}");
            assert_eq!((sizes.calls, sizes.subscriptions), (0, 0), "node {number}");
            assert_eq!(node.ports.free.len(), usize::from(PORT_COUNT), "node {number}");
            let health = node.shard.sessions().health(self.now);
            assert_eq!(health, session::Health::default(), "node {number}");
        }
    }
}

const SOON: Duration = Duration::from_millis(300);

#[test]
fn a_call_from_shard_to_shard_with_all_that_is_done_in_it() {
    let mut net = Net::new(1, 0);
    let id = net.dial(A, B, "b");
    net.run(SOON);
    let peer = net.only(B);
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
    assert_eq!(net.spec(A, id).transport.remote_rtp.get().unwrap().ip(), address(B).ip());
    net.order(A, move |sessions, turn| sessions.hold(turn, id, Some(PlannedSource::Silence))).unwrap();
    net.run(SOON);
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::OnHold, SessionState::OnHold));
    assert!(net.nodes[B].events.contains(&SessionEvent::HoldChanged { id: peer, here: false, there: true }));
    // Both at the same time: one waits after the 491, and both get what they want.
    net.order(B, move |sessions, turn| sessions.hold(turn, peer, None)).unwrap();
    net.order(A, move |sessions, turn| sessions.resume(turn, id)).unwrap();
    net.run(Duration::from_secs(10));
    assert!(net.nodes[A].events.contains(&SessionEvent::Done { id, operation: Operation::Resume }));
    assert!(net.nodes[B].events.contains(&SessionEvent::Done { id: peer, operation: Operation::Hold }));
    net.order(B, move |sessions, turn| sessions.resume(turn, peer)).unwrap();
    net.run(SOON);
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
    net.order(A, move |sessions, turn| sessions.terminate(turn, id)).unwrap();
    net.run(SOON);
    assert_eq!((net.ends(A), net.ends(B)), (vec![EndReason::LocalBye], vec![EndReason::RemoteBye]));
    net.assert_at_rest();
}

#[test]
fn calls_that_fail_or_are_given_up() {
    for (user, gives_up, mine) in [
        ("b-busy", false, EndReason::Rejected(486)),
        ("b-rings", true, EndReason::Cancelled),
        ("b-rings", false, EndReason::Rejected(480)),
    ] {
        for to in [B, SWITCH] {
            let mut net = Net::new(2, 0);
            let id = net.dial(A, to, user);
            net.run(SOON);
            if gives_up {
                assert_eq!(net.state(A, id), SessionState::Ringing);
                net.order(A, move |sessions, turn| sessions.terminate(turn, id)).unwrap();
            }
            net.run(Duration::from_secs(40));
            assert_eq!(net.ends(A), [mine], "{user} by {to}");
            if user == "b-rings" && gives_up {
                assert_eq!(net.ends(B), [EndReason::Cancelled]);
            }
            net.assert_at_rest();
        }
    }
    let mut net = Net::new(3, 0);
    net.dial(A, NOWHERE, "b");
    net.run(Duration::from_secs(40));
    assert_eq!(net.ends(A), [EndReason::NoAnswer]);
    net.assert_at_rest();
}

/// A call from A through the switch to B.
fn through(net: &mut Net, user: &str) -> (SessionId, SessionId) {
    let id = net.dial(A, SWITCH, user);
    net.run(SOON);
    let node = if user.starts_with('c') { C } else { B };
    (id, *net.ids(node).last().expect("it has arrived"))
}

#[test]
fn a_switch_between_two_phones() {
    let mut net = Net::new(4, 0);
    let (id, peer) = through(&mut net, "b");
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
    for (node, id) in [(A, id), (B, peer)] {
        assert_eq!(
            net.spec(node, id).transport.remote_rtp.get().unwrap().ip(),
            address(SWITCH).ip(),
            "media is anchored"
        );
    }
    let sides = net.ids(SWITCH);
    for (here, there) in [(sides[0], sides[1]), (sides[1], sides[0])] {
        let leg = net.nodes[SWITCH].shard.sessions().get(there).unwrap().leg().unwrap();
        assert_eq!(net.spec(SWITCH, here).flow.source(), Source::Leg(leg));
    }
    net.order(A, move |sessions, turn| sessions.hold(turn, id, Some(PlannedSource::Tone440))).unwrap();
    net.run(SOON);
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::OnHold, SessionState::OnHold));
    net.order(A, move |sessions, turn| sessions.resume(turn, id)).unwrap();
    net.run(SOON);
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
    net.order(B, move |sessions, turn| sessions.terminate(turn, peer)).unwrap();
    net.run(SOON);
    assert_eq!((net.ends(A), net.ends(B)), (vec![EndReason::RemoteBye], vec![EndReason::LocalBye]));
    net.assert_at_rest();
}

#[test]
fn both_phones_hold_at_the_same_time_and_come_back() {
    for seed in 20..26 {
        let mut net = Net::new(seed, 0);
        let (id, peer) = through(&mut net, "b");
        net.order(A, move |sessions, turn| sessions.hold(turn, id, None)).unwrap();
        net.order(B, move |sessions, turn| sessions.hold(turn, peer, None)).unwrap();
        net.run(Duration::from_secs(20));
        assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::OnHold, SessionState::OnHold), "{seed}");
        for node in [A, B] {
            let is_hold = |event: &&SessionEvent| matches!(event, SessionEvent::Failed { .. });
            assert_eq!(net.nodes[node].events.iter().filter(is_hold).count(), 0, "seed {seed}, node {node}");
        }
        // Where one was faster the other one is told 491, still holds, and tries again.
        for _ in 0..2 {
            for (node, id) in [(A, id), (B, peer)] {
                if net.nodes[node].shard.sessions().get(id).is_some_and(|session| session.is_held_here()) {
                    net.order(node, move |sessions, turn| sessions.resume(turn, id)).unwrap();
                }
            }
            net.run(Duration::from_secs(20));
        }
        assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
        for id in net.ids(SWITCH) {
            assert_eq!(net.spec(SWITCH, id).flow.direction(), contract::Direction::Both, "seed {seed}");
        }
        net.order(A, move |sessions, turn| sessions.terminate(turn, id)).unwrap();
        net.assert_at_rest();
    }
}

#[test]
fn the_second_target_is_called_when_the_first_is_not_there() {
    let mut net = Net::new(5, 0);
    let id = net.dial(A, SWITCH, "b-after");
    net.run(Duration::from_secs(40));
    assert_eq!(net.state(A, id), SessionState::Connected);
    net.order(A, move |sessions, turn| sessions.terminate(turn, id)).unwrap();
    net.run(SOON);
    assert_eq!(net.ends(B), [EndReason::RemoteBye]);
    net.assert_at_rest();
}

#[test]
fn early_media_comes_through_reliably() {
    for loss_percent in [0, 30] {
        let mut net = Net::new(10, loss_percent);
        let id = net.dial(A, SWITCH, "b-rings");
        net.run(Duration::from_secs(8));
        let peer = net.only(B);
        net.order(B, move |sessions, turn| sessions.early_media(turn, peer, Plan::of(PlannedSource::Ringing))).unwrap();
        net.run(Duration::from_secs(8));
        assert_eq!(net.state(A, id), SessionState::Ringing);
        assert_eq!(
            net.spec(A, id).transport.remote_rtp.get().map(|rtp| rtp.ip()),
            Some(address(SWITCH).ip()),
            "{loss_percent}"
        );
        net.order(B, move |sessions, turn| sessions.accept(turn, peer, Plan::of(PlannedSource::Tone440))).unwrap();
        net.run(Duration::from_secs(8));
        assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
        net.order(A, move |sessions, turn| sessions.terminate(turn, id)).unwrap();
        net.assert_at_rest();
    }
}

#[test]
fn a_loop_of_calls_ends() {
    let mut net = Net::new(11, 0);
    let target = Target::new("sip:loop@192.0.2.4", path(A, SWITCH));
    let dial = Dial { max_forwards: 6, ..Dial::new("sip:a@192.0.2.1", target) };
    net.order(A, |sessions, turn| sessions.dial(turn, dial)).unwrap();
    net.run(Duration::from_secs(5));
    assert_eq!(net.ends(A), [EndReason::Rejected(483)]);
    net.assert_at_rest();
}

#[test]
fn blind_transfers_through_the_switch_and_without_it() {
    for by_switch in [true, false] {
        let mut net = Net::new(6, 0);
        let (id, peer) = if by_switch {
            through(&mut net, "b")
        } else {
            let id = net.dial(A, B, "b");
            net.run(SOON);
            (id, net.only(B))
        };
        net.order(A, move |sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3")).unwrap();
        net.run(SOON);
        assert_eq!(net.ends(A), [EndReason::Transferred]);
        assert!(net.nodes[A].events.contains(&SessionEvent::Done { id, operation: Operation::Transfer }));
        let third = net.only(C);
        assert_eq!(net.state(C, third), SessionState::Connected);
        if by_switch {
            assert_eq!(net.state(B, peer), SessionState::Connected);
            let sides = net.ids(SWITCH);
            assert_eq!(sides.len(), 2);
            assert_eq!(net.nodes[SWITCH].shard.sessions().get(sides[0]).unwrap().linked_to(), Some(sides[1]));
        }
        net.order(C, move |sessions, turn| sessions.terminate(turn, third)).unwrap();
        net.run(SOON);
        assert!(net.ids(B).is_empty(), "B goes with C");
        net.assert_at_rest();
    }
}

#[test]
fn a_blind_transfer_that_fails_leaves_both_talking() {
    let mut net = Net::new(7, 0);
    let (id, peer) = through(&mut net, "b");
    net.order(A, move |sessions, turn| sessions.transfer(turn, id, "sip:c-busy@192.0.2.3")).unwrap();
    net.run(SOON);
    assert!(net.nodes[A].events.contains(&SessionEvent::Failed {
        id,
        operation: Operation::Transfer,
        status: 486,
        origin: session::EndOrigin::Called
    }));
    assert_eq!((net.state(A, id), net.state(B, peer)), (SessionState::Connected, SessionState::Connected));
    net.order(A, move |sessions, turn| sessions.terminate(turn, id)).unwrap();
    net.assert_at_rest();
}

#[test]
fn attended_transfers_through_the_switch_and_without_it() {
    for by_switch in [true, false] {
        let mut net = Net::new(8, 0);
        let (first, second) = if by_switch {
            (through(&mut net, "b").0, through(&mut net, "c").0)
        } else {
            let first = net.dial(A, B, "b");
            let second = net.dial(A, C, "c");
            net.run(SOON);
            (first, second)
        };
        net.order(A, move |sessions, turn| sessions.hold(turn, first, None)).unwrap();
        net.run(SOON);
        net.order(A, move |sessions, turn| sessions.attended_transfer(turn, first, second)).unwrap();
        net.run(Duration::from_secs(1));
        assert!(net.ids(A).is_empty(), "A is out of it: {:?}", net.nodes[A].events);
        let (one, other) = (net.ids(B), net.only(C));
        let one = *one.last().expect("B talks to C");
        assert_eq!((net.state(B, one), net.state(C, other)), (SessionState::Connected, SessionState::Connected));
        net.order(B, move |sessions, turn| sessions.terminate(turn, one)).unwrap();
        net.run(SOON);
        assert!(net.ids(C).is_empty(), "C goes with B");
        net.assert_at_rest();
    }
}

/// A peer loses its power in each state of a call. Whatever is left at the others, nothing of it is after the stated time:
/// a minute of silence and two questions, or the timers that ringing, transfers and answers have anyway.
#[test]
fn a_peer_that_dies_in_silence_is_missed_in_every_state() {
    type Prepare = fn(&mut Net);
    fn hold(net: &mut Net, node: usize, music: Option<PlannedSource>) {
        let id = net.only(node);
        net.order(node, move |sessions, turn| sessions.hold(turn, id, music)).unwrap();
        net.run(SOON);
    }
    fn direct(net: &mut Net) {
        net.dial(A, B, "b");
        net.run(SOON);
    }
    fn by_switch(net: &mut Net) {
        through(net, "b");
    }
    fn transfer(net: &mut Net) {
        let id = net.only(A);
        net.order(A, move |sessions, turn| sessions.transfer(turn, id, "sip:c-rings@192.0.2.3")).unwrap();
        net.run(SOON);
    }
    let states: [(&str, Prepare); 11] = [
        ("ringing", |net| {
            net.dial(A, B, "b-rings");
            net.run(SOON);
        }),
        ("ringing through the switch", |net| {
            net.dial(A, SWITCH, "b-rings");
            net.run(SOON);
        }),
        ("A holds, one way", |net| {
            direct(net);
            hold(net, A, Some(PlannedSource::Silence));
        }),
        ("A holds, no way", |net| {
            direct(net);
            hold(net, A, None);
        }),
        ("B holds, one way", |net| {
            direct(net);
            hold(net, B, Some(PlannedSource::Silence));
        }),
        ("both hold", |net| {
            direct(net);
            hold(net, A, None);
            hold(net, B, None);
        }),
        ("A holds through the switch", |net| {
            by_switch(net);
            hold(net, A, Some(PlannedSource::Silence));
        }),
        ("B holds through the switch", |net| {
            by_switch(net);
            hold(net, B, None);
        }),
        ("transferred to one who rings", |net| {
            by_switch(net);
            transfer(net);
        }),
        ("held and transferred to one who rings", |net| {
            by_switch(net);
            hold(net, A, None);
            transfer(net);
        }),
        ("bridged and held", |net| {
            let (one, other) = (net.dial(A, B, "b"), net.dial(A, C, "c"));
            net.run(SOON);
            net.order(A, move |sessions, turn| sessions.bridge(turn, one, other)).unwrap();
            net.run(SOON);
            hold(net, B, None);
            hold(net, C, None);
        }),
    ];
    for (state, prepare) in states {
        for dies in [A, B] {
            // Session timers would find it as well, later; here they may not.
            let mut config = Config::default();
            config.sip.calls.session_expires = None;
            let mut net = Net::with(&config, 21, 0);
            prepare(&mut net);
            net.dead.insert(dies);
            net.run(Duration::from_secs(60 + 2 * 32 + 5));
            if !state.contains("ring") {
                let others = [A, B, SWITCH].into_iter().filter(|node| *node != dies);
                let left: usize = others.map(|node| net.ids(node).len()).sum();
                // The third one of a bridge goes on, alone with A.
                assert_eq!(left, usize::from(state.contains("bridged") && dies == B), "{state}, node {dies} dies");
            }
            // What rings ends by its own limits; a call with two-way media would be ended by the media plane.
            net.run(Duration::from_secs(400));
            for node in [A, B, C, SWITCH] {
                net.order(node, |sessions, turn| sessions.stop(turn, EndReason::Shutdown));
            }
            net.assert_at_rest();
        }
    }
}

/// The same by session timers (RFC 4028), where nobody is asked and media is not watched.
#[test]
fn session_timers_end_what_a_dead_peer_leaves() {
    for dies in [A, B, SWITCH] {
        let mut config = Config::default();
        (config.sip.calls.probe, config.media.media_timeout) = (None, None);
        let mut net = Net::with(&config, 22, 0);
        through(&mut net, "b");
        net.run(Duration::from_secs(7_200));
        assert_eq!((net.ids(A).len(), net.ids(B).len()), (1, 1), "refreshed for two hours");
        net.dead.insert(dies);
        net.run(Duration::from_secs(1_800));
        let mut others = [A, B, SWITCH].into_iter().filter(|node| *node != dies);
        assert!(others.all(|node| net.ids(node).is_empty()), "node {dies} died half an hour ago");
    }
}

/// No call is longer than it may be, whatever its peers think.
#[test]
fn a_call_ends_by_its_age_by_default() {
    let mut net = Net::new(23, 0);
    through(&mut net, "b");
    net.run(Duration::from_secs(12 * 60 * 60 - 1));
    assert_eq!(net.ids(SWITCH).len(), 2);
    net.run(Duration::from_secs(2));
    // The first of the three switches whose call has its age ends it for all.
    assert!([A, B, SWITCH].into_iter().any(|node| net.ends(node).contains(&EndReason::AgeLimit)));
    assert!([A, B, SWITCH].into_iter().all(|node| net.ids(node).is_empty()));
    net.assert_at_rest();
}

/// Lost, late and overtaking datagrams: whatever happens, in the end all calls have ended on all nodes.
#[test]
fn random_calls_over_a_bad_network_leave_nothing() {
    for seed in 1..=40 {
        let mut net = Net::new(seed, 5 + seed % 20);
        for _ in 0..250 {
            let pause = net.roll(400);
            net.run(Duration::from_millis(pause));
            let node = [A, B, C][net.roll(3) as usize];
            let ids = net.ids(node);
            let pick = net.roll(ids.len().max(1) as u64) as usize;
            let roll = net.roll(12);
            match ids.get(pick).copied() {
                Some(id) if roll > 3 => {
                    let other = ids[net.roll(ids.len() as u64) as usize];
                    // Most of it is refused, as it would be to a user.
                    let _ = net.order(node, move |sessions, turn| match roll {
                        4 => sessions.hold(turn, id, None),
                        5 => sessions.resume(turn, id),
                        6 => sessions.transfer(turn, id, "sip:c@192.0.2.3"),
                        7 => sessions.attended_transfer(turn, id, other),
                        8 => sessions.bridge(turn, id, other).map(drop),
                        9 => sessions.send_dtmf(turn, id, "5", Duration::from_millis(100)),
                        10 => sessions.accept(turn, id, Plan::of(PlannedSource::Echo)),
                        _ => sessions.terminate(turn, id),
                    });
                }
                _ => {
                    let user = ["b", "c", "b-busy", "c-rings", "b-after"][net.roll(5) as usize];
                    let to = [SWITCH, SWITCH, B, C][net.roll(4) as usize];
                    if to != node && net.nodes[node].ports.free.len() > 10 {
                        net.dial(node, to, user);
                    }
                }
            }
        }
        for node in [A, B, C, SWITCH] {
            net.order(node, |sessions, turn| sessions.stop(turn, EndReason::Shutdown));
        }
        let answered: u64 =
            net.nodes.iter_mut().map(|node| node.shard.counts().get(stats::SignalCounter::CallsAnswered)).sum();
        assert!(answered > 20, "seed {seed}: only {answered} answered");
        net.assert_at_rest();
    }
}

/// Peers that are written out, on both sides of the switch.
struct Written {
    net: Net,
    /// The switch's INVITE to the called side.
    invite: String,
    /// The To of its 180 to the caller.
    to: String,
    cseq: u32,
}

/// A message of one side, and where it went.
type Said = (usize, String);

fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

/// What each message is, and to which side it went: `A 180`, `B INVITE`.
fn told(said: &[Said]) -> Vec<String> {
    let word = |text: &str| text.strip_prefix("SIP/2.0 ").unwrap_or(text).split(' ').next().unwrap_or("").to_owned();
    said.iter().map(|(side, text)| format!("{} {}", ["A", "B"][*side], word(text))).collect()
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

impl Written {
    /// A calls B, which rings.
    fn ringing() -> Self {
        let mut written = Self { net: Net::new(50, 0), invite: String::new(), to: String::new(), cseq: 1 };
        let said = written.says(A, &Self::invite_of_a());
        let Some((B, invite)) = said.last() else { panic!("{said:?}") };
        written.invite = invite.clone();
        let said = written.says(B, &written.reply(180, ""));
        let Some((A, ringing)) = said.last().filter(|_| told(&said) == ["A 180"]) else { panic!("{said:?}") };
        written.to = field(ringing, "To").to_owned();
        written
    }

    fn invite_of_a() -> String {
        format!(
            "INVITE sip:b@192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi\r\nMax-Forwards: 70\r\n\
             From: <sip:a@192.0.2.1>;tag=a\r\nTo: <sip:b@192.0.2.4>\r\nCall-ID: w\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@192.0.2.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        )
    }

    /// One side says something; what the switch says then.
    fn says(&mut self, side: usize, text: &str) -> Vec<Said> {
        let flow = path(SWITCH, side);
        self.net.input(SWITCH, Input::Message { flow, bytes: text.as_bytes() });
        self.said()
    }

    fn said(&mut self) -> Vec<Said> {
        let wire = std::mem::take(&mut self.net.wire);
        wire.into_values().map(|(to, _, bytes)| (to, String::from_utf8(bytes).unwrap())).collect()
    }

    /// B's answer to the INVITE.
    fn reply(&self, status: u16, sdp: &str) -> String {
        Self::answer(&self.invite, status, sdp)
    }

    /// An answer to a request of the switch.
    fn answer(request: &str, status: u16, sdp: &str) -> String {
        let mut text = format!("SIP/2.0 {status} Words\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let value = field(request, name);
            let tag = if name == "To" && !value.contains(";tag=") { ";tag=b" } else { "" };
            text += &format!("{name}: {value}{tag}\r\n");
        }
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!("{text}Contact: <sip:b@192.0.2.2:5060>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len())
    }

    /// A request of one side in its dialog.
    fn request(&mut self, side: usize, method: &str, lines: &str, body: &str) -> String {
        self.cseq += 1;
        let cseq = self.cseq;
        let (from, to, call_id, host) = match side {
            A => ("<sip:a@192.0.2.1>;tag=a".to_owned(), self.to.clone(), "w".to_owned(), "192.0.2.1"),
            _ => (
                format!("{};tag=b", field(&self.invite, "To")),
                field(&self.invite, "From").to_owned(),
                field(&self.invite, "Call-ID").to_owned(),
                "192.0.2.2",
            ),
        };
        format!(
            "{method} sip:192.0.2.4 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bK{method}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:x@{host}:5060>\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn digit(&mut self, side: usize) -> String {
        self.request(side, "INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=10\r\nDuration=100\r\n")
    }
}

#[test]
fn requests_in_early_dialogs_are_carried_refused_or_end_the_call() {
    // INFO is carried, digits and all, and answered as the other side answers it.
    for (side, other) in [(A, B), (B, A)] {
        for status in [200, 415] {
            let mut written = Written::ringing();
            let info = written.digit(side);
            let said = written.says(side, &info);
            let [(to, carried)] = &said[..] else { panic!("{said:?}") };
            assert_eq!(*to, other);
            assert!(carried.starts_with("INFO ") && carried.ends_with("Signal=10\r\nDuration=100\r\n"), "{carried}");
            let said = written.says(other, &Written::answer(carried, status, ""));
            assert_eq!(told(&said), [format!("{} {status}", ["A", "B"][side])]);
        }
        // The call ends before it is answered.
        let mut written = Written::ringing();
        let info = written.digit(side);
        written.says(side, &info);
        let said = written.says(B, &written.reply(486, ""));
        let said = told(&said);
        let info_is_answered = if side == A { said.contains(&"A 487".into()) } else { said.contains(&"B 487".into()) };
        assert!(said.contains(&"A 486".into()) && info_is_answered, "{said:?}");
    }
    for (side, name) in [(A, "A"), (B, "B")] {
        for (method, lines, body, status) in [
            ("OPTIONS", "", "", 200),
            // A target refresh.
            ("UPDATE", "", "", 200),
            // RFC 3311 §5.2: no offer before the first one has its answer.
            ("UPDATE", "Content-Type: application/sdp\r\n", SDP, 500),
            ("MESSAGE", "Content-Type: text/plain\r\n", "x", 405),
            ("REFER", "Refer-To: <sip:c@192.0.2.3>\r\n", "", 491),
            ("PRACK", "RAck: 1 1 INVITE\r\n", "", 481),
            ("INVITE", "Content-Type: application/sdp\r\n", SDP, 491),
            ("NOTIFY", "Event: refer\r\nSubscription-State: active\r\n", "", 481),
            ("SUBSCRIBE", "Event: dialog\r\n", "", 489),
            ("SUBSCRIBE", "Event: refer\r\n", "", 403),
        ] {
            let mut written = Written::ringing();
            let request = written.request(side, method, lines, body);
            let said = written.says(side, &request);
            let status = if (side, method) == (A, "INVITE") { 500 } else { status };
            assert_eq!(told(&said), [format!("{name} {status}")], "{method}");
            if status == 405 {
                let allow = field(&said[0].1, "Allow");
                assert!(allow.contains("INVITE") && !allow.contains(method), "{allow}");
            }
            assert_eq!(written.net.ids(SWITCH).len(), 2, "{method}: the call goes on");
        }
    }
    // BYE and CANCEL end it on both sides.
    let mut written = Written::ringing();
    let bye = written.request(A, "BYE", "", "");
    let said = written.says(A, &bye);
    assert_eq!(told(&said), ["A 200", "A 487", "B CANCEL"]);
    let mut written = Written::ringing();
    let cancel = Written::invite_of_a().replace("INVITE", "CANCEL").split("Content-Type").next().unwrap().to_owned();
    // Its Via was rewritten on the way.
    let cancel = cancel.replace("192.0.2.1:5060;branch=z9hG4bKi", "192.0.2.1;branch=z9hG4bKx");
    let said = written.says(A, &(cancel + "Content-Length: 0\r\n\r\n"));
    assert_eq!(told(&said), ["A 200", "A 487", "B CANCEL"]);
    let mut written = Written::ringing();
    let bye = written.request(B, "BYE", "", "");
    let said = told(&written.says(B, &bye));
    assert!(["A 480", "B 200", "B CANCEL"].iter().all(|wanted| said.contains(&(*wanted).into())), "{said:?}");
}

#[test]
fn requests_between_answer_and_acknowledgement_and_after_the_end() {
    let mut written = Written::ringing();
    let said = told(&written.says(B, &written.reply(200, SDP)));
    assert!(said.contains(&"B ACK".into()) && said.contains(&"A 200".into()), "{said:?}");
    // No ACK of A yet.
    for side in [A, B] {
        let info = written.request(side, "INFO", "Content-Type: text/plain\r\n", "x");
        let said = written.says(side, &info);
        let [(other, carried)] = &said[..] else { panic!("{said:?}") };
        assert_ne!(*other, side);
        let (other, answer) = (*other, Written::answer(carried, 200, ""));
        assert_eq!(told(&written.says(other, &answer)), [format!("{} 200", ["A", "B"][side])]);
    }
    let bye = written.request(A, "BYE", "", "");
    assert_eq!(told(&written.says(A, &bye)), ["A 200", "B BYE"]);
    for side in [A, B] {
        for method in ["INFO", "OPTIONS", "UPDATE", "MESSAGE"] {
            let request = written.request(side, method, "", "");
            let said = told(&written.says(side, &request));
            let status = if (side, method) == (B, "MESSAGE") { 405 } else { 481 };
            assert_eq!(said, [format!("{} {status}", ["A", "B"][side])], "{method}");
        }
    }
}

#[test]
fn a_method_that_is_allowed_is_not_answered_405() {
    for method in
        ["REFER", "INFO", "NOTIFY", "SUBSCRIBE", "UPDATE", "PRACK", "BYE", "MESSAGE", "PUBLISH", "REGISTER", "X"]
    {
        let mut net = Net::new(51, 0);
        let text = Written::invite_of_a().replace("INVITE", method).split("Content-Type").next().unwrap().to_owned();
        let lines = "Refer-To: <sip:c@192.0.2.3>\r\nEvent: refer\r\nContent-Length: 0\r\n\r\n";
        net.input(SWITCH, Input::Message { flow: path(SWITCH, A), bytes: (text + lines).as_bytes() });
        let (_, (_, _, answer)) = net.wire.pop_first().expect("an answer");
        let answer = String::from_utf8(answer).unwrap();
        let is_allowed = field(&answer, "Allow").split(", ").any(|allowed| allowed == method);
        let is_405 = answer.starts_with("SIP/2.0 405 ");
        assert!(!(is_405 && is_allowed), "{answer}");
        assert_eq!(is_405, ["MESSAGE", "PUBLISH", "REGISTER"].contains(&method), "{answer}");
        assert_eq!(is_405 || answer.starts_with("SIP/2.0 501 "), !field(&answer, "Allow").is_empty(), "{answer}");
    }
}
