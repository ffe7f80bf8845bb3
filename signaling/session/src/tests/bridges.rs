//! Sessions that are put together.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use contract::{Command, Direction, Event, RefuseReason, Rewriting, Source};
use sip_core::Cause;

/// Two answered calls; their legs are on different workers.
fn two() -> (World, SessionId, SessionId) {
    let mut world = World::new(Settings::default(), 4);
    let one = world.comes(1, "tone", SDP);
    let other = world.comes(2, "play", SDP);
    world.serve();
    world.acknowledges(1, "");
    world.acknowledges(2, "");
    world.serve();
    world.said();
    world.events.clear();
    (world, one, other)
}

fn bridged() -> (World, SessionId, SessionId, BridgeId) {
    let (mut world, one, other) = two();
    let bridge = world.turn(|sessions, turn| sessions.bridge(turn, one, other)).unwrap();
    world.serve();
    (world, one, other, bridge)
}

#[test]
fn two_calls_hear_each_other_until_one_ends() {
    let (mut world, one, other, bridge) = bridged();
    let (first, second) = (world.session(one).leg().unwrap(), world.session(other).leg().unwrap());
    assert_eq!(world.legs[&first], world.legs[&second], "one has moved");
    assert_eq!(
        (world.spec(one).flow.source(), world.spec(other).flow.source()),
        (Source::Leg(second), Source::Leg(first))
    );
    assert_eq!(world.spec(one).flow.rewriting(), Rewriting::Continuous);
    assert_eq!(
        world.told(),
        [
            SessionEvent::ParticipantAdded { bridge, id: one },
            SessionEvent::ParticipantAdded { bridge, id: other },
            SessionEvent::BridgeJoined { bridge }
        ]
    );
    let again = world.turn(|sessions, turn| sessions.bridge(turn, one, other));
    assert!(matches!(again, Err(SessionError::InvalidState { operation: Operation::Bridge, .. })));
    world.over(2, Cause::RemoteBye);
    world.serve();
    let told = world.told();
    let removed = |id, reason| SessionEvent::ParticipantRemoved { bridge, id, reason };
    assert!(told.contains(&removed(other, LeaveReason::Ended)), "{told:?}");
    assert!(told.contains(&removed(one, LeaveReason::Destroyed)), "{told:?}");
    assert_eq!(told.iter().filter(|event| **event == SessionEvent::BridgeDestroyed { bridge }).count(), 1);
    assert_eq!(world.spec(one).flow.source(), Source::Tone440, "it goes on with its own source");
    assert_eq!(world.session(one).state(), SessionState::Connected);
    world.over(1, Cause::RemoteBye);
    world.serve();
    world.assert_empty();
}

#[test]
fn taken_apart_and_put_together_again() {
    let (mut world, one, other, bridge) = bridged();
    world.turn(|sessions, turn| sessions.remove_from_bridge(turn, bridge, other)).unwrap();
    world.serve();
    assert_eq!((world.spec(one).flow.source(), world.spec(other).flow.source()), (Source::Tone440, Source::Prompt(0)));
    assert_eq!(world.sessions.bridges().count(), 1);
    let third = world.comes(3, "tone", SDP);
    world.serve();
    world.turn(|sessions, turn| sessions.add_to_bridge(turn, bridge, third)).unwrap();
    world.serve();
    assert_eq!(world.session(one).linked_to(), Some(third));
    let refused = world.turn(|sessions, turn| sessions.add_to_bridge(turn, bridge, other));
    assert!(matches!(refused, Err(SessionError::ResourceExhausted { limit: BRIDGE_MEMBERS_MAX, .. })));
    world.turn(|sessions, turn| sessions.destroy_bridge(turn, bridge)).unwrap();
    let gone = world.turn(|sessions, turn| sessions.destroy_bridge(turn, bridge));
    assert_eq!(gone, Err(SessionError::BridgeNotFound(bridge)));
    world.serve();
    assert!([one, third].iter().all(|id| world.session(*id).linked_to().is_none()));
    assert_eq!(world.spec(one).flow.source(), Source::Tone440);
    // One whose last session is taken out goes.
    let last = world.turn(|sessions, turn| sessions.bridge(turn, one, third)).unwrap();
    for id in [one, third] {
        world.turn(|sessions, turn| sessions.remove_from_bridge(turn, last, id)).unwrap();
    }
    assert_eq!(world.events.last(), Some(&SessionEvent::BridgeDestroyed { bridge: last }));
    world.serve();
    // An empty one, and one with a single session.
    let empty = world.turn(|sessions, _| sessions.create_bridge()).unwrap();
    world.turn(|sessions, turn| sessions.add_to_bridge(turn, empty, one)).unwrap();
    world.over(1, Cause::RemoteBye);
    assert_eq!(world.sessions.bridges().count(), 0);
}

