//! The worker's loop: wait, take packets, take commands, make what is due, send, tell.

use crate::clients::owners::Owned;
use crate::recording::RecordingRequest;
use crate::worker::{PendingTransfer, Worker};
use clock::{Duration, Instant};
use contract::{Address, CloseReason, Command, Event, RecordingEnd, RefuseReason};
use media_core::io::{Backend, PacketIo, SocketIndex};
use shm::{ClientIndex, FromClient, Rejected, Reservation};
use stats::MediaCounter;
use std::io;

/// Messages of control clients in one turn.
const TURN_MESSAGES: usize = 256;
/// Legs of a dead client that are closed in one turn.
const TURN_CLOSINGS: usize = 64;
/// An idle worker turns at least so often, so that its heartbeat tells that it lives.
const IDLE: Duration = Duration::from_millis(250);
/// A worker without legs gives back what they needed after so long.
const EMPTY_FOR: Duration = Duration::from_secs(5);
/// A client that is behind is tried again after so long.
const RETRY: Duration = Duration::from_millis(1);

impl<B: Backend> Worker<B> {
    /// Ends with all legs closed, or with the error of packet I/O that cannot go on.
    pub(crate) fn turn_until_stopped(&mut self) -> io::Result<()> {
        while !self.shared.stopper.is_asked() {
            self.turn()?;
        }
        self.close_all()
    }

    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        let now = self.io.now();
        self.capture_received();
        self.core.handle_packets(now, self.io.buffers(), &self.received, &mut self.output);
        for _ in 0..TURN_MESSAGES {
            match self.end.pop() {
                Some((client, message)) => self.take_message(now, client, message),
                None => break,
            }
        }
        self.close_legs_of_the_dead(now);
        self.end_kept_legs(now);
        self.receive_transfers(now);
        self.take_outcomes();
        self.connect_streams(now);
        self.core.run_due(now, self.io.wall_now(), self.io.buffers(), &mut self.output);
        self.finish();
        self.send_transfers(now);
        self.publisher.turn(now, &mut self.core, self.io.counters());
        self.give_back_memory(now);
        Ok(())
    }

    fn give_back_memory(&mut self, now: Instant) {
        if self.core.leg_count() > 0 || self.core.place_count() == 0 {
            self.empty_since = None;
        } else if now.since(*self.empty_since.get_or_insert(now)) >= EMPTY_FOR {
            self.core.give_back_memory();
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        self.received.clear();
        let now = self.io.now();
        let until = if self.dying.iter().any(|client| !self.owners.of_client(*client, 1).is_empty()) {
            Instant::ZERO
        } else {
            let until = self
                .core
                .deadline()
                .unwrap_or(Instant::FAR_FUTURE)
                .min(now + IDLE)
                .min(self.transfers_until())
                .min(self.grace.deadline());
            // A dead client's leg that is on its way to another worker wakes only that one.
            let looks_soon = self.event_backlog.is_waiting() || !self.dying.is_empty();
            if looks_soon { until.min(now + RETRY) } else { until }
        };
        // Said before the last look at the queues: a client that pushes from now on wakes this worker.
        let has_post = !self.shared.transfers.is_empty(self.index.0)
            || self.shared.recorder.has_outcomes(self.index.0)
            || self.has_stream_news();
        let may_sleep = self.end.prepare_sleep() && !has_post;
        self.inside_io = true;
        let waited = self.io.wait(if may_sleep { until } else { Instant::ZERO }, &mut self.received);
        self.inside_io = false;
        self.end.cancel_sleep();
        waited
    }

    /// Sends what the turn made, then shows and tells what happened.
    pub(crate) fn finish(&mut self) {
        self.record(self.io.now());
        self.feed_streams();
        let now = self.io.now();
        for send in &self.output.sends {
            if send.received_at != Instant::ZERO {
                self.publisher.relay_latency.record((now - send.received_at).as_nanos() as u64);
            }
        }
        self.capture_sent(now);
        self.inside_io = true;
        self.io.submit(&mut self.output);
        self.inside_io = false;
        self.tell();
    }

    /// Rows first, then events: who hears that a leg is closed finds its final row.
    pub(crate) fn tell(&mut self) {
        for lateness in self.output.lateness.drain(..) {
            for _ in 0..lateness.frame_count {
                self.publisher.pacing_lateness.record(lateness.late.as_nanos() as u64);
            }
        }
        for row in self.output.closed.drain(..) {
            self.publisher.row(&row);
        }
        for at in 0..self.output.events.len() {
            let event = self.output.events[at];
            self.tell_event(event);
        }
        self.output.events.clear();
        self.event_backlog.flush(&mut self.end);
        self.publisher.deferred = self.event_backlog.waiting_count() as u64;
        if self.event_backlog.stuck() != 0 {
            self.shared.report_stuck(self.event_backlog.stuck());
        }
        self.end.wake_clients();
    }

    fn tell_event(&mut self, event: Event) {
        let leg = event.leg();
        if let Event::Opened { .. } | Event::Moved { .. } | Event::Adopted { .. } = event
            && let Some(row) = self.core.row(leg)
        {
            self.publisher.row(&row);
        }
        let owned = match event {
            Event::Closed { .. } => {
                let owned = self.owners.remove(leg);
                if let Some(owned) = &owned {
                    self.end_recordings(self.io.now(), owned, RecordingEnd::LegClosed);
                    self.end_stream(owned);
                }
                if let Some(kept) = owned.filter(|owned| owned.kept_until.is_some()) {
                    self.shared.host.region().reservations().end_keeping(kept.reservation());
                }
                owned
            }
            _ => self.owners.get(leg).copied(),
        };
        // No client hears of a leg that is kept.
        if let Some(owned) = owned.filter(|owned| owned.kept_until.is_none()) {
            self.event_backlog.push(&mut self.end, owned.client, event);
        }
    }

    fn take_message(&mut self, now: Instant, client: ClientIndex, message: FromClient) {
        match message {
            FromClient::Command(command) => self.take_command(now, client, command),
            FromClient::Refused(why) => {
                self.core.count(MediaCounter::CommandsRefused, 1);
                tracing::debug!("a message of control client {} is refused: {why}", client.0);
                if let Rejected::Corrupt(_) = why {
                    // It cannot be told anything any more, nor tell what to do with its legs.
                    self.shared.report_stuck(1 << client.0);
                }
            }
            FromClient::Gone => {
                self.event_backlog.client_gone(client);
                self.keep_legs_of(now, client);
                self.dying.push(client);
            }
        }
    }

    fn take_command(&mut self, now: Instant, client: ClientIndex, command: Command) {
        #[cfg(test)]
        assert!(command.number() != crate::tests::PANIC_NUMBER, "a test wants this worker to fail");
        let (leg, number) = (command.leg(), command.number());
        match command {
            Command::StartRecording { recording, shape, limit_s, .. } => {
                return self.start_recording(now, client, RecordingRequest { leg, number, recording, shape, limit_s });
            }
            Command::PauseRecording { recording, paused, .. } => {
                if !self.pause_recording(now, client, (leg, recording), paused) {
                    let reason = RefuseReason::Full;
                    self.event_backlog.push(&mut self.end, client, Event::Refused { leg, number, reason });
                }
                return;
            }
            Command::StopRecording { recording, .. } => return self.stop_recording(now, client, leg, recording),
            Command::KeepLegs { grace_ms, .. } => return self.declare_grace(client, number, grace_ms),
            Command::Adopt { .. } => return self.adopt(now, client, leg, number),
            _ => {}
        }
        if let Err(reason) = self.may(client, &command) {
            self.core.count(MediaCounter::CommandsRefused, 1);
            return self.event_backlog.push(&mut self.end, client, Event::Refused { leg, number, reason });
        }
        if let Command::Move { worker, .. } = command
            && worker != self.index.0
        {
            let Some(pair) = self.owners.get(leg).and_then(|owned| self.pair_of(owned)) else { return };
            return self.start_transfer(PendingTransfer { leg, number, pair, worker, since: now }, client);
        }
        let before = self.output.events.len();
        self.core.handle_command(now, command, self.io.buffers(), &mut self.output);
        let refused = self.output.events[before..].iter().any(|event| matches!(event, Event::Refused { .. }));
        match (command, self.owners.get(leg).copied()) {
            (Command::Open { spec, .. }, None) if !refused => {
                self.owners.set(Owned { leg, client, kept_until: None, spec, recording: None, stream: None });
            }
            // An `Open` that was refused has no owner yet who could be told.
            (Command::Open { .. }, None) => {
                for event in self.output.events.split_off(before) {
                    self.event_backlog.push(&mut self.end, client, event);
                }
            }
            (Command::Update { update, .. }, Some(owned)) if !refused => {
                self.owners.set(Owned { spec: owned.spec.updated(&update), ..owned });
            }
            _ => {}
        }
    }

    /// A client may open legs whose id and port it took from the pools, and change its own.
    fn may(&self, client: ClientIndex, command: &Command) -> Result<(), RefuseReason> {
        let leg = command.leg();
        let own = self.owners.get(leg);
        match command {
            Command::Open { .. } if own.is_some_and(|owned| owned.is_of(client)) => Err(RefuseReason::AlreadyOpen),
            Command::Open { spec, .. } => {
                let reservation = Reservation { leg, port: spec.transport.port };
                let held = self.shared.host.region().reservations().is_held(reservation, client);
                if held { Ok(()) } else { Err(RefuseReason::Invalid) }
            }
            Command::Move { worker, .. } if usize::from(*worker) >= self.shared.transfers.workers() => {
                Err(RefuseReason::Invalid)
            }
            _ if own.is_some_and(|owned| owned.is_of(client)) => Ok(()),
            _ => Err(RefuseReason::NoSuchLeg),
        }
    }

    /// The port pair of a leg, as the packet I/O counts them.
    pub(crate) fn pair_of(&self, owned: &Owned) -> Option<u16> {
        self.core.pair_of(owned.spec.transport.port.rtp)
    }

    /// Closes what dead clients left behind, some legs a turn, and says when none is left.
    fn close_legs_of_the_dead(&mut self, now: Instant) {
        for client in self.dying.clone() {
            self.close_legs_of(now, client);
        }
    }

    fn close_legs_of(&mut self, now: Instant, client: ClientIndex) {
        for owned in self.owners.of_client(client, TURN_CLOSINGS) {
            let close = Command::Close { leg: owned.leg, number: 0 };
            self.core.handle_command(now, close, self.io.buffers(), &mut self.output);
            // The core may not have it, where a worker failed between the two; nobody listens any more either way.
            self.owners.remove(owned.leg);
            self.end_recordings(now, &owned, RecordingEnd::LegClosed);
            self.end_stream(&owned);
        }
        if self.owners.of_client(client, 1).is_empty() && !self.shared.transfers.has_leg_of(client) {
            // Sockets of its ports are closed before any client can get them again.
            self.finish();
            self.end.confirm_gone(client);
            self.dying.retain(|dying| *dying != client);
            self.shared.control_wake.wake();
        }
    }

    /// RTCP BYE for every leg, as many in a turn as there is room for.
    fn close_all(&mut self) -> io::Result<()> {
        let mut done = false;
        while !done {
            let now = self.io.now();
            done = self.core.close_all(now, CloseReason::Shutdown, self.io.buffers(), &mut self.output);
            self.finish();
            self.received.clear();
            self.io.wait(Instant::ZERO, &mut self.received)?;
        }
        self.publisher.now(self.io.now(), &mut self.core, self.io.counters());
        Ok(())
    }

    /// Receives again on all sockets of the legs that run, after the packet I/O was made anew.
    pub(crate) fn attach_again(&mut self, pair: u16, connected: (Address, Address), uses_rtcp_socket: bool) {
        let [rtp_socket, rtcp_socket] = sockets_of(pair);
        self.io.attach(rtp_socket, connected.0);
        if uses_rtcp_socket {
            self.io.attach(rtcp_socket, connected.1);
        }
    }
}

/// RTP and RTCP socket of a port pair.
pub(crate) fn sockets_of(pair: u16) -> [SocketIndex; 2] {
    [SocketIndex(2 * u32::from(pair)), SocketIndex(2 * u32::from(pair) + 1)]
}
