//! Calls that go on to somewhere else.

use crate::tests::common::*;
use crate::tests::fake::*;
use crate::*;
use clock::Duration;
use contract::{Command, Direction, Event, RefuseReason, Source};
use sip_core::{CallId, Cause, DialogId, InviteId, RequestId, Span};

const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\n";
pub(in crate::tests) const A: u64 = 1;
pub(in crate::tests) const B: u64 = 50;

pub(in crate::tests) struct Pair {
    pub(in crate::tests) world: World,
    pub(in crate::tests) caller: SessionId,
    pub(in crate::tests) called: SessionId,
    pub(in crate::tests) call: CallId,
}

/// A call from A whose INVITE to the first target is out.
pub(in crate::tests) fn going(sdp: &str) -> Pair {
    let mut world = World::new(Settings::default(), 6);
    let caller = world.comes(A, "on", sdp);
    assert_eq!(world.session(caller).state(), SessionState::Initializing, "A hears what B says");
    let called = world.session(caller).linked_to().expect("the other side");
    assert!(world.events.contains(&SessionEvent::Forwarded { id: caller, to: called }));
    let workers: Vec<u8> = world.commands.iter().map(|(worker, _)| *worker).collect();
    assert_eq!(workers.len(), 2);
    assert_eq!(workers[0], workers[1], "both legs on one worker");
    world.serve();
    let (call, uri, _) = world.invited();
    assert_eq!(uri, "sip:b1@192.0.2.7");
    Pair { world, caller, called, call }
}

pub(in crate::tests) fn up() -> Pair {
    let mut pair = going(SDP);
    pair.world.answered(pair.call, B, SDP);
    pair.world.serve();
    let said = pair.world.said();
    assert!(matches!(&said[..], [Said::Accept(..)]), "{said:?}");
    pair.world.sip(acknowledged(DialogId::from_u64(A)), message("ACK", "x", ""));
    pair.world.serve();
    pair
}

/// A call that comes in and takes the place of one of the two sides.
pub(in crate::tests) const C: u64 = 3;

/// C's call takes the place of the caller, or of the called side. Its leg is on its way to the worker of the other one.
pub(in crate::tests) fn replaced(pair: &mut Pair, is_caller: bool) -> SessionId {
    let world = &mut pair.world;
    let third = world.comes(C, "tone", SDP);
    world.serve();
    world.sip(acknowledged(DialogId::from_u64(C)), message("ACK", "x", ""));
    world.serve();
    let old = if is_caller { pair.caller } else { pair.called };
    world.turn(|sessions, turn| sessions.take_place(turn, third, old));
    assert!(world.session(third).is_moving(&world.sessions.legs));
    world.commands.retain(|(_, command)| !matches!(command, Command::Move { .. }));
    world.serve();
    world.said();
    third
}

/// C's leg has arrived.
pub(in crate::tests) fn arrives(pair: &mut Pair, third: SessionId) {
    let (leg, worker) = (pair.world.session(third).leg().unwrap(), 0);
    pair.world.legs.insert(leg, worker);
    pair.world.media(Event::Moved { leg, number: third.as_u64(), worker });
}

impl Pair {
    fn state(&self) -> (SessionState, SessionState) {
        (self.world.session(self.caller).state(), self.world.session(self.called).state())
    }

    fn assert_over(mut self) {
        self.world.serve();
        self.world.assert_empty();
        let ends = self.world.events.iter().filter(|event| matches!(event, SessionEvent::Ended { .. })).count();
        assert_eq!((ends, self.world.ports.free.len()), (2, 6));
    }
}

fn invite_id() -> InviteId {
    InviteId::from_u64(A)
}

