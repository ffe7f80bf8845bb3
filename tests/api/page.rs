//! The page that describes the API to its users: each block of code as it stands there, and every name.

use crate::fixture::{builder, until};
use loadtest::peers::free_range;
use ringplane::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// On free ports.
fn config() -> SessionConfig {
    let first = free_range([127, 0, 0, 1].into(), 100).expect("free ports");
    let mut config = SessionConfig::server("127.0.0.1:0").expect("an address");
    config.media_ports = (first, first + 99);
    config
}

/// The three lines; `tests/examples.rs` runs them, on this very port.
#[expect(dead_code, reason = "it is enough that it compiles")]
async fn three_lines() -> Result<(), Box<dyn std::error::Error>> {
    let manager = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:5060".parse()?).await?;
    Ok(())
}

struct MyHandler;

#[async_trait]
impl CallHandler for MyHandler {
    async fn on_incoming_call(&self, call: IncomingCall) -> CallDecision {
        let IncomingCall { id: _, from, to: _, sdp: _, headers: _, received_at: _, .. } = call;
        match from.as_str() {
            "accept" => CallDecision::Accept(None),
            "reject" => CallDecision::Reject { status: 486, reason: "Busy Here".into() },
            "forward" => CallDecision::Forward("sip:bob@127.0.0.1".into()),
            _ => CallDecision::Defer,
        }
    }
    async fn on_call_established(&self, call: CallSession, local_sdp: Option<String>, remote_sdp: Option<String>) {
        let _ = (call.id(), call.state(), call.duration(), &call.from, &call.to, call.coordinator());
        let _ = (local_sdp, remote_sdp);
    }
    async fn on_call_ended(&self, _: CallSession, _: &str) {}
    async fn on_session_state_changed(&self, _: &SessionId, _: SessionState, _: SessionState) {}
    async fn on_media_established(&self, _: CallSession, _: Option<MediaInfo>) {}
    async fn on_media_paused(&self, _: CallSession) {}
    async fn on_media_resumed(&self, _: CallSession) {}
    async fn on_media_terminated(&self, _: CallSession) {}
    async fn on_dtmf(&self, _: CallSession, _: char) {}
    async fn on_quality_changed(&self, _: CallSession, _: QualityChange) {}
    async fn on_transfer_requested(&self, _: CallSession, _: &str) {}
    async fn on_transfer_started(&self, _: CallSession, _: SessionId) {}
    async fn on_transfer_accepted(&self, _: CallSession) {}
    async fn on_transfer_failed(&self, _: CallSession, _: u16) {}
    async fn on_reinvite_received(&self, _: CallSession, _: Option<String>) {}
    async fn on_dialog_created(&self, _: CallSession, _: DialogId) {}
    async fn on_dialog_terminated(&self, _: CallSession, _: DialogId) {}
    async fn on_terminated_by_remote(&self, _: CallSession, _: &str) {}
}

#[tokio::test]
async fn the_builder_takes_every_key() -> Result<(), Box<dyn std::error::Error>> {
    let coordinator: Arc<SessionCoordinator> = SessionManagerBuilder::new()
        .with_sip_port(5060)
        .with_local_bind_addr("203.0.113.10:5060".parse()?)
        .with_local_address("sip:pbx@example.com")
        .with_public_address("198.51.100.7")
        .with_rtp_port_range(10_000, 20_000)
        .with_max_sessions(1_000)
        .with_session_timeout(Duration::from_secs(3_600))
        .with_per_user_limit(4)
        .with_codecs([Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma])
        .with_tls(TlsConfig { ..TlsConfig::default() })
        .with_credentials(Credentials::new("realm", "user", "secret"))
        .with_handler(Arc::new(MyHandler))
        .build()
        .await?;
    assert_eq!((coordinator.local_addr(), coordinator.stats().max_sessions), (None, 1_000));
    // It stands for an address of another host: this one says so, and how to mend it.
    let error = SessionControl::start(&coordinator).await.unwrap_err();
    assert!(error.to_string().contains("203.0.113.10:5060") && !error.hint().is_empty(), "{error}");
    SessionControl::stop(&coordinator).await?;
    Ok(())
}