#[test]
fn what_cannot_hear_each_other_is_not_put_together() {
    let media = MediaSettings { transcoding: false, ..MediaSettings::default() };
    let mut world = World::new(Settings { media, ..Settings::default() }, 4);
    let one = world.comes(1, "tone", SDP);
    let other = world.comes(2, "tone", &SDP.replace("RTP/AVP 0", "RTP/AVP 8"));
    let ringing = world.comes(3, "later", SDP);
    world.serve();
    let mut bridge = |one, other| world.turn(|sessions, turn| sessions.bridge(turn, one, other));
    assert!(matches!(bridge(one, other), Err(SessionError::Media(_))));
    assert!(matches!(bridge(one, ringing), Err(SessionError::InvalidState { state: SessionState::Ringing, .. })));
    assert!(matches!(bridge(one, one), Err(SessionError::Argument(_))));
    assert_eq!(world.sessions.bridges().count(), 0);
}

#[test]
fn a_leg_that_cannot_move_takes_the_bridge_down() {
    let (mut world, one, other) = two();
    world.turn(|sessions, turn| sessions.bridge(turn, one, other)).unwrap();
    let asked = world.asked();
    let [Command::Move { leg, number: tag, .. }] = asked[..] else { panic!("{asked:?}") };
    // Whatever happens meanwhile waits until it is known where the leg is.
    world.said();
    world.turn(|sessions, turn| sessions.hold(turn, other, None)).unwrap();
    assert!(world.said().is_empty());
    world.turn(|sessions, turn| sessions.mute(turn, other, true)).unwrap();
    assert!(world.commands.iter().all(|(_, command)| command.leg() != leg), "{:?}", world.commands);
    world.serve();
    world.media(Event::Refused { leg, number: tag, reason: RefuseReason::Full });
    assert!(matches!(world.said()[..], [Said::Reinvite(..)]), "the hold goes out now");
    let told = world.told();
    assert!(
        told.iter().any(|event| matches!(event, SessionEvent::ParticipantRemoved { reason: LeaveReason::Failed, .. }))
    );
    world.serve();
    assert_eq!((world.spec(other).flow.muted, world.spec(other).flow.source()), (1, Source::Prompt(0)));
    assert_eq!(world.sessions.bridges().count(), 0);
}

#[test]
fn a_call_ends_while_its_leg_moves() {
    for leg_went in [true, false] {
        let (mut world, one, other) = two();
        world.turn(|sessions, turn| sessions.bridge(turn, one, other)).unwrap();
        let asked = world.asked();
        let [Command::Move { leg, number: tag, worker }] = asked[..] else { panic!("{asked:?}") };
        world.over(2, Cause::RemoteBye);
        let closes = std::mem::take(&mut world.commands);
        assert!(closes.iter().any(|(_, command)| *command == Command::Close { leg, number: tag }), "{closes:?}");
        if leg_went {
            // The old worker does not have it any more, the new one gets its own `Close`.
            world.media(Event::Refused { leg, number: tag, reason: RefuseReason::NoSuchLeg });
            assert_eq!(world.ports.out.len(), 2);
            world.media(Event::Moved { leg, number: tag, worker });
            assert!(world.commands.contains(&(worker, Command::Close { leg, number: tag })));
        } else {
            world.media(Event::Refused { leg, number: tag, reason: RefuseReason::Full });
        }
        world.media(Event::Closed { leg, number: tag, reason: contract::CloseReason::Asked });
        assert_eq!(world.ports.out.len(), 1);
        assert_eq!(world.sessions.count(), 1);
    }
}

#[test]
fn hold_in_a_bridge_plays_music_and_comes_back() {
    let (mut world, one, other, _) = bridged();
    world.turn(|sessions, turn| sessions.hold(turn, one, Some(PlannedSource::Prompt(9)))).unwrap();
    let (request, _) = world.reinvite_to(1);
    world.responds(request, 200, &held("recvonly"));
    world.serve();
    assert_eq!((world.spec(one).flow.source(), world.spec(one).flow.direction()), (Source::Prompt(9), Direction::Send));
    world.turn(|sessions, turn| sessions.resume(turn, one)).unwrap();
    let (request, _) = world.reinvite_to(1);
    world.responds(request, 200, SDP);
    world.serve();
    assert_eq!(world.spec(one).flow.source(), Source::Leg(world.session(other).leg().unwrap()));
}

#[test]
fn a_bridge_says_when_its_sessions_hear_each_other() {
    let (mut world, one, other) = two();
    let bridge = world.turn(|sessions, _| sessions.create_bridge()).unwrap();
    world.turn(|sessions, turn| sessions.add_to_bridge(turn, bridge, one)).unwrap();
    assert!(world.sessions.is_joined(bridge), "it waits for nobody");
    world.turn(|sessions, turn| sessions.add_to_bridge(turn, bridge, other)).unwrap();
    let mut rounds = 0;
    while !world.commands.is_empty() {
        assert!(!world.sessions.is_joined(bridge), "a leg moves, then both are told");
        assert!(!world.events.contains(&SessionEvent::BridgeJoined { bridge }));
        world.serve_once();
        rounds += 1;
    }
    assert!(world.sessions.is_joined(bridge) && rounds == 2, "{rounds}");
    let told = world.told().into_iter().filter(|event| *event == SessionEvent::BridgeJoined { bridge }).count();
    assert_eq!(told, 1);
    world.turn(|sessions, turn| sessions.destroy_bridge(turn, bridge)).unwrap();
    assert!(world.sessions.is_joined(bridge), "it is gone");
}
