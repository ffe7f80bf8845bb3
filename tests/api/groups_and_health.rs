//! Who comes first, who belongs together, and whether anything stays behind.

use crate::fixture::{builder, sipp, started, started_with, until};
use loadtest::peers::{Sipp, SippPlan};
use ringplane::api::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn uri(user: &str, coordinator: &SessionCoordinator) -> String {
    format!("sip:{user}@{}", coordinator.local_addr().unwrap())
}

async fn call(from: &Arc<SessionCoordinator>, to: &str) -> Result<CallSession, SessionError> {
    let call = SessionControl::create_outgoing_call(from, "", to, None).await?;
    SessionControl::wait_for_answer(from, call.id(), PATIENCE).await
}

/// Ends all sessions; some may have ended meanwhile.
async fn end_all(coordinator: &Arc<SessionCoordinator>) {
    for id in SessionControl::list_active_sessions(coordinator).await.unwrap() {
        let _ = SessionControl::terminate_session(coordinator, &id).await;
    }
}

/// Waits until nothing is left, and looks for leaks.
async fn assert_at_rest(coordinator: &Arc<SessionCoordinator>) {
    assert!(until(PATIENCE, || coordinator.stats().active_sessions == 0).await, "{:?}", coordinator.stats());
    let report = coordinator.find_leaks().await.unwrap();
    assert!(report.is_clean(), "{report}");
    let resources = coordinator.resources().await.unwrap();
    let sessions: Vec<usize> = resources.levels.iter().map(|level| level.sessions).collect();
    assert_eq!((resources.sessions, resources.media_legs, resources.timers), (0, 0, 0), "{resources:?}");
    assert_eq!((sessions, resources.session_bytes, resources.bridges), (vec![0; 6], 0, 0), "{resources:?}");
}

/// The called user says how important a call is.
struct ByUser;

#[async_trait]
impl CallHandler for ByUser {
    fn call_priority(&self, call: &IncomingCall) -> Option<Priority> {
        Priority::ALL.into_iter().find(|level| level.name() == call.called_user)
    }
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Accept(None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_important_are_refused_first() {
    let called = builder().with_handler(Arc::new(ByUser)).with_max_sessions(10);
    let called = started(called.with_priority_share(Priority::Normal, 80)).await;
    let caller = started(builder()).await;
    let dial = async |user: &str| call(&caller, &uri(user, &called)).await;
    let status = |result: Result<CallSession, SessionError>| match result {
        Ok(_) => 200,
        Err(SessionError::Rejected { status, .. }) => status,
        Err(error) => panic!("{error}"),
    };
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(dial("anybody").await.unwrap());
    }
    // Low and background may not have more than normal calls.
    assert_eq!(status(dial("background").await), 503);
    assert_eq!(status(dial("low").await), 503);
    assert_eq!(status(dial("anybody").await), 503);
    assert_eq!(status(dial("high").await), 200);
    assert_eq!(status(dial("emergency").await), 200);
    assert_eq!(status(dial("emergency").await), 503, "everything is full");
    let levels = called.resources().await.unwrap().levels;
    let counts: Vec<_> = levels.iter().map(|level| (level.sessions, level.limit)).collect();
    assert_eq!(counts, [(1, 10), (0, 10), (1, 10), (8, 8), (0, 8), (0, 8)], "{levels:?}");
    assert_eq!(levels.iter().map(|level| level.refused).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1]);
    assert_eq!(called.health().await.status, HealthStatus::Degraded);

