//! Calls that go to names because a peer says so: a transfer and a redirection, with a name server of the test.

use crate::fixture::{builder, started, started_with, until};
use crate::name_server::{NameServer, Zone};
use ringplane::api::advanced::AdvancedControl;
use ringplane::api::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// `pbx.example` is at this coordinator: by UDP as the second of two, the first of which is not there, and by TCP.
async fn name_server(coordinator: &SessionCoordinator) -> NameServer {
    let port = coordinator.local_addr().unwrap().port();
    let gone = loadtest::peers::free_port([127, 0, 0, 1].into()).unwrap();
    let zone = Zone::new()
        .srv("_sip._udp.pbx.example", 1, 0, gone, "host.pbx.example")
        .srv("_sip._udp.pbx.example", 2, 0, port, "host.pbx.example")
        .srv("_sip._tcp.pbx.example", 1, 0, port, "host.pbx.example")
        .address("host.pbx.example", "127.0.0.1");
    NameServer::start(zone).await
}

fn uri(user: &str, coordinator: &SessionCoordinator) -> String {
    format!("sip:{user}@{}", coordinator.local_addr().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_transfers_to_a_name() {
    let carol = started_with(AutoAnswerHandler).await;
    let names = name_server(&carol).await;
    let answering = builder().with_handler(Arc::new(AutoAnswerHandler));
    let bob = started(answering.with_name_servers([names.address])).await;
    let alice = started(builder()).await;
    for to in ["sip:carol@pbx.example;transport=udp", "sip:carol@pbx.example;transport=tcp"] {
        let call = SessionControl::create_outgoing_call(&alice, "", &uri("bob", &bob), None).await.unwrap();
        SessionControl::wait_for_answer(&alice, call.id(), PATIENCE).await.unwrap();
        // Nobody has that name: the call is back.
        let nowhere = SessionControl::transfer_session(&alice, call.id(), "sip:x@nowhere.example").await.unwrap_err();
        assert!(matches!(nowhere, SessionError::Rejected { status: 404, .. }), "{nowhere}");
        assert_eq!(call.state(), SessionState::Connected);
        let mut transfers = bob.subscribe(EventFilter::all().class(EventClass::Transfer));
        SessionControl::transfer_session(&alice, call.id(), to).await.unwrap();
        let is_there = || [&alice, &bob, &carol].map(|side| side.stats().active_sessions) == [0, 1, 1];
        assert!(until(PATIENCE, is_there).await, "{to}: {alice:?} {bob:?} {carol:?}");
        let started = loop {
            match transfers.recv().await.unwrap().kind {
                EventKind::TransferStarted { to } => break to,
                EventKind::TransferRequested { target } => assert_eq!(target, to),
                other => panic!("{other:?}"),
            }
        };
        let talking = SessionControl::list_active_sessions(&bob).await.unwrap();
        assert_eq!(talking, [started]);
        SessionControl::terminate_session(&bob, &started).await.unwrap();
        assert!(until(PATIENCE, || carol.stats().active_sessions + bob.stats().active_sessions == 0).await);
    }
}

/// Puts calls where a test finds them.
struct Keeps(Arc<Mutex<Vec<IncomingCall>>>);

#[async_trait]
impl CallHandler for Keeps {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        self.0.lock().unwrap().push(call);
        CallDecision::Defer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_call_goes_to_a_name() {
    let carol = started_with(AutoAnswerHandler).await;
    let names = name_server(&carol).await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let bob = started_with(Keeps(calls.clone())).await;
    let caller = started(builder().with_name_servers([names.address])).await;
    for (contacts, is_answered) in [
        (&["sip:x@nowhere.example", "sip:carol@pbx.example;transport=udp"][..], true),
        (&["sip:x@nowhere.example"], false),
    ] {
        let call = SessionControl::create_outgoing_call(&caller, "", &uri("bob", &bob), None).await.unwrap();
        assert!(until(PATIENCE, || !calls.lock().unwrap().is_empty()).await);
        let incoming = calls.lock().unwrap().remove(0);
        AdvancedControl::redirect(&bob, &incoming, 302, contacts).await.unwrap();
        let outcome = SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await;
        match outcome {
            Ok(answered) if is_answered => {
                assert_eq!(carol.stats().active_sessions, 1);
                SessionControl::terminate_session(&caller, answered.id()).await.unwrap();
            }
            Err(SessionError::Rejected { status: 302, .. }) if !is_answered => {}
            other => panic!("{contacts:?}: {other:?}"),
        }
        let nobody = || [&caller, &bob, &carol].iter().all(|side| side.stats().active_sessions == 0);
        assert!(until(PATIENCE, nobody).await);
    }
}
