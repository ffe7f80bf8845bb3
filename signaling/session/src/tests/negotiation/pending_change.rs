//! Changes that a peer asks for while something else is on its way.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Codec, Command, Direction, Event, LegRef, RefuseReason};
use sip_core::{Cause, EndpointConfig};

const UPDATE: u64 = 50;

/// How a peer asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Reinvite,
    Update,
}

const WAYS: [By; 2] = [By::Reinvite, By::Update];

impl By {
    fn asks(self, world: &mut World, dialog: u64, sdp: &str) {
        match self {
            Self::Reinvite => {
                world.reinvites(dialog, sdp);
            }
            Self::Update => {
                world.updates(dialog, UPDATE, sdp);
            }
        }
    }

    /// The direction in its 200, which is the only thing that was said.
    fn is_answered(self, world: &mut World, direction: &str) {
        let said = world.said();
        let sdp = match (self, &said[..]) {
            (Self::Reinvite, [Said::Accept(REINVITE, sdp)]) | (Self::Update, [Said::Respond(UPDATE, 200, sdp)]) => sdp,
            other => panic!("{other:?}"),
        };
        assert!(sdp.contains(&format!("a={direction}\r\n")), "{self:?} {sdp}");
    }

    fn refused(self, status: u16) -> Said {
        match self {
            Self::Reinvite => Said::Reject(REINVITE, status, None),
            Self::Update => Said::Respond(UPDATE, status, String::new()),
        }
    }
}

/// The only thing that was said: a re-INVITE in this dialog.
#[track_caller]
fn offered(world: &mut World, dialog: u64) -> u64 {
    world.reinvite_to(dialog).0
}

fn is_waiting(world: &mut World, id: SessionId) {
    assert!(
        world.said().is_empty() && world.session(id).negotiation.has_pending(),
        "it is neither answered nor refused"
    );
}

/// A call in which something is on its way, and what ends that.
type OnItsWay = (World, LegRef, u64, fn(&mut World, LegRef, u64));
type Way = fn() -> OnItsWay;

/// We hold the peer: it has agreed, the media plane has yet to do it.
fn holding() -> OnItsWay {
    let (mut world, leg, tag) = connected("tone");
    world.hold(None).unwrap();
    let (request, _) = world.reinvite();
    world.responds(request, 200, &held("inactive"));
    (world, leg, tag, |world, leg, tag| {
        world.asked();
        world.media(Event::Updated { leg, number: tag });
    })
}

/// The call that we placed was answered a moment ago.
fn dialled() -> OnItsWay {
    let mut world = world();
    let dial = Dial::new("sip:a@192.0.2.9", target("b1"));
    let id = world.turn(|sessions, turn| sessions.dial(turn, dial)).unwrap();
    world.serve();
    let (call, ..) = world.invited();
    world.answered(call, DIALOG, SDP);
    let leg = world.session(id).leg().unwrap();
    (world, leg, id.as_u64(), |world, leg, tag| {
        world.asked();
        world.media(Event::Updated { leg, number: tag });
    })
}

/// The leg goes to another worker.
fn moving() -> OnItsWay {
    let mut world = World::new(Settings::default(), 4);
    let one = world.comes(1, "tone", SDP);
    let other = world.comes(DIALOG, "tone", SDP);
    world.serve();
    for dialog in [1, DIALOG] {
        world.acknowledges(dialog, "");
    }
    world.serve();
    world.turn(|sessions, turn| sessions.bridge(turn, one, other)).unwrap();
    assert!(matches!(world.asked()[..], [Command::Move { .. }]));
    let is_moving = |id| world.session(id).is_moving(&world.sessions.legs);
    assert_eq!((is_moving(one), is_moving(other)), (false, true), "the second one comes to the first");
    let id = other;
    world.said();
    let leg = world.session(id).leg().unwrap();
    (world, leg, id.as_u64(), |world, leg, tag| {
        world.legs.insert(leg, 0);
        world.media(Event::Moved { leg, number: tag, worker: 0 });
    })
}

