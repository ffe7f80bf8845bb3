//! The lines of calls, into the log.

use clock::Instant;
use session::{EndReason, SessionEvent, SessionState, Sessions};
use shard_core::ShardOutput;
use shard_core::log::{CallLog, Detail, Line};

/// Says what became of the calls of a turn.
pub(crate) fn print_calls(log: &mut CallLog, now: Instant, out: &ShardOutput, sessions: &Sessions) {
    if out.events.is_empty() && out.refused.is_empty() {
        return;
    }
    let detail = if tracing::enabled!(tracing::Level::DEBUG) { Detail::All } else { Detail::Failures };
    for event in &out.events {
        let line = match event {
            SessionEvent::Ended { reason, call, .. } => log.ended(now, *reason, call, detail),
            SessionEvent::Refused { call } => {
                log.ended(now, EndReason::Refused(call.status.unwrap_or(500)), call, detail)
            }
            SessionEvent::StateChanged { id, new: SessionState::Connected, .. } if detail == Detail::All => {
                let number = sessions.get(*id).map(|session| session.number().to_string());
                number.map(|number| Line::Usual(format!("call connected: call={number} leg={id}")))
            }
            _ => None,
        };
        put(line);
    }
    if !out.refused.is_empty() {
        log.refused(now, &out.refused, detail).into_iter().for_each(|line| put(Some(line)));
    }
}

/// Says how many lines were left out, once it is time.
pub(crate) fn print_left_out(log: &mut CallLog, now: Instant, shard: usize) {
    if let Some(count) = log.take_left_out(now) {
        tracing::info!(shard, "{count} more calls failed or were refused, too many for a line each");
    }
}

fn put(line: Option<Line>) {
    match line {
        Some(Line::Failed(text)) => tracing::info!("{text}"),
        Some(Line::Usual(text)) => tracing::debug!("{text}"),
        None => {}
    }
}
