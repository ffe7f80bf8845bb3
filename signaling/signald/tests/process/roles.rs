//! The proxy, the redirect server, and who may use them.

use crate::PATIENCE;
use crate::line::Line;
use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::streams::{address, everywhere};
use crate::switch::{Switch, config, level_in};
use config::{Config, Mode, Route};
use std::net::{SocketAddr, UdpSocket};
use transport::Transport;

/// A target behind the switch.
pub(crate) struct Far(pub(crate) UdpSocket);

impl Far {
    pub(crate) fn new() -> Self {
        Self::at_address("127.0.0.1:0")
    }

    pub(crate) fn at_address(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn uri(&self) -> String {
        format!("sip:{}", self.at())
    }

    /// The next request of this method, and where it came from; copies of others are passed over.
    pub(crate) fn hear(&self, method: &str) -> (String, SocketAddr) {
        let mut buffer = [0; 8_192];
        loop {
            let (bytes, from) = self.0.recv_from(&mut buffer).unwrap_or_else(|_| panic!("no {method}"));
            let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
            if text.starts_with(method) {
                return (text, from);
            }
        }
    }

    pub(crate) fn answer(&self, (request, from): &(String, SocketAddr), status: u16, more: &str) {
        let keep = ["Via:", "Record-Route:", "From:", "Call-ID:", "CSeq:"];
        let mut lines: Vec<String> =
            request.lines().filter(|line| keep.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect();
        let to = request.lines().find(|line| line.starts_with("To:")).unwrap();
        let tag = if to.contains(";tag=") { String::new() } else { format!(";tag=far{}", self.at().port()) };
        lines.push(format!("{to}{tag}"));
        let head = lines.join("\r\n");
        let us = self.at();
        let text =
            format!("SIP/2.0 {status} x\r\n{head}\r\nContact: <sip:far@{us}>\r\n{more}Content-Length: 0\r\n\r\n");
        self.0.send_to(text.as_bytes(), from).unwrap();
    }
}

pub(crate) fn role(folder: &std::path::Path, mode: Mode, routes: &[(&str, Vec<Vec<String>>)]) -> Config {
    let mut config = config(folder);
    config.sip.mode = mode;
    config.sip.routes =
        routes.iter().map(|(name, targets)| Route { pattern: (*name).into(), targets: targets.clone() }).collect();
    config
}

pub(crate) fn header<'m>(message: &'m str, name: &str) -> &'m str {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
}

/// Nothing is remembered but what absorbs copies.
fn no_branch_left(switch: &Switch) {
    switch.ask_until("stats", |stats| {
        stats.as_array().unwrap().iter().filter(|row| row["name"] == "branches_open").all(|row| row["value"] == 0)
    });
}

#[test]
fn a_call_is_forked_answered_held_in_the_path_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let fars = [Far::new(), Far::new(), Far::new()];
    let targets = vec![vec![fars[0].uri()], vec![fars[1].uri(), fars[2].uri()]];
    let mut config = role(folder.path(), Mode::Proxy, &[("tone", targets)]);
    config.sip.t1 = std::time::Duration::from_millis(100);
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    // One after the other, then both at once; the switch puts the called user in.
    let first = fars[0].hear("INVITE");
    assert!(first.0.starts_with(&format!("INVITE sip:tone@{} SIP/2.0\r\n", fars[0].at())), "{}", first.0);
    assert_eq!(header(&first.0, "Max-Forwards"), "69");
    fars[0].answer(&first, 404, "");
    let (second, third) = (fars[1].hear("INVITE"), fars[2].hear("INVITE"));
    fars[1].answer(&second, 180, "");
    fars[2].answer(&third, 180, "");
    phone.hear("SIP/2.0 180");
    phone.hear("SIP/2.0 180");
    fars[1].answer(&second, 200, "");
    let answer = phone.hear("SIP/2.0 200");
    let cancel = fars[2].hear("CANCEL");
    fars[2].answer(&cancel, 200, "");
    fars[2].answer(&third, 487, "");
    fars[2].hear("ACK");
    // Inside the dialog both sides come by the switch, each by the route that it was given.
    let route = header(&answer, "Record-Route").to_owned();
    let back = header(&second.0, "Record-Route").to_owned();
    assert!(route.contains(&switch.address.to_string()), "{answer}");
    let (to, us) = (header(&answer, "To").to_owned(), phone.socket.local_addr().unwrap());
    let within = |method: &str, cseq: u32| {
        format!(
            "{method} sip:far@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKw{method}{cseq}\r\nRoute: {route}\r\n\
             From: <sip:alice@example.com>;tag=a1\r\nTo: {to}\r\nCall-ID: c1\r\nCSeq: {cseq} {method}\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            fars[1].at()
        )
    };
    phone.socket.send_to(within("ACK", 1).as_bytes(), phone.switch).unwrap();
    assert!(!fars[1].hear("ACK").0.contains("\r\nRoute:"));
    let bye = format!(
        "BYE sip:alice@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKfar\r\nRoute: {back}\r\nFrom: {to}\r\n\
         To: <sip:alice@example.com>;tag=a1\r\nCall-ID: c1\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n",
        fars[1].at()
    );
    fars[1].0.send_to(bye.as_bytes(), switch.address).unwrap();
    phone.hear_bye();
    fars[1].hear("SIP/2.0 200");
    switch.ask_until("stats", |stats| level_in(stats, "forwarded") >= 1);
    no_branch_left(&switch);
    switch.end();
}

