use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Asks signaling to end: any thread may, as often as it likes. Clones are the same request.
#[derive(Clone, Debug)]
pub struct Stop(Arc<OwnedFd>);

impl Stop {
    /// Not asked for yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Asks: BYE to every call, then the end.
    pub fn request(&self) {
        // Nobody reads the count, so it stays readable; it cannot overflow in a lifetime.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Waits until it is asked for, or the time is over; says whether it was asked for.
    pub(crate) fn wait(&self, limit: std::time::Duration) -> bool {
        crate::sockets::poll::readable(&[self.as_fd()], Some(limit))[0]
    }
}

/// Readable from the moment that the end was asked for.
impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
