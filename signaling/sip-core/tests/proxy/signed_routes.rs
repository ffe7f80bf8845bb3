//! What a Route is worth: each request that says it belongs to a dialog, with and without a Route that we wrote for it.

use super::*;

const METHODS: [&str; 11] =
    ["INVITE", "BYE", "UPDATE", "INFO", "NOTIFY", "PRACK", "MESSAGE", "REFER", "SUBSCRIBE", "OPTIONS", "PUBLISH"];

/// A dialog through the proxy: what each side knows of it.
struct Dialog {
    bench: Bench,
    /// The route sets as each side has them: the topmost value first.
    caller_routes: Vec<String>,
    callee_routes: Vec<String>,
    invite: String,
}

const CALLEE: &str = "sip:bob@198.51.100.1:5080";
const CALLER: &str = "sip:peer@192.0.2.9:5062";

fn record_routes(message: &str) -> Vec<String> {
    let lines = message.lines().filter_map(|line| line.strip_prefix("Record-Route: "));
    lines.flat_map(|line| line.split(", ")).map(str::to_owned).collect()
}

/// The callee's answer, with every Record-Route of the request and more on top of them.
fn answer(bench: &mut Bench, request: &str, status: u16, contact: &str, on_top: &str) -> Sent {
    let mut routes: String = record_routes(request).iter().map(|value| format!("Record-Route: {value}\n")).collect();
    routes.insert_str(0, on_top);
    bench.answer_with(request, status, "b", &format!("{routes}Contact: <{contact}>\n"))
}

impl Dialog {
    fn new() -> Self {
        Self::through("", "")
    }

    /// `before` are the Record-Route lines of proxies before us, `behind` of those behind us.
    fn through(before: &str, behind: &str) -> Self {
        let names = vec!["proxy.example.com".to_owned()];
        // Its requests come from one address and are left undecided.
        let config = ProxyConfig { names, max_unproven_others: 1_000, ..ProxyConfig::default() };
        let mut bench = Bench::with(config);
        bench.feed(&Peer::new().request("INVITE", "INVITE", before, ""));
        let invite = bench.forward(&[(1, 0)]).remove(0).1;
        let ok = answer(&mut bench, &invite, 200, CALLEE, behind).remove(0).1;
        let callee_routes = [record_routes(behind), record_routes(&invite)].concat();
        let caller_routes = record_routes(&ok).into_iter().rev().collect();
        Self { bench, caller_routes, callee_routes, invite }
    }

    /// A request in the dialog as its caller sends it.
    fn of_caller(&self, method: &str, uri: &str, routes: &[String]) -> String {
        request(method, uri, routes, ("p1", "b"), "abc@peer")
    }

    fn of_callee(&self, method: &str, uri: &str, routes: &[String]) -> String {
        request(method, uri, routes, ("b", "p1"), "abc@peer")
    }

