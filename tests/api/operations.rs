//! What programs do with calls that are up, and what their callers notice.

use crate::fixture::{builder, callers, started, until};
use loadtest::callers::CallPlan;
use ringplane::api::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers, and hands every call that is up to the test.
struct Hands(tokio::sync::mpsc::UnboundedSender<CallSession>);

#[async_trait]
impl CallHandler for Hands {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }

    async fn on_call_established(&self, call: CallSession, local: Option<String>, remote: Option<String>) {
        assert!(local.is_some_and(|sdp| sdp.contains("m=audio")) && remote.is_some_and(|sdp| sdp.contains("m=audio")));
        let _ = self.0.send(call);
    }
}

async fn started_recordable() -> (Arc<SessionCoordinator>, tokio::sync::mpsc::UnboundedReceiver<CallSession>) {
    let (sender, calls) = tokio::sync::mpsc::unbounded_channel();
    (started(builder().with_handler(Arc::new(Hands(sender)))).await, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_changes_in_the_middle_of_a_call() {
    let (coordinator, mut calls) = started_recordable().await;
    let hold = clock::Duration::from_secs(3);
    let plan = CallPlan { calls: 1, hold, ..CallPlan::tone(coordinator.local_addr().unwrap()) };
    let caller = tokio::spawn(callers(plan));
    let call = calls.recv().await.unwrap();
    for source in [AudioSource::Tone, AudioSource::Echo, AudioSource::Ringing, AudioSource::Prompt("play".into())] {
        MediaControl::start_audio_transmission(&coordinator, call.id(), source).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let report = caller.await.unwrap();
    assert_eq!((report.completed, report.failed_count()), (1, 0), "{}", report.to_text());
    // One stream, whatever is heard in it: no hole in its numbers, and its time jumps at most where the source changes.
    assert!(report.media.generated > 120, "{}", report.to_text());
    // Echoed packets carry the caller's own content under our numbers, so they count as changed and leave a gap of just
    // as many.
    let media = &report.media;
    assert!(media.damaged > 10 && media.holes == media.damaged && media.odd_steps <= 4, "{}", report.to_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_state_is_refused_and_changes_nothing() {
    let (coordinator, mut calls) = started_recordable().await;
    let hold = clock::Duration::from_secs(3);
    let plan = CallPlan { calls: 1, hold, ..CallPlan::tone(coordinator.local_addr().unwrap()) };
    let caller = tokio::spawn(callers(plan));
    let call = calls.recv().await.unwrap();
    let id = call.id;
    let error = SessionControl::resume_session(&coordinator, &id).await.unwrap_err();
    let SessionError::InvalidState { operation, state, allowed, context } = error.clone() else { panic!("{error}") };
    assert_eq!((operation, state), (Operation::Resume, SessionState::Connected));
    assert!(allowed.contains(&Operation::Hold) && error.hint().contains("Hold"), "{allowed:?}");
    assert_eq!((context.session_id, context.dialog_id.as_deref()), (Some(id), Some(call.call_id())));
    assert_eq!((error.category(), call.state()), (ErrorCategory::Usage, SessionState::Connected));

    let unknown = MediaControl::start_audio_transmission(&coordinator, &id, AudioSource::Prompt("none".into())).await;
    assert!(unknown.unwrap_err().to_string().contains("there are play"));
    assert!(SessionControl::send_dtmf(&coordinator, &id, "12x").await.is_err());
    SessionControl::mute(&coordinator, &id).await.unwrap();
    SessionControl::unmute(&coordinator, &id).await.unwrap();
    SessionControl::terminate_session(&coordinator, &id).await.unwrap();
    assert!(until(Duration::from_secs(60), || call.state() == SessionState::Terminated).await);
    let gone = SessionControl::hold_session(&coordinator, &id).await.unwrap_err();
    assert!(matches!(gone, SessionError::SessionNotFound(_)), "{gone}");
    let report = caller.await.unwrap();
    assert_eq!(report.failed.get("ended by the switch"), Some(&1), "{}", report.to_text());
}

/// Tells what happens to media.
#[derive(Default)]
struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Diary {
    fn write(&self, word: &'static str) {
        self.0.lock().unwrap().push(word);
    }
}

#[async_trait]
impl CallHandler for Diary {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }
    async fn on_media_established(&self, _: CallSession, _: Option<MediaInfo>) {
        self.write("established");
    }
    async fn on_media_terminated(&self, _: CallSession) {
        self.write("terminated");
    }
    async fn on_terminated_by_remote(&self, _: CallSession, _: &str) {
        self.write("by remote");
    }
    async fn on_call_ended(&self, _: CallSession, _: &str) {
        self.write("ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_about_a_call_come_in_order() {
    let diary = Arc::new(Mutex::new(Vec::new()));
    let coordinator = started(builder().with_handler(Arc::new(Diary(diary.clone())))).await;
    callers(CallPlan { calls: 1, ..CallPlan::tone(coordinator.local_addr().unwrap()) }).await;
    let all = ["established", "by remote", "terminated", "ended"];
    assert!(until(Duration::from_secs(60), || *diary.lock().unwrap() == all).await, "{:?}", diary.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_codec_changes_and_a_long_call_ends() {
    let limit = Duration::from_secs(3);
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let called = started(builder().with_handler(Arc::new(Hands(sender))).with_session_timeout(limit)).await;
    let caller = started(builder()).await;
    let to = format!("sip:bob@{}", called.local_addr().unwrap());
    let call = SessionControl::create_outgoing_call(&caller, "", &to, None).await.unwrap();
    let there = calls.recv().await.unwrap();
    SessionControl::wait_for_answer(&caller, call.id(), Duration::from_secs(10)).await.unwrap();
    let codec = |info: Option<MediaInfo>| info.unwrap().codec;
    let before = codec(MediaControl::get_media_info(&called, there.id()).await.unwrap());
    assert_eq!(before, Some(Codec::Pcmu));
    MediaControl::change_codec(&caller, call.id(), Codec::Pcma).await.unwrap();
    assert_eq!(codec(MediaControl::get_media_info(&caller, call.id()).await.unwrap()), Some(Codec::Pcma));
    assert_eq!(codec(MediaControl::get_media_info(&called, there.id()).await.unwrap()), Some(Codec::Pcma));
    assert!(until(Duration::from_secs(60), || there.state() == SessionState::Terminated).await, "its time is over");
    assert!(there.duration() >= limit && there.duration() < 2 * limit, "{:?}", there.duration());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_no_more_calls_than_allowed() {
    let (sender, _calls) = tokio::sync::mpsc::unbounded_channel();
    let called = started(builder().with_handler(Arc::new(Hands(sender))).with_per_user_limit(2)).await;
    let caller = started(builder()).await;
    let to = format!("sip:bob@{}", called.local_addr().unwrap());
    let mut answered = 0;
    for (from, expected) in [("alice", 1), ("alice", 2), ("alice", 2), ("carol", 3)] {
        let from = format!("sip:{from}@example.com");
        let call = SessionControl::create_outgoing_call(&caller, &from, &to, None).await.unwrap();
        let answer = SessionControl::wait_for_answer(&caller, call.id(), Duration::from_secs(10)).await;
        answered += usize::from(answer.is_ok());
        assert_eq!(answered, expected, "{from}: {answer:?}");
    }
}
