//! What handlers and subscribers are told of a call: everything, once, and when it happens.

use crate::fixture::{builder, started, started_with, until};
use crate::handset::Handset;
use loadtest::peers::{Scenario, SippPlan};
use ringplane::api::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Answers everything, and writes down what it is told.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl Writes {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, what: &str) -> usize {
        self.told().iter().filter(|told| *told == what).count()
    }
}

#[async_trait]
impl CallHandler for Writes {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        self.note("incoming");
        CallDecision::Accept(None)
    }
    async fn on_call_established(&self, _: CallSession, _: Option<String>, _: Option<String>) {
        self.note("established");
    }
    async fn on_call_ended(&self, _: CallSession, _: &str) {
        self.note("ended");
    }
    async fn on_media_established(&self, _: CallSession, media: Option<MediaInfo>) {
        assert!(media.is_some_and(|media| media.codec == Some(Codec::Pcmu)));
        self.note("media established");
    }
    async fn on_media_paused(&self, _: CallSession) {
        self.note("media paused");
    }
    async fn on_media_resumed(&self, _: CallSession) {
        self.note("media resumed");
    }
    async fn on_media_terminated(&self, _: CallSession) {
        self.note("media terminated");
    }
    async fn on_dtmf(&self, _: CallSession, digit: char) {
        self.note(format!("key {digit}"));
    }
    async fn on_quality_changed(&self, _: CallSession, change: QualityChange) {
        self.note(format!("quality {:?} {:?}", change.old, change.new));
    }
    async fn on_transfer_requested(&self, _: CallSession, target: &str) {
        self.note(format!("transfer to {}", target.split('@').next().unwrap_or_default()));
    }
    async fn on_transfer_started(&self, call: CallSession, new_call: SessionId) {
        assert_ne!(call.id, new_call);
        self.note("transfer started");
    }
    async fn on_transfer_accepted(&self, _: CallSession) {
        self.note("transfer accepted");
    }
    async fn on_transfer_failed(&self, _: CallSession, status: u16) {
        self.note(format!("transfer failed {status}"));
    }
    async fn on_reinvite_received(&self, _: CallSession, sdp: Option<String>) {
        let direction = sdp.as_deref().and_then(|sdp| sdp.lines().find(|line| line.starts_with("a=inactive")));
        self.note(format!("reinvite {}", direction.unwrap_or("flows")));
    }
    async fn on_dialog_created(&self, call: CallSession, dialog: DialogId) {
        assert!(call.dialog() == Some(dialog.clone()) && dialog.call_id == call.call_id());
        assert!(!dialog.local_tag.is_empty() && !dialog.remote_tag.is_empty());
        self.note("dialog created");
    }
    async fn on_dialog_terminated(&self, call: CallSession, dialog: DialogId) {
        assert_eq!(dialog.call_id, call.call_id());
        self.note("dialog terminated");
    }
    async fn on_terminated_by_remote(&self, _: CallSession, _: &str) {
        self.note("terminated by remote");
    }
}

/// The events of a subscriber in the words of the handler above.
fn words(events: &mut Receiver<SessionEvent>) -> Vec<String> {
    let word = |event: SessionEvent| {
        Some(match event.kind {
            EventKind::IncomingCall { .. } => "incoming".to_owned(),
            EventKind::MediaEstablished => "media established".to_owned(),
            EventKind::MediaPaused => "media paused".to_owned(),
            EventKind::MediaResumed => "media resumed".to_owned(),
            EventKind::MediaTerminated => "media terminated".to_owned(),
            EventKind::DtmfReceived { digit } => format!("key {digit}"),
            EventKind::QualityChanged { change } => format!("quality {:?} {:?}", change.old, change.new),
            EventKind::TransferRequested { target } => {
                format!("transfer to {}", target.split('@').next().unwrap_or_default())
            }
            EventKind::TransferStarted { .. } => "transfer started".to_owned(),
            EventKind::TransferAccepted => "transfer accepted".to_owned(),
            EventKind::TransferFailed { status } => format!("transfer failed {status}"),
            EventKind::ReinviteReceived { sdp } => {
                let direction = sdp.as_deref().and_then(|sdp| sdp.lines().find(|line| line.starts_with("a=inactive")));
                format!("reinvite {}", direction.unwrap_or("flows"))
            }
            EventKind::DialogCreated { .. } => "dialog created".to_owned(),
            EventKind::DialogTerminated { .. } => "dialog terminated".to_owned(),
            EventKind::TerminatedByRemote => "terminated by remote".to_owned(),
            EventKind::Ended { .. } => "ended".to_owned(),
            _ => return None,
        })
    };
    std::iter::from_fn(|| events.try_recv()).filter_map(word).collect()
}