    /// What a request is taken for, and where it goes next.
    fn standing(&mut self, text: &str) -> (Standing, String) {
        let before = self.bench.messages.len();
        self.bench.feed(text);
        let next_hop = self.bench.messages.get(before).expect("it was handed up").1.clone();
        match self.bench.events.last() {
            Some(ProxyEvent::Request { standing, .. } | ProxyEvent::Stateless { standing, .. }) => {
                (*standing, next_hop)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn request(method: &str, uri: &str, routes: &[String], (from, to): (&str, &str), call_id: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let route = if routes.is_empty() { String::new() } else { format!("Route: {}\n", routes.join(", ")) };
    let to = if to.is_empty() { String::new() } else { format!(";tag={to}") };
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.7;branch=z9hG4bKs{number}\nMax-Forwards: 70\n{route}\
         From: <sip:x@example.org>;tag={from}\nTo: <sip:y@example.com>{to}\nCall-ID: {call_id}\nCSeq: 9 {method}\n\
         Contact: <sip:x@203.0.113.7>\nContent-Length: 0\n\n"
    )
}

const FROM_CALLER: Standing = Standing::InDialog { from: Side::Caller };
const FROM_CALLEE: Standing = Standing::InDialog { from: Side::Callee };

#[test]
fn both_sides_of_a_dialog_are_known_by_their_routes() {
    let mut dialog = Dialog::new();
    assert_ne!(dialog.caller_routes, dialog.callee_routes, "each side has its own");
    let (caller, callee) = (dialog.caller_routes.clone(), dialog.callee_routes.clone());
    for method in METHODS.into_iter().chain(["ACK"]) {
        let text = dialog.of_caller(method, CALLEE, &caller);
        assert_eq!(dialog.standing(&text), (FROM_CALLER, CALLEE.into()), "{method}");
        let text = dialog.of_callee(method, CALLER, &callee);
        assert_eq!(dialog.standing(&text), (FROM_CALLEE, CALLER.into()), "{method}");
    }
}

#[test]
fn nothing_but_the_dialogs_own_route_makes_a_request_one_of_it() {
    let other = {
        // A dialog of the same parties, with another Call-ID.
        let mut bench = Bench::new();
        bench.feed(&Peer { call_id: "other@peer", ..Peer::new() }.invite());
        let invite = bench.forward(&[(1, 0)]).remove(0).1;
        let ok = answer(&mut bench, &invite, 200, CALLEE, "").remove(0).1;
        record_routes(&ok)
    };
    let mut dialog = Dialog::new();
    let (caller, callee) = (dialog.caller_routes.clone(), dialog.callee_routes.clone());
    let plain = vec!["<sip:192.0.2.1:5060;lr>".to_owned()];
    let forged = vec![format!("<sip:192.0.2.1:5060;lr;rp={}>", "a".repeat(32))];
    let changed = vec![caller[0].replace("rp=", "rp=a").replacen("a>", ">", 1)];
    let elsewhere = "sip:victim@203.0.113.99".to_owned();
    let with_second = |routes: &[String]| [routes, &["<sip:203.0.113.99;lr>".to_owned()]].concat();
    for method in METHODS.into_iter().chain(["ACK"]) {
        let mut expect = |what: &str, text: String| {
            assert_eq!(dialog.standing(&text).0, Standing::Unproven, "{method}: {what}");
        };
        let from_caller = |uri: &str, routes: &[String]| request(method, uri, routes, ("p1", "b"), "abc@peer");
        expect("no Route", from_caller(CALLEE, &[]));
        expect("an unsigned Route", from_caller(CALLEE, &plain));
        expect("a forged proof", from_caller(CALLEE, &forged));
        expect("a changed proof", from_caller(CALLEE, &changed));
        expect("the Route of another Call-ID", from_caller(CALLEE, &other));
        expect("the other side's Route", from_caller(CALLEE, &callee));
        expect("another To tag", request(method, CALLEE, &caller, ("p1", "b2"), "abc@peer"));
        expect("another From tag", request(method, CALLEE, &caller, ("p2", "b"), "abc@peer"));
        expect("the tags turned around", request(method, CALLEE, &caller, ("b", "p1"), "abc@peer"));
        expect("another Call-ID", request(method, CALLEE, &caller, ("p1", "b"), "abc@peer2"));
        expect("a Request-URI elsewhere", from_caller(&elsewhere, &caller));
        expect("another port of the same host", from_caller("sip:bob@198.51.100.1:5090", &caller));
        expect("a second Route elsewhere", from_caller(CALLEE, &with_second(&caller)));
        expect(
            "a foreign Route first",
            from_caller(CALLEE, &[vec!["<sip:203.0.113.99;lr>".into()], caller.clone()].concat()),
        );
        expect("an unsigned Route of ours last", from_caller(&elsewhere, &[caller.clone(), plain.clone()].concat()));
        expect("the callee to elsewhere", request(method, &elsewhere, &callee, ("b", "p1"), "abc@peer"));
        expect("the callee with another To tag", request(method, CALLER, &callee, ("b", "p9"), "abc@peer"));
        expect("a strict router's", from_caller("sip:192.0.2.1:5060;lr", &[format!("<{elsewhere}>")]));
        if method != "ACK" {
            let new = |routes: &[String]| request(method, &elsewhere, routes, ("p1", ""), "abc@peer");
            assert_eq!(dialog.standing(&new(&caller)).0, Standing::New, "{method}: no To tag, whatever the Route");
            assert_eq!(dialog.standing(&new(&with_second(&caller))).0, Standing::Prerouted, "{method}");
        }
    }
}

#[test]
fn other_proxies_may_stand_before_and_behind_us() {
    let mut dialog =
        Dialog::through("Record-Route: <sip:edge.example;lr>\n", "Record-Route: <sip:core.example:5070;lr>\n");
    let (caller, callee) = (dialog.caller_routes.clone(), dialog.callee_routes.clone());
    assert_eq!((caller.len(), callee.len()), (3, 3));
    // The edge has taken its own value off, and so has the core.
    let text = dialog.of_caller("BYE", "sip:bob@10.0.0.1", &caller[1..]);
    assert_eq!(dialog.standing(&text), (FROM_CALLER, "sip:core.example:5070;lr".into()));
    let text = dialog.of_callee("BYE", "sip:peer@10.0.0.2", &callee[1..]);
    assert_eq!(dialog.standing(&text), (FROM_CALLEE, "sip:edge.example;lr".into()));
    let text = dialog.of_caller("BYE", CALLEE, &caller[1..2]);
    assert_eq!(dialog.standing(&text).0, Standing::Unproven, "the dialog goes by the core");
    // A strict router before us has put our value into the Request-URI.
    let uri = callee[1].trim_matches(['<', '>']);
    let routes = ["<sip:edge.example;lr>".to_owned(), format!("<{CALLER}>")];
    let text = dialog.of_callee("BYE", uri, &routes);
    assert_eq!(dialog.standing(&text), (FROM_CALLEE, "sip:edge.example;lr".into()));
}

#[test]
fn two_transports_have_two_values_and_both_are_checked() {
    let mut bench = Bench::new();
    let tcp = Flow { transport: Transport::Tcp, connection: 1, ..caller() };
    bench.feed_on(tcp, &Peer::new().invite().replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let callee = record_routes(&invite);
    let ok = answer(&mut bench, &invite, 200, CALLEE, "").remove(0).1;
    let caller: Vec<String> = record_routes(&ok).into_iter().rev().collect();
    let mut dialog = Dialog { bench, caller_routes: caller.clone(), callee_routes: callee.clone(), invite };
    assert_eq!((caller.len(), callee.len()), (2, 2));
    let text = dialog.of_caller("BYE", CALLEE, &caller);
    assert_eq!(dialog.standing(&text).0, FROM_CALLER);
    let text = dialog.of_callee("BYE", CALLER, &callee);
    assert_eq!(dialog.standing(&text).0, FROM_CALLEE);
    let mixed = [caller[0].clone(), callee[0].clone()];
    let text = dialog.of_caller("BYE", CALLEE, &mixed);
    assert_eq!(dialog.standing(&text).0, Standing::Unproven);
}

#[test]
fn each_branch_of_a_fork_and_each_early_dialog_has_its_own_route() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 0)]);
    let lines = |invite: &str, contact: &str| {
        let routes: String = record_routes(invite).iter().map(|value| format!("Record-Route: {value}\n")).collect();
        format!("{routes}Contact: <{contact}>\n")
    };
    let ringing = bench.answer_with(&sent[0].1, 183, "one", &lines(&sent[0].1, "sip:a@198.51.100.1")).remove(0).1;
    let other = bench.answer_with(&sent[1].1, 183, "two", &lines(&sent[1].1, "sip:b@198.51.100.2")).remove(0).1;
    let (first, second) = (record_routes(&ringing), record_routes(&other));
    let mut dialog = Dialog { bench, caller_routes: vec![], callee_routes: vec![], invite: String::new() };
    let prack = |routes: &[String], uri: &str, to: &str| request("PRACK", uri, routes, ("p1", to), "abc@peer");
    assert_eq!(dialog.standing(&prack(&first, "sip:a@198.51.100.1", "one")).0, FROM_CALLER);
    assert_eq!(dialog.standing(&prack(&second, "sip:b@198.51.100.2", "two")).0, FROM_CALLER);
    assert_eq!(dialog.standing(&prack(&first, "sip:b@198.51.100.2", "two")).0, Standing::Unproven);
    // The answer names another host than the ringing did, and the caller keeps the route of the ringing.
    let moved = lines(&sent[0].1, "sip:a@198.51.100.77");
    dialog.bench.answer_with(&sent[0].1, 200, "one", &moved);
    let ack = request("ACK", "sip:a@198.51.100.77", &first, ("p1", "one"), "abc@peer");
    assert_eq!(dialog.standing(&ack).0, FROM_CALLER);
}

