//! No text of a program can end a line of a message: each door refuses it.

use crate::fixture::{builder, started, started_with, until};
use ringplane::api::advanced::*;
use ringplane::api::*;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn is_refused(error: &SessionError) -> bool {
    matches!(error, SessionError::InvalidUri(_) | SessionError::Protocol { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_called_of_calls() {
    let caller = started(builder()).await;
    let to = "sip:bob@127.0.0.1:9";
    let froms = [
        "\"Alice\r\nEvil: 1\" <sip:alice@example.com>",
        "\"Alice\r\n folded\" <sip:alice@example.com>",
        "Alice\nEvil: 1 <sip:alice@example.com>",
        "sip:alice@example.com\r\nEvil: 1",
        "<sip:alice@example.com>\r\nEvil: 1",
        "<sip:alice@example.com>;x=1\r\nEvil: 1",
        "sip:alice\0@example.com",
    ];
    for from in froms {
        let error = SessionControl::create_outgoing_call(&caller, from, to, None).await.unwrap_err();
        assert!(is_refused(&error), "{from:?}: {error}");
        let call = OutgoingCall::new(from, to);
        assert!(is_refused(&AdvancedControl::place_call(&caller, call).await.unwrap_err()), "{from:?}");
        let request = Request::new("OPTIONS").unwrap();
        assert!(is_refused(&AdvancedControl::send(&caller, from, to, request).await.unwrap_err()), "{from:?}");
        let built = builder().with_local_address(from).build().await.expect_err("it is no address");
        assert!(is_refused(&built), "{from:?}: {built}");
    }
    let tos = [
        "sip:bob@127.0.0.1\r\nEvil: 1",
        "sip:bob\r\nEvil: 1@127.0.0.1",
        "\"Bob\r\nEvil: 1\" <sip:bob@127.0.0.1>",
        "<sip:bob@127.0.0.1>\r\nEvil: 1",
        "sip:bob@127.0.0.1;x=\r\nEvil: 1",
        "sip:bob@127.0.0.1?Subject=a\r\nEvil: 1",
        "sip:bob@127.0.0.1 SIP/2.0\r\nEvil: 1",
    ];
    for to in tos {
        let error = SessionControl::create_outgoing_call(&caller, "", to, None).await.unwrap_err();
        assert!(is_refused(&error), "{to:?}: {error}");
        let request = Request::new("OPTIONS").unwrap();
        assert!(is_refused(&AdvancedControl::send(&caller, "", to, request).await.unwrap_err()), "{to:?}");
    }
    assert_eq!(caller.stats().active_sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_transfers() {
    let (bob, alice) = (started_with(AutoAnswerHandler).await, started(builder()).await);
    let to = format!("sip:bob@{}", bob.local_addr().unwrap());
    let call = SessionControl::create_outgoing_call(&alice, "", &to, None).await.unwrap();
    SessionControl::wait_for_answer(&alice, call.id(), PATIENCE).await.unwrap();
    for target in
        ["sip:carol@127.0.0.1\r\nEvil: 1", "sip:carol@127.0.0.1>\r\nEvil: 1", "sip:c d@127.0.0.1", "<sip:c@d>"]
    {
        let error = SessionControl::transfer_session(&alice, call.id(), target).await.unwrap_err();
        assert!(is_refused(&error), "{target:?}: {error}");
        assert_eq!(call.state(), SessionState::Connected, "nothing has changed");
    }
    SessionControl::terminate_session(&alice, call.id()).await.unwrap();
}

/// Decides something that would break the answer.
struct Evil;

#[async_trait]
impl CallHandler for Evil {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Reject { status: 486, reason: "Busy\r\nEvil: 1".into() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_headers_and_addresses_of_answers() {
    let server = create_sip_server({
        let first = loadtest::peers::free_range([127, 0, 0, 1].into(), 200).unwrap();
        SessionConfig { media_ports: (first, first + 199), ..SessionConfig::server("127.0.0.1:0").unwrap() }
    });
    let server = server.await.unwrap();
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    server.set_call_handler(Arc::new(Keeps(calls.clone())));
    let caller = started(builder()).await;
    let to = format!("sip:bob@{}", server.local_addr().unwrap());
    let placed = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    assert!(until(PATIENCE, || !calls.lock().unwrap().is_empty()).await);
    let call = calls.lock().unwrap().remove(0);
    let coordinator = server.coordinator();
    for reason in ["Busy\r\nEvil: 1", "Busy\nEvil: 1", "\0"] {
        let error = SessionControl::reject_incoming_call_with(coordinator, &call, 486, reason).await.unwrap_err();
        assert!(is_refused(&error), "{reason:?}: {error}");
        let error = AdvancedControl::reject_with(coordinator, &call, 486, reason, Headers::new()).await.unwrap_err();
        assert!(is_refused(&error), "{reason:?}: {error}");
    }
    for contact in ["sip:c@127.0.0.1\r\nEvil: 1", "sip:c@127.0.0.1>\r\nEvil: 1", "\"C\" <sip:c@d>", "sip:c@d,sip:e@f"] {
        let error = AdvancedControl::redirect(coordinator, &call, 302, &[contact]).await.unwrap_err();
        assert!(is_refused(&error), "{contact:?}: {error}");
    }
    assert_eq!(placed.state(), SessionState::Ringing, "nothing was answered");
    SessionControl::reject_incoming_call_with(coordinator, &call, 486, "Gone fishing").await.unwrap();
    let error = SessionControl::wait_for_answer(&caller, placed.id(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, SessionError::Rejected { status: 486, .. }), "{error}");
    // A handler's own mistake costs its call a 500, at once.
    server.set_call_handler(Arc::new(Evil));
    let placed = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    let error = SessionControl::wait_for_answer(&caller, placed.id(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, SessionError::Rejected { status: 500, .. }), "{error}");
}

/// Defers and keeps every call.
struct Keeps(Arc<std::sync::Mutex<Vec<IncomingCall>>>);

#[async_trait]
impl CallHandler for Keeps {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        self.0.lock().unwrap().push(call);
        CallDecision::Defer
    }
}

#[test]
fn headers_methods_and_types_of_messages() {
    let evil = [
        ("X-Note", "a\r\nEvil: 1"),
        ("X-Note", "a\nEvil: 1"),
        ("X-Note", "a\rEvil: 1"),
        ("X-Note", "\0"),
        ("X-Note: a\r\nEvil", "1"),
        ("X Note", "a"),
        ("", "a"),
        ("Via", "SIP/2.0/UDP 192.0.2.1"),
        ("f", "<sip:a@b>"),
        ("Content-Length", "0"),
        ("Contact", "<sip:a@b>"),
        ("Authorization", "Digest"),
        ("Route", "<sip:a;lr>"),
    ];
    for (name, value) in evil {
        let error = Headers::new().with(name, value).unwrap_err();
        assert!(is_refused(&error), "{name:?} {value:?}: {error}");
    }
    for method in ["IN FO", "INFO\r\nEvil: 1", "", "INVITE", "BYE", "REGISTER"] {
        assert!(is_refused(&Request::new(method).unwrap_err()), "{method:?}");
    }
    for kind in ["text/plain\r\nEvil: 1", "text", "", "/"] {
        let request = Request::new("MESSAGE").unwrap().body(kind, "a");
        assert!(is_refused(&request.unwrap_err()), "{kind:?}");
        assert!(is_refused(&Answer::status(200).body(kind, "a").unwrap_err()), "{kind:?}");
    }
    // What is inside a body is its own affair.
    assert!(Request::new("MESSAGE").unwrap().body("text/plain", "a\r\nb").is_ok());
}
