//! Calls in the states that tests begin with.

use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{CloseReason, Command, Event, LegRef};
use sip_core::EndpointConfig;

/// The phone of tests with one call.
pub(in crate::tests) const DIALOG: u64 = 7;
/// Its INVITE goes by its own number.
pub(in crate::tests) const INVITE: u64 = DIALOG;
/// Any re-INVITE of a phone.
pub(in crate::tests) const REINVITE: u64 = 9;
/// Any REFER of a phone, and the reports about it.
pub(in crate::tests) const REFER: u64 = 77;
pub(in crate::tests) const REPORTS: u64 = REFER;

pub(in crate::tests) fn held(direction: &str) -> String {
    format!("{SDP}a={direction}\r\n")
}

pub(in crate::tests) fn world() -> World {
    World::new(Settings::default(), 4)
}

/// Settings for no more calls than this.
pub(in crate::tests) fn small(max_calls: usize) -> Settings {
    Settings { limits: CallLimits { max_calls, ..CallLimits::default() }, ..Settings::default() }
}

/// A world with a call to `user` whose leg is being opened.
pub(in crate::tests) fn ringing(user: &str, sdp: &str) -> (World, LegRef, u64) {
    let mut world = world();
    world.calls(DIALOG, user, sdp);
    let asked = world.asked();
    let [Command::Open { leg, number: tag, .. }] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(world.said(), [Said::Ringing(INVITE)]);
    (world, leg, tag)
}

pub(in crate::tests) fn connected(user: &str) -> (World, LegRef, u64) {
    let (mut world, leg, tag) = ringing(user, SDP);
    world.media(Event::Opened { leg, number: tag });
    let said = world.said();
    let [Said::Accept(INVITE, sdp)] = &said[..] else { panic!("{said:?}") };
    assert!(sdp.contains(&format!("m=audio {} RTP/AVP 0", port_of(leg))) && sdp.contains("c=IN IP4 192.0.2.9"));
    assert_eq!(world.state(tag), SessionState::Connected);
    world.acknowledge(DIALOG);
    (world, leg, tag)
}

impl World {
    pub(in crate::tests) fn state(&self, tag: u64) -> SessionState {
        self.sessions.get(SessionId::from_u64(tag)).expect("the session lives").state()
    }

    /// The media plane does as asked by the only command that waits, and the peer does too.
    #[track_caller]
    pub(in crate::tests) fn close(&mut self, leg: LegRef, tag: u64) {
        assert_eq!(self.asked(), [Command::Close { leg, number: tag }]);
        assert_eq!(self.ports.free.len(), 3, "the port is out until the leg is closed");
        self.media(Event::Closed { leg, number: tag, reason: CloseReason::Asked });
        self.assert_empty();
        assert_eq!(self.ports.free.len(), 4);
    }

    /// Our 2xx is acknowledged, and the leg hears of it.
    #[track_caller]
    pub(in crate::tests) fn acknowledge(&mut self, number: u64) {
        self.acknowledges(number, "");
        let asked = self.asked();
        let [Command::Update { leg, number: tag, update }] = asked[..] else { panic!("{asked:?}") };
        let spec = update.whole().expect("all parts");
        assert!(spec.transport.is_proven() && spec.transport.latching() == contract::Latching::Probation);
        self.specs.insert(leg, spec);
        self.media(Event::Updated { leg, number: tag });
    }

    pub(in crate::tests) fn id(&self) -> SessionId {
        self.sessions.iter().next().expect("a session").id()
    }

    pub(in crate::tests) fn hold(&mut self, music: Option<PlannedSource>) -> Result<(), SessionError> {
        let id = self.id();
        self.turn(|sessions, turn| sessions.hold(turn, id, music))
    }

    pub(in crate::tests) fn resume(&mut self) -> Result<(), SessionError> {
        let id = self.id();
        self.turn(|sessions, turn| sessions.resume(turn, id))
    }

    /// The re-INVITE that was sent, with its description.
    #[track_caller]
    pub(in crate::tests) fn reinvite(&mut self) -> (u64, String) {
        self.reinvite_to(DIALOG)
    }

    /// The only thing that was said: a re-INVITE to this phone, with its description.
    #[track_caller]
    pub(in crate::tests) fn reinvite_to(&mut self, number: u64) -> (u64, String) {
        let said = self.said();
        let [Said::Reinvite(request, to, sdp)] = &said[..] else { panic!("{said:?}") };
        assert_eq!(*to, number, "{sdp}");
        (*request, sdp.clone())
    }