#[test]
fn a_caller_that_gives_up_cancels_every_branch() {
    let folder = tempfile::tempdir().unwrap();
    let fars = [Far::new(), Far::new()];
    let config = role(folder.path(), Mode::Proxy, &[("*", vec![vec![fars[0].uri(), fars[1].uri()]])]);
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    let invites = [fars[0].hear("INVITE"), fars[1].hear("INVITE")];
    (0..2).for_each(|index| fars[index].answer(&invites[index], 180, ""));
    phone.hear("SIP/2.0 180");
    // The same branch as the INVITE: our phone names its branches by method, so the CANCEL is written by hand.
    let us = phone.socket.local_addr().unwrap();
    let cancel = format!(
        "CANCEL sip:tone@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKc11INVITE\r\nFrom: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:tone@example.com>\r\nCall-ID: c1\r\nCSeq: 1 CANCEL\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        phone.switch
    );
    phone.socket.send_to(cancel.as_bytes(), phone.switch).unwrap();
    for (far, invite) in fars.iter().zip(&invites) {
        let cancel = far.hear("CANCEL");
        far.answer(&cancel, 200, "");
        far.answer(invite, 487, "");
        far.hear("ACK");
    }
    phone.hear("SIP/2.0 487");
    switch.end();
}

#[test]
fn redirections_are_followed_or_handed_on() {
    // Places on this host are reached only where that is allowed, also by a name.
    for (follow, allow_local) in [(0, true), (2, true), (2, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (moved, there) = (Far::new(), Far::new());
        let mut config = role(folder.path(), Mode::Proxy, &[("*", vec![vec![moved.uri()]])]);
        config.sip.proxy.follow_redirects = follow;
        config.transfer.allow_local = allow_local;
        let switch = Switch::run(folder, config);
        let phone = Phone::new(&switch);
        phone.send("INVITE", "c1", "", 1, SDP);
        let invite = moved.hear("INVITE");
        // A name that takes a look at /etc/hosts, so that the answer comes from the thread that looks up.
        let contact = format!("Contact: <sip:elsewhere@localhost:{}>;q=0.9\r\n", there.at().port());
        moved.answer(&invite, 302, &contact);
        if follow == 0 || !allow_local {
            assert!(phone.hear("SIP/2.0 302").contains("elsewhere@localhost"));
        } else {
            let invite = there.hear("INVITE");
            assert!(invite.0.starts_with("INVITE sip:elsewhere@localhost:"), "{}", invite.0);
            there.answer(&invite, 486, "");
            // 302 named the first place as well, which was tried: the 486 is the answer.
            phone.hear("SIP/2.0 486");
        }
        switch.end();
    }
}

/// A telephone number has no host: the routes say where it goes, whatever its URI (RFC 3261 §19.1.6).
#[test]
fn telephone_numbers_go_by_the_routes() {
    let invite = |phone: &Phone, call: &str, uri: &str| {
        let us = phone.socket.local_addr().unwrap();
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{call}\r\nFrom: <tel:+49-89-1>;tag=a1\r\n\
             To: <{uri}>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:alice@{us}>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        phone.socket.send_to(text.as_bytes(), phone.switch).unwrap();
    };
    for mode in [Mode::Proxy, Mode::Redirect] {
        let folder = tempfile::tempdir().unwrap();
        let (far, other) = (Far::new(), Far::new());
        let routes = [("+49-30*", vec![vec![far.uri()]]), ("+4940*", vec![vec![other.uri()]])];
        let mut config = role(folder.path(), mode, &routes);
        config.sip.proxy.follow_redirects = 1;
        config.transfer.allow_local = true;
        let switch = Switch::run(folder, config);
        let phone = Phone::new(&switch);
        let there = format!("sip:+493012@{};user=phone", far.at());
        for (number, uri) in
            ["tel:+49-30-12", "tel:+49(30)12", "sip:+49.30.12@example.com;user=phone"].iter().enumerate()
        {
            invite(&phone, &format!("c{number}"), uri);
            if mode == Mode::Redirect {
                assert!(phone.hear("SIP/2.0 302").contains(&format!("Contact: <{there}>")), "{uri}");
                continue;
            }
            let heard = far.hear("INVITE");
            assert!(heard.0.starts_with(&format!("INVITE {there} SIP/2.0\r\n")), "{uri}: {}", heard.0);
            assert_eq!(
                (header(&heard.0, "From"), header(&heard.0, "To")),
                ("<tel:+49-89-1>;tag=a1", &*format!("<{uri}>"))
            );
            // It says that the number has moved: that one is found by the routes as well.
            far.answer(&heard, 302, "Contact: <tel:+49-40-7>\r\n");
            far.answer(&far.hear("INVITE sip:far@"), 486, ""); // its own Contact comes first
            let moved = other.hear("INVITE");
            assert!(
                moved.0.starts_with(&format!("INVITE sip:+49407@{};user=phone SIP/2.0\r\n", other.at())),
                "{}",
                moved.0
            );
            other.answer(&moved, 486, "");
            phone.hear("SIP/2.0 486");
        }
        invite(&phone, "d1", "tel:+1-2");
        phone.hear("SIP/2.0 404");
        invite(&phone, "d2", "tel:+1-2x");
        phone.hear("SIP/2.0 400");
        switch.end();
    }
}

#[test]
fn a_dead_path_is_passed_over_and_strangers_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let far = Far::new();
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let targets = vec![vec![format!("sip:{dead}")], vec![far.uri()]];
    let mut config = role(folder.path(), Mode::Proxy, &[("tone", targets)]);
    config.sip.domains = vec!["switch.example.com".into()];
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    // ICMP says that nobody is there.
    let invite = far.hear("INVITE");
    far.answer(&invite, 603, "");
    phone.hear("SIP/2.0 603");
    let us = phone.socket.local_addr().unwrap();
    let mut number = 0;
    let mut ask = |uri: &str, more: &str, expected: &str| {
        number += 1;
        let text = format!(
            "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKn{number}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: n{number}\r\nCSeq: 1 OPTIONS\r\n{more}Content-Length: 0\r\n\r\n"
        );
        phone.socket.send_to(text.as_bytes(), phone.switch).unwrap();
        phone.hear(expected)
    };
    ask("sip:nobody@example.org", "", "SIP/2.0 404");
    assert!(ask("sip:switch.example.com", "", "SIP/2.0 200").contains("Accept: application/sdp"));
    assert!(ask(&format!("sip:{}", switch.address), "", "SIP/2.0 200").contains("CSeq: 1 OPTIONS"));
    let elsewhere = format!("Route: <sip:{};lr>\r\n", far.at());
    ask("sip:tone@example.org", &elsewhere, "SIP/2.0 403");
    ask("sip:tone@example.org", "Max-Forwards: 0\r\n", "SIP/2.0 483");
    switch.end();
}