/// Every operation that the page names, as it is called there.
#[expect(dead_code, reason = "it is enough that it compiles")]
async fn every_name(c: Arc<SessionCoordinator>, id: SessionId, other: SessionId) -> Result<(), SessionError> {
    let call: CallSession = SessionControl::create_outgoing_call(&c, "", "sip:bob@127.0.0.1", None).await?;
    let _: CallSession = SessionControl::wait_for_answer(&c, call.id(), PATIENCE).await?;
    SessionControl::hold_session(&c, &id).await?;
    SessionControl::resume_session(&c, &id).await?;
    SessionControl::transfer_session(&c, &id, "sip:carol@127.0.0.1").await?;
    SessionControl::attended_transfer(&c, &id, &other).await?;
    SessionControl::send_dtmf(&c, &id, "123#").await?;
    SessionControl::mute(&c, &id).await?;
    SessionControl::unmute(&c, &id).await?;
    SessionControl::terminate_session(&c, &id).await?;
    let _: Option<CallSession> = SessionControl::get_session(&c, &id).await?;
    let _: Vec<SessionId> = SessionControl::list_active_sessions(&c).await?;
    let _: SessionStats = SessionControl::get_stats(&c).await?;

    let offer: String = MediaControl::generate_sdp_offer(&c, &id).await?;
    let _: String = MediaControl::generate_sdp_answer(&c, &id, &offer).await?;
    MediaControl::establish_media_flow(&c, &id, "127.0.0.1:20000").await?;
    if let Some(MediaInfo {
        local_rtp_address,
        local_rtp_port,
        remote_rtp_address,
        remote_rtp_port,
        codec,
        direction,
    }) = MediaControl::get_media_info(&c, &id).await?
    {
        let _ = (local_rtp_address, local_rtp_port, remote_rtp_address, remote_rtp_port, codec, direction);
    }
    if let Some(MediaStatistics { quality_metrics: Some(quality), .. }) =
        MediaControl::get_media_statistics(&c, &id).await?
    {
        let QualityMetrics { mos_score, packet_loss_percent, jitter_ms, round_trip_time_ms, .. } = quality;
        let _: (Option<f64>, f64, f64, f64) = (mos_score, packet_loss_percent, jitter_ms, round_trip_time_ms);
    }
    let mut monitor = MediaControl::start_statistics_monitoring(&c, &id, Duration::from_secs(1)).await?;
    let _: Option<MediaStatistics> = monitor.recv().await;
    MediaControl::start_audio_transmission(&c, &id, AudioSource::Tone).await?;
    MediaControl::stop_audio_transmission(&c, &id).await?;
    MediaControl::set_muted(&c, &id, true).await?;
    MediaControl::start_recording(&c, &id, RecordingOptions::stereo("call.wav")).await?;
    let _: RecordingSummary = MediaControl::stop_recording(&c, &id).await?;
    MediaControl::change_codec(&c, &id, Codec::Pcma).await?;

    let bridge: BridgeId = c.bridge_sessions(&id, &other).await?;
    let made: BridgeId = c.create_bridge().await?;
    c.add_session_to_bridge(&made, &id).await?;
    c.remove_session_from_bridge(&made, &id).await?;
    c.destroy_bridge(&bridge).await?;
    let _: Vec<BridgeInfo> = c.list_bridges().await?;
    let mut bridges: Receiver<BridgeEvent> = c.subscribe_to_bridge_events().await;
    match bridges.recv().await {
        Some(BridgeEvent::ParticipantAdded { bridge_id, session_id }) => {
            let _ = (bridge_id, session_id);
        }
        Some(BridgeEvent::ParticipantRemoved { bridge_id, session_id, reason }) => {
            drop((bridge_id, session_id, reason));
        }
        Some(BridgeEvent::BridgeDestroyed { bridge_id }) => {
            let _ = bridge_id;
        }
        None => {}
    }
    let _: Receiver<SessionEvent> = c.subscribe(EventFilter::all());
    let _: CompositeHandler = CompositeHandler::new().add(Arc::new(MyHandler), 1);
    Ok(())
}

