//! The thread that control clients meet: hands the region over, notices their death, takes their ports back, and
//! watches whether the workers still turn.

use crate::clients::socket::ControlSocket;
use crate::shared::Shared;
use clock::{Duration, Instant};
use contract::FilePurpose;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shm::{ClientIndex, ClientLife, FromSocket, OfferError, WorkerIndex};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// While ports of a dead client are not back yet, the workers are asked this often.
const SETTLE_EVERY: Duration = Duration::from_millis(5);
/// For at most so long.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// Messages of one client that are taken before the others get their turn.
const CLIENT_MESSAGES: usize = 64;
/// Heartbeats are looked at this often.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// A worker that has not turned for so long has stalled. Idle ones turn four times a second.
const STALLED_AFTER: Duration = Duration::from_secs(2);

pub(crate) struct Control {
    shared: Arc<Shared>,
    control_socket: ControlSocket,
    clients: Vec<(ClientLife, UnixStream)>,
    settling: Vec<(ClientIndex, Instant)>,
    stalled: Vec<bool>,
    watch_at: Instant,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>, control_socket: ControlSocket) -> Self {
        let stalled = vec![false; shared.host.region().plan().workers];
        Self { shared, control_socket, clients: Vec::new(), settling: Vec::new(), stalled, watch_at: Instant::ZERO }
    }

    /// Until the media plane is told to stop.
    pub(crate) fn run(mut self) {
        while !self.shared.stopper.is_asked() {
            let ready = self.wait();
            self.shared.control_wake.drain();
            self.hear_clients(&ready);
            self.hang_up_stuck();
            self.settle();
            self.take_clients();
            self.watch();
        }
        // Workers that sleep hear of the end.
        let host = &self.shared.host;
        host.region().plan().workers().for_each(|worker| host.wake_worker(worker));
    }

    /// Takes the ports of dead clients back, once the workers have ended their legs.
    fn settle(&mut self) {
        let (host, now) = (&self.shared.host, clock::now());
        self.settling.retain(|(client, since)| match host.settle(*client) {
            Some(count) => {
                tracing::info!("control client {} is gone, {count} ports are back", client.0);
                false
            }
            // A new client that asks for a place settles too. What takes longer than this waits for that.
            None => now - *since < SETTLE_WITHIN,
        });
    }

    fn release(shared: &Shared, settling: &mut Vec<(ClientIndex, Instant)>, client: ClientIndex) {
        shared.host.release(client);
        settling.push((client, clock::now()));
    }

    /// Waits; true for each client whose socket has something to say.
    fn wait(&self) -> Vec<bool> {
        let timeout = if self.settling.is_empty() { WATCH_EVERY } else { SETTLE_EVERY };
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.as_nanos() as i64 };
        let mut polled = vec![
            PollFd::new(&self.shared.stopper, PollFlags::IN),
            PollFd::new(&self.shared.control_wake, PollFlags::IN),
            PollFd::new(&self.control_socket, PollFlags::IN),
        ];
        polled.extend(self.clients.iter().map(|(_, stream)| PollFd::new(stream, PollFlags::IN)));
        // A signal or a shortage of memory: the loop looks again.
        let _ = poll(&mut polled, Some(&timeout));
        polled.iter().skip(3).map(|polled| !polled.revents().is_empty()).collect()
    }

    fn take_clients(&mut self) {
        loop {
            match self.control_socket.accept() {
                Ok(Some(stream)) => self.take_client(stream),
                Ok(None) => tracing::warn!("a stranger's connection to the control socket is refused"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return tracing::warn!("cannot accept a control client: {error}"),
            }
        }
    }

    fn take_client(&mut self, stream: UnixStream) {
        if let Err(error) = stream.set_nonblocking(true) {
            return tracing::warn!("cannot serve a control client: {error}");
        }
        match self.shared.host.offer(&stream) {
            Ok(client) => {
                tracing::info!("control client {} is attached", client.0);
                self.settling.retain(|(settling, _)| *settling != client);
                self.shared.forget_stuck(client);
                self.clients.push((self.shared.host.life(client), stream));
            }
            // It has been told why.
            Err(OfferError::NoClientSlot(full)) => tracing::warn!("a control client is refused: {full}"),
            Err(error) => tracing::warn!("{error}"),
        }
    }

    fn hear_clients(&mut self, ready: &[bool]) {
        let mut ready = ready.iter();
        let (shared, settling) = (&self.shared, &mut self.settling);
        self.clients.retain_mut(|(client, stream)| {
            // Its end is their death.
            let gone = ready.next() == Some(&true) && hear_client(shared, *client, stream);
            if gone {
                Self::release(shared, settling, client.index);
            }
            !gone
        });
    }

    /// Clients that take no events and whose backlog is full, or whose commands make no sense any more.
    fn hang_up_stuck(&mut self) {
        let stuck = self.shared.take_stuck();
        let (shared, settling) = (&self.shared, &mut self.settling);
        self.clients.retain(|(client, _)| {
            let is_stuck = stuck & (1 << client.index.0) != 0;
            if is_stuck {
                tracing::error!(
                    "control client {} takes no events, or its commands make no sense: its calls are ended",
                    client.index.0
                );
                Self::release(shared, settling, client.index);
            }
            !is_stuck
        });
    }

    fn watch(&mut self) {
        let now = clock::now();
        if now < self.watch_at {
            return;
        }
        self.watch_at = now + WATCH_EVERY;
        for (worker, was) in self.stalled.iter_mut().enumerate() {
            let index = WorkerIndex(worker as u8);
            let still = now - self.shared.host.region().heartbeat(index);
            match (still > STALLED_AFTER, *was) {
                (true, false) => {
                    tracing::error!("media worker {worker} has not turned for {still:?}: its calls are silent")
                }
                (false, true) => tracing::warn!("media worker {worker} turns again"),
                _ => {}
            }
            *was = still > STALLED_AFTER;
        }
    }
}

/// Takes what a client hands over: files for recordings, sockets for streams. True: it is dead.
fn hear_client(shared: &Shared, client: ClientLife, stream: &UnixStream) -> bool {
    // Bounded: a client that talks without end must not hold this thread.
    for _ in 0..CLIENT_MESSAGES {
        match shm::take_file(stream) {
            FromSocket::File(offer, file) => match offer.purpose() {
                FilePurpose::Recording => shared.recorder.take_file(client, offer, file),
                FilePurpose::Stream => shared.streams.take_socket(client, offer.leg, file),
            },
            FromSocket::Nonsense => tracing::debug!("a client's words on the control socket make no sense"),
            FromSocket::Nothing => return false,
            FromSocket::Gone => return true,
        }
    }
    false
}
