//! Digest authentication: our answers judged by our own server side, and both by hand.

mod common;
use clock::{Duration, Instant};
use common::*;
use sip_core::auth::*;
use sip_core::*;
use sip_wire::Message;
use std::net::{IpAddr, Ipv4Addr};

const REALM: &str = "example.org";
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn settings() -> AuthSettings {
    let algorithms = vec![Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5];
    AuthSettings { realm: REALM.to_owned(), secret: [7; 32], algorithms, ..AuthSettings::default() }
}

fn password() -> Secret {
    Secret::Password("se\"cret:9".to_owned())
}

/// Judges a request as the peer would.
fn judge(auth: &mut Authenticator, now: Instant, request: &str, place: Place, secret: Option<&Secret>) -> Verdict {
    let message = Message::parse(request.as_bytes()).unwrap();
    match auth.read(&message, place) {
        Presented::Nothing => Verdict::Challenge { stale: false },
        Presented::Claim(claim) => {
            assert_eq!(claim.username(), b"us");
            auth.judge(now, SOURCE, &claim, secret)
        }
        Presented::Malformed => panic!("malformed: {request}"),
    }
}

fn is_wrong(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed(Failure { kind: FailureKind::Wrong, .. }))
}

fn challenge(auth: &mut Authenticator, now: Instant, place: Place, stale: bool) -> String {
    let lines = auth.challenge(now, SOURCE, stale).into_iter().map(|value| format!("{}: {value}\n", place.header()));
    lines.collect()
}

/// An endpoint with an account, and that account.
fn with_account(account: Account) -> (Bench, AccountId) {
    let mut bench = Bench::new(udp());
    let account = bench.endpoint.add_account(account).unwrap();
    (bench, account)
}

fn register(bench: &mut Bench, account: AccountId) -> String {
    let content = Content { headers: &[], content_type: "text/plain", body: b"body" };
    let request = NewRequest { account: Some(account), content, ..new_request(udp()) };
    bench.endpoint.request(bench.now, sip_wire::Method::Register, &request, &mut bench.out).unwrap();
    bench.drain().remove(0)
}

#[test]
fn every_algorithm_and_qop_is_answered_and_proven() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
        for (variant, qop) in
            [("", ", qop=\"auth\""), ("", ", qop=\"auth-int\""), ("", ""), ("-sess", ", qop=\"auth\"")]
        {
            let (mut bench, account) = with_account(Account::for_realms("us").with(REALM, password()));
            let first_try = register(&mut bench, account);
            let mut auth = Authenticator::new(AuthSettings { auth_int: true, ..settings() });
            let now = bench.now;
            let nonce = auth.challenge(now, SOURCE, false).remove(0).split('"').nth(3).unwrap().to_owned();
            let name = algorithm.name();
            let line = format!(
                "WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm={name}{variant}{qop}, opaque=\"x\"\n"
            );
            let second = bench.feed(&reply(&first_try, 401, "b", &line, "")).remove(0);
            assert_eq!(
                (header(&second, "CSeq"), header(&second, "Call-ID")),
                ("2 REGISTER", header(&first_try, "Call-ID"))
            );
            assert!(header(&second, "Authorization").contains("opaque=\"x\""));
            assert!(second.ends_with("body"));
            assert!(bench.events.is_empty(), "the user does not hear of it");
            let mut changed = Authenticator::new(AuthSettings { auth_int: true, ..settings() });
            let wrong_body = second.replace("\r\n\r\nbody", "\r\n\r\nBODY");
            let verdict = judge(&mut changed, now, &wrong_body, Place::Registrar, Some(&password()));
            assert_eq!(verdict == Verdict::Proven, !qop.contains("int"), "{name} {qop}");
            let mut verdict =
                |secret: Option<Secret>| judge(&mut auth, now, &second, Place::Registrar, secret.as_ref());
            assert!(is_wrong(&verdict(None)) && is_wrong(&verdict(Some(Secret::Password("other".into())))));
            assert_eq!(verdict(Some(password())), Verdict::Proven, "{name}{variant} {qop}");
            assert_eq!(verdict(Some(password())), Verdict::Challenge { stale: true }, "a replay");
            bench.feed(&reply(&second, 200, "b", "", ""));
            assert_eq!(bench.failures(), [200]);
        }
    }
}

