use crate::{IoSettings, Sockets, UringIo};
use media_core::io::Backend;
use rustix::fd::OwnedFd;
use std::error::Error;
use std::sync::Arc;

/// The media sockets of a process, with a ring for each worker that asks for one.
#[derive(Clone, Debug)]
pub struct UringBackend {
    /// Bound ahead of time, shared by all workers.
    pub sockets: Arc<Sockets>,
    /// How each ring is set up.
    pub settings: IoSettings,
}

impl Backend for UringBackend {
    type Io = UringIo;

    fn open(&self, waker: OwnedFd) -> Result<UringIo, Box<dyn Error + Send + Sync>> {
        Ok(UringIo::new(self.sockets.clone(), waker, self.settings)?)
    }

    fn turn_buffers(&self) -> usize {
        self.settings.send_buffer_count.into()
    }
}
