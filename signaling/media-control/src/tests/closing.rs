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
    assert!(world.pool.is_out(leg), "the leg may still run on it");
    assert_eq!((world.legs.count(), world.legs.awaited()), (0, AwaitedCount::default()));
    assert_eq!((world.legs.state(opening), world.legs.deadline()), (None, None));
    assert_eq!(world.wait(Duration::from_secs(3_600)), [], "once");
    // Its answers come after all, when there is another leg.
    let other = world.opening_on(0, &tone());
    world.told();
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened], "about a leg that is gone nobody is told");
    assert!(!world.pool.is_out(leg));
    world.close(other);
    world.serve();
    world.assert_empty();
}

/// A leg that hears another one, and is heard by it: that one is not closed in time.
#[test]
fn a_leg_that_is_not_closed_in_time_is_not_heard_any_more_and_keeps_its_port() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let other = world.open_on(0, &hears(tone(), one));
    world.want(one, &hears(tone(), other));
    world.serve();
    let leg = world.legs.port(one).unwrap().leg;
    world.close(one);
    // The worker fails over the command.
    world.plane.lose(0);
    world.told();
    assert_eq!(world.wait(CLOSE_LIMIT), [(1_000, LegEvent::CloseTimedOut)]);
    assert_eq!((world.legs.count(), world.pool.is_out(leg)), (1, true));
    let none = Err(LegError::NoSuchLeg);
    assert_eq!(world.turn(|legs, turn| legs.close(turn, one)), none, "its handle is void");
    world.legs.set_limit(2);
    let full = world.turn(|legs, turn| legs.reserve(turn, 7, None));
    assert_eq!(full, Err(LegError::Full), "its row is still used");
    world.serve();
    assert_eq!((world.told(), world.source(other)), (vec![LegEvent::Confirmed(last_update(&world))], Source::Tone440));
    assert!(!world.pool.is_out(leg), "it has been asked to close once more");
    world.close(other);
    world.serve();
    world.assert_empty();
    // A media plane that is lost has no leg any more.
    let id = world.open_on(0, &tone());
    world.close(id);
    world.plane.lose(0);
    world.wait(CLOSE_LIMIT);
    assert_eq!(world.legs.media_lost(), []);
    assert_eq!((world.legs.count(), world.legs.deadline()), (0, None));
    world.legs.set_limit(1);
    world.plane = Plane::new(2);
    assert!(world.turn(|legs, turn| legs.reserve(turn, 7, None)).is_ok(), "nothing is left of it");
}

/// The number of the last update that the media plane was told.
fn last_update(world: &World) -> CommandNumber {
    let updates = world.plane.taken.iter().filter(|command| matches!(command, Command::Update { .. }));
    CommandNumber::from_answer(updates.last().expect("an update").number()).unwrap()
}

/// Closed on its way to another worker: neither worker has answered in time, and then both do.
#[test]
fn a_leg_that_moves_and_is_not_closed_in_time_is_closed_where_it_arrives() {
    let mut world = World::new();
    let (one, other) = (world.open_on(0, &tone()), world.open_on(1, &tone()));
    world.want(other, &hears(tone(), one));
    assert_eq!(world.legs.state(other), Some(LegState::Moving));
    world.close(other);
    world.told();
    let told = world.wait(CLOSE_LIMIT);
    assert_eq!(told, [(1_001, LegEvent::CloseTimedOut)]);
    world.serve();
    assert_eq!((world.told(), world.pool.out_count(), world.plane.leg_count()), (vec![], 1, 1));
    world.close(one);
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
