//! Where calls go because a peer says so: REFER and 3xx, by policy and by address.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use sip_core::Cause;
use sip_wire::Method;

fn refused(status: u16) -> [Said; 1] {
    [Said::Respond(REFER, status, String::new())]
}

fn allowing(local: LocalAddresses) -> Pair {
    let mut pair = up();
    pair.world.sessions.settings.destinations = Destinations { local, media_ports: Some((10_000, 20_000)) };
    pair
}

/// Each is refused before anything is sent, and after a name has become such an address as well.
#[test]
fn a_refer_leads_neither_to_this_host_nor_to_no_host() {
    let hosts = [
        ("127.0.0.1:25", true),
        ("127.8.8.8", true),
        ("[::1]:25", true),
        ("[::ffff:127.0.0.1]:25", true),
        ("169.254.1.1", true),
        ("[fe80::1]", true),
        // The address of our own host, at another port than ours.
        ("192.0.2.9:25", true),
        ("0.0.0.0", false),
        ("0.1.2.3", false),
        ("[::]", false),
        ("224.0.1.75", false),
        ("239.255.0.1:5060", false),
        ("[ff02::1]", false),
        ("255.255.255.255", false),
        ("192.0.2.3:0", false),
        // Media of ours.
        ("192.0.2.9:10002", false),
        ("127.0.0.1:20000", false),
    ];
    for (host, is_local) in hosts {
        let target = format!("<sip:x@{host}>");
        let mut pair = allowing(LocalAddresses::Refused);
        pair.world.refers(A, &target);
        assert_eq!((pair.world.said(), pair.world.sessions.count()), (refused(403).to_vec(), 2), "{host}");

        let mut pair = allowing(LocalAddresses::Allowed);
        pair.world.refers(A, &target);
        let is_refused = pair.world.said() == refused(403);
        assert_eq!(is_refused, !is_local, "{host}");

        let mut pair = allowing(LocalAddresses::Refused);
        pair.world.refers(A, "<sip:x@innocent.example>");
        pair.world.serve();
        pair.world.said();
        let remote = host.parse().unwrap_or_else(|_| format!("{host}:5060").parse().unwrap());
        let bad = sip_core::Flow::udp(target_flow().local, remote);
        pair.world.turn(|sessions, turn| sessions.found(turn, 1, &[vec![bad]]));
        assert_eq!(pair.world.said(), [Said::Notify(REPORTS, 403, true)], "{host} by name");
        pair.world.serve();
        assert_eq!(pair.world.sessions.count(), 2);
    }
}

fn target_flow() -> sip_core::Flow {
    target("").flow
}

#[test]
fn of_several_addresses_the_innocent_one_is_called() {
    let mut pair = up();
    let world = &mut pair.world;
    world.refers(A, "<sip:x@two.example>");
    world.serve();
    world.said();
    let flow = |remote: &str| sip_core::Flow::udp(target_flow().local, remote.parse().unwrap());
    let paths = [vec![flow("127.0.0.1:5060"), flow("192.0.2.3:5060")]];
    world.turn(|sessions, turn| sessions.found(turn, 1, &paths));
    let (call, ..) = world.invited();
    assert_eq!(world.flow, Some(flow("192.0.2.3:5060")));
    world.failed(call, 503);
    assert_eq!(world.said(), [Said::Notify(REPORTS, 503, true)], "and no other");
}

#[test]
fn a_route_leads_where_the_operator_says() {
    let mut pair = up();
    let world = &mut pair.world;
    world.refers(A, "<sip:routed@127.0.0.1:25>");
    assert_eq!(world.said(), [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 100, false)]);
    world.serve();
    let (_, uri, _) = world.invited();
    assert_eq!((uri.as_str(), world.flow), ("sip:b1@192.0.2.7", Some(target_flow())));
    // It does not lead there, and is not called.
    let mut pair = up();
    pair.world.refers(A, "<sip:tone@192.0.2.3>");
    assert_eq!(pair.world.said(), refused(403));
}

