//! Prompts one after the other, paused and sought in.

use super::common::*;
use super::harness::*;
use crate::{AtEnd, PlannedSource, SessionError, SessionEvent, SessionId};
use clock::Duration;
use contract::{Command, Event, LegRef, PlayerId, PromptPlay, Source};

/// What the leg was told to send since the last time; every update is answered.
fn sources(world: &mut World) -> Vec<Source> {
    let flow = |command: &Command| match command {
        Command::Update { update, .. } => update.flow.map(|flow| flow.source()),
        other => panic!("{other:?}"),
    };
    let asked = std::mem::take(&mut world.commands);
    let found = asked.iter().filter_map(|(_, command)| flow(command)).collect();
    for (_, command) in asked {
        let leg = command.leg();
        world.media(Event::Updated { leg, number: command.number() });
    }
    found
}

fn prompt(number: u32) -> PlannedSource {
    PlannedSource::Prompt(number)
}

fn up() -> (World, LegRef, SessionId) {
    let (mut world, leg, tag) = connected("tone");
    world.commands.clear();
    world.told();
    (world, leg, SessionId::from_u64(tag))
}

#[test]
fn prompts_follow_each_other_and_the_end_of_the_last_one_is_told() {
    let (mut world, leg, id) = up();
    let all = vec![prompt(1), prompt(1), prompt(2)];
    world.turn(|sessions, turn| sessions.play_all(turn, id, all, AtEnd::Silence)).unwrap();
    let ended = Event::PlayerEnded { leg, player: PlayerId::NONE };
    for expected in [Source::Prompt(1), Source::Prompt(1), Source::Prompt(2)] {
        assert_eq!(sources(&mut world), [expected]);
        assert!(!world.told().contains(&SessionEvent::SourceEnded { id }));
        world.media(ended);
    }
    assert_eq!(sources(&mut world), [Source::Silence]);
    assert!(world.told().contains(&SessionEvent::SourceEnded { id }));
    // Something else ends the queue.
    let all = vec![prompt(1), prompt(2)];
    world.turn(|sessions, turn| sessions.play_all(turn, id, all, AtEnd::Silence)).unwrap();
    world.turn(|sessions, turn| sessions.play(turn, id, crate::Plan::of(prompt(3)))).unwrap();
    assert_eq!(sources(&mut world).last(), Some(&Source::Prompt(3)));
    world.media(ended);
    assert_eq!(sources(&mut world), [Source::Silence]);
    for wrong in [vec![], vec![prompt(1); crate::QUEUED_SOURCES_MAX + 1]] {
        assert!(world.turn(|sessions, turn| sessions.play_all(turn, id, wrong, AtEnd::Silence)).is_err());
    }
}

#[test]
fn a_prompt_goes_on_where_it_was_paused_and_from_where_it_is_sought() {
    let (mut world, _, id) = up();
    let pause = |world: &mut World, is_paused| world.turn(|sessions, turn| sessions.pause_playing(turn, id, is_paused));
    assert!(matches!(pause(&mut world, true), Err(SessionError::Busy(_))), "a tone has no place");
    let play = PromptPlay { prompt: 4, start_ms: 500, times: 2, gain_db: -6 };
    let all = vec![PlannedSource::PromptPlay(play)];
    world.turn(|sessions, turn| sessions.play_all(turn, id, all, AtEnd::Silence)).unwrap();
    assert_eq!(sources(&mut world), [Source::PromptPlay(play)]);
    world.now += Duration::from_millis(1_250);
    pause(&mut world, true).unwrap();
    pause(&mut world, true).unwrap();
    assert_eq!(sources(&mut world), [Source::Silence]);
    world.now += Duration::from_secs(9);
    pause(&mut world, false).unwrap();
    assert_eq!(sources(&mut world), [Source::PromptPlay(PromptPlay { start_ms: 1_750, ..play })]);
    world.now += Duration::from_millis(250);
    pause(&mut world, true).unwrap();
    sources(&mut world);
    // Sought while it is paused, it goes on there.
    world.turn(|sessions, turn| sessions.seek(turn, id, 60_000)).unwrap();
    assert_eq!(sources(&mut world), []);
    pause(&mut world, false).unwrap();
    let there = Source::PromptPlay(PromptPlay { start_ms: 60_000, ..play });
    assert_eq!(sources(&mut world), [there]);
    // To the same place again: from its beginning there.
    world.turn(|sessions, turn| sessions.seek(turn, id, 60_000)).unwrap();
    assert_eq!(sources(&mut world), [there]);
}
