//! REFER with its reports, Replaces, and subscriptions, from both sides (RFC 3515, RFC 3891, RFC 6665).

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

fn config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.allow.push("SUBSCRIBE".to_owned());
    config.event_packages.push("dialog".to_owned());
    config
}

fn notify(invite: &str, cseq: u32, event: &str, state: &str) -> String {
    let lines = format!("Event: {event}\nSubscription-State: {state}\nContent-Type: message/sipfrag\n");
    from_callee(invite, "b", ("NOTIFY", cseq), &lines, "SIP/2.0 100 Trying")
}

#[test]
fn we_refer_and_hear_how_it_goes() {
    let mut bench = Bench::with(config(), udp());
    let (dialog, invite) = bench.answered_call();
    let refer = |bench: &mut Bench| {
        let sent = bench.endpoint.refer(bench.now, dialog, "sip:carol@c.example", &mut bench.out);
        (sent.unwrap(), bench.drain().remove(0))
    };
    let ((_, first_refer), sent) = refer(&mut bench);
    assert_eq!((header(&sent, "Refer-To"), header(&sent, "CSeq")), ("<sip:carol@c.example>", "2 REFER"));
    assert!(!header(&sent, "Contact").is_empty());
    assert_eq!(words(&bench.feed(&notify(&invite, 1, "refer", "active;expires=60"))), ["200"], "it overtook the 202");
    bench.feed(&reply(&sent, 202, "b", "", ""));
    assert_eq!(bench.failures(), [202]);
    // A second one is told apart by its CSeq.
    let ((_, second_refer), sent) = refer(&mut bench);
    assert_ne!(first_refer, second_refer);
    bench.feed(&reply(&sent, 202, "b", "", ""));
    bench.feed(&notify(&invite, 2, "refer;id=3", "active;expires=60"));
    bench.feed(&notify(&invite, 3, "refer;id=2", "terminated;reason=noresource"));
    let heard = bench.events.iter().filter_map(|event| match event {
        Event::Notified { subscription, is_last, .. } => Some((*subscription, *is_last)),
        _ => None,
    });
    let heard: Vec<_> = heard.collect();
    assert_eq!(heard, [(first_refer, false), (second_refer, false), (first_refer, true)]);
    assert_eq!(words(&bench.feed(&notify(&invite, 4, "refer;id=2", "active"))), ["481"], "it has ended");
    assert_eq!(words(&bench.feed(&notify(&invite, 5, "dialog", "active"))), ["481"]);
    bench.pass(Duration::from_secs(61));
    let ended = Event::SubscriptionEnded { subscription: second_refer, dialog: Some(dialog) };
    assert_eq!(bench.events.last(), Some(&ended), "no report came in time");
    // One that is refused has no subscription.
    let ((_, _), sent) = refer(&mut bench);
    bench.feed(&reply(&sent, 603, "b", "", ""));
    assert_eq!(bench.endpoint.sizes().subscriptions, 0);
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn we_are_referred_and_report() {
    let mut bench = Bench::with(config(), udp());
    let (dialog, invite) = bench.answered_call();
    bench.feed(&from_callee(&invite, "b", ("REFER", 5), "Contact: <sip:b@x>\nRefer-To: <sip:carol@c>\n", ""));
    let request = bench.request();
    let subscription = bench.endpoint.accept_subscription(bench.now, request, 3600, &mut bench.out).unwrap();
    assert_eq!(words(&bench.drain()), ["202"]);
    bench
        .endpoint
        .notify_refer(bench.now, subscription, ReferProgress { status: 100, is_last: false }, &mut bench.out)
        .unwrap();
    let notify = bench.drain().remove(0);
    assert_eq!(header(&notify, "Event"), "refer;id=5");
    assert_eq!(header(&notify, "Subscription-State"), "active;expires=300");
    assert_eq!(header(&notify, "Content-Type"), "message/sipfrag;version=2.0");
    assert!(notify.ends_with("SIP/2.0 100 Trying\r\n"));
    bench.feed(&reply(&notify, 200, "b", "", ""));
    bench
        .endpoint
        .notify_refer(bench.now, subscription, ReferProgress { status: 200, is_last: true }, &mut bench.out)
        .unwrap();
    let last = bench.drain().remove(0);
    assert_eq!(header(&last, "Subscription-State"), "terminated;reason=noresource");
    bench.feed(&reply(&last, 200, "b", "", ""));
    assert_eq!(bench.failures(), [200, 200]);
    let late = bench.endpoint.notify_refer(
        bench.now,
        subscription,
        ReferProgress { status: 200, is_last: true },
        &mut bench.out,
    );
    assert_eq!(late, Err(Refused::Gone));
    assert!(bench.endings().is_empty(), "the call goes on");
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn a_dialog_that_ends_takes_its_subscriptions_along() {
    let mut bench = Bench::with(config(), udp());
    let (dialog, invite) = bench.answered_call();
    bench.endpoint.refer(bench.now, dialog, "sip:carol@c", &mut bench.out).unwrap();
    bench.drain();
    bench.feed(&from_callee(&invite, "b", ("BYE", 9), "", ""));
    let [.., Event::SubscriptionEnded { dialog: Some(d), .. }, Event::Ended { cause, .. }] = bench.events[..] else {
        panic!("{:?}", bench.events)
    };
    assert_eq!((d, cause), (dialog, Cause::RemoteBye));
    bench.assert_empty();
}

#[test]
fn attended_transfer_by_replaces() {
    // We are the target: the consultation call is the one that a new INVITE takes over.
    let mut bench = Bench::with(config(), udp());
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    peer.learn(&bench.accept(Content::sdp(b"v=0"))[0]);
    bench.feed(&peer.ack());
    let consultation = bench.dialog();
    let third = Peer { call_id: "third@party", from_tag: "t3".into(), branch: "t3".into(), ..Peer::new() };
    let replaces = |more: &str| format!("Replaces: abc@peer;to-tag={};from-tag=p1{more}\n", peer.to_tag);
    assert_eq!(words(&bench.feed(&third.request("INVITE", "INVITE", &replaces(";early-only"), ""))), ["486"]);
    let third = Peer { cseq: 2, branch: "t4".into(), ..third };
    bench.feed(&third.request("INVITE", "INVITE", &replaces(""), ""));
    assert!(matches!(bench.events.last(), Some(Event::Invite { replaces: Some(d), .. }) if *d == consultation));
    assert_eq!(words(&bench.accept(Content::sdp(b"v=0"))), ["200"]);
    bench.endpoint.bye(bench.now, consultation, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
    // We are the transferor: the URI that we hand out names the consultation call as its other end sees it.
    let mut bench = Bench::with(config(), udp());
    let (dialog, invite) = bench.answered_call();
    let uri = bench.endpoint.replaces_uri(dialog).unwrap();
    let (call_id, our_tag) = (header(&invite, "Call-ID"), tag(header(&invite, "From")));
    assert_eq!(uri, format!("sip:bob@192.0.2.9:5070?Replaces={call_id}%3Bto-tag%3Db%3Bfrom-tag%3D{our_tag}"));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn an_early_dialog_is_replaced_only_where_we_called() {
    let mut bench = Bench::with(config(), udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", "", ""));
    let lines = format!(
        "Replaces: {};to-tag={};from-tag=b;early-only\n",
        header(&invite, "Call-ID"),
        tag(header(&invite, "From"))
    );
    bench.feed(&Peer::new().request("INVITE", "INVITE", &lines, ""));
    assert!(matches!(bench.events.last(), Some(Event::Invite { replaces: Some(_), .. })));
    bench.reject(486);
    let mut bench = Bench::with(config(), udp());
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    peer.learn(&bench.ring(180)[0]);
    let lines = format!("Replaces: abc@peer;to-tag={};from-tag=p1\n", peer.to_tag);
    let third = Peer { call_id: "third", branch: "t".into(), ..Peer::new() };
    assert_eq!(words(&bench.feed(&third.request("INVITE", "INVITE", &lines, ""))), ["481"]);
    bench.reject(486);
    bench.assert_empty();
}

fn subscribed(bench: &mut Bench) -> (SubscriptionId, String) {
    let (_, subscription) = bench
        .endpoint
        .subscribe(
            bench.now,
            &NewSubscription { request: &new_request(udp()), package: "dialog", expires_s: 600 },
            &mut bench.out,
        )
        .unwrap();
    (subscription, bench.drain().remove(0))
}

#[test]
fn we_subscribe_refresh_and_unsubscribe() {
    let mut bench = Bench::with(config(), udp());
    let (subscription, sent) = subscribed(&mut bench);
    assert_eq!((header(&sent, "Event"), header(&sent, "Expires")), ("dialog", "600"));
    bench.feed(&reply(&sent, 200, "b", "Expires: 300\nContact: <sip:bob@192.0.2.9:5070>\n", ""));
    assert_eq!(words(&bench.feed(&notify(&sent, 1, "dialog", "active;expires=300"))), ["200"]);
    let refresh = bench.pass(Duration::from_secs(241)).remove(0);
    assert_eq!((refresh.0, first(&refresh.1).as_str()), (240_000, "SUBSCRIBE sip:bob@192.0.2.9:5070 SIP/2.0"));
    bench.feed(&reply(&refresh.1, 200, "b", "Expires: 300\n", ""));
    assert!(bench.pass(Duration::from_secs(238)).is_empty());
    bench.endpoint.unsubscribe(bench.now, subscription, &mut bench.out).unwrap();
    let last = bench.drain().remove(0);
    assert_eq!(header(&last, "Expires"), "0");
    bench.feed(&reply(&last, 200, "b", "Expires: 0\n", ""));
    bench.feed(&notify(&sent, 2, "dialog", "terminated;reason=timeout"));
    assert!(bench.events.iter().any(|event| matches!(event, Event::Notified { is_last: true, .. })));
    assert_eq!(bench.endings(), [Cause::Unsubscribed]);
    bench.assert_empty();
}

#[test]
fn a_notify_that_overtakes_the_answer_makes_the_dialog() {
    let mut bench = Bench::with(config(), udp());
    let (subscription, sent) = subscribed(&mut bench);
    assert_eq!(bench.endpoint.unsubscribe(bench.now, subscription, &mut bench.out), Err(Refused::WrongState));
    assert_eq!(words(&bench.feed(&notify(&sent, 1, "dialog", "active;expires=300"))), ["200"]);
    bench.feed(&reply(&sent, 200, "b", "Expires: 300\nContact: <sip:bob@192.0.2.9:5070>\n", ""));
    assert_eq!(bench.endpoint.sizes().dialogs, 1);
    let other_fork = notify(&sent, 1, "dialog", "active").replace(";tag=b", ";tag=c").replace("z9hG4bKb", "z9hG4bKc");
    assert_eq!(words(&bench.feed(&other_fork)), ["481"], "one dialog for a subscription");
    bench.assert_empty();
    assert!(
        bench.events.iter().any(|event| matches!(event, Event::SubscriptionEnded { .. })),
        "no refresh was answered"
    );
}

#[test]
fn subscriptions_that_fail_or_hear_nothing_end() {
    let mut bench = Bench::with(config(), udp());
    let (_, sent) = subscribed(&mut bench);
    bench.feed(&reply(&sent, 489, "b", "", ""));
    assert_eq!((bench.failures(), bench.endpoint.sizes().subscriptions), (vec![489], 0));
    assert_eq!(words(&bench.feed(&notify(&sent, 1, "dialog", "active"))), ["481"]);
    bench.assert_empty();
    let mut bench = Bench::with(config(), udp());
    subscribed(&mut bench);
    bench.assert_empty();
    assert_eq!(bench.failures(), [408]);
    // The peer no longer knows the refresh: over at once.
    let mut bench = Bench::with(config(), udp());
    let (subscription, sent) = subscribed(&mut bench);
    bench.feed(&reply(&sent, 200, "b", "Expires: 300\nContact: <sip:bob@192.0.2.9:5070>\n", ""));
    let refresh = bench.pass(Duration::from_secs(241)).remove(0).1;
    bench.feed(&reply(&refresh, 481, "b", "", ""));
    let ended = bench
        .events
        .iter()
        .any(|e| matches!(e, Event::SubscriptionEnded { subscription: s, .. } if *s == subscription));
    assert!(ended, "{:?}", bench.events);
    assert_eq!(bench.endings(), [Cause::Unsubscribed]);
    bench.assert_empty();
}

#[test]
fn we_notify_subscribers_until_they_or_time_end_it() {
    let mut bench = Bench::with(config(), udp());
    let mut peer = Peer::new();
    bench.feed(&peer.request("SUBSCRIBE", "SUBSCRIBE", "Event: dialog;id=7\nExpires: 100\n", ""));
    let request = bench.request();
    let subscription = bench.endpoint.accept_subscription(bench.now, request, 60, &mut bench.out).unwrap();
    let ok = bench.drain().remove(0);
    assert_eq!((word(&ok), header(&ok, "Expires")), ("200", "60"), "the shorter one");
    peer.learn(&ok);
    let state = |bench: &mut Bench, state: &str| {
        bench
            .endpoint
            .notify(bench.now, subscription, &Report { state, content: Content::NONE }, &mut bench.out)
            .unwrap();
        bench.drain().remove(0)
    };
    let sent = state(&mut bench, "active");
    assert_eq!((header(&sent, "Event"), header(&sent, "Subscription-State")), ("dialog;id=7", "active;expires=60"));
    assert_eq!(header(&sent, "CSeq"), "1 NOTIFY");
    bench.feed(&reply(&sent, 200, "p1", "", ""));
    // A refresh keeps the subscription.
    bench.pass(Duration::from_secs(50));
    peer.cseq = 2;
    peer.branch = "refresh".into();
    bench.feed(&peer.request("SUBSCRIBE", "SUBSCRIBE", "Event: dialog;id=7\nExpires: 100\n", ""));
    let request = bench.request();
    let same = bench.endpoint.accept_subscription(bench.now, request, 60, &mut bench.out);
    assert_eq!(same, Ok(subscription));
    bench.drain();
    let sent = bench.pass(Duration::from_secs(61));
    assert_eq!((sent[0].0, header(&sent[0].1, "Subscription-State")), (60_000, "terminated;reason=timeout"));
    assert_eq!(bench.endings(), [Cause::Unsubscribed]);
    bench.assert_empty();
    assert_eq!(bench.failures(), [200], "the last report was the endpoint's own");
}

#[test]
fn a_notify_that_nobody_wants_ends_the_subscription() {
    let mut bench = Bench::with(config(), udp());
    let peer = Peer::new();
    bench.feed(&peer.request("SUBSCRIBE", "SUBSCRIBE", "Event: dialog\n", ""));
    let request = bench.request();
    let subscription = bench.endpoint.accept_subscription(bench.now, request, 600, &mut bench.out).unwrap();
    bench.drain();
    bench
        .endpoint
        .notify(bench.now, subscription, &Report { state: "active", content: Content::NONE }, &mut bench.out)
        .unwrap();
    let sent = bench.drain().remove(0);
    bench.feed(&reply(&sent, 481, "p1", "", ""));
    assert_eq!(bench.endings(), [Cause::Unsubscribed]);
    bench.assert_empty();
    let limits = Limits { max_subscriptions: 0, ..Limits::default() };
    let mut bench = Bench::with(EndpointConfig { limits, ..config() }, udp());
    bench.feed(&peer.request("SUBSCRIBE", "SUBSCRIBE", "Event: dialog\n", ""));
    let request = bench.request();
    let full = bench.endpoint.accept_subscription(bench.now, request, 600, &mut bench.out);
    assert_eq!(full, Err(Refused::Full));
    bench.endpoint.respond(bench.now, request, &Answer::of(503), &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn a_refer_outside_any_dialog_makes_one_for_its_reports() {
    for overtaken in [false, true] {
        let mut bench = Bench::with(config(), udp());
        let refer = bench.endpoint.refer_outside(bench.now, &new_request(udp()), "sip:carol@c", &mut bench.out);
        let (request, subscription) = refer.unwrap();
        let sent = bench.drain().remove(0);
        assert_eq!((word(&sent), header(&sent, "Refer-To")), ("REFER", "<sip:carol@c>"));
        let accepted = reply(&sent, 202, "b", "Contact: <sip:bob@192.0.2.9:5070>\n", "");
        let report = notify(&sent, 1, "refer", "active;expires=60");
        for message in if overtaken { [&report, &accepted] } else { [&accepted, &report] } {
            bench.feed(message);
        }
        let told =
            bench.events.iter().any(|e| matches!(e, Event::Response { request: r, status: 202, .. } if *r == request));
        let heard =
            bench.events.iter().any(|e| matches!(e, Event::Notified { subscription: s, .. } if *s == subscription));
        assert!(told && heard, "{:?}", bench.events);
        bench.feed(&notify(&sent, 2, "refer", "terminated;reason=noresource"));
        assert_eq!(bench.endings(), [Cause::Unsubscribed]);
        bench.assert_empty();
    }
}

/// How long the peer says that it reports is bounded by what we asked for, and for a REFER by an hour.
#[test]
fn a_notifier_does_not_keep_a_subscription_for_ever() {
    const FOR_EVER: &str = "active;expires=4294967295";
    let mut bench = Bench::with(config(), udp());
    bench.endpoint.refer_outside(bench.now, &new_request(udp()), "sip:carol@c", &mut bench.out).unwrap();
    let sent = bench.drain().remove(0);
    bench.feed(&reply(&sent, 202, "b", "Contact: <sip:bob@192.0.2.9:5070>\n", ""));
    bench.feed(&notify(&sent, 1, "refer", FOR_EVER));
    bench.assert_empty();
    // A report that crosses our SUBSCRIBE with `Expires: 0` prolongs nothing.
    let mut bench = Bench::with(config(), udp());
    let refer = bench.endpoint.refer_outside(bench.now, &new_request(udp()), "sip:carol@c", &mut bench.out);
    let (_, subscription) = refer.unwrap();
    let sent = bench.drain().remove(0);
    bench.feed(&reply(&sent, 202, "b", "Contact: <sip:bob@192.0.2.9:5070>\n", ""));
    bench.feed(&notify(&sent, 1, "refer", FOR_EVER));
    bench.endpoint.unsubscribe(bench.now, subscription, &mut bench.out).unwrap();
    let last = bench.drain().remove(0);
    bench.feed(&reply(&last, 200, "b", "Expires: 0\n", ""));
    bench.feed(&notify(&sent, 2, "refer", FOR_EVER));
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.endpoint.sizes().subscriptions, 0);
    bench.assert_empty();
    let mut bench = Bench::with(config(), udp());
    let (subscription, sent) = subscribed(&mut bench);
    bench.feed(&reply(&sent, 200, "b", "Expires: 300\nContact: <sip:bob@192.0.2.9:5070>\n", ""));
    bench.endpoint.unsubscribe(bench.now, subscription, &mut bench.out).unwrap();
    let last = bench.drain().remove(0);
    bench.feed(&reply(&last, 200, "b", "Expires: 0\n", ""));
    assert_eq!(words(&bench.feed(&notify(&sent, 1, "dialog", FOR_EVER))), ["200"]);
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.endpoint.sizes().subscriptions, 0);
    bench.assert_empty();
}

/// The `id` of an Event is written as it came: a quoted string is no parameter of its own.
#[test]
fn reports_name_the_subscription_as_the_subscriber_did() {
    let mut bench = Bench::with(config(), udp());
    let subscribe = Peer::new().request("SUBSCRIBE", "SUBSCRIBE", "Event: dialog;id=\"a;b=c\n d\"\n", "");
    bench.feed(&subscribe);
    let request = bench.request();
    let subscription = bench.endpoint.accept_subscription(bench.now, request, 600, &mut bench.out).unwrap();
    bench.drain();
    let report = Report { state: "active", content: Content::NONE };
    bench.endpoint.notify(bench.now, subscription, &report, &mut bench.out).unwrap();
    let sent = bench.drain().remove(0);
    assert_eq!(header(&sent, "Event").split_whitespace().collect::<String>(), "dialog;id=\"a;b=cd\"");
}

#[test]
fn a_subscription_has_no_session_to_change() {
    let mut bench = Bench::with(config(), udp());
    let mut peer = Peer::new();
    bench.feed(&peer.request("SUBSCRIBE", "SUBSCRIBE", "Event: dialog\n", ""));
    let request = bench.request();
    bench.endpoint.accept_subscription(bench.now, request, 600, &mut bench.out).unwrap();
    peer.learn(&bench.drain()[0]);
    for method in ["INVITE", "UPDATE"] {
        assert_eq!(words(&bench.feed(&peer.next(method))), ["403"], "{method}");
    }
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Reinvite { .. })));
    bench.assert_empty();
}
