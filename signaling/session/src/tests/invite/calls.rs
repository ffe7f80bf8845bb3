//! Single calls, step by step.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{CloseReason, Command, Direction, Event, LegRef, RefuseReason, Source};
use sip_core::{Cause, Content, Reliability};
use sip_wire::Method;

#[test]
fn a_call_from_invite_to_bye() {
    let (mut world, leg, tag) = connected("tone");
    let session = world.sessions.get(SessionId::from_u64(tag)).unwrap();
    assert_eq!(&*session.parties().from, "sip:alice@example.com");
    assert_eq!((session.local_rtp().unwrap().port(), session.remote_rtp().unwrap().port()), (port_of(leg), 4_000));
    world.over(DIALOG, Cause::RemoteBye);
    assert_eq!(world.state(tag), SessionState::Terminating);
    world.close(leg, tag);
    assert_eq!(world.last_end(), EndReason::RemoteBye);
    let changes: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| if let SessionEvent::StateChanged { new, .. } = event { Some(*new) } else { None })
        .collect();
    use SessionState::*;
    assert_eq!(changes, [Ringing, Connected, Terminating, Terminated]);
}

#[test]
fn the_plan_becomes_the_source() {
    for (user, source) in [("tone", Source::Tone440), ("play", Source::Prompt(0)), ("echo", Source::None)] {
        let mut world = world();
        world.calls(DIALOG, user, SDP);
        let [Command::Open { leg, spec, .. }] = world.asked()[..] else { panic!() };
        assert_eq!(spec.flow.source(), if user == "echo" { Source::Leg(leg) } else { source });
        assert_eq!(
            (spec.check(), spec.flow.direction(), spec.transport.media_timeout_ms),
            (Ok(()), Direction::Both, 60_000)
        );
    }
}

#[test]
fn refusals_take_no_port() {
    for (user, sdp, status) in [
        ("busy", SDP, 486),
        ("tone", "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 18\r\n", 488),
        ("tone", "x", 400),
    ] {
        let mut world = world();
        world.calls(DIALOG, user, sdp);
        assert_eq!(world.said(), [Said::Reject(INVITE, status, None)]);
        assert!(world.asked().is_empty());
        world.over(DIALOG, Cause::Rejected(status));
        world.assert_empty();
    }
}

#[test]
fn without_ports_or_room_it_is_503_at_once() {
    let mut world = World::new(Settings::default(), 0);
    world.calls(DIALOG, "tone", SDP);
    assert_eq!(world.said(), [Said::Reject(INVITE, 503, Some(5))]);
    world.over(DIALOG, Cause::Rejected(503));
    world.assert_empty();
    let mut world = World::new(small(1), 4);
    world.calls(DIALOG, "tone", SDP);
    world.said();
    let second = 80;
    world.calls(second, "tone", SDP);
    assert_eq!(world.said(), [Said::Reject(second, 503, Some(5))]);
    world.over(second, Cause::Rejected(503));
    assert_eq!(world.sessions.count(), 1);
}

#[test]
fn cancel_while_the_leg_opens() {
    let (mut world, leg, tag) = ringing("tone", SDP);
    world.over(DIALOG, Cause::RemoteCancel);
    world.media(Event::Opened { leg, number: tag });
    assert!(world.said().is_empty(), "a cancelled call is not answered");
    world.close(leg, tag);
    assert_eq!(world.last_end(), EndReason::Cancelled);
}