#[test]
fn the_topmost_challenge_that_we_can_answer_is_taken() {
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let first_try = register(&mut bench, account);
    let mut auth = Authenticator::new(settings());
    let unknown = "WWW-Authenticate: Digest realm=\"example.org\", nonce=\"n\", algorithm=WHIRL, qop=\"auth\"\n\
                   WWW-Authenticate: Basic realm=\"example.org\"\n";
    let lines = unknown.to_owned() + &challenge(&mut auth, bench.now, Place::UserAgent, false);
    let second = bench.feed(&reply(&first_try, 401, "b", &lines, "")).remove(0);
    assert_eq!(second.matches("\r\nAuthorization:").count(), 1);
    assert!(header(&second, "Authorization").contains("algorithm=SHA-512-256"));
    assert_eq!(judge(&mut auth, bench.now, &second, Place::UserAgent, Some(&password())), Verdict::Proven);
}

#[test]
fn a_wrong_password_is_told_and_a_stale_nonce_is_not() {
    let (mut bench, account) = with_account(Account::new("us", "wrong"));
    let mut auth = Authenticator::new(settings());
    let first_try = register(&mut bench, account);
    let lines = challenge(&mut auth, bench.now, Place::Registrar, false);
    let second = bench.feed(&reply(&first_try, 401, "b", &lines, "")).remove(0);
    let lines = challenge(&mut auth, bench.now, Place::Registrar, false);
    assert!(bench.feed(&reply(&second, 401, "b", &lines, "")).is_empty(), "it has seen this password");
    assert_eq!(bench.failures(), [401]);
    // A nonce that grew old.
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let first_try = register(&mut bench, account);
    let lines = challenge(&mut auth, bench.now, Place::Registrar, false);
    let second = bench.feed(&reply(&first_try, 401, "b", &lines, "")).remove(0);
    let later = bench.now + Duration::from_secs(301);
    let verdict = judge(&mut auth, later, &second, Place::Registrar, Some(&password()));
    assert_eq!(verdict, Verdict::Challenge { stale: true });
    let lines = challenge(&mut auth, later, Place::Registrar, true);
    let third = bench.feed(&reply(&second, 401, "b", &lines, "")).remove(0);
    assert_eq!(judge(&mut auth, later, &third, Place::Registrar, Some(&password())), Verdict::Proven);
    assert!(bench.failures().is_empty());
    // One that always finds our nonces stale is told in the end.
    let mut sent = third;
    for _ in 0..10 {
        let lines = challenge(&mut auth, later, Place::Registrar, true);
        let Some(next) = bench.feed(&reply(&sent, 401, "b", &lines, "")).into_iter().next() else { break };
        sent = next;
    }
    assert_eq!(bench.failures(), [401]);
    bench.assert_empty();
}

#[test]
fn a_nonce_of_another_switch_or_source_is_stale_and_tells_nothing_about_the_password() {
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let mut foreign = Authenticator::new(AuthSettings { secret: [8; 32], ..settings() });
    let mut ours = Authenticator::new(settings());
    let first_try = register(&mut bench, account);
    let lines = challenge(&mut foreign, bench.now, Place::Registrar, false);
    let second = bench.feed(&reply(&first_try, 401, "b", &lines, "")).remove(0);
    let mut verdict = |secret: &Secret| judge(&mut ours, bench.now, &second, Place::Registrar, Some(secret));
    assert_eq!(verdict(&password()), Verdict::Challenge { stale: true });
    assert_eq!(verdict(&Secret::Password("no".into())), Verdict::Challenge { stale: true });
    assert_eq!(ours.nonces_count(), 0, "who does not know the password takes no memory");
    // One that we sent to another peer: a stranger cannot make others fail, nor have its guesses counted for them.
    let lines: String = ours
        .challenge(bench.now, "192.0.2.77".parse().unwrap(), true)
        .into_iter()
        .map(|value| format!("WWW-Authenticate: {value}\n"))
        .collect();
    let third = bench.feed(&reply(&second, 401, "b", &lines, "")).remove(0);
    for _ in 0..20 {
        let verdict = judge(&mut ours, bench.now, &third, Place::Registrar, Some(&Secret::Password("no".into())));
        assert_eq!(verdict, Verdict::Challenge { stale: true });
    }
    let lines = challenge(&mut ours, bench.now, Place::Registrar, true);
    let fourth = bench.feed(&reply(&third, 401, "b", &lines, "")).remove(0);
    assert_eq!(judge(&mut ours, bench.now, &fourth, Place::Registrar, Some(&password())), Verdict::Proven);
}

