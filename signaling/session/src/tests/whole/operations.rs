//! Every operation in every state of a real session: it is carried out, or refused without a trace.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Codec, RecordingFormat, RecordingKind, RecordingLayout};

type Operate = fn(&mut Sessions, &mut Turn<'_>, SessionId) -> Result<(), SessionError>;

/// In the order of the columns below.
const OPERATIONS: [(Operation, Operate); 18] = [
    (Operation::Accept, |sessions, turn, id| sessions.accept(turn, id, Plan::of(PlannedSource::Echo))),
    (Operation::Accept, |sessions, turn, id| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))),
    (Operation::Accept, |sessions, turn, id| sessions.forward(turn, id, Forward::to(vec![target("b1")])).map(drop)),
    (Operation::Reject, |sessions, turn, id| sessions.reject(turn, id, 603, "")),
    (Operation::Hold, |sessions, turn, id| sessions.hold(turn, id, None)),
    (Operation::Resume, |sessions, turn, id| sessions.resume(turn, id)),
    (Operation::Transfer, |sessions, turn, id| sessions.transfer(turn, id, "sip:c@192.0.2.3")),
    (Operation::SendDtmf, |sessions, turn, id| sessions.send_dtmf(turn, id, "1", Duration::from_millis(100))),
    (Operation::Mute, |sessions, turn, id| sessions.mute(turn, id, true)),
    (Operation::ChangeMedia, |sessions, turn, id| sessions.play(turn, id, Plan::of(PlannedSource::Silence))),
    (Operation::ChangeMedia, |sessions, turn, id| sessions.change_codec(turn, id, Codec::Pcmu)),
    (Operation::StartRecording, start_recording),
    (Operation::StopRecording, |sessions, turn, id| sessions.stop_recording(turn, id, RecordingKind::Sound).map(drop)),
    (Operation::StartCapture, start_capture),
    (Operation::StopCapture, |sessions, turn, id| sessions.stop_recording(turn, id, RecordingKind::Packets).map(drop)),
    (Operation::Bridge, |sessions, turn, id| {
        let bridge = sessions.create_bridge()?;
        let added = sessions.add_to_bridge(turn, bridge, id);
        if added.is_err() {
            sessions.destroy_bridge(turn, bridge)?;
        }
        added
    }),
    (Operation::Terminate, |sessions, turn, id| sessions.terminate(turn, id)),
    // Twice: the second time it is ending.
    (Operation::Terminate, |sessions, turn, id| {
        sessions.terminate(turn, id)?;
        assert!(sessions.terminate(turn, id).is_err());
        Ok(())
    }),
];

/// Name, state, how a session gets there, and a mark for each operation.
type Row = (&'static str, SessionState, fn(&mut World) -> SessionId, &'static str);

/// How a session gets into each state, and which of the operations it takes there.
const STATES: [Row; 14] = [
    ("dialled", SessionState::Initializing, dialled, "................xx"),
    ("dialling", SessionState::Dialing, dialling, "................xx"),
    ("called one rings", SessionState::Ringing, called_rings, "................xx"),
    ("rings here", SessionState::Ringing, rings, "xxxx............xx"),
    ("answering", SessionState::Ringing, answering, "................xx"),
    ("connected", SessionState::Connected, answered, "....x.xxxxxx.x.xxx"),
    ("connected, outgoing", SessionState::Connected, called_answered, "....x.xxxxxx.x.xxx"),
    ("recorded", SessionState::Connected, recorded, "....x.xxxxx.xx.xxx"),
    ("captured", SessionState::Connected, captured, "....x.xxxxxx..xxxx"),
    ("held by us", SessionState::OnHold, holds, ".....xxxxxxx.x.xxx"),
    ("held by the peer", SessionState::OnHold, is_held, "....x.xxxxxx.x.xxx"),
    ("transferring", SessionState::Transferring, transferring, ".......xxxxx.x..xx"),
    ("ending", SessionState::Terminating, ending, ".................."),
    ("ending, outgoing", SessionState::Terminating, cancelled, ".................."),
];

fn start_recording(sessions: &mut Sessions, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
    let file = std::fs::File::open("/dev/null").unwrap();
    sessions.start_recording(turn, id, file, RecordingLayout::Stereo, Duration::from_secs(60)).map(drop)
}

