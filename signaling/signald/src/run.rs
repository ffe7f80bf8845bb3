//! Starts everything, waits, and takes everything down in order.

use crate::link::{Attached, Link};
use crate::operator::Operator;
use crate::operator::reload::Running;
use crate::operator::trace::{Filter, Tracer};
use crate::paths::Paths;
use crate::paths::lookups::Lookups;
use crate::paths::own_names::{hosts, own_names};
use crate::paths::route_targets::keep_fresh;
use crate::recordings::{RecordingWatch, Recordings};
use crate::role::Role;
use crate::shard::ending::Ending;
use crate::shard::inbox::{Inbox, MESSAGE_BYTES_MAX};
use crate::shard::sharding::Sharding;
use crate::shard::thread::{Pace, ShardThread, Sockets};
use crate::sockets::certificates::Files;
use crate::sockets::listener::{Listener, bind_all};
use crate::sockets::sender::Sender;
use crate::sockets::streams;
use crate::sockets::tcp_fallback::TcpFallback;
use crate::sockets::waiter::{Ready as Woken, Waiter};
use crate::supervise::{Asked, watch};
use crate::{BuiltinDialplan, CallHandler, Error, Orders, Reload, Routes, Stop, Transfers, attach, nonce_key};
use config::{Config, Mode};
use shard_core::Auth;
use shard_core::B2bua;
use shard_core::Shard;
use shard_core::ShardOutput;
use shard_core::intake::{Intake, WAITING_BYTES_MAX, WAITING_COUNT_MAX};
use shard_core::log::CallLog;
use shard_core::proxy::Relay;
use shard_core::shard::shard_config;
use sip_core::proxy::ProxyConfig;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use transport::{Streams, Transport};

/// Roughly what one call takes: its session, its dialog and the transactions that it leaves behind for 32 s.
const CALL_BYTES: usize = 6_144;

/// How long connections may take to close when we stop.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Ports that are tried for UDP and TCP together before TCP takes another one.
const PORT_TRIES: u32 = 8;

/// What is running once [`run`] calls back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Where SIP is listened for over UDP, with the ports that the system chose.
    pub listening: Vec<SocketAddr>,
    /// Where connections are taken, likewise.
    pub connections: Vec<(Transport, SocketAddr)>,
    /// Threads that run calls.
    pub shard_count: usize,
}

impl Ready {
    /// All of them, as `tcp:192.0.2.1:5060`.
    fn addresses(&self) -> Vec<String> {
        let name = |transport: Transport| transport.via_name().to_ascii_lowercase();
        let udp = self.listening.iter().map(|address| (Transport::Udp, *address));
        udp.chain(self.connections.iter().copied()).map(|(transport, at)| format!("{}:{at}", name(transport))).collect()
    }
}

/// In one line, for the process that started us.
impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SIP on {}, {} shard(s)", self.addresses().join(" "), self.shard_count)
    }
}

/// Runs signaling until the end is asked for. `ready` is called once, when calls are taken.
pub fn run(config: &Config, stop: &Stop, ready: impl FnOnce(&Ready)) -> Result<(), Error> {
    let reload = Reload::new().map_err(system("make a wake-up"))?;
    run_reloading(config, stop, &reload, ready)
}

/// Runs signaling as [`run`] does, with a way to hand in newer configurations while it runs.
pub fn run_reloading(config: &Config, stop: &Stop, reload: &Reload, ready: impl FnOnce(&Ready)) -> Result<(), Error> {
    let routes = Routes::new(&config.sip.routes)?;
    let transfers = Transfers::new(config, routes.clone());
    let (looked_up, asked) = (routes.clone(), stop.clone());
    let role = match config.sip.mode {
        Mode::Proxy => Role::Proxy(routes.clone()),
        Mode::Redirect => Role::Redirect(routes.clone()),
        Mode::Numbers | Mode::B2bua => Role::Calls(Some(routes.clone())),
    };
    let numbers = BuiltinDialplan::new(&config.media).with_transfers(transfers.clone());
    let b2bua = B2bua::new(routes.clone(), transfers);
    let user = |_| -> Box<dyn CallHandler> {
        match config.sip.mode {
            Mode::Numbers => Box::new(numbers.clone()),
            Mode::B2bua | Mode::Proxy | Mode::Redirect => Box::new(b2bua.clone()),
        }
    };
    run_as(config, stop, reload, role, user, |is_ready, orders| {
        let Some(paths) = orders.paths().cloned() else { return };
        if looked_up.is_empty() {
            return ready(is_ready);
        }
        looked_up.begin(&paths);
        // It ends by itself once the end is asked for.
        match spawn("routes".into(), move || keep_fresh(&looked_up, &paths, &asked)) {
            Ok(_) => ready(is_ready),
            Err(error) => tracing::error!("{error}"),
        }
    })
}

/// The same with a user of the program's own for each shard, and a way to hand in orders.
pub fn run_with(
    config: &Config,
    stop: &Stop,
    user: impl FnMut(usize) -> Box<dyn CallHandler>,
    ready: impl FnOnce(&Ready, Orders),
) -> Result<(), Error> {
    let reload = Reload::new().map_err(system("make a wake-up"))?;
    run_as(config, stop, &reload, Role::Calls(None), user, ready)
}

