//! What a proxy with `[auth]` lets out, and what strangers may make it do: nothing leaves it that is not proven or part of
//! a dialog that it can verify.

use crate::PATIENCE;
use crate::media::Media;
use crate::roles::{Answer, Far, header, role, with_users};
use crate::switch::{Switch, config, level_in};
use config::{Config, Mode, Network};
use std::net::{SocketAddr, UdpSocket};

const METHODS: [&str; 11] =
    ["INVITE", "BYE", "UPDATE", "INFO", "NOTIFY", "PRACK", "MESSAGE", "REFER", "SUBSCRIBE", "OPTIONS", "PUBLISH"];

/// A peer that writes requests as it likes.
struct Peer {
    socket: UdpSocket,
    switch: SocketAddr,
    number: std::cell::Cell<u32>,
    heard: std::cell::RefCell<std::collections::HashSet<String>>,
}

/// A request to write.
#[derive(Clone, Copy)]
struct Ask<'a> {
    method: &'a str,
    uri: &'a str,
    from: &'a str,
    to_tag: &'a str,
    call: &'a str,
    cseq: u32,
    /// Header lines.
    more: &'a str,
}

impl Peer {
    fn new(switch: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, switch, number: std::cell::Cell::new(0), heard: Default::default() }
    }

    fn at(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn send(&self, ask: &Ask<'_>) {
        let Ask { method, uri, from, to_tag, call, cseq, more } = ask;
        self.number.set(self.number.get() + 1);
        let (us, number) = (self.at(), self.number.get());
        let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{number}\r\nFrom: {from};tag=a1\r\n\
             To: <sip:tone@example.com>{to_tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:alice@{us}>\r\nEvent: presence\r\nRAck: 1 1 INVITE\r\nRefer-To: <sip:x@example.com>\r\n\
             {more}Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(text.as_bytes(), self.switch).unwrap();
    }

    /// The next final response; copies of one that was heard are passed over, since nothing here sends an ACK for it.
    fn hear(&self) -> String {
        let mut buffer = [0; 8_192];
        loop {
            let bytes = self.socket.recv(&mut buffer).expect("an answer");
            let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
            let is_final = text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1");
            if is_final && self.heard.borrow_mut().insert(text.clone()) {
                return text;
            }
        }
    }

    fn ask(&self, ask: &Ask<'_>) -> String {
        self.send(ask);
        self.hear()
    }

    /// The same with credentials of alice.
    fn prove(&self, ask: &Ask<'_>, password: &str) {
        let challenge = self.ask(ask);
        let answer = Answer { algorithm: "MD5", password, qop: "auth", nc: "00000001", body: "" };
        let more = format!("{}{}", ask.more, answer.to(&challenge, ask.method, ask.uri));
        self.send(&Ask { cseq: ask.cseq + 1, more: &more, ..*ask });
    }
}

const ALICE: &str = "<sip:alice@example.com>";

fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 8_192];
    let heard = socket.recv(&mut buffer);
    socket.set_nonblocking(false).unwrap();
    match heard {
        Ok(bytes) => panic!("{}", String::from_utf8_lossy(&buffer[..bytes])),
        Err(_) => true,
    }
}

/// A call of alice's through the proxy that is up: the Route of each side, and the callee's tag.
fn call(peer: &Peer, far: &Far, call: &str) -> (String, String, String) {
    let uri = format!("sip:tone@{}", peer.switch);
    peer.prove(&Ask { method: "INVITE", uri: &uri, from: ALICE, to_tag: "", call, cseq: 1, more: "" }, "secret");
    let invite = far.hear("INVITE");
    far.answer(&invite, 200, "");
    let ok = peer.hear();
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
    let route = |message: &str| format!("Route: {}\r\n", header(message, "Record-Route"));
    let tag = header(&ok, "To").split("tag=").nth(1).unwrap().to_owned();
    let there = format!("sip:far@{}", far.at());
    peer.send(&Ask { method: "ACK", uri: &there, from: ALICE, to_tag: &tag, call, cseq: 2, more: &route(&ok) });
    far.hear("ACK");
    (route(&ok), route(&invite.0), tag)
}

