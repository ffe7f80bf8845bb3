//! Names that peers want called, in REFER and in 3xx: they are looked up while everything else goes on.

use crate::tests::common::*;
use crate::tests::harness::*;
use crate::*;
use sip_core::{Cause, Flow};

const C: u64 = 60;

/// The path to one of our peers' hosts.
fn flow(host: u8) -> Flow {
    Flow::udp(target("").flow.local, format!("192.0.2.{host}:5060").parse().unwrap())
}

impl World {
    /// The last question and what it is about.
    fn question(&self) -> (u64, &[String]) {
        let (ticket, uris) = self.sip.host.asked.last().expect("somebody was asked");
        (*ticket, uris)
    }

    pub(in crate::tests) fn found(&mut self, ticket: u64, hosts: &[&[u8]]) {
        let paths: Vec<Vec<Flow>> = hosts.iter().map(|hosts| hosts.iter().copied().map(flow).collect()).collect();
        self.turn(|sessions, turn| sessions.found(turn, ticket, &paths));
    }

    /// The INVITE that was sent: its call, its Request-URI and the host that it went to.
    fn invited_at(&mut self) -> (u64, String, Flow) {
        let (call, uri, _) = self.invited();
        (call, uri, self.flow.expect("it went somewhere"))
    }
}

/// A has asked us to call C by a name; gives the number of the question.
fn referred_to(target: &str) -> (Pair, u64) {
    let mut pair = up();
    let world = &mut pair.world;
    world.refers(A, &format!("<{target}>"));
    assert_eq!(world.said(), [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 100, false)]);
    let (ticket, uris) = world.question();
    let asked = target.split('?').next().unwrap_or(target).to_owned();
    assert_eq!((uris, world.sessions.count()), (&[asked][..], 3));
    (pair, ticket)
}

fn assert_untouched(pair: &Pair) {
    for (id, other) in [(pair.caller, pair.called), (pair.called, pair.caller)] {
        let session = pair.world.session(id);
        assert_eq!((session.state(), session.linked_to()), (SessionState::Connected, Some(other)));
    }
}

#[test]
fn a_name_in_a_refer_is_looked_up_and_its_addresses_are_tried_in_turn() {
    for is_quick in [false, true] {
        let (mut pair, ticket) = referred_to("sip:c@pbx.example;transport=tcp");
        let world = &mut pair.world;
        if is_quick {
            world.found(ticket, &[&[11, 12]]);
            assert!(world.said().is_empty(), "the leg comes first");
            world.serve();
        } else {
            world.serve();
            assert!(world.said().is_empty(), "nobody knows where to");
            world.found(ticket, &[&[11, 12]]);
        }
        let (call, uri, to) = world.invited_at();
        assert_eq!((uri.as_str(), to), ("sip:c@pbx.example;transport=tcp", flow(11)));
        // The answer to one question comes once.
        world.found(ticket, &[&[13]]);
        world.failed(call, 503);
        let (call, _, to) = world.invited_at();
        assert_eq!(to, flow(12));
        assert_untouched(&pair);
        let world = &mut pair.world;
        world.answered(call, C, SDP);
        world.serve();
        assert_eq!(world.said(), [Said::Notify(REPORTS, 200, true)]);
        world.confirms(A);
        assert_eq!(world.said(), [Said::Bye(A)]);
        world.over(A, Cause::LocalBye);
        world.over(B, Cause::RemoteBye);
        world.over(C, Cause::LocalBye);
        world.serve();
        world.assert_empty();
    }
}