#[test]
fn a_loop_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    // A port that the switch will have, so that a route can lead back to it.
    let own = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = role(folder.path(), Mode::Proxy, &[("*", vec![vec![format!("sip:{own}")]])]);
    config.sip.listen = vec![own];
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    phone.hear("SIP/2.0 482");
    switch.end();
}

#[test]
fn callers_are_sent_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let targets = vec![vec!["sip:a@h1".to_owned(), "sip:h2".to_owned()], vec!["sips:c@h3".to_owned()]];
    let (config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    let config = Config {
        sip: config::Sip {
            mode: Mode::Redirect,
            routes: vec![Route { pattern: "tone".into(), targets }],
            ..config.sip
        },
        ..config
    };
    let client = authority.client(None);
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    let moved = phone.hear("SIP/2.0 302");
    for contact in ["<sip:a@h1>;q=1.0", "<sip:tone@h2>;q=1.0", "<sips:c@h3>;q=0.9"] {
        assert!(moved.contains(&format!("Contact: {contact}\r\n")), "{moved}");
    }
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut line = Line::open(transport, address(&switch, transport), Some((&client, "one.example.com")));
        line.send(&line.request("INVITE", "c2", "", 1, SDP));
        line.hear("SIP/2.0 302");
        line.send(&line.request("OPTIONS", "o2", "", 1, "").replace("sip:tone@127.0.0.1 ", "sip:other@127.0.0.1 "));
        line.hear("SIP/2.0 404");
    }
    switch.end();
}