fn uri(user: &str, coordinator: &SessionCoordinator) -> String {
    format!("sip:{user}@{}", coordinator.local_addr().unwrap())
}

async fn call(caller: &Arc<SessionCoordinator>, to: &str) -> SessionId {
    let call = SessionControl::create_outgoing_call(caller, "", to, None).await.unwrap();
    SessionControl::wait_for_answer(caller, call.id(), PATIENCE).await.unwrap();
    call.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_held_and_hung_up_is_told_step_by_step_on_both_sides() {
    let (there, here) = (Writes::default(), Writes::default());
    let called = started_with(there.clone()).await;
    let caller = started_with(here.clone()).await;
    let (mut at_called, mut at_caller) = (called.subscribe(EventFilter::all()), caller.subscribe(EventFilter::all()));
    let id = call(&caller, &uri("bob", &called)).await;
    SessionControl::hold_session(&caller, &id).await.unwrap();
    SessionControl::resume_session(&caller, &id).await.unwrap();
    assert!(until(PATIENCE, || there.count("media resumed") == 1).await, "{:?}", there.told());
    SessionControl::send_dtmf(&caller, &id, "7").await.unwrap();
    assert!(until(PATIENCE, || there.count("key 7") == 1).await, "{:?}", there.told());
    SessionControl::terminate_session(&caller, &id).await.unwrap();
    assert!(until(PATIENCE, || there.count("ended") + here.count("ended") == 2).await);

    let hold = ["reinvite a=inactive", "media paused", "reinvite flows", "media resumed", "key 7"];
    let begin = ["dialog created", "media established", "established"];
    let end = ["dialog terminated", "media terminated", "ended"];
    let expected = [&["incoming"][..], &begin, &hold, &["terminated by remote"], &end].concat();
    assert_eq!(there.told(), expected);
    let expected = [&begin[..], &["media paused", "media resumed"], &end].concat();
    assert_eq!(here.told(), expected);
    // Subscribers hear the same; that it is established they know from the state.
    let of_handler =
        |writes: &Writes| writes.told().into_iter().filter(|told| told != "established").collect::<Vec<_>>();
    assert_eq!(words(&mut at_called), of_handler(&there));
    assert_eq!(words(&mut at_caller), of_handler(&here));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_never_answered_has_no_media_and_no_dialog() {
    let here = Writes::default();
    let called = started_with(RejectHandler(486)).await;
    let caller = started_with(here.clone()).await;
    let placed = SessionControl::create_outgoing_call(&caller, "", &uri("bob", &called), None).await.unwrap();
    SessionControl::wait_for_answer(&caller, placed.id(), PATIENCE).await.unwrap_err();
    assert!(until(PATIENCE, || here.count("ended") == 1).await);
    assert_eq!(here.told(), ["ended"]);
}

/// Defers every call.
#[derive(Clone, Default)]
struct Waits(Writes);

#[async_trait]
impl CallHandler for Waits {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Defer
    }
    async fn on_call_ended(&self, _: CallSession, _: &str) {
        self.0.note("ended");
    }
    async fn on_terminated_by_remote(&self, _: CallSession, _: &str) {
        self.0.note("terminated by remote");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_while_it_rings_is_told_of_too() {
    let told = Writes::default();
    let called = started_with(Waits(told.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = SippPlan { scenario: Scenario::ours("cancel_ringing"), calls: 1, ..SippPlan::default() };
    crate::fixture::sipp(folder.path(), called.local_addr().unwrap(), plan).await.assert_all_good(1);
    assert!(until(PATIENCE, || told.count("ended") == 1).await);
    assert_eq!(told.told(), ["terminated by remote", "ended"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_told_to_who_asks_and_to_who_is_asked() {
    let (asks, asked) = (Writes::default(), Writes::default());
    let alice = started_with(asks.clone()).await;
    let bob = started_with(asked.clone()).await;
    let (carol, busy) = (started_with(AutoAnswerHandler).await, started_with(RejectHandler(486)).await);
    let mut events = bob.subscribe(EventFilter::all().class(EventClass::Transfer));
    let id = call(&alice, &uri("bob", &bob)).await;
    // Carol is busy: the call comes back. Held before, it is paused once, not again when it comes back.
    SessionControl::hold_session(&alice, &id).await.unwrap();
    SessionControl::transfer_session(&alice, &id, &uri("carol", &busy)).await.unwrap_err();
    assert!(until(PATIENCE, || asks.count("transfer failed 486") == 1).await, "{:?}", asks.told());
    assert_eq!((asks.count("media paused"), asked.count("media paused")), (1, 1));
    SessionControl::transfer_session(&alice, &id, &uri("carol", &carol)).await.unwrap();
    assert!(until(PATIENCE, || asks.count("ended") == 1).await, "{:?}", asks.told());
    assert_eq!((asks.count("transfer accepted"), asks.count("transfer failed 486")), (1, 1));
    assert!(until(PATIENCE, || bob.stats().active_sessions == 1).await);
    assert_eq!((asked.count("transfer to sip:carol"), asked.count("transfer started")), (2, 2));
    // The event names the call that is there now.
    let mut new = Vec::new();
    while let Some(event) = events.try_recv() {
        if let EventKind::TransferStarted { to } = event.kind {
            new.push(to);
        }
    }
    assert_eq!(SessionControl::list_active_sessions(&bob).await.unwrap(), [new[1]]);
    SessionControl::terminate_session(&bob, &new[1]).await.unwrap();
    assert!(until(PATIENCE, || carol.stats().active_sessions == 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_takes_no_transfers_declines_them() {
    let bob = started(builder().with_handler(Arc::new(AutoAnswerHandler)).with_transfers(false)).await;
    let alice = started(builder()).await;
    let id = call(&alice, &uri("bob", &bob)).await;
    let declined = SessionControl::transfer_session(&alice, &id, "sip:carol@127.0.0.1").await.unwrap_err();
    assert!(matches!(declined, SessionError::Rejected { status: 603, .. }), "{declined}");
    SessionControl::terminate_session(&alice, &id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn quality_that_falls_is_told_once_for_each_level() {
    let told = Writes::default();
    let called = builder().with_handler(Arc::new(told.clone())).with_quality_interval(Duration::from_millis(200));
    let called = started(called).await;
    let mut events = called.subscribe(EventFilter::all().class(EventClass::Quality));
    let address = called.local_addr().unwrap();
    let phone = tokio::task::spawn_blocking(move || {
        let mut phone = Handset::call(address);
        phone.speak(100, |_| false);
        phone
    });
    let mut phone = phone.await.unwrap();
    assert_eq!(words(&mut events), Vec::<String>::new(), "all is well");
    let speaking = tokio::task::spawn_blocking(move || {
        phone.speak(300, |number| number % 3 == 0);
        phone.hang_up();
    });
    let is_bad = |told: &Writes| told.told().iter().any(|told| told.starts_with("quality "));
    assert!(until(PATIENCE, || is_bad(&told)).await, "{:?}", told.told());
    speaking.await.unwrap();
    assert!(until(PATIENCE, || told.count("ended") == 1).await);
    let changes: Vec<_> = told.told().into_iter().filter(|told| told.starts_with("quality ")).collect();
    assert_eq!(words(&mut events), changes);
    // Each begins where the one before ended, and it only gets worse.
    let mut level = "Excellent".to_owned();
    for change in changes {
        let (old, new) = change.strip_prefix("quality ").unwrap().split_once(' ').unwrap();
        assert!(old == level && old != new, "{change} after {level}");
        level = new.to_owned();
    }
    assert!(["Fair", "Poor", "Bad"].contains(&level.as_str()), "a third is lost: {level}");
}
