//! Calls that are transferred, by us and by peers.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Event, Source};
use sip_core::{Cause, EndpointConfig, Refused};
use stats::SignalCounter;

/// A call whose transfer we have asked for.
fn transferring() -> (World, SessionId, u64, u64) {
    let (mut world, _, tag) = connected("tone");
    let id = world.id();
    world.told();
    world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3")).unwrap();
    let said = world.said();
    let [Said::Refer(request, DIALOG, target)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((target.as_str(), world.state(tag)), ("sip:c@192.0.2.3", SessionState::Transferring));
    (world, id, tag, *request)
}

#[test]
fn a_transfer_that_goes_well() {
    let (mut world, id, tag, request) = transferring();
    let again = world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:d@192.0.2.3"));
    assert!(matches!(again, Err(SessionError::InvalidState { state: SessionState::Transferring, .. })));
    world.responds(request, 202, "");
    world.notify(request, "SIP/2.0 100 Trying", false);
    world.notify(request, "SIP/2.0 180 Ringing\r\n", false);
    assert!(world.events.contains(&SessionEvent::TransferProgress { id, status: 180 }));
    assert_eq!(world.state(tag), SessionState::Transferring);
    world.notify(request, "SIP/2.0 200 OK", true);
    assert!(world.events.contains(&SessionEvent::Done { id, operation: Operation::Transfer }));
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.over(DIALOG, Cause::LocalBye);
    world.serve();
    world.assert_empty();
    assert_eq!(world.last_end(), EndReason::Transferred);
}

#[test]
fn a_transfer_that_fails_brings_the_call_back() {
    use EndOrigin::{Called, Peer, TimeOut};
    type Way = fn(&mut World, u64);
    let ways: [(Way, u16, EndOrigin); 5] = [
        (|world, request| world.responds(request, 603, ""), 603, Peer),
        (|world, request| world.notify(request, "SIP/2.0 486 Busy", true), 486, Called),
        (|world, request| world.notify(request, "SIP/2.0 100 Trying", true), 500, Peer),
        (|world, request| world.notify(request, "nonsense", true), 500, Peer),
        (
            |world, request| {
                world.notify(request, "SIP/2.0 100 Trying", false);
                world.wait(Duration::from_secs(180));
            },
            408,
            TimeOut,
        ),
    ];
    for (way, status, origin) in ways {
        let (mut world, id, tag, request) = transferring();
        way(&mut world, request);
        assert!(
            world.events.contains(&SessionEvent::Failed { id, operation: Operation::Transfer, status, origin }),
            "{status}"
        );
        assert_eq!(world.state(tag), SessionState::Connected);
        assert!(world.sessions.by_subscription.is_empty() && world.said().is_empty());
        // A late word changes nothing.
        if status != 603 {
            world.notify(request, "SIP/2.0 200 OK", true);
        }
        assert_eq!(world.state(tag), SessionState::Connected);
    }
    // Nothing is reported for as long as the subscription lasts.
    let (mut world, ..) = connected("tone");
    let id = world.id();
    world.sessions.settings.timeouts.transfer = Duration::from_secs(1_000);
    world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3")).unwrap();
    world.responds(1, 202, "");
    world.wait(Duration::from_secs(400));
    let (operation, status, origin) = (Operation::Transfer, 408, EndOrigin::TimeOut);
    assert!(world.events.contains(&SessionEvent::Failed { id, operation, status, origin }), "{:?}", world.events);
    assert_eq!(world.session(id).state(), SessionState::Connected);
    // The endpoint says 408 or 503 by itself where no answer came. A peer that does not answer is lost.
    let (mut world, id, _, request) = transferring();
    world.responds(request, 408, "");
    let (operation, status, origin) = (Operation::Transfer, 408, EndOrigin::TimeOut);
    assert!(world.events.contains(&SessionEvent::Failed { id, operation, status, origin }));
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    // The connection breaks.
    let mut world = crate::tests::common::world();
    world.transport = sip_core::Transport::Tcp;
    let id = world.comes(DIALOG, "tone", SDP);
    world.serve();
    world.acknowledges(DIALOG, "");
    world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3")).unwrap();
    world.breaks(DIALOG);
    let (operation, status, origin) = (Operation::Transfer, 503, EndOrigin::Network);
    assert!(world.events.contains(&SessionEvent::Failed { id, operation, status, origin }), "{:?}", world.events);
    // The peer hangs up instead.
    let (mut world, ..) = transferring();
    world.over(DIALOG, Cause::RemoteBye);
    world.serve();
    world.assert_empty();
}

#[test]
fn an_attended_transfer_ends_both_calls() {
    let mut world = World::new(Settings::default(), 4);
    let (one, other) = (world.comes(1, "tone", SDP), world.comes(2, "tone", SDP));
    world.serve();
    world.acknowledges(1, "");
    world.acknowledges(2, "");
    world.said();
    let replaced = world.sip.endpoint.dialog_info(world.dialog_of(2).unwrap()).unwrap();
    let replaced = format!("Replaces={}%3B", String::from_utf8_lossy(replaced.call_id));
    world.turn(|sessions, turn| sessions.attended_transfer(turn, one, other)).unwrap();
    let said = world.said();
    let [Said::Refer(request, _, target)] = &said[..] else { panic!("{said:?}") };
    assert!(target.contains(&replaced), "{target}");
    world.notify(*request, "SIP/2.0 200 OK", true);
    assert_eq!(world.said(), [Said::Bye(1), Said::Bye(2)]);
    let same = world.turn(|sessions, turn| sessions.attended_transfer(turn, one, one));
    assert!(same.is_err());
}

#[test]
fn what_cannot_be_transferred_is_refused() {
    let (mut world, ..) = connected("tone");
    let id = world.id();
    for bad in ["", "tel:1", "sip:", "no uri"] {
        let refused = world.turn(|sessions, turn| sessions.transfer(turn, id, bad));
        assert!(matches!(refused, Err(SessionError::InvalidUri(_))), "{bad}");
    }
    // No room for a subscription.
    let mut config = EndpointConfig::default();
    config.limits.max_subscriptions = 0;
    let mut world = World::with(Settings::default(), config, 4);
    let id = world.comes(DIALOG, "tone", SDP);
    world.serve();
    world.acknowledges(DIALOG, "");
    let refused = world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3"));
    assert_eq!(refused, Err(SessionError::Protocol(Refused::Full)));
    assert_eq!(world.session(id).state(), SessionState::Connected);
}

/// A has asked us to call C; the INVITE to C is out.
fn referred(pair: &mut Pair) -> (SessionId, u64) {
    let world = &mut pair.world;
    world.refers(A, "<sip:c@192.0.2.3>");
    let said = world.said();
    assert_eq!(said, [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 100, false)]);
    world.serve();
    let (call, uri, _) = world.invited();
    assert_eq!(uri, "sip:c@192.0.2.3");
    let id = world.session_calling(call);
    assert_eq!(world.session(id).parties().from, world.session(pair.called).parties().to, "B calls C");
    (id, call)
}

