//! Two transaction users on one socket: a back-to-back user agent that sends subscriptions and messages on as a proxy.

use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::roles::{Answer, Far, header, role, with_users};
use crate::switch::Switch;
use config::Mode;

fn switch(far: &Far, shards: usize, has_users: bool) -> (Media, Switch) {
    let folder = tempfile::tempdir().unwrap();
    let media = Media::start(folder.path().join("media-control.sock"));
    let mut config = role(folder.path(), Mode::B2bua, &[("*", vec![vec![far.uri()]])]);
    config.sip.proxy.methods = vec!["SUBSCRIBE".into(), "MESSAGE".into()];
    config.sip.shards = shards;
    let config = if has_users { with_users(config) } else { config };
    (media, Switch::run(folder, config))
}

fn within(method: &str, phone: &Phone, call: &str, to: &str, route: &str, uri: &str) -> String {
    let us = phone.socket.local_addr().unwrap();
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKw{method}{call}\r\nRoute: {route}\r\n\
         From: <sip:alice@example.com>;tag=a1\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: 7 {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:alice@{us}>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn calls_end_here_and_subscriptions_pass_with_their_dialogs() {
    for shards in [1, 3] {
        let far = Far::new();
        let (_media, switch) = switch(&far, shards, false);
        let phone = Phone::new(&switch);
        // A call has another dialog on each side.
        phone.send("INVITE", "c1", "", 1, SDP);
        let invite = far.hear("INVITE");
        assert_ne!(header(&invite.0, "Call-ID"), "c1");
        // A subscription has one from end to end, in which the switch stays.
        for number in 0..6 {
            let call = format!("s{number}");
            phone.send("SUBSCRIBE", &call, "", 1, "");
            let subscribe = far.hear("SUBSCRIBE");
            assert_eq!(header(&subscribe.0, "Call-ID"), call);
            assert!(subscribe.0.starts_with(&format!("SUBSCRIBE sip:tone@{} SIP/2.0", far.at())), "{}", subscribe.0);
            let record_route = format!("Record-Route: {}\r\n", header(&subscribe.0, "Record-Route"));
            assert!(record_route.contains(&switch.address.to_string()), "{}", subscribe.0);
            far.answer(&subscribe, 200, "Expires: 60\r\n");
            let answer = phone.hear("SIP/2.0 200");
            assert_eq!(header(&answer, "Call-ID"), call);
            let us = phone.socket.local_addr().unwrap();
            let notify = format!(
                "NOTIFY sip:alice@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKn{number}\r\nRoute: {}\r\nFrom: {}\r\n\
                 To: <sip:alice@example.com>;tag=a1\r\nCall-ID: {call}\r\nCSeq: 1 NOTIFY\r\nMax-Forwards: 70\r\n\
                 Event: presence\r\nSubscription-State: active\r\nContent-Length: 0\r\n\r\n",
                far.at(),
                header(&subscribe.0, "Record-Route"),
                header(&answer, "To"),
            );
            far.0.send_to(notify.as_bytes(), switch.address).unwrap();
            phone.hear_and_answer("NOTIFY ");
            far.hear("SIP/2.0 200");
            // The subscriber refreshes by the route that the answer gave.
            let (to, route) = (header(&answer, "To"), header(&answer, "Record-Route"));
            let refresh = within("SUBSCRIBE", &phone, &call, to, route, &format!("sip:far@{}", far.at()));
            phone.socket.send_to(refresh.as_bytes(), phone.switch).unwrap();
            let refresh = far.hear("SUBSCRIBE");
            far.answer(&refresh, 200, "Expires: 60\r\n");
            phone.hear("SIP/2.0 200");
        }
        // Without the proxy's Route such a request belongs to no dialog that is known here.
        let lost = within(
            "SUBSCRIBE",
            &phone,
            "lost",
            "<sip:far@example.com>;tag=x",
            "<sip:192.0.2.1;lr>",
            "sip:far@192.0.2.2",
        );
        phone.socket.send_to(lost.as_bytes(), phone.switch).unwrap();
        phone.hear("SIP/2.0 481");
        // The call has gone on beside all that.
        far.answer(&invite, 486, "");
        assert_eq!(header(&phone.hear("SIP/2.0 486"), "Call-ID"), "c1");
        phone.send("OPTIONS", "o1", "", 1, "");
        phone.hear("SIP/2.0 200");
        // Both legs of the call are refused.
        switch.counts([("forwarded", 6), ("calls_refused", 2)]);
        switch.ask_until("health", |health| health["calls"] == 0);
        switch.end();
    }
}

#[test]
fn each_user_asks_for_credentials_in_its_own_place() {
    let far = Far::new();
    let (_media, switch) = switch(&far, 1, true);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    phone.hear("SIP/2.0 401");
    phone.send("MESSAGE", "m1", "", 1, "");
    let challenge = phone.hear("SIP/2.0 407");
    let uri = format!("sip:tone@{}", phone.switch);
    let answer = Answer { algorithm: "SHA-256", password: "secret", qop: "auth", nc: "00000001", body: "" };
    let credentials = answer.to(&challenge, "MESSAGE", &uri);
    let us = phone.socket.local_addr().unwrap();
    let message = format!(
        "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKagain\r\nFrom: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:tone@example.com>\r\nCall-ID: m1\r\nCSeq: 2 MESSAGE\r\nMax-Forwards: 70\r\n\
         {credentials}Content-Length: 0\r\n\r\n"
    );
    phone.socket.send_to(message.as_bytes(), phone.switch).unwrap();
    let passed = far.hear("MESSAGE");
    far.answer(&passed, 202, "");
    phone.hear("SIP/2.0 202");
    switch.end();
}
