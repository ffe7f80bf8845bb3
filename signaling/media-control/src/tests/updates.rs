//! Opening and changing legs.

use super::*;
use contract::RefuseReason;
use plane::Refuse;

#[test]
fn a_leg_opens_with_what_is_wanted_and_changes_only_where_it_differs() {
    let mut world = World::new();
    let id = world.opening_on(0, &tone());
    let asked = world.plane.taken();
    let [Command::Open { leg, spec, .. }] = asked[..] else { panic!("{asked:?}") };
    assert_eq!((spec.flow.source(), spec.flow.direction(), spec.flow.rewriting), (Source::Tone440, Direction::Both, 0));
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 1, others: 0 });
    assert_eq!(world.legs.deadline(), Some(world.now + ANSWER_LIMIT));
    assert_eq!(world.legs.confirmed_spec(id), None);
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened]);
    assert_eq!(world.want(id, &tone()), Standing::Confirmed, "nothing is different");
    let Standing::Awaits(number) = world.want(id, &muted(tone())) else { panic!() };
    let asked = world.plane.taken();
    assert!(
        matches!(asked[..], [Command::Update { number: tag, update, .. }] if tag == number.get() && update.flow.is_some_and(|flow| flow.muted == 1))
    );
    assert_eq!(world.want(id, &muted(tone())), Standing::Awaits(number), "it is on its way");
    assert_eq!(world.legs.confirmed_spec(id).map(|spec| spec.flow.muted), Some(0));
    world.serve();
    assert_eq!(world.told(), [LegEvent::Confirmed(number)]);
    assert_eq!((world.spec(id).flow.muted, world.legs.port(id).unwrap().leg), (1, leg));
    world.assert_settled(&[id]);
}

#[test]
fn what_is_wanted_while_a_leg_opens_follows_by_the_promised_number() {
    let mut world = World::new();
    let id = world.opening_on(0, &tone());
    let Standing::Awaits(number) = world.want(id, &muted(tone())) else { panic!() };
    assert_eq!(world.want(id, &muted(tone())), Standing::Awaits(number));
    world.serve();
    assert_eq!(world.told(), [LegEvent::Opened, LegEvent::Confirmed(number)]);
    world.assert_settled(&[id]);
}

#[test]
fn several_updates_are_open_and_the_last_wish_counts() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    world.plane.taken();
    let wishes =
        [Player::Silence, Player::Ringing, Player::Prompt(1), Player::Prompt(2), Player::Prompt(3), Player::Echo];
    let numbers = wishes.map(|player| {
        let flow = FlowWish { player: Some(player), ..tone().flow };
        let Standing::Awaits(number) = world.want(id, &LegWish { flow, ..tone() }) else { panic!() };
        number
    });
    assert_eq!(world.plane.taken().len(), UPDATES_OPEN_MAX);
    assert_eq!(numbers[4], numbers[5], "both wait for the same command");
    assert_eq!(world.legs.awaited(), AwaitedCount { calls: 0, others: UPDATES_OPEN_MAX });
    world.serve();
    let confirmed: Vec<_> = numbers[..5].iter().map(|number| LegEvent::Confirmed(*number)).collect();
    assert_eq!(world.told()[1..], confirmed);
    assert_eq!(world.source(id), Source::Leg(world.legs.port(id).unwrap().leg));
    assert_eq!(world.plane.taken().len(), 1, "the one before was overtaken");
    world.assert_settled(&[id]);
}

/// The parts that the only update since the last time carries.
fn parts(world: &mut World) -> [bool; 3] {
    let asked = world.plane.taken();
    let [Command::Update { update, .. }] = asked[..] else { panic!("{asked:?}") };
    [update.transport.is_some(), update.formats.is_some(), update.flow.is_some()]
}

#[test]
fn an_update_carries_the_parts_that_differ() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    world.plane.taken();
    for (wish, expected) in [
        (muted(tone()), [false, false, true]),
        (elsewhere(muted(tone())), [true, false, false]),
        (elsewhere(wish(8, Codec::Pcma)), [false, true, true]),
        (tone(), [true, true, false]),
    ] {
        world.want(id, &wish);
        assert_eq!(parts(&mut world), expected);
        world.serve();
        world.assert_settled(&[id]);
    }
}

#[test]
fn what_is_done_to_the_voice_of_a_peer_is_told_and_what_comes_of_it_is_heard() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    world.plane.taken();
    let mut wish = tone();
    wish.formats.voice = contract::VoiceProcessing::default().with_noise(true).with_activity(true);
    world.want(id, &wish);
    assert_eq!(parts(&mut world), [false, true, false]);
    world.serve();
    world.assert_settled(&[id]);
    assert_eq!(world.spec(id).formats.voice, wish.formats.voice);
    let leg = world.legs.port(id).unwrap().leg;
    for (event, expected) in [
        (Event::VoiceActivity { leg, is_speech: true }, LegEvent::VoiceActivity { is_speech: true }),
        (Event::VoiceRefused { leg }, LegEvent::VoiceRefused),
    ] {
        let told = world.turn(|legs, turn| legs.handle(turn, &event));
        assert_eq!(told.map(|(_, told)| told), Some(expected));
    }
}

