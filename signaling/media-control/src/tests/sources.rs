//! Legs with several sources, of which the media plane lets them hear one.

use super::*;
use EdgeState::{Flowing, Moving, NeedsMixer, Waiting};

fn place(world: &World, id: LegId) -> Source {
    Source::Leg(world.legs.port(id).unwrap().leg)
}

fn connect(world: &mut World, sink: LegId, source: LegId) -> EdgeState {
    world.turn(|legs, turn| legs.connect(turn, sink, relay(source))).unwrap()
}

fn disconnect(world: &mut World, sink: LegId, source: LegId) -> bool {
    world.turn(|legs, turn| legs.disconnect_source(turn, sink, source)).unwrap()
}

fn sources(world: &World, id: LegId) -> Vec<(LegId, EdgeState)> {
    world.legs.sources(id).collect()
}

/// A sink with three sources, each with payload numbers of its own, all on the first worker.
fn with_three() -> (World, LegId, [LegId; 3]) {
    let mut world = World::new();
    let speakers = [8, 98, 99].map(|number| world.open_on(0, &wish(number, Codec::Pcma)));
    let sink = world.open_on(0, &wish(8, Codec::Pcma));
    for speaker in speakers {
        connect(&mut world, sink, speaker);
    }
    world.serve();
    (world, sink, speakers)
}

#[test]
fn the_first_of_several_sources_is_heard_and_the_others_say_what_they_need() {
    let (mut world, sink, [one, two, three]) = with_three();
    assert_eq!(sources(&world, sink), [(one, Flowing), (two, NeedsMixer), (three, NeedsMixer)]);
    assert_eq!(world.legs.source(sink), Some((one, Flowing)));
    assert_eq!(world.source(sink), place(&world, one));
    for speaker in [one, two, three] {
        assert!(world.legs.is_heard_by(speaker, sink) && !world.legs.is_heard_by(sink, speaker));
        assert_eq!(world.legs.sinks(speaker).collect::<Vec<_>>(), [sink]);
    }
    assert_eq!((world.legs.edge(two, sink), world.legs.edge(sink, two)), (Some(NeedsMixer), None));
    assert_eq!(connect(&mut world, sink, two), NeedsMixer, "it is connected already");
    assert_eq!(world.legs.edges.count(), 3);
    // A wish about something else leaves them, and one that names a single source has that one alone.
    world.want(sink, &as_connected(muted(wish(8, Codec::Pcma))));
    world.serve();
    assert_eq!((sources(&world, sink).len(), world.spec(sink).flow.muted), (3, 1));
    world.want(sink, &hears(wish(8, Codec::Pcma), two));
    world.serve();
    assert_eq!((sources(&world, sink), world.source(sink)), (vec![(two, Flowing)], place(&world, two)));
    world.want(sink, &wish(8, Codec::Pcma));
    world.serve();
    assert_eq!((sources(&world, sink), world.source(sink)), (vec![], Source::Tone440));
    world.assert_settled(&[sink, one, two, three]);
}

#[test]
fn the_next_source_is_heard_at_once_when_the_heard_one_goes() {
    let map = |world: &World, id| {
        world.spec(id).formats.payloads.iter().map(|(own, _, there)| (own, there)).collect::<Vec<_>>()
    };
    let (mut world, sink, [one, two, three]) = with_three();
    assert_eq!(map(&world, two), [(98, 98)], "it reaches no leg that has other numbers");
    world.plane.taken();
    // It is disconnected.
    assert!(disconnect(&mut world, sink, one));
    assert!(!disconnect(&mut world, sink, one));
    assert_eq!(world.plane.taken().len(), 2, "the sink, and the numbers of what it hears now");
    assert_eq!(sources(&world, sink), [(two, EdgeState::Told), (three, NeedsMixer)]);
    world.serve();
    assert_eq!((sources(&world, sink)[0], map(&world, two)), ((two, Flowing), vec![(98, 8)]));
    // It is closed: the sink does not wait until the media plane has done that.
    world.close(two);
    let closing = world.plane.taken();
    assert!(
        matches!(closing[..], [Command::Close { .. }, Command::Update { .. }, Command::Update { .. }]),
        "{closing:?}"
    );
    assert_eq!(world.legs.wanted_spec(sink).unwrap().flow.source(), place(&world, three));
    assert_eq!(sources(&world, sink), [(two, Waiting), (three, EdgeState::Told)]);
    world.serve();
    assert_eq!((sources(&world, sink), map(&world, three)), (vec![(three, Flowing)], vec![(99, 8)]));
    // It fails by itself, and the one that is heard next has no formats yet.
    connect(&mut world, sink, one);
    world.want(one, &LegWish { formats: Formats::default(), ..wish(8, Codec::Pcma) });
    let fourth = world.open_on(0, &wish(97, Codec::Pcma));
    connect(&mut world, sink, fourth);
    world.serve();
    assert_eq!(sources(&world, sink), [(three, Flowing), (one, Waiting), (fourth, NeedsMixer)]);
    let Source::Leg(leg) = place(&world, three) else { panic!() };
    world.plane.fail(leg);
    world.serve();
    assert_eq!(sources(&world, sink), [(one, Waiting), (fourth, Flowing)]);
    assert_eq!((world.legs.source(sink), world.source(sink)), (Some((fourth, Flowing)), place(&world, fourth)));
    assert_eq!(map(&world, fourth), [(97, 8)]);
    // With formats the earlier one comes first.
    world.want(one, &wish(8, Codec::Pcma));
    world.serve();
    assert_eq!(sources(&world, sink), [(one, Flowing), (fourth, NeedsMixer)]);
    world.assert_settled(&[sink, one, fourth]);
    for id in [sink, one, fourth] {
        world.close(id);
    }
    world.serve();
    world.assert_empty();
}

