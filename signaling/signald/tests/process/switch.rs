//! Signaling on a thread, and its operator.

use crate::PATIENCE;
use config::Config;
use signald::{BuiltinDialplan, CallHandler, Orders, Ready, Stop};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use transport::Transport;

pub(crate) struct Switch {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    /// Everything that is listened on for UDP, `address` first.
    pub(crate) listening: Vec<SocketAddr>,
    pub(crate) connections: Vec<(Transport, SocketAddr)>,
    pub(crate) stop: Stop,
    thread: Option<JoinHandle<Result<(), signald::Error>>>,
}

pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.sip.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.process.runtime_dir = folder.to_owned();
    config
}

/// A counter in the answer to `stats`, over all shards.
pub(crate) fn level_in(stats: &serde_json::Value, name: &str) -> u64 {
    let rows = stats.as_array().unwrap().iter().filter(|row| row["name"] == name);
    rows.map(|row| row["value"].as_u64().unwrap()).sum()
}

impl Switch {
    pub(crate) fn start(folder: tempfile::TempDir) -> Self {
        let config = config(folder.path());
        Self::with(folder, config)
    }

    pub(crate) fn with(folder: tempfile::TempDir, config: Config) -> Self {
        let routes = signald::Routes::new(&config.sip.routes).unwrap();
        let numbers = BuiltinDialplan::new(&config.media).with_transfers(signald::Transfers::new(&config, routes));
        Self::with_user(folder, config, move |_| Box::new(numbers.clone())).0
    }

    /// As the configuration says, mode included.
    pub(crate) fn run(folder: tempfile::TempDir, config: Config) -> Self {
        let stop = Stop::new().unwrap();
        let (tell, told) = mpsc::channel();
        let flag = stop.clone();
        let ready = move |ready: &Ready| tell.send(ready.clone()).unwrap();
        let thread = std::thread::spawn(move || signald::run(&config, &flag, ready));
        let ready = told.recv_timeout(PATIENCE).expect("it starts");
        Self::of(folder, ready, stop, thread)
    }

    /// With another handler to decide about calls.
    pub(crate) fn with_user(
        folder: tempfile::TempDir,
        config: Config,
        user: impl FnMut(usize) -> Box<dyn CallHandler> + Send + 'static,
    ) -> (Self, Orders) {
        let stop = Stop::new().unwrap();
        let (tell, told) = mpsc::channel();
        let flag = stop.clone();
        let ready = move |ready: &Ready, orders| tell.send((ready.clone(), orders)).unwrap();
        let thread = std::thread::spawn(move || signald::run_with(&config, &flag, user, ready));
        let (ready, orders) = told.recv_timeout(PATIENCE).expect("it starts");
        (Self::of(folder, ready, stop, thread), orders)
    }

    pub(crate) fn of(
        folder: tempfile::TempDir,
        ready: Ready,
        stop: Stop,
        thread: JoinHandle<Result<(), signald::Error>>,
    ) -> Self {
        let (address, listening, connections) = (ready.listening[0], ready.listening, ready.connections);
        Self { folder, address, listening, connections, stop, thread: Some(thread) }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(crate) fn ask(&self, command: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(self.folder.path().join("signal.sock")).unwrap();
        writeln!(stream, "{command}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Asks until the answer is as it should be.
    pub(crate) fn ask_until(&self, command: &str, is_right: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(command);
            if is_right(&answer) {
                return answer;
            }
            assert!(std::time::Instant::now() < until, "{command}: {answer}");
        }
    }

    pub(crate) fn level(&self, name: &str) -> u64 {
        level_in(&self.ask("stats"), name)
    }

    /// Asks until these counters have reached these values. A shard publishes its counters after it has sent what they
    /// count, so that a peer may hear an answer a moment before it is counted.
    #[track_caller]
    pub(crate) fn counts<const N: usize>(&self, expected: [(&str, u64); N]) {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let stats = self.ask("stats");
            let counted = expected.map(|(name, _)| (name, level_in(&stats, name)));
            if counted == expected {
                return;
            }
            assert!(std::time::Instant::now() < until, "counted {counted:?}, expected {expected:?}");
        }
    }

    pub(crate) fn end(mut self) {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(!self.folder.path().join("signal.sock").exists());
    }
}