#[test]
fn the_called_side_has_no_more_rights() {
    let mut pair = up();
    for (target, status) in [("<sip:x@127.0.0.1:25>", 403), ("<sip:x@224.0.1.75>", 403), ("<sip:no@192.0.2.3>", 603)] {
        pair.world.refers(B, target);
        assert_eq!(pair.world.said(), refused(status), "{target}");
    }
    // Outside of dialogs there is no call to hand over.
    pair.world.asks_outside(5, Method::Refer, &["Refer-To: <sip:c@192.0.2.3>"]);
    assert_eq!(pair.world.said(), [Said::Respond(5, 403, String::new())]);
}

#[test]
fn what_a_refer_may_ask_for() {
    let to = "Refer-To: <sip:c@192.0.2.3>\r\n";
    for (headers, status) in [
        (String::new(), 400),
        (format!("{to}{to}"), 400),
        (format!("{to}r: <sip:d@192.0.2.3>\r\n"), 400),
        ("Refer-To: <sip:c@192.0.2.3;method=BYE>\r\n".to_owned(), 501),
        ("Refer-To: <sip:c@192.0.2.3;method=MESSAGE>\r\n".to_owned(), 501),
        ("Refer-To: <sip:c@192.0.2.3?Require=100rel>\r\n".to_owned(), 403),
        ("Refer-To: <sip:c@192.0.2.3?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Replaces=x>\r\n".to_owned(), 400),
    ] {
        let mut pair = up();
        pair.world.refers_with(A, &headers);
        assert_eq!((pair.world.said(), pair.world.sessions.count()), (refused(status).to_vec(), 2), "{headers}");
    }
    let mut pair = up();
    let world = &mut pair.world;
    world.refers_with(
        A,
        "Refer-To: <sip:c@192.0.2.3;METHOD=invite;x=y?Subject=hi&From=%3Csip:boss%40x%3E&Route=%3Csip:evil%3E\
         &Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Require=replaces>\r\nReferred-By: <sip:alice@example.com>;cid=\"1@x\"\r\n",
    );
    world.is_lossy = true;
    world.serve();
    let said = world.said();
    let Some(Said::Invite(_, uri, _)) = said.last() else { panic!("{said:?}") };
    assert_eq!(uri, "sip:c@192.0.2.3;x=y");
    let sent: Vec<(&str, &str)> = world.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        sent,
        [
            ("Replaces", "a;to-tag=b;from-tag=c"),
            ("Require", "replaces"),
            ("Referred-By", "<sip:alice@example.com>;cid=\"1@x\"")
        ]
    );
}

/// RFC 4488: no subscription, no reports, and the call ends all the same.
#[test]
fn a_referrer_that_wants_no_reports_gets_none() {
    let mut pair = up();
    let world = &mut pair.world;
    world.refers_with(A, "Refer-To: <sip:c@192.0.2.3>\r\nRefer-Sub: FALSE;x\r\n");
    assert_eq!(world.said(), [Said::Respond(REFER, 202, String::new())]);
    assert_eq!(world.headers, [("Refer-Sub".to_owned(), "false".to_owned())]);
    world.serve();
    let (call, ..) = world.invited();
    world.progress(call, 60, 180, "");
    world.answered(call, 60, SDP);
    world.serve();
    assert_eq!(world.said(), [Said::Bye(A)]);
}

/// The peer hears how it went before its call ends; one that does not confirm that does not hold the call up.
#[test]
fn a_report_that_is_never_confirmed_ends_the_call_after_a_while() {
    for hangs_up in [true, false] {
        let mut pair = up();
        let world = &mut pair.world;
        world.refers(A, "<sip:c@192.0.2.3>");
        world.serve();
        let said = world.said();
        let Some(Said::Invite(call, ..)) = said.last() else { panic!("{said:?}") };
        world.answered(*call, 60, SDP);
        world.serve();
        assert_eq!(world.said(), [Said::Notify(REPORTS, 200, true)]);
        if hangs_up {
            world.over(A, Cause::RemoteBye);
        } else {
            world.loses(A);
            world.wait(clock::Duration::from_millis(4_999));
            assert!(world.said().is_empty());
            world.wait(clock::Duration::from_millis(1));
            assert_eq!(world.said(), [Said::Bye(A)]);
            world.hears_again(A);
            world.over(A, Cause::LocalBye);
        }
        world.serve();
        world.over(B, Cause::RemoteBye);
        world.over(60, Cause::LocalBye);
        world.serve();
        world.assert_empty();
    }
}

