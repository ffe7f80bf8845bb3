//! What a user does with an answered call.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Command, Direction, Event, LegRef, RefuseReason, Source};
use sip_core::{Cause, EndpointConfig, Refused, Reliability};

const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\n";

fn held_by_us(music: Option<PlannedSource>) -> (World, LegRef, u64) {
    let (mut world, leg, tag) = connected("tone");
    world.hold(music).unwrap();
    let (request, _) = world.reinvite();
    world.responds(request, 200, &held(if music.is_some() { "recvonly" } else { "inactive" }));
    world.only_update(leg, tag);
    assert_eq!(world.state(tag), SessionState::OnHold);
    world.told();
    (world, leg, tag)
}

#[test]
fn hold_with_and_without_music_and_back() {
    let music = PlannedSource::Prompt(3);
    for (with, said, answered, direction, source) in [
        (Some(music), "sendonly", "recvonly", Direction::Send, Source::Prompt(3)),
        (Some(PlannedSource::Silence), "sendonly", "recvonly", Direction::Send, Source::Silence),
        (None, "inactive", "inactive", Direction::Inactive, Source::Silence),
    ] {
        let (mut world, leg, tag) = connected("tone");
        let id = world.id();
        world.told();
        world.hold(with).unwrap();
        assert_eq!(world.state(tag), SessionState::Connected, "nothing has changed yet");
        let (request, sdp) = world.reinvite();
        assert!(sdp.contains(&format!("a={said}\r\n")) && sdp.contains(" 2 IN IP4"), "{sdp}");
        world.responds(request, 180, "");
        world.responds(request, 200, &held(answered));
        let spec = world.only_update(leg, tag);
        assert_eq!(
            (spec.flow.direction(), spec.flow.source(), spec.transport.media_timeout_ms),
            (direction, source, 0)
        );
        let told = world.told();
        assert!(told.contains(&SessionEvent::HoldChanged { id, here: true, there: false }), "{told:?}");
        assert!(told.contains(&SessionEvent::Done { id, operation: Operation::Hold }), "{told:?}");
        assert_eq!(world.state(tag), SessionState::OnHold);
        let again = world.hold(None);
        let Err(SessionError::InvalidState { operation: Operation::Hold, state, allowed }) = again else {
            panic!("{again:?}")
        };
        assert_eq!(state, SessionState::OnHold);
        assert!(allowed.contains(&Operation::Resume) && !allowed.contains(&Operation::Hold));

        world.resume().unwrap();
        let (request, sdp) = world.reinvite();
        assert!(sdp.contains("a=sendrecv\r\n"), "{sdp}");
        world.responds(request, 200, SDP);
        let spec = world.only_update(leg, tag);
        assert_eq!((spec.flow.direction(), spec.flow.source()), (Direction::Both, Source::Tone440));
        assert_eq!((world.state(tag), spec.transport.media_timeout_ms), (SessionState::Connected, 60_000));
        assert!(world.told().contains(&SessionEvent::HoldChanged { id, here: false, there: false }));
        assert!(matches!(world.resume(), Err(SessionError::InvalidState { .. })));
    }
}

/// A holds B while we hold B, which does not hear of that: it does when we resume it.
#[test]
fn a_hold_by_the_other_side_is_told_after_ours() {
    let mut pair = up();
    let (called, world) = (pair.called, &mut pair.world);
    world.turn(|sessions, turn| sessions.hold(turn, called, None)).unwrap();
    let (request, _) = world.reinvite_to(B);
    world.responds(request, 200, &held("inactive"));
    world.serve();
    world.reinvites(A, &held("sendonly"));
    world.serve();
    world.acknowledges(A, "");
    world.serve();
    assert!(!world.said().iter().any(|said| matches!(said, Said::Reinvite(..))), "we hold B");
    world.turn(|sessions, turn| sessions.resume(turn, called)).unwrap();
    let (request, sdp) = world.reinvite_to(B);
    assert!(sdp.contains("a=sendrecv\r\n"), "{sdp}");
    world.responds(request, 200, SDP);
    world.serve();
    let (request, sdp) = world.reinvite_to(B);
    assert!(sdp.contains("a=sendonly\r\n"), "{sdp}");
    world.responds(request, 200, &held("recvonly"));
    world.serve();
    assert_eq!(world.session(called).state(), SessionState::OnHold);
    assert!(!world.said().iter().any(|said| matches!(said, Said::Reinvite(..))), "both know");
}

