//! Thousands of random calls in virtual time, with a media plane that refuses, is late, loses words and dies, and with
//! peers that hang up, cancel, hold, transfer or vanish at any moment, while calls are placed, sent on, put together and
//! handed over from here. After every step all tables agree, and in the end nothing may be left.

use crate::tests::harness::*;
use crate::*;
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event, RefuseReason};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % sides
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Thing {
    Invite(u64),
    Reinvite(u64),
    /// A phone answers the offer of our 200.
    Ack(u64),
    /// A phone hangs up, cancels or vanishes.
    PeerEnds(u64),
    /// We place a call.
    Dial,
    /// A user does something with some session.
    Operate,
    /// A peer transfers its call.
    Refers(u64),
    Progress(u64),
    /// A call that we placed is answered or refused.
    CallEnds(u64),
    /// The answer to a request of ours in a dialog.
    Answers(u64),
    /// A report about a REFER of ours.
    Reports(u64),
    /// The answer to a question about names.
    Found(u64),
    /// What is on its way to a phone arrives.
    Mail(u64),
    Media(usize),
    MediaDies,
    MediaComesBack,
}

struct Game {
    world: World,
    dice: Dice,
    agenda: BTreeSet<(Instant, u64, Thing)>,
    order: u64,
    media: Vec<Event>,
    /// Phones whose messages arrive at a time that is known.
    awaited: BTreeSet<u64>,
    media_is_up: bool,
    port_count: u16,
    lossy: bool,
    /// Questions about names so far.
    asked_count: usize,
    /// How often each session was told to have ended.
    ends: HashMap<SessionId, u32>,
    bridges: Vec<BridgeId>,
    /// Events by kind, to see that all of it happens.
    told: BTreeMap<String, u64>,
}

