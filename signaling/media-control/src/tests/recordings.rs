//! Recordings of legs.

use super::*;
use contract::{RECORDINGS_MAX, RecordingEnd, RecordingKind, RecordingLayout, RecordingOutcome};
use std::fs::File;

fn start(world: &mut World, id: LegId) -> Result<u64, LegError> {
    let file = File::open("/dev/null").unwrap();
    let how = (RecordingLayout::Stereo, Duration::from_secs(60));
    world.turn(|legs, turn| legs.start_recording(turn, id, file, how))
}

#[test]
fn a_recording_begins_and_stops() {
    let mut world = World::new();
    let id = world.opening_on(0, &tone());
    let recording = start(&mut world, id).unwrap();
    assert_eq!(
        (start(&mut world, id), world.legs.recording(id, RecordingKind::Sound)),
        (Err(LegError::Recording), Some(recording))
    );
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 2, others: 0 });
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened, LegEvent::RecordingStarted(recording)]);
    world.assert_settled(&[id]);
    assert_eq!(world.turn(|legs, turn| legs.stop_recording(turn, id, RecordingKind::Sound)), Ok(recording));
    world.serve();
    let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
    assert_eq!(world.told(), [LegEvent::RecordingEnded { recording, outcome }]);
    assert_eq!(world.turn(|legs, turn| legs.stop_recording(turn, id, RecordingKind::Sound)), Err(LegError::Recording));
    assert_eq!(start(&mut world, id), Ok(recording + 1));
    world.pool.takes_files = false;
    let other = world.open_on(1, &tone());
    assert_eq!(
        (start(&mut world, other), world.legs.recording(other, RecordingKind::Sound)),
        (Err(LegError::File), None)
    );
}

#[test]
fn its_outcome_may_come_after_the_leg_is_gone() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    let recording = start(&mut world, id).unwrap();
    world.close(id);
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 0, others: 1 }, "nobody waits for its beginning any more");
    world.plane.work(0, None);
    world.plane.work(0, None);
    let events: Vec<_> = std::iter::from_fn(|| world.plane.event(0)).collect();
    let [started, ended, closed] = events[..] else { panic!("{events:?}") };
    world.told();
    for event in [started, closed] {
        world.hear(event);
    }
    assert_eq!(world.legs.state(id), None);
    let outcome = RecordingOutcome::new(RecordingEnd::LegClosed);
    assert_eq!(world.hear(ended), Some((1_000, LegEvent::RecordingEnded { recording, outcome })));
    assert_eq!(world.hear(ended), None, "once");
    world.assert_empty();
}

#[test]
fn a_lost_media_plane_ends_all_and_a_beginning_is_not_waited_for_long() {
    let mut world = World::new();
    let (one, other) = (world.open_on(0, &tone()), world.open_on(1, &tone()));
    let (first, second) = (start(&mut world, one).unwrap(), start(&mut world, other).unwrap());
    assert_eq!(world.wait(ANSWER_LIMIT), []);
    assert_eq!(world.legs.awaited(), AwaitedCount::default());
    assert_eq!(world.legs.media_lost(), [(1_000, first), (1_001, second)]);
    assert_eq!(world.legs.recording(one, RecordingKind::Sound), None);
}

/// Outcomes that never come keep nobody from recording.
#[test]
fn there_is_room_for_a_recording_once_a_leg_is_gone() {
    let mut world = World::with(plane::Pool::new(1_100, 1));
    world.legs.set_limit(2_000);
    let ids: Vec<_> = (0..RECORDINGS_MAX).map(|_| world.open_on(0, &tone())).collect();
    for id in &ids {
        start(&mut world, *id).unwrap();
    }
    let next = world.open_on(0, &tone());
    assert_eq!(start(&mut world, next), Err(LegError::Full));
    world.serve();
    world.close(ids[3]);
    world.plane.work(0, None);
    let events: Vec<_> = std::iter::from_fn(|| world.plane.event(0)).collect();
    let closed = events.into_iter().find(|event| matches!(event, Event::Closed { .. })).unwrap();
    world.hear(closed);
    assert!(start(&mut world, next).is_ok());
}

/// The outcome of a recording of an earlier client, whose legs and recordings had the same numbers.
#[test]
fn the_outcome_of_another_recording_with_the_same_number_ends_nothing() {
    let mut world = World::new();
    let (id, other) = (world.open_on(0, &tone()), world.open_on(0, &tone()));
    let recording = start(&mut world, id).unwrap();
    let command = *world.plane.taken.last().unwrap();
    let (leg, number) = (command.leg(), command.number());
    let waiting = world.turn(|legs, turn| legs.reserve(turn, 7, None)).unwrap();
    let not_begun = start(&mut world, waiting).unwrap();
    world.serve();
    world.told();
    let other = world.legs.port(other).unwrap().leg;
    let outcome = RecordingOutcome::new(RecordingEnd::LegClosed);
    for (leg, number, recording) in [
        (other, number, recording),
        (leg, number + 1, recording),
        (leg, 0, recording),
        (leg, number, recording + 7),
        (leg, number, not_begun),
    ] {
        assert_eq!(world.hear(Event::RecordingEnded { leg, number, recording, outcome }), None);
    }
    assert_eq!(
        (world.legs.recording(id, RecordingKind::Sound), world.legs.recording(waiting, RecordingKind::Sound)),
        (Some(recording), Some(not_begun))
    );
    let ended = world.hear(Event::RecordingEnded { leg, number, recording, outcome });
    assert_eq!(ended, Some((1_000, LegEvent::RecordingEnded { recording, outcome })));
    assert_eq!(world.legs.recording(id, RecordingKind::Sound), None);
}

