use crate::moves::MoveBoxes;
use crate::recording::Recorder;
use crate::stopper::Stopper;
use audio::{Prompt, Tones};
use shm::{Host, WakeFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};
use uring::{IoSettings, Sockets};

/// What all threads of the media plane see.
pub(crate) struct Shared {
    pub(crate) host: Host,
    pub(crate) sockets: Arc<Sockets>,
    /// The even port of every pair, in the order of the sockets.
    pub(crate) ports: Vec<u16>,
    pub(crate) io: IoSettings,
    pub(crate) prompts: Arc<[Prompt]>,
    pub(crate) tones: Arc<Tones>,
    pub(crate) cname: String,
    pub(crate) moves: MoveBoxes,
    pub(crate) recorder: Recorder,
    pub(crate) stopper: Stopper,
    /// Makes the control thread look around.
    pub(crate) control_wake: WakeFd,
    /// A bit per client that takes no events any more.
    stuck: AtomicU32,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { host, sockets, ports, io, prompts, cname, stopper, control_wake } = parts;
        let workers = host.region().plan().workers;
        let (moves, recorder) = (MoveBoxes::new(workers), Recorder::new(workers));
        let tones = Arc::new(Tones::default());
        Self {
            host,
            sockets,
            ports,
            io,
            prompts,
            tones,
            cname,
            moves,
            recorder,
            stopper,
            control_wake,
            stuck: AtomicU32::new(0),
        }
    }

    /// A worker has found clients that take no events.
    pub(crate) fn report_stuck(&self, clients: u32) {
        if clients & !self.stuck.fetch_or(clients, AcqRel) != 0 {
            self.control_wake.wake();
        }
    }

    /// Those clients, once.
    pub(crate) fn take_stuck(&self) -> u32 {
        self.stuck.swap(0, AcqRel)
    }
}

/// What [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) host: Host,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) ports: Vec<u16>,
    pub(crate) io: IoSettings,
    pub(crate) prompts: Arc<[Prompt]>,
    pub(crate) cname: String,
    pub(crate) stopper: Stopper,
    pub(crate) control_wake: WakeFd,
}