#[test]
fn several_realms_on_the_way_are_all_answered() {
    let account = Account::for_realms("us")
        .with("p1", Secret::Password("one".into()))
        .with("p2", Secret::Password("two".into()))
        .with(REALM, password());
    let (mut bench, account) = with_account(account);
    let mut sent = register(&mut bench, account);
    for (status, header_name, realm) in
        [(407, "Proxy-Authenticate", "p1"), (407, "Proxy-Authenticate", "p2"), (401, "WWW-Authenticate", REALM)]
    {
        let line = format!("{header_name}: Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"\n");
        sent = bench.feed(&reply(&sent, status, "b", &line, "")).remove(0);
    }
    assert_eq!(sent.matches("\r\nProxy-Authorization: ").count(), 2);
    assert!(["p1", "p2", REALM].iter().all(|realm| sent.contains(&format!("realm=\"{realm}\""))));
    assert_eq!(header(&sent, "CSeq"), "4 REGISTER");
    // A realm that we have nothing for.
    let line = "Proxy-Authenticate: Digest realm=\"p3\", nonce=\"n\"\n";
    assert!(bench.feed(&reply(&sent, 407, "b", line, "")).is_empty());
    assert_eq!(bench.failures(), [407]);
    bench.assert_empty();
}

#[test]
fn a_challenged_call_keeps_its_names_and_its_ack_and_bye_have_credentials() {
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let mut auth = Authenticator::new(settings());
    let request = NewRequest { account: Some(account), content: Content::sdp(b"v=0"), ..new_request(udp()) };
    let call = bench.endpoint.invite(bench.now, &request, &mut bench.out).unwrap();
    let invite = bench.drain().remove(0);
    let lines = challenge(&mut auth, bench.now, Place::Proxy, false);
    let sent = bench.feed(&reply(&invite, 407, "p", &lines, ""));
    assert_eq!(words(&sent), ["ACK", "INVITE"]);
    let again = &sent[1];
    assert_eq!(header(again, "From"), header(&invite, "From"));
    assert_eq!(header(again, "To"), header(&invite, "To"), "without the tag of the refusal");
    assert_eq!((header(again, "Call-ID"), header(again, "CSeq")), (header(&invite, "Call-ID"), "2 INVITE"));
    assert_ne!(header(again, "Via"), header(&invite, "Via"));
    assert_eq!(judge(&mut auth, bench.now, again, Place::Proxy, Some(&password())), Verdict::Proven);
    let ack = bench.feed(&reply(again, 200, "b", &answer_lines(5070), "v=0")).remove(0);
    assert_eq!(header(&ack, "CSeq"), "2 ACK");
    assert_eq!(header(&ack, "Proxy-Authorization"), header(again, "Proxy-Authorization"), "RFC 3261 §22.1");
    assert!(matches!(bench.events[..], [Event::Answered { call: c, .. }] if c == call));
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let bye = bench.drain().remove(0);
    let lines = challenge(&mut auth, bench.now, Place::Proxy, false);
    let bye = bench.feed(&reply(&bye, 407, "b", &lines, "")).remove(0);
    assert_eq!((word(&bye), header(&bye, "CSeq")), ("BYE", "4 BYE"));
    assert!(bench.endings().is_empty());
    bench.feed(&reply(&bye, 200, "b", "", ""));
    assert_eq!(bench.endings(), [Cause::LocalBye]);
    bench.assert_empty();
}

/// A second REGISTER to a place that has challenged the first.
fn registered(auth: &mut Authenticator) -> (Bench, AccountId, String) {
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let first_try = register(&mut bench, account);
    let lines = challenge(auth, bench.now, Place::Registrar, false);
    let again = bench.feed(&reply(&first_try, 401, "b", &lines, "")).remove(0);
    assert_eq!(judge(auth, bench.now, &again, Place::Registrar, Some(&password())), Verdict::Proven);
    bench.feed(&reply(&again, 200, "b", "", ""));
    let second = register(&mut bench, account);
    (bench, account, second)
}

#[test]
fn a_later_request_to_the_same_place_has_credentials_at_once() {
    let mut auth = Authenticator::new(settings());
    let (mut bench, account, second) = registered(&mut auth);
    assert!(header(&second, "Authorization").contains("nc=00000002"), "{second}");
    assert_eq!(judge(&mut auth, bench.now, &second, Place::Registrar, Some(&password())), Verdict::Proven);
    // Another place hears nothing of them.
    let elsewhere = Flow::udp(udp().local, "192.0.2.99:5060".parse().unwrap());
    let request = NewRequest { account: Some(account), ..new_request(elsewhere) };
    bench.endpoint.request(bench.now, sip_wire::Method::Register, &request, &mut bench.out).unwrap();
    assert!(!bench.drain()[0].contains("Authorization"));
    // Nor does a peer that we ask without that account.
    bench.endpoint.request(bench.now, sip_wire::Method::Register, &new_request(udp()), &mut bench.out).unwrap();
    assert!(!bench.drain()[0].contains("Authorization"));
}

#[test]
fn credentials_that_came_unasked_and_too_late_are_made_anew() {
    let mut auth = Authenticator::new(settings());
    let (mut bench, account, second) = registered(&mut auth);
    // A server that has restarted, and does not say that only the nonce was the fault.
    let mut restarted = Authenticator::new(AuthSettings { secret: [9; 32], ..settings() });
    let lines = challenge(&mut restarted, bench.now, Place::Registrar, false);
    let third = bench.feed(&reply(&second, 401, "b", &lines, "")).remove(0);
    assert!(header(&third, "Authorization").contains("nc=00000001"), "{third}");
    assert_eq!(judge(&mut restarted, bench.now, &third, Place::Registrar, Some(&password())), Verdict::Proven);
    // The password has changed: it is not tried a second time, nor unasked the next time.
    let lines = challenge(&mut restarted, bench.now, Place::Registrar, false);
    assert!(bench.feed(&reply(&third, 401, "b", &lines, "")).is_empty());
    assert_eq!(bench.failures(), [200, 401]);
    assert!(!register(&mut bench, account).contains("Authorization"));
}

#[test]
fn the_next_nonce_is_used_when_the_peer_names_it() {
    let mut auth = Authenticator::new(settings());
    let (mut bench, account, second) = registered(&mut auth);
    bench.feed(&reply(&second, 200, "b", "Authentication-Info: nextnonce=\"fresh\", qop=auth\n", ""));
    let third = register(&mut bench, account);
    let given = header(&third, "Authorization");
    assert!(given.contains("nonce=\"fresh\"") && given.contains("nc=00000001"), "{third}");
}

#[test]
fn each_realm_may_have_a_user_of_its_own() {
    let account =
        Account::for_realms("nobody").with_user("p", "proxy-user", password()).with_user(REALM, "us", password());
    let (mut bench, account) = with_account(account);
    let first_try = register(&mut bench, account);
    let both = format!(
        "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\", qop=\"auth\"\n\
         WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"n\", qop=\"auth\"\n"
    );
    let sent = bench.feed(&reply(&first_try, 407, "b", &both, "")).remove(0);
    assert!(header(&sent, "Proxy-Authorization").contains("username=\"proxy-user\""), "{sent}");
    assert!(header(&sent, "Authorization").contains("username=\"us\""), "{sent}");
    let bad = Account::for_realms("us").with_user("p", "a\r\nb", password());
    assert_eq!(bench.endpoint.add_account(bad), Err(Refused::BadText));
}

#[test]
fn a_request_that_is_sent_again_counts_on() {
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let request = NewRequest { account: Some(account), content: Content::sdp(b"v=0"), ..new_request(udp()) };
    bench.endpoint.invite(bench.now, &request, &mut bench.out).unwrap();
    let invite = bench.drain().remove(0);
    let mut auth = Authenticator::new(settings());
    let lines = challenge(&mut auth, bench.now, Place::UserAgent, false);
    let invite = bench.feed(&reply(&invite, 401, "b", &lines, "")).remove(1);
    assert_eq!(judge(&mut auth, bench.now, &invite, Place::UserAgent, Some(&password())), Verdict::Proven);
    let invite = bench.feed(&reply(&invite, 422, "b", "Min-SE: 100\n", "")).remove(1);
    assert_eq!((header(&invite, "Min-SE"), header(&invite, "CSeq")), ("100", "3 INVITE"));
    assert!(header(&invite, "Authorization").contains("nc=00000002"), "{invite}");
    assert_eq!(judge(&mut auth, bench.now, &invite, Place::UserAgent, Some(&password())), Verdict::Proven);
    // So do later requests in the dialog that go to the same place.
    bench.feed(&reply(&invite, 200, "b", &answer_lines(5062), "v=0"));
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let bye = bench.drain().remove(0);
    assert!(header(&bye, "Authorization").contains("nc=00000003"), "{bye}");
    assert_eq!(judge(&mut auth, bench.now, &bye, Place::UserAgent, Some(&password())), Verdict::Proven);
}

#[test]
fn a_cancelled_call_is_not_repeated() {
    let (mut bench, account) = with_account(Account::new("us", "x"));
    let request = NewRequest { account: Some(account), ..new_request(udp()) };
    let call = bench.endpoint.invite(bench.now, &request, &mut bench.out).unwrap();
    let invite = bench.drain().remove(0);
    bench.endpoint.cancel(bench.now, call, &mut bench.out).unwrap();
    let line = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\"\n";
    assert_eq!(words(&bench.feed(&reply(&invite, 407, "b", line, ""))), ["ACK"]);
    assert_eq!(bench.failures(), [487]);
    bench.assert_empty();
}

#[test]
fn malformed_credentials_and_captured_ones_for_another_target() {
    let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
    let mut auth = Authenticator::new(settings());
    let first_try = register(&mut bench, account);
    let lines = challenge(&mut auth, bench.now, Place::Registrar, false);
    let good = bench.feed(&reply(&first_try, 401, "b", &lines, "")).remove(0);
    let malformed = |from: &str, to: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let message = Message::parse(text.as_bytes()).unwrap();
        assert!(matches!(auth.read(&message, Place::Registrar), Presented::Malformed), "{text}");
    };
    malformed("REGISTER sip:bob@", "REGISTER sip:carol@");
    malformed("qop=auth", "qop=other");
    malformed("nc=00000001", "nc=1");
    malformed("algorithm=SHA-512-256", "algorithm=SHA-1");
    malformed("response=", "x=");
    malformed("cnonce=", "x=");
    malformed("username=", "x=");
    // Another method with the same credentials proves nothing.
    let other = good.replacen("REGISTER", "OPTIONS", 1);
    let verdict = judge(&mut auth, bench.now, &other, Place::Registrar, Some(&password()));
    assert!(is_wrong(&verdict));
    let message = Message::parse(first_try.as_bytes()).unwrap();
    assert!(matches!(auth.read(&message, Place::Registrar), Presented::Nothing));
    assert!(matches!(auth.read(&Message::parse(good.as_bytes()).unwrap(), Place::Proxy), Presented::Nothing));
}