#[test]
fn nothing_leaves_the_proxy_without_proof_and_dialogs_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (far, victim) = (Far::new(), Far::new());
    let mut config = with_users(role(folder.path(), Mode::Proxy, &[("*", vec![vec![far.uri()]])]));
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.sip.listen = vec![port];
    let again = config.clone();
    let switch = Switch::run(folder, config);
    let peer = Peer::new(switch.address);
    let (route, back, tag) = call(&peer, &far, "c1");
    let (other, ..) = call(&peer, &far, "c2");
    let (us, there, elsewhere) = (
        format!("sip:tone@{}", switch.address),
        format!("sip:far@{}", far.at()),
        format!("sip:anyone@{}", victim.at()),
    );
    let second = format!("{}, <sip:{};lr>\r\n", route.trim_end(), victim.at());
    let plain = format!("Route: <sip:{};lr>\r\n", switch.address);
    let forged = format!("Route: <sip:{};lr;rp={}>\r\n", switch.address, "a".repeat(32));
    let foreign = format!("Route: <sip:{};lr>\r\n", victim.at());
    let routes = ["", &plain, &forged, &other, &back, &foreign, &second];
    let strict = format!("sip:{};lr", switch.address);
    let mut asked = Vec::new();
    for routes in routes {
        for uri in [&us, &there, &elsewhere] {
            asked.extend([(uri.clone(), routes.to_owned(), "made-up"), (uri.clone(), routes.to_owned(), "")]);
            if routes.is_empty() || *uri == elsewhere {
                asked.push((uri.clone(), routes.to_owned(), &tag));
            }
        }
    }
    asked.push((elsewhere.clone(), route.clone(), &tag));
    asked.push((there.clone(), route.clone(), "made-up"));
    asked.push((strict.clone(), format!("Route: <{elsewhere}>\r\n"), &tag));
    // Where the dialog goes, but for the address that a request is really sent to (RFC 3261 §19.1.1, `maddr`).
    for maddr in ["127.0.0.66", "localhost", "[::1]"] {
        let redirected = format!("{there};maddr={maddr}");
        let behind = format!("{}, <{redirected};lr>\r\n", route.trim_end());
        asked.push((redirected.clone(), route.clone(), &tag));
        asked.push((there.clone(), behind, &tag));
        asked.push((strict.clone(), format!("Route: <{redirected}>\r\n"), &tag));
    }
    let stranger = Peer::new(switch.address);
    for method in METHODS {
        for (uri, more, to_tag) in &asked {
            let ask = Ask { method, uri, from: ALICE, to_tag, call: "c1", cseq: 9, more };
            let answer = stranger.ask(&ask);
            assert!(answer.starts_with("SIP/2.0 407"), "{method} {uri} {to_tag} {more}: {answer}");
        }
    }
    for (uri, more, to_tag) in &asked {
        stranger.send(&Ask { method: "ACK", uri, from: ALICE, to_tag, call: "c1", cseq: 2, more });
        let cancel = Ask { method: "CANCEL", uri, from: ALICE, to_tag, call: "c1", cseq: 2, more };
        assert!(stranger.ask(&cancel).starts_with("SIP/2.0 481"));
    }
    assert!(is_silent(&victim.0) && is_silent(&far.0));
    switch.ask_until("stats", |stats| level_in(stats, "sip_stray_packets") >= asked.len() as u64);
    // Who has proved itself is not let out elsewhere either.
    peer.prove(
        &Ask { method: "MESSAGE", uri: &there, from: ALICE, to_tag: "x", call: "m1", cseq: 1, more: "" },
        "secret",
    );
    assert!(peer.hear().starts_with("SIP/2.0 481"));
    peer.prove(
        &Ask { method: "MESSAGE", uri: &us, from: ALICE, to_tag: "", call: "m2", cseq: 1, more: &foreign },
        "secret",
    );
    assert!(peer.hear().starts_with("SIP/2.0 403"));

    // Signaling restarts: the dialog is still known by its routes, in both directions.
    let folder = tempfile::tempdir().unwrap();
    let kept = switch.folder.path().join("route-secret");
    std::fs::copy(kept, folder.path().join("route-secret")).unwrap();
    switch.end();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let mut config = again;
    config.process.runtime_dir = folder.path().to_owned();
    let switch = Switch::run(folder, config);
    peer.send(&Ask { method: "INFO", uri: &there, from: ALICE, to_tag: &tag, call: "c1", cseq: 10, more: &route });
    let info = far.hear("INFO");
    far.answer(&info, 200, "");
    assert!(peer.hear().starts_with("SIP/2.0 200"));
    let bye = format!(
        "BYE sip:alice@{} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKbye\r\n{back}From: <sip:tone@example.com>;tag={tag}\r\n\
         To: {ALICE};tag=a1\r\nCall-ID: c1\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        peer.at(),
        far.at()
    );
    far.0.send_to(bye.as_bytes(), switch.address).unwrap();
    let mut buffer = [0; 8_192];
    let bytes = peer.socket.recv(&mut buffer).expect("the BYE");
    assert!(buffer[..bytes].starts_with(b"BYE "));
    switch.end();
}

