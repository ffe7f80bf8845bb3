//! Legs that hear each other.

use super::*;

#[test]
fn a_leg_hears_another_one_once_both_run_and_have_formats() {
    let mut world = World::new();
    let quiet = LegWish { formats: Formats::default(), ..tone() };
    let one = world.open_on(0, &quiet);
    assert_eq!(world.source(one), Source::None, "nothing can be made without a codec");
    let other = world.opening_on(0, &hears(tone(), one));
    world.want(one, &hears(quiet, other));
    assert_eq!(world.legs.source(other), Some((one, EdgeState::Waiting)));
    world.serve();
    let leg = |world: &World, id| Source::Leg(world.legs.port(id).unwrap().leg);
    assert_eq!((world.source(one), world.source(other)), (leg(&world, other), Source::Tone440));
    assert_eq!(world.legs.source(other), Some((one, EdgeState::Waiting)), "it has nothing to say");
    world.want(one, &hears(tone(), other));
    assert_eq!(world.legs.source(other), Some((one, EdgeState::Told)));
    world.serve();
    assert_eq!(world.source(other), leg(&world, one));
    // On hold it hears its player, and the other one still hears it.
    let held = hears(tone(), one);
    world.want(other, &LegWish { flow: FlowWish { is_held: true, ..held.flow }, ..held });
    world.serve();
    assert_eq!((world.source(one), world.source(other)), (leg(&world, other), Source::Tone440));
    world.want(other, &tone());
    world.want(one, &tone());
    world.serve();
    assert_eq!((world.source(one), world.legs.edges.count()), (Source::Tone440, 0));
    assert_eq!(world.spec(one).flow.rewriting(), contract::Rewriting::Continuous, "it stays one stream");
    world.assert_settled(&[one, other]);
}

#[test]
fn payload_types_leave_with_the_numbers_of_the_other_leg() {
    let mut world = World::new();
    let with_events = |number, events| {
        let mut wish = wish(number, Codec::Pcma);
        assert!(wish.formats.payloads.push(events, Codec::TelephoneEvent));
        wish
    };
    let one = world.open_on(0, &with_events(8, 101));
    let other = world.open_on(0, &hears(with_events(98, 96), one));
    world.want(one, &hears(with_events(8, 101), other));
    world.serve();
    let map = |world: &World, id| {
        world.spec(id).formats.payloads.iter().map(|(own, _, there)| (own, there)).collect::<Vec<_>>()
    };
    assert_eq!((map(&world, one), map(&world, other)), (vec![(8, 98), (101, 96)], vec![(98, 8), (96, 101)]));
    // One of the two agrees on other numbers: both are told.
    world.want(other, &hears(with_events(99, 97), one));
    world.serve();
    assert_eq!((map(&world, one), map(&world, other)), (vec![(8, 99), (101, 97)], vec![(99, 8), (97, 101)]));
    world.assert_settled(&[one, other]);
}

#[test]
fn several_legs_hear_one_and_come_to_its_worker() {
    let mut world = World::with(plane::Pool::new(16, 4));
    let speaker = world.open_on(0, &tone());
    let listeners: Vec<_> = (1..6).map(|index| world.open_on(index % 4, &hears(tone(), speaker))).collect();
    assert_eq!(world.legs.sinks(speaker).count(), 5);
    world.serve();
    let leg = world.legs.port(speaker).unwrap().leg;
    for id in &listeners {
        assert_eq!((world.source(*id), world.legs.port(*id).unwrap().worker), (Source::Leg(leg), 0));
    }
    world.assert_settled(&listeners);
    // One goes, then the one that all hear.
    world.close(listeners[2]);
    world.serve();
    assert_eq!(world.legs.sinks(speaker).count(), 4);
    world.close(speaker);
    world.serve();
    for id in listeners.iter().filter(|id| world.legs.runs(**id)) {
        assert_eq!((world.source(*id), world.legs.source(*id)), (Source::Tone440, None));
    }
    for id in listeners.iter().filter(|id| **id != listeners[2]) {
        world.close(*id);
    }
    world.serve();
    world.assert_empty();
}

#[test]
fn a_chain_of_legs_meets_where_the_oldest_is() {
    let mut world = World::with(plane::Pool::new(16, 4));
    let chain: Vec<_> = [2, 0, 1, 3].map(|worker| world.open_on(worker, &tone())).into();
    for pair in chain.windows(2) {
        world.want(pair[0], &hears(tone(), pair[1]));
    }
    world.serve();
    assert!(chain.iter().all(|id| world.legs.port(*id).unwrap().worker == 2));
    assert!(chain[..3].iter().all(|id| world.legs.source(*id).unwrap().1 == EdgeState::Flowing));
    world.assert_settled(&chain);
}

#[test]
fn a_port_beside_another_leg_spares_the_move() {
    let mut world = World::new();
    let one = world.open_on(1, &tone());
    world.pool.next_worker = 0;
    let other = world.turn(|legs, turn| legs.reserve(turn, 7, Some(one))).unwrap();
    world.turn(|legs, turn| legs.open(turn, other, &hears(tone(), one))).unwrap();
    world.want(one, &hears(tone(), other));
    world.serve();
    assert!(world.plane.taken().iter().all(|command| !matches!(command, Command::Move { .. })));
    assert_eq!(world.legs.source(one), Some((other, EdgeState::Flowing)));
    world.assert_settled(&[one, other]);
}

#[test]
fn a_leg_that_was_disconnected_plays_what_it_has_from_the_next_wish_on() {
    let mut world = World::new();
    let one = world.open_on(0, &tone());
    let other = world.open_on(0, &hears(tone(), one));
    world.turn(|legs, _| legs.disconnect(other)).unwrap();
    assert!(matches!(world.want(other, &tone()), Standing::Awaits(_)));
    world.serve();
    assert_eq!(world.source(other), Source::Tone440);
    world.assert_settled(&[one, other]);
}
