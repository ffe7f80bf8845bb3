//! A small media process of the tests' own behind real shared memory.

use contract::{CloseReason, Command, Event};
use shm::{FromClient, Host, RegionPlan, WorkerIndex};
use std::ops::RangeInclusive;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A media process that does all that it is asked to, and lives until it is dropped.
pub(crate) struct Media {
    die: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Media {
    pub(crate) fn start(path: PathBuf) -> Self {
        Self::with_ports(path, 10_000..=10_007)
    }

    pub(crate) fn with_ports(path: PathBuf, rtp_ports: RangeInclusive<u16>) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (die, death) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let plan = RegionPlan { rtp_ports, ..RegionPlan::default() };
            let host = Host::create(&plan).unwrap();
            let mut worker = host.worker(WorkerIndex(0)).unwrap();
            let mut clients = Vec::new();
            while death.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
                if let Ok((stream, _)) = listener.accept() {
                    host.offer(&stream).unwrap();
                    clients.push(stream);
                }
                while let Some((client, message)) = worker.pop() {
                    let FromClient::Command(command) = message else { continue };
                    let (leg, tag) = (command.leg(), command.number());
                    let event = match command {
                        Command::Open { .. } => Event::Opened { leg, number: tag },
                        Command::Update { .. } => Event::Updated { leg, number: tag },
                        _ => Event::Closed { leg, number: tag, reason: CloseReason::Asked },
                    };
                    worker.push(client, &event).unwrap();
                }
                worker.wake_clients();
            }
            // The test may have removed the folder already.
            let _ = std::fs::remove_file(path);
        });
        Self { die, thread: Some(thread) }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        let _ = self.die.send(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
