//! A newer configuration for a switch that runs: what can be taken over is, the rest waits for a restart.

use crate::{Orders, Routes};
use config::{Config, Mode};
use rustix::event::{EventfdFlags, eventfd};
use shard_core::Auth;
use shard_core::PathFinder;
use shard_core::shard::shard_config;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// What a running switch takes over without harm to a call, beside the certificates, whose files are watched anyway.
const TAKEN_KEYS: [&str; 20] = [
    "sip.routes",
    "sip.ring_timeout_s",
    "sip.progress_timeout_s",
    "sip.decision_timeout_s",
    "sip.max_call_s",
    "sip.probe_s",
    "sip.max_calls",
    "sip.codecs",
    "sip.codec_order",
    "sip.dtmf",
    "media.transcoding",
    "media.relay_unknown",
    "media.voice_processing",
    "media.dtmf",
    "media.digits",
    "auth.realms",
    "headers.pass",
    "headers.drop",
    "headers.trusted",
    "auth.identities",
];

/// Hands a running switch a newer configuration: any thread may. Clones are the same.
#[derive(Clone, Debug)]
pub struct Reload {
    wake: Arc<OwnedFd>,
    newest: Arc<Mutex<Option<Box<Config>>>>,
}

impl Reload {
    /// With nothing to take over yet.
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { wake: Arc::new(wake), newest: Arc::default() })
    }

    /// Hands it in; the log says what became of it.
    pub fn request(&self, config: Config) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(config));
        // The count that a lifetime can reach is far below what an eventfd takes.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    pub(crate) fn take(&self) -> Option<Box<Config>> {
        let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Readable once there is something to take.
impl AsFd for Reload {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// The parts of a running switch that can change.
pub(crate) struct Running {
    /// What it runs with now.
    pub(crate) config: Config,
    pub(crate) routes: Option<Routes>,
    pub(crate) auth: Option<Auth>,
    pub(crate) orders: Orders,
    /// What the tables of calls were made for.
    pub(crate) calls_max: usize,
}

/// Keys that changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) taken: Vec<String>,
    /// Keys that count after a restart.
    pub(crate) left: Vec<String>,
}

impl Running {
    /// Takes over what can be, and says so in the log, in one line.
    pub(crate) fn take_over(&mut self, newer: &Config) -> Outcome {
        let changed = self.config.written.changes(&newer.written);
        let mut outcome = Outcome::default();
        for key in changed {
            let can_be = TAKEN_KEYS.contains(&key.as_str()) || key == "process.log";
            let is_taken = match key.as_str() {
                "sip.routes" => self.take_routes(newer),
                "auth.realms" | "auth.identities" => self.take_users(newer),
                "sip.max_calls" => newer.sip.calls.max_calls <= self.calls_max,
                _ => can_be,
            };
            if is_taken { outcome.taken.push(key) } else { outcome.left.push(key) }
        }
        self.take_settings(newer);
        self.config.written.adopt(&newer.written, &outcome.taken);
        tracing::info!("configuration read again: {outcome}");
        outcome
    }

    fn take_routes(&self, newer: &Config) -> bool {
        let Some(routes) = &self.routes else { return self.config.sip.mode == Mode::Numbers };
        match routes.replace(&newer.sip.routes, self.orders.paths().map(|paths| paths as &dyn PathFinder)) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!("the new routes are not used, the old ones stay: {error}");
                false
            }
        }
    }

    /// Whether anybody is asked at all, and which realms a proxy knows, is settled at the start.
    fn take_users(&mut self, newer: &Config) -> bool {
        let names = |config: &Config| config.auth.realms.iter().map(|realm| realm.name.clone()).collect::<Vec<_>>();
        let fits = newer.auth.is_on() && (self.config.sip.mode != Mode::Proxy || names(newer) == names(&self.config));
        let Some(auth) = self.auth.as_ref().filter(|_| fits) else { return false };
        auth.replace_users(&newer.auth);
        self.config.auth.realms.clone_from(&newer.auth.realms);
        true
    }

    fn take_settings(&self, newer: &Config) {
        let mut limited = newer.clone();
        limited.sip.calls.max_calls = newer.sip.calls.max_calls.min(self.calls_max);
        let shards = self.orders.shard_count();
        for shard in 0..shards {
            let settings = shard_config::settings(&limited, shards, 0);
            // A shard with no room for another order is told by the next reload.
            let _ = self.orders.send(shard, Box::new(move |turn| turn.sessions.reconfigure(&settings)));
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.taken[..], &self.left[..]) {
            ([], []) => f.write_str("nothing has changed"),
            (taken, []) => write!(f, "in use now: {}", taken.join(", ")),
            ([], left) => write!(f, "nothing of it can change without a restart: {}", left.join(", ")),
            (taken, left) => write!(f, "in use now: {}; only after a restart: {}", taken.join(", "), left.join(", ")),
        }
    }
}