#[test]
fn a_hold_that_fails_leaves_the_call_as_it_was() {
    for status in [488, 500, 603] {
        let (mut world, _, tag) = connected("tone");
        let id = world.id();
        world.told();
        world.hold(None).unwrap();
        let (request, _) = world.reinvite();
        world.responds(request, status, "");
        let origin = EndOrigin::Peer;
        assert_eq!(world.told(), [SessionEvent::Failed { id, operation: Operation::Hold, status, origin }]);
        assert!(world.asked().is_empty() && world.said().is_empty());
        assert_eq!(world.state(tag), SessionState::Connected);
        world.hold(None).unwrap();
    }
    // After 491 the endpoint tries again, some times.
    let (mut world, _, tag) = connected("tone");
    let id = world.id();
    world.told();
    world.hold(None).unwrap();
    for _ in 0..=5 {
        assert!(world.told().is_empty());
        let (request, _) = world.reinvite();
        world.responds(request, 491, "");
        world.wait(Duration::from_secs(4));
    }
    let (operation, status, origin) = (Operation::Hold, 491, EndOrigin::Peer);
    assert_eq!(world.told(), [SessionEvent::Failed { id, operation, status, origin }]);
    assert!(world.said().is_empty() && world.state(tag) == SessionState::Connected);
    // The same while resuming: it stays on hold.
    let (mut world, _, tag) = held_by_us(None);
    world.resume().unwrap();
    let (request, _) = world.reinvite();
    world.responds(request, 488, "");
    assert_eq!(world.state(tag), SessionState::OnHold);
    world.resume().unwrap();
}

#[test]
fn a_peer_that_is_gone_or_answers_nonsense_ends_the_call() {
    for (status, sdp, reason) in
        [(408, "", EndReason::PeerLost), (481, "", EndReason::PeerLost), (200, "", EndReason::BadAnswer)]
    {
        let (mut world, leg, tag) = connected("tone");
        world.hold(None).unwrap();
        let (request, _) = world.reinvite();
        world.responds(request, status, sdp);
        // The endpoint says goodbye where an answer is missing, and nothing to a peer that does not know the dialog.
        assert_eq!(world.said(), if status == 481 { vec![] } else { vec![Said::Bye(DIALOG)] });
        world.over(DIALOG, Cause::LocalBye);
        world.close(leg, tag);
        assert_eq!(world.last_end(), reason);
    }
}

#[test]
fn one_change_at_a_time() {
    let (mut world, leg, tag) = connected("tone");
    world.hold(None).unwrap();
    let (request, _) = world.reinvite();
    // Another one waits for the outcome.
    world.hold(None).unwrap();
    assert!(world.said().is_empty());
    world.responds(request, 488, "");
    let (request, _) = world.reinvite();
    world.responds(request, 488, "");
    assert!(world.said().is_empty());
    // The peer is changing something.
    world.reinvites(DIALOG, &held("sendonly"));
    world.hold(None).unwrap();
    assert!(world.said().is_empty());
    world.only_update(leg, tag);
    assert!(matches!(world.said()[..], [Said::Accept(REINVITE, _)]));
    world.acknowledges(DIALOG, "");
    let (request, _) = world.reinvite();
    world.responds(request, 488, "");
    assert_eq!(world.state(tag), SessionState::OnHold);
    // Both hold: the call is only back when both let go.
    world.hold(None).unwrap();
    let (request, sdp) = world.reinvite();
    assert!(sdp.contains("a=inactive"));
    world.responds(request, 200, &held("inactive"));
    world.only_update(leg, tag);
    world.reinvites(DIALOG, &held("sendrecv"));
    world.only_update(leg, tag);
    let said = world.said();
    assert!(matches!(&said[..], [Said::Accept(REINVITE, sdp)] if sdp.contains("a=inactive")), "{said:?}");
    assert_eq!(world.state(tag), SessionState::OnHold);
}

