//! Legs that outlive their client: it declared, before it hung up, that they are to go on for a grace period in which
//! another client may adopt them.

use crate::clients::owners::Owned;
use crate::worker::Worker;
use clock::{Duration, Instant};
use contract::{Command, Event, LegRef, RecordingEnd, RefuseReason};
use media_core::io::{Backend, PacketIo};
use shm::{ClientIndex, RegionPlan};
use stats::MediaCounter;

/// Kept legs that are closed in one turn once their time is over.
const TURN_ENDINGS: usize = 64;

/// What a worker knows of grace periods. The kept legs themselves are among the [`crate::clients::owners::Owners`].
pub(crate) struct GracePeriods {
    /// By client: for how long its legs go on once it has hung up; zero: not at all.
    declared: [Duration; RegionPlan::MAX_CLIENTS],
    /// By client: until when the legs of the one that hung up last go on.
    until: [Instant; RegionPlan::MAX_CLIENTS],
    /// When the time of the next kept leg is over, or earlier.
    next_end: Instant,
}

impl GracePeriods {
    pub(crate) fn new() -> Self {
        Self {
            declared: [Duration::ZERO; RegionPlan::MAX_CLIENTS],
            until: [Instant::ZERO; RegionPlan::MAX_CLIENTS],
            next_end: Instant::FAR_FUTURE,
        }
    }

    /// When to look at the kept legs again.
    pub(crate) fn deadline(&self) -> Instant {
        self.next_end
    }
}

impl<B: Backend> Worker<B> {
    /// A client says what becomes of its legs when it hangs up.
    pub(crate) fn declare_grace(&mut self, client: ClientIndex, number: u64, grace_ms: u32) {
        self.grace.declared[client.index()] = Duration::from_millis(grace_ms.into());
        self.event_backlog.push(&mut self.end, client, Event::Kept { number });
    }

    /// A client has hung up: legs that it wanted kept change their owner, so that its end does not close them.
    pub(crate) fn keep_legs_of(&mut self, now: Instant, client: ClientIndex) {
        let grace = std::mem::take(&mut self.grace.declared[client.index()]);
        self.grace.until[client.index()] = now + grace;
        if grace.is_zero() {
            return;
        }
        let legs = self.owners.of_client(client, usize::MAX);
        let kept_count = legs.iter().filter(|owned| self.keep(client, **owned)).count();
        tracing::info!("{kept_count} legs of control client {} wait {grace:?} for another one", client.0);
    }

    /// `false`: the leg's id or port is not the client's, so that the leg has to end.
    fn keep(&mut self, client: ClientIndex, owned: Owned) -> bool {
        let until = self.grace.until[client.index()];
        let is_kept = self.shared.host.region().reservations().keep(owned.reservation(), client);
        if is_kept {
            self.owners.set(Owned { kept_until: Some(until), ..owned });
            self.grace.next_end = self.grace.next_end.min(until);
        }
        is_kept
    }

    /// A leg has come from another worker: whether it may go on. One that is kept may, and so may one whose client still
    /// lives or is about to have its legs kept here.
    pub(crate) fn may_go_on(&mut self, now: Instant, owned: Owned) -> bool {
        if let Some(until) = owned.kept_until {
            self.grace.next_end = self.grace.next_end.min(until);
            return true;
        }
        let client = owned.client;
        if !self.shared.host.region().reservations().is_held(owned.reservation(), client) {
            return false;
        }
        // Where this worker has yet to hear of its client's death, if it is dead, the leg is dealt with then.
        let has_gone = self.dying.contains(&client) || self.end.life(client).is_none();
        !has_gone || self.grace.until[client.index()] > now && self.keep(client, owned)
    }

    /// Gives a kept leg to the client that asks for it.
    pub(crate) fn adopt(&mut self, now: Instant, client: ClientIndex, leg: LegRef, number: u64) {
        let adopted = self.try_adopt(now, client, leg);
        match adopted {
            Ok(()) => {
                let command = Command::Adopt { leg, number };
                self.core.handle_command(now, command, self.io.buffers(), &mut self.output);
            }
            Err(reason) => {
                self.core.count(MediaCounter::CommandsRefused, 1);
                self.event_backlog.push(&mut self.end, client, Event::Refused { leg, number, reason });
            }
        }
    }

    fn try_adopt(&mut self, now: Instant, client: ClientIndex, leg: LegRef) -> Result<(), RefuseReason> {
        let owned = *self.owners.get(leg).ok_or(RefuseReason::NoSuchLeg)?;
        match owned.kept_until {
            // The core does not have it, where a worker failed between the two.
            Some(_) if self.core.row(leg).is_none() => {
                self.forget_kept(now, &owned);
                Err(RefuseReason::NoSuchLeg)
            }
            Some(_) if self.shared.host.region().reservations().adopt(owned.reservation(), client) => {
                self.owners.set(Owned { client, kept_until: None, ..owned });
                Ok(())
            }
            None if owned.is_of(client) => Err(RefuseReason::AlreadyOpen),
            // Of a client that lives: not known to this one.
            _ => Err(RefuseReason::NoSuchLeg),
        }
    }

    /// Takes back the id and the port of a kept leg that the core does not have.
    fn forget_kept(&mut self, now: Instant, owned: &Owned) {
        self.owners.remove(owned.leg);
        self.end_recordings(now, owned, RecordingEnd::LegClosed);
        self.end_stream(owned);
        self.shared.host.region().reservations().end_keeping(owned.reservation());
    }

    /// Closes kept legs that no client has adopted in time. Their ids and ports are free once their sockets are closed.
    pub(crate) fn end_kept_legs(&mut self, now: Instant) {
        if now < self.grace.next_end {
            return;
        }
        let is_over = |owned: &&Owned| owned.kept_until.is_some_and(|until| until <= now);
        let over: Vec<Owned> = self.owners.all().filter(is_over).take(TURN_ENDINGS).copied().collect();
        for owned in over {
            let leg = owned.leg;
            if self.core.row(leg).is_some() {
                self.core.handle_command(now, Command::Close { leg, number: 0 }, self.io.buffers(), &mut self.output);
            } else {
                self.forget_kept(now, &owned);
            }
        }
        let closing = |owned: &&Owned| self.core.row(owned.leg).is_none();
        let waiting = self.owners.all().filter(|owned| !closing(owned)).filter_map(|owned| owned.kept_until);
        self.grace.next_end = waiting.min().unwrap_or(Instant::FAR_FUTURE);
    }
}