/// The hash of a text by OpenSSL, which knows nothing of us.
fn hash(algorithm: &str, text: &str) -> String {
    let name = format!("-{}", algorithm.to_lowercase().replace("sha-256", "sha256").replace("sha-512", "sha512"));
    let mut openssl = std::process::Command::new("openssl")
        .args(["dgst", "-r", &name])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    std::io::Write::write_all(&mut openssl.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}

/// A phone's answer to a challenge.
pub(crate) struct Answer<'a> {
    pub(crate) algorithm: &'a str,
    pub(crate) password: &'a str,
    pub(crate) qop: &'a str,
    pub(crate) nc: &'a str,
    pub(crate) body: &'a str,
}

impl Answer<'_> {
    pub(crate) fn to(&self, challenge: &str, method: &str, uri: &str) -> String {
        let (header, field) = match challenge.contains("\r\nProxy-Authenticate: ") {
            true => ("Proxy-Authenticate: ", "Proxy-Authorization"),
            false => ("WWW-Authenticate: ", "Authorization"),
        };
        let Self { algorithm, password, qop, nc, body } = self;
        let wanted = format!("algorithm={algorithm},");
        let mut values = challenge.lines().filter_map(|line| line.strip_prefix(header));
        let value = values.find(|value| value.contains(&wanted)).unwrap_or_else(|| panic!("{wanted} {challenge}"));
        let quoted = |name: &str| value.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        let (realm, nonce) = (quoted("realm"), quoted("nonce"));
        let who = hash(algorithm, &format!("alice:{realm}:{password}"));
        let what = match *qop {
            "auth-int" => format!("{method}:{uri}:{}", hash(algorithm, body)),
            _ => format!("{method}:{uri}"),
        };
        let response = hash(algorithm, &format!("{who}:{nonce}:{nc}:c:{qop}:{}", hash(algorithm, &what)));
        format!(
            "{field}: Digest username=\"alice\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={algorithm}, cnonce=\"c\", qop={qop}, nc={nc}\r\n"
        )
    }
}

/// `alice` with the password `secret`, and the same for the proxy's far side.
pub(crate) fn with_users(mut config: Config) -> Config {
    let text = "[auth]\nrealms = { \"example.com\" = { alice = \"secret\" } }\nqop = [\"auth\", \"auth-int\"]\n\
                algorithms = [\"SHA-512-256\", \"SHA-256\", \"MD5\"]\nnonce_life_s = 10\n";
    config.auth = Config::parse(text).unwrap().auth;
    config
}

