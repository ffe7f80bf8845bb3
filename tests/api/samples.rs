//! Shapes of programs that users of other session libraries have: they compile here with the crate's name changed, and do
//! what they did.

use crate::fixture::{builder, started, until};
use ringplane::api::errors::SessionError;
use ringplane::api::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn uri(user: &str, coordinator: &SessionCoordinator) -> String {
    format!("sip:{user}@{}", coordinator.local_addr().unwrap())
}

/// Numbers of a call, as the handler is told.
type Told = Arc<Mutex<Vec<(SessionId, f32, MediaQualityAlertLevel)>>>;

#[derive(Debug)]
struct Watcher(Told);

#[async_trait]
impl CallHandler for Watcher {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        if call.to.contains("defer") { CallDecision::Defer } else { CallDecision::Accept(None) }
    }

    async fn on_call_established(&self, call: CallSession, _: Option<String>, _: Option<String>) {
        let coordinator = call.coordinator();
        MediaControl::start_audio_transmission(&coordinator, &call.id, AudioSource::Tone).await.unwrap();
    }

    async fn on_media_quality(&self, id: &SessionId, mos: f32, loss: f32, level: MediaQualityAlertLevel) {
        assert!((0.0..=100.0).contains(&loss));
        self.0.lock().unwrap().push((*id, mos, level));
    }

    async fn on_call_ended(&self, call: CallSession, reason: &str) {
        println!("{} ended: {reason}", call.id());
    }
}

/// What a program tells its user about an error, by the words that such programs match on.
fn explain(error: &SessionError) -> String {
    match error {
        SessionError::InvalidUri(uri) => format!("{uri} is no address"),
        SessionError::SessionNotFound(id) => format!("{id} is gone"),
        SessionError::ResourceExhausted => "busy".into(),
        other => other.to_string(),
    }
}

