//! The thread around a shard: it reads the clock, moves datagrams, commands and events, and sleeps.

use crate::link::Link;
use crate::log::{print_calls, print_left_out};
use crate::operator::report::Snapshot;
use crate::operator::trace::{Tracer, Way};
use crate::orders::carry_out;
use crate::recordings::RecordingWatch;
use crate::shard::doubtful_icmp::DoubtfulIcmp;
use crate::shard::ending::Ending;
use crate::shard::idle_work::IdleWork;
use crate::shard::inbox::{Inbox, Unreachable};
use crate::shard::sharding::Sharding;
use crate::shard::turn_rate::{PATIENCE, TurnRate};
use crate::sockets::listener::Listener;
use crate::sockets::reader::Reader;
use crate::sockets::sender::{Sender, Sent};
use crate::sockets::source::may_be_answered;
use crate::sockets::waiter::{Ready, Waiter};
use clock::{Duration, Instant};
use shard_core::Shard;
use shard_core::intake::sharding::{Concerned, is_keep_alive};
use shard_core::intake::{self, Arrived, Intake, is_new_work, stateless};
use shard_core::log::CallLog;
use shard_core::{Input, ShardOutput};
use sip_core::{Flow, Transport};
use stats::SignalCounter;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};

/// Batches of datagrams that one turn takes off a socket before it looks at anything else. Enough to empty it in a flood:
/// what belongs to calls that are up can be told from the rest only once it is here.
const TURN_BATCH_COUNT: usize = 64;
/// Messages that one turn takes out of the inbox.
const TURN_MESSAGE_COUNT: usize = 256;
/// Requests for new work that one turn handles.
const TURN_NEW_COUNT: usize = 64;
/// Requests for new work that one turn refuses.
const TURN_REFUSED_COUNT: usize = 512;
/// Media events, and orders of the program, that one turn takes.
const TURN_EVENT_COUNT: usize = 256;
/// ICMP messages that one turn takes off a socket. What is left takes room away from the datagrams that wait beside them.
const TURN_ERROR_COUNT: usize = 256;
/// Messages that may collect before they are sent.
const FLUSH_COUNT: usize = 32;
/// How soon a full command queue is tried again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(1);

pub(crate) struct ShardThread {
    pub(crate) number: usize,
    pub(crate) shard: Shard,
    pub(crate) sharding: Sharding,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) intake: Intake,
    pub(crate) sockets: Sockets,
    pub(crate) link: Link,
    pub(crate) sender: Sender,
    pub(crate) out: ShardOutput,
    /// Where to ask for a media plane.
    pub(crate) lost: mpsc::Sender<usize>,
    pub(crate) ending: Ending,
    pub(crate) retry_after_s: u64,
    pub(crate) pace: Pace,
    pub(crate) log: CallLog,
    pub(crate) recording_watch: RecordingWatch,
    pub(crate) tracer: Tracer,
}

/// What the shard reads from and waits for.
pub(crate) struct Sockets {
    pub(crate) listeners: Arc<[Listener]>,
    pub(crate) waiter: Waiter,
    /// What the last wait has found.
    pub(crate) ready: Ready,
}

/// What may wait for a later turn, and how long it has.
#[derive(Default)]
pub(crate) struct Pace {
    rate: TurnRate,
    /// Since when media workers do not know of a command that can wait.
    untold_since: Option<Instant>,
    idle_work: IdleWork,
    doubtful_icmp: DoubtfulIcmp,
}

impl ShardThread {
    /// Until the end is asked for and all calls have ended, or their time is over.
    pub(crate) fn run(mut self) {
        // Beside the worker, so that it can work on what the reader lends it.
        let (mut reader, listeners) = (Reader::new(), self.sockets.listeners.clone());
        loop {
            let now = clock::now();
            self.read_sockets(&mut reader, &listeners);
            self.turn(now);
            if self.is_done(now) {
                return;
            }
            self.sleep();
        }
    }