/// What the endpoint refuses changes nothing.
#[test]
fn a_hold_that_cannot_be_sent_is_refused() {
    let mut config = EndpointConfig::default();
    config.limits.max_transactions = 4;
    let mut world = World::with(Settings::default(), config, 4);
    let id = world.comes(DIALOG, "tone", SDP);
    world.serve();
    world.acknowledges(DIALOG, "");
    world.serve();
    world.fill_up();
    let before = format!("{:?}", world.session(id));
    assert_eq!(world.hold(None), Err(SessionError::Protocol(Refused::Full)));
    assert_eq!(before, format!("{:?}", world.session(id)));
}

#[test]
fn the_media_plane_fails_in_the_middle_of_a_hold() {
    let (mut world, leg, tag) = connected("tone");
    world.hold(None).unwrap();
    let (request, _) = world.reinvite();
    world.responds(request, 200, &held("inactive"));
    world.asked();
    world.media(Event::Refused { leg, number: tag, reason: RefuseReason::System });
    assert_eq!(world.said(), [Said::Bye(DIALOG)], "the peers have agreed already");
    world.over(DIALOG, Cause::LocalBye);
    world.close(leg, tag);
    assert_eq!(world.last_end(), EndReason::MediaFailed);
}

#[test]
fn mute_keeps_rtp_flowing_through_every_other_change() {
    let (mut world, leg, tag) = connected("tone");
    let id = world.id();
    world.turn(|sessions, turn| sessions.mute(turn, id, true)).unwrap();
    let spec = world.only_update(leg, tag);
    assert_eq!((spec.flow.muted, spec.flow.direction(), spec.flow.source()), (1, Direction::Both, Source::Tone440));
    world.turn(|sessions, turn| sessions.mute(turn, id, true)).unwrap();
    assert!(world.asked().is_empty(), "it is muted already");
    // The peer's change is at the media plane when mute ends: both count.
    world.reinvites(DIALOG, &held("recvonly"));
    world.turn(|sessions, turn| sessions.mute(turn, id, false)).unwrap();
    let asked = world.asked();
    let [Command::Update { update: first, .. }, Command::Update { update: second, .. }] = asked[..] else { panic!() };
    let first = first.whole().expect("all parts");
    let second = second.whole().expect("all parts");
    assert_eq!((first.flow.muted, first.flow.direction()), (1, Direction::Send));
    assert_eq!((second.flow.muted, second.flow.direction()), (0, Direction::Send));
    world.media(Event::Updated { leg, number: tag });
    assert!(matches!(&world.said()[..], [Said::Accept(REINVITE, _)]));
}

#[test]
fn the_source_changes_and_a_refused_one_is_silence() {
    let (mut world, leg, tag) = connected("tone");
    let id = world.id();
    let play = |world: &mut World, source| {
        world.turn(|sessions, turn| sessions.play(turn, id, Plan::of(source))).unwrap();
    };
    play(&mut world, PlannedSource::Echo);
    assert_eq!(world.only_update(leg, tag).flow.source(), Source::Leg(leg));
    play(&mut world, PlannedSource::Prompt(1));
    let first = world.only_update(leg, tag).flow;
    // The same prompt again begins again, by another player.
    play(&mut world, PlannedSource::Prompt(1));
    let second = world.only_update(leg, tag).flow;
    assert_eq!((first.source(), second.source()), (Source::Prompt(1), Source::Prompt(1)));
    assert_ne!(first.player, second.player);
    world.told();
    play(&mut world, PlannedSource::Prompt(99));
    world.asked();
    world.media(Event::Refused { leg, number: tag, reason: RefuseReason::Invalid });
    assert_eq!(
        world.told(),
        [SessionEvent::Failed { id, operation: Operation::ChangeMedia, status: 500, origin: EndOrigin::Media }]
    );
    assert_eq!(world.only_update(leg, tag).flow.source(), Source::Silence);
    // A worker that refuses even that is not asked for ever.
    play(&mut world, PlannedSource::Tone440);
    for _ in 0..5 {
        world.asked();
        world.media(Event::Refused { leg, number: tag, reason: RefuseReason::System });
    }
    assert!(world.asked().is_empty());
}