#[test]
fn ringing_early_media_answer_and_bye_cross() {
    let mut pair = going(&(SDP.replace("RTP/AVP 0", "RTP/AVP 8 0 101") + EVENTS));
    let (world, call) = (&mut pair.world, pair.call);
    world.progress(call, B, 180, "");
    assert_eq!(world.said(), [Said::Progress(invite_id(), 180, String::new())]);
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
    assert_eq!((*invite, sdp == early), (invite_id(), true));
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
    assert_eq!(world.said(), [Said::Bye(DialogId::from_u64(B))]);
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
    assert!(offer.contains("RTP/AVP 8 101\r\n"), "{offer}");
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
        assert_eq!(pair.world.said(), [Said::Reject(invite_id(), told, None)]);
        pair.world.over(A, Cause::Rejected(told));
        pair.assert_over();
    }
    let mut pair = up();
    pair.world.over(B, Cause::RemoteBye);
    assert_eq!(pair.world.said(), [Said::Bye(DialogId::from_u64(A))]);
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
    Pair { world, caller, called, call: CallId::from_u64(1) }.assert_over();
    // B rings; it answers all the same.
    for crosses in [false, true] {
        let mut pair = going(SDP);
        pair.world.progress(pair.call, B, 180, "");
        pair.world.said();
        pair.world.over(A, Cause::RemoteCancel);
        assert_eq!(pair.world.said(), [Said::Cancel(pair.call)]);
        if crosses {
            pair.world.answered(pair.call, B, SDP);
            assert_eq!(pair.world.said(), [Said::Bye(DialogId::from_u64(B))]);
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
    assert!(said.contains(&Said::Reject(invite_id(), 480, None)), "{said:?}");
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
        let dialog = DialogId::from_u64(A);
        let event = sip_core::Event::Reinvite { invite: REINVITE, dialog, message: Span::default() };
        world.sip(event, message("INVITE", "x", &held(asked)));
        let said = world.said();
        let [Said::Reinvite(request, to, sdp)] = &said[..] else { panic!("{said:?}") };
        assert_eq!(*to, DialogId::from_u64(B));
        assert!(sdp.contains(&format!("a={offered}\r\n")), "{sdp}");
        // Meanwhile neither side changes anything else.
        world.sip(event, message("INVITE", "x", &held(asked)));
        assert_eq!(world.said(), [Said::Reject(REINVITE, 491, None)]);
        let event = sip_core::Event::Response {
            request: *request,
            dialog: Some(*to),
            status: 200,
            message: Some(Span::default()),
            wants_ack: false,
        };
        world.sip(event, message("INVITE", "x", &held(answered)));
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
        let event =
            sip_core::Event::Reinvite { invite: REINVITE, dialog: DialogId::from_u64(A), message: Span::default() };
        world.sip(event, message("INVITE", "x", &SDP.replace("4000", "4400")));
        let said = world.said();
        let [Said::Reinvite(request, to, _)] = said[..] else { panic!("{said:?}") };
        let message_span = Some(Span::default());
        let event =
            sip_core::Event::Response { request, dialog: Some(to), status, message: message_span, wants_ack: false };
        world.sip(event, message("INVITE", "x", SDP));
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
        let dialog = DialogId::from_u64(A);
        let event = sip_core::Event::Reinvite { invite: REINVITE, dialog, message: Span::default() };
        world.sip(event, message("INVITE", "x", &held("sendonly")));
        let said = world.said();
        let [Said::Reinvite(request, to, _)] = said[..] else { panic!("{said:?}") };
        let event = sip_core::Event::Response { request, dialog: Some(to), status, message: None, wants_ack: false };
        world.sip(event, vec![]);
        assert_eq!(world.said(), [Said::Reject(REINVITE, told, None)]);
        assert!(world.asked().is_empty());
        assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
    }
    // B ends instead of answering: A hears about its re-INVITE before its end.
    let mut pair = up();
    let event = sip_core::Event::Reinvite { invite: REINVITE, dialog: DialogId::from_u64(A), message: Span::default() };
    pair.world.sip(event, message("INVITE", "x", &held("sendonly")));
    pair.world.said();
    pair.world.over(B, Cause::RemoteBye);
    let said = pair.world.said();
    assert_eq!(said, [Said::Reject(REINVITE, 487, None), Said::Bye(DialogId::from_u64(A))]);
}