#[test]
fn a_name_that_nobody_knows_ends_the_transfer_and_not_the_call() {
    for answer in [Some(&[][..]), Some(&[&[][..]][..]), None] {
        let (mut pair, ticket) = referred_to("sip:c@nowhere.example");
        let world = &mut pair.world;
        world.serve();
        // One at a time.
        world.refers(A, "<sip:d@192.0.2.3>");
        assert_eq!(world.said(), [Said::Respond(REFER, 491, String::new())]);
        match answer {
            Some(paths) => world.found(ticket, paths),
            None => world.wait(LOOKUP_LIMIT),
        }
        assert_eq!(world.said(), [Said::Notify(REPORTS, 404, true)]);
        world.serve();
        assert_eq!(world.last_end(), EndReason::NoPath);
        world.found(ticket, &[&[11]]);
        assert_eq!((world.said(), world.sessions.count(), world.ports.out.len()), (vec![], 2, 2));
        assert_untouched(&pair);
        // It may try again.
        pair.world.refers(A, "<sip:c@192.0.2.3>");
        assert_eq!(pair.world.said(), [Said::AcceptRefer(REFER), Said::Notify(REPORTS, 100, false)]);
    }
    // The last of several that are tried in vain.
    let (mut pair, ticket) = referred_to("sip:c@pbx.example");
    let world = &mut pair.world;
    world.serve();
    world.found(ticket, &[&[11]]);
    let (call, ..) = world.invited_at();
    world.failed(call, 486);
    assert_eq!(world.said(), [Said::Notify(REPORTS, 486, true)]);
    assert_untouched(&pair);
}

#[test]
fn the_host_of_who_asks_is_reached_as_it_is_where_dns_does_not_know_it() {
    let (mut pair, ticket) = referred_to("sip:c@example.com");
    let world = &mut pair.world;
    world.serve();
    world.found(ticket, &[&[]]);
    let (_, uri, to) = world.invited_at();
    assert_eq!((uri.as_str(), to), ("sip:c@example.com", flow(1)), "where A is");
}

#[test]
fn a_name_of_our_own_leads_to_the_shard_that_has_the_dialog() {
    let (mut pair, ticket) = referred_to("sip:c@us.example?Replaces=elsewhere%3Bto-tag%3Da%3Bfrom-tag%3Db");
    let world = &mut pair.world;
    world.serve();
    world.is_lossy = true;
    world.found(ticket, &[&[9, 11]]);
    let (_, _, to) = world.invited_at();
    assert_eq!(to.local, to.remote, "home");
    world.unanswered(503);
    assert_eq!(world.invited_at().2, flow(11));
}

#[test]
fn where_too_many_names_are_looked_up_a_refer_is_refused() {
    let mut pair = up();
    pair.world.sip.host.asks_nobody = true;
    pair.world.refers(A, "<sip:c@pbx.example>");
    assert_eq!(pair.world.said(), [Said::Respond(REFER, 503, String::new())]);
    assert_eq!(pair.world.sessions.count(), 2);
    assert_untouched(&pair);
    // Without a port nobody waits for an answer.
    pair.world.sip.host.asks_nobody = false;
    let free = pair.world.ports.free.split_off(0);
    pair.world.refers(A, "<sip:c@pbx.example>");
    assert_eq!(pair.world.said(), [Said::Respond(REFER, 503, String::new())]);
    assert!(pair.world.sessions.by_lookup.is_empty());
    pair.world.ports.free = free;
}

#[test]
fn who_hangs_up_while_a_name_is_looked_up() {
    // The one that asked: the other side waits for C.
    for hosts in [&[11][..], &[]] {
        let (mut pair, ticket) = referred_to("sip:c@pbx.example");
        let world = &mut pair.world;
        world.over(A, Cause::RemoteBye);
        world.serve();
        assert!(world.said().is_empty(), "B waits");
        world.found(ticket, &[hosts]);
        if hosts.is_empty() {
            assert_eq!(world.said(), [Said::Bye(B)]);
            world.over(B, Cause::LocalBye);
        } else {
            let (call, ..) = world.invited_at();
            world.answered(call, C, SDP);
            world.serve();
            world.over(B, Cause::RemoteBye);
            assert_eq!(world.said(), [Said::Bye(C)]);
            world.over(C, Cause::LocalBye);
        }
        world.serve();
        world.assert_empty();
    }
    // The other side, and the switch.
    for is_stop in [false, true] {
        let (mut pair, ticket) = referred_to("sip:c@pbx.example");
        let world = &mut pair.world;
        world.serve();
        match is_stop {
            true => world.turn(|sessions, turn| sessions.stop(turn, EndReason::Shutdown)),
            false => world.over(B, Cause::RemoteBye),
        }
        world.said();
        world.found(ticket, &[&[11]]);
        world.over(A, Cause::LocalBye);
        world.over(B, Cause::LocalBye);
        world.serve();
        assert!(!world.said().iter().any(|said| matches!(said, Said::Invite(..))), "nobody is called any more");
        world.assert_empty();
    }
}

