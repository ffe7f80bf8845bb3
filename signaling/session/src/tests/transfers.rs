//! Calls that are transferred, by us and by peers.

use crate::tests::common::*;
use crate::tests::fake::*;
use crate::tests::invite::forwards::{A, B, Pair, up};
use crate::*;
use clock::Duration;
use contract::Source;
use sip_core::{Cause, ClientRequestId, DialogId, RequestId, Span, SubscriptionId};

pub(in crate::tests) const REFER: RequestId = RequestId::from_u64(77);
pub(in crate::tests) const REPORTS: SubscriptionId = SubscriptionId::from_u64(77);

fn response(request: ClientRequestId, status: u16) -> sip_core::Event {
    let message = Some(sip_core::Span::default());
    sip_core::Event::Response { request, dialog: Some(DIALOG), status, message, wants_ack: false }
}

/// What the endpoint says where the peer says nothing.
fn unanswered(request: ClientRequestId, status: u16) -> sip_core::Event {
    sip_core::Event::Response { request, dialog: Some(DIALOG), status, message: None, wants_ack: false }
}

impl World {
    fn notify(&mut self, subscription: SubscriptionId, fragment: &str, is_last: bool) {
        let length = fragment.len();
        let text = format!("NOTIFY sip:x SIP/2.0\r\nContent-Length: {length}\r\n\r\n{fragment}");
        let event = sip_core::Event::Notified { subscription, dialog: DIALOG, message: Span::default(), is_last };
        self.sip(event, text.into_bytes());
    }

    /// The peer confirms our report of this status.
    pub(in crate::tests) fn confirms(&mut self, dialog: u64, status: u16) {
        let request = ClientRequestId::from_u64(NOTIFIES + u64::from(status));
        let dialog = Some(DialogId::from_u64(dialog));
        self.sip(sip_core::Event::Response { request, dialog, status: 200, message: None, wants_ack: false }, vec![]);
    }

    pub(in crate::tests) fn refers(&mut self, dialog: u64, target: &str) {
        self.refers_with(dialog, &format!("Refer-To: {target}\r\n"));
    }

    pub(in crate::tests) fn refers_with(&mut self, dialog: u64, headers: &str) {
        let dialog = Some(DialogId::from_u64(dialog));
        let event = sip_core::Event::Request { request: REFER, dialog, message: Span::default() };
        let text = String::from_utf8(message("REFER", "x", "")).unwrap();
        self.sip(event, text.replace("Max-F", &format!("{headers}Max-F")).into_bytes());
    }
}

/// A call whose transfer we have asked for.
fn transferring() -> (World, SessionId, u64, ClientRequestId) {
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
    let subscription = SubscriptionId::from_u64(request.as_u64());
    let again = world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:d@192.0.2.3"));
    assert!(matches!(again, Err(SessionError::InvalidState { state: SessionState::Transferring, .. })));
    world.sip(response(request, 202), vec![]);
    world.notify(subscription, "SIP/2.0 100 Trying", false);
    world.notify(subscription, "SIP/2.0 180 Ringing\r\n", false);
    assert!(world.events.contains(&SessionEvent::TransferProgress { id, status: 180 }));
    assert_eq!(world.state(tag), SessionState::Transferring);
    world.notify(subscription, "SIP/2.0 200 OK", true);
    assert!(world.events.contains(&SessionEvent::Done { id, operation: Operation::Transfer }));
    assert_eq!(world.said(), [Said::Bye(DIALOG)]);
    world.sip(ended(Cause::LocalBye), vec![]);
    world.serve();
    world.assert_empty();
    assert_eq!(world.last_end(), EndReason::Transferred);
}

