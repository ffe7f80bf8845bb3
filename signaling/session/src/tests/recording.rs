//! Recordings, as the media plane and the user see them.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Command, Event, LegRef, RecordingEnd, RecordingKind, RecordingLayout, RecordingOutcome};
use sip_core::Cause;

fn start(world: &mut World, tag: u64) -> Result<u64, SessionError> {
    let (file, id) = (std::fs::File::open("/dev/null").unwrap(), SessionId::from_u64(tag));
    let limit = Duration::from_secs(90);
    world.turn(|sessions, turn| sessions.start_recording(turn, id, file, RecordingLayout::Mono, limit))
}

/// A call that is being recorded.
fn recorded() -> (World, LegRef, u64, u64) {
    let (mut world, leg, tag) = connected("tone");
    world.asked();
    world.told();
    let recording = start(&mut world, tag).unwrap();
    assert!(world.ports.files.contains(&(leg, recording)), "the file goes first");
    let layout = RecordingLayout::Mono;
    assert_eq!(
        world.asked(),
        [Command::StartRecording { leg, number: tag, recording, shape: layout.into(), limit_s: 90 }]
    );
    world.media(Event::RecordingStarted { leg, number: tag, recording });
    let id = SessionId::from_u64(tag);
    assert_eq!(world.told(), [SessionEvent::RecordingStarted { id, recording }]);
    (world, leg, tag, recording)
}

#[test]
fn it_begins_and_stops_and_may_begin_again() {
    let (mut world, leg, tag, recording) = recorded();
    let id = SessionId::from_u64(tag);
    assert!(matches!(start(&mut world, tag), Err(SessionError::InvalidState { .. })), "one at a time");
    assert_eq!(world.turn(|sessions, turn| sessions.stop_recording(turn, id, RecordingKind::Sound)), Ok(recording));
    assert_eq!(world.asked(), [Command::StopRecording { leg, number: tag, recording }]);
    let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
    world.media(Event::RecordingEnded { leg, number: tag, recording, outcome });
    assert_eq!(world.told(), [SessionEvent::RecordingEnded { id, recording, outcome }]);
    assert_ne!(start(&mut world, tag).unwrap(), recording);
    // The outcome of the one before comes again: it is not this one's.
    world.media(Event::RecordingEnded { leg, number: tag, recording, outcome });
    assert!(!world.sessions.get(id).unwrap().allows(Operation::StartRecording));
}

#[test]
fn the_end_of_the_call_is_told_before_the_end_of_the_file() {
    let (mut world, leg, tag, recording) = recorded();
    let id = SessionId::from_u64(tag);
    world.over(DIALOG, Cause::RemoteBye);
    world.serve();
    assert!(matches!(world.told().last(), Some(SessionEvent::Ended { .. })));
    let outcome = RecordingOutcome::new(RecordingEnd::LegClosed);
    world.media(Event::RecordingEnded { leg, number: tag, recording, outcome });
    assert_eq!(world.told(), [SessionEvent::RecordingEnded { id, recording, outcome }]);
    world.assert_empty();
}

#[test]
fn a_media_plane_that_dies_ends_it_and_limits_are_checked() {
    let (mut world, _, tag, recording) = recorded();
    let id = SessionId::from_u64(tag);
    let outcome = RecordingOutcome::new(RecordingEnd::MediaLost);
    world.turn(|sessions, turn| sessions.media_lost(turn));
    assert!(world.told().contains(&SessionEvent::RecordingEnded { id, recording, outcome }));

    let (mut world, _, tag) = connected("tone");
    world.asked();
    let id = SessionId::from_u64(tag);
    for seconds in [0, 86_401, u64::MAX] {
        let (file, limit) = (std::fs::File::open("/dev/null").unwrap(), Duration::from_secs(seconds));
        let layout = RecordingLayout::Stereo;
        let refused = world.turn(|sessions, turn| sessions.start_recording(turn, id, file, layout, limit));
        assert!(matches!(refused, Err(SessionError::Argument(_))), "{seconds}");
    }
    assert_eq!(world.asked(), []);
}

#[test]
fn a_recording_pauses_while_it_runs_and_not_before_or_after() {
    let (mut world, _, tag, recording) = recorded();
    let id = SessionId::from_u64(tag);
    let leg = world.session(id).leg().unwrap();
    world.asked();
    for paused in [true, false] {
        assert_eq!(
            world.turn(|sessions, turn| sessions.pause_recording(turn, id, RecordingKind::Sound, paused)),
            Ok(())
        );
        assert_eq!(world.asked(), [Command::PauseRecording { leg, number: tag, recording, paused }]);
    }
    world.turn(|sessions, turn| sessions.stop_recording(turn, id, RecordingKind::Sound)).unwrap();
    world.asked();
    assert!(
        world.turn(|sessions, turn| sessions.pause_recording(turn, id, RecordingKind::Sound, true)).is_err(),
        "it is being stopped"
    );
    assert_eq!(world.asked(), []);
    let (mut world, id, _) = moving();
    start(&mut world, id.as_u64()).unwrap();
    let busy = world.turn(|sessions, turn| sessions.pause_recording(turn, id, RecordingKind::Sound, true));
    assert_eq!(busy, Err(SessionError::Busy(Operation::StopRecording)), "the leg cannot be told now");
}

/// A call whose leg is on its way to another worker, with the place of the leg.
fn moving() -> (World, SessionId, LegRef) {
    let mut pair = up();
    let id = replaced(&mut pair, false);
    pair.world.commands.clear();
    pair.world.told();
    let leg = pair.world.session(id).leg().unwrap();
    (pair.world, id, leg)
}

#[test]
fn a_start_and_a_stop_wait_for_the_end_of_a_move() {
    let (mut world, id, leg) = moving();
    let recording = start(&mut world, id.as_u64()).unwrap();
    assert_eq!((world.asked(), world.ports.files.len()), (vec![], 0));
    world.legs.insert(leg, 0);
    world.media(Event::Moved { leg, number: id.as_u64(), worker: 0 });
    world.serve();
    assert!(world.told().contains(&SessionEvent::RecordingStarted { id, recording }));

    let (mut world, id, _) = moving();
    let recording = start(&mut world, id.as_u64()).unwrap();
    assert_eq!(world.turn(|sessions, turn| sessions.stop_recording(turn, id, RecordingKind::Sound)), Ok(recording));
    assert_eq!(world.sessions.deadline(), Some(clock::Instant::ZERO));
    world.wait(Duration::ZERO);
    let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
    assert!(world.told().contains(&SessionEvent::RecordingEnded { id, recording, outcome }));
    assert!(world.session(id).allows(Operation::StartRecording));
}
