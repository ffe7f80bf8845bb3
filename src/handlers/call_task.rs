//! The handler's side of one call: its methods one after the other, on tokio, so that a slow one delays no other call.

use crate::api::{DialogId, MediaQualityAlertLevel, QualityChange, SessionCoordinator, SessionId, SessionState};
use crate::calls::entry::Entry;
use crate::handlers::{CallDecision, IncomingCall};
use engine::Work;
use session::EndReason;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// What a handler is told.
pub(crate) enum HandlerNotice {
    Incoming(Box<IncomingCall>),
    State { old: SessionState, new: SessionState },
    Established,
    Paused,
    Resumed,
    MediaTerminated,
    Quality(QualityChange),
    Degraded(QualityChange),
    Recovered(QualityChange),
    MediaQuality { mos: f32, loss: f32, level: MediaQualityAlertLevel },
    Digit(char),
    Reinvite(Option<String>),
    DialogCreated(DialogId),
    DialogTerminated(DialogId),
    TransferRequested(String),
    TransferStarted(SessionId),
    TransferAccepted,
    TransferFailed(u16),
    ByRemote,
    Ended(EndReason),
}

/// Until the call is over, or the coordinator is gone.
pub(crate) async fn run(
    coordinator: Weak<SessionCoordinator>,
    entry: Arc<Entry>,
    mut notices: mpsc::Receiver<HandlerNotice>,
) {
    let Some(_mark) = coordinator.upgrade().map(|it| it.tasks.begin(entry.id, Work::Telling)) else { return };
    while let Some(notice) = notices.recv().await {
        let Some(coordinator) = coordinator.upgrade() else { return };
        match notice {
            HandlerNotice::Incoming(incoming) => {
                if !ask(&coordinator, &entry, incoming).await {
                    return;
                }
            }
            HandlerNotice::Ended(_) => return tell(&coordinator, &entry, notice).await,
            notice => tell(&coordinator, &entry, notice).await,
        }
    }
}

/// What became of the question about a call.
enum Asked {
    Decided(CallDecision),
    Full,
}

/// Asks the handler about a call that has come in; `false`: there is no room for one of its level, and the handler shall
/// hear no more of it.
async fn ask(coordinator: &Arc<SessionCoordinator>, entry: &Arc<Entry>, incoming: Box<IncomingCall>) -> bool {
    let (handler, admission) = (coordinator.handler(), coordinator.admission.clone());
    let placed = entry.clone();
    let question = async move {
        let level = handler.call_priority(&incoming).unwrap_or_default();
        match admission.take(level) {
            Ok(place) => placed.seat(place),
            Err(limit) => {
                tracing::debug!(session = %placed.id, "{}", crate::admission::full(level, limit));
                return Asked::Full;
            }
        }
        Asked::Decided(handler.on_incoming_call(*incoming).await)
    };
    let decision = match guarded(coordinator, entry, question).await {
        Some(Asked::Decided(decision)) => decision,
        Some(Asked::Full) => {
            coordinator.carry_out(entry, CallDecision::reject(503, "")).await;
            return false;
        }
        // A handler that panics or hangs costs its own call.
        None => CallDecision::reject(500, ""),
    };
    coordinator.carry_out(entry, decision).await;
    true
}