#[test]
fn a_transfer_that_fails_brings_the_call_back() {
    use EndOrigin::{Called, Network, Peer, TimeOut};
    type Way = fn(&mut World, ClientRequestId);
    let ways: [(Way, u16, EndOrigin); 8] = [
        // The endpoint says 408 or 503 by itself where no answer came.
        (|world, request| world.sip(unanswered(request, 503), vec![]), 503, Network),
        (|world, request| world.sip(unanswered(request, 500), vec![]), 500, EndOrigin::Here),
        (|world, request| world.sip(response(request, 603), vec![]), 603, Peer),
        (
            |world, request| world.notify(SubscriptionId::from_u64(request.as_u64()), "SIP/2.0 486 Busy", true),
            486,
            Called,
        ),
        (
            |world, request| world.notify(SubscriptionId::from_u64(request.as_u64()), "SIP/2.0 100 Trying", true),
            500,
            Peer,
        ),
        (|world, request| world.notify(SubscriptionId::from_u64(request.as_u64()), "nonsense", true), 500, Peer),
        (
            |world, request| {
                let subscription = SubscriptionId::from_u64(request.as_u64());
                world.sip(sip_core::Event::SubscriptionEnded { subscription, dialog: Some(DIALOG) }, vec![]);
            },
            408,
            TimeOut,
        ),
        (|world, _| world.wait(Duration::from_secs(180)), 408, TimeOut),
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
        world.notify(SubscriptionId::from_u64(request.as_u64()), "SIP/2.0 200 OK", true);
        assert_eq!(world.state(tag), SessionState::Connected);
    }
    // The peer hangs up instead.
    let (mut world, ..) = transferring();
    world.sip(ended(Cause::RemoteBye), vec![]);
    world.serve();
    world.assert_empty();
}

#[test]
fn an_attended_transfer_ends_both_calls() {
    let mut world = World::new(Settings::default(), 4);
    let (one, other) = (world.comes(1, "tone", SDP), world.comes(2, "tone", SDP));
    world.serve();
    world.said();
    world.turn(|sessions, turn| sessions.attended_transfer(turn, one, other)).unwrap();
    let said = world.said();
    let [Said::Refer(request, _, target)] = &said[..] else { panic!("{said:?}") };
    assert!(target.contains("Replaces=d2%3B"), "{target}");
    world.notify(SubscriptionId::from_u64(request.as_u64()), "SIP/2.0 200 OK", true);
    let bye = |number| Said::Bye(DialogId::from_u64(number));
    assert_eq!(world.said(), [bye(1), bye(2)]);
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
    world.sip.refusal = Some(sip_core::Refused::Full);
    assert!(world.turn(|sessions, turn| sessions.transfer(turn, id, "sip:c@192.0.2.3")).is_err());
    assert_eq!(world.session(id).state(), SessionState::Connected);
}

/// A has asked us to call C; the INVITE to C is out.
fn referred(pair: &mut Pair) -> (SessionId, sip_core::CallId) {
    let world = &mut pair.world;
    world.refers(A, "<sip:c@192.0.2.3>");
    let said = world.said();
    assert_eq!(said, [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 100, false)]);
    world.serve();
    let (call, uri, _) = world.invited();
    assert_eq!(uri, "sip:c@192.0.2.3");
    let id = world.sessions.by_call[&call];
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
    world.confirms(A, 200);
    assert_eq!(world.said(), [Said::Bye(DialogId::from_u64(A))]);
    let leg = |id| world.session(id).leg().unwrap();
    assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(leg(third)));
    assert_eq!(world.spec(third).flow.source(), Source::Leg(leg(pair.called)));
    world.over(A, Cause::LocalBye);
    // They are one call now: neither outlives the other.
    world.over(60, Cause::RemoteBye);
    assert_eq!(world.said(), [Said::Bye(DialogId::from_u64(B))]);
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
            assert_eq!(world.said(), [Said::Bye(DialogId::from_u64(60))]);
            world.over(60, Cause::LocalBye);
        } else {
            world.failed(call, 486);
            assert_eq!(world.said(), [Said::Bye(DialogId::from_u64(B))]);
            world.over(B, Cause::LocalBye);
        }
        world.serve();
        world.assert_empty();
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
    let told = [Said::Notify(REPORTS, 487, true), Said::Bye(DialogId::from_u64(A))];
    assert!(said.starts_with(&told) && said[2..] == [Said::Cancel(call)], "{said:?}");
    world.failed(call, 487);
    world.over(A, Cause::LocalBye);
    world.serve();
    world.assert_empty();
}

#[test]
fn a_held_peer_is_heard_again_after_a_transfer() {
    let mut pair = up();
    let world = &mut pair.world;
    let event = sip_core::Event::Reinvite { invite: REINVITE, dialog: DialogId::from_u64(A), message: Span::default() };
    world.sip(event, message("INVITE", "x", &held("sendonly")));
    let said = world.said();
    let [Said::Reinvite(request, to, _)] = said[..] else { panic!("{said:?}") };
    let answer = |request| sip_core::Event::Response {
        request,
        dialog: Some(to),
        status: 200,
        message: Some(Span::default()),
        wants_ack: false,
    };
    world.sip(answer(request), message("INVITE", "x", &held("recvonly")));
    world.serve();
    world.said();
    let (third, call) = referred(&mut pair);
    let world = &mut pair.world;
    world.answered(call, 60, SDP);
    world.serve();
    let said = world.said();
    let Some(Said::Reinvite(request, _, sdp)) = said.iter().find(|said| matches!(said, Said::Reinvite(..))) else {
        panic!("{said:?}")
    };
    assert!(sdp.contains("a=sendrecv"));
    world.sip(answer(*request), message("INVITE", "x", SDP));
    world.serve();
    assert_eq!(world.session(pair.called).state(), SessionState::Connected);
    assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(world.session(third).leg().unwrap()));
}

