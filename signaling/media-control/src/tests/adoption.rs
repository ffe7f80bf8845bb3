//! A client of the media plane is gone; the next one restores its legs from snapshots and adopts them.

use super::*;
use crate::Ports;
use contract::{GRACE_MS_MAX, LegRef, RefuseReason};
use plane::Refuse;

/// What is left of a client that was killed: the media plane with its legs, and snapshots.
struct Killed {
    plane: Plane,
    snapshots: Vec<Snapshot>,
}

/// Two legs that hear each other on the first worker, and a third one with a tone on the second, all of them kept.
fn killed() -> Killed {
    let mut world = World::new();
    let one = world.open_on(0, &wish(8, Codec::Pcma));
    let other = world.open_on(0, &hears(wish(98, Codec::Pcma), one));
    world.want(one, &hears(wish(8, Codec::Pcma), other));
    let third = world.open_on(1, &tone());
    for worker in [0, 1] {
        assert!(!world.legs.has_confirmed_keeping(worker));
        world.turn(|legs, turn| legs.keep_legs(turn, worker, Duration::from_secs(3_600)));
    }
    let grace = world.plane.taken();
    assert!(matches!(grace[..], [.., Command::KeepLegs { grace_ms: GRACE_MS_MAX, .. }]), "no longer than it may be");
    world.serve();
    assert!(world.legs.has_confirmed_keeping(0) && world.legs.has_confirmed_keeping(1));
    let kept = LegEvent::LegsKept { worker: 1 };
    assert!(world.told.contains(&(0, kept)));
    // Its last wish has not reached the media plane.
    world.want(third, &muted(tone()));
    kill(world, &[one, other, third])
}

/// The client is killed; snapshots of these legs are left.
fn kill(world: World, ids: &[LegId]) -> Killed {
    let snapshot = |id: &LegId| Snapshot::read(&world.legs.snapshot(*id).unwrap().write()).unwrap();
    let snapshots = ids.iter().map(snapshot).collect();
    let World { mut plane, .. } = world;
    plane.hang_up();
    Killed { plane, snapshots }
}

impl Killed {
    /// The next client asks for all legs.
    fn adopt(self) -> (World, Vec<LegId>) {
        let mut world = World { plane: self.plane, ..World::new() };
        let mut restoration = Restoration::default();
        let ids = world.turn(|legs, turn| {
            let adopt = |snapshot: &Snapshot| restoration.adopt(legs, turn, snapshot, snapshot.port()).unwrap();
            let ids: Vec<_> = self.snapshots.iter().map(adopt).collect();
            assert_eq!(restoration.connect(legs, turn), 2);
            ids
        });
        (world, ids)
    }
}

fn place(world: &World, id: LegId) -> LegRef {
    world.legs.port(id).unwrap().leg
}

#[test]
fn legs_are_adopted_and_do_what_was_wanted_without_a_break() {
    let killed = killed();
    let before: Vec<_> = killed.snapshots.iter().map(|it| killed.plane.spec(it.port().leg).unwrap()).collect();
    let (mut world, ids) = killed.adopt();
    assert!(ids.iter().all(|id| world.legs.state(*id) == Some(LegState::Adopting)));
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 3, others: 0 });
    assert!(matches!(world.legs.standing(ids[0]), Ok(Standing::Awaits(_))));
    let asked = world.plane.taken();
    assert!(matches!(asked[..], [Command::Adopt { .. }, Command::Adopt { .. }, Command::Adopt { .. }]), "{asked:?}");
    // Half of the pair is ours: what it sends may not change before the other half is known.
    world.plane.work(0, None);
    let adopted = world.plane.event(0).unwrap();
    assert_eq!(world.hear(adopted), Some((1_000, LegEvent::Adopted)));
    assert_eq!((world.legs.state(ids[0]), world.plane.taken()), (Some(LegState::Open), vec![]));
    assert_eq!(world.pool.out_count(), 1);
    world.serve();
    world.assert_settled(&ids);
    for (at, id) in ids.iter().enumerate() {
        let expected = before[at].with(|spec| spec.flow.muted |= u8::from(at == 2));
        assert_eq!(world.spec(*id), expected, "what had not arrived is told");
    }
    assert_eq!(world.source(ids[0]), Source::Leg(place(&world, ids[1])));
    assert!(world.plane.taken().iter().all(|command| match command {
        Command::Update { update, .. } =>
            update.flow.is_none_or(|flow| flow.source() != Source::Tone440) || command.leg() == place(&world, ids[2]),
        _ => false,
    }));
    for id in ids {
        world.close(id);
    }
    world.serve();
    world.assert_empty();
}

