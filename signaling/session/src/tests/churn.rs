//! Thousands of random calls in virtual time, with a media plane that refuses, is late, loses words and dies, and with
//! peers that hang up, cancel, hold or vanish at any moment. In the end nothing may be left.

use super::fake::*;
use crate::*;
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event, RefuseReason};
use sip_core::{Cause, DialogId, InviteId, Span};
use std::collections::{BTreeMap, BTreeSet};

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
    Ack(u64),
    /// The peer hangs up, cancels or never acknowledges, whichever fits.
    PeerEnds(u64),
    /// The endpoint tells the end that our BYE or refusal led to.
    DialogEnds(u64, u16),
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
    /// Dialogs that have not ended, with whether their INVITE was answered.
    dialogs: BTreeMap<u64, bool>,
    media_is_up: bool,
    port_count: u16,
    lossy: bool,
    seen_ends: u64,
}

impl Game {
    fn new(seed: u64, lossy: bool) -> Self {
        let port_count = 40;
        let settings = Settings { max_calls: 60, seed, ..Settings::default() };
        Self {
            world: World::new(settings, port_count),
            dice: Dice(seed),
            agenda: BTreeSet::new(),
            order: 0,
            media: Vec::new(),
            dialogs: BTreeMap::new(),
            media_is_up: true,
            port_count,
            lossy,
            seen_ends: 0,
        }
    }

    fn plan(&mut self, after_ms: u64, thing: Thing) {
        self.order += 1;
        let at = self.world.now + Duration::from_millis(after_ms);
        self.agenda.insert((at, self.order, thing));
    }

    /// The earliest thing, and the sessions' deadlines on the way to it.
    fn step(&mut self) -> bool {
        let next = self.agenda.first().map(|(at, ..)| *at);
        let deadline = self.world.sessions.deadline();
        let Some(now) = next.into_iter().chain(deadline).min() else { return false };
        self.world.now = self.world.now.max(now);
        if deadline.is_some_and(|at| at <= now) {
            self.world.turn(|sessions, turn| sessions.handle_deadline(turn));
        }
        while let Some((_, _, thing)) = self.agenda.first().copied().filter(|(at, ..)| *at <= self.world.now) {
            self.agenda.pop_first();
            self.happens(thing);
            self.answer();
        }
        self.answer();
        true
    }