#[test]
fn a_hold_taken_back_is_taken_back_on_the_other_side() {
    let mut pair = up();
    let world = &mut pair.world;
    let dialog = DialogId::from_u64(A);
    let event = sip_core::Event::Reinvite { invite: REINVITE, dialog, message: Span::default() };
    world.sip(event, message("INVITE", "x", &held("inactive")));
    let said = world.said();
    let [Said::Reinvite(request, to, _)] = said[..] else { panic!("{said:?}") };
    world.sip(sip_core::Event::ReinviteCancelled { invite: REINVITE, dialog }, vec![]);
    let answer = |request| sip_core::Event::Response {
        request,
        dialog: Some(to),
        status: 200,
        message: Some(Span::default()),
        wants_ack: false,
    };
    world.sip(answer(request), message("INVITE", "x", &held("inactive")));
    world.serve();
    let said = world.said();
    let [Said::Reinvite(request, _, sdp)] = &said[..] else { panic!("{said:?}") };
    assert!(sdp.contains("a=sendrecv"));
    world.sip(answer(*request), message("INVITE", "x", SDP));
    world.serve();
    assert_eq!(world.spec(pair.called).flow.direction(), Direction::Both);
    assert_eq!(pair.state(), (SessionState::Connected, SessionState::Connected));
}

#[test]
fn info_and_digits_cross() {
    let mut pair = up();
    let (request, dialog) = (RequestId::from_u64(90), Some(DialogId::from_u64(A)));
    let event = sip_core::Event::Request { request, dialog, message: Span::default() };
    let info = |kind: &str, body: &str| {
        let text = String::from_utf8(message("INFO", "x", "?")).unwrap();
        let text = text.replace("application/sdp", kind).replace("Length: 1", &format!("Length: {}", body.len()));
        (text.trim_end_matches('?').to_owned() + body).into_bytes()
    };
    let world = &mut pair.world;
    world.sip(event, info("application/media_control+xml", "<x/>"));
    let said = world.said();
    let [Said::Info(sent, to, body)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((*to, body.as_str()), (DialogId::from_u64(B), "<x/>"));
    let answer = |request, status| sip_core::Event::Response {
        request,
        dialog: Some(DialogId::from_u64(B)),
        status,
        message: None,
        wants_ack: false,
    };
    world.sip(answer(*sent, 200), vec![]);
    assert_eq!(world.said(), [Said::Respond(request, 200, String::new())]);
    // A digit by INFO; B has no telephone events.
    world.sip(event, info("application/dtmf-relay", "Signal=4\r\n"));
    let said = world.said();
    assert!(matches!(&said[..], [Said::Info(_, _, body), Said::Respond(_, 200, _)] if body.starts_with("Signal=4")));
    assert_eq!(world.events.last(), Some(&SessionEvent::Digit { id: pair.caller, digit: 4 }));
    // The other side is gone before it answers.
    let mut pair = up();
    pair.world.sip(event, info("text/x", "y"));
    pair.world.said();
    pair.world.over(B, Cause::RemoteBye);
    assert!(pair.world.said().contains(&Said::Respond(request, 487, String::new())));
}

#[test]
fn a_late_offer_goes_both_ways() {
    let mut pair = going("");
    pair.world.progress(pair.call, B, 183, SDP);
    assert_eq!(pair.world.said(), [Said::Progress(invite_id(), 183, String::new())], "there is nothing to answer yet");
    pair.world.answered(pair.call, B, SDP);
    pair.world.serve();
    let said = pair.world.said();
    let [Said::Accept(_, offer)] = &said[..] else { panic!("{said:?}") };
    assert!(offer.contains(" RTP/AVP 0\r\n"), "{offer}");
    let ack = sip_core::Event::Acknowledged { dialog: DialogId::from_u64(A), message: Span::default() };
    pair.world.sip(ack, message("ACK", "x", SDP));
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
    assert_eq!(world.said(), [Said::Reject(invite_id(), 503, Some(5))]);
    // While it runs.
    let mut pair = up();
    let leg = pair.world.session(pair.called).leg().unwrap();
    pair.world.media(Event::MediaTimeout { leg });
    assert_eq!(pair.world.said(), [Said::Bye(DialogId::from_u64(B)), Said::Bye(DialogId::from_u64(A))]);
    pair.world.over(A, Cause::LocalBye);
    pair.world.over(B, Cause::LocalBye);
    pair.assert_over();
}

#[test]
fn without_a_second_port_the_first_goes_back() {
    let mut world = World::new(Settings::default(), 1);
    world.comes(A, "on", SDP);
    assert_eq!(world.said(), [Said::Reject(invite_id(), 503, Some(5))]);
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
    for (hops, refused) in [("0", true), ("1", false)] {
        let (invite, dialog) = (InviteId::from_u64(A), DialogId::from_u64(A));
        let event = sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces: None };
        let text = String::from_utf8(message("INVITE", "on", SDP)).unwrap();
        world.sip(event, text.replace("Max-Forwards: 70", &format!("Max-Forwards: {hops}")).into_bytes());
        if refused {
            assert_eq!(world.said(), [Said::Reject(invite, 483, None)]);
            world.over(A, Cause::Rejected(483));
            world.assert_empty();
        }
    }
    world.serve();
    world.invited();
    assert_eq!(world.sip.max_forwards, 0);
}

