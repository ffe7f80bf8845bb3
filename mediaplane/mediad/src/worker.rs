//! One media worker: a pinned thread with packet I/O, a core and its ends of the queues. It does not know which back end
//! carries its packets.

use crate::clients::event_backlog::EventBacklog;
use crate::clients::kept_legs::GracePeriods;
use crate::clients::owners::Owners;
use crate::error::StartError;
use crate::publish::Publisher;
use crate::recording::Captures;
use crate::shared::Shared;
use clock::Instant;
use contract::LegRef;
use media_core::WorkerConfig;
use media_core::io::{Backend, Output, PacketIo, Received};
use shm::{ClientIndex, WorkerEnd, WorkerIndex};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Packets of one turn: more wait for the next, so that commands and frames get their turn under any flood.
pub(crate) const TURN_PACKETS: usize = 512;
/// Events and closings of one turn that need no memory beyond the first.
const TURN_EVENTS: usize = 2_048;

/// A leg that another worker asked for, and that still receives here.
#[derive(Clone, Copy)]
pub(crate) struct PendingTransfer {
    pub(crate) leg: LegRef,
    pub(crate) number: u64,
    pub(crate) pair: u16,
    pub(crate) worker: u8,
    /// When it was asked for.
    pub(crate) since: Instant,
}

/// Everything that one worker owns.
pub(crate) struct Worker<B: Backend> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) backend: Arc<B>,
    pub(crate) index: WorkerIndex,
    pub(crate) end: WorkerEnd,
    pub(crate) core: media_core::Worker,
    pub(crate) io: B::Io,
    pub(crate) received: Vec<Received>,
    pub(crate) output: Output,
    pub(crate) event_backlog: EventBacklog,
    pub(crate) owners: Owners,
    pub(crate) captures: Captures,
    pub(crate) publisher: Publisher,
    pub(crate) pending_transfers: Vec<PendingTransfer>,
    pub(crate) grace: GracePeriods,
    /// Clients that died, whose legs are being closed.
    pub(crate) dying: Vec<ClientIndex>,
    /// Whether a panic came from the I/O, which is then made anew.
    pub(crate) inside_io: bool,
    /// When the worker was rebuilt, the last few times.
    pub(crate) rebuilt_at: Vec<Instant>,
    /// Since when there is no leg, and memory of former ones.
    pub(crate) empty_since: Option<Instant>,
}

/// The thread. `told` hears whether it could start.
pub(crate) fn run<B: Backend>(
    shared: &Arc<Shared>,
    backend: &Arc<B>,
    index: WorkerIndex,
    told: &Sender<Result<(), StartError>>,
) {
    pin(index);
    let worker = Worker::new(shared.clone(), backend.clone(), index);
    let mut worker = match worker {
        Ok(worker) => {
            let _ = told.send(Ok(()));
            worker
        }
        Err(error) => {
            let _ = told.send(Err(error));
            return;
        }
    };
    loop {
        // What a panic leaves behind half-done is dealt with by `rebuild`, which trusts nothing of the core's.
        match catch_unwind(AssertUnwindSafe(|| worker.turn_until_stopped())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::error!("media worker {}: its packet I/O failed: {error}", index.0);
                worker.inside_io = true;
            }
            Err(_) => tracing::error!("media worker {} has panicked; its words are above", index.0),
        }
        if let Err(error) = worker.rebuild() {
            tracing::error!("media worker {} cannot go on: {error}", index.0);
            return;
        }
    }
}

impl<B: Backend> Worker<B> {
    pub(crate) fn new(shared: Arc<Shared>, backend: Arc<B>, index: WorkerIndex) -> Result<Self, StartError> {
        let end = shared
            .host
            .worker(index)
            .ok_or_else(|| StartError::system("take a worker's queues")(std::io::ErrorKind::AlreadyExists.into()))?;
        let io = new_io(&*backend, &end)?;
        let core = new_core(&shared, index);
        let leg_rows = shared.host.region().plan().leg_rows();
        let sends = TURN_PACKETS + backend.turn_buffers();
        let publisher = Publisher::new(shared.host.region(), index);
        publisher.beat(io.now());
        Ok(Self {
            end,
            core,
            io,
            received: Vec::with_capacity(TURN_PACKETS),
            output: Output::with_limits(sends, TURN_EVENTS),
            event_backlog: EventBacklog::new(),
            owners: Owners::new(leg_rows),
            captures: Captures::default(),
            publisher,
            pending_transfers: Vec::new(),
            grace: GracePeriods::new(),
            dying: Vec::new(),
            inside_io: false,
            rebuilt_at: Vec::new(),
            empty_since: None,
            shared,
            backend,
            index,
        })
    }
}

/// Packet I/O that is woken by the worker's descriptor.
pub(crate) fn new_io<B: Backend>(backend: &B, end: &WorkerEnd) -> Result<B::Io, StartError> {
    let system = StartError::system("copy a descriptor");
    let waker = end.wake_fd().as_fd().try_clone_to_owned().map_err(system)?;
    backend.open(waker).map_err(StartError::Packets)
}

/// A core without legs, that may run a leg on any port: those of other workers come by moving.
pub(crate) fn new_core(shared: &Shared, index: WorkerIndex) -> media_core::Worker {
    media_core::Worker::new(WorkerConfig {
        prompts: shared.prompts.clone(),
        tones: shared.tones.clone(),
        cname: shared.cname.clone(),
        transcoder_limit: shared.transcoder_limit,
        quality: shared.quality,
        voice_limit: shared.voice_limit,
        seed: shared.next_seed(),
        leg_rows: shared.host.region().plan().leg_rows(),
        ..WorkerConfig::new(index.0, shared.ports.clone())
    })
}

/// One worker, one core; and timers that mean what they say: the default slack of 50 us would double our latency. The
/// priority stays that of the process: a raised one makes the kernel switch to us at the first packet of every burst,
/// which costs a third more CPU at 500 calls; who wants it sets `Nice=` of the service.
fn pin(index: WorkerIndex) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = cores.get(index.index() % cores.len().max(1)).copied();
    if !core.is_some_and(core_affinity::set_for_current) {
        tracing::warn!(
            "media worker {} is not pinned to a core: the CPU affinity of this process does not allow it",
            index.0
        );
    }
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}
