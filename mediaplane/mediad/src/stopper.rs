use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Ends the media plane, from any thread; `stop` may be called from a signal handler's thread as often as it likes.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    asked: AtomicBool,
    event: OwnedFd,
}

impl Stopper {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner { asked: AtomicBool::new(false), event })))
    }

    /// Asks for the end: legs say goodbye by RTCP BYE, then all threads end.
    pub fn stop(&self) {
        self.0.asked.store(true, Release); // pairs with `is_asked`
        // The counter cannot be full: nobody reads it, and nobody calls this 2^64 times.
        let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
    }

    /// Whether the end was asked for.
    pub fn is_asked(&self) -> bool {
        self.0.asked.load(Acquire) // pairs with `stop`
    }
}

/// Readable from the moment that the end was asked for.
impl AsFd for Stopper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}