#[test]
fn a_peer_that_moves_is_still_reached() {
    let mut dialog = Dialog::new();
    let (caller, callee) = (dialog.caller_routes.clone(), dialog.callee_routes.clone());
    let text = dialog.of_callee("BYE", "sip:x@203.0.113.7", &callee);
    assert_eq!(dialog.standing(&text).0, Standing::Unproven);
    // Its re-INVITE names the new place, and the callee's answer another one for itself.
    let text = dialog.of_caller("INVITE", CALLEE, &caller);
    assert_eq!(dialog.standing(&text).0, FROM_CALLER);
    let id = dialog.bench.request();
    dialog.bench.proxy.forward(dialog.bench.now, id, &[Target::unchanged(target(1))], &mut dialog.bench.out).unwrap();
    let reinvite = dialog.bench.drain().remove(0).1;
    dialog.bench.answer_with(&reinvite, 200, "b", "Contact: <sip:bob@198.51.100.55>\n");
    let text = dialog.of_callee("BYE", "sip:x@203.0.113.7", &callee);
    assert_eq!(dialog.standing(&text), (FROM_CALLEE, "sip:x@203.0.113.7".into()));
    let text = dialog.of_caller("BYE", "sip:bob@198.51.100.55", &caller);
    assert_eq!(dialog.standing(&text).0, FROM_CALLER);
    // Requests that are refused, and refusals of the callee, take neither side the place that was accepted.
    for number in 0..3 {
        let text = dialog.of_caller("INVITE", "sip:bob@198.51.100.55", &caller);
        dialog.standing(&text.replace("Contact: <sip:x@203.0.113.7>", &format!("Contact: <sip:x@203.0.113.{number}>")));
        let id = dialog.bench.request();
        let to = [Target::unchanged(target(1))];
        dialog.bench.proxy.forward(dialog.bench.now, id, &to, &mut dialog.bench.out).unwrap();
        let reinvite = dialog.bench.drain().remove(0).1;
        let contact = if number == 0 { "" } else { "Contact: <sip:bob@198.51.100.7>\n" };
        dialog.bench.answer_with(&reinvite, 488, "b", contact);
    }
    let text = dialog.of_callee("BYE", "sip:x@203.0.113.7", &callee);
    assert_eq!(dialog.standing(&text), (FROM_CALLEE, "sip:x@203.0.113.7".into()));
    let text = dialog.of_caller("BYE", "sip:bob@198.51.100.55", &caller);
    assert_eq!(dialog.standing(&text).0, FROM_CALLER);
    let text = dialog.of_caller("BYE", "sip:bob@198.51.100.7", &caller);
    assert_eq!(dialog.standing(&text).0, Standing::Unproven);
    // What another peer says about it counts for nothing.
    let mut dialog = Dialog::new();
    let text = dialog.of_caller("UPDATE", CALLEE, &[]);
    assert_eq!(dialog.standing(&text).0, Standing::Unproven);
    let text = dialog.of_callee("BYE", "sip:x@203.0.113.7", &dialog.callee_routes.clone());
    assert_eq!(dialog.standing(&text).0, Standing::Unproven);
}

