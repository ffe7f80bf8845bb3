//! What a user asks for while something else is on its way to the peer or to the media plane.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Codec, Direction};

fn done(id: SessionId, operation: Operation) -> SessionEvent {
    SessionEvent::Done { id, operation }
}

/// Events that tell the outcome of operations.
fn outcomes(world: &mut World) -> Vec<SessionEvent> {
    let is_outcome = |event: &SessionEvent| {
        matches!(event, SessionEvent::Done { .. } | SessionEvent::Failed { .. } | SessionEvent::Declined { .. })
    };
    world.told().into_iter().filter(is_outcome).collect()
}

fn aim(world: &mut World, address: &str) -> Result<Carried, SessionError> {
    let (id, remote) = (world.id(), Remote::Address(address.parse().unwrap()));
    world.turn(|sessions, turn| sessions.send_media_to(turn, id, remote))
}

#[test]
fn operations_are_carried_out_in_order() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    world.hold(None).unwrap();
    let (request, _) = world.reinvite();
    // Resume makes no sense yet; what does, waits.
    assert!(matches!(world.resume(), Err(SessionError::InvalidState { .. })));
    assert_eq!(aim(&mut world, "192.0.2.77:7000"), Ok(Carried::Later));
    world.turn(|sessions, turn| sessions.change_codec(turn, id, Codec::Pcmu)).unwrap();
    world.asked();
    world.responds(request, 200, &held("inactive"));
    assert!(world.said().is_empty(), "the media plane comes first");
    world.serve();
    assert_eq!(world.session(id).remote_rtp(), Some("192.0.2.77:7000".parse().unwrap()));
    assert_eq!(outcomes(&mut world), [done(id, Operation::Hold), done(id, Operation::ChangeMedia)]);
    // The next offer is out; now that it is held, resume waits for that.
    let (request, sdp) = world.reinvite();
    assert!(sdp.contains("a=inactive"), "{sdp}");
    world.resume().unwrap();
    world.responds(request, 488, "");
    let (request, sdp) = world.reinvite();
    assert!(sdp.contains("a=sendrecv"), "{sdp}");
    world.responds(request, 200, SDP);
    world.serve();
    let (status, origin) = (488, EndOrigin::Peer);
    let failed = SessionEvent::Failed { id, operation: Operation::ChangeMedia, status, origin };
    assert_eq!(outcomes(&mut world), [failed, done(id, Operation::Resume)]);
    assert_eq!(world.session(id).direction(), Direction::Both);
}

#[test]
fn an_operation_that_makes_no_sense_any_more_is_declined() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    world.hold(None).unwrap();
    world.hold(Some(PlannedSource::Prompt(1))).unwrap();
    let (request, _) = world.reinvite();
    world.told();
    world.responds(request, 200, &held("inactive"));
    world.serve();
    assert!(world.said().is_empty());
    let told = outcomes(&mut world);
    let [first, SessionEvent::Declined { operation: Operation::Hold, error, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*first, done(id, Operation::Hold));
    assert!(matches!(**error, SessionError::InvalidState { operation: Operation::Hold, .. }), "{error:?}");
}

#[test]
fn no_more_wait_than_there_is_room_for_and_none_for_ever() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    world.hold(None).unwrap();
    world.reinvite();
    world.hold(None).unwrap();
    for _ in 1..PENDING_OPERATIONS_MAX {
        world.hold(None).unwrap();
    }
    let full = world.hold(None);
    assert!(matches!(full, Err(SessionError::ResourceExhausted { limit: PENDING_OPERATIONS_MAX, .. })), "{full:?}");
    world.told();
    world.wait(OPERATION_WAIT_LIMIT - Duration::from_nanos(1));
    assert!(outcomes(&mut world).is_empty());
    world.wait(Duration::from_nanos(1));
    let busy = |_| SessionEvent::Declined {
        id,
        operation: Operation::Hold,
        error: Box::new(SessionError::Busy(Operation::Hold)),
    };
    assert_eq!(outcomes(&mut world), (0..PENDING_OPERATIONS_MAX).map(busy).collect::<Vec<_>>());
    assert!(world.said().is_empty());
    assert!(world.hold(None).is_ok(), "there is room again");
}

#[test]
fn what_waits_ends_with_the_call() {
    let (mut world, ..) = connected("tone");
    world.hold(None).unwrap();
    world.hold(None).unwrap();
    let id = world.id();
    world.told();
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    world.over(DIALOG, sip_core::Cause::LocalBye);
    world.serve();
    world.assert_empty();
    assert!(outcomes(&mut world).is_empty());
}

/// RFC 3261 §14.1: both sides offer at once, and the peer is the first to try again. Our offer has to know of the peer's.
#[test]
fn an_offer_that_waits_after_a_491_gives_way_to_the_peers() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    world.hold(None).unwrap();
    let (request, sdp) = world.reinvite();
    let version = |sdp: &str| -> u64 { sdp.split_whitespace().nth(3).unwrap().parse().unwrap() };
    let first = version(&sdp);
    // The endpoint waits; the peer does so for less long.
    world.responds(request, 491, "");
    world.reinvites(DIALOG, &SDP.replace("4000", "4400"));
    assert!(world.said().is_empty());
    assert!(world.session(id).timers.is_set(crate::timers::timer::Timer::Operation), "it does not wait for ever");
    world.serve();
    let said = world.said();
    let [Said::Accept(REINVITE, sdp)] = &said[..] else { panic!("{said:?}") };
    let second = version(sdp);
    assert!(second > first);
    world.acknowledges(DIALOG, "");
    let (again, sdp) = world.reinvite();
    assert_ne!(again, request);
    assert!(version(&sdp) > second && sdp.contains("a=inactive"), "{sdp}");
    world.responds(again, 200, &held("inactive").replace("4000", "4400"));
    world.serve();
    assert_eq!(outcomes(&mut world), [done(id, Operation::Hold)]);
    let spec = world.spec(id);
    assert_eq!((spec.transport.remote_rtp.get().unwrap().port(), spec.flow.direction()), (4_400, Direction::Inactive));
    // Nothing comes of the first one.
    world.wait(Duration::from_secs(10));
    assert!(world.said().is_empty());
}

/// A refresh that gives way is none any more: the peer's own offer refreshes.
#[test]
fn a_refresh_that_gives_way_is_not_made_again() {
    let (mut world, _, request, _) = refreshing();
    world.responds(request, 491, "");
    world.reinvites(DIALOG, &SDP.replace("4000", "4400"));
    world.serve();
    assert!(matches!(world.said()[..], [Said::Accept(REINVITE, _)]));
    world.wait(Duration::from_secs(10));
    assert!(world.said().is_empty());
}
