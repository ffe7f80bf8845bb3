//! Legs that go to another worker.

use super::*;
use contract::{CloseReason, RefuseReason};
use plane::Refuse;

/// One that need not be told anything new when it is to hear another leg.
fn tone() -> LegWish {
    let wish = super::tone();
    LegWish { flow: FlowWish { is_continuous: true, ..wish.flow }, ..wish }
}

/// Two legs on different workers, the second on its way to the first.
fn meeting() -> (World, LegId, LegId) {
    let mut world = World::new();
    let (one, other) = (world.open_on(0, &tone()), world.open_on(1, &tone()));
    world.want(one, &hears(tone(), other));
    world.want(other, &hears(tone(), one));
    world.told();
    assert_eq!(world.legs.state(other), Some(LegState::Moving));
    assert_eq!(world.legs.source(one), Some((other, EdgeState::Moving)));
    (world, one, other)
}

#[test]
fn two_legs_meet_on_the_worker_of_the_older_one() {
    let (mut world, one, other) = meeting();
    assert_eq!(world.legs.awaited().calls, 1);
    world.serve();
    assert!(world.told().contains(&LegEvent::Moved));
    let leg = |id| world.legs.port(id).unwrap();
    assert_eq!((leg(one).worker, leg(other).worker), (0, 0));
    assert_eq!((world.source(one), world.source(other)), (Source::Leg(leg(other).leg), Source::Leg(leg(one).leg)));
    assert_eq!((world.pool.moved[&1], world.pool.moved[&0]), (-1, 1));
    assert_eq!(world.legs.source(other), Some((one, EdgeState::Flowing)));
    world.assert_settled(&[one, other]);
}

#[test]
fn what_is_wanted_meanwhile_waits() {
    let (mut world, one, other) = meeting();
    world.plane.taken();
    let Standing::Awaits(number) = world.want(other, &muted(hears(tone(), one))) else { panic!() };
    assert_eq!(world.want(other, &hears(tone(), one)), Standing::Confirmed, "it is taken back");
    let Standing::Awaits(second) = world.want(other, &muted(hears(tone(), one))) else { panic!() };
    assert!(second > number);
    assert_eq!(world.plane.taken(), [], "nobody knows where the leg is");
    world.serve();
    let told = world.told();
    assert!(told.contains(&LegEvent::Confirmed(second)), "{told:?}");
    assert_eq!(world.spec(other).flow.muted, 1);
    world.assert_settled(&[one, other]);
}

#[test]
fn an_update_that_is_on_its_way_is_no_hindrance() {
    let mut world = World::new();
    let (one, other) = (world.open_on(0, &tone()), world.open_on(1, &tone()));
    let Standing::Awaits(number) = world.want(other, &muted(tone())) else { panic!() };
    world.want(one, &hears(tone(), other));
    assert_eq!(world.legs.state(other), Some(LegState::Moving));
    // The answer of the old worker is heard after that of the new one.
    world.plane.work(1, None);
    world.plane.work(1, None);
    world.plane.work(0, None);
    let moved = world.plane.event(0).unwrap();
    assert!(matches!(moved, Event::Moved { .. }));
    world.told();
    world.hear(moved);
    assert_eq!(world.told(), [LegEvent::Moved]);
    world.serve();
    assert!(world.told().contains(&LegEvent::Confirmed(number)));
    world.assert_settled(&[one, other]);
}

#[test]
fn a_move_that_is_refused_leaves_the_leg_where_it_is() {
    for at_arrival in [false, true] {
        let (mut world, one, other) = meeting();
        if at_arrival {
            world.plane.work(1, None);
            world.plane.work(0, Some(Refuse(RefuseReason::Full)));
        } else {
            world.plane.work(1, Some(Refuse(RefuseReason::Full)));
        }
        world.serve();
        assert!(world.told().contains(&LegEvent::MoveRefused(RefuseReason::Full)));
        assert_eq!((world.legs.state(other), world.legs.port(other).unwrap().worker), (Some(LegState::Open), 1));
        assert_eq!(world.legs.source(one), Some((other, EdgeState::Failed)));
        assert_eq!((world.source(one), world.source(other)), (Source::Tone440, Source::Tone440));
        world.want(one, &hears(tone(), other));
        world.assert_settled(&[one, other]);
        // Taken apart and put together they try again.
        for hears_again in [None, Some(())] {
            world.want(one, &if hears_again.is_some() { hears(tone(), other) } else { tone() });
            world.want(other, &if hears_again.is_some() { hears(tone(), one) } else { tone() });
            world.serve();
        }
        assert_eq!(world.legs.source(one), Some((other, EdgeState::Flowing)));
        world.assert_settled(&[one, other]);
    }
}

#[test]
fn a_leg_that_is_lost_on_its_way_is_gone() {
    let (mut world, one, other) = meeting();
    world.plane.work(1, Some(Refuse(RefuseReason::NoSuchLeg)));
    world.serve();
    assert!(world.told().contains(&LegEvent::Lost));
    assert_eq!((world.legs.state(other), world.source(one)), (None, Source::Tone440));
    world.close(one);
    world.serve();
    world.assert_empty();
}

#[test]
fn a_move_without_an_answer_is_missed() {
    let (mut world, _, other) = meeting();
    assert_eq!(world.wait(ANSWER_LIMIT), [(1_001, LegEvent::MoveTimedOut)]);
    assert_eq!(world.legs.state(other), Some(LegState::Moving));
}

/// `Close` and `Move` cross: the worker that has the leg closes it, and its port is given back once.
#[test]
fn a_leg_is_closed_on_its_way() {
    // What the old worker does before the `Close` comes, and the new one before its own.
    for (leaves_first, arrives) in [(false, true), (true, true), (true, false)] {
        for moved_is_heard_first in [false, true] {
            let (mut world, one, other) = meeting();
            let leg = world.legs.port(other).unwrap().leg;
            if leaves_first {
                world.plane.work(1, None);
            }
            world.close(other);
            if !leaves_first {
                world.plane.work(1, Some(Refuse(RefuseReason::Full)));
            }
            world.plane.work(1, None);
            if leaves_first {
                world.plane.work(0, (!arrives).then_some(Refuse(RefuseReason::Full)));
            }
            if moved_is_heard_first && let Some(event) = world.plane.event(0) {
                world.hear(event);
            }
            assert!(world.pool.is_out(leg));
            world.serve();
            let closed = LegEvent::Closed(CloseReason::Asked);
            assert_eq!(world.told().iter().filter(|event| **event == closed).count(), 1);
            assert_eq!((world.legs.state(other), world.pool.is_out(leg)), (None, false));
            world.close(one);
            world.serve();
            world.assert_empty();
        }
    }
}

#[test]
fn digits_go_with_the_leg() {
    let (mut world, one, other) = meeting();
    let leg = world.legs.port(other).unwrap().leg;
    world.turn(|legs, turn| legs.send_digits(turn, other, &[7, 8], Duration::from_millis(80))).unwrap();
    world.plane.work(1, None);
    assert!(!world.plane.has_work(1), "the old worker is not asked");
    world.serve();
    assert_eq!(world.plane.digits, [(leg, 7), (leg, 8)]);
    world.assert_settled(&[one, other]);
}