fn run_as(
    config: &Config,
    stop: &Stop,
    reload: &Reload,
    role: Role,
    mut user: impl FnMut(usize) -> Box<dyn CallHandler>,
    ready: impl FnOnce(&Ready, Orders),
) -> Result<(), Error> {
    let as_written = config;
    let mut config = config.clone();
    make_folder(&config.process.runtime_dir)?;
    let mut operator = Operator::bind(&config.process.signal_operator_socket())?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shard_count = config.sip.shard_count(cores);
    let inboxes = (0..shard_count).map(|_| Inbox::new().map(Arc::new)).collect::<io::Result<Vec<_>>>();
    let inboxes = inboxes.map_err(system("make a wake-up"))?;
    let sharding = Sharding::new(&inboxes, role.tags(&config));
    let key = RandomState::new();
    let tcp_fallback = Arc::new(TcpFallback::default());
    let (listeners, streams) = listen(&mut config, shard_count, &sharding, &tcp_fallback)?;
    print_limits(&config, shard_count, role.has_calls());
    let mut files = Files::new(&config.tls);
    let paths = Paths::new(&config.sip, &streams);
    let names = own_names(&config, &streams);
    let auth = Auth::new(&config.auth, role.place(), hosts(&names), nonce_key().map_err(system("read /dev/urandom"))?);
    let lookups = Arc::new(Lookups::start(paths.clone(), inboxes.clone())?);
    let plan = role.plan(&config, &paths, names, &lookups)?;
    let has_media = role.has_calls();
    let Some(planes) = attach_all(&config, if has_media { shard_count } else { 0 }, stop)? else { return Ok(()) };
    let mut planes = planes.into_iter();
    let user_limit = config.sip.calls.max_calls_per_user.map(session::UserLimit::new);
    let tracer = Tracer::default();
    operator.tracer = tracer.clone();
    if config.process.trace
        && let Some(watch) = tracer.watch(Filter::default())
    {
        spawn("trace".into(), move || watch.print())?;
    }
    let sources = shard_config::sources(&config);
    let (recording_watch, keeper) = RecordingWatch::new(&config);
    let (lost, asked) = mpsc::channel();
    let mut shards = Vec::new();
    for (number, (inbox, listeners)) in inboxes.iter().zip(listeners).enumerate() {
        if let Some(plane) = planes.next() {
            // A full queue is impossible: it has one place and was made a moment ago.
            let _ = inbox.attached.push(plane);
        }
        let listeners: Arc<[Listener]> = listeners.into();
        let waiter = Waiter::new(stop, inbox).and_then(|waiter| {
            listeners.iter().enumerate().try_for_each(|(index, listener)| waiter.add_socket(listener, index))?;
            Ok(waiter)
        });
        let waiter = waiter.map_err(system("watch the sockets"))?;
        let (config, inbox, sharding, stop, lost) =
            (config.clone(), inbox.clone(), sharding.clone(), stop.clone(), lost.clone());
        // A seed that nobody outside can know: tags and branches follow from it.
        let seed = key.hash_one(("seed", number));
        let (user, streams, tcp_fallback) = (user(number), streams.clone(), tcp_fallback.clone());
        let (user_limit, sources, lookups) = (user_limit.clone(), sources.clone(), lookups.clone());
        let (paths, home) = (paths.clone(), sharding.clone());
        let auth = auth.as_ref().map(Auth::of_shard);
        let relay = plan.as_ref().map(|plan| {
            let proxy = shard_config::proxy_config(&config, shard_count, plan);
            let proxy = ProxyConfig { mark: number as u8, ..proxy };
            let auth = auth.as_ref().map(|auth| auth.asking_as(role.place_of_proxy()));
            Relay::new(proxy, key.hash_one(("proxy", number)), number, plan, auth)
        });
        let chooser = role.chooser(&config);
        let (tracer, recording_watch) = (tracer.clone(), recording_watch.clone());
        shards.push(spawn(format!("shard-{number}"), move || {
            let worker = ShardThread {
                number,
                shard: Shard::new(&config, number, shard_count, seed, user)
                    .with_paths(Arc::new(paths))
                    .asking(number, lookups)
                    .limited(user_limit)
                    .shared(sources)
                    .authenticated(auth)
                    .relaying(relay, chooser),
                sharding,
                inbox,
                intake: Intake::default(),
                sockets: Sockets { listeners: listeners.clone(), waiter, ready: Woken::default() },
                link: Link::default(),
                sender: Sender::new(listeners, Some(streams), tcp_fallback, home, tracer.clone()),
                out: ShardOutput::default(),
                lost,
                ending: Ending::by(stop),
                retry_after_s: config.sip.retry_after.as_secs().max(1),
                pace: Pace::default(),
                log: CallLog::default(),
                recording_watch,
                tracer,
            };
            worker.run();
        })?);
    }
    drop(lost);
    if has_media {
        let (path, places) = (config.process.media_control_socket(), inboxes.clone());
        // It ends by itself once the last shard has; a media process that hangs may keep it a second longer.
        spawn("attach".into(), move || attach::run(&path, &places, &asked))?;
    }

    let rest = Stop::new().map_err(system("make a wake-up"))?;
    let mut others = Vec::new();
    let orders = Orders::new(&inboxes).with_paths(paths);
    operator.inboxes = inboxes;
    operator.has_media = has_media;
    let is_ready =
        Ready { listening: config.sip.listen.clone(), connections: streams.local_addrs().to_vec(), shard_count };
    operator.listening = is_ready.addresses();
    operator.streams = Some(streams.clone());
    operator.recordings = Recordings::new(&config.recording, orders.clone(), &recording_watch).map(Arc::new);
    drop(recording_watch);
    operator.orders = has_media.then(|| orders.clone());
    if let (Some(keeper), Some(recordings)) = (keeper, operator.recordings.clone()) {
        // It ends by itself once the last shard has.
        spawn("recordings".into(), move || keeper.run(&recordings))?;
    }
    let until = rest.clone();
    others.push(spawn("operator".into(), move || operator.run(&until))?);

    let mut running = Running {
        config: as_written.clone(),
        routes: role.routes(),
        auth,
        orders: orders.clone(),
        calls_max: as_written.sip.calls.max_calls,
    };
    tracing::info!("{is_ready}");
    ready(&is_ready, orders);
    watch(stop, reload, &shards, &others, |asked| {
        if let Asked::Reload(newer) = asked {
            running.take_over(&newer);
        }
        if files.have_changed() {
            // It has said what is wrong.
            let _ = reload_certificates(&streams);
        }
    });
    // Calls end first.
    stop.request();
    let died = join(shards);
    rest.request();
    let died = died.or(join(others));
    // The last one holds them now. What is queued goes out, then every connection is closed in order.
    if let Ok(streams) = Arc::try_unwrap(streams) {
        streams.shutdown(CLOSE_LIMIT);
    }
    match died {
        Some(name) => Err(Error::ThreadDied(name)),
        None => Ok(()),
    }
}