    /// One round, after the sockets were read. What belongs to calls that are up comes before new work.
    fn turn(&mut self, now: Instant) {
        self.take_media_plane();
        for _ in 0..TURN_MESSAGE_COUNT {
            let Some(message) = self.inbox.pop() else { break };
            let (now, flow, bytes) = (clock::now(), message.flow, &*message.bytes);
            if message.is_ours {
                self.tracer.pass(Way::In, &flow, bytes);
                self.shard.handle(now, Input::Ours { flow, bytes }, &mut self.link, &mut self.out);
            } else {
                self.sort(now, flow, message.at, bytes);
            }
            self.flush_many();
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(flow) = self.inbox.broken.pop() else { break };
            for flow in self.sender.broken_with(&flow) {
                self.shard.handle(now, Input::Broken(flow), &mut self.link, &mut self.out);
            }
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(told) = self.inbox.unreachable.pop() else { break };
            self.unreachable(now, &told.flow, &told.quoted);
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(found) = self.inbox.found.pop() else { break };
            self.shard.handle(now, Input::Found(&found), &mut self.link, &mut self.out);
            self.flush_many();
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(event) = self.link.pop() else { break };
            self.shard.handle(clock::now(), Input::Media(event), &mut self.link, &mut self.out);
            self.flush_many();
        }
        if self.shard.deadline().is_some_and(|at| at <= now) {
            self.pace.idle_work.work_was_done(now);
            self.shard.handle(now, Input::Deadline, &mut self.link, &mut self.out);
        }
        for _ in 0..TURN_EVENT_COUNT {
            let Some(order) = self.inbox.orders.pop() else { break };
            carry_out(order, now, &mut self.shard, &mut self.link, &mut self.out);
        }
        while let Some(hang_up) = self.inbox.hang_ups.pop() {
            hang_up.carry_out(now, self.number, &mut self.shard, &mut self.link, &mut self.out);
        }
        self.take_new_work();
        self.flush();
        print_left_out(&mut self.log, now, self.number);
        while let Some(question) = self.inbox.questions.pop() {
            // The operator who asked may be gone.
            let _ = question.answer_to.send(self.snapshot(now, question.with_calls));
        }
        self.shard.counts().add(SignalCounter::Turns, 1);
    }

    fn read_sockets(&mut self, reader: &mut Reader, listeners: &[Listener]) {
        let (sockets, errors) =
            (std::mem::take(&mut self.sockets.ready.sockets), std::mem::take(&mut self.sockets.ready.errors));
        for (_, listener) in listeners.iter().enumerate().filter(|(index, _)| errors & 1 << index != 0) {
            let now = clock::now();
            listener.take_errors(TURN_ERROR_COUNT, |flow, quoted| match self.sharding.of_quoted(quoted) {
                Concerned::One(shard) => self.unreachable_at(shard, now, &flow, quoted),
                Concerned::All => {
                    (0..self.sharding.inboxes.len()).for_each(|shard| self.unreachable_at(shard, now, &flow, quoted));
                }
            });
        }
        let readable = listeners.iter().enumerate().filter(|(index, _)| sockets & 1 << index != 0);
        for (_, listener) in readable {
            // What is left after so many is told of by the next wait.
            for _ in 0..TURN_BATCH_COUNT {
                let now = clock::now();
                let batch = reader.read(listener, now, |flow, at, bytes| self.take(now, flow, at, bytes));
                if batch.unreadable_count + batch.overflow_count > 0 {
                    self.shard.counts().add(SignalCounter::DroppedUnreadable, batch.unreadable_count);
                    self.shard.counts().add(SignalCounter::DroppedOverflow, batch.overflow_count);
                }
                self.flush_many();
                if !batch.may_be_more {
                    break;
                }
            }
        }
    }

    fn unreachable_at(&mut self, shard: usize, now: Instant, flow: &Flow, quoted: &[u8]) {
        if shard == self.number {
            self.unreachable(now, flow, quoted);
        } else if let Some(inbox) = self.sharding.inboxes.get(shard) {
            let _ = inbox.unreachable.push(Unreachable { flow: *flow, quoted: quoted.into() });
            inbox.wake();
        }
    }