#[test]
fn what_is_not_offered_is_not_accepted() {
    let offers: [fn(&mut AuthSettings); 2] =
        [|settings| settings.algorithms = vec![Algorithm::Sha256], |settings| settings.without_qop = false];
    for offer in offers {
        let mut narrow = settings();
        offer(&mut narrow);
        let mut auth = Authenticator::new(narrow);
        let (mut bench, account) = with_account(Account::new("us", "se\"cret:9"));
        let first_try = register(&mut bench, account);
        let nonce = auth.challenge(bench.now, SOURCE, false).remove(0).split('"').nth(3).unwrap().to_owned();
        let line = format!("WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{nonce}\"\n"); // MD5 without qop
        let sent = bench.feed(&reply(&first_try, 401, "b", &line, "")).remove(0);
        let verdict = judge(&mut auth, bench.now, &sent, Place::Registrar, Some(&password()));
        assert_eq!(verdict, Verdict::Challenge { stale: false });
    }
}

#[test]
fn hostile_challenges_break_nothing_and_passwords_are_never_shown() {
    let (mut bench, account) =
        with_account(Account::new("us", "hush-hush").with("r", Secret::Password("quiet".into())));
    for line in [
        "WWW-Authenticate: Digest realm=\"a\r\n b\", nonce=\"n\"\n",
        "WWW-Authenticate: Digest realm=\"a\"\n",
        "WWW-Authenticate: Digest nonce=\"a\"\n",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", qop=\"other\"\n",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"n\", algorithm=MD5-sess\n",
        "WWW-Authenticate: nothing\n",
        "",
    ] {
        let sent = register(&mut bench, account);
        let answer = reply(&sent, 401, "b", line, "").replace("\r\n", "\n");
        assert!(bench.feed(&answer).is_empty(), "{line}");
    }
    assert_eq!(bench.failures(), [401; 7]);
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        Account::new("us", "hush-hush").with("r", Secret::Password("quiet".into())),
        Secret::Password("hush-hush".into()),
        AuthSettings { secret: *b"hush-hush-hush-hush-hush-hush-hu", ..settings() },
        Authenticator::new(settings()),
    );
    assert!(!shown.contains("hush") && !shown.contains("quiet") && !shown.contains("104"), "{shown}");
    assert_eq!(bench.endpoint.add_account(Account::new("a\"b", "x")), Err(Refused::BadText));
    bench.endpoint.remove_account(account).unwrap();
    let sent = register(&mut bench, account);
    assert!(bench.feed(&reply(&sent, 401, "b", "WWW-Authenticate: Digest realm=\"a\", nonce=\"n\"\n", "")).is_empty());
    bench.assert_empty();
}