/// Binds everything. Where the system chooses a port for UDP, TCP gets the same one, so that one address says it all.
fn listen(
    config: &mut Config,
    shard_count: usize,
    sharding: &Sharding,
    tcp_fallback: &Arc<TcpFallback>,
) -> Result<(Vec<Vec<Listener>>, Arc<Streams>), Error> {
    let wanted = config.sip.listen.clone();
    let chose_port = wanted.iter().any(|address| address.port() == 0);
    let mut tries_left = PORT_TRIES;
    loop {
        let listeners = bind_all(&wanted, shard_count)?;
        config.sip.listen =
            listeners.first().map(|shard| shard.iter().map(Listener::address).collect()).unwrap_or_default();
        tries_left -= 1;
        match streams::start(config, chose_port && tries_left == 0, sharding, tcp_fallback) {
            Err(error) if chose_port && tries_left > 0 && error.is_port_taken() => {}
            started => return Ok((listeners, started?)),
        }
    }
}

/// Takes new certificates for connections from now on.
pub(crate) fn reload_certificates(streams: &Streams) -> Result<(), transport::TlsError> {
    let result = streams.reload_tls();
    match &result {
        Ok(()) => tracing::info!("new certificates are in use"),
        Err(error) => tracing::error!("the new certificates are not used, the old ones stay: {error}"),
    }
    result
}

/// Waits for threads; the name of one that died.
fn join(threads: Vec<JoinHandle<()>>) -> Option<String> {
    let mut died = None;
    for thread in threads {
        let name = thread.thread().name().unwrap_or("?").to_owned();
        if thread.join().is_err() {
            died = Some(name);
        }
    }
    died
}

fn attach_all(config: &Config, shard_count: usize, stop: &Stop) -> Result<Option<Vec<Attached>>, Error> {
    let path = config.process.media_control_socket();
    (0..shard_count).map(|_| attach::attach_at_start(&path, stop).transpose()).collect::<Option<_>>().transpose()
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::Folder { what: "make the directory", path: path.to_owned(), source })
}

fn print_limits(config: &Config, shard_count: usize, has_media: bool) {
    let megabytes = |bytes: usize| bytes.div_ceil(1 << 20);
    tracing::info!(
        "limits: {} calls (at most {} MB), per shard {WAITING_COUNT_MAX} waiting messages (at most {} MB)",
        config.sip.calls.max_calls,
        megabytes(config.sip.calls.max_calls * CALL_BYTES),
        megabytes(WAITING_BYTES_MAX + MESSAGE_BYTES_MAX),
    );
    let pairs = config.media.ports.pair_count();
    if has_media && pairs < config.sip.calls.max_calls {
        tracing::warn!(
            "{pairs} port pairs in [media] ports are fewer than [sip] max_calls ({})",
            config.sip.calls.max_calls
        );
    }
    tracing::debug!(shard_count, "starting");
}

pub(crate) fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    Builder::new().name(name).spawn(work).map_err(system("start a thread"))
}

fn system(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::System { what, source }
}