#[test]
fn states_go_the_way_that_the_page_draws() {
    use SessionState::*;
    let way = [Initializing, Dialing, Ringing, Connected, Transferring, Terminating, Terminated];
    assert!(way.windows(2).all(|step| step[0].can_transition_to(step[1])));
    assert!(Connected.can_transition_to(OnHold) && OnHold.can_transition_to(Connected));
    assert!(!Ringing.can_transition_to(OnHold) && Terminated.is_final() && !Terminating.is_final());
    assert!(Connected.allows(Operation::Hold) && !Ringing.allows(Operation::Hold));
}

#[tokio::test]
async fn errors_tell_what_the_page_says() {
    let coordinator = builder().build().await.unwrap();
    let error = SessionControl::create_outgoing_call(&coordinator, "", "nonsense", None).await.unwrap_err();
    assert!(matches!(error, SessionError::InvalidUri(_)), "{error}");
    assert_eq!((error.category(), error.is_retryable()), (ErrorCategory::Usage, false));
    let context: ErrorContext = error.context();
    assert!(context.session_id.is_none() && context.state.is_none() && !error.hint().is_empty());
    let class = |error: &SessionError| match error {
        SessionError::InvalidUri(_) | SessionError::SessionNotFound(_) | SessionError::InvalidState { .. } => 1,
        SessionError::ResourceExhausted => 2,
        SessionError::Timeout { .. } | SessionError::Rejected { status: _, reason: _, .. } => 3,
        SessionError::Transport { .. } | SessionError::Media { .. } | SessionError::Protocol { .. } => 4,
        SessionError::Config { .. } => 5,
    };
    assert_eq!(class(&error), 1);
    SessionControl::stop(&coordinator).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_events_of_its_own() {
    let server = create_sip_server(config()).await.unwrap();
    server.set_call_handler(Arc::new(AutoAnswerHandler));
    let client = create_sip_client(config()).await.unwrap();
    let mut calls = server.subscribe(EventFilter::all().class(EventClass::Incoming));
    let call = client.make_call("", &format!("sip:bob@{}", server.local_addr().unwrap())).await.unwrap();
    client.wait_for_answer(call.id(), PATIENCE).await.unwrap();
    assert_eq!(calls.recv().await.unwrap().correlation_id.as_ref(), call.call_id(), "one name on both sides");

    // They come in order with those of the switch, to every subscriber.
    let mut own = client.subscribe(EventFilter::all().class(EventClass::Custom).class(EventClass::Ended));
    client.coordinator().publish_event(call.id(), "note", "so far so good").unwrap();
    let long = "x".repeat(CUSTOM_EVENT_BYTES_MAX + 1);
    assert!(client.coordinator().publish_event(call.id(), long, "").is_err());
    client.end_call(call.id()).await.unwrap();
    let told = own.recv().await.unwrap();
    assert_eq!(told.kind, EventKind::Custom { name: "note".into(), detail: "so far so good".into() });
    let again: SessionEvent = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
    assert_eq!((again, told.correlation_id.as_ref()), (told.clone(), call.call_id()));
    let ended = async { while !matches!(own.recv().await.unwrap().kind, EventKind::Ended { .. }) {} };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert!(client.coordinator().publish_event(call.id(), "too", "late").is_err());

    assert!(until(PATIENCE, || server.coordinator().stats().active_sessions == 0).await);
    client.shutdown(PATIENCE).await.unwrap();
    server.shutdown(PATIENCE).await.unwrap();
    assert_eq!(server.local_addr(), None);
}
