//! One media worker: a pinned thread with a ring, a core and its ends of the queues.

use crate::error::StartError;
use crate::outbox::Outbox;
use crate::owners::Owners;
use crate::publish::Publisher;
use crate::shared::Shared;
use clock::Instant;
use contract::LegRef;
use media_core::WorkerConfig;
use media_core::io::{Output, Received};
use shm::{ClientIndex, WorkerEnd, WorkerIndex};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use uring::UringIo;

/// Packets of one turn: more wait for the next, so that commands and frames get their turn under any flood.
pub(crate) const TURN_PACKETS: usize = 512;
/// Events and closings of one turn that need no memory beyond the first.
const TURN_EVENTS: usize = 2_048;

/// A leg that another worker asked for, and that still receives here.
#[derive(Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) leg: LegRef,
    pub(crate) tag: u64,
    pub(crate) pair: u16,
    pub(crate) worker: u8,
    /// When it was asked for.
    pub(crate) since: Instant,
}

/// Everything that one worker owns.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: WorkerIndex,
    pub(crate) end: WorkerEnd,
    pub(crate) core: media_core::Worker,
    pub(crate) io: UringIo,
    pub(crate) received: Vec<Received>,
    pub(crate) output: Output,
    pub(crate) outbox: Outbox,
    pub(crate) owners: Owners,
    pub(crate) publisher: Publisher,
    pub(crate) leaving: Vec<Leaving>,
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
pub(crate) fn run(shared: &Arc<Shared>, index: WorkerIndex, told: &Sender<Result<(), StartError>>) {
    pin(index);
    let worker = Worker::new(shared.clone(), index);
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
                tracing::error!("media worker {}: its ring failed: {error}", index.0);
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

impl Worker {
    fn new(shared: Arc<Shared>, index: WorkerIndex) -> Result<Self, StartError> {
        let end = shared
            .host
            .worker(index)
            .ok_or_else(|| StartError::system("take a worker's queues")(std::io::ErrorKind::AlreadyExists.into()))?;
        let io = new_io(&shared, &end)?;
        let core = new_core(&shared, index);
        let pairs = shared.ports.len();
        let sends = TURN_PACKETS + usize::from(shared.io.send_buffer_count);
        let publisher = Publisher::new(shared.host.region(), index);
        publisher.beat(clock::now());
        Ok(Self {
            end,
            core,
            io,
            received: Vec::with_capacity(TURN_PACKETS),
            output: Output::with_limits(sends, TURN_EVENTS),
            outbox: Outbox::new(),
            owners: Owners::new(pairs),
            publisher,
            leaving: Vec::new(),
            dying: Vec::new(),
            inside_io: false,
            rebuilt_at: Vec::new(),
            empty_since: None,
            shared,
            index,
        })
    }
}

/// A ring over all sockets, woken by the worker's descriptor.
pub(crate) fn new_io(shared: &Shared, end: &WorkerEnd) -> Result<UringIo, StartError> {
    let system = StartError::system("copy a descriptor");
    let waker = end.wake_fd().as_fd().try_clone_to_owned().map_err(system)?;
    Ok(UringIo::new(shared.sockets.clone(), waker, shared.io)?)
}

/// A core without legs, that may run a leg on any port: those of other workers come by moving.
pub(crate) fn new_core(shared: &Shared, index: WorkerIndex) -> media_core::Worker {
    media_core::Worker::new(WorkerConfig {
        prompts: shared.prompts.clone(),
        tones: shared.tones.clone(),
        cname: shared.cname.clone(),
        seed: RandomState::new().hash_one(clock::now().as_nanos()),
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
