//! What the main thread does while everything runs.

use crate::sockets::poll;
use crate::{Reload, Stop};
use config::Config;
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

/// Why the main thread looks at things.
pub(crate) enum Asked {
    /// Some seconds have gone by.
    Time,
    /// A newer configuration is there.
    Reload(Box<Config>),
}

/// Until the end is asked for, or a thread is gone that should not be. `look` is called every few seconds.
pub(crate) fn watch(
    stop: &Stop,
    reload: &Reload,
    shards: &[JoinHandle<()>],
    others: &[JoinHandle<()>],
    mut look: impl FnMut(Asked),
) {
    const PAUSE: Duration = Duration::from_millis(500);
    const PAUSES_PER_LOOK: u32 = 10;
    let mut pauses = 0;
    loop {
        let ready = poll::readable(&[stop.as_fd(), reload.as_fd()], Some(PAUSE));
        if ready[0] || shards.iter().chain(others).any(JoinHandle::is_finished) {
            return;
        }
        if let Some(newer) = reload.take() {
            look(Asked::Reload(newer));
        }
        pauses += 1;
        if pauses % PAUSES_PER_LOOK == 0 {
            look(Asked::Time);
        }
    }
}
