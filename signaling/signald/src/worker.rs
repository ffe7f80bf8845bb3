//! The thread around a shard: it reads the clock, moves datagrams, commands and events, and sleeps.

use crate::inbox::Inbox;
use crate::link::Link;
use crate::report::{self, Snapshot};
use crate::sender::Sender;
use crate::shard::{Input, Shard, ShardOutput};
use crate::{Stop, wait};
use clock::{Duration, Instant};
use session::{SessionEvent, SessionState};
use stats::SignalCounter;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;

/// Datagrams that one turn takes before it looks at anything else.
const TURN_DATAGRAM_COUNT: usize = 64;
/// Media events, and orders of the program, that one turn takes.
const TURN_EVENT_COUNT: usize = 256;
/// A busy shard looks at its descriptors at least so often.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How soon a full command queue is tried again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(1);
/// How long calls may take to end when we stop.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) shard: Shard,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) link: Link,
    pub(crate) sender: Sender,
    pub(crate) out: ShardOutput,
    pub(crate) stop: Stop,
    /// Where to ask for a media plane.
    pub(crate) lost: mpsc::Sender<usize>,
    pub(crate) stop_until: Option<Instant>,
    pub(crate) look_at: Instant,
}

impl Worker {
    /// Until the end is asked for and all calls have ended, or their time is over.
    pub(crate) fn run(mut self) {
        loop {
            let now = clock::now();
            let worked = self.turn(now);
            if self.is_done(now) {
                return;
            }
            if !worked {
                self.sleep();
            } else if now >= self.look_at {
                self.look(Some(Duration::ZERO));
            }
        }
    }

    /// One round; `false`: there was nothing to do.
    fn turn(&mut self, now: Instant) -> bool {
        let mut worked = self.take_media_plane();
        for _ in 0..TURN_DATAGRAM_COUNT {
            let Some(datagram) = self.inbox.pop() else { break };
            worked = true;
            let input = Input::Datagram { flow: datagram.flow, bytes: &datagram.bytes };
            self.shard.handle(now, input, &mut self.link, &mut self.out);
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(event) = self.link.pop() else { break };
            worked = true;
            self.shard.handle(now, Input::Media(event), &mut self.link, &mut self.out);
        }
        if self.shard.deadline().is_some_and(|at| at <= now) {
            worked = true;
            self.shard.handle(now, Input::Deadline, &mut self.link, &mut self.out);
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(order) = self.inbox.orders.pop() else { break };
            worked = true;
            self.shard.obey(now, order, self.link.region().cloned(), &mut self.link, &mut self.out);
        }
        self.flush();
        while let Some(question) = self.inbox.questions.pop() {
            worked = true;
            // Whoever asked may be gone.
            let _ = question.answer_to.send(self.snapshot(now, question.with_calls));
        }
        self.shard.counts().add(SignalCounter::Turns, u64::from(worked));
        worked
    }

    /// Carries out what the shard wants done.
    fn flush(&mut self) {
        self.link.push(&mut self.out.commands);
        if !self.out.sip.transmits.is_empty() {
            let sent = self.sender.send(&self.out.sip);
            let counts = self.shard.counts();
            counts.add(SignalCounter::MessagesSent, sent.sent_count);
            counts.add(SignalCounter::DroppedNotSent, sent.failed_count);
        }
        self.shard.tell_user(&self.out);
        for event in &self.out.events {
            match event {
                SessionEvent::Ended { id, reason, .. } => {
                    tracing::debug!(call = %id, shard = self.number, reason = reason.name(), "call ended");
                }
                SessionEvent::StateChanged { id, new: SessionState::Connected, .. } => {
                    tracing::debug!(call = %id, shard = self.number, "call connected");
                }
                _ => {}
            }
        }
        self.out.clear();
    }

    fn take_media_plane(&mut self) -> bool {
        let Some(attached) = self.inbox.attached.pop() else { return false };
        let region = attached.end.region();
        tracing::info!(shard = self.number, process = region.creator_pid(), "attached to the media plane");
        self.link.attach(attached);
        true
    }

    fn lose_media_plane(&mut self) {
        let calls = self.shard.sessions().count();
        tracing::error!(
            shard = self.number,
            calls,
            "the media plane is gone; its calls end, new ones get 503 until it is back"
        );
        self.link.detach();
        self.shard.handle(clock::now(), Input::MediaLost, &mut self.link, &mut self.out);
        self.flush();
        // Nobody to ask means that we are about to end as well.
        let _ = self.lost.send(self.number);
    }

    fn sleep(&mut self) {
        self.publish();
        let is_idle = self.inbox.prepare_sleep() && self.link.prepare_sleep();
        let limit = match (is_idle, self.link.has_backlog()) {
            (false, _) => Some(Duration::ZERO),
            (true, true) => Some(BACKLOG_PAUSE),
            (true, false) => {
                let deadline = self.shard.deadline().into_iter().chain(self.stop_until).min();
                deadline.map(|at| at.since(clock::now()))
            }
        };
        self.look(limit);
        self.inbox.awake();
        self.link.awake();
    }

    /// Waits for a descriptor, and sees what the rare ones say.
    fn look(&mut self, limit: Option<Duration>) {
        self.look_at = clock::now() + LOOK_PAUSE;
        let is_stopping = self.stop_until.is_some();
        // While we stop, that request stays readable and would not let us sleep.
        let first = if is_stopping { self.inbox.as_fd() } else { self.stop.as_fd() };
        let (asked_to_stop, hung_up) = match self.link.fds() {
            Some([events, socket]) => {
                let ready = wait::readable(&[first, self.inbox.as_fd(), events, socket], limit);
                (ready[0], ready[3])
            }
            None => (wait::readable(&[first, self.inbox.as_fd()], limit)[0], false),
        };
        if self.link.is_lost(hung_up) {
            self.lose_media_plane();
        }
        if asked_to_stop && !is_stopping {
            let now = clock::now();
            self.stop_until = Some(now + STOP_LIMIT);
            self.shard.handle(now, Input::Stop, &mut self.link, &mut self.out);
            self.flush();
        }
    }

    fn is_done(&mut self, now: Instant) -> bool {
        let Some(until) = self.stop_until else { return false };
        let left = self.shard.sessions().count();
        if left > 0 && now >= until {
            tracing::warn!(shard = self.number, calls = left, "stopping before these calls have ended");
        }
        left == 0 || now >= until
    }

    fn publish(&mut self) {
        self.count_inbox();
        self.link.publish(self.shard.counts());
    }

    /// What other threads counted for us.
    fn count_inbox(&mut self) {
        let inbox = &self.inbox;
        let counts = self.shard.counts();
        counts.set(SignalCounter::RefusedQueueFull, inbox.refused_count.load(Relaxed));
        counts.set(SignalCounter::DroppedQueueFull, inbox.dropped_count.load(Relaxed));
        counts.set(SignalCounter::KeepAlives, inbox.keep_alive_count.load(Relaxed));
    }

    fn snapshot(&mut self, now: Instant, with_calls: bool) -> Snapshot {
        self.count_inbox();
        let calls = if with_calls { report::calls(now, self.number, self.shard.sessions()) } else { Vec::new() };
        Snapshot {
            shard: self.number,
            calls,
            counts: self.shard.counts().values().to_vec(),
            sizes: self.shard.sizes(),
            region: self.link.region().cloned(),
        }
    }
}
