//! A proxy runs without a media process, and ends in order: what rings is called off, dialogs go on, nothing new begins.

use crate::line::Line;
use crate::phone::{Phone, SDP};
use crate::roles::{Far, header, role};
use crate::streams::address;
use crate::switch::Switch;
use config::Mode;
use std::time::Duration;
use transport::Transport;

/// A proxy for everybody to these targets, all at once.
fn proxy(fars: &[&Far]) -> Switch {
    let folder = tempfile::tempdir().unwrap();
    let targets = vec![fars.iter().map(|far| far.uri()).collect()];
    let config = role(folder.path(), Mode::Proxy, &[("*", targets)]);
    Switch::run(folder, config)
}

/// A phone that calls through a proxy for everybody to one target.
fn calling() -> (Far, Switch, Phone) {
    let far = Far::new();
    let switch = proxy(&[&far]);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    (far, switch, phone)
}

/// A request in the dialog that this answer made, as the called side sends it.
fn from_far(far: &Far, phone: &Phone, invite: &str, answer: &str, method: &str) -> String {
    let us = phone.socket.local_addr().unwrap();
    format!(
        "{method} sip:alice@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKfar{method}\r\nRoute: {}\r\nFrom: {}\r\n\
         To: <sip:alice@example.com>;tag=a1\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n",
        far.at(),
        header(invite, "Record-Route"),
        header(answer, "To"),
        header(answer, "Call-ID"),
    )
}

/// The ACK of a 2xx, by the route set that this made.
fn ack_of(phone: &Phone, answer: &str) -> String {
    let us = phone.socket.local_addr().unwrap();
    format!(
        "ACK {} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKofanswer\r\nRoute: {}\r\n\
         From: <sip:alice@example.com>;tag=a1\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n",
        header(answer, "Contact").trim_matches(|end| "<>".contains(end)),
        header(answer, "Record-Route"),
        header(answer, "To"),
        header(answer, "Call-ID"),
    )
}

fn call_off(far: &Far, invite: &(String, std::net::SocketAddr)) {
    let cancel = far.hear("CANCEL");
    assert!(header(&cancel.0, "Reason").contains("cause=503"), "{}", cancel.0);
    far.answer(&cancel, 200, "");
    far.answer(invite, 487, "");
    far.hear("ACK");
}

#[test]
fn what_rings_is_called_off_and_dialogs_go_on() {
    let fars = [Far::new(), Far::new()];
    let switch = proxy(&[&fars[0], &fars[1]]);
    let (talking, ringing) = (Phone::new(&switch), Phone::new(&switch));
    talking.send("INVITE", "c1", "", 1, SDP);
    let (taken, other) = (fars[0].hear("INVITE"), fars[1].hear("INVITE"));
    fars[1].answer(&other, 486, "");
    fars[0].answer(&taken, 200, "");
    let answer = talking.hear("SIP/2.0 200");
    ringing.send("INVITE", "c2", "", 1, SDP);
    let invites = [fars[0].hear("INVITE"), fars[1].hear("INVITE")];
    (0..2).for_each(|index| fars[index].answer(&invites[index], 180, ""));
    ringing.hear("SIP/2.0 180");
    // It counts, and is seen, as calls are elsewhere.
    let health = switch.ask_until("health", |health| health["calls"] == 1);
    assert_eq!((health["status"].as_str(), &health["media_process"]), (Some("ok"), &serde_json::Value::Null));
    let calls = switch.ask("calls");
    let row = |name: &str| calls[0][name].as_str().unwrap_or("").to_owned();
    assert_eq!((row("state"), row("call_id"), row("route")), ("ringing".into(), "c2".into(), "*".into()), "{calls}");
    switch.counts([("calls_answered", 1), ("calls_placed", 4), ("calls_active", 1), ("calls_refused", 0)]);
    switch.stop.request();
    switch.stop.request();
    let cancel = fars[0].hear("CANCEL");
    // Nothing new, over UDP or with other methods; what belongs to a dialog passes.
    let late = Phone::new(&switch);
    late.send("INVITE", "c3", "", 1, SDP);
    assert_eq!(header(&late.hear("SIP/2.0 503"), "Retry-After"), "5");
    late.send("OPTIONS", "o1", "", 1, "");
    late.hear("SIP/2.0 503");
    let bye = from_far(&fars[0], &talking, &taken.0, &answer, "BYE");
    fars[0].0.send_to(bye.as_bytes(), switch.address).unwrap();
    talking.hear_bye();
    fars[0].hear("SIP/2.0 200");
    switch.counts([("refused_stopping", 2)]);
    fars[0].answer(&cancel, 200, "");
    fars[0].answer(&invites[0], 487, "");
    fars[0].hear("ACK");
    call_off(&fars[1], &invites[1]);
    assert_eq!(header(&ringing.hear("SIP/2.0 503"), "Retry-After"), "5");
    switch.end();
}

#[test]
fn a_target_that_has_not_answered_is_cancelled_when_it_does_and_not_waited_for_without_end() {
    let fars = [Far::new(), Far::new()];
    let switch = proxy(&[&fars[0], &fars[1]]);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    let invites = [fars[0].hear("INVITE"), fars[1].hear("INVITE")];
    switch.stop.request();
    // RFC 3261 §9.1: no CANCEL before a provisional answer. One gives it now, the other one never.
    fars[0].answer(&invites[0], 180, "");
    call_off(&fars[0], &invites[0]);
    assert_eq!(header(&phone.hear("SIP/2.0 503"), "CSeq"), "1 INVITE");
    fars[1].0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut buffer = [0; 8_192];
    while let Ok(bytes) = fars[1].0.recv(&mut buffer) {
        assert!(!buffer[..bytes].starts_with(b"CANCEL"), "it has not answered");
    }
    switch.end();
}