#[test]
fn a_leg_that_is_lost_is_told_and_the_one_that_heard_it_goes_on() {
    let mut killed = killed();
    let gone = killed.snapshots[1].port().leg;
    killed.plane.fail(gone);
    let (mut world, ids) = killed.adopt();
    world.plane.event(0);
    world.serve();
    assert!(world.told.contains(&(1_001, LegEvent::Lost)));
    assert_eq!((world.legs.state(ids[1]), world.legs.source(ids[0])), (None, None));
    assert_eq!(world.source(ids[0]), Source::Tone440);
    assert_eq!(world.pool.out_count(), 2, "the port of the lost one was never ours");
    world.assert_settled(&[ids[0], ids[2]]);

    // All are lost: the grace period was over.
    let mut late = self::killed();
    late.plane.end_kept();
    let (mut world, _) = late.adopt();
    world.serve();
    assert_eq!(world.told(), [LegEvent::Lost, LegEvent::Lost, LegEvent::Lost]);
    world.assert_empty();
}

/// A leg is heard by another one only, which is lost: what it has yet to be told is no longer withheld.
#[test]
fn an_update_is_told_once_the_only_leg_that_would_hear_it_is_lost() {
    for is_closed in [false, true] {
        let mut world = World::new();
        let [source, sink] = [8, 98].map(|number| world.open_on(0, &wish(number, Codec::Pcma)));
        world.want(sink, &hears(wish(98, Codec::Pcma), source));
        world.turn(|legs, turn| legs.keep_legs(turn, 0, Duration::from_secs(10)));
        world.serve();
        // Its last wish has not reached the media plane.
        world.want(source, &muted(wish(8, Codec::Pcma)));
        let mut killed = kill(world, &[source, sink]);
        killed.plane.fail(killed.snapshots[1].port().leg);
        let mut world = World { plane: killed.plane, ..World::new() };
        world.plane.event(0);
        let mut restoration = Restoration::default();
        let ids = world.turn(|legs, turn| {
            let adopt = |snapshot: &Snapshot| restoration.adopt(legs, turn, snapshot, snapshot.port()).unwrap();
            let ids: Vec<_> = killed.snapshots.iter().map(adopt).collect();
            assert_eq!(restoration.connect(legs, turn), 1);
            ids
        });
        if is_closed {
            world.close(ids[1]);
        }
        world.serve();
        assert_eq!((world.legs.state(ids[1]), world.legs.standing(ids[0])), (None, Ok(Standing::Confirmed)));
        assert_eq!(world.spec(ids[0]).flow.muted, 1);
        world.assert_settled(&[ids[0]]);
    }
}

/// Whatever is written in a snapshot.
#[test]
fn a_worker_that_is_not_there_and_a_leg_that_is_there_twice_are_refused() {
    let killed = killed();
    let mut world = World { plane: killed.plane, ..World::new() };
    let (mut restoration, snapshot) = (Restoration::default(), killed.snapshots[0]);
    world.turn(|legs, turn| {
        for worker in [2, 63, 64, 255] {
            let port = Port { worker, ..snapshot.port() };
            assert_eq!(restoration.adopt(legs, turn, &snapshot, port), Err(LegError::NoWorker(worker)));
        }
        assert!(restoration.adopt(legs, turn, &snapshot, snapshot.port()).is_ok());
        // The same snapshot again, and another one with the handle of a leg that is there.
        assert_eq!(restoration.adopt(legs, turn, &snapshot, snapshot.port()), Err(LegError::AlreadyThere));
        let other = killed.snapshots[1];
        assert_eq!(restoration.adopt(legs, turn, &other, snapshot.port()), Err(LegError::AlreadyThere));
        assert!(restoration.adopt(legs, turn, &other, other.port()).is_ok());
        assert_eq!(restoration.connect(legs, turn), 2);
    });
    let asked = world.plane.taken();
    assert!(matches!(asked[..], [Command::Adopt { .. }, Command::Adopt { .. }]), "{asked:?}");
    world.serve();
    assert_eq!(world.told()[..2], [LegEvent::Adopted, LegEvent::Adopted]);

    // Legs that are opened again: their ports go back.
    let mut world = World::new();
    let mut restoration = Restoration::default();
    for (worker, is_there) in [(2, false), (1, false), (1, true)] {
        let port = Port { worker, ..world.pool.take_on(0).unwrap() };
        let opened = world.turn(|legs, turn| restoration.open(legs, turn, &snapshot, port));
        match opened {
            Ok(_) => assert!(!is_there && worker == 1),
            Err(error) => assert_eq!(error, if is_there { LegError::AlreadyThere } else { LegError::NoWorker(2) }),
        }
    }
    assert_eq!((world.pool.out_count(), world.legs.count()), (1, 1));
}

