use crate::error::Denied;
use clock::Duration;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, squeue};
use std::io;

/// Submissions that fit before the kernel has to take them.
pub(crate) const SUBMISSION_COUNT: u32 = 2_048;
/// Completions that fit; beyond that the kernel keeps them aside (slower, never lost).
pub(crate) const COMPLETION_COUNT: u32 = 8_192;

/// How the kernel runs the ring's deferred work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskRun {
    /// Only when we enter: `SINGLE_ISSUER | DEFER_TASKRUN` (Linux 6.1).
    Deferred,
    /// At the next transition into the kernel: `COOP_TASKRUN` (Linux 5.19).
    Cooperative,
}

/// An io_uring of this thread.
pub(crate) struct Ring {
    pub(crate) uring: IoUring,
    pub(crate) task_run: TaskRun,
    /// Whether the kernel can gather completions for a minimum time (Linux 6.12).
    pub(crate) can_gather: bool,
    pub(crate) enters: u64,
}

impl Ring {
    pub(crate) fn new(submissions: u32, completions: u32) -> Result<Self, Denied> {
        let deferred = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(completions)
            .setup_clamp()
            .build(submissions);
        let (uring, task_run) = match deferred {
            Ok(uring) => (uring, TaskRun::Deferred),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                let mut builder = IoUring::builder();
                builder.setup_coop_taskrun().setup_submit_all().setup_cqsize(completions).setup_clamp();
                let uring = builder.build(submissions).map_err(|error| Denied::new("a ring", error))?;
                (uring, TaskRun::Cooperative)
            }
            Err(error) => return Err(Denied::new("a ring", error)),
        };
        let can_gather = uring.params().is_feature_min_timeout();
        Ok(Self { uring, task_run, can_gather, enters: 0 })
    }

    /// Queues an entry, making room by submitting when the queue is full.
    ///
    /// # Safety
    /// What the entry points to stays valid until the kernel has taken it (the next [`Ring::enter`]), and longer where
    /// the operation says so.
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: the caller promises it.
        if unsafe { self.uring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        self.enter(0, 0, Duration::ZERO)?;
        // SAFETY: as above.
        unsafe { self.uring.submission().push(entry) }.map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    /// Submits what was queued; then waits until `want` completions are there, or `gather_us` have passed and there is
    /// at least one, or `timeout` has passed. With `want` 0 it does not wait, but still runs deferred work.
    pub(crate) fn enter(&mut self, want: u32, gather_us: u32, timeout: Duration) -> io::Result<()> {
        self.enters += 1;
        let to_submit = self.uring.submission().len() as u32;
        let timeout = Timespec::new().sec(timeout.as_secs()).nsec(timeout.subsec_nanos());
        let args = SubmitArgs::new().timespec(&timeout).min_wait_usec(gather_us);
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        // SAFETY: `SubmitArgs` is the kernel's `io_uring_getevents_arg`, which EXT_ARG announces; it and the timespec
        // that it points to live over the call.
        let result = unsafe { self.uring.submitter().enter(to_submit, want, flags.bits(), Some(&args)) };
        match result.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => Ok(()),
            // Time is up; a signal came; completions must be reaped first. All are dealt with by the next turn.
            Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }
}