    #[track_caller]
    pub(in crate::tests) fn only_update(&mut self, leg: LegRef, tag: u64) -> contract::LegSpec {
        let asked = self.asked();
        let [Command::Update { update: spec, .. }] = asked[..] else { panic!("{asked:?}") };
        let spec = spec.whole().expect("all parts");
        self.media(Event::Updated { leg, number: tag });
        spec
    }
}

/// A call that we have placed to the phone, which the session timer refreshes by re-INVITE.
pub(in crate::tests) fn refreshing() -> (World, SessionId, u64, String) {
    let interval = Duration::from_secs(180);
    let mut config = EndpointConfig::default();
    config.session_timer.interval = interval;
    let mut world = World::with(Settings::default(), config, 4);
    world.phones_take_update = false;
    let dial = Dial::new("sip:a@192.0.2.9", target("b1"));
    let id = world.turn(|sessions, turn| sessions.dial(turn, dial)).unwrap();
    world.serve();
    let (call, ..) = world.invited();
    world.answered(call, DIALOG, SDP);
    world.serve();
    world.told();
    world.wait(interval / 2);
    let (request, sdp) = world.reinvite();
    (world, id, request, sdp)
}

/// The caller of [`Pair`].
pub(in crate::tests) const A: u64 = 1;
/// The phone that is called.
pub(in crate::tests) const B: u64 = 50;
/// A phone whose call takes the place of one of the two sides.
pub(in crate::tests) const C: u64 = 3;

/// A call from A to B.
pub(in crate::tests) struct Pair {
    pub(in crate::tests) world: World,
    pub(in crate::tests) caller: SessionId,
    pub(in crate::tests) called: SessionId,
    pub(in crate::tests) call: u64,
}

/// A call from A whose INVITE to the first target is out.
pub(in crate::tests) fn going(sdp: &str) -> Pair {
    going_in(World::new(Settings::default(), 6), sdp)
}

/// The same in a world of the test.
pub(in crate::tests) fn going_in(mut world: World, sdp: &str) -> Pair {
    let caller = world.comes(A, "on", sdp);
    assert_eq!(world.session(caller).state(), SessionState::Initializing, "A hears what B says");
    let called = world.session(caller).linked_to().expect("the other side");
    assert!(world.events.contains(&SessionEvent::Forwarded { id: caller, to: called }));
    let workers: Vec<u8> = world.commands.iter().map(|(worker, _)| *worker).collect();
    assert_eq!(workers.len(), 2);
    assert_eq!(workers[0], workers[1], "both legs on one worker");
    world.serve();
    let (call, uri, _) = world.invited();
    assert_eq!(uri, "sip:b1@192.0.2.7");
    Pair { world, caller, called, call }
}

/// The same, answered; our answer to A is not acknowledged.
pub(in crate::tests) fn unacknowledged() -> Pair {
    let mut pair = going(SDP);
    pair.world.answered(pair.call, B, SDP);
    pair.world.serve();
    let said = pair.world.said();
    assert!(matches!(&said[..], [Said::Accept(..)]), "{said:?}");
    pair
}

/// The same, acknowledged.
pub(in crate::tests) fn up() -> Pair {
    let mut pair = unacknowledged();
    pair.world.acknowledges(A, "");
    pair.world.serve();
    pair
}

/// C's call takes the place of the caller, or of the called side. Its leg is on its way to the worker of the other one.
pub(in crate::tests) fn replaced(pair: &mut Pair, is_caller: bool) -> SessionId {
    let world = &mut pair.world;
    let third = world.comes(C, "tone", SDP);
    world.serve();
    world.acknowledges(C, "");
    world.serve();
    let old = if is_caller { pair.caller } else { pair.called };
    world.turn(|sessions, turn| sessions.take_place(turn, third, old));
    assert!(world.session(third).is_moving(&world.sessions.legs));
    world.commands.retain(|(_, command)| !matches!(command, Command::Move { .. }));
    world.serve();
    world.said();
    third
}

/// C's leg has arrived.
pub(in crate::tests) fn arrives(pair: &mut Pair, third: SessionId) {
    let (leg, worker) = (pair.world.session(third).leg().unwrap(), 0);
    pair.world.legs.insert(leg, worker);
    pair.world.media(Event::Moved { leg, number: third.as_u64(), worker });
}

impl Pair {
    pub(in crate::tests) fn state(&self) -> (SessionState, SessionState) {
        (self.world.session(self.caller).state(), self.world.session(self.called).state())
    }

    #[track_caller]
    pub(in crate::tests) fn assert_over(mut self) {
        self.world.serve();
        self.world.assert_empty();
        let ends = self.world.events.iter().filter(|event| matches!(event, SessionEvent::Ended { .. })).count();
        assert_eq!((ends, self.world.ports.free.len()), (2, 6));
    }
}
