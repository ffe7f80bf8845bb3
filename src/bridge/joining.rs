//! Sessions that are about to hear each other: a bridge is reported as made once the media plane has confirmed it.

use crate::api::{BridgeId, SessionCoordinator, SessionError, SessionId};
use signald::OrderTurn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long joining waits for a change of a session that is on its way, such as its answer reaching the media plane, and
/// for the media plane to confirm.
const SETTLING_LIMIT: Duration = Duration::from_secs(3);

/// Tasks that wait until the sessions of a bridge hear each other.
#[derive(Default)]
pub(crate) struct Joining(Mutex<Vec<(BridgeId, oneshot::Sender<()>)>>);

impl Joining {
    fn expect(&self, bridge: BridgeId) -> oneshot::Receiver<()> {
        let (told, joined) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.retain(|(_, waiting)| !waiting.is_closed());
        waiting.push((bridge, told));
        joined
    }

    /// The sessions of a bridge hear each other, or one of them has left it.
    pub(crate) fn settle(&self, bridge: BridgeId) {
        // A waiting task learns of it by the sender that goes.
        self.waiting().retain(|(waited_for, _)| *waited_for != bridge);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(BridgeId, oneshot::Sender<()>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionCoordinator {
    /// Has the shard of `one` put it into a bridge by `work`, and returns once the media plane has confirmed it. A session that
    /// is not ready, because something else of it is on its way, is asked again with its next change, and that of `other`.
    pub(crate) async fn join(
        &self,
        one: SessionId,
        other: SessionId,
        work: impl Fn(&mut OrderTurn<'_, '_>, session::SessionId) -> Result<session::BridgeId, session::SessionError>
        + Copy
        + Send
        + 'static,
    ) -> Result<BridgeId, SessionError> {
        let entry = self.entry(one)?;
        let partner = self.registry.get(other).unwrap_or_else(|| entry.clone());
        let (shard, until) = (one.shard(), Instant::now() + SETTLING_LIMIT);
        let (bridge, joined) = loop {
            // Registered before the shard is asked, so that no change goes by.
            let (changed, partner_changed) = (entry.changed.notified(), partner.changed.notified());
            tokio::pin!(changed, partner_changed);
            changed.as_mut().enable();
            partner_changed.as_mut().enable();
            let joining = self.joining.clone();
            let asked = self.order(shard, move |mut order| {
                let bridge = work(&mut order, one.inner())?;
                let public = BridgeId::new(shard, bridge);
                let joined = (!order.sessions.is_joined(bridge)).then(|| joining.expect(public));
                Ok((public, joined))
            });
            match asked.await? {
                Err(session::SessionError::Busy(_)) if Instant::now() < until => {
                    tokio::select! {
                        () = changed => {}
                        () = partner_changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
                done => break done.map_err(|error| SessionError::of_session(one, Some(&entry.call_id), error))?,
            }
        };
        if let Some(joined) = joined {
            // Where the media plane takes longer the bridge is there all the same, and joins as soon as it can.
            let _ = tokio::time::timeout_at(until, joined).await;
        }
        Ok(bridge)
    }
}
