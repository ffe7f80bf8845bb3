//! Calls that go on to somewhere else.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use contract::{Command, Direction, Event, RefuseReason, Source};
use sip_core::{Cause, Reliability};

const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\n";

#[test]
fn ringing_early_media_answer_and_bye_cross() {
    let mut pair = going(&(SDP.replace("RTP/AVP 0", "RTP/AVP 8 0 101") + EVENTS));
    let (world, call) = (&mut pair.world, pair.call);
    world.progress(call, B, 180, "");
    assert_eq!(world.said(), [Said::Ringing(A)]);
    assert_eq!(pair.state(), (SessionState::Ringing, SessionState::Ringing));
    let world = &mut pair.world;
    world.progress(call, B, 183, SDP);
    world.serve();
    let said = world.said();
    let [Said::Progress(_, 183, early)] = &said[..] else { panic!("{said:?}") };
    assert!(early.contains(" RTP/AVP 0\r\n"), "only what B can: {early}");
    let (a, b) = (world.session(pair.caller).leg().unwrap(), world.session(pair.called).leg().unwrap());
    assert_eq!(world.spec(pair.caller).flow.source(), Source::Leg(b));
    assert_eq!(world.spec(pair.caller).transport.media_timeout_ms, 0);
    world.answered(call, B, SDP);
    world.serve();
    let said = world.said();
    let [Said::Accept(invite, sdp)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((*invite, sdp == early), (A, true));
    assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
    let world = &mut pair.world;
    assert_eq!(
        (world.spec(pair.caller).flow.source(), world.spec(pair.called).flow.source()),
        (Source::Leg(b), Source::Leg(a))
    );
    assert_eq!(
        (world.spec(pair.caller).transport.media_timeout_ms, world.spec(pair.called).transport.media_timeout_ms),
        (60_000, 60_000)
    );
    world.over(A, Cause::RemoteBye);
    assert_eq!(world.said(), [Said::Bye(B)]);
    world.over(B, Cause::LocalBye);
    pair.assert_over();
}

#[test]
fn the_offer_has_what_the_caller_has_and_numbers_are_mapped() {
    let sdp = SDP.replace("RTP/AVP 0", "RTP/AVP 8 96") + "a=rtpmap:96 telephone-event/8000\r\n";
    let mut world = World::new(Settings::default(), 6);
    let caller = world.comes(A, "on", &sdp);
    world.serve();
    let (call, _, offer) = world.invited();
    assert!(offer.contains("RTP/AVP 8 0 101\r\n"), "{offer}");
    world.answered(call, B, &(SDP.replace("RTP/AVP 0", "RTP/AVP 8 101") + EVENTS));
    world.serve();
    let called = world.session(caller).linked_to().unwrap();
    let map = |id| world.spec(id).formats.payloads.iter().map(|(here, _, there)| (here, there)).collect::<Vec<_>>();
    assert_eq!((map(caller), map(called)), (vec![(8, 8), (96, 101)], vec![(8, 8), (101, 96)]));
}

#[test]
fn b_ends_in_every_state() {
    for (status, told) in [(486, 486), (404, 404), (603, 603), (401, 403), (302, 480)] {
        let mut pair = going(SDP);
        pair.world.failed(pair.call, status);
        assert_eq!(pair.world.said(), [Said::Reject(A, told, None)]);
        pair.world.over(A, Cause::Rejected(told));
        pair.assert_over();
    }
    let mut pair = up();
    pair.world.over(B, Cause::RemoteBye);
    assert_eq!(pair.world.said(), [Said::Bye(A)]);
    pair.world.over(A, Cause::LocalBye);
    pair.assert_over();
}

#[test]
fn a_gives_up_in_every_state() {
    // B has not been called yet.
    let mut world = World::new(Settings::default(), 6);
    let caller = world.comes(A, "on", SDP);
    let called = world.session(caller).linked_to().unwrap();
    world.over(A, Cause::RemoteCancel);
    assert!(world.said().is_empty());
    Pair { world, caller, called, call: 1 }.assert_over();
    // B rings; it answers all the same.
    for crosses in [false, true] {
        let mut pair = going(SDP);
        pair.world.progress(pair.call, B, 180, "");
        pair.world.said();
        pair.world.over(A, Cause::RemoteCancel);
        assert_eq!(pair.world.said(), [Said::Cancel(pair.call)]);
        if crosses {
            pair.world.answered(pair.call, B, SDP);
            assert_eq!(pair.world.said(), [Said::Bye(B)]);
            pair.world.over(B, Cause::LocalBye);
        } else {
            pair.world.failed(pair.call, 487);
        }
        pair.assert_over();
    }
}

#[test]
fn the_next_target_is_tried() {
    for (status, waits) in [(503, false), (408, false), (0, true)] {
        let mut pair = going(SDP);
        pair.world.progress(pair.call, B, 180, "");
        pair.world.said();
        if waits {
            pair.world.wait(Duration::from_secs(60));
        } else {
            pair.world.failed(pair.call, status);
        }
        let said = pair.world.said();
        let Some(Said::Invite(second, uri, _)) = said.last() else { panic!("{said:?}") };
        assert_eq!(uri, "sip:b2@192.0.2.7");
        pair.world.answered(*second, 60, SDP);
        pair.world.serve();
        assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
        pair.world.over(60, Cause::RemoteBye);
        pair.world.over(A, Cause::LocalBye);
        pair.assert_over();
    }
    let mut pair = going(SDP);
    for _ in 0..2 {
        pair.world.wait(Duration::from_secs(60));
    }
    let said = pair.world.said();
    assert!(said.contains(&Said::Reject(A, 480, None)), "{said:?}");
}

#[test]
fn hold_crosses_and_comes_back() {
    let mut pair = up();
    for (asked, offered, answered, state) in [
        ("sendonly", "sendonly", "recvonly", SessionState::OnHold),
        ("sendrecv", "sendrecv", "sendrecv", SessionState::Connected),
        ("inactive", "inactive", "inactive", SessionState::OnHold),
        ("sendrecv", "sendrecv", "sendrecv", SessionState::Connected),
    ] {
        let world = &mut pair.world;
        world.reinvites(A, &held(asked));
        let (request, sdp) = world.reinvite_to(B);
        assert!(sdp.contains(&format!("a={offered}\r\n")), "{sdp}");
        world.responds(request, 200, &held(answered));
        world.serve();
        let said = world.said();
        assert!(matches!(&said[..], [Said::Accept(REINVITE, _)]), "{said:?}");
        assert_eq!(pair.state(), (state, state), "{asked}");
    }
}

/// Even where only the address changes the other side has a say.
#[test]
fn a_reinvite_crosses_and_may_be_refused() {
    let mut pair = up();
    for (status, port) in [(488, 4_000), (200, 4_400)] {
        let world = &mut pair.world;
        world.reinvites(A, &SDP.replace("4000", "4400"));
        let (request, _) = world.reinvite_to(B);
        world.responds(request, status, SDP);
        world.serve();
        match &world.said()[..] {
            [Said::Reject(REINVITE, 488, None)] => assert_eq!(status, 488),
            [Said::Accept(REINVITE, _)] => assert_eq!(status, 200),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.spec(pair.caller).transport.remote_rtp.get().unwrap().port(), port);
        assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
    }
}

/// A target that only tries is given up before one that rings.
#[test]
fn a_target_that_does_not_ring_is_given_up_sooner() {
    let mut pair = going(SDP);
    pair.world.wait(Duration::from_secs(39));
    assert_eq!(pair.world.said(), []);
    pair.world.wait(Duration::from_secs(2));
    let said = pair.world.said();
    assert!(matches!(&said[..], [Said::Cancel(_), Said::Invite(_, next, _)] if next == "sip:b2@192.0.2.7"), "{said:?}");
}

#[test]
fn a_hold_that_b_refuses_is_refused() {
    for (status, told) in [(488, 488), (491, 491), (500, 500)] {
        let mut pair = up();
        let world = &mut pair.world;
        world.reinvites(A, &held("sendonly"));
        let (request, _) = world.reinvite_to(B);
        world.responds(request, status, "");
        assert_eq!(world.said(), [Said::Reject(REINVITE, told, None)]);
        assert!(world.asked().is_empty());
        assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
    }
    // B ends instead of answering: A hears about its re-INVITE before its end.
    let mut pair = up();
    pair.world.reinvites(A, &held("sendonly"));
    pair.world.said();
    pair.world.over(B, Cause::RemoteBye);
    let said = pair.world.said();
    assert_eq!(said, [Said::Reject(REINVITE, 487, None), Said::Bye(A)]);
}

#[test]
fn a_hold_taken_back_is_taken_back_on_the_other_side() {
    let mut pair = up();
    let world = &mut pair.world;
    world.reinvites(A, &held("inactive"));
    let (request, _) = world.reinvite_to(B);
    world.cancels_reinvite(A);
    world.responds(request, 200, &held("inactive"));
    world.serve();
    let (request, sdp) = world.reinvite_to(B);
    assert!(sdp.contains("a=sendrecv"));
    world.responds(request, 200, SDP);
    world.serve();
    assert_eq!(world.spec(pair.called).flow.direction(), Direction::Both);
    assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
}

#[test]
fn info_and_digits_cross() {
    let mut pair = up();
    let request = 90;
    let world = &mut pair.world;
    world.infos(A, request, "application/media_control+xml", "<x/>");
    let said = world.said();
    let [Said::Info(sent, to, body)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((*to, body.as_str()), (B, "<x/>"));
    world.responds(*sent, 200, "");
    assert_eq!(world.said(), [Said::Respond(request, 200, String::new())]);
    // A digit by INFO; B has no telephone events.
    world.infos(A, request, "application/dtmf-relay", "Signal=4\r\n");
    let said = world.said();
    assert!(matches!(&said[..], [Said::Info(_, _, body), Said::Respond(_, 200, _)] if body.starts_with("Signal=4")));
    assert_eq!(world.events.last(), Some(&SessionEvent::Digit { id: pair.caller, digit: 4 }));
    // The other side is gone before it answers.
    let mut pair = up();
    pair.world.infos(A, request, "text/x", "y");
    pair.world.said();
    pair.world.over(B, Cause::RemoteBye);
    assert!(pair.world.said().contains(&Said::Respond(request, 487, String::new())));
}

#[test]
fn a_late_offer_goes_both_ways() {
    let mut pair = going("");
    pair.world.progress(pair.call, B, 183, SDP);
    assert_eq!(pair.world.said(), [Said::Progress(A, 183, String::new())], "there is nothing to answer yet");
    pair.world.answered(pair.call, B, SDP);
    pair.world.serve();
    let said = pair.world.said();
    let [Said::Accept(_, offer)] = &said[..] else { panic!("{said:?}") };
    assert!(offer.contains(" RTP/AVP 0 8\r\n"), "what B has comes first: {offer}");
    pair.world.acknowledges(A, SDP);
    pair.world.serve();
    let leg = |id| pair.world.session(id).leg().unwrap();
    assert_eq!(pair.world.spec(pair.called).flow.source(), Source::Leg(leg(pair.caller)));
    assert_eq!(pair.world.spec(pair.caller).flow.source(), Source::Leg(leg(pair.called)));
}

#[test]
fn the_media_plane_fails_one_leg_and_both_end() {
    // While it opens.
    let mut world = World::new(Settings::default(), 6);
    let caller = world.comes(A, "on", SDP);
    let called = world.session(caller).linked_to().unwrap();
    let asked = world.asked();
    let Some(Command::Open { leg, number: tag, .. }) = asked.iter().find(|command| command.number() == called.as_u64())
    else {
        panic!()
    };
    world.media(Event::Refused { leg: *leg, number: *tag, reason: RefuseReason::Full });
    assert_eq!(world.said(), [Said::Reject(A, 503, Some(5))]);
    // While it runs.
    let mut pair = up();
    let leg = pair.world.session(pair.called).leg().unwrap();
    pair.world.media(Event::MediaTimeout { leg });
    assert_eq!(pair.world.said(), [Said::Bye(B), Said::Bye(A)]);
    pair.world.over(A, Cause::LocalBye);
    pair.world.over(B, Cause::LocalBye);
    pair.assert_over();
}

#[test]
fn without_a_second_port_the_first_goes_back() {
    let mut world = World::new(Settings::default(), 1);
    world.calls(A, "on", SDP);
    assert_eq!(world.said(), [Said::Reject(A, 503, Some(5))]);
    world.over(A, Cause::Rejected(503));
    world.serve();
    world.assert_empty();
    assert_eq!(world.ports.free.len(), 1);
    // A late decision that cannot be carried out changes nothing.
    let mut world = World::new(Settings::default(), 6);
    let id = world.comes(A, "later", SDP);
    world.said();
    let none = world.turn(|sessions, turn| sessions.forward(turn, id, Forward::to(vec![])));
    assert!(none.is_err());
    assert_eq!((world.session(id).state(), world.ports.out.len()), (SessionState::Ringing, 0));
    world.turn(|sessions, turn| sessions.forward(turn, id, Forward::to(vec![target("b1")]))).unwrap();
    world.serve();
    world.invited();
}

#[test]
fn a_call_that_has_come_far_enough_goes_no_further() {
    let mut world = World::new(Settings::default(), 6);
    for (hops, refused) in [(0, true), (1, false)] {
        world.calls_after(A, "sip:on@192.0.2.9", &[], SDP, hops);
        if refused {
            assert_eq!(world.said(), [Said::Reject(A, 483, None)]);
            world.over(A, Cause::Rejected(483));
            world.assert_empty();
        }
    }
    world.serve();
    world.invited();
    assert_eq!(world.max_forwards, 0);
}

#[test]
fn early_media_is_no_answer() {
    // Neither the leg that runs at last nor a PRACK answers a call that the other side has not answered.
    let mut world = World::new(Settings::default(), 6);
    world.reliability = Reliability::Supported;
    let caller = world.comes(A, "on", SDP);
    let called = world.session(caller).linked_to().unwrap();
    let open = |world: &mut World, id: SessionId| {
        let leg = world.session(id).leg().unwrap();
        world.media(Event::Opened { leg, number: id.as_u64() });
    };
    open(&mut world, called);
    let (call, ..) = world.invited();
    world.progress(call, B, 183, SDP);
    open(&mut world, caller);
    let said = world.said();
    assert!(matches!(&said[..], [Said::Progress(_, 183, _)]), "{said:?}");
    world.deliver(A);
    assert!(world.said().is_empty());
    assert_eq!(world.session(caller).state(), SessionState::Ringing);
    world.answered(call, B, SDP);
    assert!(matches!(&world.said()[..], [Said::Accept(..)]));
}

impl Pair {
    /// A peer offers this; the other one, asked, answers that. Gives what each was told: the offer and the answer.
    fn offers(&mut self, from: u64, direction: &str, answers: &str) -> (Option<String>, String) {
        let word = |sdp: &str| {
            let words = ["sendrecv", "sendonly", "recvonly", "inactive"];
            words.into_iter().find(|word| sdp.contains(&format!("a={word}\r\n"))).unwrap_or("none").to_owned()
        };
        let world = &mut self.world;
        world.reinvites(from, &held(direction));
        world.serve();
        let said = world.said();
        let mut offered = None;
        let said = match &said[..] {
            [Said::Reinvite(request, _, sdp)] => {
                offered = Some(word(sdp));
                world.responds(*request, 200, &held(answers));
                world.serve();
                world.said()
            }
            _ => said,
        };
        let [Said::Accept(REINVITE, sdp)] = &said[..] else { panic!("{said:?}") };
        world.acknowledges(from, "");
        (offered, word(sdp))
    }
}

#[test]
fn both_hold_and_both_come_back() {
    let mut pair = up();
    let told = |offer: &str, answer: &str| (Some(offer.to_owned()), answer.to_owned());
    assert_eq!(pair.offers(B, "sendonly", "recvonly"), told("sendonly", "recvonly"));
    // The side that holds may send nothing either, for as long as it likes.
    let limits = [pair.caller, pair.called].map(|id| pair.world.spec(id).transport.media_timeout_ms);
    assert_eq!(limits, [0, 0]);
    // A only refreshes: B is asked, and holds on.
    assert_eq!(pair.offers(A, "sendrecv", "sendonly"), told("sendrecv", "sendonly"));
    assert_eq!(pair.offers(A, "sendonly", "inactive"), told("sendonly", "inactive"));
    assert_eq!(pair.offers(B, "sendrecv", "sendonly"), told("sendrecv", "sendonly"));
    assert_eq!(pair.offers(A, "sendrecv", "sendrecv"), told("sendrecv", "sendrecv"));
    assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
    for id in [pair.caller, pair.called] {
        assert_eq!(pair.world.spec(id).flow.direction(), Direction::Both);
    }
}

#[test]
fn an_update_crosses_as_a_reinvite() {
    let mut pair = up();
    let world = &mut pair.world;
    world.updates(B, 91, &held("inactive"));
    let (sent, _) = world.reinvite_to(A);
    world.responds(sent, 200, &held("inactive"));
    world.serve();
    let said = world.said();
    assert!(matches!(&said[..], [Said::Respond(_, 200, sdp)] if sdp.contains("a=inactive")), "{said:?}");
    assert_eq!(pair.state(), (SessionState::OnHold, SessionState::OnHold));
    // Setting a call up costs each leg its `Open` and few updates.
    let mut world = World::new(Settings::default(), 6);
    let caller = world.comes(A, "on", SDP);
    world.serve();
    let (call, ..) = world.invited();
    world.answered(call, B, SDP);
    let mut updates = 0;
    while !world.commands.is_empty() {
        updates += world.commands.len();
        world.serve_once();
    }
    assert!(updates <= 4, "{updates} updates");
    assert_eq!(world.session(caller).state(), SessionState::Connected);
}

/// A phone settles on one codec by UPDATE, by itself, and its user presses a key meanwhile: the re-INVITE waits until the
/// other side has answered the UPDATE, or refused it, or is overdue.
#[test]
fn a_reinvite_waits_for_the_answer_to_an_update() {
    for status in [200, 488, 0] {
        let mut pair = up();
        let world = &mut pair.world;
        let (request, a, b) = (91, A, B);
        world.updates(a, request, &held("sendonly"));
        let said = world.said();
        let [Said::Reinvite(sent, to, _)] = said[..] else { panic!("{said:?}") };
        assert_eq!(to, b);
        world.insists(a, REINVITE, "INVITE", &held("inactive"));
        assert!(world.said().is_empty(), "it waits");
        if status == 0 {
            world.wait(clock::Duration::from_secs(9));
            let said = world.said();
            assert!(matches!(said[..], [Said::Respond(_, 504, _)]), "{said:?}");
        }
        let late = if status == 0 { 200 } else { status };
        world.responds(sent, late, &held("recvonly"));
        world.serve();
        let mut said = world.said();
        if let [Said::Reinvite(sent, to, sdp)] = &said[..] {
            // What was agreed on too late is taken back first.
            assert!(status == 0 && *to == b && sdp.contains("a=sendrecv"), "{sdp}");
            world.responds(*sent, 200, SDP);
            world.serve();
            said = world.said();
        }
        let Some(Said::Reinvite(sent, to, sdp)) = said.pop() else { panic!("{said:?}") };
        assert!(to == b && sdp.contains("a=inactive"), "{sdp}");
        assert!(status == 0 || matches!(said[..], [Said::Respond(_, told, _)] if told == status), "{said:?}");
        world.responds(sent, 200, &held("inactive"));
        world.serve();
        let said = world.said();
        assert!(matches!(&said[..], [Said::Accept(REINVITE, sdp)] if sdp.contains("a=inactive")), "{said:?}");
    }
}

#[test]
fn legs_that_got_ports_of_two_workers_come_together() {
    for serves_between in [false, true] {
        let mut world = World::new(Settings::default(), 2);
        let caller = world.comes(A, "on", SDP);
        let called = world.session(caller).linked_to().unwrap();
        let workers: Vec<u8> = world.commands.iter().map(|(worker, _)| *worker).collect();
        assert_ne!(workers[0], workers[1], "each worker had one port left");
        if serves_between {
            world.serve();
        } else {
            world.serve_once();
        }
        let said = world.said();
        let [Said::Invite(call, ..)] = said[..] else { panic!("{said:?}") };
        world.answered(call, B, SDP);
        world.serve();
        let leg = |id| world.session(id).leg().unwrap();
        assert_eq!(world.legs[&leg(caller)], world.legs[&leg(called)]);
        assert_eq!(world.spec(caller).flow.source(), Source::Leg(leg(called)));
        assert_eq!(world.spec(called).flow.source(), Source::Leg(leg(caller)));
    }
}

/// 180 without media: the caller is told 183 with a description of ours, and hears our ringing until the other side is heard.
#[test]
fn a_caller_hears_our_ringing_until_the_other_side_is_heard() {
    let settings = || {
        let mut settings = Settings::default();
        settings.media.ringback = Some(PlannedSource::Ringing);
        settings
    };
    for with_early_media in [false, true] {
        let mut world = World::new(settings(), 6);
        let caller = world.comes(A, "on", SDP);
        world.serve();
        let (call, ..) = world.invited();
        world.said();
        world.progress(call, B, 180, "");
        world.serve();
        let said = world.said();
        let [Said::Progress(A, 183, early)] = &said[..] else { panic!("{said:?}") };
        assert!(early.contains("m=audio"), "{early}");
        assert_eq!(world.spec(caller).flow.source(), Source::Ringing);
        assert_eq!(world.spec(caller).transport.media_timeout_ms, 0);
        let called = world.session(caller).linked_to().unwrap();
        let heard = Source::Leg(world.session(called).leg().unwrap());
        if with_early_media {
            world.progress(call, B, 183, SDP);
            world.serve();
            assert_eq!(world.spec(caller).flow.source(), heard);
            // It rings on: its media has not ended.
            world.progress(call, B, 180, "");
            world.serve();
            assert_eq!(world.spec(caller).flow.source(), heard);
        } else {
            world.progress(call, B, 180, "");
            world.serve();
            assert!(!world.said().iter().any(|said| matches!(said, Said::Progress(_, _, sdp) if !sdp.is_empty())));
            assert_eq!(world.spec(caller).flow.source(), Source::Ringing);
        }
        world.answered(call, B, SDP);
        world.serve();
        assert_eq!(world.session(caller).state(), SessionState::Connected);
        assert_eq!(world.spec(caller).flow.source(), heard);
    }
    // Without a description of the caller's there is nothing to answer.
    let mut world = World::new(settings(), 6);
    world.comes(A, "on", "");
    world.serve();
    let (call, ..) = world.invited();
    world.said();
    world.progress(call, B, 180, "");
    assert_eq!(world.said(), [Said::Ringing(A)]);
}

/// What the caller was told with our ringing stays; the codec of the other side is offered once the call is up.
#[test]
fn the_answer_that_came_with_our_ringing_stays() {
    let mut settings = Settings::default();
    settings.media.ringback = Some(PlannedSource::Ringing);
    let mut world = World::new(settings, 6);
    let with = |formats: &str| SDP.replace("RTP/AVP 0", &format!("RTP/AVP {formats}"));
    world.comes(A, "on", &with("0 8"));
    world.serve();
    let (call, ..) = world.invited();
    world.said();
    world.progress(call, B, 180, "");
    world.serve();
    let said = world.said();
    let [Said::Progress(A, 183, early)] = &said[..] else { panic!("{said:?}") };
    let early = early.clone();
    world.answered(call, B, &with("8"));
    world.serve();
    let said = world.said();
    let answer = said.iter().find_map(|said| match said {
        Said::Accept(A, text) => Some(text),
        _ => None,
    });
    assert_eq!(answer, Some(&early), "{said:?}");
}