#[test]
fn a_refused_or_silent_media_plane_costs_the_call_only() {
    let (mut world, leg, tag) = ringing("tone", SDP);
    world.media(Event::Refused { leg, number: tag, reason: RefuseReason::Full });
    assert_eq!(world.said(), [Said::Reject(INVITE, 503, Some(5))]);
    world.over(DIALOG, Cause::Rejected(503));
    world.assert_empty();
    let (mut world, leg, tag) = ringing("tone", SDP);
    world.wait(MEDIA_ANSWER_LIMIT);
    assert_eq!(world.said(), [Said::Reject(INVITE, 503, Some(5))]);
    world.over(DIALOG, Cause::Rejected(503));
    assert_eq!(world.asked(), [Command::Close { leg, number: tag }]);
    world.wait(MEDIA_CLOSE_LIMIT - Duration::from_nanos(1));
    assert_eq!(world.ports.out.len(), 1, "the port waits for its limit");
    world.wait(Duration::from_nanos(1));
    world.assert_empty();
    assert_eq!(world.last_end(), EndReason::MediaFailed);
}

#[test]
fn silence_no_ack_and_a_lost_leg_end_the_call() {
    let (mut world, leg, tag) = connected("tone");
    world.media(Event::MediaTimeout { leg });
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.over(DIALOG, Cause::LocalBye);
    world.close(leg, tag);
    assert_eq!(world.last_end(), EndReason::MediaTimeout);

    let (mut world, leg, tag) = ringing("tone", SDP);
    world.media(Event::Opened { leg, number: tag });
    world.said();
    world.loses(DIALOG);
    world.wait(Duration::from_secs(32));
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.hears_again(DIALOG);
    world.over(DIALOG, Cause::LocalBye);
    world.close(leg, tag);
    assert_eq!(world.last_end(), EndReason::NoAck);

    let (mut world, leg, tag) = connected("tone");
    world.media(Event::Closed { leg, number: tag, reason: CloseReason::Failed });
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.over(DIALOG, Cause::LocalBye);
    world.assert_empty();
}

#[test]
fn a_lost_media_plane_ends_all_and_forgets_its_ports() {
    let (mut world, ..) = connected("tone");
    world.turn(|sessions, turn| sessions.media_lost(turn));
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    assert!(world.asked().is_empty(), "there is nobody to ask");
    world.over(DIALOG, Cause::LocalBye);
    assert_eq!((world.sessions.count(), world.ports.out.len()), (0, 1));
    let (mut world, ..) = ringing("tone", SDP);
    world.turn(|sessions, turn| sessions.media_lost(turn));
    assert_eq!(world.said(), [Said::Reject(INVITE, 503, Some(5))]);
}

#[test]
fn hold_and_resume_by_the_peer() {
    let (mut world, leg, tag) = connected("tone");
    for (direction, expected, state, timeout) in [
        ("sendonly", Direction::Receive, SessionState::OnHold, 0),
        ("inactive", Direction::Inactive, SessionState::OnHold, 0),
        ("recvonly", Direction::Send, SessionState::Connected, 0),
        ("sendrecv", Direction::Both, SessionState::Connected, 60_000),
    ] {
        world.reinvites(DIALOG, &held(direction));
        assert!(world.said().is_empty(), "the media plane comes first");
        let [Command::Update { update: spec, .. }] = world.asked()[..] else { panic!() };
        let spec = spec.whole().expect("all parts");
        assert_eq!((spec.flow.direction(), spec.transport.media_timeout_ms), (expected, timeout));
        world.media(Event::Updated { leg, number: tag });
        assert!(matches!(&world.said()[..], [Said::Accept(REINVITE, _)]));
        assert_eq!(world.state(tag), state, "{direction}");
    }
    // The same again lets the leg learn anew where the peer is, which may have moved, and changes nothing else.
    let before = world.spec_opened(SessionId::from_u64(tag));
    world.reinvites(DIALOG, &held("sendrecv"));
    let again = world.only_update(leg, tag);
    assert_ne!(again.transport.negotiation, before.transport.negotiation);
    assert_eq!(again.with(|spec| spec.transport.negotiation = before.transport.negotiation), before);
    assert!(matches!(&world.said()[..], [Said::Accept(REINVITE, _)]));
}

