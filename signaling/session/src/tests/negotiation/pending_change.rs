//! Changes that a peer asks for while something else is on its way.

use crate::tests::common::*;
use crate::tests::fake::*;
use crate::tests::invite::forwards::{A, B, C, Pair, arrives, replaced, up};
use crate::*;
use clock::Duration;
use contract::{Command, Direction, Event, LegRef, RefuseReason};
use sip_core::{Cause, ClientRequestId, DialogId, InviteId, Refused, RequestId, Span};

const UPDATE: RequestId = RequestId::from_u64(50);

/// How a peer asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Reinvite,
    Update,
}

const WAYS: [By; 2] = [By::Reinvite, By::Update];

impl By {
    fn asks(self, world: &mut World, dialog: u64, sdp: &str) {
        let dialog = DialogId::from_u64(dialog);
        match self {
            Self::Reinvite => {
                let event = sip_core::Event::Reinvite { invite: REINVITE, dialog, message: Span::default() };
                world.sip(event, message("INVITE", "x", sdp));
            }
            Self::Update => {
                let event =
                    sip_core::Event::Request { request: UPDATE, dialog: Some(dialog), message: Span::default() };
                world.sip(event, message("UPDATE", "x", sdp));
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

fn acknowledged(dialog: u64) -> sip_core::Event {
    crate::tests::common::acknowledged(DialogId::from_u64(dialog))
}

/// The only thing that was said: a re-INVITE in this dialog.
fn offered(world: &mut World, dialog: u64) -> ClientRequestId {
    let said = world.said();
    let [Said::Reinvite(request, to, _)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(*to, DialogId::from_u64(dialog));
    *request
}

fn responds(world: &mut World, request: ClientRequestId, dialog: u64, status: u16, sdp: &str) {
    let dialog = Some(DialogId::from_u64(dialog));
    let message_span = Some(Span::default());
    let event = sip_core::Event::Response { request, dialog, status, message: message_span, wants_ack: false };
    world.sip(event, message("INVITE", "x", sdp));
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
    world.answer(request, 200, &held("inactive"));
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
    world.answered(call, DIALOG.as_u64(), SDP);
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
    let other = world.comes(DIALOG.as_u64(), "tone", SDP);
    world.serve();
    for dialog in [1, DIALOG.as_u64()] {
        world.sip(acknowledged(dialog), message("ACK", "tone", ""));
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
            by.asks(&mut world, DIALOG.as_u64(), &held("recvonly"));
            is_waiting(&mut world, id);
            // Another one is too many; the endpoint says so before it comes here.
            let second = InviteId::from_u64(99);
            let event = sip_core::Event::Reinvite { invite: second, dialog: DIALOG, message: Span::default() };
            world.sip(event, message("INVITE", "tone", SDP));
            assert_eq!(world.said(), [Said::Reject(second, 491, None)], "{what} {by:?}");
            goes_on(&mut world, leg, tag);
            assert!(world.sip.said.is_empty(), "{what} {by:?}: the media plane comes first");
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
        by.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
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
            by.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
            world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
            assert_eq!(world.said(), [by.refused(487), Said::Bye(DIALOG)], "{what} {by:?}");
            // The peer does: the endpoint ends its INVITE.
            let (mut world, ..) = way();
            by.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
            world.sip(ended(Cause::RemoteBye), vec![]);
            let expected = if by == By::Update { vec![by.refused(487)] } else { vec![] };
            assert_eq!(world.said(), expected, "{what} {by:?}");
            // The media plane says nothing, or no.
            let (mut world, ..) = way();
            by.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
            world.wait(MEDIA_ANSWER_LIMIT);
            assert_eq!(world.said(), [by.refused(487), Said::Bye(DIALOG)], "{what} {by:?}");
            let (mut world, leg, tag, _) = way();
            by.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
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
            by.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
            world.turn(|sessions, turn| sessions.media_lost(turn));
            assert!(world.said().contains(&by.refused(487)), "{what} {by:?}");
        }
        // The peer takes it back.
        let (mut world, leg, tag, goes_on) = way();
        By::Reinvite.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
        world.sip(sip_core::Event::ReinviteCancelled { invite: REINVITE, dialog: DIALOG }, vec![]);
        goes_on(&mut world, leg, tag);
        world.serve();
        assert!(world.said().is_empty(), "{what}");
        assert_ne!(world.session(SessionId::from_u64(tag)).direction(), Direction::Receive);
    }
}

#[test]
fn what_cannot_be_read_is_refused_when_it_is_its_turn() {
    let (mut world, leg, tag, goes_on) = holding();
    By::Reinvite.asks(&mut world, DIALOG.as_u64(), &SDP.replace("RTP/AVP 0", "RTP/AVP 18"));
    is_waiting(&mut world, SessionId::from_u64(tag));
    goes_on(&mut world, leg, tag);
    assert_eq!(world.said(), [By::Reinvite.refused(488)]);
    assert_eq!(world.state(tag), SessionState::OnHold);
    By::Update.asks(&mut world, DIALOG.as_u64(), "x");
    assert_eq!(world.said(), [By::Update.refused(400)]);
}

/// Our 2xx had an offer. A re-INVITE says that it was acknowledged, even if that is lost; an UPDATE waits for that.
#[test]
fn a_change_before_the_acknowledgement_of_our_offer() {
    for by in WAYS {
        let (mut world, leg, tag) = ringing("tone", "");
        world.media(Event::Opened { leg, number: tag });
        world.said();
        by.asks(&mut world, DIALOG.as_u64(), &SDP.replace("4000", "4400"));
        if by == By::Update {
            is_waiting(&mut world, SessionId::from_u64(tag));
            world.sip(acknowledged(DIALOG.as_u64()), message("ACK", "tone", SDP));
        }
        world.serve();
        by.is_answered(&mut world, "sendrecv");
        let spec = world.spec(SessionId::from_u64(tag));
        assert_eq!((spec.flow.direction(), spec.transport.remote_rtp.get().unwrap().port()), (Direction::Both, 4_400));
        // What comes of the acknowledgement later says nothing any more.
        world.sip(acknowledged(DIALOG.as_u64()), message("ACK", "tone", SDP));
        assert!(world.commands.is_empty() && world.said().is_empty());
    }
}

/// RFC 3311 §5.2.
#[test]
fn an_update_before_the_answer_may_come_again_soon() {
    let mut world = world();
    world.sip(invite(), message("INVITE", "later", SDP));
    world.said();
    By::Update.asks(&mut world, DIALOG.as_u64(), &held("sendonly"));
    assert_eq!(world.said(), [By::Update.refused(500)]);
    let [(name, seconds)] = &world.sip.headers[..] else { panic!("{:?}", world.sip.headers) };
    assert!(name == "Retry-After" && seconds.parse::<u64>().unwrap() <= 10, "{seconds}");
}

/// B changes its mind while something keeps A's side busy; what is on its way there ends.
#[test]
fn a_quick_change_waits_for_the_other_side() {
    type Way = (&'static str, fn(&mut Pair), fn(&mut Pair));
    let ways: [Way; 3] = [
        (
            "A has not acknowledged our 200",
            |pair| pair.world.sip.refusal = Some(Refused::Busy),
            |pair| pair.world.sip(acknowledged(A), message("ACK", "x", "")),
        ),
        (
            "a change of A is being carried out",
            |pair| {
                By::Reinvite.asks(&mut pair.world, A, &SDP.replace("4000", "4400"));
                let request = offered(&mut pair.world, B);
                responds(&mut pair.world, request, B, 200, SDP);
                assert!(pair.world.session(pair.caller).negotiation.has_change());
            },
            |pair| {
                let leg = pair.world.session(pair.caller).leg().unwrap();
                pair.world.media(Event::Updated { leg, number: pair.caller.as_u64() });
                let said = pair.world.sip.said.remove(0);
                assert!(matches!(said, Said::Accept(REINVITE, _)), "{said:?}");
            },
        ),
        (
            "our refresh is with A",
            |pair| {
                pair.world.sip(sip_core::Event::RefreshDue { dialog: DialogId::from_u64(A) }, vec![]);
            },
            |pair| {
                let request = pair.world.session(pair.caller).negotiation.local_offer().unwrap().request;
                responds(&mut pair.world, request, A, 200, SDP);
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
        responds(&mut pair.world, request, A, 200, &held("recvonly"));
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
    responds(&mut pair.world, request, C, 200, &held("recvonly"));
    pair.world.serve();
    By::Update.is_answered(&mut pair.world, "recvonly");
    for (id, direction) in [(pair.called, Direction::Receive), (third, Direction::Send)] {
        assert_eq!(pair.world.session(id).direction(), direction);
    }
}

#[test]
fn both_sides_cannot_wait_for_each_other() {
    let mut pair = up();
    pair.world.sip.refusal = Some(Refused::Busy);
    By::Update.asks(&mut pair.world, B, &held("sendonly"));
    is_waiting(&mut pair.world, pair.called);
    // A's request is refused, and with that it is free for B's.
    By::Reinvite.asks(&mut pair.world, A, &held("inactive"));
    assert_eq!(pair.world.sip.said.remove(0), By::Reinvite.refused(491));
    let request = offered(&mut pair.world, A);
    responds(&mut pair.world, request, A, 488, "");
    assert_eq!(pair.world.said(), [By::Update.refused(488)]);
}

#[test]
fn a_change_does_not_wait_for_ever() {
    for by in WAYS {
        let mut pair = up();
        pair.world.sip.refusal = Some(Refused::Busy);
        by.asks(&mut pair.world, B, &held("sendonly"));
        pair.world.wait(CHANGE_WAIT_LIMIT - Duration::from_nanos(1));
        is_waiting(&mut pair.world, pair.called);
        // Tried again in vain: the limit stays where it was.
        pair.world.sip.refusal = Some(Refused::Busy);
        pair.world.sip(acknowledged(A), message("ACK", "x", ""));
        is_waiting(&mut pair.world, pair.called);
        pair.world.wait(Duration::from_nanos(1));
        assert_eq!(pair.world.said(), [by.refused(491)]);
        by.asks(&mut pair.world, B, &held("sendonly"));
        offered(&mut pair.world, A);
    }
    // What the endpoint refuses for good is not waited for.
    let mut pair = up();
    pair.world.sip.refusal = Some(Refused::WrongState);
    By::Update.asks(&mut pair.world, B, &held("sendonly"));
    assert_eq!(pair.world.said(), [By::Update.refused(500)]);
}

/// The peer that the offer has crossed to is replaced by another one, which then gets it.
#[test]
fn a_change_that_crossed_waits_for_the_next_one() {
    let mut pair = up();
    By::Reinvite.asks(&mut pair.world, A, &held("sendonly"));
    offered(&mut pair.world, B);
    let (invite, dialog) = (InviteId::from_u64(90), DialogId::from_u64(90));
    let replaces = Some(DialogId::from_u64(B));
    let event = sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces };
    pair.world.sip(event, message("INVITE", "x", SDP));
    pair.world.serve();
    let said = pair.world.said();
    assert!(said.contains(&Said::Bye(DialogId::from_u64(B))), "{said:?}");
    let Some(Said::Reinvite(request, to, _)) = said.iter().find(|said| matches!(said, Said::Reinvite(..))) else {
        panic!("{said:?}")
    };
    assert_eq!(*to, dialog);
    responds(&mut pair.world, *request, 90, 200, &held("recvonly"));
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
    responds(&mut pair.world, request, A, 200, &held("inactive"));
    pair.world.serve();
    By::Reinvite.is_answered(&mut pair.world, "inactive");
    let (invite, dialog) = (InviteId::from_u64(90), DialogId::from_u64(90));
    let event =
        sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces: Some(DialogId::from_u64(B)) };
    pair.world.sip(event, message("INVITE", "x", SDP));
    // A's acknowledgement of something is missing.
    pair.world.sip.refusal = Some(Refused::Busy);
    pair.world.serve_once();
    assert!(pair.world.session(pair.caller).negotiation.local_offer().is_none());
    let said = pair.world.said();
    assert!(said.contains(&Said::Bye(DialogId::from_u64(B))), "{said:?}");
    assert!(!said.iter().any(|said| matches!(said, Said::Reinvite(..))), "{said:?}");
    pair.world.sip(acknowledged(A), message("ACK", "x", ""));
    let request = offered(&mut pair.world, A);
    responds(&mut pair.world, request, A, 200, SDP);
    pair.world.serve();
    assert_eq!(pair.world.session(pair.caller).direction(), Direction::Both);
}

/// RFC 3311 §5.2: an UPDATE cannot wait for a called side that takes its time over the re-INVITE that it became.
#[test]
fn an_update_does_not_wait_for_a_slow_other_side() {
    let mut pair = up();
    let limit = Settings::default().ending_limit / 8;
    By::Update.asks(&mut pair.world, A, &held("sendonly"));
    let request = offered(&mut pair.world, B);
    pair.world.wait(limit - Duration::from_nanos(1));
    assert!(pair.world.said().is_empty());
    pair.world.wait(Duration::from_nanos(1));
    assert_eq!(pair.world.said(), [By::Update.refused(504)]);
    assert!(limit < Duration::from_secs(32), "the peer's own time for an answer");
    // The call goes on, and what B agrees to later is taken back.
    responds(&mut pair.world, request, B, 200, &held("recvonly"));
    pair.world.serve();
    let request = offered(&mut pair.world, B);
    responds(&mut pair.world, request, B, 200, SDP);
    pair.world.serve();
    for id in [pair.caller, pair.called] {
        assert_eq!(pair.world.session(id).state(), SessionState::Connected);
        assert_eq!(pair.world.session(id).direction(), Direction::Both);
    }
    // One that is answered in time sets no timer off.
    By::Update.asks(&mut pair.world, A, &held("sendonly"));
    let request = offered(&mut pair.world, B);
    responds(&mut pair.world, request, B, 200, &held("recvonly"));
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