fn start_capture(sessions: &mut Sessions, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
    let file = std::fs::File::open("/dev/null").unwrap();
    sessions.start_recording(turn, id, file, RecordingFormat::Pcapng, Duration::from_secs(60)).map(drop)
}

fn captured(world: &mut World) -> SessionId {
    let id = answered(world);
    world.turn(|sessions, turn| start_capture(sessions, turn, id)).unwrap();
    world.serve();
    id
}

fn recorded(world: &mut World) -> SessionId {
    let id = answered(world);
    world.turn(|sessions, turn| start_recording(sessions, turn, id)).unwrap();
    world.serve();
    id
}

fn dial(world: &mut World) -> SessionId {
    world.turn(|sessions, turn| sessions.dial(turn, Dial::new("sip:us@example.com", target("b1")))).unwrap()
}

fn dialled(world: &mut World) -> SessionId {
    dial(world)
}

fn dialling(world: &mut World) -> SessionId {
    let id = dial(world);
    world.serve();
    id
}

fn called_rings(world: &mut World) -> SessionId {
    let id = dialling(world);
    let (call, ..) = world.invited();
    world.progress(call, 50, 180, "");
    id
}

fn called_answered(world: &mut World) -> SessionId {
    let id = dialling(world);
    let (call, ..) = world.invited();
    world.answered(call, 50, SDP);
    world.serve();
    id
}

fn rings(world: &mut World) -> SessionId {
    world.comes(1, "later", SDP)
}

fn answering(world: &mut World) -> SessionId {
    world.comes(1, "tone", SDP)
}

fn answered(world: &mut World) -> SessionId {
    let id = answering(world);
    world.serve();
    world.acknowledges(1, "");
    world.serve();
    id
}

fn holds(world: &mut World) -> SessionId {
    let id = answered(world);
    world.said();
    world.hold(None).unwrap();
    let (request, _) = world.reinvite_to(1);
    world.responds(request, 200, &held("inactive"));
    world.serve();
    id
}

fn is_held(world: &mut World) -> SessionId {
    let id = answered(world);
    let dialog = 1;
    world.reinvites(dialog, &held("sendonly"));
    world.serve();
    id
}

fn transferring(world: &mut World) -> SessionId {
    let id = answered(world);
    world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3")).unwrap();
    id
}

fn ending(world: &mut World) -> SessionId {
    let id = answered(world);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    id
}

fn cancelled(world: &mut World) -> SessionId {
    let id = dialling(world);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    id
}

#[test]
fn every_operation_in_every_state() {
    for (name, state, prepare, row) in STATES {
        for ((operation, operate), cell) in OPERATIONS.into_iter().zip(row.chars()) {
            let mut world = World::new(Settings::default(), 6);
            let id = prepare(&mut world);
            assert_eq!(world.session(id).state(), state, "{name}");
            assert_eq!(world.session(id).allows(operation), cell == 'x', "{name}: {operation:?}");
            world.said();
            world.asked();
            world.told();
            let before = format!("{:?}", world.session(id));
            let result = world.turn(|sessions, turn| operate(sessions, turn, id));
            if cell == 'x' {
                assert_eq!(result, Ok(()), "{name}: {operation:?}");
                continue;
            }
            let Err(SessionError::InvalidState { operation: refused, state: there, allowed }) = result else {
                panic!("{name}: {operation:?} gave {result:?}");
            };
            assert_eq!((refused, there, allowed.contains(&operation)), (operation, state, false), "{name}");
            assert_eq!(allowed, world.session(id).allowed(), "{name}");
            assert!(before == format!("{:?}", world.session(id)), "{name}: {operation:?} left a trace");
            let left = world.told().into_iter().filter(|event| !matches!(event, SessionEvent::BridgeDestroyed { .. }));
            assert_eq!((world.said(), world.asked(), left.count()), (vec![], vec![], 0), "{name}: {operation:?}");
        }
    }
    // After the end there is nobody to ask.
    let mut world = World::new(Settings::default(), 6);
    let id = SessionId::from_u64(77);
    for (operation, operate) in OPERATIONS {
        let result = world.turn(|sessions, turn| operate(sessions, turn, id));
        assert_eq!(result, Err(SessionError::SessionNotFound(id)), "{operation:?}");
    }
}
