//! The end of a shard: what is open has some seconds, and none when the end is asked for a second time.

use crate::Stop;
use crate::shard::thread::ShardThread;
use clock::{Duration, Instant};
use shard_core::Input;

/// How long calls may take to end when we stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// When a shard ends.
pub(crate) struct Ending {
    stop: Stop,
    /// The end was asked for: what is open has time until then.
    pub(crate) until: Option<Instant>,
}

impl Ending {
    /// When this is asked for.
    pub(crate) fn by(stop: Stop) -> Self {
        Self { stop, until: None }
    }
}

impl ShardThread {
    /// The end is asked for, or asked for again.
    pub(crate) fn take_stop(&mut self) {
        let now = clock::now();
        if self.ending.until.is_some() {
            self.sockets.waiter.remove(self.ending.stop.at_once());
            self.ending.until = Some(now);
            return;
        }
        // That request stays readable and would not let us sleep.
        self.sockets.waiter.remove(&self.ending.stop);
        if let Err(error) = self.sockets.waiter.watch_stop(self.ending.stop.at_once()) {
            tracing::warn!(shard = self.number, "cannot be asked to stop at once: {error}");
        }
        self.ending.until = Some(now + STOP_LIMIT);
        self.shard.handle(now, Input::Stop, &mut self.link, &mut self.out);
        self.flush();
    }

    /// Whether all calls and requests have ended, or their time is over. What its proxy has not answered then is answered.
    pub(crate) fn is_done(&mut self, now: Instant) -> bool {
        let Some(until) = self.ending.until else { return false };
        if !self.shard.is_busy() {
            return true;
        }
        if now < until {
            return false;
        }
        let left = self.shard.open_count();
        if left > 0 {
            tracing::warn!(shard = self.number, calls = left, "stopping before these calls have ended");
        }
        self.shard.handle(now, Input::End, &mut self.link, &mut self.out);
        self.flush();
        true
    }
}