#[test]
fn wishes_of_one_turn_leave_in_one_update_and_in_two_where_a_player_begins_again() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    world.plane.taken();
    let numbers = world.turn(|legs, turn| {
        let first = legs.want(turn, id, &muted(tone())).unwrap();
        (first, legs.want(turn, id, &elsewhere(tone())).unwrap())
    });
    assert_eq!(numbers.0, numbers.1, "one answer for both");
    assert_eq!(parts(&mut world), [true, false, true]);
    world.serve();
    world.assert_settled(&[id]);
    let prompt = LegWish { flow: FlowWish { player: Some(Player::Prompt(9)), ..tone().flow }, ..elsewhere(tone()) };
    world.want(id, &prompt);
    world.serve();
    world.plane.taken();
    let player = world.spec(id).flow.player;
    world.turn(|legs, turn| {
        legs.want(turn, id, &muted(prompt)).unwrap();
        legs.restart(turn, id, &muted(prompt)).unwrap();
    });
    let asked = world.plane.taken();
    let [Command::Update { update: again, .. }] = asked[..] else { panic!("{asked:?}") };
    let flow = again.flow.expect("another player");
    assert_eq!((flow.source(), flow.muted), (Source::Prompt(9), 1));
    assert_ne!(flow.player, player);
    world.serve();
    world.assert_settled(&[id]);
}

/// What an update that was refused or is not answered should have changed is told again with the next wish, and nothing
/// that a later update changed is taken back.
#[test]
fn parts_of_an_update_that_failed_are_told_again() {
    for is_lost in [false, true] {
        let mut world = World::new();
        let id = world.open_on(0, &tone());
        world.plane.taken();
        world.want(id, &elsewhere(tone()));
        assert_eq!(parts(&mut world), [true, false, false]);
        if is_lost {
            world.plane.lose(0);
        } else {
            world.plane.work(0, Some(Refuse(RefuseReason::Invalid)));
        }
        world.now += Duration::from_secs(1);
        world.want(id, &muted(elsewhere(tone())));
        assert_eq!(parts(&mut world), [false, false, true], "the other part is on its way");
        world.serve();
        if is_lost {
            assert_eq!(world.wait(ANSWER_LIMIT - Duration::from_secs(1)).len(), 1);
            assert_eq!(world.legs.confirmed_spec(id), None, "where it sends nobody knows");
            world.want(id, &muted(tone()));
            assert_eq!(parts(&mut world), [true, false, false]);
            world.serve();
        } else {
            assert_eq!(parts(&mut world), [true, false, false], "something else has been wanted since");
        }
        world.assert_settled(&[id]);
        assert_eq!(world.spec(id).flow.muted, 1);
    }
}

#[test]
fn an_open_that_is_refused_gives_its_port_back() {
    let mut world = World::new();
    for reason in [RefuseReason::Full, RefuseReason::System, RefuseReason::AlreadyOpen] {
        let id = world.opening_on(1, &tone());
        world.plane.work(1, Some(Refuse(reason)));
        world.serve();
        assert_eq!(world.told(), [LegEvent::OpenRefused(reason)]);
        assert_eq!(world.legs.state(id), None);
        world.assert_empty();
    }
}

#[test]
fn an_update_that_is_refused_leaves_the_leg_as_it_was() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    let prompt = LegWish { flow: FlowWish { player: Some(Player::Prompt(9)), ..tone().flow }, ..tone() };
    let Standing::Awaits(number) = world.want(id, &prompt) else { panic!() };
    world.plane.work(0, Some(Refuse(RefuseReason::Invalid)));
    world.told();
    world.serve();
    let reason = RefuseReason::Invalid;
    assert_eq!(world.told(), [LegEvent::Refused { number, reason, is_current: true }]);
    assert_eq!(world.legs.standing(id), Ok(Standing::Refused));
    assert_eq!(world.legs.confirmed_spec(id), Some(world.spec(id)));
    world.plane.taken();
    assert_eq!(world.want(id, &prompt), Standing::Refused, "it is not asked for again");
    assert_eq!(world.want(id, &tone()), Standing::Confirmed, "that is what it does");
    assert_eq!(world.plane.taken(), []);
    world.assert_settled(&[id]);
    // Something else has been wanted since.
    let Standing::Awaits(first) = world.want(id, &prompt) else { panic!() };
    let Standing::Awaits(second) = world.want(id, &muted(tone())) else { panic!() };
    world.plane.work(0, Some(Refuse(reason)));
    world.serve();
    let refused = LegEvent::Refused { number: first, reason, is_current: false };
    assert_eq!(world.told(), [refused, LegEvent::Confirmed(second)]);
    world.assert_settled(&[id]);
}

#[test]
fn a_worker_that_lost_the_leg_ends_it() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    world.want(id, &muted(tone()));
    world.plane.work(0, Some(Refuse(RefuseReason::NoSuchLeg)));
    world.told();
    world.serve();
    assert_eq!(world.told(), [LegEvent::Lost]);
    world.assert_empty();
}