#[test]
fn early_media_is_no_answer() {
    // Neither the leg that runs at last nor a PRACK answers a call that the other side has not answered.
    let mut world = World::new(Settings::default(), 6);
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
    let (invite, dialog) = (invite_id(), DialogId::from_u64(A));
    world.sip(sip_core::Event::Pracked { invite, dialog, request: None, message: Span::default() }, vec![]);
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
        let event =
            sip_core::Event::Reinvite { invite: REINVITE, dialog: DialogId::from_u64(from), message: Span::default() };
        world.sip(event, message("INVITE", "x", &held(direction)));
        world.serve();
        let said = world.said();
        let mut offered = None;
        let said = match &said[..] {
            [Said::Reinvite(request, to, sdp)] => {
                offered = Some(word(sdp));
                let event = sip_core::Event::Response {
                    request: *request,
                    dialog: Some(*to),
                    status: 200,
                    message: Some(Span::default()),
                    wants_ack: false,
                };
                world.sip(event, message("INVITE", "x", &held(answers)));
                world.serve();
                world.said()
            }
            _ => said,
        };
        let [Said::Accept(REINVITE, sdp)] = &said[..] else { panic!("{said:?}") };
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
    let (request, dialog) = (RequestId::from_u64(91), Some(DialogId::from_u64(B)));
    let event = sip_core::Event::Request { request, dialog, message: Span::default() };
    world.sip(event, message("UPDATE", "x", &held("inactive")));
    let said = world.said();
    let [Said::Reinvite(sent, to, _)] = said[..] else { panic!("{said:?}") };
    assert_eq!(to, DialogId::from_u64(A));
    let event = sip_core::Event::Response {
        request: sent,
        dialog: Some(to),
        status: 200,
        message: Some(Span::default()),
        wants_ack: false,
    };
    world.sip(event, message("INVITE", "x", &held("inactive")));
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
        let (request, a, b) = (RequestId::from_u64(91), DialogId::from_u64(A), DialogId::from_u64(B));
        let event = sip_core::Event::Request { request, dialog: Some(a), message: Span::default() };
        world.sip(event, message("UPDATE", "x", &held("sendonly")));
        let said = world.said();
        let [Said::Reinvite(sent, to, _)] = said[..] else { panic!("{said:?}") };
        assert_eq!(to, b);
        let event = sip_core::Event::Reinvite { invite: REINVITE, dialog: a, message: Span::default() };
        world.sip(event, message("INVITE", "x", &held("inactive")));
        assert!(world.said().is_empty(), "it waits");
        if status == 0 {
            world.wait(clock::Duration::from_secs(9));
            let said = world.said();
            assert!(matches!(said[..], [Said::Respond(_, 504, _)]), "{said:?}");
        }
        let answer = |request, status| sip_core::Event::Response {
            request,
            dialog: Some(b),
            status,
            message: Some(Span::default()),
            wants_ack: false,
        };
        let late = if status == 0 { 200 } else { status };
        world.sip(answer(sent, late), message("INVITE", "x", &held("recvonly")));
        world.serve();
        let mut said = world.said();
        if let [Said::Reinvite(sent, to, sdp)] = &said[..] {
            // What was agreed on too late is taken back first.
            assert!(status == 0 && *to == b && sdp.contains("a=sendrecv"), "{sdp}");
            world.sip(answer(*sent, 200), message("INVITE", "x", SDP));
            world.serve();
            said = world.said();
        }
        let Some(Said::Reinvite(sent, to, sdp)) = said.pop() else { panic!("{said:?}") };
        assert!(to == b && sdp.contains("a=inactive"), "{sdp}");
        assert!(status == 0 || matches!(said[..], [Said::Respond(_, told, _)] if told == status), "{said:?}");
        world.sip(answer(sent, 200), message("INVITE", "x", &held("inactive")));
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