fn stop(world: &mut World, id: LegId) -> Result<u64, LegError> {
    world.turn(|legs, turn| legs.stop_recording(turn, id, RecordingKind::Sound))
}

/// Two legs on different workers, the second on its way to the first.
fn moving() -> (World, LegId) {
    let mut world = World::new();
    let (one, other) = (world.open_on(0, &tone()), world.open_on(1, &tone()));
    world.want(other, &hears(tone(), one));
    world.told();
    world.plane.taken();
    assert_eq!(world.legs.state(other), Some(LegState::Moving));
    (world, other)
}

fn ended(recording: u64, end: RecordingEnd) -> LegEvent {
    LegEvent::RecordingEnded { recording, outcome: RecordingOutcome::new(end) }
}

/// What the media plane was told about recordings: the worker does not matter, for it would refuse what goes astray.
fn told_plane(world: &mut World) -> Vec<&'static str> {
    let name = |command: &Command| match command {
        Command::StartRecording { .. } => Some("start"),
        Command::StopRecording { .. } => Some("stop"),
        _ => None,
    };
    world.plane.taken().iter().filter_map(name).collect()
}

#[test]
fn a_leg_that_moves_or_does_not_run_yet_is_recorded_from_then_on() {
    let (mut world, id) = moving();
    let recording = start(&mut world, id).unwrap();
    assert_eq!((told_plane(&mut world), world.pool.handed_over_count), (vec![], 0), "nobody knows where the leg is");
    world.serve();
    assert!(world.told().contains(&LegEvent::RecordingStarted(recording)));
    assert_eq!(world.pool.handed_over_count, 1);

    let mut world = World::new();
    let id = world.turn(|legs, turn| legs.reserve(turn, 7, None)).unwrap();
    let recording = start(&mut world, id).unwrap();
    world.turn(|legs, turn| legs.open(turn, id, &tone())).unwrap();
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened, LegEvent::RecordingStarted(recording)]);
    world.assert_settled(&[id]);
}

#[test]
fn a_stop_waits_for_the_end_of_a_move_and_takes_back_what_has_not_begun() {
    let (mut world, id) = moving();
    let recording = start(&mut world, id).unwrap();
    assert_eq!((stop(&mut world, id), world.legs.recording(id, RecordingKind::Sound)), (Ok(recording), None));
    assert_eq!(world.legs.deadline(), Some(Instant::ZERO), "it is told at once");
    world.serve();
    assert!(world.told().contains(&ended(recording, RecordingEnd::Stopped)));
    assert_eq!((told_plane(&mut world), world.pool.handed_over_count), (vec![], 0));

    // It runs when its leg begins to move.
    let mut world = World::new();
    let (one, id) = (world.open_on(0, &tone()), world.open_on(1, &tone()));
    let recording = start(&mut world, id).unwrap();
    world.serve();
    world.told();
    world.plane.taken();
    world.want(id, &hears(tone(), one));
    assert_eq!((stop(&mut world, id), stop(&mut world, id)), (Ok(recording), Ok(recording)));
    let next = start(&mut world, id).unwrap();
    assert_eq!(start(&mut world, id), Err(LegError::Recording), "one at a time");
    assert_eq!(told_plane(&mut world), Vec::<&str>::new());
    world.serve();
    assert_eq!(told_plane(&mut world), ["stop", "start"], "once each, in this order");
    let told = world.told();
    let ends = [ended(recording, RecordingEnd::Stopped), LegEvent::RecordingStarted(next)];
    assert!(ends.iter().all(|event| told.contains(event)), "{told:?}");
    assert_eq!(world.legs.recording(id, RecordingKind::Sound), Some(next));
    world.assert_settled(&[one, id]);
}

#[test]
fn the_next_recording_begins_before_the_file_of_the_one_before_is_whole() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    let first = start(&mut world, id).unwrap();
    // Also where the first one has not begun yet.
    assert_eq!(stop(&mut world, id), Ok(first));
    let second = start(&mut world, id).unwrap();
    assert_eq!(world.legs.awaited().calls, 2);
    world.told();
    world.serve();
    let expected =
        [LegEvent::RecordingStarted(first), ended(first, RecordingEnd::Stopped), LegEvent::RecordingStarted(second)];
    assert_eq!((world.told(), world.legs.recording(id, RecordingKind::Sound)), (expected.to_vec(), Some(second)));
    world.assert_settled(&[id]);
}

#[test]
fn what_waits_ends_with_its_leg_or_without_a_file() {
    let (mut world, id) = moving();
    let recording = start(&mut world, id).unwrap();
    world.close(id);
    assert_eq!(world.wait(Duration::ZERO), [(1_001, ended(recording, RecordingEnd::NoSuchLeg))]);
    world.serve();
    assert_eq!(start(&mut world, id), Err(LegError::NoSuchLeg));

    let (mut world, id) = moving();
    let recording = start(&mut world, id).unwrap();
    world.pool.takes_files = false;
    world.serve();
    assert!(world.told().contains(&ended(recording, RecordingEnd::NoFile)));
    assert_eq!((world.legs.recording(id, RecordingKind::Sound), world.legs.state(id)), (None, Some(LegState::Open)));

    let (mut world, id) = moving();
    let recording = start(&mut world, id).unwrap();
    assert_eq!(world.legs.media_lost(), [(1_001, recording)]);
    assert_eq!(start(&mut world, id), Err(LegError::WrongState));
    assert_eq!(world.legs.deadline(), None);
}
