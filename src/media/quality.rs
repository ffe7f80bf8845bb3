//! How good calls sound, watched.

use crate::api::{MediaControl, QualityMetrics, SessionCoordinator, SessionId};
use crate::events::EventKind;
use crate::handlers::call_task::HandlerNotice;
use serde::{Deserialize, Serialize};
use session::SessionState;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The shortest pause between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// A level is left only when the score is so far beyond it, so that one on the edge does not flap. Hundredths.
const HYSTERESIS_X100: u16 = 5;

/// How good a call sounds to us: classes of the E-model's score (ITU-T G.107, Annex B).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub enum QualityLevel {
    /// Nearly all users are dissatisfied: a score below 3.1.
    Bad,
    /// Many users are dissatisfied: 3.1 and above.
    Poor,
    /// Some users are dissatisfied: 3.6 and above.
    Fair,
    /// Users are satisfied: 4.0 and above.
    Good,
    /// Users are very satisfied: 4.3 and above.
    #[default]
    Excellent,
}

impl QualityLevel {
    const ALL: [(Self, u16); 5] =
        [(Self::Excellent, 430), (Self::Good, 400), (Self::Fair, 360), (Self::Poor, 310), (Self::Bad, 0)];

    /// The level of a score of 1.0 to 4.5.
    pub fn of(mos: f64) -> Self {
        Self::of_x100((mos * 100.0).clamp(0.0, 500.0).round() as u16)
    }

    fn of_x100(mos: u16) -> Self {
        Self::ALL.into_iter().find(|(_, from)| mos >= *from).map_or(Self::Bad, |(level, _)| level)
    }

    /// The level after this one, with a score that may be on its edge.
    fn next(self, mos: u16) -> Self {
        let (low, high) = (mos.saturating_sub(HYSTERESIS_X100), mos.saturating_add(HYSTERESIS_X100));
        match Self::of_x100(mos) {
            better if better > self => Self::of_x100(low).max(self),
            worse => Self::of_x100(high).min(self).max(worse),
        }
    }
}

/// A call sounds better or worse than before.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct QualityChange {
    /// Before; calls begin as excellent.
    pub old: QualityLevel,
    /// Now.
    pub new: QualityLevel,
    /// The figures now.
    pub metrics: QualityMetrics,
}

/// Looks at all calls again and again, until it is aborted or the coordinator is gone.
pub(crate) fn watch(
    this: Weak<SessionCoordinator>,
    every: Option<Duration>,
    runtime: &tokio::runtime::Handle,
) -> Option<tokio::task::AbortHandle> {
    let every = every?;
    let watching = runtime.spawn(async move {
        let mut ticks = tokio::time::interval(every.max(INTERVAL_MIN));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let Some(coordinator) = this.upgrade() else { return };
            coordinator.look_at_quality().await;
        }
    });
    Some(watching.abort_handle())
}

impl SessionCoordinator {
    async fn look_at_quality(self: &Arc<Self>) {
        for shard in 0..self.shard_count() {
            let scores = self.order(shard, move |order| {
                let score = |session: &session::Session| {
                    let leg = session.leg()?;
                    let row = order.region.as_ref()?.legs().read(leg)?;
                    let mos_x100 = row.quality.received.mos_x100;
                    (mos_x100 > 0).then_some((SessionId::new(shard, session.id()), mos_x100))
                };
                order.sessions.iter().filter_map(score).collect::<Vec<_>>()
            });
            for (id, score) in scores.await.unwrap_or_default() {
                self.judge_quality(id, score).await;
            }
        }
    }

    async fn judge_quality(self: &Arc<Self>, id: SessionId, score: u16) {
        let Ok(entry) = self.entry(id) else { return };
        let old = entry.facts().quality;
        let new = old.next(score);
        let is_up =
            matches!(entry.state(), SessionState::Connected | SessionState::OnHold | SessionState::Transferring);
        if new == old || !is_up {
            return;
        }
        entry.facts().quality = new;
        let statistics = MediaControl::get_media_statistics(self, &id).await.ok().flatten();
        let Some(metrics) = statistics.and_then(|statistics| statistics.quality_metrics) else { return };
        let change = QualityChange { old, new, metrics };
        self.publish(&entry, EventKind::QualityChanged { change });
        entry.tell(HandlerNotice::Quality(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_by_score_and_an_edge_that_does_not_flap() {
        use QualityLevel::*;
        let levels = [4.4, 4.3, 4.29, 4.0, 3.6, 3.1, 3.09, 1.0, f64::NAN].map(QualityLevel::of);
        assert_eq!(levels, [Excellent, Excellent, Good, Good, Fair, Poor, Bad, Bad, Bad]);
        assert_eq!([428, 424, 432, 436].map(|score| Excellent.next(score)), [Excellent, Good, Excellent, Excellent]);
        assert_eq!([428, 432, 435].map(|score| Good.next(score)), [Good, Good, Excellent]);
        assert_eq!([100, 312, 440].map(|score| Fair.next(score)), [Bad, Poor, Excellent]);
        assert!(Bad < Poor && Good < Excellent);
    }
}