#[test]
fn a_bad_change_leaves_the_call_as_it_was() {
    let (mut world, leg, tag) = connected("tone");
    world.reinvites(DIALOG, &SDP.replace("RTP/AVP 0", "RTP/AVP 18"));
    assert_eq!(world.said(), [Said::Reject(REINVITE, 488, None)]);
    assert!(world.asked().is_empty());
    // The media plane does not take it.
    world.reinvites(DIALOG, &held("inactive"));
    world.media(Event::Refused { leg, number: tag, reason: RefuseReason::Invalid });
    assert_eq!(world.said(), [Said::Reject(REINVITE, 500, None)]);
    assert_eq!(world.state(tag), SessionState::Connected);
    // Or says nothing.
    world.reinvites(DIALOG, &held("inactive"));
    world.wait(MEDIA_ANSWER_LIMIT);
    assert_eq!(world.said(), [Said::Reject(REINVITE, 500, None)]);
    assert_eq!(world.state(tag), SessionState::Connected);
}

#[test]
fn a_cancelled_change_is_taken_back() {
    let (mut world, leg, tag) = connected("tone");
    world.reinvites(DIALOG, &held("inactive"));
    world.cancels_reinvite(DIALOG);
    let [_, Command::Update { update: spec, .. }] = world.asked()[..] else { panic!() };
    let spec = spec.whole().expect("all parts");
    assert_eq!(spec.flow.direction(), Direction::Both);
    world.media(Event::Updated { leg, number: tag });
    world.media(Event::Updated { leg, number: tag });
    assert!(world.said().is_empty());
    assert_eq!(world.state(tag), SessionState::Connected);
}

#[test]
fn an_update_is_answered_like_a_reinvite() {
    let (mut world, leg, tag) = connected("tone");
    let request = 50;
    world.updates(DIALOG, request, &held("sendonly"));
    world.asked();
    world.media(Event::Updated { leg, number: tag });
    let said = world.said();
    assert!(matches!(&said[..], [Said::Respond(_, 200, sdp)] if sdp.contains("a=recvonly")), "{said:?}");
    world.updates(DIALOG, request, "");
    assert_eq!(world.said(), [Said::Respond(request, 200, String::new())]);
    world.asks(DIALOG, request, Method::Message, Content::NONE);
    assert_eq!(world.said(), [Said::Respond(request, 403, String::new())]);
    world.asks_outside(8, Method::Options, &[]);
    assert_eq!(world.said(), [Said::Respond(8, 200, String::new())]);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let (mut world, leg, tag) = ringing("tone", "");
    world.media(Event::Opened { leg, number: tag });
    let said = world.said();
    assert!(matches!(&said[..], [Said::Accept(INVITE, sdp)] if sdp.contains("RTP/AVP 0 8 101")), "{said:?}");
    world.acknowledges(DIALOG, SDP);
    let [Command::Update { update: spec, .. }] = world.asked()[..] else { panic!() };
    let spec = spec.whole().expect("all parts");
    assert_eq!((spec.flow.direction(), spec.transport.remote_rtp.get().unwrap().port()), (Direction::Both, 4_000));
    world.media(Event::Updated { leg, number: tag });
    assert!(world.said().is_empty() && world.asked().is_empty());

    let (mut world, leg, tag) = ringing("tone", "");
    world.media(Event::Opened { leg, number: tag });
    world.said();
    world.acknowledges(DIALOG, "");
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.over(DIALOG, Cause::LocalBye);
    world.close(leg, tag);
    assert_eq!(world.last_end(), EndReason::BadAnswer);
}

