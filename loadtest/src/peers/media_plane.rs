//! `ringplane media` alone, driven over the shared memory as signaling would.

use super::ports::free_range;
use super::process::{Process, wait_for};
use clock::{Duration, Instant};
use contract::{Codec, Command as Order, Event, Latching, LegRef, LegSpec, PayloadMap, PortRef, RtcpMode, Source};
use shm::{ClientEnd, PushError, Reservation, WorkerIndex, accept_offer};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// Binding thousands of ports on a busy machine stays below.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A command that is not answered within this is a fault.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Commands on their way at once, where many are given together.
pub const IN_FLIGHT: usize = 256;

/// A running media process and our end of its queues.
pub struct MediaPlane {
    process: Process,
    client: ClientEnd,
    /// Watched by the media process: our end of it is our life.
    _control: UnixStream,
    next_worker: usize,
    next_number: u64,
}

/// A leg of ours.
#[derive(Clone, Copy, Debug)]
pub struct OwnLeg {
    /// Its name.
    pub leg: LegRef,
    /// Its port.
    pub port: PortRef,
    /// The worker that runs it.
    pub worker: WorkerIndex,
}

impl OwnLeg {
    /// The spec with the leg's port.
    fn at_port(&self, spec: LegSpec) -> LegSpec {
        spec.with(|spec| spec.transport.port = self.port)
    }
}

