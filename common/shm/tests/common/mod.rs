//! What the tests share: a second process, and waiting for a descriptor.
#![allow(dead_code, reason = "each test file uses its part")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shm::RegionPlan;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything here takes; who waits so long has missed a wake-up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn plan(workers: usize, clients: usize) -> RegionPlan {
    RegionPlan { workers, clients, queue_slots: 256, ..RegionPlan::default() }
}

/// Starts this test binary again, to run only the ignored test `role`, with a socket as its standard input.
pub(crate) fn start_process(role: &str) -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--ignored", "--nocapture"])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    (child, ours)
}

/// In the process that [`start_process`] has started: the socket.
pub(crate) fn parent() -> UnixStream {
    std::io::stdin().as_fd().try_clone_to_owned().unwrap().into()
}

/// Whether the descriptor became readable in time.
pub(crate) fn wait_readable(fd: impl AsFd, timeout: Duration) -> bool {
    let left = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)).unwrap() > 0
}

/// Random enough, and the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