    /// A hint that names no request has all of them searched for those to that address, so few of these are looked into.
    fn unreachable(&mut self, now: Instant, flow: &Flow, quoted: &[u8]) {
        if sip_core::quoted_branch(quoted).is_none() && !self.pace.doubtful_icmp.takes(now) {
            return self.shard.counts().add(SignalCounter::UnreachableUnread, 1);
        }
        self.shard.handle(now, Input::Unreachable { flow: *flow, quoted }, &mut self.link, &mut self.out);
    }

    /// Takes a datagram, or passes it on to the shard that it belongs to.
    fn take(&mut self, now: Instant, flow: Flow, at: Instant, bytes: &[u8]) {
        let shard = self.sharding.of(bytes);
        if !may_be_answered(&flow) {
            self.shard.counts().add(SignalCounter::DroppedSource, 1);
        } else if is_keep_alive(bytes) {
            self.shard.counts().add(SignalCounter::KeepAlives, 1);
        } else if shard == self.number {
            self.sort(now, flow, at, bytes);
        } else if let Some(inbox) = self.sharding.inboxes.get(shard) {
            inbox.push(Arrived { flow, at, bytes: bytes.into(), is_ours: false });
            inbox.wake();
        }
    }

    /// Handles a message, or lets it wait for its turn.
    fn sort(&mut self, now: Instant, flow: Flow, at: Instant, bytes: &[u8]) {
        self.tracer.pass(Way::In, &flow, bytes);
        if !is_new_work(bytes) {
            return self.handle(now, flow, bytes);
        }
        if self.intake.push(flow, at, bytes) {
            return;
        }
        // A datagram comes again, and even a refusal would take time away from those who are refused already. A request
        // over a stream is sent once; how many come is bounded by how fast we read.
        if flow.transport == Transport::Udp || !self.refuse(&flow, bytes) {
            self.shard.counts().add(SignalCounter::DroppedQueueFull, 1);
        }
    }

    fn handle(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        self.shard.handle(now, Input::Message { flow, bytes }, &mut self.link, &mut self.out);
    }

    /// Handles or refuses the oldest of what waits.
    fn take_new_work(&mut self) {
        let (mut handled_count, mut refused_count) = (0, 0);
        while handled_count < TURN_NEW_COUNT && refused_count < TURN_REFUSED_COUNT {
            let now = clock::now();
            let work = match self.intake.pop(now) {
                None => return,
                Some(intake::Triage::Refuse(work)) if self.refuse(&work.flow, &work.bytes) => {
                    refused_count += 1;
                    continue;
                }
                Some(intake::Triage::Handle(work) | intake::Triage::Refuse(work)) => work,
            };
            self.handle(now, work.flow, &work.bytes);
            self.flush_many();
            handled_count += 1;
        }
    }

    fn refuse(&mut self, flow: &Flow, bytes: &[u8]) -> bool {
        let Ok(message) = sip_wire::Message::parse(bytes) else { return false };
        let mut answer = Vec::with_capacity(bytes.len());
        let Some(way) = stateless::overloaded(flow, &message, self.retry_after_s, &mut answer) else { return false };
        self.shard.counts().add(SignalCounter::RefusedQueueFull, 1);
        if bytes.starts_with(b"INVITE ") {
            self.out.refused.note(flow, &message, &answer);
        }
        // A sender that does not get it asks again.
        let is_sent = self.sender.send_one(&way, &answer);
        let counter = if is_sent { SignalCounter::MessagesSent } else { SignalCounter::DroppedNotSent };
        self.shard.counts().add(counter, 1);
        true
    }

    fn flush_many(&mut self) {
        if self.out.sip.transmits.len() + self.out.proxied.transmits.len() >= FLUSH_COUNT {
            self.flush();
        }
    }