#[test]
fn users_are_who_they_say_and_wrong_passwords_wait() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let far = Far::new();
    let mut config = with_users(role(folder.path(), Mode::Proxy, &[("*", vec![vec![far.uri()]])]));
    let text = "[auth]\nrealms = { \"example.com\" = { alice = \"secret\" } }\n\
                identities = { \"example.com\" = { alice = [\"+493012\"] } }\nslow_down_after = 3\n";
    config.auth = Config::parse(text).unwrap().auth;
    let switch = Switch::run(folder, config);
    let peer = Peer::new(switch.address);
    let uri = format!("sip:tone@{}", switch.address);
    let calls = std::cell::Cell::new(0);
    let invite = |from: &str, more: &str| {
        calls.set(calls.get() + 1);
        let call = format!("i{}", calls.get());
        peer.prove(&Ask { method: "INVITE", uri: &uri, from, to_tag: "", call: &call, cseq: 1, more }, "secret");
    };
    for impostor in ["<sip:bob@example.com>", "\"alice\" <sip:alice@evil.example>", "<tel:+49301>"] {
        invite(impostor, "");
        assert!(peer.hear().starts_with("SIP/2.0 403"), "{impostor}");
    }
    let claims = "P-Asserted-Identity: <sip:boss@example.com>\r\nRemote-Party-ID: <sip:boss@example.com>\r\n\
                  P-Preferred-Identity: <sip:+493012@example.com>\r\n";
    let names = ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"];
    let asserted = |from: &str, more: &str, expected: &str| {
        invite(from, more);
        let request = far.hear("INVITE");
        assert_eq!(names.map(|name| header(&request.0, name)), [expected, "", ""], "{from} {more}");
        far.answer(&request, 486, "");
        far.hear("ACK");
        assert!(peer.hear().starts_with("SIP/2.0 486"));
    };
    asserted(ALICE, "", "<sip:alice@example.com>");
    asserted(
        "<sip:+493012@example.com>",
        "P-Asserted-Identity: <sip:boss@example.com>\r\n",
        "<sip:+493012@example.com>",
    );
    asserted(ALICE, claims, "<sip:+493012@example.com>");
    asserted("\"Anonymous\" <sip:anonymous@anonymous.invalid>", "Privacy: header;id\r\n", "");
    asserted("<sip:anonymous@anonymous.invalid>", claims, "<sip:+493012@example.com>");
    switch.counts([("refused_identity", 3)]);
    // A guesser waits; the same user from the next address does not (both are on this host, so that is for the units).
    for number in 0..4 {
        let call = format!("w{number}");
        let ask = Ask { method: "INVITE", uri: &uri, from: ALICE, to_tag: "", call: &call, cseq: 1, more: "" };
        peer.prove(&ask, if number < 3 { "guess" } else { "secret" });
        let answer = peer.hear();
        assert!(answer.starts_with("SIP/2.0 407") && !answer.contains("stale=true"), "{answer}");
    }
    switch.counts([("auth_failures", 4)]);
    assert!(is_silent(&far.0));
    switch.end();
}

#[test]
fn servers_without_that_dialog_refuse_what_says_to_belong_to_one() {
    for mode in [Mode::Redirect, Mode::Numbers, Mode::B2bua] {
        let folder = tempfile::tempdir().unwrap();
        let _media = Media::start(folder.path().join("media-control.sock"));
        let far = Far::new();
        let config = with_users(match mode {
            Mode::Numbers => config(folder.path()),
            mode => role(folder.path(), mode, &[("*", vec![vec![far.uri()]])]),
        });
        let switch = Switch::run(folder, config);
        let stranger = Peer::new(switch.address);
        let uri = format!("sip:tone@{}", switch.address);
        for method in METHODS {
            let ask = Ask { method, uri: &uri, from: ALICE, to_tag: "made-up", call: "c1", cseq: 1, more: "" };
            let answer = stranger.ask(&ask);
            // OPTIONS is answered in a dialog as outside of one (RFC 3261 §11.2), and an unknown method by its name.
            let is_refused =
                ["481", "405", "501"].iter().any(|status| answer.starts_with(&format!("SIP/2.0 {status}")));
            let is_asked = method == "REFER" && answer.starts_with("SIP/2.0 401");
            let is_ping = method == "OPTIONS" && mode != Mode::Redirect;
            assert!(is_refused || is_asked || is_ping, "{mode:?} {method}: {answer}");
        }
        for method in ["INVITE", "MESSAGE", "REFER", "SUBSCRIBE", "PUBLISH"] {
            let ask = Ask { method, uri: &uri, from: ALICE, to_tag: "", call: "c2", cseq: 1, more: "" };
            let answer = stranger.ask(&ask);
            assert!(answer.starts_with("SIP/2.0 401"), "{mode:?} {method}: {answer}");
        }
        assert!(is_silent(&far.0));
        switch.end();
    }
}