#[test]
fn on_hold_no_source_is_heard_and_none_waits_for_a_mixer() {
    let (mut world, sink, [one, two, three]) = with_three();
    let held = as_connected(wish(8, Codec::Pcma));
    world.want(sink, &LegWish { flow: FlowWish { is_held: true, ..held.flow }, ..held });
    world.serve();
    assert_eq!(sources(&world, sink), [(one, Waiting), (two, Waiting), (three, Waiting)]);
    assert!(disconnect(&mut world, sink, one));
    world.want(sink, &held);
    world.serve();
    assert_eq!(sources(&world, sink), [(two, Flowing), (three, NeedsMixer)]);
    assert_eq!(world.spec(two).formats.payloads.iter().next(), Some((98, Codec::Pcma, 8)));
    world.assert_settled(&[sink, one, two, three]);
}

/// Three legs that are all to hear each other, on three workers: they meet, and each hears one of the two others.
#[test]
fn three_that_hear_each_other_meet_and_each_hears_one() {
    let mut world = World::with(plane::Pool::new(16, 3));
    let all = [0, 1, 2].map(|worker| world.open_on(worker, &tone()));
    let [one, two, three] = all;
    for (sink, source) in [(one, two), (one, three), (two, one), (two, three), (three, one), (three, two)] {
        let state = connect(&mut world, sink, source);
        assert!(matches!(state, Moving), "{state:?}");
    }
    world.serve();
    assert!(all.iter().all(|id| world.legs.port(*id).unwrap().worker == 0));
    assert_eq!(sources(&world, one), [(two, Flowing), (three, NeedsMixer)]);
    assert_eq!(sources(&world, two), [(one, Flowing), (three, NeedsMixer)]);
    assert_eq!(sources(&world, three), [(one, Flowing), (two, NeedsMixer)]);
    world.assert_settled(&all);
    // With one of them gone the other two hear each other.
    world.close(one);
    world.serve();
    assert_eq!((sources(&world, two), sources(&world, three)), (vec![(three, Flowing)], vec![(two, Flowing)]));
    world.assert_settled(&all);
}

/// A source that cannot come to the worker of its sink does not keep the next one from being heard.
#[test]
fn a_source_that_cannot_move_gives_way_to_the_next() {
    let mut world = World::new();
    let sink = world.open_on(0, &tone());
    let near = world.open_on(0, &tone());
    let far = world.open_on(1, &tone());
    assert_eq!(connect(&mut world, sink, far), Moving);
    connect(&mut world, sink, near);
    world.plane.work(1, None); // the leg leaves
    while world.plane.has_work(0) {
        world.plane.work(0, Some(plane::Refuse(contract::RefuseReason::Full)));
    }
    world.serve();
    assert_eq!(world.legs.edge(far, sink), Some(EdgeState::Failed));
    assert_eq!(world.legs.source(sink).map(|(id, _)| id), Some(near));
}

#[test]
fn sources_have_their_limit_and_handles_are_checked() {
    let mut world = World::with(plane::Pool::new(16, 2));
    let sink = world.opening_on(0, &tone());
    let speakers: Vec<_> = (0..=SOURCES_MAX).map(|_| world.opening_on(0, &tone())).collect();
    world.serve();
    for speaker in &speakers[..SOURCES_MAX] {
        connect(&mut world, sink, *speaker);
    }
    let refused =
        |world: &mut World, sink, source| world.turn(|legs, turn| legs.connect(turn, sink, relay(source))).unwrap_err();
    assert_eq!(refused(&mut world, sink, speakers[SOURCES_MAX]), LegError::Sources);
    assert_eq!(LegError::Sources.to_string(), "a leg hears at most 8 others");
    assert_eq!(refused(&mut world, sink, sink), LegError::OwnSource);
    world.close(speakers[0]);
    world.serve();
    assert_eq!(refused(&mut world, sink, speakers[0]), LegError::NoSuchLeg);
    connect(&mut world, sink, speakers[SOURCES_MAX]);
    world.close(sink);
    assert_eq!(refused(&mut world, sink, speakers[1]), LegError::WrongState);
    world.serve();
    assert_eq!(refused(&mut world, sink, speakers[1]), LegError::NoSuchLeg);
    let gone = world.turn(|legs, turn| legs.disconnect_source(turn, sink, speakers[1]));
    assert_eq!((gone, world.legs.edge(speakers[1], sink)), (Err(LegError::NoSuchLeg), None));
    assert_eq!((world.legs.edges.count(), world.legs.sources(sink).count()), (0, 0));
}

/// Connected before it is opened, a leg has its sources from the first command on.
#[test]
fn a_leg_is_connected_before_it_is_opened() {
    let mut world = World::new();
    let (one, two) = (world.open_on(0, &tone()), world.open_on(0, &tone()));
    world.pool.next_worker = 0;
    let sink = world.turn(|legs, turn| legs.reserve(turn, 7, None)).unwrap();
    assert_eq!([one, two].map(|source| connect(&mut world, sink, source)), [Waiting, Waiting]);
    world.turn(|legs, turn| legs.open(turn, sink, &as_connected(tone()))).unwrap();
    world.serve();
    assert_eq!(sources(&world, sink), [(one, Flowing), (two, NeedsMixer)]);
    world.assert_settled(&[one, two, sink]);
}
