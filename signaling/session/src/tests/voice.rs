//! What is done to the voice of a peer, as the media plane and the user see it.

use crate::tests::common::*;
use crate::*;
use contract::{Command, Event, VoiceProcessing};

#[test]
fn a_call_is_processed_as_it_is_wanted_and_who_speaks_is_told() {
    let (mut world, leg, tag) = connected("tone");
    world.asked();
    world.told();
    let id = SessionId::from_u64(tag);
    let voice = VoiceProcessing::default().with_echo(true).with_activity(true);
    assert_eq!(world.turn(|sessions, turn| sessions.set_voice_processing(turn, id, voice)), Ok(()));
    let asked = world.asked();
    let [Command::Update { leg: told, update, .. }] = asked[..] else { panic!("{asked:?}") };
    assert_eq!((told, update.formats.map(|formats| formats.voice)), (leg, Some(voice)));
    assert_eq!(world.sessions.voice_processing(id), Some(voice));
    assert_eq!(world.turn(|sessions, turn| sessions.set_voice_processing(turn, id, voice)), Ok(()));
    assert!(world.asked().is_empty(), "it is done already");
    for is_speaking in [true, false] {
        world.media(Event::VoiceActivity { leg, is_speech: is_speaking });
        assert_eq!(world.told(), [SessionEvent::VoiceActivity { id, is_speaking }]);
    }
    world.media(Event::VoiceRefused { leg });
    assert_eq!(world.told(), [SessionEvent::VoiceProcessingRefused { id }]);
    assert_eq!(world.state(tag), SessionState::Connected, "the call goes on");
}

#[test]
fn calls_are_processed_by_the_settings_unless_something_else_is_wanted() {
    let (mut world, _, tag) = connected("tone");
    let id = SessionId::from_u64(tag);
    assert_eq!(world.spec(id).formats.voice, VoiceProcessing::default());
    let mut settings = Settings::default();
    settings.media.voice = VoiceProcessing::default().with_gain(true);
    world.sessions.reconfigure(&settings);
    assert_eq!(world.sessions.voice_processing(id), Some(settings.media.voice));
    // With the next change of its media.
    assert_eq!(world.turn(|sessions, turn| sessions.mute(turn, id, true)), Ok(()));
    world.serve();
    assert_eq!(world.spec(id).formats.voice, settings.media.voice);
    let none = VoiceProcessing::default();
    assert_eq!(world.turn(|sessions, turn| sessions.set_voice_processing(turn, id, none)), Ok(()));
    world.serve();
    assert_eq!(world.spec(id).formats.voice, none);
}