    // A share is free again once a call of it ends.
    for call in calls.drain(..3) {
        SessionControl::terminate_session(&caller, call.id()).await.unwrap();
    }
    assert!(until(PATIENCE, || called.stats().active_sessions == 7).await);
    assert_eq!(status(dial("anybody").await), 200);
    assert_eq!(status(dial("anybody").await), 503);
    end_all(&caller).await;
    assert_at_rest(&called).await;
    assert_at_rest(&caller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_ours_have_their_shares_as_well() {
    let called = started_with(AutoAnswerHandler).await;
    let caller = started(builder().with_max_sessions(4).with_priority_share(Priority::Low, 25)).await;
    let to = uri("x", &called);
    let dial = async |priority| caller.create_call_with_priority("", &to, None, priority).await;
    let first = dial(Priority::Low).await.unwrap();
    assert_eq!(first.priority(), Priority::Low);
    let refused = dial(Priority::Background).await.unwrap_err();
    assert!(matches!(refused, SessionError::ResourceExhausted) && refused.is_retryable(), "{refused}");
    caller.set_priority(first.id(), Priority::Critical).unwrap();
    assert_eq!(first.priority(), Priority::Critical);
    assert!(dial(Priority::Low).await.is_err(), "it still takes a place");
    for priority in [Priority::Normal, Priority::High, Priority::Emergency] {
        dial(priority).await.unwrap();
    }
    assert!(dial(Priority::Emergency).await.is_err());
    end_all(&caller).await;
    assert_at_rest(&caller).await;
    // A call that cannot be placed keeps no place.
    assert!(caller.create_call_with_priority("", "no uri", None, Priority::High).await.is_err());
    assert_at_rest(&caller).await;
}

/// Says how important calls are, and remembers what else it hears.
#[derive(Default)]
struct Hears(Mutex<Vec<&'static str>>, AtomicBool);

#[async_trait]
impl CallHandler for Hears {
    fn call_priority(&self, _: &IncomingCall) -> Option<Priority> {
        assert!(!self.1.load(Relaxed), "a handler's own mistake");
        Some(Priority::Background)
    }
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        self.0.lock().unwrap().push("incoming");
        CallDecision::Accept(None)
    }
    async fn on_call_ended(&self, _: CallSession, _: &str) {
        self.0.lock().unwrap().push("ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_for_lack_of_room_is_not_told_of() {
    let handler = Arc::new(Hears::default());
    let full = builder().with_handler(handler.clone()).with_priority_share(Priority::Background, 0);
    let full = started(full).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = |calls| SippPlan { rate: 50, calls, ..SippPlan::default() };
    let result = sipp(folder.path(), full.local_addr().unwrap(), plan(5)).await;
    assert_eq!(result.count("FailedCall"), 5);
    assert!(result.errors.contains("SIP/2.0 503") && result.errors.contains("Retry-After"), "{}", result.errors);
    assert_at_rest(&full).await;
    assert!(handler.0.lock().unwrap().is_empty());
    // A panic there is like one in the decision.
    handler.1.store(true, Relaxed);
    let result = sipp(folder.path(), full.local_addr().unwrap(), plan(1)).await;
    assert!(result.errors.contains("SIP/2.0 500"), "{}", result.errors);
    assert_at_rest(&full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_belong_together_end_together() {
    let called = started_with(AutoAnswerHandler).await;
    let caller = started(builder()).await;
    let to = uri("x", &called);
    let mut calls = Vec::new();
    for _ in 0..6 {
        calls.push(call(&caller, &to).await.unwrap());
    }
    let id = |index: usize| calls[index].id;
    let is_over = |index: usize| calls[index].state() == SessionState::Terminated;

    // 0 < 1 < 2 as dependencies.
    caller.add_dependency(&id(1), &id(0)).unwrap();
    caller.add_dependency(&id(2), &id(1)).unwrap();
    let circle = caller.add_dependency(&id(0), &id(2)).unwrap_err();
    assert_eq!(circle.category(), ErrorCategory::Usage);
    assert!(circle.to_string().contains(&format!("{} > {} > {} > {}", id(0), id(2), id(1), id(0))), "{circle}");
    let (above, below) = (caller.dependencies_of(&id(2)), caller.dependents_of(&id(0)));
    assert_eq!((above, below), (vec![id(1), id(0)], vec![id(1), id(2)]));

    // 3 and 4 as A-leg and B-leg.
    let sequence = caller.create_sequence(&id(3), SequenceRule::Together).unwrap();
    caller.add_b_leg(&sequence, &id(4)).unwrap();
    assert!(caller.add_b_leg(&sequence, &id(3)).is_err());

    // 4 and 5 as a group.
    let group = caller.create_group("team", 2).unwrap();
    for index in [4, 5] {
        caller.add_session_to_group(&group, &id(index)).unwrap();
    }
    assert!(matches!(caller.add_session_to_group(&group, &id(0)), Err(SessionError::ResourceExhausted)));
    assert_eq!(caller.groups_of(&id(5)), [group]);
    let report = caller.find_leaks().await.unwrap();
    assert!(report.is_clean() && report.compared_count > 20, "{report}");

    SessionControl::terminate_session(&caller, &id(0)).await.unwrap();
    assert!(until(PATIENCE, || is_over(0) && is_over(1) && is_over(2)).await);
    assert!(!is_over(3) && !is_over(4));
    // The peer hangs up on the only B-leg.
    let mut b_leg = None;
    for id in SessionControl::list_active_sessions(&called).await.unwrap() {
        let session = SessionControl::get_session(&called, &id).await.unwrap();
        b_leg = b_leg.or(session.filter(|session| session.call_id() == calls[4].call_id()));
    }
    SessionControl::terminate_session(&called, b_leg.expect("it has the same Call-ID").id()).await.unwrap();
    // A session is over a moment before its relations know.
    assert!(until(PATIENCE, || is_over(3) && is_over(4) && caller.list_sequences().is_empty()).await);
    let told = caller.sequence_of(&id(3)).expect("it is remembered");
    let legs: Vec<_> = told.legs.iter().map(|leg| (leg.role, leg.session_id, leg.end.is_some())).collect();
    assert_eq!(legs, [(LegRole::A, id(3), true), (LegRole::B, id(4), true)]);
    assert!(caller.add_b_leg(&sequence, &id(5)).is_err());

    assert_eq!(caller.group(&group).unwrap().sessions, [id(5)]);
    assert_eq!(caller.terminate_group(&group).await.unwrap(), 1);
    assert!(until(PATIENCE, || is_over(5) && caller.group(&group).unwrap().sessions.is_empty()).await);
    assert!(caller.add_dependency(&id(5), &id(4)).is_err() && caller.add_session_to_group(&group, &id(5)).is_err());
    caller.destroy_group(&group).unwrap();
    assert!(caller.destroy_group(&group).is_err() && caller.list_groups().is_empty());
    assert_at_rest(&caller).await;
}

/// Sends every call on to one place.
struct Forwards(String);

#[async_trait]
impl CallHandler for Forwards {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        CallDecision::Forward(self.0.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_on_has_its_legs_in_order_and_both_have_places() {
    let called = started_with(AutoAnswerHandler).await;
    let between = started(builder().with_handler(Arc::new(Forwards(uri("bob", &called)))).with_max_sessions(3)).await;
    let caller = started(builder()).await;
    let up = call(&caller, &uri("x", &between)).await.unwrap();
    let resources = between.resources().await.unwrap();
    assert_eq!((resources.sessions, resources.media_legs, resources.sequences), (2, 2, 1), "{resources:?}");
    assert_eq!(resources.levels[Priority::Normal as usize].sessions, 2);
    let sequence = between.list_sequences().remove(0);
    let [a, b] = &sequence.legs[..] else { panic!("{sequence:?}") };
    assert_eq!((a.role, b.role, b.number), (LegRole::A, LegRole::B, 1));
    for (leg, other) in [(a, b), (b, a)] {
        let it = between.session_resources(&leg.session_id).await.unwrap();
        assert_eq!((it.state, it.dialogs, it.linked_to), (SessionState::Connected, 1, Some(other.session_id)));
        assert!(it.bytes > 500 && it.bytes < 3_072 && it.media_port.is_some(), "{it:?}");
    }
    // The second call finds one place, and needs two.
    let refused = call(&caller, &uri("x", &between)).await.unwrap_err();
    assert!(matches!(refused, SessionError::Rejected { status: 503, .. }), "{refused}");
    SessionControl::terminate_session(&caller, up.id()).await.unwrap();
    assert_at_rest(&between).await;
    assert!(until(PATIENCE, || between.sequence(&sequence.id).expect("remembered").is_over()).await);
}

/// Its handler blocks a thread until the test lets it go.
struct Blocks(Mutex<std::sync::mpsc::Receiver<()>>);

#[async_trait]
impl CallHandler for Blocks {
    async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
        // What a handler must not do.
        let _ = self.0.lock().unwrap().recv();
        CallDecision::Defer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_a_thread_is_found() {
    let (free, blocked) = std::sync::mpsc::channel();
    let limit = Duration::from_millis(200);
    let room = builder().with_handler(Arc::new(Blocks(Mutex::new(blocked)))).with_handler_timeout(limit);
    let room = started(room).await;
    let caller = started(builder()).await;
    let refused = call(&caller, &uri("x", &room)).await.unwrap_err();
    assert!(matches!(refused, SessionError::Rejected { status: 500, .. }), "{refused}");
    let mut report = room.find_leaks().await.unwrap();
    while report.is_clean() {
        tokio::time::sleep(limit).await;
        report = room.find_leaks().await.unwrap();
    }
    assert_eq!((report.leaks.len(), report.leaks[0].kind), (1, LeakKind::Task), "{report}");
    assert!(report.leaks[0].session_id.is_some() && report.to_string().contains("does it block?"), "{report}");
    let health = room.health().await;
    assert_eq!(health.status, HealthStatus::Degraded, "{health:?}");
    drop(free);
    assert!(until(PATIENCE, || room.stats().active_sessions == 0).await);
    while room.resources().await.unwrap().tasks > 0 {
        tokio::time::sleep(limit).await;
    }
    assert_at_rest(&room).await;
    assert_eq!(room.health().await.status, HealthStatus::Healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_calls_leave_nothing_and_health_says_so() {
    let called = started_with(AutoAnswerHandler).await;
    let between = started(builder().with_handler(Arc::new(Forwards(uri("bob", &called))))).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = SippPlan { rate: 60, calls: 300, ..SippPlan::default() };
    sipp(folder.path(), between.local_addr().unwrap(), plan).await.assert_all_good(300);
    for coordinator in [&between, &called] {
        assert_at_rest(coordinator).await;
        let health = coordinator.health().await;
        assert_eq!((health.status, health.problems.len()), (HealthStatus::Healthy, 0), "{health:?}");
        assert!(health.uptime > Duration::ZERO && health.resources.ports_free == 100, "{health:?}");
        let text = serde_json::to_string(&health).unwrap();
        assert!(text.contains(r#""status":"Healthy""#) && text.contains(r#""priority":"Emergency""#), "{text}");
    }
    SessionControl::stop(&between).await.unwrap();
    let health = between.health().await;
    assert_eq!(health.status, HealthStatus::Down, "{health:?}");
    assert!(health.problems[0].contains("start it"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_forgets_calls_whose_peer_is_dead() {
    let room = started_with(AutoAnswerHandler).await;
    let folder = tempfile::tempdir().unwrap();
    let hold = clock::Duration::from_secs(600);
    let plan = SippPlan { rate: 50, calls: 5, hold, ..SippPlan::default() };
    let mut callers = Sipp::start(folder.path(), "uac", room.local_addr(), &plan).unwrap();
    let established = async |room: &Arc<SessionCoordinator>| {
        let ids = SessionControl::list_active_sessions(room).await.unwrap();
        let mut calls = Vec::new();
        for id in ids {
            calls.extend(SessionControl::get_session(room, &id).await.unwrap());
        }
        calls.iter().filter(|call| call.state() == SessionState::Connected).count()
    };
    while established(&room).await < 5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It hangs, and nobody answers our BYE.
    callers.process().signal(rustix::process::Signal::STOP).unwrap();
    let group = room.create_group("left", 10).unwrap();
    for id in SessionControl::list_active_sessions(&room).await.unwrap() {
        room.add_session_to_group(&group, &id).unwrap();
    }
    SessionControl::stop(&room).await.unwrap();
    callers.process().signal(rustix::process::Signal::CONT).unwrap();
    assert!(until(PATIENCE, || room.stats().active_sessions == 0).await, "{:?}", room.stats());
    assert!(until(PATIENCE, || room.group(&group).unwrap().sessions.is_empty()).await, "{:?}", room.group(&group));
    SessionControl::start(&room).await.unwrap();
    assert_at_rest(&room).await;
}
