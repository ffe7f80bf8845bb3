//! From a configuration to a running media plane.

use crate::clients::socket::ControlSocket;
use crate::clients::thread::Control;
use crate::error::StartError;
use crate::shared::{Parts, Shared};
use crate::stopper::Stopper;
use crate::{prompts, recording, streams, worker};
use config::{Config, Wait};
use media_core::QualityLimits;
use media_core::io::Backend;
use shm::{Host, RegionPlan, WakeFd, WorkerIndex};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use uring::{BindTo, DescriptorLimit, Features, IoSettings, Sockets, UringBackend, WaitMode};

/// Descriptors beside the media sockets: rings, wake-ups, clients, the log.
const OTHER_DESCRIPTORS: u64 = 256;

/// A running media plane: its threads end when it is stopped, and it is stopped when this is dropped.
pub struct Media {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// End after all others: the writer of recordings finishes what they recorded, the streams tell programs the end.
    servants: Vec<JoinHandle<()>>,
    summary: String,
}

impl Media {
    /// Makes the region, binds the ports, starts the threads. When it returns, clients can attach and legs can open.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let features = probe()?;
        let media = &config.media;
        let port_count = usize::from(media.ports.last - media.ports.first) + 1;
        let limit = uring::raise_descriptor_limit(port_count as u64 + OTHER_DESCRIPTORS);
        let prompts = prompts::load(&media.prompts)?;
        let control_socket = ControlSocket::open(&config.process.media_control_socket())?;
        let sockets = Sockets::bind(media.ports.first, port_count / 2 * 2, BindTo::from(config.media_address()))?;

        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let rtp_ports = media.ports.first..=media.ports.last;
        let plan = RegionPlan { workers: media.worker_count(cores), rtp_ports, ..RegionPlan::default() };
        let host = Host::create(&plan)?;
        for port in sockets.unavailable() {
            // Fresh ports are free, so this cannot fail; a port without a socket would only be refused later.
            let _ = host.region().ports().mark_unavailable(*port);
        }
        let summary = format!(
            "{} on ports {}-{} of {}, {} workers",
            config.process.media_control_socket().display(),
            media.ports.first,
            media.ports.last,
            sockets.ip(),
            plan.workers
        );
        tracing::info!("{features}");
        log_limits(&plan, &sockets, limit, &prompts);
        let shared = Arc::new(Shared::new(Parts {
            ports: (0..port_count / 2).map(|pair| media.ports.first + 2 * pair as u16).collect(),
            host,
            media_address: Some(sockets.ip()),
            prompts,
            cname: format!(
                "ringplane@{}",
                std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim()
            ),
            quality: QualityLimits {
                interval: media.quality.interval,
                degraded_mos_x100: media.quality.degraded_mos_x100,
            },
            transcoder_limit: media.transcoders.div_ceil(plan.workers.max(1)),
            voice_limit: media.voice_processing.legs_max.div_ceil(plan.workers.max(1)),
            stopper: Stopper::new().map_err(StartError::system("make a descriptor"))?,
            control_wake: WakeFd::new().map_err(StartError::system("make a descriptor"))?,
            seed: RandomState::new().hash_one(plan.workers),
        }));
        let mut running = Self { shared, threads: Vec::new(), servants: Vec::new(), summary };
        let shared = running.shared.clone();
        running.servants.push(spawn("media-recorder".into(), move || recording::run(&shared))?);
        let shared = running.shared.clone();
        running.servants.push(spawn("media-streams".into(), move || streams::run(&shared))?);
        let backend = UringBackend { sockets: Arc::new(sockets), settings: io_settings(media.wait) };
        running.start_workers(&Arc::new(backend))?;
        let control = Control::new(running.shared.clone(), control_socket);
        running.spawn("media-control".into(), move || control.run())?;
        Ok(running)
    }

    fn start_workers<B: Backend>(&mut self, backend: &Arc<B>) -> Result<(), StartError> {
        let (told, ready) = mpsc::channel();
        let workers: Vec<WorkerIndex> = self.shared.host.region().plan().workers().collect();
        for &index in &workers {
            let (shared, backend, told) = (self.shared.clone(), backend.clone(), told.clone());
            self.spawn(format!("media-{}", index.0), move || worker::run(&shared, &backend, index, &told))?;
        }
        for _ in &workers {
            match ready.recv() {
                Ok(result) => result?,
                Err(_) => return Err(StartError::system("start a worker")(std::io::ErrorKind::Other.into())),
            }
        }
        Ok(())
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        self.threads.push(spawn(name, run)?);
        Ok(())
    }

    /// Where it listens, in one line.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The region, for a control client in this very process: `host().attach_local()`.
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    /// What ends it, for a signal handler or another thread.
    pub fn stopper(&self) -> Stopper {
        self.shared.stopper.clone()
    }

    /// Waits until it is stopped by a [`Stopper`] and everything has ended.
    pub fn join(mut self) {
        self.join_threads();
    }

    fn join_threads(&mut self) {
        let join = |thread: JoinHandle<()>| {
            if thread.join().is_err() {
                tracing::error!("a thread of the media plane has panicked; its words are above");
            }
        };
        self.threads.drain(..).for_each(join);
        self.shared.recorder.stop();
        self.shared.streams.stop();
        self.servants.drain(..).for_each(join);
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.shared.stopper.stop();
        self.shared.host.region().plan().workers().for_each(|worker| self.shared.host.wake_worker(worker));
        self.join_threads();
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name(name.clone()).spawn(run);
    thread.map_err(|source| StartError::Thread { name, source })
}

/// Runs the media plane until it is stopped; `ready` gets it once clients can attach.
pub fn run(config: &Config, ready: impl FnOnce(&Media)) -> Result<(), StartError> {
    let media = Media::start(config)?;
    ready(&media);
    media.join();
    Ok(())
}

/// On a thread of its own: a ring that is closed interrupts the system calls of every thread that used it (EINTR), a
/// little later. The program that starts us must not see that.
fn probe() -> Result<Features, StartError> {
    let failed = |source| StartError::Thread { name: "media-probe".into(), source };
    let thread = std::thread::Builder::new().name("media-probe".into()).spawn(uring::probe).map_err(failed)?;
    let ended = thread.join().map_err(|_| failed(std::io::Error::other("it panicked; its words are above")))?;
    Ok(ended?)
}

fn io_settings(wait: Wait) -> IoSettings {
    let wait = match wait {
        Wait::Adaptive => WaitMode::Adaptive,
        Wait::Busy => WaitMode::Busy,
        Wait::Block => WaitMode::Block,
    };
    IoSettings { wait, ..IoSettings::default() }
}

fn log_limits(plan: &RegionPlan, sockets: &Sockets, limit: DescriptorLimit, prompts: &[audio::Prompt]) {
    tracing::info!("{}", plan.summary());
    let bound = sockets.count() - 2 * sockets.unavailable().len();
    tracing::info!(
        "{bound} sockets bound on {}; at most {} descriptors (before: {})",
        sockets.ip(),
        limit.now,
        limit.before
    );
    if !sockets.unavailable().is_empty() {
        tracing::warn!(
            "{} port pairs are held by other programs and left out, the first is {}: `ss -ulpn` tells whose they are",
            sockets.unavailable().len(),
            sockets.unavailable()[0]
        );
    }
    let bytes: usize = prompts.iter().map(audio::Prompt::memory_bytes).sum();
    tracing::info!("{} prompts, {:.1} MiB", prompts.len(), bytes as f64 / 1_048_576.0);
}