#[test]
fn answers_that_do_not_come_are_missed() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    let Standing::Awaits(number) = world.want(id, &muted(tone())) else { panic!() };
    assert_eq!(world.wait(ANSWER_LIMIT - Duration::from_nanos(1)), []);
    assert_eq!(world.wait(Duration::from_nanos(1)), [(1_000, LegEvent::UpdateTimedOut(number))]);
    assert_eq!(world.legs.standing(id), Ok(Standing::Refused));
    assert_eq!((world.legs.confirmed_spec(id), world.legs.deadline()), (None, None));
    // It has carried it out after all, and is told what is wanted now.
    world.told();
    world.serve();
    assert_eq!(world.told(), [LegEvent::Late]);
    assert!(matches!(world.want(id, &tone()), Standing::Awaits(_)), "nobody knows what it does");
    world.serve();
    world.assert_settled(&[id]);
}

#[test]
fn a_player_begins_again_and_says_when_it_has_ended() {
    let mut world = World::new();
    let prompt = LegWish { flow: FlowWish { player: Some(Player::Prompt(9)), ..tone().flow }, ..tone() };
    let id = world.open_on(0, &prompt);
    let leg = world.legs.port(id).unwrap().leg;
    assert_eq!(world.legs.plays_prompt(id), Some(9));
    let ended = |world: &World| Event::PlayerEnded { leg, player: world.plane.spec(leg).unwrap().flow.player };
    let first = ended(&world);
    assert_eq!(world.hear(first), Some((1_000, LegEvent::SourceEnded)));
    world.plane.taken();
    world.turn(|legs, turn| legs.restart(turn, id, &prompt)).unwrap();
    let asked = world.plane.taken();
    let [Command::Update { update: again, .. }] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(again.flow.map(|flow| flow.source()), Some(Source::Prompt(9)));
    // The end of the first time comes late.
    assert_eq!(world.hear(first), Some((1_000, LegEvent::Late)));
    world.serve();
    let second = ended(&world);
    assert_eq!(world.hear(second), Some((1_000, LegEvent::SourceEnded)));
    // A digit is no new source.
    world.turn(|legs, turn| legs.send_digits(turn, id, &[5], Duration::from_millis(100))).unwrap();
    assert_eq!(world.hear(second), Some((1_000, LegEvent::SourceEnded)));
    world.want(id, &tone());
    assert_eq!(world.hear(second), Some((1_000, LegEvent::Late)));
    world.serve();
    world.assert_settled(&[id]);
}

#[test]
fn what_a_leg_hears_of_its_peer_is_told_to_its_owner() {
    let mut world = World::new();
    let id = world.open_on(0, &tone());
    let leg = world.legs.port(id).unwrap().leg;
    let address = tone().transport.remote_rtp;
    assert_eq!(world.hear(Event::Digit { leg, digit: 11 }), Some((1_000, LegEvent::Digit(11))));
    assert_eq!(world.hear(Event::Latched { leg, address }), Some((1_000, LegEvent::Latched(address))));
    assert_eq!(world.hear(Event::MediaTimeout { leg }), Some((1_000, LegEvent::MediaTimeout)));
    let earlier = contract::LegRef::new(leg.row, leg.generation + 1);
    assert_eq!(world.hear(Event::Digit { leg: earlier, digit: 1 }), None, "another life of the port");
    for number in [0, 1, u64::MAX] {
        assert_eq!(world.hear(Event::Updated { leg, number }), None, "{number} is a number that was never given");
    }
}

#[test]
fn digits_are_sent_in_order_and_their_refusals_known() {
    let mut world = World::new();
    let id = world.opening_on(0, &tone());
    let leg = world.legs.port(id).unwrap().leg;
    let each = Duration::from_millis(100);
    world.turn(|legs, turn| legs.send_digits(turn, id, &[1, 2], each)).unwrap();
    assert_eq!(world.plane.digits, []);
    world.serve();
    world.turn(|legs, turn| legs.send_digits(turn, id, &[3], each)).unwrap();
    world.serve();
    assert_eq!(world.plane.digits, [(leg, 1), (leg, 2), (leg, 3)]);
    world.told();
    // A refusal between two updates is not that of an update.
    let Standing::Awaits(number) = world.want(id, &muted(tone())) else { panic!() };
    world.turn(|legs, turn| legs.send_digits(turn, id, &[4], each)).unwrap();
    world.plane.work(0, None);
    world.plane.work(0, Some(Refuse(RefuseReason::Invalid)));
    world.serve();
    assert_eq!(world.told(), [LegEvent::Confirmed(number), LegEvent::DigitRefused(RefuseReason::Invalid)]);
    for (digits, duration) in [(&[16][..], each), (&[1], Duration::from_millis(39)), (&[1; 33], each)] {
        let refused = world.turn(|legs, turn| legs.send_digits(turn, id, digits, duration));
        assert_eq!(refused, Err(LegError::Digits));
    }
    world.assert_settled(&[id]);
}
