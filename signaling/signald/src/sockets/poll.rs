//! Waiting for descriptors.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Most descriptors that are waited for at once.
pub(crate) const FD_COUNT_MAX: usize = 4;

/// Waits until one of up to [`FD_COUNT_MAX`] descriptors is readable or hung up, or the limit is over. An interrupted
/// wait looks like one that is over.
pub(crate) fn readable(fds: &[BorrowedFd<'_>], limit: Option<Duration>) -> [bool; FD_COUNT_MAX] {
    assert!((1..=FD_COUNT_MAX).contains(&fds.len()), "{} descriptors", fds.len());
    let flags = PollFlags::IN | PollFlags::RDHUP;
    let mut polled: [PollFd<'_>; FD_COUNT_MAX] =
        std::array::from_fn(|index| PollFd::from_borrowed_fd(fds[index.min(fds.len() - 1)], flags));
    let limit = limit
        .map(|limit| Timespec { tv_sec: limit.as_secs().min(86_400) as i64, tv_nsec: limit.subsec_nanos().into() });
    let mut ready = [false; FD_COUNT_MAX];
    if poll(&mut polled[..fds.len()], limit.as_ref()).is_ok() {
        for (ready, fd) in ready.iter_mut().zip(&polled[..fds.len()]) {
            *ready = !fd.revents().is_empty();
        }
    }
    ready
}