/// A call of the switch with itself in which nobody else is ends when its referrer has gone, whichever way that goes.
#[test]
fn a_refer_to_ourselves_leaves_nothing() {
    for leaves_early in [true, false] {
        let mut world = World::new(Settings::default(), 8);
        world.comes(1, "tone", SDP);
        world.serve();
        world.said();
        world.refers(1, "<sip:tone@192.0.2.9>");
        world.serve();
        let said = world.said();
        let Some(Said::Invite(call, ..)) = said.last() else { panic!("{said:?}") };
        assert!(said.contains(&Said::AcceptRefer(REFER)) && world.sessions.count() == 2);
        if leaves_early {
            world.over(1, Cause::RemoteBye);
            assert_eq!(world.said(), [Said::Notify(REPORTS, 487, true), Said::Cancel(*call)][1..]);
            world.failed(*call, 487);
        } else {
            world.answered(*call, 60, SDP);
            world.serve();
            assert_eq!(world.said(), [Said::Notify(REPORTS, 200, true), Said::Bye(60)]);
            world.over(60, Cause::LocalBye);
            world.confirms(1);
            world.over(1, Cause::LocalBye);
        }
        world.serve();
        world.assert_empty();
    }
}

#[test]
fn calls_of_others_cannot_be_joined() {
    let mut pair = up();
    let world = &mut pair.world;
    let second = world.comes(2, "on", SDP);
    world.serve();
    let (call, ..) = world.invited();
    world.answered(call, 60, SDP);
    world.serve();
    world.said();
    let session = world.sessions.table.get_mut(second).unwrap();
    session.facts.set_caller("sip:mallory@example.com", "198.51.100.66:5060".parse().unwrap());
    let replaces = world.replaces_of(2);
    world.refers(A, &format!("<sip:c@192.0.2.9?Replaces={replaces}>"));
    assert_eq!(world.said(), refused(403));
    assert_eq!(world.sessions.count(), 4);
    // Across shards the new call says on whose behalf it is; only in the process that is worth something.
    for (party, is_ours, is_taken) in [
        ("192.0.2.1 alice@example.com", true, true),
        ("203.0.113.5 alice@example.com", true, true),
        ("203.0.113.5 mallory@example.com", true, false),
        ("203.0.113.5 mallory@example.com", false, true),
    ] {
        let mut pair = up();
        let world = &mut pair.world;
        world.path = Path { is_ours, ..path() };
        world.calls_replacing(9, A, &[&format!("X-Ringplane-Party: {party}")], SDP);
        world.serve();
        let said = world.said();
        assert_eq!(said.contains(&Said::Bye(A)), is_taken, "{party}: {said:?}");
        assert_eq!(said.contains(&Said::Reject(9, 403, None)), !is_taken, "{party}: {said:?}");
    }
}

#[test]
fn a_3xx_is_followed_by_policy_and_never_to_this_host() {
    let over = |contacts: &str| {
        let mut pair = going(SDP);
        pair.world.moved(pair.call, contacts);
        pair
    };
    for contacts in ["<sip:x@127.0.0.1:25>", "<sip:x@224.0.1.75>", "<sip:no@192.0.2.3>", "<sip:x@192.0.2.9:10000>"] {
        let mut pair = over(contacts);
        let said = pair.world.said();
        assert!(said.iter().any(|said| matches!(said, Said::Reject(_, 480, _))), "{contacts}: {said:?}");
        assert!(!said.iter().any(|said| matches!(said, Said::Invite(..))), "{contacts}: {said:?}");
    }
    let mut pair =
        over("<sip:x@127.0.0.1:25>;q=1, <sip:routed@127.0.0.1>;q=0.5, <sip:d@192.0.2.4;method=INVITE>;q=0.1");
    let (call, uri, _) = pair.world.invited();
    assert_eq!(uri, "sip:r1@192.0.2.7", "where a route leads");
    pair.world.failed(call, 503);
    let (_, uri, _) = pair.world.invited();
    assert_eq!(uri, "sip:d@192.0.2.4", "what is nobody's own host");
}