#[test]
fn a_peer_transfers_and_its_other_side_talks_to_the_new_one() {
    let mut pair = up();
    let (third, call) = referred(&mut pair);
    let world = &mut pair.world;
    world.progress(call, 60, 180, "");
    assert_eq!(world.said(), [Said::Notify(REPORTS, 180, false)]);
    assert_eq!(world.session(pair.caller).linked_to(), Some(pair.called), "nothing has changed yet");
    world.answered(call, 60, SDP);
    world.serve();
    assert_eq!(world.said(), [Said::Notify(REPORTS, 200, true)], "a report cannot follow a BYE");
    world.refers(A, "<sip:d@192.0.2.3>");
    assert_eq!(world.said(), [Said::Respond(REFER, 491, String::new())]);
    world.confirms(A);
    assert_eq!(world.said(), [Said::Bye(A)]);
    let leg = |id| world.session(id).leg().unwrap();
    assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(leg(third)));
    assert_eq!(world.spec(third).flow.source(), Source::Leg(leg(pair.called)));
    world.over(A, Cause::LocalBye);
    // They are one call now: neither outlives the other.
    world.over(60, Cause::RemoteBye);
    assert_eq!(world.said(), [Said::Bye(B)]);
    world.over(B, Cause::LocalBye);
    world.serve();
    world.assert_empty();
}

