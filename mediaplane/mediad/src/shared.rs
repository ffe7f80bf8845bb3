use crate::leg_transfer::TransferQueues;
use crate::recording::Recorder;
use crate::stopper::Stopper;
use crate::streams::Streams;
use audio::{Prompt, Tones};
use media_core::QualityLimits;
use shm::{ClientIndex, Host, WakeFd};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// What all threads of the media plane see.
pub(crate) struct Shared {
    pub(crate) host: Host,
    /// The even port of every pair, in the order of the sockets.
    pub(crate) ports: Vec<u16>,
    pub(crate) prompts: Arc<[Prompt]>,
    pub(crate) tones: Arc<Tones>,
    pub(crate) cname: String,
    /// Legs that each worker transcodes for at once, at most.
    pub(crate) transcoder_limit: usize,
    pub(crate) quality: QualityLimits,
    /// Legs whose peer's sound each worker processes at once, at most.
    pub(crate) voice_limit: usize,
    pub(crate) transfers: TransferQueues,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) streams: Streams,
    pub(crate) stopper: Stopper,
    /// Makes the control thread look around.
    pub(crate) control_wake: WakeFd,
    /// A bit per client that can no longer be talked to.
    stuck: AtomicU32,
    next_seed: AtomicU64,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            host,
            ports,
            media_address,
            prompts,
            cname,
            transcoder_limit,
            voice_limit,
            quality,
            stopper,
            control_wake,
            seed,
        } = parts;
        let workers = host.region().plan().workers;
        let (transfers, recorder) = (TransferQueues::new(workers), Arc::new(Recorder::new(workers, media_address)));
        let tones = Arc::new(Tones::default());
        Self {
            host,
            ports,
            prompts,
            tones,
            cname,
            transcoder_limit,
            quality,
            voice_limit,
            transfers,
            recorder,
            streams: Streams::new(workers),
            stopper,
            control_wake,
            stuck: AtomicU32::new(0),
            next_seed: AtomicU64::new(seed),
        }
    }

    /// The seed of one more core.
    pub(crate) fn next_seed(&self) -> u64 {
        self.next_seed.fetch_add(1, Relaxed)
    }

    /// A worker has found clients that take no events, or whose command queue makes no sense.
    pub(crate) fn report_stuck(&self, clients: u32) {
        if clients & !self.stuck.fetch_or(clients, AcqRel) != 0 {
            self.control_wake.wake();
        }
    }

    /// A new client is in this place: what was reported of the one before is not about it.
    pub(crate) fn forget_stuck(&self, client: ClientIndex) {
        self.stuck.fetch_and(!(1 << client.0), AcqRel);
    }

    /// Those clients, once.
    pub(crate) fn take_stuck(&self) -> u32 {
        self.stuck.swap(0, AcqRel)
    }
}

/// What [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) host: Host,
    pub(crate) ports: Vec<u16>,
    /// What the ports are bound to; `None`: a simulated network.
    pub(crate) media_address: Option<IpAddr>,
    pub(crate) prompts: Arc<[Prompt]>,
    pub(crate) cname: String,
    /// Of each worker.
    pub(crate) transcoder_limit: usize,
    /// When the streams of legs are judged, and by what.
    pub(crate) quality: QualityLimits,
    /// Of each worker.
    pub(crate) voice_limit: usize,
    pub(crate) stopper: Stopper,
    pub(crate) control_wake: WakeFd,
    /// Where all randomness of the workers begins.
    pub(crate) seed: u64,
}
