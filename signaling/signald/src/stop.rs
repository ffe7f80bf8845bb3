use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Asks signaling to end: any thread may, as often as it likes. Clones are the same request.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Requests>);

#[derive(Debug)]
struct Requests {
    stop: OwnedFd,
    at_once: OwnedFd,
}

impl Stop {
    /// Not asked for yet.
    pub fn new() -> io::Result<Self> {
        let one = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(Self(Arc::new(Requests { stop: one()?, at_once: one()? })))
    }

    /// Asks: BYE to every call, then the end.
    pub fn request(&self) {
        ask(&self.0.stop);
    }

    /// Asks, and waits for nothing: requests that a proxy has not answered get 503, and BYEs are not waited for.
    pub fn request_at_once(&self) {
        ask(&self.0.at_once);
        ask(&self.0.stop);
    }

    /// Readable from the moment that the end was asked for at once.
    pub(crate) fn at_once(&self) -> BorrowedFd<'_> {
        self.0.at_once.as_fd()
    }

    /// Waits until it is asked for, or the time is over; says whether it was asked for.
    pub(crate) fn wait(&self, limit: std::time::Duration) -> bool {
        crate::sockets::poll::readable(&[self.as_fd()], Some(limit))[0]
    }
}

fn ask(request: &OwnedFd) {
    // Nobody reads the count, so it stays readable; it cannot overflow in a lifetime.
    let _ = rustix::io::write(request, &1_u64.to_ne_bytes());
}

/// Readable from the moment that the end was asked for.
impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.stop.as_fd()
    }
}