/// RFC 3261 §22.4: the `uri` of the credentials need not be the Request-URI to the letter.
#[test]
fn credentials_may_name_our_domain_and_no_other_user() {
    let domains = vec!["switch.example".to_owned(), "192.0.2.9".to_owned()];
    let mut auth = Authenticator::new(AuthSettings { domains, ..settings() });
    let algorithm = Algorithm::Md5;
    let mut presented = |uri: &str, requested: &str| {
        let now = Instant::ZERO + Duration::from_secs(1);
        let nonce = auth.challenge(now, SOURCE, false).remove(0).split('"').nth(3).unwrap().to_owned();
        let hash = |parts: &[&str]| md5_hex(&parts.join(":"));
        let (who, what) = (hash(&["us", REALM, "se\"cret:9"]), hash(&["INVITE", uri]));
        let response = hash(&[&who, &nonce, "00000001", "c", "auth", &what]);
        let text = format!(
            "INVITE {requested} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nProxy-Authorization: Digest \
             username=\"us\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}, cnonce=\"c\", qop=auth, nc=00000001\r\n\r\n",
            algorithm.name()
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        match auth.read(&message, Place::Proxy) {
            Presented::Claim(claim) => Some(auth.judge(now, SOURCE, &claim, Some(&password())) == Verdict::Proven),
            _ => None,
        }
    };
    for good in [
        "sip:bob@192.0.2.1:5070",
        "sip:bob@192.0.2.1:5070;transport=udp",
        "sip:192.0.2.1",
        "sip:example.org",
        "sip:Example.ORG:5061",
        "sip:bob@example.org",
        "sip:switch.example",
        "sip:bob@switch.example;transport=tcp",
        "sip:192.0.2.9:5070",
    ] {
        assert_eq!(presented(good, "sip:bob@192.0.2.1:5070"), Some(true), "{good}");
    }
    for bad in ["sip:carol@192.0.2.1:5070", "sip:carol@example.org", "sip:bob@evil.example", "sip:evil.example", "x"] {
        assert_eq!(presented(bad, "sip:bob@192.0.2.1:5070"), None, "{bad}");
    }
}

fn md5_hex(text: &str) -> String {
    use md5::Digest;
    md5::Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn wrong_passwords_wait_and_the_right_one_from_elsewhere_does_not() {
    let mut auth = Authenticator::new(settings());
    let mut now = Instant::ZERO + Duration::from_secs(10);
    let stranger: IpAddr = "203.0.113.7".parse().unwrap();
    let mut attempt = |now: Instant, source: IpAddr, is_right: bool| {
        let nonce = auth.challenge(now, source, false).remove(0).split('"').nth(3).unwrap().to_owned();
        let who = md5_hex(&format!("us:{REALM}:{}", if is_right { "se\"cret:9" } else { "guess" }));
        let response = md5_hex(&format!("{who}:{nonce}:00000001:c:auth:{}", md5_hex("INVITE:sip:x@y")));
        let text = format!(
            "INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nProxy-Authorization: Digest username=\"us\", \
             realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"sip:x@y\", response=\"{response}\", cnonce=\"c\", qop=auth, \
             nc=00000001\r\n\r\n"
        );
        let message = Message::parse(text.as_bytes()).unwrap();
        let Presented::Claim(claim) = auth.read(&message, Place::Proxy) else { panic!("{text}") };
        auth.judge(now, source, &claim, Some(&password()))
    };
    for _ in 0..5 {
        assert!(is_wrong(&attempt(now, stranger, false)));
    }
    match attempt(now, stranger, true) {
        Verdict::Failed(Failure { kind: FailureKind::TooSoon, source_count: 5, username, .. }) => {
            assert_eq!(username, "us");
        }
        other => panic!("not even the right one: {other:?}"),
    }
    assert_eq!(attempt(now, SOURCE, true), Verdict::Proven, "the user at home notices nothing");
    now += Duration::from_millis(1_001);
    assert_eq!(attempt(now, stranger, true), Verdict::Proven);
    for _ in 0..5 {
        assert!(is_wrong(&attempt(now, stranger, false)), "it counts from the start after a right one");
    }
}

/// baresip 1.0 gives up when there is more than MD5, wherever it stands; others take the first one, or choose.
#[test]
fn who_cannot_choose_is_not_given_a_choice() {
    let now = Instant::ZERO + Duration::from_secs(1);
    let over = |transport: &str, algorithms: &[Algorithm], agent: &str| -> Vec<String> {
        let mut auth = Authenticator::new(AuthSettings { algorithms: algorithms.to_vec(), ..settings() });
        let text = format!("INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/{transport} h\r\nUser-Agent: {agent}\r\n\r\n");
        let values = auth.challenge_to(now, SOURCE, &Message::parse(text.as_bytes()).unwrap(), false);
        values.iter().map(|value| value.split("algorithm=").nth(1).unwrap().split(',').next().unwrap().into()).collect()
    };
    let challenges = |algorithms: &[Algorithm], agent: &str| over("UDP", algorithms, agent);
    use Algorithm::*;
    // Libraries for browsers look at the last one, and the phones made with them have names of their own.
    assert_eq!(over("WSS", &[Md5, Sha256], "Example Phone 1"), ["SHA-256", "MD5"]);
    assert_eq!(over("ws", &[Md5, Sha256, Sha512_256], "Example Phone 1"), ["SHA-256", "SHA-512-256", "MD5"]);
    assert_eq!(over("WSS", &[Sha256], "Example Phone 1"), ["SHA-256"]);
    assert_eq!(AuthSettings::default().algorithms, [Md5, Sha256]);
    assert_eq!(challenges(&[Md5, Sha256], "Linphone/5.1"), ["MD5", "SHA-256"]);
    assert_eq!(challenges(&[Sha256, Md5], "baresip v1.0.0 (x86_64/linux)"), ["MD5"]);
    assert_eq!(challenges(&[Md5, Sha256], "baresip v4.0.0"), ["MD5", "SHA-256"]);
    assert_eq!(challenges(&[Sha256], "baresip v1.0.0 (x86_64/linux)"), ["SHA-256"], "MD5 is not offered to anybody");
}
