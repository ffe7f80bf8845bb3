//! The end of legs, and of the media plane.

use super::*;
use crate::Ports;
use contract::{CloseReason, RefuseReason};
use plane::Refuse;

#[test]
fn a_port_is_out_until_its_leg_is_closed() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    let leg = world.legs.port(id).unwrap().leg;
    world.told();
    assert!(!world.close(id) && !world.close(id), "twice is once");
    assert_eq!(world.plane.taken().iter().filter(|command| matches!(command, Command::Close { .. })).count(), 1);
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 0, others: 1 });
    assert!(world.pool.is_out(leg));
    assert_eq!(world.want(id, &muted(tone())), Standing::NotOpen);
    world.serve();
    assert_eq!(world.told(), [LegEvent::Closed(CloseReason::Asked)]);
    world.assert_empty();
}

#[test]
fn a_leg_is_closed_while_it_opens_or_has_updates_on_their_way() {
    let mut world = World::new();
    let id = world.opening_on(0, &tone());
    world.want(id, &muted(tone()));
    world.close(id);
    world.serve();
    assert_eq!(world.told(), [LegEvent::Late, LegEvent::Closed(CloseReason::Asked)]);
    world.assert_empty();
    // It was not opened: nor can it be closed.
    let id = world.opening_on(0, &tone());
    world.close(id);
    world.plane.work(0, Some(Refuse(RefuseReason::Full)));
    world.serve();
    assert_eq!(world.told(), [LegEvent::Late, LegEvent::Closed(CloseReason::Asked)]);
    world.assert_empty();
    let id = world.open_on(0, &tone());
    world.told();
    world.want(id, &muted(tone()));
    world.close(id);
    world.plane.work(0, Some(Refuse(RefuseReason::Invalid)));
    world.serve();
    assert_eq!(world.told(), [LegEvent::Late, LegEvent::Closed(CloseReason::Asked)]);
    world.assert_empty();
}

#[test]
fn a_leg_that_fails_by_itself_is_gone_and_is_not_heard_any_more() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let other = world.open_on(0, &hears(tone(), one));
    world.told();
    world.plane.fail(world.legs.port(one).unwrap().leg);
    world.serve();
    assert_eq!(world.told()[0], LegEvent::Closed(CloseReason::Failed));
    assert_eq!((world.legs.state(one), world.source(other)), (None, Source::Tone440));
    world.assert_settled(&[other]);
    world.close(other);
    world.serve();
    world.assert_empty();
}

#[test]
fn a_media_plane_that_says_nothing_is_not_waited_for() {
    let mut world = World::new();
    let opening = world.opening_on(0, &tone());
    assert_eq!(world.wait(ANSWER_LIMIT), [(1_000, LegEvent::OpenTimedOut)]);
    assert_eq!(world.wait(ANSWER_LIMIT), [], "once");
    assert_eq!(world.legs.state(opening), Some(LegState::Opening));
    world.close(opening);
    assert_eq!(world.legs.deadline(), Some(world.now + CLOSE_LIMIT));
    let leg = world.legs.port(opening).unwrap().leg;
    assert_eq!(world.wait(CLOSE_LIMIT - Duration::from_nanos(1)), []);
    assert!(world.pool.is_out(leg));
    assert_eq!(world.wait(Duration::from_nanos(1)), [(1_000, LegEvent::CloseTimedOut)]);
    assert!(!world.pool.is_out(leg));
    assert_eq!((world.legs.count(), world.legs.awaited()), (0, AwaitedCount::default()));
    // Its answers come after all, when another leg is in its place.
    let other = world.opening_on(0, &tone());
    world.told();
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened], "about a leg that is gone nobody is told");
    world.close(other);
    world.serve();
    world.assert_empty();
}

#[test]
fn a_lost_media_plane_is_built_again_from_what_is_wanted() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let other = world.open_on(0, &hears(tone(), one));
    world.want(one, &hears(tone(), other));
    let closing = world.open_on(1, &tone());
    let opening = world.opening_on(1, &tone());
    world.close(closing);
    world.want(other, &muted(hears(tone(), one)));
    let before = [one, other].map(|id| world.legs.wanted_spec(id).unwrap());
    assert_eq!(world.legs.media_lost(), []);
    world.pool.forget();
    world.plane = Plane::new(2);
    assert_eq!(world.legs.state(closing), None);
    assert!([one, other, opening].iter().all(|id| world.legs.state(*id) == Some(LegState::Lost)));
    assert_eq!((world.legs.awaited(), world.legs.deadline()), (AwaitedCount::default(), None));
    assert_eq!(world.want(opening, &muted(tone())), Standing::NotOpen);
    assert!(world.close(opening), "nobody has to be told");
    // On two workers: they are brought together again.
    for (id, worker) in [(one, 0), (other, 1)] {
        let port = world.pool.take_on(worker).unwrap();
        world.turn(|legs, turn| legs.reopen(turn, id, port)).unwrap();
        assert_eq!(world.turn(|legs, turn| legs.reopen(turn, id, port)), Err(LegError::WrongState));
    }
    world.serve();
    world.assert_settled(&[one, other]);
    for (id, before) in [one, other].into_iter().zip(before) {
        let source = world.legs.source(id).unwrap();
        assert_eq!(source.1, EdgeState::Flowing);
        let spec = before.with(|spec| spec.flow.source = world.spec(id).flow.source);
        // All but the port, which is one of the new media plane.
        let spec = spec.with(|spec| spec.transport.port = world.legs.port(id).unwrap().pair);
        assert_eq!((world.spec(id), world.source(id)), (spec, Source::Leg(world.legs.port(source.0).unwrap().leg)));
    }
    for id in [one, other] {
        world.close(id);
    }
    world.serve();
    world.assert_empty();
}