#[test]
fn music_on_hold_has_no_end() {
    let (mut world, leg, tag) = held_by_us(Some(PlannedSource::Prompt(2)));
    let session = world.sessions.get(world.id()).unwrap().leg.id().unwrap();
    let before = world.sessions.legs.wanted_spec(session).unwrap().flow.player;
    world.media(Event::PlayerEnded { leg, player: before });
    let asked = world.asked();
    let [Command::Update { update: again, .. }] = asked[..] else { panic!("{asked:?}") };
    let again = again.whole().expect("all parts").flow;
    assert_eq!(again.source(), Source::Prompt(2));
    assert_ne!(again.player, before, "it begins again");
    assert_eq!(world.state(tag), SessionState::OnHold);
}

#[test]
fn digits_as_telephone_events() {
    let (mut world, leg, tag) = {
        let sdp = SDP.replace("RTP/AVP 0", "RTP/AVP 0 101") + EVENTS;
        let (mut world, leg, tag) = ringing("tone", &sdp);
        world.media(Event::Opened { leg, number: tag });
        world.said();
        world.acknowledge(DIALOG);
        (world, leg, tag)
    };
    let id = world.id();
    let send = |world: &mut World, digits: &str, ms| {
        world.turn(|sessions, turn| sessions.send_dtmf(turn, id, digits, Duration::from_millis(ms)))
    };
    for (digits, ms) in [("", 100), ("12x", 100), ("1234567890123456789012345", 100), ("1", 39), ("1", 5_001)] {
        assert!(matches!(send(&mut world, digits, ms), Err(SessionError::Argument(_))), "{digits} {ms}");
    }
    send(&mut world, "1#d", 100).unwrap();
    let press = |digit| Command::SendDigit { leg, number: tag, digit, duration_ms: 100 };
    assert_eq!(world.asked(), [press(1), press(11), press(15)]);
    assert_eq!(world.events.last(), Some(&SessionEvent::Done { id, operation: Operation::SendDtmf }));
    // Further ones wait until these are sent: each takes 100 ms, and the pause after it.
    send(&mut world, "5", 100).unwrap();
    send(&mut world, "6", 100).unwrap();
    world.told();
    world.wait(Duration::from_millis(599));
    assert!(world.asked().is_empty());
    world.wait(Duration::from_millis(1));
    assert_eq!((world.asked(), world.told().len()), (vec![press(5)], 1));
    world.wait(Duration::from_millis(200));
    assert_eq!((world.asked(), world.told().len()), (vec![press(6)], 1));
    // There is room for so many, and none waits for ever.
    send(&mut world, "1234567890", 5_000).unwrap();
    world.asked();
    world.wait(Duration::from_millis(200));
    for _ in 0..PENDING_OPERATIONS_MAX {
        send(&mut world, "7", 100).unwrap();
    }
    assert!(matches!(send(&mut world, "8", 100), Err(SessionError::ResourceExhausted { .. })));
    world.asked();
    world.told();
    world.wait(OPERATION_WAIT_LIMIT);
    let declined = world.told();
    assert_eq!(declined.len(), PENDING_OPERATIONS_MAX);
    let busy = SessionError::Busy(Operation::SendDtmf);
    assert!(matches!(&declined[0], SessionEvent::Declined { error, .. } if **error == busy), "{declined:?}");
    world.wait(Duration::from_secs(30));
    assert!(world.asked().is_empty());
}