/// An INVITE with further lines, on a call and CSeq of its own.
fn invite_with(line: &Line, call: &str, cseq: u32, more: &str) -> String {
    line.request("INVITE", call, "", cseq, SDP).replacen("Contact:", &format!("{more}Contact:"), 1)
}

#[test]
fn callers_prove_who_they_are_on_every_transport_and_by_every_algorithm() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    let client = authority.client(None);
    let switch = Switch::with(folder, with_users(config));
    let uri = "sip:tone@127.0.0.1";
    let ways = [
        (Transport::Tcp, "MD5", "auth"),
        (Transport::Tls, "SHA-256", "auth"),
        (Transport::Ws, "SHA-512-256", "auth-int"),
        (Transport::Wss, "MD5", "auth-int"),
    ];
    for (transport, algorithm, qop) in ways {
        let mut line = Line::open(transport, address(&switch, transport), Some((&client, "one.example.com")));
        let call = format!("c{}", transport.via_name());
        line.options(&format!("o{call}"));
        line.send(&invite_with(&line, &call, 1, ""));
        let challenge = line.hear("SIP/2.0 401");
        assert_eq!(challenge.matches("WWW-Authenticate: ").count(), 3, "{challenge}");
        let right = Answer { algorithm, password: "secret", qop, nc: "00000001", body: SDP };
        // A wrong password, and the right one for another body where the body counts.
        line.send(&invite_with(&line, &call, 2, &Answer { password: "guess", ..right }.to(&challenge, "INVITE", uri)));
        assert!(!line.hear("SIP/2.0 401").contains("stale=true"));
        if qop == "auth-int" {
            let other = Answer { body: "v=0\r\n", ..right }.to(&challenge, "INVITE", uri);
            line.send(&invite_with(&line, &call, 3, &other));
            line.hear("SIP/2.0 401");
        }
        let good = right.to(&challenge, "INVITE", uri);
        line.send(&invite_with(&line, &call, 4, &good));
        let answer = line.hear("SIP/2.0 200");
        let tag = format!(";tag={}", header(&answer, "To").split("tag=").nth(1).unwrap());
        line.send(&line.request("ACK", &call, &tag, 4, ""));
        line.send(&line.request("BYE", &call, &tag, 5, ""));
        line.hear("SIP/2.0 200");
        // The same count of the same nonce: it was overheard.
        let replay = format!("r{call}");
        line.send(&invite_with(&line, &replay, 1, &good));
        assert!(line.hear("SIP/2.0 401").contains("stale=true"));
        let next = Answer { nc: "00000002", ..right }.to(&challenge, "INVITE", uri);
        line.send(&invite_with(&line, &replay, 2, &next));
        let answer = line.hear("SIP/2.0 200");
        let tag = format!(";tag={}", header(&answer, "To").split("tag=").nth(1).unwrap());
        line.send(&line.request("ACK", &replay, &tag, 2, ""));
        line.send(&line.request("BYE", &replay, &tag, 3, ""));
        line.hear("SIP/2.0 200");
    }
    switch.ask_until("stats", |stats| level_in(stats, "challenges") >= 4);
    switch.end();
}

#[test]
fn the_proxy_asks_with_407_and_keeps_the_answer_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let far = Far::new();
    let config = with_users(role(folder.path(), Mode::Proxy, &[("*", vec![vec![far.uri()]])]));
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    let (us, uri) = (phone.socket.local_addr().unwrap(), format!("sip:tone@{}", phone.switch));
    phone.send("INVITE", "c1", "", 1, SDP);
    let challenge = phone.hear("SIP/2.0 407");
    phone.send("ACK", "c1", &format!(";tag={}", header(&challenge, "To").split("tag=").nth(1).unwrap()), 1, "");
    let answer = Answer { algorithm: "SHA-256", password: "secret", qop: "auth", nc: "00000001", body: "" };
    let credentials = answer.to(&challenge, "INVITE", &uri);
    let invite = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKagain\r\nFrom: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:tone@example.com>\r\nCall-ID: c1\r\nCSeq: 2 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:alice@{us}>\r\n\
         {credentials}Content-Length: 0\r\n\r\n"
    );
    // A copy belongs to the transaction that it is a copy of, and is no replay.
    phone.socket.send_to(invite.as_bytes(), phone.switch).unwrap();
    phone.socket.send_to(invite.as_bytes(), phone.switch).unwrap();
    let forwarded = far.hear("INVITE");
    assert!(!forwarded.0.contains("Authorization"), "{}", forwarded.0);
    far.answer(&forwarded, 486, "");
    phone.hear("SIP/2.0 486");
    // Whether we are there is for everybody to ask, whether our users are is not.
    phone.send("OPTIONS", "o1", "", 1, "");
    phone.hear("SIP/2.0 407");
    let ping = invite.lines().filter(|line| !line.starts_with("Proxy-Authorization")).collect::<Vec<_>>().join("\r\n");
    let ping =
        ping.replace("INVITE", "OPTIONS").replace("sip:tone@127", "sip:127").replace("again", "ping") + "\r\n\r\n";
    phone.socket.send_to(ping.as_bytes(), phone.switch).unwrap();
    phone.hear("SIP/2.0 200");
    switch.end();
}

