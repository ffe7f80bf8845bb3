//! A call's numbers, told again and again while it lasts.

use super::{MediaControl, MediaQualityAlertLevel, MediaStatistics};
use crate::api::{SessionCoordinator, SessionError, SessionId};
use crate::calls::entry::Entry;
use crate::events::EventKind;
use crate::handlers::call_task::HandlerNotice;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

const INTERVAL_MIN: Duration = Duration::from_millis(20);
/// Numbers that a receiver may be behind.
const BACKLOG: usize = 16;

impl SessionCoordinator {
    pub(super) fn monitor(
        self: &Arc<Self>,
        id: SessionId,
        every: Duration,
    ) -> Result<mpsc::Receiver<MediaStatistics>, SessionError> {
        let entry = self.entry(id)?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let watching = self.runtime.spawn(tell(Arc::downgrade(self), entry.clone(), every, sender));
        if let Some(before) = entry.facts().monitoring.replace(watching.abort_handle()) {
            before.abort();
        }
        Ok(receiver)
    }
}

async fn tell(
    coordinator: Weak<SessionCoordinator>,
    entry: Arc<Entry>,
    every: Duration,
    receiver: mpsc::Sender<MediaStatistics>,
) {
    let mut ticks = tokio::time::interval(every.max(INTERVAL_MIN));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Some(coordinator) = coordinator.upgrade() else { return };
        let statistics = match coordinator.get_media_statistics(&entry.id).await {
            Ok(Some(statistics)) => statistics,
            Ok(None) => continue,
            Err(_) => return,
        };
        // A receiver that is full or gone misses this one.
        let _ = receiver.try_send(statistics);
        coordinator.publish(&entry, EventKind::MediaQuality { statistics });
        let quality = statistics.quality_metrics;
        if let Some((mos, loss)) = quality.and_then(|now| Some((now.mos_score?, now.packet_loss_percent))) {
            let level = MediaQualityAlertLevel::of(mos);
            entry.tell_if_room(HandlerNotice::MediaQuality { mos: mos as f32, loss: loss as f32, level });
        }
    }
}