#[test]
fn a_subscription_made_by_its_notification_has_routes_too() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().request("SUBSCRIBE", "SUBSCRIBE", "Event: presence\n", ""));
    let subscribe = bench.forward(&[(1, 0)]).remove(0).1;
    let notify = request("NOTIFY", CALLER, &record_routes(&subscribe), ("b", "p1"), "abc@peer");
    let mut dialog = Dialog { bench, caller_routes: vec![], callee_routes: vec![], invite: String::new() };
    assert_eq!(dialog.standing(&notify).0, FROM_CALLEE);
    let id = dialog.bench.request();
    dialog.bench.proxy.forward(dialog.bench.now, id, &[Target::unchanged(target(9))], &mut dialog.bench.out).unwrap();
    let notify = dialog.bench.drain().remove(0).1;
    let routes = record_routes(&notify);
    assert_eq!(routes.len(), 1, "{notify}");
    let text = request("SUBSCRIBE", "sip:x@203.0.113.7", &routes, ("p1", "b"), "abc@peer");
    assert_eq!(dialog.standing(&text).0, FROM_CALLER);
}

#[test]
fn routes_survive_a_restart_with_the_same_secret_and_no_other() {
    let dialog = Dialog::new();
    let text = dialog.of_caller("BYE", CALLEE, &dialog.caller_routes);
    let after = |secret: [u8; 32]| {
        let config = ProxyConfig { route_secret: secret, ..ProxyConfig::default() };
        let mut bench = Bench::with(config);
        bench.proxy = Proxy::new(ProxyConfig { route_secret: secret, ..ProxyConfig::default() }, 99);
        Dialog { bench, caller_routes: vec![], callee_routes: vec![], invite: String::new() }.standing(&text).0
    };
    assert_eq!(after([0; 32]), FROM_CALLER);
    assert_eq!(after([1; 32]), Standing::Unproven);
}

