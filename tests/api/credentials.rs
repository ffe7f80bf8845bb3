//! Who we are, and who calls: digest authentication with real peers, both ways.

use crate::fixture::{builder, sipp, started, until};
use loadtest::peers::{Scenario, Sipp, SippPlan};
use ringplane::api::advanced::*;
use ringplane::api::*;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/scenarios").join(name).with_extension("xml");
    std::fs::read_to_string(path).unwrap()
}

/// SIPp calls as Alice, with a password.
async fn alice_calls(password: &str, to: std::net::SocketAddr, calls: u32) -> loadtest::peers::SippResult {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alice.xml");
    std::fs::write(&file, scenario("authenticates").replace("PASSWORD", password)).unwrap();
    // The URI of the proof; SIPp leaves the user out by itself.
    let more = vec!["-auth_uri".into(), format!("service@{to}")];
    let plan = SippPlan {
        scenario: Scenario::File(file),
        user: "service".into(),
        calls,
        rate: 20,
        more,
        ..SippPlan::default()
    };
    sipp(folder.path(), to, plan).await
}

/// Remembers who has proved to call.
#[derive(Default)]
struct Remembers(Arc<Mutex<Vec<Option<String>>>>);

#[async_trait]
impl CallHandler for Remembers {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        self.0.lock().unwrap().push(call.user);
        CallDecision::Accept(None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_and_a_server_that_ask_are_answered_once_and_then_told_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("challenges.xml");
    std::fs::write(&file, scenario("challenges")).unwrap();
    let plan = SippPlan { scenario: Scenario::File(file), more: vec!["-m".into(), "3".into()], ..SippPlan::default() };
    let sipp = Sipp::start(folder.path(), "uas", None, &plan).unwrap();
    let to = format!("sip:service@{}", sipp.address);
    assert!(until(PATIENCE, || UdpSocket::bind(sipp.address).is_err()).await);
    let known = builder()
        .with_credentials(Credentials::new("example.com", "alice", "secret"))
        .with_credentials(Credentials::new("proxy.example.net", "1234", "another"));
    let caller = started(known.with_kept_messages(true)).await;
    for (number, asked) in ["2", "0", "0"].into_iter().enumerate() {
        let call = SessionControl::create_outgoing_call(&caller, "sip:alice@example.com", &to, None).await.unwrap();
        let id = call.id();
        SessionControl::wait_for_answer(&caller, id, PATIENCE).await.unwrap();
        let answer = AdvancedControl::message(&caller, id).unwrap().expect("messages are kept");
        assert_eq!(answer.header("X-Asked").as_deref(), Some(asked), "call {number}: {answer}");
        // re-INVITE, REFER and BYE bring credentials too.
        SessionControl::hold_session(&caller, id).await.unwrap();
        let declined = SessionControl::transfer_session(&caller, id, "sip:carol@127.0.0.1").await.unwrap_err();
        assert!(matches!(declined, SessionError::Rejected { status: 603, .. }), "{declined}");
        SessionControl::terminate_session(&caller, id).await.unwrap();
        assert!(until(PATIENCE, || caller.stats().active_sessions == 0).await);
    }
    let counted = sipp.finish(clock::Duration::from_secs(60)).unwrap();
    counted.assert_all_good(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_secret_is_refused() {
    let users = Authenticator::new("example.com").user("alice", "secret");
    let called = started(builder().with_handler(Arc::new(AutoAnswerHandler)).with_authenticator(users)).await;
    let to = format!("sip:bob@{}", called.local_addr().unwrap());
    let mut all = called.subscribe(EventFilter::all());
    let wrong = [
        None,
        Some(Credentials::new("example.com", "alice", "guess")),
        Some(Credentials::new("example.com", "mallory", "secret")),
        Some(Credentials::new("example.org", "alice", "secret")),
    ];
    for credentials in wrong {
        let caller = credentials.clone().into_iter().fold(builder(), SessionManagerBuilder::with_credentials);
        let caller = started(caller).await;
        let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
        let error = SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap_err();
        assert!(matches!(error, SessionError::Rejected { status: 401, .. }), "{credentials:?}: {error}");
    }
    assert_eq!(all.try_recv(), None, "no handler and no subscriber hears of them");
    assert_eq!((called.stats().active_sessions, called.stats().failed_sessions), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_proves_who_she_is() {
    let users = Authenticator::new("example.com").user("alice", "secret").algorithms([DigestAlgorithm::Md5]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asks = builder().with_authenticator(users).with_handler(Arc::new(Remembers(seen.clone())));
    let called = started(asks).await;
    let address = called.local_addr().unwrap();
    alice_calls("secret", address, 20).await.assert_all_good(20);
    assert_eq!(*seen.lock().unwrap(), vec![Some("alice".to_owned()); 20]);
    let refused = alice_calls("guess", address, 1).await;
    assert_eq!((refused.count("FailedCall"), refused.count("SuccessfulCall")), (1, 0), "{}", refused.errors);
    assert_eq!(seen.lock().unwrap().len(), 20, "no handler hears of a wrong guess");
    assert!(until(PATIENCE, || called.stats().active_sessions == 0).await);
    assert_eq!(called.stats().completed_sessions, 20);
}

/// Users of a database, hashed by one algorithm.
struct Hashed(DigestAlgorithm, &'static str);

impl UserStore for Hashed {
    fn secret(&self, user: &str, algorithm: DigestAlgorithm) -> Option<UserSecret> {
        (user == "alice" && algorithm == self.0).then(|| UserSecret::Hash(self.1.to_owned()))
    }
}

/// `alice:example.com:secret`, as `printf alice:example.com:secret | md5sum` and `openssl dgst -sha512-256` say.
const HASHES: [(DigestAlgorithm, &str); 3] = [
    (DigestAlgorithm::Md5, "b1726872c344b6dc8365b774f8fd6412"),
    (DigestAlgorithm::Sha256, "ed8925b20f9a77b8f8f8d5f8e4467fe32b866f7208ab9e4b20595e9821a0fdee"),
    (DigestAlgorithm::Sha512_256, "9e413627514b03d0753229d450617d94a9b2a2a635222e49bad90404c29e97ad"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_is_offered_and_answered_also_with_bodies_and_as_a_proxy() {
    for (algorithm, hash) in HASHES {
        for (auth_int, as_proxy) in [(false, false), (true, true)] {
            let asks = Authenticator::new("example.com").store(Arc::new(Hashed(algorithm, hash)));
            let asks = asks.algorithms([algorithm]).auth_int(auth_int);
            let asks = if as_proxy { asks.as_proxy() } else { asks };
            let seen = Arc::new(Mutex::new(Vec::new()));
            let called = builder().with_authenticator(asks).with_handler(Arc::new(Remembers(seen.clone())));
            let called = started(called).await;
            let caller = started(builder().with_credentials(Credentials::for_any_realm("alice", "secret"))).await;
            let to = format!("sip:bob@{}", called.local_addr().unwrap());
            for _ in 0..3 {
                let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
                SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap();
                SessionControl::terminate_session(&caller, call.id()).await.unwrap();
            }
            assert_eq!(*seen.lock().unwrap(), vec![Some("alice".to_owned()); 3], "{algorithm:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_challenge_is_made_anew_without_asking_anybody() {
    let life = Duration::from_millis(300);
    let users = Authenticator::new("example.com").user("alice", "secret").nonce_life(life);
    let called = started(builder().with_handler(Arc::new(AutoAnswerHandler)).with_authenticator(users)).await;
    let caller = started(builder().with_credentials(Credentials::new("example.com", "alice", "secret"))).await;
    let to = format!("sip:bob@{}", called.local_addr().unwrap());
    for _ in 0..3 {
        let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
        SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap();
        SessionControl::terminate_session(&caller, call.id()).await.unwrap();
        // Longer than a nonce lives; the next call's credentials are stale.
        tokio::time::sleep(2 * life).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_make_no_sense_are_mistakes_and_none_is_ever_shown() {
    let good = || Credentials::new("example.com", "alice", "hush-hush");
    let mistakes = [
        vec![Credentials::new("example.com", "alice\r\nEvil: 1", "hush-hush")],
        vec![Credentials::new("exa\"mple.com", "alice", "hush-hush")],
        vec![Credentials::new("", "alice", "hush-hush")],
        vec![Credentials::new("example.com", "", "hush-hush")],
        vec![good(), good()],
        (0..9).map(|number| Credentials::new(format!("{number}"), "alice", "hush-hush")).collect(),
    ];
    for mistake in mistakes {
        let built = mistake.into_iter().fold(builder(), SessionManagerBuilder::with_credentials).build().await;
        let error = built.expect_err("a mistake");
        assert!(matches!(error, SessionError::Config { .. }) && !error.to_string().contains("hush"), "{error}");
    }
    let nobody = Authenticator::new("example.com");
    let unnamed = Authenticator::new("a\r\nb").user("alice", "hush-hush");
    for mistake in [nobody.clone(), unnamed, nobody.user("alice", "hush-hush").algorithms([])] {
        let error = builder().with_authenticator(mistake).build().await.expect_err("a mistake");
        assert!(matches!(error, SessionError::Config { .. }) && !error.to_string().contains("hush"), "{error}");
    }
    let asks = Authenticator::new("example.com").user("alice", "hush-hush");
    let config = SessionConfig { authenticator: Some(asks), credentials: vec![good()], ..SessionConfig::default() };
    let shown = format!("{config:?} {:?}", UserSecret::Password("hush-hush".into()));
    assert!(shown.contains("alice") && !shown.contains("hush"), "{shown}");
}