const ON_THEIR_WAY: [(&str, Way); 3] = [("hold", holding), ("answered", dialled), ("moving", moving)];

#[test]
fn a_quick_change_waits_and_is_carried_out() {
    for (what, way) in ON_THEIR_WAY {
        for by in WAYS {
            let (mut world, leg, tag, goes_on) = way();
            let id = SessionId::from_u64(tag);
            by.asks(&mut world, DIALOG, &held("recvonly"));
            is_waiting(&mut world, id);
            // Another one is too many; the endpoint says so before it comes here.
            world.insists(DIALOG, 99, "INVITE", SDP);
            let said = world.said();
            assert!(matches!(said[..], [Said::Reject(99, 491 | 500, _)]), "{what} {by:?}: {said:?}");
            goes_on(&mut world, leg, tag);
            assert!(world.said.is_empty(), "{what} {by:?}: the media plane comes first");
            world.serve();
            let direction = if what == "hold" { "inactive" } else { "sendonly" };
            by.is_answered(&mut world, direction);
            let flows = if what == "hold" { Direction::Inactive } else { Direction::Send };
            assert_eq!(world.session(id).direction(), flows);
            assert!(!world.session(id).timers.is_set(crate::timers::timer::Timer::Change));
            let told = world.told();
            let changes =
                told.iter().filter(|event| **event == SessionEvent::Reinvited { id, has_offer: true }).count();
            assert_eq!(changes, 1, "{what} {by:?}: {told:?}");
        }
    }
}

#[test]
fn an_answer_that_is_still_on_its_way_to_the_media_plane_is_no_hindrance() {
    for by in WAYS {
        let (mut world, leg, tag) = connected("tone");
        let id = world.id();
        world.turn(|sessions, turn| sessions.mute(turn, id, true)).unwrap();
        by.asks(&mut world, DIALOG, &held("sendonly"));
        assert_eq!(world.asked().len(), 2);
        world.media(Event::Updated { leg, number: tag });
        assert!(world.said().is_empty(), "this was the other one");
        world.media(Event::Updated { leg, number: tag });
        by.is_answered(&mut world, "recvonly");
    }
}

#[test]
fn a_change_that_waits_gets_its_answer_whatever_happens() {
    for (what, way) in ON_THEIR_WAY {
        for by in WAYS {
            // We hang up.
            let (mut world, _, tag, _) = way();
            let id = SessionId::from_u64(tag);
            by.asks(&mut world, DIALOG, &held("sendonly"));
            world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
            assert_eq!(world.said(), [by.refused(487), Said::Bye(DIALOG)], "{what} {by:?}");
            // The peer does: the endpoint ends its INVITE.
            let (mut world, ..) = way();
            by.asks(&mut world, DIALOG, &held("sendonly"));
            world.over(DIALOG, Cause::RemoteBye);
            let expected = if by == By::Update { vec![by.refused(487)] } else { vec![] };
            assert_eq!(world.said(), expected, "{what} {by:?}");
            // The media plane says nothing, or no.
            let (mut world, ..) = way();
            by.asks(&mut world, DIALOG, &held("sendonly"));
            world.wait(MEDIA_ANSWER_LIMIT);
            assert_eq!(world.said(), [by.refused(487), Said::Bye(DIALOG)], "{what} {by:?}");
            let (mut world, leg, tag, _) = way();
            by.asks(&mut world, DIALOG, &held("sendonly"));
            world.asked();
            world.media(Event::Refused { leg, number: tag, reason: RefuseReason::System });
            if what == "moving" {
                world.serve();
                by.is_answered(&mut world, "recvonly"); // alone, where it is
            } else {
                assert_eq!(world.said(), [by.refused(487), Said::Bye(DIALOG)], "{what} {by:?}");
            }
            // The media plane is gone.
            let (mut world, ..) = way();
            by.asks(&mut world, DIALOG, &held("sendonly"));
            world.turn(|sessions, turn| sessions.media_lost(turn));
            assert!(world.said().contains(&by.refused(487)), "{what} {by:?}");
        }
        // The peer takes it back.
        let (mut world, leg, tag, goes_on) = way();
        By::Reinvite.asks(&mut world, DIALOG, &held("sendonly"));
        world.cancels_reinvite(DIALOG);
        goes_on(&mut world, leg, tag);
        world.serve();
        assert!(world.said().is_empty(), "{what}");
        assert_ne!(world.session(SessionId::from_u64(tag)).direction(), Direction::Receive);
    }
}