#[test]
fn a_response_cannot_get_routes_for_another_dialog() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let routes: String = record_routes(&invite).iter().map(|value| format!("Record-Route: {value}\n")).collect();
    let response = reply(&invite, 200, "b", &format!("{routes}Contact: <{CALLEE}>\n"), "");
    let vias: String = vias(&invite).iter().map(|via| format!("Via: {via}\n")).collect();
    let own = format!("Via: {}\n", header(&invite, "Via"));
    let lie = response.replacen(&own, &vias, 1).replace("tag=p1", "tag=other");
    assert!(bench.feed(&lie.replace("abc@peer", "other@peer")).is_empty(), "it belongs to no request of ours");
    let ok = bench.feed(&lie).remove(0).1;
    let mut dialog = Dialog { bench, caller_routes: vec![], callee_routes: vec![], invite };
    for call_id in ["abc@peer", "other@peer"] {
        let text = request("BYE", CALLEE, &record_routes(&ok), ("other", "b"), call_id);
        assert_eq!(dialog.standing(&text).0, Standing::Unproven);
    }
    assert!(!dialog.invite.is_empty());
}

#[test]
fn a_cancel_of_nothing_goes_nowhere() {
    let mut dialog = Dialog::new();
    let handed_up = dialog.bench.events.len();
    for uri in [CALLEE, "sip:victim@203.0.113.99", "sip:proxy.example.com", "sip:x@proxy.example.com"] {
        for routes in [vec![], dialog.caller_routes.clone(), vec!["<sip:203.0.113.99;lr>".to_owned()]] {
            let sent = dialog.bench.feed(&request("CANCEL", uri, &routes, ("p1", "b"), "abc@peer"));
            assert_eq!(sent.iter().map(|(_, message)| word(message)).collect::<Vec<_>>(), ["481"]);
            assert_eq!(sent[0].0, 9, "to where it came from");
        }
    }
    assert_eq!(dialog.bench.events.len(), handed_up);
}