impl MediaPlane {
    /// Starts `program media` with `workers` threads and room for `legs` legs. `more` goes into `[media]`.
    pub fn start(folder: &Path, program: &Path, workers: usize, legs: usize, more: &str) -> io::Result<Self> {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let count = u16::try_from((legs + 64) * 2).unwrap_or(40_000);
        let first = free_range(ip, count)?;
        let runtime_dir = folder.join("run");
        fs::create_dir_all(&runtime_dir)?;
        let config = folder.join("media.toml");
        let ports = format!("{first}-{}", first + count - 1);
        let text = format!(
            "[media]\nports = \"{ports}\"\nbind = \"{ip}\"\nworkers = {workers}\n{more}\n[process]\nruntime_dir = \
             {runtime_dir:?}\n"
        );
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("media").arg("--config").arg(&config);
        let mut process = Process::start("media", &mut command, folder)?;
        let path = runtime_dir.join("media-control.sock");
        process.ready(READY_WITHIN, |process| process.output().contains("ready ").then_some(()))?;
        let control = process.ready(READY_WITHIN, |_| UnixStream::connect(&path).ok())?;
        let client = accept_offer(&control, ANSWER_WITHIN)
            .map_err(|error| io::Error::other(format!("the media process at {}: {error}", path.display())))?;
        Ok(Self { process, client, _control: control, next_worker: 0, next_number: 1 })
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Our end: ports, counters, leg table.
    pub fn client(&mut self) -> &mut ClientEnd {
        &mut self.client
    }

    /// The worker whose turn it is.
    pub fn next_worker(&mut self) -> WorkerIndex {
        let workers: Vec<WorkerIndex> = self.client.region().plan().workers().collect();
        let worker = workers[self.next_worker % workers.len().max(1)];
        self.next_worker += 1;
        worker
    }

    /// A port of that worker.
    pub fn take_port(&self, worker: WorkerIndex) -> io::Result<OwnLeg> {
        let Reservation { leg, port } =
            self.client.reserve(worker).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(OwnLeg { leg, port, worker })
    }

    fn give_back(&self, OwnLeg { leg, port, .. }: OwnLeg) -> io::Result<()> {
        self.client.give_back(Reservation { leg, port }).map_err(|error| io::Error::other(error.to_string()))
    }

    /// Opens a leg and waits until it runs.
    pub fn open(&mut self, leg: OwnLeg, spec: LegSpec) -> io::Result<()> {
        let number = self.number();
        self.push(leg.worker, &Order::Open { leg: leg.leg, number, spec: leg.at_port(spec) })?;
        self.answer(number)
    }

    /// Changes a leg and waits until it is changed.
    pub fn update(&mut self, leg: OwnLeg, spec: LegSpec) -> io::Result<()> {
        let number = self.number();
        self.push(leg.worker, &Order::Update { leg: leg.leg, number, update: leg.at_port(spec).into() })?;
        self.answer(number)
    }

    /// Closes a leg, waits for its end, gives the port back.
    pub fn close(&mut self, leg: OwnLeg) -> io::Result<()> {
        let number = self.number();
        self.push(leg.worker, &Order::Close { leg: leg.leg, number })?;
        self.answer(number)?;
        self.give_back(leg)
    }

    /// Opens many legs, with up to [`IN_FLIGHT`] commands on their way at once.
    pub fn open_all(&mut self, legs: &[(OwnLeg, LegSpec)]) -> io::Result<()> {
        self.all(legs.len(), |at, number| {
            let (own, spec) = legs[at];
            (own.worker, Order::Open { leg: own.leg, number, spec: own.at_port(spec) })
        })
    }

    /// Closes many legs likewise, and gives their ports back.
    pub fn close_all(&mut self, legs: &[OwnLeg]) -> io::Result<()> {
        self.all(legs.len(), |at, number| (legs[at].worker, Order::Close { leg: legs[at].leg, number }))?;
        legs.iter().try_for_each(|leg| self.give_back(*leg))
    }

    fn all(&mut self, count: usize, order: impl Fn(usize, u64) -> (WorkerIndex, Order)) -> io::Result<()> {
        let numbers = self.next_number + 1..self.next_number + 1 + count as u64;
        self.next_number += count as u64;
        let (mut pushed, mut answered) = (0, 0);
        let mut give_up = clock::now() + ANSWER_WITHIN;
        while answered < count {
            while pushed < count && pushed - answered < IN_FLIGHT {
                let (worker, order) = order(pushed, numbers.start + pushed as u64);
                match self.client.push(worker, &order) {
                    Ok(()) => pushed += 1,
                    Err(PushError::Full) => break,
                    Err(error) => return Err(io::Error::other(error.to_string())),
                }
            }
            let answers = self.take_answers(&numbers)?;
            answered += answers;
            let now = clock::now();
            if answers > 0 {
                give_up = now + ANSWER_WITHIN;
            } else if now >= give_up {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the media workers do not answer commands"));
            } else {
                self.wait_for_events();
            }
        }
        Ok(())
    }

    /// How many of the commands with these numbers were carried out; an error when one was refused.
    fn take_answers(&mut self, numbers: &std::ops::Range<u64>) -> io::Result<usize> {
        let mut answers = 0;
        while let Some((_, event)) = self.client.pop() {
            match event.map_err(|error| io::Error::other(error.to_string()))? {
                Event::Opened { number, .. } | Event::Updated { number, .. } | Event::Closed { number, .. }
                    if numbers.contains(&number) =>
                {
                    answers += 1;
                }
                Event::Refused { number, reason, leg } if numbers.contains(&number) => {
                    return Err(io::Error::other(format!("leg {leg:?} was refused: {reason:?}")));
                }
                _ => {}
            }
        }
        Ok(answers)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn push(&mut self, worker: WorkerIndex, order: &Order) -> io::Result<()> {
        let pushed = wait_for(ANSWER_WITHIN, || match self.client.push(worker, order) {
            Err(PushError::Full) => None,
            other => Some(other),
        });
        match pushed {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(io::Error::other(error.to_string())),
            None => Err(io::Error::other("the media worker does not empty its command queue")),
        }
    }

    /// Waits for the answer to `number`; other events on the way are let go.
    fn answer(&mut self, number: u64) -> io::Result<()> {
        let give_up: Instant = clock::now() + ANSWER_WITHIN;
        while self.take_answers(&(number..number + 1))? == 0 {
            if clock::now() >= give_up {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the media worker did not answer a command"));
            }
            self.wait_for_events();
        }
        Ok(())
    }

    fn wait_for_events(&mut self) {
        if self.client.prepare_sleep() {
            self.sleep();
        }
        self.client.cancel_sleep();
    }

    fn sleep(&mut self) {
        let wake = self.client.wake_fd();
        let mut fds = [rustix::event::PollFd::new(wake, rustix::event::PollFlags::IN)];
        let short = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        // A signal ends the sleep early; the loop looks again.
        let _ = rustix::event::poll(&mut fds, Some(&short));
        wake.drain();
    }
}

/// A leg towards `remote` that carries PCMU and sends what `source` says.
pub fn leg_towards(remote: SocketAddr, source: Source) -> LegSpec {
    let mut payloads = PayloadMap::default();
    payloads.push(0, Codec::Pcmu);
    LegSpec::default().with(|spec| {
        spec.transport.remote_rtp = remote.into();
        spec.flow.source = source.into();
        spec.formats.payloads = payloads;
        spec.transport.rtcp = RtcpMode::RelayPair as u8;
        spec.transport.latching = Latching::Probation as u8;
    })
}