impl Game {
    fn new(seed: u64, lossy: bool) -> Self {
        let port_count = 40;
        let limits = CallLimits { max_calls: 60, user_limit: Some(UserLimit::new(35)), ..CallLimits::default() };
        let (age, idle) = (Duration::from_secs(100), Duration::from_secs(30));
        let timeouts = Timeouts { age, idle, ..Timeouts::default() };
        let settings = Settings { seed, limits, timeouts, ..Settings::default() };
        Self {
            world: World::new(settings, port_count),
            dice: Dice(seed),
            agenda: BTreeSet::new(),
            order: 0,
            media: Vec::new(),
            awaited: BTreeSet::new(),
            media_is_up: true,
            port_count,
            lossy,
            asked_count: 0,
            ends: HashMap::new(),
            bridges: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    fn plan(&mut self, after_ms: u64, thing: Thing) {
        self.order += 1;
        let at = self.world.now + Duration::from_millis(after_ms);
        self.agenda.insert((at, self.order, thing));
    }

    /// The earliest thing, and the deadlines on the way to it.
    fn step(&mut self) -> bool {
        let next = self.agenda.first().map(|(at, ..)| *at);
        let deadline = self.world.deadline();
        let Some(now) = next.into_iter().chain(deadline).min() else { return false };
        self.world.pass_until(now);
        self.answer();
        while let Some((_, _, thing)) = self.agenda.first().copied().filter(|(at, ..)| *at <= self.world.now) {
            self.agenda.pop_first();
            self.happens(thing);
            self.answer();
            self.check();
        }
        self.check();
        if self.order.is_multiple_of(16) {
            self.world.forget_idle_phones();
        }
        true
    }

    fn happens(&mut self, thing: Thing) {
        match thing {
            Thing::Invite(number) => {
                let user =
                    ["tone", "echo", "busy", "later", "play", "once", "on", "on", "on"][self.dice.roll(9) as usize];
                let sdp = ["", "garbage", SDP, SDP, SDP, SDP][self.dice.roll(6) as usize];
                self.world.calls(number, user, sdp);
                for thing in [Thing::Reinvite(number), Thing::Refers(number), Thing::PeerEnds(number)] {
                    let after = self.dice.roll(20_000);
                    if self.dice.percent(80) || thing == Thing::PeerEnds(number) {
                        self.plan(after, thing);
                    }
                }
            }
            Thing::Reinvite(number) if self.world.is_talking(number) => {
                let sdp = ["".into(), "garbage".into(), SDP.to_owned(), format!("{SDP}a=inactive\r\n")];
                let sdp = &sdp[self.dice.roll(4) as usize];
                let is_taken_back = self.dice.percent(20);
                self.world.drain(number);
                if self.world.is_talking(number) {
                    self.world.reinvites(number, sdp);
                    if is_taken_back {
                        self.world.cancels_reinvite(number);
                    }
                }
            }
            Thing::Ack(number) if self.world.has_phone(number) => {
                let sdp = if self.dice.percent(90) { SDP } else { "" };
                self.world.drain(number);
                if self.world.owes_answer(number) && self.world.is_up(number) {
                    self.world.acknowledges(number, sdp);
                }
            }
            Thing::PeerEnds(number) if self.world.has_phone(number) => match self.dice.roll(6) {
                0 => self.world.dies(number),
                _ => self.world.hangs_up(number),
            },
            Thing::Dial => {
                let users = ["b1", "b2", "b3"];
                let count = 1 + self.dice.roll(3) as usize;
                let targets = users[..count].iter().map(|user| target(user)).collect();
                let dial = Dial { targets, ..Dial::new("sip:us@example.com", target("b1")) };
                // Refused where there is no room.
                let _ = self.world.turn(|sessions, turn| sessions.dial(turn, dial));
            }
            Thing::Operate => self.operate(),
            Thing::Refers(number) if self.world.is_talking(number) => {
                let up: Vec<u64> = self.talking().collect();
                let other = up[self.dice.roll(up.len() as u64) as usize];
                self.world.drain(other);
                let target = match self.dice.roll(4) {
                    3 => "<sip:c@pbx.example>".to_owned(),
                    0 if self.world.is_talking(other) => {
                        format!("<sip:c@192.0.2.9?Replaces={}>", self.world.replaces_of(other))
                    }
                    _ => "<sip:c@192.0.2.3>".to_owned(),
                };
                if self.world.is_talking(number) {
                    self.world.refers(number, &target);
                }
            }
            Thing::Progress(call) => {
                let status = [100, 180, 183][self.dice.roll(3) as usize];
                let sdp = ["", SDP, "garbage"][self.dice.roll(3) as usize];
                if let Some(number) = self.world.rings_at(call) {
                    self.world.drain(number);
                    if self.world.rings_at(call).is_some() {
                        self.world.progress(call, 0, status, sdp);
                    }
                }
            }
            Thing::CallEnds(call) => {
                let roll = self.dice.roll(9);
                let Some(number) = self.world.rings_at(call) else { return };
                self.world.drain(number);
                if self.world.rings_at(call).is_none() {
                    return;
                }
                match roll {
                    8 => self.world.moved(call, "<sip:x@pbx.example>, <sip:y@192.0.2.21>;q=0.1"),
                    0 => self.world.failed(call, 486),
                    1 => self.world.failed(call, 503),
                    2 => {} // it rings on
                    _ => {
                        self.world.answered(call, 0, if roll == 3 { "garbage" } else { SDP });
                        for thing in [Thing::Reinvite(number), Thing::Refers(number), Thing::PeerEnds(number)] {
                            let after = self.dice.roll(20_000);
                            self.plan(after, thing);
                        }
                    }
                }
            }
            Thing::Answers(request) => {
                let status = [200, 200, 200, 200, 488, 491, 500, 481][self.dice.roll(8) as usize];
                let direction = ["recvonly", "inactive", "sendrecv", "sendonly"][self.dice.roll(4) as usize];
                let sdp = if self.dice.percent(95) { format!("{SDP}a={direction}\r\n") } else { String::new() };
                self.world.drain(self.world.phone_of(request));
                match self.world.waits_at(request) {
                    Some((_, true)) if status == 200 => self.world.responds(request, 202, ""),
                    Some(_) => self.world.responds(request, status, &sdp),
                    None => {}
                }
            }
            Thing::Reports(request) if self.world.may_report(request) => {
                let status = [100, 180, 200, 486][self.dice.roll(4) as usize];
                self.world.notify(request, &format!("SIP/2.0 {status} x"), status >= 200);
            }
            Thing::Mail(number) => {
                self.awaited.remove(&number);
                if self.lossy && self.dice.percent(5) {
                    self.world.loses_one(number);
                } else {
                    self.world.deliver(number);
                }
                if self.world.owes_answer(number) {
                    let after = self.dice.roll(500);
                    self.plan(after, Thing::Ack(number));
                }
            }
            Thing::Found(ticket) => {
                let hosts: [&[u8]; 3] = [&[], &[11], &[11, 12, 13]];
                let hosts = hosts[self.dice.roll(3) as usize];
                self.world.found(ticket, &[hosts, &[21]]);
            }
            Thing::Media(index) if self.media_is_up => self.world.media(self.media[index]),
            Thing::MediaDies if self.media_is_up => {
                self.media_is_up = false;
                self.world.ports.free.clear();
                self.world.commands.clear();
                self.world.turn(|sessions, turn| sessions.media_lost(turn));
                self.world.ports.out.clear();
                self.plan(300, Thing::MediaComesBack);
            }
            Thing::MediaComesBack => {
                self.media_is_up = true;
                let generation = self.world.ports.generation;
                self.world.ports = FakePorts { generation, ..FakePorts::new(self.port_count) };
                self.media.clear();
                self.agenda.retain(|(_, _, thing)| !matches!(thing, Thing::Media(_)));
            }
            _ => {}
        }
    }

    /// Phones whose calls are up.
    fn talking(&self) -> impl Iterator<Item = u64> {
        self.world.phone_numbers().filter(|number| self.world.is_talking(*number))
    }

    /// A user does something with sessions that are there, whether it makes sense or not.
    fn operate(&mut self) {
        let ids: Vec<SessionId> = self.world.sessions.iter().map(Session::id).collect();
        let Some(count) = std::num::NonZero::new(ids.len() as u64) else { return };
        let (id, other) = (ids[self.dice.roll(count.get()) as usize], ids[self.dice.roll(count.get()) as usize]);
        let roll = self.dice.roll(18);
        let before = format!("{:?}", self.world.sessions.get(id));
        let bridge = self.bridges.last().copied();
        let made = &mut self.bridges;
        let result = self.world.turn(|sessions, turn| match roll {
            0 => sessions.hold(turn, id, None),
            1 => sessions.hold(turn, id, Some(PlannedSource::Prompt(1))),
            2 | 3 => sessions.resume(turn, id),
            4 => sessions.mute(turn, id, true),
            5 => sessions.play(turn, id, Plan { source: PlannedSource::Prompt(0), at_end: AtEnd::Repeat }),
            6 => sessions.send_dtmf(turn, id, "12#", Duration::from_millis(100)),
            7 => sessions.terminate(turn, id),
            8 => sessions.transfer(turn, id, "sip:c@192.0.2.3"),
            9 => sessions.attended_transfer(turn, id, other),
            10 => sessions.accept(turn, id, Plan::of(PlannedSource::Tone440)),
            11 => sessions.reject(turn, id, 603, ""),
            12 => sessions.forward(turn, id, Forward::to(vec![target("b1")])).map(drop),
            13..=15 => sessions.bridge(turn, id, other).map(|bridge| made.push(bridge)),
            16 => bridge.map_or(Ok(()), |bridge| sessions.remove_from_bridge(turn, bridge, id)),
            _ => bridge.map_or(Ok(()), |bridge| sessions.destroy_bridge(turn, bridge)),
        });
        let Err(error) = result else { return };
        assert!(before == format!("{:?}", self.world.sessions.get(id)), "{error:?} changed something");
        // Of two sessions the other one may be meant.
        if let (SessionError::InvalidState { operation, state, allowed }, 0..=8 | 10..=12) = (error, roll) {
            let session = self.world.sessions.get(id).expect("a refusal does not end it");
            assert_eq!((session.state(), session.allows(operation), session.allowed()), (state, false, allowed));
        }
    }

    /// What every table says about every other one.
    fn check(&mut self) {
        let sessions = &self.world.sessions;
        for (dialog, id) in &sessions.by_dialog {
            assert_eq!(sessions.get(*id).and_then(|session| session.dialog()), Some(*dialog));
        }
        for (call, id) in &sessions.by_call {
            let out = sessions.get(*id).and_then(|session| session.outgoing.as_ref());
            assert_eq!(out.and_then(|out| out.call()), Some(*call));
        }
        for id in sessions.by_lookup.values() {
            assert!(sessions.waits_for_names(*id), "{:?}", sessions.get(*id));
        }
        for id in sessions.by_subscription.values() {
            assert!(sessions.get(*id).is_some_and(|session| session.transfers.sent().is_some()));
        }
        for (bridge, members) in sessions.bridges() {
            let is_in = |id: &SessionId| sessions.get(*id).is_some_and(|session| session.bridge() == Some(bridge));
            assert!(members.iter().all(is_in) && members.len() <= BRIDGE_MEMBERS_MAX);
        }
        let mut leg_count = 0;
        for session in sessions.iter() {
            let id = session.id();
            self.ends.entry(id).or_default();
            leg_count += usize::from(session.leg().is_some());
            if let Some(link) = session.link() {
                let peer = sessions.get(link.peer).expect("a linked session lives");
                let back = peer.link().expect("both are linked");
                assert_eq!((back.peer, back.tie), (id, link.tie));
                assert!(!session.state().is_ending() && !peer.state().is_ending(), "an ending session is alone");
            }
            if let Some(referral) = session.transfers.referral() {
                assert_eq!(sessions.get(referral.by).and_then(|by| by.transfers.received().call()), Some(id));
            }
            if let Some(referred) = session.transfers.received().call() {
                assert!(sessions.get(referred).is_some_and(|other| other.transfers.referral().is_some()));
            }
            use crate::timers::timer::Timer;
            assert_eq!(session.negotiation.has_pending(), session.timers.is_set(Timer::Change), "{session:?}");
            if session.state().is_ending() {
                assert!(session.timers.is_set(Timer::SipEnd) || session.leg().is_some());
                assert!(session.bridge().is_none() && !session.negotiation.has_change() && session.relayed.is_empty());
                assert!(!session.negotiation.has_pending());
            }
        }
        if self.order.is_multiple_of(16) {
            let health = sessions.health(self.world.now);
            assert_eq!((health.leak_count, health.leg_count), (0, leg_count), "{health:?}");
        }
        if self.media_is_up {
            assert_eq!(self.world.ports.out.len(), leg_count, "each port has its session");
        }
    }

    /// What SIP and media do about what sessions said.
    fn answer(&mut self) {
        for index in self.asked_count..self.world.sip.host.asked.len() {
            let (ticket, _) = self.world.sip.host.asked[index];
            // Some answers come too late, or never.
            let after = self.dice.roll(12_000);
            if !self.lossy || self.dice.percent(95) {
                self.plan(after, Thing::Found(ticket));
            }
        }
        self.asked_count = self.world.sip.host.asked.len();
        for number in self.world.phones_with_mail() {
            if self.awaited.insert(number) {
                let after = self.dice.roll(40);
                self.plan(after, Thing::Mail(number));
            }
        }
        for said in self.world.said() {
            match said {
                Said::Invite(call, ..) => {
                    for thing in [Thing::Progress(call), Thing::CallEnds(call)] {
                        let after = self.dice.roll(10_000);
                        self.plan(after, thing);
                    }
                }
                Said::Reinvite(request, ..) | Said::Info(request, ..) | Said::Refer(request, ..) => {
                    // Some are never answered.
                    if self.dice.percent(95) {
                        let after = self.dice.roll(3_000);
                        self.plan(after, Thing::Answers(request));
                    }
                    for _ in 0..if matches!(said, Said::Refer(..)) { 3 } else { 0 } {
                        let after = 3_000 + self.dice.roll(10_000);
                        self.plan(after, Thing::Reports(request));
                    }
                }
                _ => {}
            }
        }
        for command in self.world.asked() {
            let (leg, tag) = (command.leg(), command.number());
            let refuses = self.dice.percent(4);
            let reasons = [RefuseReason::Full, RefuseReason::System, RefuseReason::NoSuchLeg, RefuseReason::Invalid];
            let reason = reasons[self.dice.roll(4) as usize];
            let event = match command {
                _ if refuses => Event::Refused { leg, number: tag, reason },
                Command::Open { .. } => Event::Opened { leg, number: tag },
                Command::Update { .. } => Event::Updated { leg, number: tag },
                Command::Close { .. } => Event::Closed { leg, number: tag, reason: CloseReason::Asked },
                Command::Move { worker, .. } => Event::Moved { leg, number: tag, worker },
                _ => continue,
            };
            let later = match self.dice.roll(20) {
                0 => Some(Event::MediaTimeout { leg }),
                1 => Some(Event::PlayerEnded { leg, player: contract::PlayerId::NONE }),
                2 => Some(Event::Closed { leg, number: tag, reason: CloseReason::Failed }),
                3 => Some(Event::Digit { leg, digit: 3 }),
                _ => None,
            };
            for (event, within) in [(Some(event), 30), (later, 5_000)] {
                let lost = self.lossy && self.dice.percent(5);
                if let Some(event) = event.filter(|_| !lost) {
                    self.media.push(event);
                    let after = self.dice.roll(within);
                    self.plan(after, Thing::Media(self.media.len() - 1));
                }
            }
        }
        for event in self.world.events.drain(..) {
            let kind = match event {
                SessionEvent::Done { operation, .. } => format!("done {operation:?}"),
                SessionEvent::Failed { operation, .. } => format!("failed {operation:?}"),
                SessionEvent::Ended { reason, .. } => format!("ended {}", reason.name()),
                SessionEvent::ParticipantRemoved { reason, .. } => format!("left {reason:?}"),
                ref other => format!("{other:?}").split(' ').next().unwrap_or_default().to_owned(),
            };
            *self.told.entry(kind).or_default() += 1;
            if let SessionEvent::Ended { id, .. } = event {
                *self.ends.entry(id).or_default() += 1;
            }
        }
    }
}

/// What games have to see, or they test less than they say.
const HAPPENS: [&str; 25] = [
    "BridgeDestroyed",
    "DialogEnded",
    "EndedByPeer",
    "Forwarded",
    "HoldChanged",
    "MediaChanged",
    "Progress",
    "Referred",
    "Reinvited",
    "TransferProgress",
    "TransferRequested",
    "done Hold",
    "done Resume",
    "done SendDtmf",
    "done Transfer",
    "failed Hold",
    "failed Transfer",
    "left Destroyed",
    "left Ended",
    "left Failed",
    "ended cancelled",
    "ended no way to there",
    "ended not answered in time",
    "ended transferred",
    "ended unusable answer to our offer",
];

fn play(seed: u64, calls: u64, lossy: bool) -> BTreeMap<String, u64> {
    let mut game = Game::new(seed, lossy);
    for number in 1..=calls {
        let at = game.dice.roll(calls * 150);
        game.plan(at, Thing::Invite(number));
        for (thing, percent) in [(Thing::Dial, 20), (Thing::Operate, 90), (Thing::Operate, 90), (Thing::Operate, 90)] {
            if game.dice.percent(percent) {
                let at = game.dice.roll(calls * 150);
                game.plan(at, thing);
            }
        }
    }
    for _ in 0..calls / 200 {
        let at = game.dice.roll(calls * 150);
        game.plan(at, Thing::MediaDies);
    }
    let mut steps = 0_u64;
    while game.step() {
        steps += 1;
        assert!(steps < calls * 2_000, "seed {seed}: it does not come to rest");
        assert!(game.world.sessions.count() <= 60, "seed {seed}: more sessions than allowed");
    }
    game.world.assert_empty();
    game.world.assert_endpoint_empty();
    let users = game.world.sessions.settings.limits.user_limit.as_ref().map(UserLimit::user_count);
    assert_eq!(users, Some(0), "seed {seed}: calls of users that are over are still counted");
    let health = game.world.sessions.health(game.world.now);
    assert_eq!(health, Health::default(), "seed {seed}");
    assert!(game.world.sessions.deadlines.is_empty(), "seed {seed}: deadlines are left");
    assert_eq!(game.world.ports.free.len(), usize::from(game.port_count), "seed {seed}: ports are missing");
    let counts = &game.world.sessions.counts;
    let get = |counter| counts.get(counter);
    use stats::SignalCounter::*;
    assert!(get(CallsAnswered) > calls / 10, "seed {seed}: hardly a call was answered");
    assert_eq!(get(DialogsNeverEnded), 0, "seed {seed}: a dialog was forgotten");
    assert!(lossy || get(LegsNeverClosed) < calls / 20, "seed {seed}");
    let never = game.ends.iter().filter(|(_, times)| **times != 1).count();
    assert_eq!(never, 0, "seed {seed}: sessions that did not end exactly once");
    let ended = get(CallsCompleted) + get(CallsCancelled) + get(CallsRefused) + get(CallsFailed);
    assert!(ended >= calls && get(CallsPlaced) > calls / 10, "seed {seed}: calls are missing in the counters");
    game.told
}

fn play_all(seeds: std::ops::RangeInclusive<u64>, lossy: bool) {
    let mut told = BTreeMap::<String, u64>::new();
    for seed in seeds {
        for (kind, count) in play(seed, 1_000, lossy) {
            *told.entry(kind).or_default() += count;
        }
    }
    for kind in HAPPENS {
        assert!(told.contains_key(kind), "`{kind}` never happened: {told:?}");
    }
}

#[test]
fn thousands_of_random_calls_leave_nothing() {
    play_all(1..=8, false);
}

#[test]
fn thousands_of_random_calls_with_lost_words_leave_nothing() {
    play_all(11..=18, true);
}