#[test]
fn what_cannot_be_read_is_refused_when_it_is_its_turn() {
    let (mut world, leg, tag, goes_on) = holding();
    By::Reinvite.asks(&mut world, DIALOG, &SDP.replace("RTP/AVP 0", "RTP/AVP 18"));
    is_waiting(&mut world, SessionId::from_u64(tag));
    goes_on(&mut world, leg, tag);
    assert_eq!(world.said(), [By::Reinvite.refused(488)]);
    assert_eq!(world.state(tag), SessionState::OnHold);
    By::Update.asks(&mut world, DIALOG, "x");
    assert_eq!(world.said(), [By::Update.refused(400)]);
}

/// Our 2xx had an offer. A re-INVITE says that it was acknowledged, even if that is lost; an UPDATE waits for that.
#[test]
fn a_change_before_the_acknowledgement_of_our_offer() {
    for by in WAYS {
        let (mut world, leg, tag) = ringing("tone", "");
        world.media(Event::Opened { leg, number: tag });
        world.said();
        by.asks(&mut world, DIALOG, &SDP.replace("4000", "4400"));
        if by == By::Update {
            is_waiting(&mut world, SessionId::from_u64(tag));
            world.acknowledges(DIALOG, SDP);
        }
        world.serve();
        by.is_answered(&mut world, "sendrecv");
        let spec = world.spec(SessionId::from_u64(tag));
        assert_eq!((spec.flow.direction(), spec.transport.remote_rtp.get().unwrap().port()), (Direction::Both, 4_400));
        // What comes of the acknowledgement later says nothing any more.
        world.acknowledges(DIALOG, SDP);
        assert!(world.commands.is_empty() && world.said().is_empty());
    }
}

/// RFC 3311 §5.2.
#[test]
fn an_update_before_the_answer_may_come_again_soon() {
    let mut world = world();
    world.calls(DIALOG, "later", SDP);
    world.said();
    By::Update.asks(&mut world, DIALOG, &held("sendonly"));
    assert_eq!(world.said(), [By::Update.refused(500)]);
    let [(name, seconds)] = &world.headers[..] else { panic!("{:?}", world.headers) };
    assert!(name == "Retry-After" && seconds.parse::<u64>().unwrap() <= 10, "{seconds}");
}

