//! What crosses from one side of a call to the other beside its media.

use crate::tests::common::{A, B};
use crate::tests::harness::*;
use crate::*;
use clock::Duration;
use sip_core::Cause;
use stats::SignalCounter;

/// Where calls of [`comes`] come from, and where they go to.
const CALLER: &str = "192.0.2.1";
const TARGET: &str = "192.0.2.7";

/// Names and values of header lines.
fn fields<'l>(lines: &[&'l str]) -> Vec<(&'l str, &'l str)> {
    lines.iter().map(|line| line.split_once(": ").expect("a header line")).collect()
}

fn settings(trusted: &'static [&'static str], pass: &[&str], drop: &[&str]) -> Settings {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let is_trusted = move |ip: std::net::IpAddr| trusted.contains(&ip.to_string().as_str());
    Settings { crossing: CrossingPolicy::new(&names(pass), &names(drop), is_trusted), ..Settings::default() }
}

/// A call whose INVITE has come in and gone on.
fn goes(settings: Settings, uri: &str, lines: &[&str]) -> World {
    let mut world = World::new(settings, 6);
    world.calls_saying(A, uri, lines, SDP);
    world.serve();
    world
}

fn crossed(world: &World) -> Vec<String> {
    world.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

fn call(world: &mut World) -> u64 {
    world.invited().0
}

const ON: &str = "sip:on@192.0.2.9";

#[test]
fn what_an_invite_takes_along() {
    let both: &[&str] = &[CALLER, TARGET];
    // Header field, whether it crosses between strangers, and between the trusted.
    for (line, strangers, trusted) in [
        ("Alert-Info: <http://h/bell.wav>", true, true),
        ("Alert-Info: <http://h>;info=alert-autoanswer", false, true),
        ("Call-Info: <sip:h>;answer-after=0", false, true),
        ("Call-Info: <http://h/a.jpg>;purpose=icon", true, true),
        ("Diversion: <sip:+491@h>;reason=no-answer;counter=1", true, true),
        ("Diversion: <sip:+491@h>;privacy=full", false, true),
        ("History-Info: <sip:a@h>;index=1, <sip:b@h>;index=1.1", true, true),
        ("User-to-User: 56a390f3d2b7310023a2;encoding=hex", true, true),
        ("Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000", true, true),
        ("Referred-By: <sip:boss@h>", true, true),
        ("Subject: caf\u{e9} \"x\"", true, true),
        ("Priority: urgent", true, true),
        ("Privacy: none", true, true),
        ("P-Asserted-Identity: \"Alice\" <tel:+4930>", false, true),
        ("P-Preferred-Identity: <sip:alice@h>", false, true),
        ("Remote-Party-ID: <sip:alice@h>", false, false),
        ("X-Account: 7", false, false),
        ("Organization: us", false, false),
        // What belongs to one side.
        ("Reason: SIP;cause=200", false, false),
        ("Retry-After: 5", false, false),
        ("Require: 100rel", false, false),
        ("Supported: path", false, false),
        ("Allow: INVITE", false, false),
        ("Route: <sip:evil@192.0.2.66;lr>", false, false),
        ("Record-Route: <sip:evil@192.0.2.66;lr>", false, false),
        ("Authorization: Digest x=y", false, false),
        ("Proxy-Authorization: Digest x=y", false, false),
        ("Session-Expires: 1800", false, false),
        ("Timestamp: 54", false, false),
        ("User-Agent: phone", false, false),
        ("Accept-Contact: *;audio", false, false),
    ] {
        for (list, crosses) in
            [(&[][..], strangers), (&[CALLER][..], strangers), (&[TARGET][..], strangers), (both, trusted)]
        {
            let world = goes(settings(list, &[], &[]), ON, &[line]);
            // One trusted side is no reason for identities, but the trusted may alert and be told more.
            if list.len() == 1 && strangers != trusted {
                continue;
            }
            let wanted: &[&str] = if crosses { &[line] } else { &[] };
            assert_eq!(crossed(&world), wanted, "{line} {list:?}");
        }
    }
    for (list, line) in [
        (&[CALLER][..], "P-Asserted-Identity: <sip:a@h>"),
        (&[TARGET][..], "P-Asserted-Identity: <sip:a@h>"),
        (&[CALLER][..], "P-Preferred-Identity: <sip:a@h>"),
    ] {
        assert!(crossed(&goes(settings(list, &[], &[]), ON, &[line])).is_empty(), "{list:?} {line}");
    }
}

#[test]
fn the_list_is_the_operators() {
    let lines = [
        "X-Account: 7",
        "x-other: 8",
        "Y: 9",
        "s: hello",
        "Priority: urgent",
        "Organization: us",
        "Replaces: a;to-tag=1;from-tag=2",
    ];
    let pass = ["x-*", "organization", "Replaces", "Via"];
    let world = goes(settings(&[], &pass, &["subject"]), ON, &lines[..6]);
    assert_eq!(crossed(&world), ["X-Account: 7", "x-other: 8", "Priority: urgent", "Organization: us"]);
    // What makes a dialog does not cross whatever is configured.
    for name in ["Via", "i", "Contact", "Require", "Replaces", "Content-Type", "RAck", "Expires"] {
        assert!(CrossingPolicy::never_crosses(name), "{name}");
    }
    let world =
        goes(settings(&[], &["P-*"], &["p-asserted-identity"]), ON, &["P-Asserted-Identity: <sip:a@h>", "P-X: 1"]);
    assert_eq!(crossed(&world), ["P-X: 1"], "a star lets no stranger assert anything");
}

#[test]
fn names_and_numbers_cross() {
    let parties = |uri: &str, lines: &[&str]| goes(Settings::default(), uri, lines).parties;
    for (from, shown) in [
        ("\"Alice\" <sip:alice@example.com>;tag=1", "\"Alice\" <sip:alice@example.com>"),
        ("Alice B <sip:alice@example.com>;tag=1", "\"Alice B\" <sip:alice@example.com>"),
        ("\"A \\\"B\\\\\" <sip:a@h>;tag=1", "\"A \\\"B\\\\\" <sip:a@h>"),
        ("\"Zo\u{eb} \u{5f20}\" <sip:a@h>;tag=1", "\"Zo\u{eb} \u{5f20}\" <sip:a@h>"),
        ("sip:alice@example.com;tag=1", "<sip:alice@example.com>"),
        ("\"x\\\u{1}y\" <sip:a@h>;tag=1", "\"xy\" <sip:a@h>"),
        ("\"Tel\" <tel:+49-30-1>;tag=1", "\"Tel\" <sip:+49301@192.0.2.9;user=phone>"),
        ("tel:+49-30-1;tag=1", "<sip:+49301@192.0.2.9;user=phone>"),
        ("<sip:+49-30-1@h;user=phone>;tag=1", "<sip:+49301@h;user=phone>"),
    ] {
        assert_eq!(parties(ON, &[&format!("From: {from}")]).0, shown, "{from}");
    }
    for (uri, to, told) in [
        (ON, "\"The Desk\" <sip:desk@example.com>", "\"The Desk\" <sip:on@192.0.2.7>"),
        ("sip:%6fn@192.0.2.9", "<sip:on@example.com>", "<sip:%6fn@192.0.2.7>"),
        ("tel:+49-30-12", "<tel:+493012>", "<sip:+493012@192.0.2.7;user=phone>"),
        ("sip:+49(30)12@us;user=phone", "<sip:x@y>", "<sip:+493012@192.0.2.7;user=phone>"),
    ] {
        assert_eq!(parties(uri, &[&format!("To: {to}")]).1, told, "{uri} {to}");
    }
}

#[test]
fn the_numbers_of_a_call_are_shown_as_numbers() {
    let lines = ["From: <tel:+49-89-1>;tag=1", "To: <sip:+49-30-12@example.com;user=phone>"];
    let world = goes(Settings::default(), "tel:+49-30-12", &lines);
    let shown = world.sessions.iter().find(|session| !session.is_outgoing()).unwrap().parties();
    assert_eq!(
        (&*shown.from, &*shown.to, &*shown.called_user),
        ("tel:+49891", "sip:+493012@example.com;user=phone", "+493012")
    );
}

#[test]
fn a_caller_who_wants_privacy_stays_unknown() {
    let lines = [
        "P-Asserted-Identity: <sip:alice@h>",
        "Subject: me",
        "Referred-By: <sip:alice@h>",
        "History-Info: <sip:a@h>;index=1",
    ];
    for (privacy, is_hidden, stranger_sees) in [
        ("id", true, 1),
        ("user", true, 1),
        ("header", true, 1),
        ("user;id;critical", true, 1),
        ("ID", true, 1),
        ("session", false, 4),
        ("history", false, 3),
        ("none", false, 5),
    ] {
        let privacy = format!("Privacy: {privacy}");
        let mut all = lines.to_vec();
        all.push(&privacy);
        for (trusted, sees) in [(&[CALLER][..], stranger_sees), (&[CALLER, TARGET][..], 5)] {
            let mut world = goes(settings(trusted, &[], &[]), ON, &all);
            let shown = if is_hidden {
                "\"Anonymous\" <sip:anonymous@anonymous.invalid>"
            } else {
                "\"Alice\" <sip:alice@example.com>"
            };
            assert_eq!(world.parties.0, shown, "{privacy} {trusted:?}");
            assert_eq!(crossed(&world).len(), sees, "{privacy} {trusted:?}: {:?}", crossed(&world));
            assert!(crossed(&world).contains(&privacy));
            // The next target learns no more.
            let first = call(&mut world);
            world.failed(first, 503);
            assert_eq!((world.parties.0.as_str(), crossed(&world).len()), (shown, sees));
        }
    }
    // Nor does a target that the call is transferred to.
    let mut world = goes(Settings::default(), ON, &["Privacy: id"]);
    let first = call(&mut world);
    world.answered(first, B, SDP);
    world.serve();
    let caller = world.sessions.iter().find(|session| !session.is_outgoing()).unwrap();
    assert_eq!(caller.shown_uri(), crate::crossing::ANONYMOUS);
}

#[test]
fn every_target_is_called_as_itself() {
    let mut world = goes(Settings::default(), ON, &["Subject: hello"]);
    for user in ["b1", "b2"] {
        let (call, uri, _) = world.invited();
        assert_eq!(uri, format!("sip:{user}@192.0.2.7"));
        assert_eq!(
            (world.parties.1.as_str(), crossed(&world)),
            ("<sip:on@192.0.2.7>", vec!["Subject: hello".to_owned()])
        );
        let called = world.sessions.iter().find(|session| session.is_outgoing()).unwrap();
        assert_eq!(&*called.parties().to, uri);
        world.failed(call, 503);
    }
}

#[test]
fn too_many_lines_are_dropped_and_the_call_goes_on() {
    let long = format!("User-to-User: {}", "a".repeat(4_200));
    let many: Vec<String> = (0..40).map(|index| format!("Subject: {index}")).collect();
    let mut lines: Vec<&str> = vec![&long];
    lines.extend(many.iter().map(String::as_str));
    let world = goes(Settings::default(), ON, &lines);
    assert_eq!((crossed(&world).len(), crossed(&world)[0].as_str()), (32, "Subject: 0"));
    assert_eq!(world.sessions.counts.get(SignalCounter::HeadersNotPassed), 9);
    let world = goes(Settings::default(), ON, &["Subject: a\r\n b", "Priority: x\ty"]);
    assert_eq!(crossed(&world), ["Subject: a   b", "Priority: x y"], "no line ends, whatever came");
}

#[test]
fn what_is_said_before_and_in_the_answer_comes_back() {
    let lines = [
        "Alert-Info: <http://h>",
        "User-to-User: 1",
        "Session-ID: b;remote=a",
        "P-Asserted-Identity: \"Bob\" <sip:b@h>",
        "Server: x",
        "Retry-After: 1",
    ];
    for (trusted, count) in [(&[][..], 3), (&[TARGET][..], 3), (&[CALLER, TARGET][..], 4)] {
        let mut world = goes(settings(trusted, &[], &[]), ON, &[]);
        let call = call(&mut world);
        world.progress_saying(call, B, 180, &fields(&lines), "");
        assert_eq!(crossed(&world), lines[..count], "180 {trusted:?}");
        world.answered_saying(call, B, &fields(&lines), SDP);
        world.serve();
        assert!(matches!(world.said().last(), Some(Said::Accept(..))));
        assert_eq!(crossed(&world), lines[..count], "200 {trusted:?}");
        // Nothing of it stays for the length of the call.
        assert!(world.sessions.iter().all(|session| session.incoming.is_none()));
    }
}

#[test]
fn a_refusal_says_why() {
    for (first, status, reason, lines, retry_after, crossing) in [
        (
            "SIP/2.0 486 On holiday",
            486,
            "On holiday",
            &["Reason: Q.850;cause=17;text=\"busy\"", "Retry-After: 60 (lunch);duration=9"][..],
            Some(60),
            1,
        ),
        (
            "SIP/2.0 404 Not Found",
            404,
            "Not Found",
            &["Warning: 399 h \"no such user\"", "User-to-User: 1"][..],
            None,
            2,
        ),
        (
            "SIP/2.0 401 Who are you",
            403,
            "Forbidden",
            &["Reason: SIP;cause=401", "WWW-Authenticate: Digest realm=\"x\""][..],
            None,
            1,
        ),
    ] {
        let mut world = goes(Settings::default(), ON, &[]);
        let call = call(&mut world);
        world.failed_with(call, first[8..11].parse().unwrap(), &first[12..], &fields(lines));
        assert_eq!(world.said(), [Said::Reject(A, status, retry_after)], "{first}");
        assert_eq!(
            (world.phrase.as_str(), crossed(&world)),
            (reason, lines[..crossing].iter().map(ToString::to_string).collect())
        );
    }
    // Ours and its own Retry-After of a 503: its own counts.
    let mut world = goes(Settings::default(), ON, &[]);
    for retry_after in [None, Some(77)] {
        let call = call(&mut world);
        let line = retry_after.map(|seconds: u64| format!("Retry-After: {seconds}"));
        world.failed_with(call, 503, "Full", &fields(&line.as_deref().into_iter().collect::<Vec<_>>()));
        if retry_after.is_some() {
            assert_eq!(world.said(), [Said::Reject(A, 503, Some(77))]);
        }
    }
}

#[test]
fn bye_and_cancel_say_why() {
    let why = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"";
    let lines = [why, "Session-ID: a;remote=b", "User-to-User: 1", "Subject: no", "Retry-After: 1"];
    let mut world = goes(Settings::default(), ON, &[]);
    let first = call(&mut world);
    world.progress(first, B, 180, "");
    world.said();
    world.over_saying(A, Cause::RemoteCancel, &fields(&lines));
    assert_eq!(
        (world.said(), crossed(&world)),
        (vec![Said::Cancel(first)], lines[..3].iter().map(ToString::to_string).collect())
    );
    for (from, to) in [(A, B), (B, A)] {
        let mut world = goes(Settings::default(), ON, &[]);
        let call = call(&mut world);
        world.answered(call, B, SDP);
        world.serve();
        world.acknowledges(A, "");
        world.said();
        world.over_saying(from, Cause::RemoteBye, &fields(&lines));
        assert_eq!((world.said(), crossed(&world).len()), (vec![Said::Bye(to)], 3));
        assert_eq!(crossed(&world)[0], why);
    }
    // The switch's own reason, where no peer gave one.
    let mut world = goes(settings(&[], &[], &["Reason"]), ON, &[]);
    let first = call(&mut world);
    world.progress(first, B, 180, "");
    let called = world.sessions.iter().find(|session| session.is_outgoing()).unwrap().id();
    world.said();
    world.turn(|sessions, turn| sessions.end(turn, called, EndReason::Replaced));
    assert_eq!(crossed(&world), [why]);
}

#[test]
fn an_invite_is_good_for_as_long_as_it_says() {
    let reject = |status| Said::Reject(A, status, None);
    // It goes on: the targets hear how long, and are cancelled then.
    let mut world = goes(Settings::default(), ON, &["Expires: 20"]);
    assert_eq!(crossed(&world), ["Expires: 20"]);
    let first = call(&mut world);
    world.wait(Duration::from_millis(4_500));
    world.failed(first, 503);
    assert_eq!(crossed(&world), ["Expires: 16"], "what is left");
    let second = call(&mut world);
    world.progress(second, B, 180, "");
    world.said();
    world.wait(Duration::from_secs(15));
    assert!(world.said().is_empty());
    world.wait(Duration::from_secs(1));
    let said = world.said();
    assert!(said.contains(&reject(487)) && said.contains(&Said::Cancel(second)), "{said:?}");
    // It is answered in time, and lasts.
    let mut world = goes(Settings::default(), ON, &["Expires: 20"]);
    let first = call(&mut world);
    world.answered(first, B, SDP);
    world.serve();
    world.said();
    world.wait(Duration::from_secs(50));
    assert!(world.said().is_empty());
    // It waits for a decision.
    let mut world = goes(Settings::default(), "sip:later@192.0.2.9", &["Expires: 7"]);
    world.said();
    world.wait(Duration::from_secs(7));
    assert_eq!(world.said(), [reject(487)]);
    let mut world = goes(Settings::default(), "sip:later@192.0.2.9", &["Expires: 700"]);
    world.said();
    world.wait(Duration::from_secs(30));
    assert_eq!(world.said(), [reject(480)], "our own limit counts as before");
    // One of ours.
    let mut world = World::new(Settings::default(), 4);
    let dial = Dial { headers: vec![("expires".into(), "9".into())], ..Dial::new("sip:us@example.com", target("b")) };
    world.turn(|sessions, turn| sessions.dial(turn, dial)).unwrap();
    world.serve();
    let first = call(&mut world);
    world.progress(first, B, 180, "");
    world.wait(Duration::from_secs(9));
    assert_eq!(world.said(), [Said::Cancel(first)]);
}

#[test]
fn a_late_decision_takes_along_what_the_invite_said() {
    let mut world = goes(Settings::default(), "sip:later@192.0.2.9", &["Subject: hello", "Privacy: user"]);
    world.said();
    let id = world.id();
    let forward = Forward { headers: vec![("privacy".into(), "none".into())], ..Forward::to(vec![target("b1")]) };
    world.turn(|sessions, turn| sessions.forward(turn, id, forward)).unwrap();
    world.serve();
    world.invited();
    assert_eq!(world.parties.0, crate::crossing::ANONYMOUS);
    assert_eq!(crossed(&world), ["privacy: none"], "a program's own header field takes the place of the caller's");
    let forward = Forward { from: Some("sip:desk@h".into()), ..Forward::to(vec![target("b1")]) };
    let mut world = goes(Settings::default(), "sip:later@192.0.2.9", &[]);
    let id = world.id();
    world.turn(|sessions, turn| sessions.forward(turn, id, forward)).unwrap();
    world.serve();
    assert_eq!(world.parties.0, "<sip:desk@h>");
}

#[test]
fn a_redirection_to_a_number_goes_where_the_one_who_names_it_is() {
    let mut world = goes(Settings::default(), ON, &[]);
    let call = call(&mut world);
    world.moved(call, "<tel:+49-30-77>");
    assert_eq!(world.invited().1, "sip:+493077@192.0.2.7;user=phone");
}
