//! Recordings of legs.

use super::*;
use contract::{RECORDINGS_MAX, RecordingEnd, RecordingLayout, RecordingOutcome};
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
    assert_eq!((start(&mut world, id), world.legs.recording(id)), (Err(LegError::Recording), Some(recording)));
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 2, others: 0 });
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened, LegEvent::RecordingStarted(recording)]);
    world.assert_settled(&[id]);
    assert_eq!(world.turn(|legs, turn| legs.stop_recording(turn, id)), Ok(recording));
    world.serve();
    let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
    assert_eq!(world.told(), [LegEvent::RecordingEnded { recording, outcome }]);
    assert_eq!(world.turn(|legs, turn| legs.stop_recording(turn, id)), Err(LegError::Recording));
    assert_eq!(start(&mut world, id), Ok(recording + 1));
    world.pool.takes_files = false;
    let other = world.open_on(1, &tone());
    assert_eq!((start(&mut world, other), world.legs.recording(other)), (Err(LegError::File), None));
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
    assert_eq!(world.legs.recording(one), None);
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