#[test]
fn digits_by_info_one_after_the_other() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    world.told();
    world.turn(|sessions, turn| sessions.send_dtmf(turn, id, "1*", Duration::from_millis(160))).unwrap();
    let said = world.said();
    let [Said::Info(first, DIALOG, body)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(body, "Signal=1\r\nDuration=160\r\n");
    world.responds(*first, 200, "");
    let said = world.said();
    let [Said::Info(second, DIALOG, body)] = &said[..] else { panic!("{said:?}") };
    assert!(body.starts_with("Signal=*"));
    assert!(world.told().is_empty());
    world.responds(*second, 200, "");
    assert_eq!(world.told(), [SessionEvent::Done { id, operation: Operation::SendDtmf }]);
    world.turn(|sessions, turn| sessions.send_dtmf(turn, id, "12", Duration::from_millis(160))).unwrap();
    let said = world.said();
    let [Said::Info(request, ..)] = &said[..] else { panic!("{said:?}") };
    world.responds(*request, 403, "");
    assert_eq!(
        world.told(),
        [SessionEvent::Failed { id, operation: Operation::SendDtmf, status: 403, origin: EndOrigin::Peer }]
    );
    assert!(world.said().is_empty(), "the rest is not sent");
}

#[test]
fn digits_come_by_info_as_well() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    let request = 50;
    for (kind, body, status, digit) in [
        ("application/dtmf-relay", "Signal= 7\r\nDuration= 160\r\n", 200, Some(7)),
        ("application/dtmf", "#", 200, Some(11)),
        ("application/dtmf", "12", 200, Some(12)),
        ("application/dtmf", "57", 400, None),
        ("application/dtmf-relay", "Duration=1", 400, None),
        ("text/plain", "1", 415, None),
        ("application/sdp", "", 200, None),
    ] {
        world.told();
        world.infos(DIALOG, request, kind, body);
        assert_eq!(world.said(), [Said::Respond(request, status, String::new())], "{kind} {body}");
        let wanted: Vec<_> = digit.into_iter().map(|digit| SessionEvent::Digit { id, digit }).collect();
        assert_eq!(world.told(), wanted, "{kind} {body}");
    }
}

#[test]
fn a_refresh_changes_nothing() {
    let (mut world, id, request, sdp) = refreshing();
    assert!(sdp.contains("a=sendrecv"), "{sdp}");
    assert!(world.told().is_empty());
    world.responds(request, 200, SDP);
    assert!(world.asked().is_empty() && world.told().is_empty());
    assert_eq!(world.session(id).state(), SessionState::Connected);
}

#[test]
fn the_codec_changes_by_reinvite() {
    let (mut world, leg, tag) = {
        let (mut world, leg, tag) =
            ringing("tone", &(SDP.replace("RTP/AVP 0", "RTP/AVP 0 8 96") + &EVENTS.replace("101", "96")));
        world.media(Event::Opened { leg, number: tag });
        world.said();
        world.acknowledge(DIALOG);
        (world, leg, tag)
    };
    let id = world.id();
    world.turn(|sessions, turn| sessions.change_codec(turn, id, contract::Codec::Pcma)).unwrap();
    let (request, sdp) = world.reinvite();
    assert!(sdp.contains(" RTP/AVP 8 96\r\n"), "{sdp}");
    world.responds(request, 488, "");
    assert_eq!(world.session(id).codec(), Some(contract::Codec::Pcmu));
    world.turn(|sessions, turn| sessions.change_codec(turn, id, contract::Codec::Pcma)).unwrap();
    let (request, _) = world.reinvite();
    world.told();
    world.responds(request, 200, &SDP.replace("RTP/AVP 0", "RTP/AVP 8"));
    let spec = world.only_update(leg, tag);
    assert_eq!(spec.formats.payloads.audio(), Some((8, contract::Codec::Pcma)));
    let told = world.told();
    assert!(told.contains(&SessionEvent::Done { id, operation: Operation::ChangeMedia }), "{told:?}");
    assert!(told.contains(&SessionEvent::MediaChanged { id }), "{told:?}");
    let none = world.turn(|sessions, turn| sessions.change_codec(turn, id, contract::Codec::Other));
    assert!(matches!(none, Err(SessionError::Media(_))));
}