/// B changes its mind while something keeps A's side busy; what is on its way there ends.
#[test]
fn a_quick_change_waits_for_the_other_side() {
    type Way = (&'static str, fn(&mut Pair), fn(&mut Pair));
    let ways: [Way; 3] = [
        ("A has not acknowledged our 200", |pair| *pair = unacknowledged(), |pair| pair.world.acknowledges(A, "")),
        (
            "a change of A is being carried out",
            |pair| {
                By::Reinvite.asks(&mut pair.world, A, &SDP.replace("4000", "4400"));
                let request = offered(&mut pair.world, B);
                pair.world.responds(request, 200, SDP);
                assert!(pair.world.session(pair.caller).negotiation.has_change());
            },
            |pair| {
                let leg = pair.world.session(pair.caller).leg().unwrap();
                pair.world.media(Event::Updated { leg, number: pair.caller.as_u64() });
                let said = pair.world.said.remove(0);
                assert!(matches!(said, Said::Accept(REINVITE, _)), "{said:?}");
                pair.world.acknowledges(A, "");
            },
        ),
        (
            "our own offer is with A",
            |pair| {
                let caller = pair.caller;
                pair.world.turn(|sessions, turn| sessions.change_codec(turn, caller, Codec::Pcmu)).unwrap();
            },
            |pair| {
                let request = pair.world.last_request();
                pair.world.responds(request, 200, SDP);
            },
        ),
    ];
    for (what, begins, ends) in ways {
        let mut pair = up();
        begins(&mut pair);
        pair.world.said();
        By::Update.asks(&mut pair.world, B, &held("sendonly"));
        is_waiting(&mut pair.world, pair.called);
        ends(&mut pair);
        let request = offered(&mut pair.world, A);
        pair.world.responds(request, 200, &held("recvonly"));
        pair.world.serve();
        By::Update.is_answered(&mut pair.world, "recvonly");
        for (id, direction) in [(pair.called, Direction::Receive), (pair.caller, Direction::Send)] {
            assert_eq!(pair.world.session(id).direction(), direction, "{what}");
        }
    }
}

/// C takes the place of A, and its leg is on its way to the worker of B's.
#[test]
fn a_quick_change_waits_for_a_leg_that_moves() {
    let mut pair = up();
    let third = replaced(&mut pair, true);
    By::Update.asks(&mut pair.world, B, &held("sendonly"));
    is_waiting(&mut pair.world, pair.called);
    arrives(&mut pair, third);
    let request = offered(&mut pair.world, C);
    pair.world.responds(request, 200, &held("recvonly"));
    pair.world.serve();
    By::Update.is_answered(&mut pair.world, "recvonly");
    for (id, direction) in [(pair.called, Direction::Receive), (third, Direction::Send)] {
        assert_eq!(pair.world.session(id).direction(), direction);
    }
}

#[test]
fn both_sides_cannot_wait_for_each_other() {
    let mut pair = unacknowledged();
    By::Update.asks(&mut pair.world, B, &held("sendonly"));
    is_waiting(&mut pair.world, pair.called);
    // A's request is refused, and with that it is free for B's.
    pair.world.insists(A, REINVITE, "INVITE", &held("inactive"));
    assert_eq!(pair.world.said.remove(0), By::Reinvite.refused(491));
    let request = offered(&mut pair.world, A);
    pair.world.responds(request, 488, "");
    assert_eq!(pair.world.said(), [By::Update.refused(488)]);
}

#[test]
fn a_change_does_not_wait_for_ever() {
    for by in WAYS {
        let mut pair = unacknowledged();
        pair.world.loses(A);
        by.asks(&mut pair.world, B, &held("sendonly"));
        pair.world.wait(CHANGE_WAIT_LIMIT - Duration::from_nanos(1));
        is_waiting(&mut pair.world, pair.called);
        pair.world.wait(Duration::from_nanos(1));
        assert_eq!(pair.world.said(), [by.refused(491)]);
        // A acknowledges what it is sent again, and B asks again (RFC 3261 §14.1).
        pair.world.hears_again(A);
        pair.world.wait(Duration::from_secs(4));
        pair.world.serve();
        offered(&mut pair.world, A);
    }
    // What the endpoint refuses for good is not waited for.
    let mut config = EndpointConfig::default();
    config.limits.max_transactions = 4;
    let mut pair = going_in(World::with(Settings::default(), config, 6), SDP);
    pair.world.answered(pair.call, B, SDP);
    pair.world.serve();
    pair.world.acknowledges(A, "");
    pair.world.serve();
    pair.world.said();
    pair.world.fill_up();
    By::Update.asks(&mut pair.world, B, &held("sendonly"));
    assert_eq!(pair.world.said(), [By::Update.refused(500)]);
}

/// The peer that the offer has crossed to is replaced by another one, which then gets it.
#[test]
fn a_change_that_crossed_waits_for_the_next_one() {
    let mut pair = up();
    By::Reinvite.asks(&mut pair.world, A, &held("sendonly"));
    offered(&mut pair.world, B);
    pair.world.calls_replacing(90, B, &[], SDP);
    pair.world.serve();
    pair.world.acknowledges(90, "");
    pair.world.serve();
    let said = pair.world.said();
    assert!(said.contains(&Said::Bye(B)), "{said:?}");
    let Some(Said::Reinvite(request, to, _)) = said.iter().find(|said| matches!(said, Said::Reinvite(..))) else {
        panic!("{said:?}")
    };
    assert_eq!(*to, 90);
    pair.world.responds(*request, 200, &held("recvonly"));
    pair.world.serve();
    By::Reinvite.is_answered(&mut pair.world, "recvonly");
    assert_eq!(pair.world.session(pair.caller).state(), SessionState::OnHold);
}

/// A call comes to a peer that was on hold while its leg is on its way: it is heard as soon as that is over.
#[test]
fn an_offer_of_ours_that_finds_the_peer_busy_is_made_afterwards() {
    let mut pair = up();
    By::Reinvite.asks(&mut pair.world, B, &held("inactive"));
    let request = offered(&mut pair.world, A);
    pair.world.responds(request, 200, &held("inactive"));
    pair.world.serve();
    By::Reinvite.is_answered(&mut pair.world, "inactive");
    // A has not acknowledged its own late re-INVITE.
    pair.world.calls_replacing(90, B, &[], SDP);
    pair.world.reinvites(A, "");
    pair.world.serve_once();
    assert!(pair.world.session(pair.caller).negotiation.local_offer().is_none());
    let said = pair.world.said();
    assert!(said.contains(&Said::Bye(B)), "{said:?}");
    assert!(!said.iter().any(|said| matches!(said, Said::Reinvite(..))), "{said:?}");
    pair.world.acknowledges(A, "");
    let request = offered(&mut pair.world, A);
    pair.world.responds(request, 200, SDP);
    pair.world.serve();
    assert_eq!(pair.world.session(pair.caller).direction(), Direction::Both);
}

/// RFC 3311 §5.2: an UPDATE cannot wait for a called side that takes its time over the re-INVITE that it became.
#[test]
fn an_update_does_not_wait_for_a_slow_other_side() {
    let mut pair = up();
    let limit = Settings::default().timeouts.ending / 8;
    By::Update.asks(&mut pair.world, A, &held("sendonly"));
    let request = offered(&mut pair.world, B);
    pair.world.wait(limit - Duration::from_nanos(1));
    assert!(pair.world.said().is_empty());
    pair.world.wait(Duration::from_nanos(1));
    assert_eq!(pair.world.said(), [By::Update.refused(504)]);
    assert!(limit < Duration::from_secs(32), "the peer's own time for an answer");
    // The call goes on, and what B agrees to later is taken back.
    pair.world.responds(request, 200, &held("recvonly"));
    pair.world.serve();
    let request = offered(&mut pair.world, B);
    pair.world.responds(request, 200, SDP);
    pair.world.serve();
    for id in [pair.caller, pair.called] {
        assert_eq!(pair.world.session(id).state(), SessionState::Connected);
        assert_eq!(pair.world.session(id).direction(), Direction::Both);
    }
    // One that is answered in time sets no timer off.
    By::Update.asks(&mut pair.world, A, &held("sendonly"));
    let request = offered(&mut pair.world, B);
    pair.world.responds(request, 200, &held("recvonly"));
    pair.world.serve();
    By::Update.is_answered(&mut pair.world, "recvonly");
    pair.world.wait(2 * limit);
    assert!(pair.world.said().is_empty());
    // A re-INVITE may take as long as it likes.
    By::Reinvite.asks(&mut pair.world, A, SDP);
    offered(&mut pair.world, B);
    pair.world.wait(2 * limit);
    assert!(pair.world.said().is_empty());
}