#[test]
fn a_browser_behind_the_proxy_is_called_back_by_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let far = Far::new();
    let (mut config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    config.sip.mode = Mode::Proxy;
    config.sip.routes = vec![Route { pattern: "*".into(), targets: vec![vec![far.uri()]] }];
    let client = authority.client(None);
    let switch = Switch::run(folder, config);
    let mut line = Line::open(Transport::Wss, address(&switch, Transport::Wss), Some((&client, "one.example.com")));
    let invite = line.request("INVITE", "c1", "", 1, SDP);
    line.send(&invite.replace(&format!("alice@{};transport=wss", line.local), "x@a7.invalid;transport=ws"));
    let invite = far.hear("INVITE");
    far.answer(&invite, 200, "");
    let answer = line.hear("SIP/2.0 200");
    let routes: Vec<&str> = invite.0.lines().filter(|line| line.starts_with("Record-Route:")).collect();
    let to = header(&answer, "To");
    let bye = format!(
        "BYE sip:x@a7.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKfar\r\n{}\r\nFrom: {to}\r\n\
         To: <sip:alice@example.com>;tag=a1\r\nCall-ID: c1\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n",
        far.at(),
        routes.join("\r\n").replace("Record-Route", "Route")
    );
    far.0.send_to(bye.as_bytes(), switch.address).unwrap();
    line.hear_bye();
    far.hear("SIP/2.0 200");
    switch.end();
}

#[test]
fn subscriptions_and_security_agreements_are_refused_by_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    let client = authority.client(None);
    let switch = Switch::with(folder, config);
    let mut line = Line::open(Transport::Tls, address(&switch, Transport::Tls), Some((&client, "one.example.com")));
    let subscribe = |line: &Line, cseq: u32, event: &str| {
        line.request("SUBSCRIBE", "s1", "", cseq, "").replacen("Contact:", &format!("{event}Contact:"), 1)
    };
    line.send(&subscribe(&line, 1, "Event: presence\r\n"));
    assert_eq!(header(&line.hear("SIP/2.0 489"), "Allow-Events"), "refer");
    line.send(&subscribe(&line, 2, "Event: refer\r\n"));
    line.hear("SIP/2.0 403");
    let agree = |line: &Line, cseq: u32, more: &str| {
        let more = format!("Require: sec-agree\r\n{more}Contact:");
        line.request("OPTIONS", "a1", "", cseq, "").replacen("Contact:", &more, 1)
    };
    line.send(&agree(&line, 1, ""));
    assert_eq!(header(&line.hear("SIP/2.0 494"), "Security-Server"), "tls");
    line.send(&agree(&line, 2, "Security-Client: tls\r\n"));
    line.hear("SIP/2.0 200");
    line.send(&agree(&line, 3, "Security-Verify: tls\r\n"));
    line.hear("SIP/2.0 200");
    let mut plain = Line::open(Transport::Tcp, address(&switch, Transport::Tcp), None);
    plain.send(&agree(&plain, 1, "Security-Client: tls\r\n"));
    assert_eq!(header(&plain.hear("SIP/2.0 494"), "Security-Server"), "tls");
    switch.end();
}