/// Without `[auth]` nobody is asked; all the same only the routes say where requests go.
#[test]
fn an_open_proxy_leads_by_its_routes_only() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (far, victim) = (Far::new(), Far::new());
    let config = role(folder.path(), Mode::Proxy, &[("tone", vec![vec![far.uri()]])]);
    let switch = Switch::run(folder, config);
    let peer = Peer::new(switch.address);
    let elsewhere = format!("sip:anyone@{}", victim.at());
    let foreign = format!("Route: <sip:{};lr>\r\n", victim.at());
    for method in METHODS {
        for (to_tag, more, expected) in
            [("", "", "404"), ("x", "", "481"), ("", &*foreign, "403"), ("x", &*foreign, "481")]
        {
            let ask = Ask { method, uri: &elsewhere, from: ALICE, to_tag, call: "c1", cseq: 1, more };
            let answer = peer.ask(&ask);
            assert!(answer.starts_with(&format!("SIP/2.0 {expected}")), "{method} {to_tag} {more}: {answer}");
        }
    }
    // Nobody has said that the word of this peer counts.
    let tone = format!("sip:tone@{}", switch.address);
    let asserted = "P-Asserted-Identity: <sip:boss@example.com>\r\n";
    peer.send(&Ask { method: "MESSAGE", uri: &tone, from: ALICE, to_tag: "", call: "p1", cseq: 1, more: asserted });
    let message = far.hear("MESSAGE");
    assert_eq!(header(&message.0, "P-Asserted-Identity"), "");
    far.answer(&message, 200, "");
    peer.hear();
    for more in ["", &foreign] {
        peer.send(&Ask { method: "ACK", uri: &elsewhere, from: ALICE, to_tag: "x", call: "c1", cseq: 1, more });
        let cancel = Ask { method: "CANCEL", uri: &elsewhere, from: ALICE, to_tag: "", call: "c1", cseq: 1, more };
        assert!(peer.ask(&cancel).starts_with("SIP/2.0 481"));
    }
    assert!(is_silent(&victim.0) && is_silent(&far.0));
    switch.end();
    // And here a peer has.
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let mut config = role(folder.path(), Mode::Proxy, &[("tone", vec![vec![far.uri()]])]);
    config.headers.trusted = Config::parse("[headers]\ntrusted = [\"127.0.0.1\"]\n").unwrap().headers.trusted;
    let switch = Switch::run(folder, config);
    let peer = Peer::new(switch.address);
    let tone = format!("sip:tone@{}", switch.address);
    peer.send(&Ask { method: "MESSAGE", uri: &tone, from: ALICE, to_tag: "", call: "p1", cseq: 1, more: asserted });
    let message = far.hear("MESSAGE");
    assert_eq!(header(&message.0, "P-Asserted-Identity"), "<sip:boss@example.com>");
    far.answer(&message, 200, "");
    peer.hear();
    switch.end();
}

/// `[limits]` counts the requests of a proxy that are no INVITE as well, and not those of trusted sources.
#[test]
fn a_stranger_has_so_many_messages_on_their_way_and_a_trusted_source_any_number() {
    for (trusted, served_count) in [(&[][..], 5), (&["127.0.0.0/8"][..], 20)] {
        let folder = tempfile::tempdir().unwrap();
        let far = Far::new();
        let mut config = role(folder.path(), Mode::Proxy, &[("*", vec![vec![far.uri()]])]);
        config.limits.unacknowledged_per_source = 5;
        config.limits.trusted_sources = trusted.iter().filter_map(|text| Network::parse(text)).collect();
        let switch = Switch::run(folder, config);
        let peer = Peer::new(switch.address);
        let uri = format!("sip:tone@{}", switch.address);
        for cseq in 1..=20 {
            peer.send(&Ask { method: "MESSAGE", uri: &uri, from: ALICE, to_tag: "", call: "c1", cseq, more: "" });
        }
        for _ in served_count..20 {
            let answer = peer.hear();
            assert!(answer.starts_with("SIP/2.0 503"), "{answer}");
        }
        for _ in 0..served_count {
            far.answer(&far.hear("MESSAGE"), 200, "");
            let answer = peer.hear();
            assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        }
        switch.end();
    }
}
