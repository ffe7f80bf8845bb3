use crate::buffers::BufferRing;
use crate::error::{Denied, release};
use crate::ring::{Ring, TaskRun};
use io_uring::{Probe, opcode};
use std::fmt;

/// What this kernel offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Features {
    /// `uname -r`.
    pub release: String,
    /// Deferred task work (Linux 6.1): completions are made only when we ask.
    pub deferred: bool,
    /// A minimum wait (Linux 6.12): under load several packets share a wake-up at no cost.
    pub min_wait: bool,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |has, yes, no| if has { yes } else { no };
        write!(
            f,
            "Linux {}: io_uring with multishot receive and buffer rings, {}, {}",
            self.release,
            word(self.deferred, "deferred task work", "cooperative task work (6.1 would defer it)"),
            word(self.min_wait, "minimum wait", "no minimum wait (6.12 has it; adaptive waiting costs more)"),
        )
    }
}

/// Tries all that [`crate::UringIo`] needs, on a small ring that is thrown away.
pub fn probe() -> Result<Features, Denied> {
    let ring = Ring::new(8, 16)?;
    let mut known = Probe::new();
    let submitter = ring.uring.submitter();
    submitter.register_probe(&mut known).map_err(|error| Denied::new("a list of operations", error))?;
    let needed = [
        (opcode::RecvMsgMulti::CODE, "receiving messages"),
        (opcode::Send::CODE, "sending"),
        (opcode::SendMsg::CODE, "sending messages"),
        (opcode::PollAdd::CODE, "polling"),
        (opcode::AsyncCancel::CODE, "cancelling"),
    ];
    for (code, what) in needed {
        if !known.is_supported(code) {
            return Err(Denied::new(what, std::io::Error::from_raw_os_error(libc::EOPNOTSUPP)));
        }
    }
    // Multishot receive came with 6.0, after buffer rings (5.19) and skipped completions (5.17); there is no flag for it.
    if !ring.uring.params().is_feature_skip_cqe_on_success() || version(&release()) < (6, 1) {
        return Err(Denied::new("multishot receive", std::io::Error::from_raw_os_error(libc::EOPNOTSUPP)));
    }
    let buffers = BufferRing::new(8).map_err(|error| Denied::new("a buffer ring", error))?;
    // SAFETY: the memory outlives the registration, which ends two lines below.
    unsafe { submitter.register_buf_ring_with_flags(buffers.address(), 8, 0, 0) }
        .map_err(|error| Denied::new("a buffer ring", error))?;
    submitter.unregister_buf_ring(0).map_err(|error| Denied::new("a buffer ring", error))?;
    Ok(Features { release: release(), deferred: ring.task_run == TaskRun::Deferred, min_wait: ring.can_gather })
}

/// Major and minor version; what cannot be read counts as new, the other checks decide then.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => (u32::MAX, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("6.18.44-fc-v657"), (6, 18));
        assert_eq!(version("5.10"), (5, 10));
        assert_eq!(version("odd"), (u32::MAX, 0));
    }

    #[test]
    fn this_kernel_is_described_or_the_switch_is_named() {
        match probe() {
            Ok(features) => assert!(features.to_string().contains(&features.release)),
            Err(denied) => panic!("tests of this crate need io_uring: {denied}"),
        }
    }
}
