//! The handler's side of one call: its methods one after the other, on tokio, so that a slow one delays nobody else.

use super::call::Entry;
use super::handler::{CallDecision, IncomingCall};
use super::{CallSession, MediaControl, SessionCoordinator, SessionState};
use session::EndReason;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// What a handler is told.
pub(crate) enum Word {
    Incoming(Box<IncomingCall>),
    State { old: SessionState, new: SessionState },
    Digit(char),
    TransferRequested,
    TransferProgress(u16),
    Ended(EndReason),
}

/// Until the call is over, or the coordinator is gone.
pub(crate) async fn run(coordinator: Weak<SessionCoordinator>, entry: Arc<Entry>, mut words: mpsc::Receiver<Word>) {
    while let Some(word) = words.recv().await {
        let Some(coordinator) = coordinator.upgrade() else { return };
        let is_last = matches!(word, Word::Ended(_));
        tell(&coordinator, &entry, word).await;
        if is_last {
            return;
        }
    }
}

async fn tell(coordinator: &Arc<SessionCoordinator>, entry: &Arc<Entry>, word: Word) {
    let handler = coordinator.handler();
    let limit = coordinator.config.handler_timeout;
    let call = CallSession::new(entry, Arc::downgrade(coordinator));
    match word {
        Word::Incoming(incoming) => {
            let decided = guarded(limit, async move { handler.on_incoming_call(*incoming).await }).await;
            // A handler that panics or hangs costs its own call.
            coordinator.carry_out(entry, decided.unwrap_or_else(|| CallDecision::reject(500, ""))).await;
        }
        Word::State { old, new } => {
            let id = entry.id;
            let told = handler.clone();
            guarded(limit, async move { told.on_session_state_changed(&id, old, new).await }).await;
            match (old, new) {
                (SessionState::OnHold, SessionState::Connected) => {
                    guarded(limit, async move { handler.on_media_resumed(call).await }).await;
                }
                (_, SessionState::OnHold) => {
                    guarded(limit, async move { handler.on_media_paused(call).await }).await;
                }
                (_, SessionState::Connected) if old != SessionState::Transferring => {
                    let media = MediaControl::get_media_info(coordinator, &id).await.ok().flatten();
                    let (told, answered) = (handler.clone(), call.clone());
                    guarded(limit, async move { told.on_media_established(answered, media).await }).await;
                    let (local, remote) = descriptions(entry);
                    guarded(limit, async move { handler.on_call_established(call, local, remote).await }).await;
                }
                _ => {}
            }
        }
        Word::Digit(digit) => drop(guarded(limit, async move { handler.on_dtmf(call, digit).await }).await),
        Word::TransferRequested => {
            guarded(limit, async move { handler.on_transfer_requested(call).await }).await;
        }
        Word::TransferProgress(status) => {
            guarded(limit, async move {
                match status {
                    200..300 => handler.on_transfer_accepted(call).await,
                    300.. => handler.on_transfer_failed(call, status).await,
                    _ => {}
                }
            })
            .await;
        }
        Word::Ended(reason) => {
            let (told, ended) = (handler.clone(), call.clone());
            guarded(limit, async move { told.on_media_terminated(ended).await }).await;
            if reason == EndReason::RemoteBye {
                let (told, ended) = (handler.clone(), call.clone());
                guarded(limit, async move { told.on_terminated_by_remote(ended, reason.name()).await }).await;
            }
            guarded(limit, async move { handler.on_call_ended(call, reason.name()).await }).await;
        }
    }
}

fn descriptions(entry: &Entry) -> (Option<String>, Option<String>) {
    let facts = entry.facts();
    (facts.local_sdp.as_deref().map(str::to_owned), facts.remote_sdp.as_deref().map(str::to_owned))
}

/// Runs user code: a panic or a hang ends it, and nothing else.
async fn guarded<T: Send + 'static>(limit: Duration, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
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