    /// Carries out what the shard wants done.
    pub(crate) fn flush(&mut self) {
        if !self.out.is_empty() {
            self.pace.idle_work.work_was_done(clock::now());
        }
        self.push_commands();
        let sent = [self.sender.send(&self.out.sip), self.sender.send(&self.out.proxied)];
        for sent in sent.into_iter().filter(|sent| *sent != Sent::default()) {
            let counts = self.shard.counts();
            counts.add(SignalCounter::MessagesSent, sent.sent_count);
            counts.add(SignalCounter::DroppedNotSent, sent.failed_count);
        }
        self.shard.tell_user(&self.out);
        print_calls(&mut self.log, clock::now(), &self.out, self.shard.sessions());
        let left_out = self.recording_watch.tell(self.number, &self.out, self.shard.sessions());
        if left_out > 0 {
            self.shard.counts().add(SignalCounter::CallsNotRecorded, left_out);
        }
        self.out.clear();
        while let Some(flow) = self.sender.broken() {
            // Without room the requests on it run out by themselves.
            let _ = self.inbox.broken.push(flow);
        }
    }

    /// A busy shard does not wake a media worker for what can wait: the next command that cannot does, in a moment.
    fn push_commands(&mut self) {
        let is_patient = self.pace.rate.is_high();
        if is_patient && !self.out.commands.is_empty() && self.pace.untold_since.is_none() {
            self.pace.untold_since = Some(clock::now());
        }
        self.link.push(&mut self.out.commands, is_patient);
    }

    fn sleep(&mut self) {
        self.publish();
        let now = clock::now();
        self.pace.rate.turn(now);
        if self.pace.untold_since.is_some_and(|since| !self.pace.rate.is_high() || since + PATIENCE <= now) {
            self.pace.untold_since = None;
            self.link.wake_workers();
        }
        self.pace.idle_work.look(now, self.pace.rate.is_high());
        // Answers that can wait are found by the next turn, which is near: nobody has to wake us for them.
        let awaited = self.shard.sessions().awaited();
        let dozes = self.pace.rate.is_high() && awaited.others > 0 && awaited.calls == 0;
        let is_idle = self.intake.is_empty()
            && self.inbox.prepare_sleep()
            && if dozes { self.link.is_idle() } else { self.link.prepare_sleep() };
        let limit = match (is_idle, self.link.has_backlog()) {
            (false, _) => Some(Duration::ZERO),
            (true, true) => Some(BACKLOG_PAUSE),
            (true, false) => {
                let others =
                    self.ending.until.into_iter().chain(self.pace.idle_work.deadline()).chain(self.log.deadline());
                let deadline = self.shard.deadline().into_iter().chain(others).min();
                let patience = (dozes || self.pace.untold_since.is_some()).then_some(now + PATIENCE);
                // Timers of thousands of calls end at thousands of moments: a busy shard takes them together.
                let deadline = deadline.map(|at| if self.pace.rate.is_high() { at.max(now + PATIENCE) } else { at });
                deadline.into_iter().chain(patience).min().map(|at| at.since(now))
            }
        };
        self.sockets.ready = self.sockets.waiter.wait(limit);
        self.inbox.awake();
        self.link.awake();
        if self.link.is_lost(self.sockets.ready.media_hung_up) {
            self.lose_media_plane();
        }
        if self.sockets.ready.is_stopping {
            self.take_stop();
        }
    }

    fn publish(&mut self) {
        self.count_inbox();
        self.link.publish(self.shard.counts());
    }

    /// What other threads counted for us.
    fn count_inbox(&mut self) {
        let dropped = self.inbox.dropped_count.swap(0, Relaxed);
        self.shard.counts().add(SignalCounter::DroppedQueueFull, dropped);
    }

    fn snapshot(&mut self, now: Instant, with_calls: bool) -> Snapshot {
        self.count_inbox();
        let calls = if with_calls { self.shard.call_rows(now, self.number) } else { Vec::new() };
        Snapshot {
            shard: self.number,
            calls,
            counts: self.shard.counts().values().to_vec(),
            refused: self.log.refused_counts(),
            sizes: self.shard.sizes(),
            region: self.link.region().cloned(),
        }
    }
}