    fn happens(&mut self, thing: Thing) {
        match thing {
            Thing::Invite(number) => {
                let user = ["tone", "echo", "busy", "later", "play", "once"][self.dice.roll(6) as usize];
                let sdp = ["", "garbage", SDP, SDP, SDP, SDP][self.dice.roll(6) as usize];
                self.dialogs.insert(number, false);
                let (invite, dialog) = (InviteId::from_u64(number), DialogId::from_u64(number));
                let event = sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces: None };
                self.world.sip(event, message("INVITE", user, sdp));
                for thing in [Thing::Ack(number), Thing::Reinvite(number), Thing::PeerEnds(number)] {
                    let after = self.dice.roll(20_000);
                    if self.dice.percent(80) || thing == Thing::PeerEnds(number) {
                        self.plan(after, thing);
                    }
                }
            }
            Thing::Reinvite(number) if self.dialogs.get(&number) == Some(&true) => {
                let sdp = ["".into(), "garbage".into(), SDP.to_owned(), format!("{SDP}a=inactive\r\n")];
                let invite = InviteId::from_u64(number | 1 << 40);
                let dialog = DialogId::from_u64(number);
                let event = sip_core::Event::Reinvite { invite, dialog, message: Span::default() };
                let sdp = &sdp[self.dice.roll(4) as usize];
                self.world.sip(event, message("INVITE", "tone", sdp));
                if self.dice.percent(20) {
                    self.world.sip(sip_core::Event::ReinviteCancelled { invite, dialog }, vec![]);
                }
                let after = self.dice.roll(500);
                self.plan(after, Thing::Ack(number));
            }
            Thing::Ack(number) if self.dialogs.get(&number) == Some(&true) => {
                let sdp = if self.dice.percent(90) { SDP } else { "" };
                let event =
                    sip_core::Event::Acknowledged { dialog: DialogId::from_u64(number), message: Span::default() };
                self.world.sip(event, message("ACK", "tone", sdp));
            }
            Thing::PeerEnds(number) => {
                if let Some(answered) = self.dialogs.remove(&number) {
                    let cause = match (answered, self.dice.roll(3)) {
                        (false, _) => Cause::RemoteCancel,
                        (true, 0) => Cause::NoAck,
                        (true, 1) => Cause::Lost(481),
                        (true, _) => Cause::RemoteBye,
                    };
                    self.end(number, cause);
                }
            }
            Thing::DialogEnds(number, status) if self.dialogs.remove(&number).is_some() => {
                self.end(number, if status == 0 { Cause::LocalBye } else { Cause::Rejected(status) });
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

    fn end(&mut self, number: u64, cause: Cause) {
        let event = sip_core::Event::Ended { dialog: DialogId::from_u64(number), cause, message: None };
        self.world.sip(event, vec![]);
    }

    /// What SIP and media do about what sessions said.
    fn answer(&mut self) {
        for said in self.world.said() {
            let (number, status) = match said {
                Said::Accept(invite, _) if invite.as_u64() < 1 << 40 => {
                    if let Some(answered) = self.dialogs.get_mut(&invite.as_u64()) {
                        *answered = true;
                    }
                    continue;
                }
                Said::Reject(invite, status, _) if invite.as_u64() < 1 << 40 => (invite.as_u64(), status),
                Said::Bye(dialog) => (dialog.as_u64(), 0),
                _ => continue,
            };
            let after = self.dice.roll(40);
            if self.lossy && status == 0 && self.dice.percent(3) {
                self.dialogs.remove(&number); // the endpoint owes us an end and never pays
            } else {
                self.plan(after, Thing::DialogEnds(number, status));
            }
        }
        for command in self.world.asked() {
            let (leg, tag) = (command.leg(), command.tag());
            let refuses = self.dice.percent(4);
            let reasons = [RefuseReason::Full, RefuseReason::System, RefuseReason::NoSuchLeg, RefuseReason::Invalid];
            let reason = reasons[self.dice.roll(4) as usize];
            let event = match command {
                _ if refuses => Event::Refused { leg, tag, reason },
                Command::Open { .. } => Event::Opened { leg, tag },
                Command::Update { .. } => Event::Updated { leg, tag },
                Command::Close { .. } => Event::Closed { leg, tag, reason: CloseReason::Asked },
                _ => continue,
            };
            let later = match self.dice.roll(20) {
                0 => Some(Event::MediaTimeout { leg, tag }),
                1 => Some(Event::SourceEnded { leg, tag }),
                2 => Some(Event::Closed { leg, tag, reason: CloseReason::Failed }),
                3 => Some(Event::Digit { leg, tag, digit: 3 }),
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
            self.seen_ends += u64::from(matches!(event, SessionEvent::Ended { .. }));
        }
    }
}

fn play(seed: u64, calls: u64, lossy: bool) {
    let mut game = Game::new(seed, lossy);
    for number in 1..=calls {
        let at = game.dice.roll(calls * 150);
        game.plan(at, Thing::Invite(number));
    }
    for _ in 0..calls / 200 {
        let at = game.dice.roll(calls * 150);
        game.plan(at, Thing::MediaDies);
    }
    let mut steps = 0_u64;
    while game.step() {
        steps += 1;
        assert!(steps < calls * 1_000, "seed {seed}: it does not come to rest");
        assert!(game.world.sessions.count() <= 60, "seed {seed}: more sessions than allowed");
    }
    game.world.assert_empty();
    assert!(game.world.sessions.deadlines.is_empty(), "seed {seed}: deadlines are left");
    assert_eq!(game.world.ports.free.len(), usize::from(game.port_count), "seed {seed}: ports are missing");
    let counts = &game.world.sessions.counts;
    let get = |counter| counts.get(counter);
    use stats::SignalCounter::*;
    assert!(get(CallsAnswered) > calls / 10, "seed {seed}: hardly a call was answered");
    assert!(lossy || get(DialogsNeverEnded) == 0, "seed {seed}: a dialog was forgotten");
    assert!(lossy || get(LegsNeverClosed) < calls / 20, "seed {seed}");
    // Every session that was announced has ended once; the others were refused before they became one.
    let ended = get(CallsCompleted) + get(CallsCancelled) + get(CallsRefused) + get(CallsFailed);
    assert_eq!(ended, calls, "seed {seed}: calls are missing in the counters");
    assert!(game.seen_ends <= calls && game.seen_ends >= get(CallsAnswered), "seed {seed}");
}

#[test]
fn thousands_of_random_calls_leave_nothing() {
    for seed in 1..=8 {
        play(seed, 2_000, false);
    }
}

#[test]
fn thousands_of_random_calls_with_lost_words_leave_nothing() {
    for seed in 11..=18 {
        play(seed, 2_000, true);
    }
}
