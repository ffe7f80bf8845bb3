//! When a shard has little to do, the executable may give memory back there.

use clock::{Duration, Instant};
use std::sync::OnceLock;

static WORK: OnceLock<fn()> = OnceLock::new();

/// Has every shard call `work` on its thread, some seconds after it did something and while it is not busy. For the
/// executable, which knows its allocator; the first one counts.
pub fn when_idle(work: fn()) {
    // A second one would be the same executable's.
    let _ = WORK.set(work);
}

/// How long after work. A busy shard is left alone.
const AFTER: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdleWork {
    due_at: Option<Instant>,
}

impl IdleWork {
    /// There may be something to give back from now on.
    pub(crate) fn work_was_done(&mut self, now: Instant) {
        self.due_at.get_or_insert(now + AFTER);
    }

    /// Does what is due.
    pub(crate) fn look(&mut self, now: Instant, is_busy: bool) {
        if self.due_at.is_none_or(|at| at > now) {
            return;
        }
        if is_busy {
            self.due_at = Some(now + AFTER);
            return;
        }
        self.due_at = None;
        if let Some(work) = WORK.get() {
            work();
        }
    }

    /// When to [`look`](Self::look) again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static COUNT: AtomicU32 = AtomicU32::new(0);

    #[test]
    fn it_comes_once_after_work_and_not_while_busy() {
        when_idle(|| {
            COUNT.fetch_add(1, Relaxed);
        });
        let (mut idle_work, start) = (IdleWork::default(), Instant::ZERO + Duration::from_secs(100));
        let looks = |idle_work: &mut IdleWork, after_s: u64, is_busy: bool| {
            let before = COUNT.load(Relaxed);
            idle_work.look(start + Duration::from_secs(after_s), is_busy);
            COUNT.load(Relaxed) - before
        };
        assert_eq!((looks(&mut idle_work, 0, false), idle_work.deadline()), (0, None), "nothing was done");
        idle_work.work_was_done(start);
        idle_work.work_was_done(start + Duration::from_secs(9));
        assert_eq!((looks(&mut idle_work, 9, false), idle_work.deadline()), (0, Some(start + AFTER)));
        assert_eq!(looks(&mut idle_work, 10, true), 0, "busy");
        assert_eq!((looks(&mut idle_work, 20, false), idle_work.deadline()), (1, None));
        assert_eq!(looks(&mut idle_work, 90, false), 0, "an idle shard is not woken");
    }
}