#[test]
fn decisions_may_come_later_or_never() {
    let mut world = world();
    world.calls(DIALOG, "later", SDP);
    assert_eq!(world.said(), [Said::Ringing(INVITE)]);
    let id = world.sessions.iter().next().unwrap().id();
    world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Echo))).unwrap();
    assert!(world.said().is_empty(), "it rings already");
    let again = world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Echo)));
    assert!(matches!(again, Err(SessionError::InvalidState { operation: Operation::Accept, .. })));
    let [Command::Open { leg, number: tag, .. }] = world.asked()[..] else { panic!() };
    world.media(Event::Opened { leg, number: tag });
    assert!(matches!(&world.said()[..], [Said::Accept(INVITE, _)]));
    world.acknowledge(DIALOG);
    world.turn(|sessions, turn| sessions.terminate(turn, id)).unwrap();
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    assert!(world.turn(|sessions, turn| sessions.terminate(turn, id)).is_err());
    world.over(DIALOG, Cause::LocalBye);
    world.close(leg, tag);
    let gone = world.turn(|sessions, turn| sessions.reject(turn, id, 603, ""));
    assert_eq!(gone, Err(SessionError::SessionNotFound(id)));

    world.calls(DIALOG, "later", SDP);
    world.said();
    world.wait(Duration::from_secs(30));
    assert_eq!(world.said(), [Said::Reject(INVITE, 480, None)]);
    world.over(DIALOG, Cause::Rejected(480));
    world.assert_empty();
    assert_eq!(world.last_end(), EndReason::NotDecided);
}

#[test]
fn an_answer_waits_for_the_prack() {
    let mut world = world();
    world.reliability = Reliability::Supported;
    let id = world.comes(DIALOG, "later", SDP);
    world.turn(|sessions, turn| sessions.early_media(turn, id, Plan::of(PlannedSource::Ringing))).unwrap();
    world.serve();
    assert!(matches!(&world.said()[..], [Said::Ringing(INVITE), Said::Progress(INVITE, 183, _)]));
    world.turn(|sessions, turn| sessions.accept(turn, id, Plan::of(PlannedSource::Echo))).unwrap();
    world.serve();
    assert!(world.said().is_empty());
    world.deliver(DIALOG);
    assert!(matches!(&world.said()[..], [Said::Accept(INVITE, _)]));
}

#[test]
fn a_prompt_ends_in_silence_or_with_the_call() {
    let (mut world, leg, tag) = connected("play");
    world.media(Event::PlayerEnded { leg, player: contract::PlayerId::NONE });
    let [Command::Update { update: spec, .. }] = world.asked()[..] else { panic!() };
    let spec = spec.whole().expect("all parts");
    assert_eq!((spec.flow.source(), world.state(tag)), (Source::Silence, SessionState::Connected));
    let (mut world, leg, _) = connected("once");
    world.media(Event::PlayerEnded { leg, player: contract::PlayerId::NONE });
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
}

#[test]
fn a_call_takes_another_one_over() {
    let (mut world, ..) = connected("tone");
    world.calls_replacing(70, DIALOG, &[], SDP);
    let [Command::Open { leg, number: tag, .. }] = world.asked()[..] else { panic!() };
    world.media(Event::Opened { leg, number: tag });
    let said = world.said();
    assert!(matches!(&said[..], [Said::Ringing(_), Said::Accept(..), Said::Bye(DIALOG)]), "{said:?}");
}

#[test]
fn a_stop_ends_every_call_properly() {
    let (mut world, leg, tag) = connected("tone");
    world.turn(|sessions, turn| sessions.end_all(turn, EndReason::Shutdown));
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.media(Event::Closed { leg, number: tag, reason: CloseReason::Asked });
    assert_eq!(world.sessions.count(), 1, "the BYE is not answered yet");
    // Nor will it be: the limit sees to it.
    world.loses(DIALOG);
    world.wait(Settings::default().timeouts.ending);
    world.assert_empty();
}

#[test]
fn words_about_others_are_ignored() {
    let (mut world, leg, tag) = connected("tone");
    world.media(Event::MediaTimeout { leg: LegRef::new(leg.row, leg.generation + 1) });
    world.media(Event::Refused { leg, number: tag + 1, reason: RefuseReason::NoSuchLeg });
    assert!(world.said().is_empty() && world.state(tag) == SessionState::Connected);
    world.media(Event::Digit { leg, digit: 5 });
    assert_eq!(world.events.last(), Some(&SessionEvent::Digit { id: SessionId::from_u64(tag), digit: 5 }));
}