async fn call(from: &Arc<SessionCoordinator>, to: &SessionCoordinator, user: &str) -> Result<CallSession> {
    let session = SessionControl::create_outgoing_call(from, "sip:me@127.0.0.1", &uri(user, to), None).await?;
    SessionControl::wait_for_answer(from, &session.id, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_the_few_keys_prints_where_media_flows_and_hears_how_it_sounds() -> Result<()> {
    let first = loadtest::peers::free_range([127, 0, 0, 1].into(), 100).expect("free ports");
    let config = SessionManagerConfig {
        local_bind_addr: "127.0.0.1:0".parse().unwrap(),
        media_port_start: first,
        media_port_end: first + 99,
        ..Default::default()
    };
    let told = Told::default();
    let here = SessionCoordinator::new(config, Some(Arc::new(Watcher(told.clone())))).await?;
    SessionControl::start(&here).await?;
    let there = started(builder().with_handler(Arc::new(Watcher(Told::default())))).await;
    let session = call(&here, &there, "bob").await?;
    assert_eq!(session.id, *session.id());

    let media = MediaControl::get_media_info(&here, &session.id).await?.expect("media flows");
    let words = format!("{}:{}", media.local_rtp_address, media.local_rtp_port);
    assert_eq!(Some(words.parse().unwrap()), media.local_rtp());
    assert!(media.to_string().contains(&words), "{media}");

    let mut events = here.subscribe(EventFilter::all().session(session.id).class(EventClass::Quality));
    let every = Duration::from_millis(50);
    // Dropped: the handler and the events are told all the same.
    drop(MediaControl::start_statistics_monitoring(&here, &session.id, every).await?);
    let rated = |id| told.lock().unwrap().iter().any(|(rated, mos, _)| *rated == id && *mos > 1.0);
    assert!(until(PATIENCE, || rated(session.id)).await, "the handler hears how the call sounds");
    let heard = tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event").expect("it goes on");
    assert!(matches!(heard.kind, EventKind::MediaQuality { .. }), "{heard:?}");
    assert_eq!((&*heard.to, heard.session_id), (uri("bob", &there).as_str(), session.id));

    SessionControl::terminate_session(&here, &session.id).await?;
    assert!(until(PATIENCE, || here.stats().active_sessions == 0).await);
    let gone = SessionControl::hold_session(&here, &session.id).await.unwrap_err();
    assert_eq!(explain(&gone), format!("{} is gone", session.id));
    let wrong = SessionControl::create_outgoing_call(&here, "", "nonsense", None).await.unwrap_err();
    assert_eq!(explain(&wrong), "nonsense is no address");
    SessionControl::stop(&there).await?;
    SessionControl::stop(&here).await?;
    // A call does not keep its coordinator: what it gives afterwards knows no session, and does not start.
    drop(here);
    let gone = session.coordinator();
    assert!(matches!(gone.get_session(&session.id).await, Ok(None)));
    assert!(gone.start().await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_declined_with_a_reason_gets_603_and_a_third_one_in_a_bridge_is_told_which() -> Result<()> {
    let waiting = Arc::new(Mutex::new(Vec::new()));
    struct Keeps(Arc<Mutex<Vec<IncomingCall>>>);
    #[async_trait]
    impl CallHandler for Keeps {
        async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
            if call.to.contains("accept") {
                return CallDecision::Accept(None);
            }
            self.0.lock().unwrap().push(call);
            CallDecision::Defer
        }
    }
    let there = started(builder().with_handler(Arc::new(Keeps(waiting.clone())))).await;
    let here = started(builder()).await;
    let mut bridges = here.subscribe_to_bridge_events().await;

    let session = SessionControl::create_outgoing_call(&here, "", &uri("defer", &there), None).await?;
    assert!(until(PATIENCE, || !waiting.lock().unwrap().is_empty()).await);
    let incoming = waiting.lock().unwrap().remove(0);
    SessionControl::reject_incoming_call(&there, &incoming, "why").await?;
    let refused = SessionControl::wait_for_answer(&here, &session.id, PATIENCE).await.unwrap_err();
    let SessionError::Rejected { status: 603, .. } = refused else { panic!("{refused}") };

    let [a, b, c] = [
        call(&here, &there, "accept").await?,
        call(&here, &there, "accept").await?,
        call(&here, &there, "accept").await?,
    ];
    let bridge = here.bridge_sessions_together(&a.id, &b.id).await?;
    let full = here.add_session_to_bridge(&bridge, &c.id).await.unwrap_err();
    assert_eq!(explain(&full), "busy");
    let resource = full.context().resource.expect("it says what");
    assert!(resource.what.contains(&bridge.to_string()) && resource.limit == 2, "{resource:?}");
    assert!(full.to_string().contains(&bridge.to_string()), "{full}");

    // One of the two hangs up: the other one ends too, and the third one goes on.
    SessionControl::terminate_session(&here, &a.id).await?;
    assert!(until(PATIENCE, || b.state() == SessionState::Terminated).await);
    assert_eq!((a.state(), c.state()), (SessionState::Terminated, SessionState::Connected));
    let first = tokio::time::timeout(PATIENCE, bridges.recv()).await.expect("an event").expect("it goes on");
    let text = serde_json::to_string(&first).unwrap();
    assert!(text.contains(&format!(r#""bridge_id":"{bridge}""#)), "{text}");
    SessionControl::stop(&here).await?;
    SessionControl::stop(&there).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_natively() -> Result<()> {
    let there = started(builder().with_handler(Arc::new(AutoAnswerHandler))).await;
    let here = started(builder()).await;
    let bob = here.call(uri("bob", &there)).from("sip:alice@127.0.0.1").await?;
    let ann = here.call(uri("ann", &there)).await?;
    let mut events = bob.events();
    bob.answered(PATIENCE).await?;
    ann.answered(PATIENCE).await?;
    assert_eq!((bob.from.as_str(), bob.state()), ("sip:alice@127.0.0.1", SessionState::Connected));
    bob.play(AudioSource::Tone).await?;
    bob.hold().await?;
    assert_eq!(bob.state(), SessionState::OnHold);
    bob.resume().await?;
    bob.mute().await?;
    bob.unmute().await?;
    bob.send_dtmf("1").await?;
    let bridge = bob.bridge(&ann).ends_together().await?;
    assert_eq!(here.list_bridges().await?.iter().map(|info| info.id).collect::<Vec<_>>(), [bridge]);
    ann.hang_up().await?;
    assert!(until(PATIENCE, || bob.state() == SessionState::Terminated).await);
    let mut kinds = Vec::new();
    while let Some(event) = events.try_recv() {
        assert_eq!(event.session_id, bob.id);
        kinds.push(event.kind);
    }
    assert!(kinds.iter().any(|kind| matches!(kind, EventKind::HoldChanged { here: true, .. })), "{kinds:?}");
    assert!(bob.hold().await.is_err());
    SessionControl::stop(&here).await?;
    SessionControl::stop(&there).await
}
