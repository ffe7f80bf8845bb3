//! A server and a client as one object each.

use crate::fixture::until;
use loadtest::peers::free_range;
use ringplane::api::*;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> SessionConfig {
    let first = free_range([127, 0, 0, 1].into(), 200).unwrap();
    SessionConfig { media_ports: (first, first + 199), ..SessionConfig::server("127.0.0.1:0").unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_calls_a_server() {
    let server = create_sip_server(config()).await.unwrap();
    let client = create_sip_client(config()).await.unwrap();
    let mut incoming = server.subscribe(EventFilter::all().class(EventClass::Incoming));
    let to = format!("sip:bob@{}", server.local_addr().unwrap());

    let call = client.make_call("sip:alice@example.com", &to).await.unwrap();
    let there = tokio::time::timeout(PATIENCE, incoming.recv()).await.unwrap().unwrap().session_id;
    assert_eq!(server.get_active_sessions().await.unwrap()[0].from, "sip:alice@example.com");
    let accepted = server.accept_call(&there).await.unwrap();
    client.wait_for_answer(call.id(), PATIENCE).await.unwrap();
    client.hold_call(call.id()).await.unwrap();
    assert!(until(PATIENCE, || accepted.state() == SessionState::OnHold).await);
    client.resume_call(call.id()).await.unwrap();
    server.hold_call(&there).await.unwrap();
    server.resume_call(&there).await.unwrap();
    server.end_call(&there).await.unwrap();
    assert!(until(PATIENCE, || call.state() == SessionState::Terminated).await);

    let call = client.make_call("", &to).await.unwrap();
    let there = tokio::time::timeout(PATIENCE, incoming.recv()).await.unwrap().unwrap().session_id;
    let wrong = server.reject_call(&there, 200).await.unwrap_err();
    assert!(matches!(wrong, SessionError::Config { .. }), "{wrong}");
    server.reject_call(&there, 486).await.unwrap();
    let refused = client.wait_for_answer(call.id(), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, SessionError::Rejected { status: 486, .. }), "{refused}");
    let gone = server.accept_call(&there).await.unwrap_err();
    assert!(matches!(gone, SessionError::SessionNotFound(_) | SessionError::InvalidState { .. }), "{gone}");
    assert!(until(PATIENCE, || client.coordinator().stats().active_sessions == 0).await);
    assert!(client.get_active_sessions().await.unwrap().is_empty());

    server.set_call_handler(std::sync::Arc::new(RejectHandler(603)));
    let call = client.make_call("", &to).await.unwrap();
    let refused = client.wait_for_answer(call.id(), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, SessionError::Rejected { status: 603, .. }), "{refused}");
    client.shutdown(PATIENCE).await.unwrap();
    server.shutdown(PATIENCE).await.unwrap();
    assert_eq!(server.local_addr(), None);
}
