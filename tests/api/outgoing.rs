//! Calls that programs place, join and send on.

use crate::fixture::{builder, started, started_with, until};
use loadtest::peers::{Scenario, Sipp, SippPlan};
use ringplane::api::*;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends every call on to one place.
struct Forwards(String);

#[async_trait]
impl CallHandler for Forwards {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Forward(self.0.clone())
    }
}

fn uri(user: &str, coordinator: &SessionCoordinator) -> String {
    format!("sip:{user}@{}", coordinator.local_addr().unwrap())
}

async fn packets_received(coordinator: &Arc<SessionCoordinator>, id: &SessionId) -> u64 {
    let statistics = MediaControl::get_media_statistics(coordinator, id).await.ok().flatten();
    statistics.map_or(0, |statistics| statistics.packets_received)
}

/// A key that is pressed over there is heard here. Media follows an answer, a bridge or a transfer a moment later, and a
/// leg may have to move to another worker first, so the key is pressed until it is heard.
async fn assert_hears(here: &SessionCoordinator, there: &Arc<SessionCoordinator>, id: &SessionId) {
    let mut keys = here.subscribe(EventFilter::all().class(EventClass::Dtmf));
    let heard = async {
        loop {
            SessionControl::send_dtmf(there, id, "5").await.unwrap();
            if let Ok(event) = tokio::time::timeout(Duration::from_secs(1), keys.recv()).await {
                return event.unwrap();
            }
        }
    };
    let event = tokio::time::timeout(PATIENCE, heard).await.expect("a key is heard");
    assert_eq!(event.kind, EventKind::DtmfReceived { digit: '5' });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_answered_held_resumed_and_ended() {
    let called = started_with(AutoAnswerHandler).await;
    let caller = started(builder()).await;
    let call = SessionControl::create_outgoing_call(&caller, "sip:alice@example.com", &uri("bob", &called), None)
        .await
        .unwrap();
    let id = call.id();
    assert!(!call.is_incoming() && call.from == "sip:alice@example.com", "{call:?}");
    let answered = SessionControl::wait_for_answer(&caller, id, PATIENCE).await.unwrap();
    assert_eq!((answered.id(), answered.state()), (id, SessionState::Connected));
    MediaControl::start_audio_transmission(&caller, id, AudioSource::Tone).await.unwrap();

    let there = SessionControl::list_active_sessions(&called).await.unwrap()[0];
    for _ in 0..200 {
        if packets_received(&called, &there).await > 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(packets_received(&called, &there).await > 20, "the called side hears the tone");

    SessionControl::hold_session(&caller, id).await.unwrap();
    assert_eq!(call.state(), SessionState::OnHold);
    let session_there = SessionControl::get_session(&called, &there).await.unwrap().unwrap();
    assert!(until(PATIENCE, || session_there.state() == SessionState::OnHold).await);
    SessionControl::resume_session(&caller, id).await.unwrap();
    assert_eq!(call.state(), SessionState::Connected);
    assert!(until(PATIENCE, || session_there.state() == SessionState::Connected).await);

    let mut keys = called.subscribe(EventFilter::all().class(EventClass::Dtmf));
    SessionControl::send_dtmf(&caller, id, "17#").await.unwrap();
    for key in ['1', '7', '#'] {
        let event = tokio::time::timeout(PATIENCE, keys.recv()).await.unwrap().unwrap();
        assert_eq!(event.kind, EventKind::DtmfReceived { digit: key });
    }

    SessionControl::terminate_session(&caller, id).await.unwrap();
    assert!(until(PATIENCE, || caller.stats().active_sessions + called.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_back_with_their_status() {
    let called = started_with(RejectHandler(486)).await;
    let caller = started(builder()).await;
    let call = SessionControl::create_outgoing_call(&caller, "", &uri("bob", &called), None).await.unwrap();
    // Also when it is over before anybody asks.
    for _ in 0..2 {
        let error = SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap_err();
        assert!(
            matches!(&error, SessionError::Rejected { status: 486, reason, .. } if reason == "Busy Here"),
            "{error}"
        );
        assert!(error.is_retryable());
        assert!(until(PATIENCE, || caller.stats().active_sessions == 0).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_call_can_be_given_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let caller = started(builder()).await;
    let to = format!("sip:nobody@{}", silent.local_addr().unwrap());
    let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    let error = SessionControl::wait_for_answer(&caller, call.id(), Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, SessionError::Timeout { .. }), "{error}");
    assert_eq!(call.state(), SessionState::Dialing);
    SessionControl::terminate_session(&caller, call.id()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_is_refused_at_once() {
    let caller = started(builder()).await;
    for bad in ["", "bob", "http://example.com", "sip:", "sip:bob@127.0.0.1\r\nEvil: 1", "mailto:bob@example.com"] {
        let error = SessionControl::create_outgoing_call(&caller, "", bad, None).await.unwrap_err();
        assert!(matches!(error, SessionError::InvalidUri(_)), "{bad:?}: {error}");
    }
    assert_eq!(caller.stats().active_sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_tcp_to_nobody_fails_at_once() {
    let port = loadtest::peers::free_port([127, 0, 0, 1].into()).unwrap();
    let caller = started(builder()).await;
    let to = format!("sip:bob@127.0.0.1:{port};transport=tcp");
    let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    let error = SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, SessionError::Rejected { status: 503, .. } | SessionError::Transport { .. }), "{error}");
    assert!(until(PATIENCE, || caller.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_tcp_is_answered() {
    let (called, caller) = (started_with(AutoAnswerHandler).await, started(builder()).await);
    let to = uri("bob", &called) + ";transport=tcp";
    let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap();
    SessionControl::terminate_session(&caller, call.id()).await.unwrap();
    assert!(until(PATIENCE, || caller.stats().active_sessions + called.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_answers_our_calls() {
    let folder = tempfile::tempdir().unwrap();
    let plan = SippPlan { scenario: Scenario::BuiltIn("uas"), ..SippPlan::default() };
    let sipp = Sipp::start(folder.path(), "uas", None, &plan).unwrap();
    let to = format!("sip:service@{}", sipp.address);
    assert!(until(PATIENCE, || UdpSocket::bind(sipp.address).is_err()).await);
    let caller = started(builder()).await;
    for _ in 0..10 {
        let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
        SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap();
        SessionControl::terminate_session(&caller, call.id()).await.unwrap();
    }
    assert!(until(PATIENCE, || caller.stats().active_sessions == 0).await);
    assert_eq!(caller.stats().completed_sessions, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_hear_each_other_over_a_bridge() {
    let office = started_with(AutoAnswerHandler).await;
    let (alice, bob) = (started(builder()).await, started(builder()).await);
    let mut bridges = office.subscribe_to_bridge_events().await;
    let mut calls = Vec::new();
    for phone in [&alice, &bob] {
        let call = SessionControl::create_outgoing_call(phone, "", &uri("office", &office), None).await.unwrap();
        calls.push(SessionControl::wait_for_answer(phone, call.id(), PATIENCE).await.unwrap());
    }
    let sessions = SessionControl::list_active_sessions(&office).await.unwrap();
    let bridge = office.bridge_sessions(&sessions[0], &sessions[1]).await.unwrap();
    assert_eq!(office.list_bridges().await.unwrap()[0].sessions.len(), 2);
    let third = office.add_session_to_bridge(&bridge, &sessions[0]).await;
    assert!(third.is_err(), "a bridge has two sides");

    // What Alice hears comes from Bob: digits of his cross as packets.
    assert_hears(&alice, &bob, calls[1].id()).await;

    SessionControl::terminate_session(&bob, calls[1].id()).await.unwrap();
    let mut seen = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(PATIENCE, bridges.recv()).await {
        let is_last = matches!(event, BridgeEvent::BridgeDestroyed { .. });
        seen.push(event);
        if is_last {
            break;
        }
    }
    assert!(matches!(seen[0], BridgeEvent::ParticipantAdded { bridge_id, .. } if bridge_id == bridge), "{seen:?}");
    let removed = seen.iter().filter(|event| matches!(event, BridgeEvent::ParticipantRemoved { .. })).count();
    assert_eq!(removed, 2, "{seen:?}");
    assert!(office.list_bridges().await.unwrap().is_empty());
    SessionControl::terminate_session(&alice, calls[0].id()).await.unwrap();
    assert!(until(PATIENCE, || office.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_sent_on_has_sound_on_both_sides_and_ends_on_both() {
    let called = started_with(AutoAnswerHandler).await;
    let between = started(builder().with_handler(Arc::new(Forwards(uri("bob", &called))))).await;
    let caller = started(builder()).await;
    for caller_hangs_up in [true, false] {
        let call = SessionControl::create_outgoing_call(&caller, "", &uri("anybody", &between), None).await.unwrap();
        SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap();
        let there = SessionControl::list_active_sessions(&called).await.unwrap()[0];
        assert_eq!(between.stats().active_sessions, 2);
        assert_hears(&called, &caller, call.id()).await;
        if caller_hangs_up {
            SessionControl::terminate_session(&caller, call.id()).await.unwrap();
        } else {
            SessionControl::terminate_session(&called, &there).await.unwrap();
        }
        let nobody = || [&caller, &between, &called].iter().all(|side| side.stats().active_sessions == 0);
        assert!(until(PATIENCE, nobody).await, "no side is left alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_crosses_and_a_forward_to_nowhere_is_not_found() {
    let called = started_with(RejectHandler(603)).await;
    for (to, status) in [(uri("bob", &called), 603), ("not an address".to_owned(), 404)] {
        let between = started(builder().with_handler(Arc::new(Forwards(to)))).await;
        let caller = started(builder()).await;
        let call = SessionControl::create_outgoing_call(&caller, "", &uri("x", &between), None).await.unwrap();
        let error = SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap_err();
        assert!(matches!(error, SessionError::Rejected { status: got, .. } if got == status), "{error}");
        assert!(until(PATIENCE, || between.stats().active_sessions == 0).await);
    }
}

/// Alice has Bob on the phone and hands him to Carol.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_transferred_blind_and_attended() {
    for attended in [false, true] {
        let (bob, carol) = (started_with(AutoAnswerHandler).await, started_with(AutoAnswerHandler).await);
        let alice = started(builder()).await;
        let call = SessionControl::create_outgoing_call(&alice, "", &uri("bob", &bob), None).await.unwrap();
        SessionControl::wait_for_answer(&alice, call.id(), PATIENCE).await.unwrap();
        if attended {
            SessionControl::hold_session(&alice, call.id()).await.unwrap();
            let other = SessionControl::create_outgoing_call(&alice, "", &uri("carol", &carol), None).await.unwrap();
            SessionControl::wait_for_answer(&alice, other.id(), PATIENCE).await.unwrap();
            SessionControl::attended_transfer(&alice, call.id(), other.id()).await.unwrap();
        } else {
            SessionControl::transfer_session(&alice, call.id(), &uri("carol", &carol)).await.unwrap();
        }
        let moved = || {
            let counts = [&alice, &bob, &carol].map(|side| side.stats().active_sessions);
            counts == [0, 1, 1]
        };
        assert!(until(PATIENCE, moved).await, "attended: {attended}: {alice:?} {bob:?} {carol:?}");
        // Bob and Carol talk: Bob's keys reach Carol.
        let at_bob = SessionControl::list_active_sessions(&bob).await.unwrap()[0];
        assert_hears(&carol, &bob, &at_bob).await;
        SessionControl::terminate_session(&bob, &at_bob).await.unwrap();
        assert!(until(PATIENCE, || carol.stats().active_sessions == 0).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_to_somebody_busy_brings_the_call_back() {
    let (bob, carol) = (started_with(AutoAnswerHandler).await, started_with(RejectHandler(486)).await);
    let alice = started(builder()).await;
    let call = SessionControl::create_outgoing_call(&alice, "", &uri("bob", &bob), None).await.unwrap();
    SessionControl::wait_for_answer(&alice, call.id(), PATIENCE).await.unwrap();
    let error = SessionControl::transfer_session(&alice, call.id(), &uri("carol", &carol)).await.unwrap_err();
    assert!(matches!(error, SessionError::Rejected { status: 486, .. }), "{error}");
    assert_eq!(call.state(), SessionState::Connected);
    SessionControl::send_dtmf(&alice, call.id(), "1").await.unwrap();
    SessionControl::terminate_session(&alice, call.id()).await.unwrap();
    assert!(until(PATIENCE, || bob.stats().active_sessions == 0).await);
}

/// Answers with a tone, and keeps what every call has counted in all.
struct Counts(std::sync::Mutex<Vec<Option<MediaStatistics>>>);

#[async_trait]
impl CallHandler for Counts {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        MediaControl::start_audio_transmission(&coordinator, call.id(), AudioSource::Tone).await.unwrap();
    }

    async fn on_call_ended(&self, call: CallSession, _: &str) {
        let counted = call.media_statistics().await;
        self.0.lock().unwrap().push(counted);
    }
}

/// A host has several addresses more often than not. Media comes from the one that the description names, whichever the
/// host would have chosen; and its numbers are there when the call is over.
#[tokio::test(flavor = "multi_thread")]
async fn media_comes_from_the_address_of_sip_and_is_counted_to_the_end() {
    let counts = Arc::new(Counts(std::sync::Mutex::default()));
    let elsewhere = "127.0.0.3:0".parse().unwrap();
    let called = started(builder().with_local_bind_addr(elsewhere).with_handler(counts.clone())).await;
    let caller = started(builder()).await;
    let call = SessionControl::create_outgoing_call(&caller, "", &uri("bob", &called), None).await.unwrap();
    SessionControl::wait_for_answer(&caller, call.id(), PATIENCE).await.unwrap();
    let media = MediaControl::get_media_info(&caller, call.id()).await.unwrap().unwrap();
    assert_eq!(media.remote_rtp_address.ip().unwrap(), called.local_addr().unwrap().ip());
    assert_hears(&called, &caller, call.id()).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    while packets_received(&caller, call.id()).await == 0 {
        assert!(tokio::time::Instant::now() < end, "nothing is heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    SessionControl::terminate_session(&caller, call.id()).await.unwrap();
    assert!(until(PATIENCE, || !counts.0.lock().unwrap().is_empty()).await);
    let counted = counts.0.lock().unwrap()[0].expect("there was media");
    assert!(counted.packets_received > 0 && counted.packets_sent > 0, "{counted:?}");
}