#[test]
fn an_answer_that_crosses_the_end_reaches_its_caller() {
    let (far, switch, phone) = calling();
    let invite = far.hear("INVITE");
    far.answer(&invite, 180, "");
    phone.hear("SIP/2.0 180");
    switch.stop.request();
    let cancel = far.hear("CANCEL");
    far.answer(&invite, 200, "");
    far.answer(&cancel, 200, "");
    let answer = phone.hear("SIP/2.0 200");
    // The ACK goes this way, so the process stays for it.
    phone.socket.send_to(ack_of(&phone, &answer).as_bytes(), switch.address).unwrap();
    assert_eq!(header(&far.hear("ACK").0, "Call-ID"), "c1");
    switch.end();
}

#[test]
fn a_refusal_is_repeated_until_its_ack_comes() {
    let (far, switch, phone) = calling();
    let invite = far.hear("INVITE");
    far.answer(&invite, 180, "");
    switch.stop.request();
    call_off(&far, &invite);
    // As if the first one had been lost.
    let refusals = [phone.hear("SIP/2.0 503"), phone.hear("SIP/2.0 503")];
    assert_eq!(refusals[0], refusals[1]);
    switch.end();
}

#[test]
fn the_end_at_once_answers_what_is_open() {
    let (far, switch, phone) = calling();
    far.hear("INVITE");
    switch.stop.request();
    switch.stop.request_at_once();
    phone.hear("SIP/2.0 503");
    switch.end();
}

#[test]
fn a_call_over_a_connection_is_called_off_as_well() {
    let far = Far::new();
    let switch = proxy(&[&far]);
    let mut line = Line::open(Transport::Tcp, address(&switch, Transport::Tcp), None);
    line.send(&line.request("INVITE", "c1", "", 1, SDP));
    let invite = far.hear("INVITE");
    far.answer(&invite, 183, "");
    line.hear("SIP/2.0 183");
    switch.stop.request();
    call_off(&far, &invite);
    assert_eq!(header(&line.hear("SIP/2.0 503"), "Retry-After"), "5");
    switch.end();
}

#[test]
fn a_call_of_the_last_moment_is_refused_or_called_off() {
    let (_far, switch, phone) = calling();
    switch.stop.request();
    phone.hear("SIP/2.0 503");
    switch.end();
}

#[test]
fn a_redirect_server_needs_no_media_process_either() {
    let folder = tempfile::tempdir().unwrap();
    let config = role(folder.path(), Mode::Redirect, &[("*", vec![vec!["sip:a@192.0.2.1".into()]])]);
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    phone.hear("SIP/2.0 302");
    assert_eq!(switch.ask("health")["status"], "ok");
    switch.counts([("forwarded", 1), ("calls_refused", 0)]);
    switch.end();
}

/// The next message about this call that starts so.
fn hear_of(phone: &Phone, call: &str, start: &str) -> String {
    loop {
        let message = phone.hear(start);
        if header(&message, "Call-ID") == call {
            return message;
        }
    }
}

#[test]
fn an_operator_ends_what_is_being_set_up_and_hears_why_nothing_else_can_be_ended() {
    let far = Far::new();
    let switch = proxy(&[&far]);
    let phone = Phone::new(&switch);
    let us = phone.socket.local_addr().unwrap();
    let invited = |call: &str| {
        phone.send("INVITE", call, "", 1, SDP);
        loop {
            let invite = far.hear("INVITE");
            if header(&invite.0, "Call-ID") == call {
                return invite;
            }
        }
    };
    for (number, name) in ["id", "call", "call_id", "peer", "all"].into_iter().enumerate() {
        let call = format!("h{number}");
        let invite = invited(&call);
        far.answer(&invite, 180, "");
        hear_of(&phone, &call, "SIP/2.0 180");
        let calls = switch.ask_until("calls", |calls| calls[0]["state"] == "ringing" && calls[0]["call_id"] == call);
        let which = match name {
            "peer" => format!("peer {us}"),
            "all" => "all".to_owned(),
            _ => format!("call {}", calls[0][name].as_str().unwrap()),
        };
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| switch.ask(&format!("hangup {which}")));
            let cancel = far.hear("CANCEL");
            assert!(header(&cancel.0, "Reason").contains("cause=480"), "{}", cancel.0);
            far.answer(&cancel, 200, "");
            far.answer(&invite, 487, "");
            hear_of(&phone, &call, "SIP/2.0 480");
            asked.join().unwrap()
        });
        let row = |name: &str| answer[0][name].as_str().unwrap_or("").to_owned();
        assert_eq!(row("done"), "targets cancelled, refused with 480", "{answer}");
        assert_eq!((&answer[0]["is_over"], row("from")), (&true.into(), "sip:alice@example.com".into()), "{answer}");
    }
    // A call that is up has no end here that a proxy could send without forging it.
    let invite = invited("up");
    far.answer(&invite, 200, "");
    let answer = hear_of(&phone, "up", "SIP/2.0 200");
    phone.socket.send_to(ack_of(&phone, &answer).as_bytes(), switch.address).unwrap();
    let refusal = |which: &str| switch.ask(&format!("hangup {which}"))["error"].as_str().unwrap_or("").to_owned();
    for (which, what) in
        [("call up", "the call has been answered"), ("call nobody", "no such call is being set up here")]
    {
        let refusal = refusal(which);
        assert!(refusal.starts_with(what) && refusal.contains("BYE of one of its two ends"), "{which}: {refusal}");
    }
    assert!(refusal("everybody").contains("hangup all"));
    switch.end();
}
