//! What programs say in SIP's own words, and what their peers get.

use crate::fixture::{builder, started, started_with, until};
use ringplane::api::advanced::*;
use ringplane::api::*;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn uri(user: &str, coordinator: &SessionCoordinator) -> String {
    format!("sip:{user}@{}", coordinator.local_addr().unwrap())
}

/// Defers every call and keeps it.
#[derive(Default)]
struct Keeps(Arc<Mutex<Vec<IncomingCall>>>);

#[async_trait]
impl CallHandler for Keeps {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        self.0.lock().unwrap().push(call);
        CallDecision::Defer
    }
}

async fn keeper() -> (Arc<SessionCoordinator>, Arc<Mutex<Vec<IncomingCall>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let keeps = builder().with_handler(Arc::new(Keeps(calls.clone()))).with_kept_messages(true);
    (started(keeps).await, calls)
}

async fn next(calls: &Arc<Mutex<Vec<IncomingCall>>>) -> IncomingCall {
    assert!(until(PATIENCE, || !calls.lock().unwrap().is_empty()).await);
    calls.lock().unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_cross_with_the_call_and_with_its_answer() {
    let (called, calls) = keeper().await;
    let caller = started(builder().with_kept_messages(true)).await;
    let headers = Headers::new().with("X-Account", "4711").unwrap().with("Subject", "Grüße").unwrap();
    let call = OutgoingCall::new("\"Alice\" <sip:alice@example.com>", uri("bob", &called)).headers(headers);
    let placed = AdvancedControl::place_call(&caller, call).await.unwrap();
    let incoming = next(&calls).await;
    assert_eq!((&*incoming.headers["X-Account"], &*incoming.headers["Subject"]), ("4711", "Grüße"));
    let invite = AdvancedControl::message(&called, &incoming.id).unwrap().expect("messages are kept");
    assert_eq!(invite.header("x-account").as_deref(), Some("4711"));
    let parsed = invite.parse().unwrap();
    assert_eq!((parsed.method(), parsed.from().unwrap().display_raw()), (Some(Method::Invite), &b"\"Alice\""[..]));
    assert!(invite.body().starts_with(b"v=0") && invite.to_string().contains("CSeq: 1 INVITE\r\n"));
    assert_eq!(AdvancedControl::dialog_id(&called, &incoming.id).unwrap(), None, "not answered yet");

    let headers = Headers::new().with("X-Agent", "7").unwrap();
    AdvancedControl::accept_with(&called, &incoming, None, headers).await.unwrap();
    SessionControl::wait_for_answer(&caller, placed.id(), PATIENCE).await.unwrap();
    let answer = AdvancedControl::message(&caller, placed.id()).unwrap().unwrap();
    assert_eq!(answer.header("X-Agent").as_deref(), Some("7"));
    // Both sides name the same dialog, each from its own end.
    let ours = AdvancedControl::dialog_id(&caller, placed.id()).unwrap().unwrap();
    let theirs = AdvancedControl::dialog_id(&called, &incoming.id).unwrap().unwrap();
    assert_eq!((&ours.call_id, &ours.local_tag), (&theirs.call_id, &theirs.remote_tag));
    assert_eq!(ours.remote_tag, theirs.local_tag);

    let refused = AdvancedControl::place_call(&caller, OutgoingCall::new("", uri("bob", &called))).await.unwrap();
    let incoming = next(&calls).await;
    let headers = Headers::new().with("Retry-After", "9").unwrap();
    AdvancedControl::reject_with(&called, &incoming, 480, "Gone fishing", headers).await.unwrap();
    SessionControl::wait_for_answer(&caller, refused.id(), PATIENCE).await.unwrap_err();
    let answer = AdvancedControl::message(&caller, refused.id()).unwrap().unwrap();
    assert!(answer.to_string().starts_with("SIP/2.0 480 Gone fishing\r\n"), "{answer}");
    assert_eq!(answer.header("Retry-After").as_deref(), Some("9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_call_goes_there_also_by_tcp() {
    let (first, calls) = keeper().await;
    let second = started_with(AutoAnswerHandler).await;
    let caller = started(builder()).await;
    for more in ["", ";transport=tcp"] {
        let placed = SessionControl::create_outgoing_call(&caller, "", &uri("bob", &first), None).await.unwrap();
        let incoming = next(&calls).await;
        let nonsense = AdvancedControl::redirect(&first, &incoming, 486, &["sip:a@b"]).await.unwrap_err();
        assert!(matches!(nonsense, SessionError::Config { .. }), "{nonsense}");
        let there = uri("carol", &second) + more;
        AdvancedControl::redirect(&first, &incoming, 302, &[&there]).await.unwrap();
        SessionControl::wait_for_answer(&caller, placed.id(), PATIENCE).await.unwrap();
        assert_eq!(second.stats().active_sessions, 1);
        SessionControl::terminate_session(&caller, placed.id()).await.unwrap();
        assert!(until(PATIENCE, || second.stats().active_sessions == 0).await);
    }
}

/// Keeps what it is sent, and answers by what it says.
#[derive(Default)]
struct Inbox(Arc<Mutex<Vec<IncomingRequest>>>);

#[async_trait]
impl RequestHandler for Inbox {
    async fn on_request(&self, request: IncomingRequest) -> Answer {
        let text = String::from_utf8_lossy(request.message.body()).into_owned();
        self.0.lock().unwrap().push(request);
        match &*text {
            "panic" => panic!("a handler's own mistake"),
            "no" => Answer::status(603).headers(Headers::new().with("X-Why", "not today").unwrap()),
            _ => Answer::status(200).body("text/plain", "thank you").unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_program_in_a_dialog_and_outside() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let users = Authenticator::new("example.com").user("alice", "secret");
    let called = builder().with_handler(Arc::new(AutoAnswerHandler)).with_authenticator(users);
    let inbox = Arc::new(Inbox(seen.clone()));
    let called = started(called.with_request_handler(["MESSAGE", "INFO", "BOO"], inbox)).await;
    let caller = started(builder().with_credentials(Credentials::new("example.com", "alice", "secret"))).await;
    let to = uri("bob", &called);
    let text = |method: &str, text: &str| Request::new(method).unwrap().body("text/plain", text).unwrap();

    // Outside of dialogs; it is asked who it is first.
    let answer = AdvancedControl::send(&caller, "", &to, text("MESSAGE", "hello")).await.unwrap();
    assert!(answer.is_success() && answer.message.unwrap().body() == b"thank you");
    let answer = AdvancedControl::send(&caller, "", &to, text("MESSAGE", "no")).await.unwrap();
    assert_eq!((answer.status, answer.message.unwrap().header("X-Why").as_deref()), (603, Some("not today")));
    let answer = AdvancedControl::send(&caller, "", &to, text("MESSAGE", "panic")).await.unwrap();
    assert_eq!(answer.status, 500, "it costs its own request");
    assert!(AdvancedControl::send(&caller, "", &to, Request::new("OPTIONS").unwrap()).await.unwrap().is_success());
    assert_eq!(AdvancedControl::send(&caller, "", &to, text("PUBLISH", "x")).await.unwrap().status, 405);
    assert!(seen.lock().unwrap().iter().all(|request| request.session.is_none() && request.method == "MESSAGE"));

    // In a dialog.
    let placed = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    let id = placed.id();
    let early = AdvancedControl::send_in_dialog(&caller, id, text("INFO", "too early")).await;
    SessionControl::wait_for_answer(&caller, id, PATIENCE).await.unwrap();
    assert!(early.is_err() || early.is_ok_and(|answer| answer.is_success()), "refused unless it was answered by then");
    let there = SessionControl::list_active_sessions(&called).await.unwrap()[0];
    for method in ["MESSAGE", "INFO", "BOO"] {
        seen.lock().unwrap().clear();
        let request = text(method, "inside").headers(Headers::new().with("X-Note", "a").unwrap());
        let answer = AdvancedControl::send_in_dialog(&caller, id, request).await.unwrap();
        assert!(answer.is_success(), "{method}: {answer:?}");
        let request = seen.lock().unwrap().remove(0);
        assert_eq!((request.session, request.method.as_str()), (Some(there), method));
        assert_eq!(request.message.header("X-Note").as_deref(), Some("a"));
    }
    for method in ["OPTIONS", "UPDATE"] {
        let answer = AdvancedControl::send_in_dialog(&caller, id, Request::new(method).unwrap()).await.unwrap();
        assert!(answer.is_success(), "{method}: {answer:?}");
    }
    let change = AdvancedControl::send_in_dialog(&caller, id, text("UPDATE", "v=0")).await.unwrap_err();
    assert!(matches!(change, SessionError::Config { .. }), "media has operations of its own: {change}");
    SessionControl::terminate_session(&caller, id).await.unwrap();
    assert!(until(PATIENCE, || caller.stats().active_sessions + called.stats().active_sessions == 0).await);
    let gone = AdvancedControl::send_in_dialog(&caller, id, text("INFO", "too late")).await.unwrap_err();
    assert!(matches!(gone, SessionError::SessionNotFound(_)), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_serves_are_refused() {
    let called = started_with(AutoAnswerHandler).await;
    let caller = started(builder()).await;
    let request = || Request::new("MESSAGE").unwrap().body("text/plain", "hello").unwrap();
    let answer = AdvancedControl::send(&caller, "", &uri("bob", &called), request()).await.unwrap();
    assert_eq!(answer.status, 405);
    let placed = SessionControl::create_outgoing_call(&caller, "", &uri("bob", &called), None).await.unwrap();
    SessionControl::wait_for_answer(&caller, placed.id(), PATIENCE).await.unwrap();
    assert_eq!(AdvancedControl::send_in_dialog(&caller, placed.id(), request()).await.unwrap().status, 405);
    let info = Request::new("INFO").unwrap().body("text/plain", "hello").unwrap();
    assert_eq!(AdvancedControl::send_in_dialog(&caller, placed.id(), info).await.unwrap().status, 415);
    assert_eq!(AdvancedControl::message(&caller, placed.id()).unwrap(), None, "nothing is kept unasked");
    // Nobody there: the way there breaks at once.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = AdvancedControl::send(&caller, "", &format!("sip:x@{nobody}"), request()).await.unwrap();
    assert!(matches!(answer.status, 408 | 503) && answer.message.is_none(), "{answer:?}");
    for method in ["INVITE", "BYE", "OPTIONS", "not one"] {
        let built = builder().with_request_handler([method], Arc::new(Inbox::default())).build().await;
        assert!(matches!(built.err(), Some(SessionError::Config { .. })), "{method}");
    }
}