async fn tell(coordinator: &Arc<SessionCoordinator>, entry: &Arc<Entry>, notice: HandlerNotice) {
    let handler = coordinator.handler();
    let call = coordinator.session_of(entry);
    // What a handler makes of it is its own affair.
    let _ = match notice {
        // Asked before anything is told.
        HandlerNotice::Incoming(_) => None,
        HandlerNotice::State { old, new } => {
            let id = entry.id;
            guarded(coordinator, entry, async move { handler.on_session_state_changed(&id, old, new).await }).await
        }
        HandlerNotice::Established => {
            let media = coordinator.media_of(entry).await;
            let (told, answered) = (handler.clone(), call.clone());
            guarded(coordinator, entry, async move { told.on_media_established(answered, media).await }).await;
            let (local, remote) = descriptions(entry);
            guarded(coordinator, entry, async move { handler.on_call_established(call, local, remote).await }).await
        }
        HandlerNotice::Paused => guarded(coordinator, entry, async move { handler.on_media_paused(call).await }).await,
        HandlerNotice::Resumed => {
            guarded(coordinator, entry, async move { handler.on_media_resumed(call).await }).await
        }
        HandlerNotice::MediaTerminated => {
            guarded(coordinator, entry, async move { handler.on_media_terminated(call).await }).await
        }
        HandlerNotice::Quality(change) => {
            guarded(coordinator, entry, async move { handler.on_quality_changed(call, change).await }).await
        }
        HandlerNotice::Degraded(change) => {
            guarded(coordinator, entry, async move { handler.on_quality_degraded(call, change).await }).await
        }
        HandlerNotice::Recovered(change) => {
            guarded(coordinator, entry, async move { handler.on_quality_recovered(call, change).await }).await
        }
        HandlerNotice::MediaQuality { mos, loss, level } => {
            let id = entry.id;
            guarded(coordinator, entry, async move { handler.on_media_quality(&id, mos, loss, level).await }).await
        }
        HandlerNotice::Digit(digit) => {
            guarded(coordinator, entry, async move { handler.on_dtmf(call, digit).await }).await
        }
        HandlerNotice::Reinvite(sdp) => {
            guarded(coordinator, entry, async move { handler.on_reinvite_received(call, sdp).await }).await
        }
        HandlerNotice::DialogCreated(dialog) => {
            guarded(coordinator, entry, async move { handler.on_dialog_created(call, dialog).await }).await
        }
        HandlerNotice::DialogTerminated(dialog) => {
            guarded(coordinator, entry, async move { handler.on_dialog_terminated(call, dialog).await }).await
        }
        HandlerNotice::TransferRequested(target) => {
            guarded(coordinator, entry, async move { handler.on_transfer_requested(call, &target).await }).await
        }
        HandlerNotice::TransferStarted(new) => {
            guarded(coordinator, entry, async move { handler.on_transfer_started(call, new).await }).await
        }
        HandlerNotice::TransferAccepted => {
            guarded(coordinator, entry, async move { handler.on_transfer_accepted(call).await }).await
        }
        HandlerNotice::TransferFailed(status) => {
            guarded(coordinator, entry, async move { handler.on_transfer_failed(call, status).await }).await
        }
        HandlerNotice::ByRemote => {
            guarded(coordinator, entry, async move { handler.on_terminated_by_remote(call, "ended by the peer").await })
                .await
        }
        HandlerNotice::Ended(reason) => {
            guarded(coordinator, entry, async move { handler.on_call_ended(call, reason.name()).await }).await
        }
    };
}

fn descriptions(entry: &Entry) -> (Option<String>, Option<String>) {
    let facts = entry.facts();
    (facts.local_sdp.as_deref().map(str::to_owned), facts.remote_sdp.as_deref().map(str::to_owned))
}

/// Runs user code: a panic or a hang ends it, and nothing else.
async fn guarded<T: Send + 'static>(
    coordinator: &SessionCoordinator,
    entry: &Entry,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    // The mark stays for as long as the work runs, which may be longer than it is waited for.
    let mark = coordinator.tasks.begin(entry.id, Work::Handler);
    let marked = async move {
        let _mark = mark;
        work.await
    };
    limited(coordinator.config.handler_timeout, marked).await
}

/// Runs user code that belongs to no call: a panic or a hang ends it, and nothing else.
pub(crate) async fn limited<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut running = tokio::spawn(work);
    match tokio::time::timeout(limit, &mut running).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::error!("a call handler panicked: {error}");
            None
        }
        Err(_) => {
            tracing::error!("a call handler took longer than {limit:?} and was given up");
            running.abort();
            None
        }
    }
}