#[test]
fn a_peer_transfers_and_hangs_up_at_once() {
    for is_answered in [true, false] {
        let mut pair = up();
        let (third, call) = referred(&mut pair);
        let world = &mut pair.world;
        world.over(A, Cause::RemoteBye);
        world.serve();
        assert!(world.said().is_empty(), "B waits");
        assert_eq!(world.session(pair.called).linked_to(), Some(third));
        if is_answered {
            world.answered(call, 60, SDP);
            world.serve();
            assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(world.session(third).leg().unwrap()));
            world.over(B, Cause::RemoteBye);
            assert_eq!(world.said(), [Said::Bye(60)]);
            world.over(60, Cause::LocalBye);
        } else {
            world.failed(call, 486);
            assert_eq!(world.said(), [Said::Bye(B)]);
            world.over(B, Cause::LocalBye);
        }
        world.serve();
        world.assert_empty();
        // B was answered before the transfer: what C says to its own call does not make B's a refused one.
        let (answered, refused) = if is_answered { (3, 0) } else { (2, 1) };
        let count = |counter| world.sessions.counts.get(counter);
        assert_eq!(count(SignalCounter::CallsAnswered), answered);
        assert_eq!((count(SignalCounter::CallsCompleted), count(SignalCounter::CallsRefused)), (answered, refused));
    }
}

#[test]
fn a_transfer_of_a_peer_that_fails_changes_nothing() {
    let mut pair = up();
    let (_, call) = referred(&mut pair);
    let world = &mut pair.world;
    // One at a time.
    world.refers(A, "<sip:d@192.0.2.3>");
    assert_eq!(world.said(), [Said::Respond(REFER, 491, String::new())]);
    world.failed(call, 486);
    world.serve();
    assert_eq!(world.said(), [Said::Notify(REPORTS, 486, true)]);
    assert_eq!(world.session(pair.caller).state(), SessionState::Connected);
    assert_eq!(world.session(pair.caller).linked_to(), Some(pair.called));
    // B hangs up while C rings: A and C go.
    let (_, call) = referred(&mut pair);
    let world = &mut pair.world;
    world.over(B, Cause::RemoteBye);
    let said = world.said();
    // A hears how that ended, before its call is over.
    let told = [Said::Notify(REPORTS, 487, true), Said::Bye(A)];
    assert!(said.starts_with(&told) && said[2..] == [Said::Cancel(call)], "{said:?}");
    world.failed(call, 487);
    world.over(A, Cause::LocalBye);
    world.serve();
    world.assert_empty();
}

/// A holds B, and C takes A's place: C's session, and the re-INVITE that takes B back.
fn held_and_replaced(pair: &mut Pair, offer: &str, answer: &str) -> (SessionId, u64, String) {
    let world = &mut pair.world;
    world.reinvites(A, offer);
    let (request, _) = world.reinvite_to(B);
    world.responds(request, 200, answer);
    world.serve();
    world.said();
    let (third, call) = referred(pair);
    pair.world.answered(call, 60, SDP);
    pair.world.serve();
    let said = pair.world.said();
    let Some(Said::Reinvite(request, _, sdp)) = said.iter().find(|said| matches!(said, Said::Reinvite(..))) else {
        panic!("{said:?}")
    };
    (third, *request, sdp.clone())
}

#[test]
fn a_held_peer_is_heard_again_after_a_transfer() {
    let mut pair = up();
    let (third, request, sdp) = held_and_replaced(&mut pair, &held("sendonly"), &held("recvonly"));
    let world = &mut pair.world;
    assert!(sdp.contains("a=sendrecv"));
    world.responds(request, 200, SDP);
    world.serve();
    assert_eq!(world.session(pair.called).state(), SessionState::Connected);
    assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(world.session(third).leg().unwrap()));
}

