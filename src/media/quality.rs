//! How good calls sound: what the media plane tells of it.

use crate::api::{MediaControl, QualityMetrics, SessionCoordinator};
use crate::calls::entry::Entry;
use crate::events::EventKind;
use crate::handlers::call_task::HandlerNotice;
use contract::{LegStream, QualityClass};
use serde::{Deserialize, Serialize};
use session::SessionState;
use std::sync::Arc;

/// How good a call sounds: classes of the E-model's score (ITU-T G.107, Annex B).
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
    /// The level of a score of 1.0 to 4.5.
    pub fn of(mos: f64) -> Self {
        Self::of_class(QualityClass::of((mos * 100.0).clamp(0.0, 500.0).round() as u16))
    }

    fn of_class(class: QualityClass) -> Self {
        match class {
            QualityClass::Bad => Self::Bad,
            QualityClass::Poor => Self::Poor,
            QualityClass::Fair => Self::Fair,
            QualityClass::Good => Self::Good,
            QualityClass::Excellent => Self::Excellent,
        }
    }
}

/// One of the two streams of a call, seen from us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum QualityStream {
    /// What we receive from the peer, as we measure it.
    Received,
    /// What the peer receives from us, as it reports by RTCP.
    Sent,
}

/// A stream of a call sounds better or worse than before.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct QualityChange {
    /// Which stream.
    pub stream: QualityStream,
    /// Before; streams begin as excellent.
    pub old: QualityLevel,
    /// Now.
    pub new: QualityLevel,
    /// The stream is degraded: it was below the limit
    /// ([`crate::api::SessionManagerBuilder::with_degraded_mos`]) for two intervals and has not been clearly above it for two since.
    pub is_degraded: bool,
    /// Score of the last interval.
    pub mos_score: f64,
    /// The figures now.
    pub metrics: QualityMetrics,
}

impl SessionCoordinator {
    /// The media plane says that a stream of the call sounds better or worse: subscribers and the handler are told, with the
    /// figures of the call.
    pub(crate) fn quality_changed(self: &Arc<Self>, entry: &Arc<Entry>, change: contract::QualityChange) {
        let is_up =
            matches!(entry.state(), SessionState::Connected | SessionState::OnHold | SessionState::Transferring);
        if !is_up || self.config.quality.interval.is_none() {
            return;
        }
        let (this, entry) = (self.clone(), entry.clone());
        self.runtime.spawn(async move {
            let statistics = MediaControl::get_media_statistics(&this, &entry.id).await.ok().flatten();
            let Some(metrics) = statistics.and_then(|statistics| statistics.quality_metrics) else { return };
            let told = QualityChange {
                stream: match change.stream {
                    LegStream::Received => QualityStream::Received,
                    LegStream::Sent => QualityStream::Sent,
                },
                old: QualityLevel::of_class(change.old),
                new: QualityLevel::of_class(change.new),
                is_degraded: change.is_degraded,
                mos_score: f64::from(change.mos_x100) / 100.0,
                metrics,
            };
            if told.old != told.new {
                this.publish(&entry, EventKind::QualityChanged { change: told });
                entry.tell(HandlerNotice::Quality(told));
            }
            if change.begins() {
                this.publish(&entry, EventKind::QualityDegraded { change: told });
                entry.tell(HandlerNotice::Degraded(told));
            } else if change.ends() {
                this.publish(&entry, EventKind::QualityRecovered { change: told });
                entry.tell(HandlerNotice::Recovered(told));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_by_score() {
        use QualityLevel::*;
        let levels = [4.4, 4.3, 4.29, 4.0, 3.6, 3.1, 3.09, 1.0, f64::NAN].map(QualityLevel::of);
        assert_eq!(levels, [Excellent, Excellent, Good, Good, Fair, Poor, Bad, Bad, Bad]);
        assert!(Bad < Poor && Good < Excellent);
    }
}
