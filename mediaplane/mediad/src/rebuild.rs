//! After a panic: the worker goes on with the same legs, and nobody else notices.

use crate::clients::owners::Owned;
use crate::error::StartError;
use crate::worker::{Worker, new_core, new_io};
use crate::worker_loop::sockets_of;
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event};
use media_core::MovingLeg;
use media_core::io::{Backend, Output, PacketIo, SocketAction};
use stats::{CounterSet, MediaCounter, Unit};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A worker that fails more often than [`FAILURES_MAX`] in this time carries the cause in its legs.
const FAILURES_WITHIN: Duration = Duration::from_secs(10);
/// So often its legs are kept; then they are closed, and it starts empty.
const FAILURES_MAX: usize = 3;

impl<B: Backend> Worker<B> {
    /// A new core with the legs of the old one: taken over whole where the old core can still give them, so that SSRC,
    /// sequence, timestamps and counters go on; else opened again by what they were last told to be.
    pub(crate) fn rebuild(&mut self) -> Result<(), StartError> {
        let now = self.io.now();
        self.rebuilt_at.retain(|at| now - *at < FAILURES_WITHIN);
        self.rebuilt_at.push(now);
        let keep = self.rebuilt_at.len() <= FAILURES_MAX;
        let mut old = std::mem::replace(&mut self.core, new_core(&self.shared, self.index));
        self.take_counters(&old);
        let is_io_new = self.renew_io()?;
        let legs: Vec<Owned> = self.owners.all().copied().collect();
        for owned in &legs {
            let moving =
                if keep { catch_unwind(AssertUnwindSafe(|| old.extract(owned.leg))).ok().flatten() } else { None };
            match moving {
                Some(moving) => self.take_over(now, owned, moving, is_io_new),
                None if keep => self.open_again(now, owned),
                None => self.give_up(owned),
            }
        }
        // Dropping what a panic left half-done could panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        self.core.count(MediaCounter::WorkerRestarts, 1);
        tracing::warn!(
            "media worker {} is rebuilt with {} of {} legs",
            self.index.0,
            self.core.leg_count(),
            legs.len()
        );
        self.finish();
        let core = &self.core;
        self.pending_transfers.retain(|pending| core.row(pending.leg).is_some());
        self.stop_receiving_again();
        self.publisher.now(now, &mut self.core, self.io.counters());
        Ok(())
    }

    /// Socket actions of the failed turn are carried out, its packets are not sent; packet I/O that failed is made anew.
    fn renew_io(&mut self) -> Result<bool, StartError> {
        self.output.sends.clear();
        self.output.lateness.clear();
        self.output.taps.clear();
        self.output.program_taps.clear();
        if !self.inside_io {
            self.io.submit(&mut self.output);
            return Ok(false);
        }
        self.inside_io = false;
        self.output.sockets.clear();
        self.io = new_io(&*self.backend, &self.end)?;
        self.publisher.forget_io();
        Ok(true)
    }

    fn take_counters(&mut self, old: &media_core::Worker) {
        for counter in MediaCounter::ALL.iter().filter(|counter| counter.unit() != Unit::Level) {
            self.core.count(*counter, old.counts().get(*counter));
        }
    }

    fn take_over(&mut self, now: Instant, owned: &Owned, moving: MovingLeg, is_io_new: bool) {
        let (connected, uses_rtcp_socket) = (moving.connected(), moving.uses_rtcp_socket());
        // Nobody moved it, as far as the client knows.
        let mut unheard = Output::default();
        if self.core.insert(now, moving, 0, &mut unheard).is_err() {
            return self.open_again(now, owned);
        }
        self.core.count(MediaCounter::LegsRebuilt, 1);
        if is_io_new && let Some(pair) = self.pair_of(owned) {
            self.attach_again(pair, connected, uses_rtcp_socket);
        }
    }

    fn open_again(&mut self, now: Instant, owned: &Owned) {
        let mut unheard = Output::default();
        let open = Command::Open { leg: owned.leg, number: 0, spec: owned.spec };
        self.core.handle_command(now, open, self.io.buffers(), &mut unheard);
        if unheard.events.iter().any(|event| matches!(event, Event::Opened { .. })) {
            self.core.count(MediaCounter::LegsRebuilt, 1);
            self.output.sockets.append(&mut unheard.sockets);
            let _ = self.core.tap(owned.leg, owned.recording.map(|recording| recording.tap));
            self.reconnect_stream(now, owned);
        } else {
            self.give_up(owned);
        }
    }

    fn give_up(&mut self, owned: &Owned) {
        let closed = Event::Closed { leg: owned.leg, number: 0, reason: CloseReason::Failed };
        self.output.events.push(closed);
        if let Some(pair) = self.pair_of(owned) {
            self.output.sockets.extend(sockets_of(pair).map(|socket| SocketAction::Close { socket }));
        }
    }
}