/// The re-INVITE that is on its way to a peer, with its session description.
fn reinvite_in(said: &[Said], to: u64) -> (u64, String) {
    let found = said.iter().find_map(|said| match said {
        Said::Reinvite(request, dialog, sdp) if *dialog == to => Some((*request, sdp.clone())),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{said:?}"))
}

/// B holds A, which transfers it to C: C is told that it is held, and later that it is not.
#[test]
fn a_hold_by_the_peer_that_stays_is_told_to_the_new_one() {
    for (ways, answer) in [("inactive", "inactive"), ("sendonly", "recvonly")] {
        let mut pair = up();
        let world = &mut pair.world;
        world.reinvites(B, &held(ways));
        let (request, sdp) = world.reinvite_to(A);
        assert!(sdp.contains(&format!("a={ways}\r\n")), "{sdp}");
        world.responds(request, 200, &held(answer));
        world.serve();
        world.said();
        let (third, call) = referred(&mut pair);
        let world = &mut pair.world;
        world.answered(call, 60, SDP);
        world.serve();
        let (request, sdp) = reinvite_in(&world.said(), 60);
        assert!(sdp.contains(&format!("a={ways}\r\n")), "{sdp}");
        world.responds(request, 200, &held(answer));
        world.serve();
        assert_eq!(world.session(third).state(), SessionState::OnHold);
        world.reinvites(B, SDP);
        let (request, sdp) = world.reinvite_to(60);
        assert!(sdp.contains("a=sendrecv\r\n"), "{sdp}");
        world.responds(request, 200, SDP);
        world.serve();
        assert_eq!(world.session(third).state(), SessionState::Connected);
        assert_eq!(world.session(pair.called).state(), SessionState::Connected);
    }
}

/// A holds B and B holds A, which transfers it to C: B no longer hears that it is held, and goes on holding, as C hears.
#[test]
fn a_peer_that_was_held_and_holds_goes_on_holding_the_new_one() {
    let mut pair = up();
    let (third, request, sdp) = held_and_replaced(&mut pair, &held("sendonly"), &held("inactive"));
    assert!(sdp.contains("a=sendrecv"));
    let world = &mut pair.world;
    world.responds(request, 200, &held("sendonly"));
    world.serve();
    let (request, sdp) = reinvite_in(&world.said(), 60);
    assert!(sdp.contains("a=sendonly\r\n"), "{sdp}");
    world.responds(request, 200, &held("recvonly"));
    world.serve();
    assert!(!world.said().iter().any(|said| matches!(said, Said::Reinvite(..))), "both know");
    assert_eq!(world.session(third).state(), SessionState::OnHold);
}

/// B has telephone events and was held when C, which has none, took A's place: the offer that takes B back has them, so B may
/// send them, and its digits cross by INFO (RFC 3264 §6.1).
#[test]
fn a_held_peer_keeps_its_telephone_events_where_the_new_one_has_none() {
    let with_events =
        |direction| held(direction).replace("RTP/AVP 0", "RTP/AVP 0 101") + "a=rtpmap:101 telephone-event/8000\r\n";
    let mut pair = up();
    let (third, request, sdp) = held_and_replaced(&mut pair, &with_events("sendonly"), &with_events("recvonly"));
    let world = &mut pair.world;
    assert!(sdp.contains("m=audio") && sdp.contains("RTP/AVP 0 101\r\n"), "{sdp}");
    world.responds(request, 200, &with_events("sendrecv"));
    world.serve();
    let has_events = |id| world.spec(id).formats.payloads.telephone_event().is_some();
    assert_eq!((has_events(pair.called), has_events(third)), (true, false));
    // What B presses is heard by the media plane, and said to C by INFO.
    let leg = world.session(pair.called).leg().unwrap();
    world.said();
    world.media(Event::Digit { leg, digit: 8 });
    world.media(Event::DigitEnded { leg, digit: 8, duration_ms: 160 });
    let said = world.said();
    assert!(matches!(&said[..], [Said::Info(_, 60, body)] if body == "Signal=8\r\nDuration=160\r\n"), "{said:?}");
}

/// A holds B, which does not answer yet; what A asked for is of no account once C is in its place.
#[test]
fn a_hold_that_is_on_its_way_ends_with_whoever_wanted_it() {
    let mut pair = up();
    let world = &mut pair.world;
    world.reinvites(A, &held("sendonly"));
    let (request, _) = world.reinvite_to(B);
    let (third, call) = referred(&mut pair);
    let world = &mut pair.world;
    world.answered(call, 60, SDP);
    world.serve();
    world.confirms(A);
    assert!(world.said().contains(&Said::Reject(REINVITE, 487, None)));
    world.over(A, Cause::LocalBye);
    world.responds(request, 200, &held("recvonly"));
    world.serve();
    let (request, sdp) = world.reinvite_to(B);
    assert!(sdp.contains("a=sendrecv\r\n"), "{sdp}");
    world.responds(request, 200, &held("sendrecv"));
    world.serve();
    for id in [third, pair.called] {
        assert_eq!(world.spec(id).flow.direction(), contract::Direction::Both);
    }
}

/// A held B, and its UPDATE that resumes was refused as B was slow: B is to be held again when C takes A's place, who never
/// held.
#[test]
fn a_direction_that_is_to_return_ends_with_the_side_that_wanted_it() {
    let mut pair = up();
    let world = &mut pair.world;
    world.reinvites(A, &held("sendonly"));
    let (request, _) = world.reinvite_to(B);
    world.responds(request, 200, &held("recvonly"));
    world.serve();
    world.acknowledges(A, "");
    world.serve();
    world.said();
    let (third, call) = referred(&mut pair);
    let world = &mut pair.world;
    world.updates(A, 91, SDP);
    let (request, sdp) = world.reinvite_to(B);
    assert!(sdp.contains("a=sendrecv\r\n"), "{sdp}");
    world.wait(Settings::default().timeouts.ending / 8);
    assert!(matches!(&world.said()[..], [Said::Respond(91, 504, _)]));
    // Its answer is still on its way to the media plane when C answers.
    world.responds(request, 200, SDP);
    world.answered(call, 60, SDP);
    world.serve();
    let said = world.said();
    assert!(!said.iter().any(|said| matches!(said, Said::Reinvite(..))), "{said:?}");
    for id in [third, pair.called] {
        assert_eq!(world.session(id).state(), SessionState::Connected);
        assert_eq!(world.spec(id).flow.direction(), contract::Direction::Both);
    }
}

#[test]
fn attended_by_a_peer_whose_calls_both_run_through_us() {
    let mut pair = up();
    let world = &mut pair.world;
    let second = world.comes(2, "on", SDP);
    world.serve();
    let (call, ..) = world.invited();
    world.answered(call, 60, SDP);
    world.serve();
    world.said();
    world.acknowledges(2, "");
    world.serve();
    let third = world.session(second).linked_to().unwrap();
    let replaces = world.replaces_of(2);
    world.refers(A, &format!("<sip:c@192.0.2.9?Replaces={replaces}>"));
    let said = world.said();
    assert_eq!(said, [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 200, true), Said::Bye(2)]);
    world.confirms(A);
    assert_eq!(world.said(), [Said::Bye(A)]);
    world.over(A, Cause::LocalBye);
    world.over(2, Cause::LocalBye);
    world.serve();
    assert_eq!(world.session(pair.called).linked_to(), Some(third));
    assert_eq!(world.spec(third).flow.source(), Source::Leg(world.session(pair.called).leg().unwrap()));
    world.over(B, Cause::RemoteBye);
    world.over(60, Cause::LocalBye);
    world.serve();
    world.assert_empty();
    // Another switch's dialog: the new call says whose place it takes.
    let mut pair = up();
    pair.world.refers(A, "<sip:c@192.0.2.3?Replaces=elsewhere%3Bto-tag%3Da%3Bfrom-tag%3Db>");
    pair.world.is_lossy = true;
    pair.world.serve();
    assert_eq!(pair.world.headers, [("Replaces".to_owned(), "elsewhere;to-tag=a;from-tag=b".to_owned())]);
}

#[test]
fn refers_that_make_no_sense() {
    for (target, status) in
        [("<tel:123>", 416), ("garbage", 400), ("<sip:c@192.0.2.3?Replaces=broken>", 400), ("<sip:no@192.0.2.3>", 603)]
    {
        let mut pair = up();
        pair.world.refers(A, target);
        assert_eq!(pair.world.said(), [Said::Respond(REFER, status, String::new())], "{target}");
        assert_eq!(pair.world.sessions.count(), 2);
    }
    // The call itself, and its other side: not two calls.
    for side in [A, B] {
        let mut pair = up();
        let replaces = pair.world.replaces_of(side);
        pair.world.refers(A, &format!("<sip:c@192.0.2.9?Replaces={replaces}>"));
        assert_eq!(pair.world.said(), [Said::Respond(REFER, 488, String::new())], "{side}");
    }
    let mut pair = up();
    let free = pair.world.ports.free.split_off(0);
    pair.world.refers(A, "<sip:c@192.0.2.3>");
    assert_eq!(pair.world.said(), [Said::Respond(REFER, 503, String::new())]);
    pair.world.ports.free = free;
}

#[test]
fn a_call_takes_the_place_of_another() {
    let mut pair = up();
    let world = &mut pair.world;
    world.calls_replacing(9, A, &[], &SDP.replace("RTP/AVP 0", "RTP/AVP 8 0"));
    world.serve();
    let said = world.said();
    let [Said::Ringing(_), Said::Accept(_, sdp), Said::Bye(old)] = &said[..] else { panic!("{said:?}") };
    assert!(sdp.contains(" RTP/AVP 0\r\n"), "what B has: {sdp}");
    assert_eq!(*old, A);
    world.over(A, Cause::LocalBye);
    world.serve();
    let new = world.session_of(9);
    assert_eq!(world.session(pair.called).linked_to(), Some(new));
    assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(world.session(new).leg().unwrap()));
}