/// A holds B, which does not answer yet; what A asked for is of no account once C is in its place.
#[test]
fn a_hold_that_is_on_its_way_ends_with_whoever_wanted_it() {
    let mut pair = up();
    let world = &mut pair.world;
    let (dialog, to) = (DialogId::from_u64(A), DialogId::from_u64(B));
    let event = sip_core::Event::Reinvite { invite: REINVITE, dialog, message: Span::default() };
    world.sip(event, message("INVITE", "x", &held("sendonly")));
    let said = world.said();
    let [Said::Reinvite(request, _, _)] = said[..] else { panic!("{said:?}") };
    let (third, call) = referred(&mut pair);
    let world = &mut pair.world;
    world.answered(call, 60, SDP);
    world.serve();
    world.confirms(A, 200);
    assert!(world.said().contains(&Said::Reject(REINVITE, 487, None)));
    world.over(A, Cause::LocalBye);
    let answer = |request| sip_core::Event::Response {
        request,
        dialog: Some(to),
        status: 200,
        message: Some(Span::default()),
        wants_ack: false,
    };
    world.sip(answer(request), message("INVITE", "x", &held("recvonly")));
    world.serve();
    let said = world.said();
    let [Said::Reinvite(request, again, sdp)] = &said[..] else { panic!("{said:?}") };
    assert!(*again == to && sdp.contains("a=sendrecv\r\n"), "{sdp}");
    world.sip(answer(*request), message("INVITE", "x", &held("sendrecv")));
    world.serve();
    for id in [third, pair.called] {
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
    let third = world.session(second).linked_to().unwrap();
    world.refers(A, "<sip:c@192.0.2.9?Replaces=d2%3Bto-tag%3Da%3Bfrom-tag%3Db>");
    let said = world.said();
    let bye = |number| Said::Bye(DialogId::from_u64(number));
    assert_eq!(said, [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 200, true), bye(2)]);
    world.confirms(A, 200);
    assert_eq!(world.said(), [bye(A)]);
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
    pair.world.serve();
    assert_eq!(pair.world.sip.headers, [("Replaces".to_owned(), "elsewhere;to-tag=a;from-tag=b".to_owned())]);
}

#[test]
fn refers_that_make_no_sense() {
    for (target, status) in [
        ("<tel:123>", 416),
        ("garbage", 400),
        ("<sip:c@192.0.2.3?Replaces=broken>", 400),
        ("<sip:no@192.0.2.3>", 603),
        // The call itself, and its other side: not two calls.
        ("<sip:c@192.0.2.9?Replaces=d1%3Bto-tag%3Da%3Bfrom-tag%3Db>", 488),
        ("<sip:c@192.0.2.9?Replaces=d50%3Bto-tag%3Da%3Bfrom-tag%3Db>", 488),
    ] {
        let mut pair = up();
        pair.world.refers(A, target);
        assert_eq!(pair.world.said(), [Said::Respond(REFER, status, String::new())], "{target}");
        assert_eq!(pair.world.sessions.count(), 2);
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
    let (invite, dialog) = (sip_core::InviteId::from_u64(9), DialogId::from_u64(9));
    let replaces = Some(DialogId::from_u64(A));
    let event = sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces };
    world.sip(event, message("INVITE", "busy", &SDP.replace("RTP/AVP 0", "RTP/AVP 8 0")));
    world.serve();
    let said = world.said();
    let [Said::Ringing(_), Said::Accept(_, sdp), Said::Bye(old)] = &said[..] else { panic!("{said:?}") };
    assert!(sdp.contains(" RTP/AVP 0\r\n"), "what B has: {sdp}");
    assert_eq!(*old, DialogId::from_u64(A));
    world.over(A, Cause::LocalBye);
    world.serve();
    let new = world.sessions.by_dialog[&dialog];
    assert_eq!(world.session(pair.called).linked_to(), Some(new));
    assert_eq!(world.spec(pair.called).flow.source(), Source::Leg(world.session(new).leg().unwrap()));
}