#[test]
fn what_is_wanted_meanwhile_follows_and_a_leg_can_be_closed_meanwhile() {
    let (mut world, ids) = killed().adopt();
    let Standing::Awaits(number) = world.want(ids[2], &elsewhere(tone())) else { panic!() };
    assert!(!world.close(ids[1]));
    let recording = world.turn(|legs, turn| {
        let how = (contract::RecordingLayout::Mono, Duration::from_secs(5));
        legs.start_recording(turn, ids[2], std::fs::File::open("/dev/null").unwrap(), how)
    });
    world.serve();
    let told = world.told.clone();
    for event in [LegEvent::Confirmed(number), LegEvent::RecordingStarted(recording.unwrap())] {
        assert!(told.contains(&(1_002, event)), "{told:?}");
    }
    assert!(told.contains(&(1_001, LegEvent::Closed(contract::CloseReason::Asked))));
    assert_eq!((world.source(ids[0]), world.pool.out_count()), (Source::Tone440, 2));
    world.assert_settled(&[ids[0], ids[2]]);

    // It was not to be had: its port is not given back.
    let mut killed = killed();
    killed.plane.end_kept();
    let (mut world, ids) = killed.adopt();
    ids.iter().for_each(|id| assert!(!world.close(*id)));
    world.serve();
    world.assert_empty();
}

#[test]
fn an_answer_that_does_not_come_is_missed() {
    let (mut world, ids) = killed().adopt();
    world.plane.lose(1);
    world.plane.work(0, None);
    world.plane.work(0, Some(Refuse(RefuseReason::Invalid)));
    world.serve();
    assert_eq!(world.wait(ANSWER_LIMIT), [(1_002, LegEvent::AdoptTimedOut)]);
    assert!(!world.close(ids[2]));
    assert_eq!(world.wait(CLOSE_LIMIT), [(1_002, LegEvent::CloseTimedOut)], "and its port is not given back");
    assert_eq!(world.pool.out_count(), 2);

    // The media plane goes while legs are asked for.
    let (mut world, ids) = killed().adopt();
    assert_eq!(world.legs.media_lost(), []);
    assert_eq!((world.legs.awaited(), world.legs.deadline()), (AwaitedCount::default(), None));
    assert!(ids.iter().all(|id| world.legs.state(*id) == Some(LegState::Lost)));
    assert!(ids.into_iter().all(|id| world.close(id)));
    assert_eq!(world.legs.count(), 0);
}

/// A leg tells numbers of the client that set its source: they may be those of another leg here.
#[test]
fn events_with_numbers_of_the_earlier_client_find_their_leg() {
    let (mut world, ids) = killed().adopt();
    world.serve();
    let leg = place(&world, ids[2]);
    for number in [1, 1 << 16, 3 << 16 | 1, u64::MAX] {
        assert_eq!(world.hear(Event::Digit { leg, digit: 3 }), Some((1_002, LegEvent::Digit(3))));
        let late = world.hear(Event::PlayerEnded { leg, player: contract::PlayerId::new(number) });
        assert_eq!(late, Some((1_002, LegEvent::Late)), "it plays no prompt");
    }
    let closed = Event::Closed { leg, number: 1 << 16, reason: contract::CloseReason::Failed };
    assert_eq!(world.hear(closed), Some((1_002, LegEvent::Closed(contract::CloseReason::Failed))));
}

/// A leg with two sources is adopted: what it sends does not change before all three are known, and the order of its sources
/// stays.
#[test]
fn a_leg_with_several_sources_is_adopted_with_them() {
    let mut world = World::new();
    let [sink, one, two] = [8, 97, 98].map(|number| world.open_on(0, &wish(number, Codec::Pcma)));
    for source in [one, two] {
        world.turn(|legs, turn| legs.connect(turn, sink, relay(source))).unwrap();
    }
    world.turn(|legs, turn| legs.keep_legs(turn, 0, Duration::from_secs(10)));
    world.serve();
    let before: Vec<_> = [sink, one, two].iter().map(|id| world.spec(*id)).collect();
    let (mut world, ids) = kill(world, &[sink, one, two]).adopt();
    world.plane.taken();
    // All but the source that is not heard are known.
    for _ in 0..2 {
        world.plane.work(0, None);
        let adopted = world.plane.event(0).unwrap();
        world.hear(adopted);
    }
    let told = world.plane.taken();
    assert!(told.iter().all(|command| command.leg() != place(&world, ids[0])), "{told:?}");
    world.serve();
    world.assert_settled(&ids);
    let states: Vec<_> = world.legs.sources(ids[0]).collect();
    assert_eq!(states, [(ids[1], EdgeState::Flowing), (ids[2], EdgeState::NeedsMixer)]);
    assert_eq!(ids.iter().map(|id| world.spec(*id)).collect::<Vec<_>>(), before);
    // The heard one goes, and the other one is heard at once.
    world.close(ids[1]);
    assert_eq!(world.legs.wanted_spec(ids[0]).unwrap().flow.source(), Source::Leg(place(&world, ids[2])));
    world.serve();
    for id in [ids[0], ids[2]] {
        world.close(id);
    }
    world.serve();
    world.assert_empty();
}