#[test]
fn a_call_is_heard_before_it_is_answered() {
    let mut world = world();
    world.calls(DIALOG, "later", SDP);
    world.said();
    let id = world.id();
    world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))).unwrap();
    world.serve();
    let said = world.said();
    let [Said::Progress(INVITE, 183, early)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(
        (world.spec_opened(id).flow.source(), world.session(id).state()),
        (Source::Ringing, SessionState::Ringing)
    );
    let again = world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing)));
    assert_eq!(again, Err(SessionError::Busy(Operation::Accept)));
    world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Echo))).unwrap();
    world.serve();
    assert_eq!(world.said(), [Said::Accept(INVITE, early.clone())]);
    let leg = world.session(id).leg().unwrap();
    assert_eq!((world.spec(id).flow.source(), world.spec(id).transport.media_timeout_ms), (Source::Leg(leg), 60_000));

    // The caller changes its mind while it rings: a description that it may not have stands in the way.
    for (reliability, wanted) in [(Reliability::Off, 500), (Reliability::Supported, 200)] {
        world = self::world();
        world.reliability = reliability;
        world.calls(DIALOG, "later", SDP);
        let id = world.id();
        world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))).unwrap();
        world.serve();
        world.said();
        world.updates(DIALOG, 9, &SDP.replace("4000", "4800"));
        world.serve();
        let said = world.said();
        assert!(matches!(&said[..], [Said::Respond(9, status, _)] if *status == wanted), "{said:?}");
    }
    let id = world.id();
    assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_800);
    world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Echo))).unwrap();
    world.serve();
    assert!(matches!(world.said()[..], [Said::Accept(INVITE, _)]));
    assert_eq!(world.spec(id).transport.remote_rtp.get().unwrap().port(), 4_800);

    // Nobody decides; or the caller has offered nothing; or it is rejected after all.
    let early = |user: &str, sdp| {
        let mut world = World::new(Settings::default(), 4);
        world.calls(DIALOG, user, sdp);
        world.said();
        let id = world.id();
        let result = world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing)));
        world.serve();
        world.said();
        (world, id, result)
    };
    let (mut world, ..) = early("later", SDP);
    world.wait(Duration::from_secs(30));
    assert_eq!(world.said(), [Said::Reject(INVITE, 480, None)]);
    assert!(matches!(early("later", "").2, Err(SessionError::Media(_))));
    let (mut world, id, _) = early("later", SDP);
    world.turn(|sessions, turn| sessions.reject(turn, id, 603, "")).unwrap();
    assert_eq!(world.said(), [Said::Reject(INVITE, 603, None)]);
    world.over(DIALOG, Cause::Rejected(603));
    world.serve();
    world.assert_empty();
}

#[test]
fn a_description_of_the_users_own_is_sent_as_it_is() {
    let mut world = world();
    world.calls(DIALOG, "later", SDP);
    world.said();
    let id = world.id();
    let mut accept = |sdp: &'static str| {
        world.turn(|sessions, turn| sessions.accept_with(turn, id, Plan::of(PlannedSource::Silence), Some(sdp)))
    };
    assert!(matches!(accept("garbage"), Err(SessionError::Argument(_))));
    accept("v=0\r\nmine").unwrap();
    world.serve();
    assert_eq!(world.said(), [Said::Accept(INVITE, "v=0\r\nmine".into())]);
}
