//! What handlers decide, and what callers get.

use crate::fixture::{builder, callers, sipp, started, started_with, until};
use loadtest::callers::CallPlan;
use loadtest::peers::{Scenario, SippPlan, free_range};
use ringplane::api::*;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn plan(calls: u32) -> SippPlan {
    SippPlan { rate: 50, calls, ..SippPlan::default() }
}

/// The status that a caller of `to` gets.
async fn status_of_a_call(to: SocketAddr) -> u16 {
    let folder = tempfile::tempdir().unwrap();
    let result = sipp(folder.path(), to, plan(1)).await;
    if result.count("SuccessfulCall") == 1 {
        return 200;
    }
    let (_, status) = result.errors.split_once("received 'SIP/2.0 ").expect("SIPp shows what it received");
    status.get(..3).and_then(|status| status.parse().ok()).expect("a status")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_lines_answer_calls_with_sound() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = SessionConfig::server("127.0.0.1:0")?;
    let first = free_range([127, 0, 0, 1].into(), 200)?;
    config.media_ports = (first, first + 199);
    let manager = SessionManager::new(config).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:0".parse()?).await?;

    let address = manager.local_addr().expect("it listens");
    let folder = tempfile::tempdir()?;
    sipp(folder.path(), address, plan(100)).await.assert_all_good(100);
    let coordinator = manager.coordinator();
    assert!(until(Duration::from_secs(60), || coordinator.stats().active_sessions == 0).await);
    assert_eq!(coordinator.stats().completed_sessions, 100);
    manager.shutdown(Duration::from_secs(10)).await?;
    assert_eq!(manager.local_addr(), None);
    std::net::UdpSocket::bind(address)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_its_status() {
    let coordinator = started_with(RejectHandler(603)).await;
    assert_eq!(status_of_a_call(coordinator.local_addr().unwrap()).await, 603);
}

struct Panics;

#[async_trait]
impl CallHandler for Panics {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        if call.called_user == "bad" {
            panic!("a handler's own mistake");
        }
        CallDecision::Accept(None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_costs_its_own_call() {
    let coordinator = started_with(Panics).await;
    let address = coordinator.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bad = sipp(folder.path(), address, SippPlan { user: "bad".into(), ..plan(1) }).await;
    assert!(bad.errors.contains("SIP/2.0 500"), "{}", bad.errors);
    sipp(folder.path(), address, plan(20)).await.assert_all_good(20);
}

struct Hangs;

#[async_trait]
impl CallHandler for Hangs {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_hangs_costs_its_own_call() {
    let limit = Duration::from_millis(300);
    let coordinator = started(builder().with_handler(Arc::new(Hangs)).with_handler_timeout(limit)).await;
    assert_eq!(status_of_a_call(coordinator.local_addr().unwrap()).await, 500);
}

/// Defers every call and remembers it.
#[derive(Default)]
struct Defers(Arc<Mutex<Vec<IncomingCall>>>);

#[async_trait]
impl CallHandler for Defers {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        self.0.lock().unwrap().push(call);
        CallDecision::Defer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_call_is_decided_from_anywhere() {
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let coordinator = started_with(Defers(waiting.clone())).await;
    let address = coordinator.local_addr().unwrap();
    let deciding = coordinator.clone();
    let decider = tokio::spawn(async move {
        for accept in [true, false] {
            assert!(until(Duration::from_secs(60), || !waiting.lock().unwrap().is_empty()).await);
            let call = waiting.lock().unwrap().remove(0);
            assert!(call.sdp.as_deref().is_some_and(|sdp| sdp.starts_with("v=0")), "{call:?}");
            assert!(call.headers["Via"].contains("branch=") && call.from.starts_with("sip:"), "{call:?}");
            if accept {
                let session = SessionControl::accept_incoming_call(&deciding, &call, None).await.unwrap();
                assert_eq!((session.id, session.is_incoming()), (call.id, true));
            } else {
                SessionControl::reject_incoming_call_with(&deciding, &call, 488, "").await.unwrap();
                let again = SessionControl::reject_incoming_call_with(&deciding, &call, 488, "").await.unwrap_err();
                let is_over = matches!(again, SessionError::SessionNotFound(_) | SessionError::InvalidState { .. });
                assert!(is_over && !again.is_retryable() && again.context().session_id == Some(call.id), "{again}");
            }
        }
    });
    assert_eq!(status_of_a_call(address).await, 200);
    assert_eq!(status_of_a_call(address).await, 488);
    decider.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_decides_on_is_refused() {
    let defers = builder().with_handler(Arc::new(Defers::default()));
    let coordinator = started(defers.with_decision_timeout(Duration::from_secs(1))).await;
    assert_eq!(status_of_a_call(coordinator.local_addr().unwrap()).await, 480);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_that_decides_wins() {
    let metrics = Arc::new(MetricsHandler::default());
    let handler = CompositeHandler::new()
        .add(Arc::new(AutoAnswerHandler), 0)
        .add(metrics.clone(), 10)
        .add(Arc::new(LoggingHandler), 5);
    let coordinator = started_with(handler).await;
    let folder = tempfile::tempdir().unwrap();
    sipp(folder.path(), coordinator.local_addr().unwrap(), plan(10)).await.assert_all_good(10);
    let all = CallMetrics { incoming: 10, established: 10, ended: 10 };
    assert!(until(Duration::from_secs(60), || metrics.metrics() == all).await, "{:?}", metrics.metrics());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_is_busy() {
    let handler =
        CompositeHandler::new().add(Arc::new(CapacityLimitHandler::new(5)), 1).add(Arc::new(AutoAnswerHandler), 0);
    let coordinator = started_with(handler).await;
    let hold = clock::Duration::from_secs(3);
    let plan = CallPlan { calls: 10, rate: 100.0, hold, ..CallPlan::signaling(coordinator.local_addr().unwrap()) };
    let report = callers(plan).await;
    assert_eq!((report.completed, report.failed_count()), (5, 5), "{}", report.to_text());
    assert!(report.failed.keys().any(|why| why.contains("486")), "{}", report.to_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_course_of_a_call_is_told_and_its_media_measured() {
    let coordinator = started_with(AutoAnswerHandler).await;
    let mut events = coordinator.subscribe(EventFilter::all());
    let hold = clock::Duration::from_secs(3);
    let address = coordinator.local_addr().unwrap();
    let caller = tokio::spawn(callers(CallPlan { calls: 1, hold, ..CallPlan::tone(address) }));
    let mut seen = Vec::new();
    let mut statistics = None;
    while let Some(event) = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap() {
        let id = event.session_id;
        if let EventKind::StateChanged { new: SessionState::Connected, .. } = event.kind {
            let info = MediaControl::get_media_info(&coordinator, &id).await.unwrap().expect("media");
            assert_eq!((info.codec, info.direction), (Some(Codec::Pcmu), MediaDirection::SendReceive));
            let mut monitor =
                MediaControl::start_statistics_monitoring(&coordinator, &id, Duration::from_millis(100)).await.unwrap();
            statistics = Some(tokio::spawn(async move {
                let mut last = None;
                while let Some(statistics) = monitor.recv().await {
                    last = Some(statistics);
                }
                last
            }));
        }
        let is_end = matches!(event.kind, EventKind::Ended { .. });
        seen.push(event);
        if is_end {
            break;
        }
    }
    caller.await.unwrap();
    let states: Vec<_> = seen
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::StateChanged { new, .. } => Some(new),
            _ => None,
        })
        .collect();
    use SessionState::*;
    assert_eq!(states, [Ringing, Connected, Terminating, Terminated]);
    assert!(matches!(seen[0].kind, EventKind::IncomingCall { .. }), "{seen:?}");
    assert!(seen.iter().all(|event| event.correlation_id == seen[0].correlation_id));
    let statistics = statistics.unwrap().await.unwrap().expect("statistics came");
    assert!(statistics.packets_received > 50 && statistics.packets_sent > 50, "{statistics:?}");
    let quality = statistics.quality_metrics.expect("packets came");
    assert!(quality.packet_loss_percent < 1.0 && quality.mos_score.is_some_and(|mos| mos > 4.0), "{quality:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_and_drop_say_bye() {
    for by_drop in [true, false] {
        let coordinator = started_with(AutoAnswerHandler).await;
        let address = coordinator.local_addr().unwrap();
        let hold = clock::Duration::from_secs(60);
        let caller = tokio::spawn(callers(CallPlan { calls: 5, rate: 50.0, hold, ..CallPlan::tone(address) }));
        let mut events = coordinator.subscribe(EventFilter::all());
        let mut up = 0;
        while up < 5 {
            let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await.unwrap().unwrap();
            up += u32::from(matches!(event.kind, EventKind::StateChanged { new: SessionState::Connected, .. }));
        }
        if by_drop {
            drop(coordinator);
        } else {
            SessionControl::stop(&coordinator).await.unwrap();
        }
        let report = caller.await.unwrap();
        assert_eq!(report.failed.get("ended by the switch"), Some(&5), "{}", report.to_text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gives_up_while_it_rings() {
    let coordinator = started_with(Defers::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest/scenarios/cancel_ringing.xml");
    let plan = SippPlan { scenario: Scenario::File(file.into()), ..plan(20) };
    sipp(folder.path(), coordinator.local_addr().unwrap(), plan).await.assert_all_good(20);
    assert!(until(Duration::from_secs(60), || coordinator.stats().active_sessions == 0).await);
    assert_eq!(coordinator.stats().failed_sessions, 20);
}

/// Keeps the calls that come, for the test to decide about them.
struct Keeps(tokio::sync::mpsc::UnboundedSender<IncomingCall>);

#[async_trait]
impl CallHandler for Keeps {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        self.0.send(call).unwrap();
        CallDecision::Defer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_call_that_was_accepted_is_up_and_can_be_played_to() {
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let called = started_with(Keeps(sender)).await;
    let caller = started(builder()).await;
    let to = format!("sip:queue@{}", called.local_addr().unwrap());
    let placed = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    let call = calls.recv().await.unwrap();
    let accepted = SessionControl::accept_incoming_call(&called, &call, None).await.unwrap();
    assert_eq!(accepted.state(), SessionState::Connected);
    MediaControl::start_audio_transmission(&called, &call.id, AudioSource::Tone).await.unwrap();

    let patience = Duration::from_secs(60);
    SessionControl::wait_for_answer(&caller, placed.id(), patience).await.unwrap();
    let media = MediaControl::get_media_info(&caller, placed.id()).await.unwrap().unwrap();
    let there = MediaControl::get_media_info(&called, &call.id).await.unwrap().unwrap();
    assert_eq!((media.remote_rtp(), media.direction), (there.local_rtp(), MediaDirection::SendReceive));
}