#[test]
fn contacts_with_names_are_looked_up_and_tried_by_their_worth() {
    let mut pair = going(SDP);
    let world = &mut pair.world;
    let contacts =
        "<sip:low@192.0.2.21>;q=0.1, <sips:mid@two.example>;q=0.5, <sip:high@one.example>, <sip:b1@192.0.2.7>";
    world.moved(pair.call, contacts);
    assert!(world.said().is_empty());
    let (ticket, uris) = world.question();
    assert_eq!(uris, ["sip:high@one.example", "sips:mid@two.example", "sip:low@192.0.2.21"]);
    world.found(ticket, &[&[11, 12], &[], &[21]]);
    for (uri, host) in [
        ("sip:high@one.example", 11),
        ("sip:high@one.example", 12),
        ("sip:low@192.0.2.21", 21),
        ("sip:b2@192.0.2.7", 7), // the next target
    ] {
        let (call, called, to) = world.invited_at();
        assert_eq!((called.as_str(), to), (uri, flow(host)));
        if host != 7 {
            world.failed(call, 503);
        } else {
            world.answered(call, B, SDP);
        }
    }
    world.serve();
    assert!(matches!(&world.said()[..], [Said::Accept(..)]));
}

#[test]
fn contacts_that_nobody_knows_leave_the_next_target_or_the_refusal() {
    let mut pair = going(SDP);
    let world = &mut pair.world;
    for wait in [true, false] {
        let call = match wait {
            true => pair.call,
            false => world.invited().0,
        };
        world.moved(call, "<sip:x@nowhere.example>");
        assert!(world.said().is_empty());
        if wait {
            world.wait(LOOKUP_LIMIT);
        } else {
            let ticket = world.question().0;
            world.found(ticket, &[]);
        }
    }
    assert_eq!(world.said(), [Said::Reject(A, 480, None)]);
    world.over(A, Cause::Rejected(480));
    world.serve();
    world.assert_empty();
    // Nobody can be asked: what has an address is called.
    let mut pair = going(SDP);
    let world = &mut pair.world;
    world.sip.host.asks_nobody = true;
    world.moved(pair.call, "<sip:x@pbx.example>, <sip:y@192.0.2.21>;q=0.1");
    let (call, uri, _) = world.invited_at();
    assert_eq!(uri, "sip:y@192.0.2.21");
    world.moved(call, "<sip:z@pbx.example>");
    assert_eq!(world.invited_at().1, "sip:b2@192.0.2.7");
}

#[test]
fn a_caller_that_gives_up_while_contacts_are_looked_up_is_not_called_for() {
    let mut pair = going(SDP);
    let world = &mut pair.world;
    world.moved(pair.call, "<sip:x@pbx.example>");
    let ticket = world.question().0;
    world.over(A, Cause::RemoteCancel);
    world.found(ticket, &[&[11]]);
    assert!(world.said().is_empty());
    world.serve();
    world.assert_empty();
}

#[test]
fn many_addresses_and_many_contacts_share_the_room_for_targets() {
    let mut pair = going(SDP);
    let world = &mut pair.world;
    let contacts: Vec<String> = (0..9).map(|number| format!("<sip:c{number}@h{number}.example>")).collect();
    world.moved(pair.call, &contacts.join(", "));
    let (ticket, uris) = world.question();
    assert_eq!(uris.len(), REDIRECTS_MAX);
    let hosts: Vec<u8> = (100..150).collect();
    world.found(ticket, &[&hosts[..]; REDIRECTS_MAX]);
    let mut called = Vec::new();
    while let [Said::Invite(call, uri, _)] = &world.said()[..] {
        called.push(uri.clone());
        world.failed(*call, 503);
    }
    // One is b2, which was there before.
    let share = TARGETS_MAX / REDIRECTS_MAX;
    assert_eq!((called.len(), called[share].as_str()), (share * REDIRECTS_MAX + 1, "sip:c1@h1.example"));
}
