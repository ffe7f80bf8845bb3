//! Events on their way to control clients: a client that is behind gets them later, a client that stays behind is cut
//! off, and the worker never waits.

use contract::Event;
use shm::{ClientIndex, PushError, RegionPlan, WorkerEnd};
use std::collections::VecDeque;

/// Events of one client that one worker keeps aside while the client's queue is full.
pub(crate) const BACKLOG_COUNT_MAX: usize = 8_192;

#[derive(Default)]
pub(crate) struct EventBacklog {
    backlogs: Box<[VecDeque<Event>]>,
    waiting: u32,
    stuck: u32,
}

impl EventBacklog {
    pub(crate) fn new() -> Self {
        Self { backlogs: (0..RegionPlan::MAX_CLIENTS).map(|_| VecDeque::new()).collect(), waiting: 0, stuck: 0 }
    }

    /// Tells a client something, after all that waits for it already.
    pub(crate) fn push(&mut self, end: &mut WorkerEnd, client: ClientIndex, event: Event) {
        let bit = 1 << client.0;
        if self.stuck & bit != 0 {
            return;
        }
        if self.waiting & bit == 0 && !matches!(end.push(client, &event), Err(PushError::Full)) {
            return; // told, or nobody there to tell
        }
        let backlog = &mut self.backlogs[client.index()];
        if backlog.len() == BACKLOG_COUNT_MAX {
            self.forget(client);
            self.stuck |= bit;
            return;
        }
        backlog.push_back(event);
        self.waiting |= bit;
    }

    /// Tries again what waits. Nearly free when nothing does.
    pub(crate) fn flush(&mut self, end: &mut WorkerEnd) {
        let mut waiting = self.waiting;
        while waiting != 0 {
            let client = ClientIndex(waiting.trailing_zeros() as u8);
            waiting &= waiting - 1;
            let backlog = &mut self.backlogs[client.index()];
            while let Some(event) = backlog.front() {
                if matches!(end.push(client, event), Err(PushError::Full)) {
                    break;
                }
                backlog.pop_front();
            }
            if backlog.is_empty() {
                self.forget(client);
            }
        }
    }

    /// Whether something waits, so that the worker looks again soon.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting != 0
    }

    /// How many wait.
    pub(crate) fn waiting_count(&self) -> usize {
        if self.waiting == 0 { 0 } else { self.backlogs.iter().map(VecDeque::len).sum() }
    }

    /// A bit per client that takes no events any more.
    pub(crate) fn stuck(&self) -> u32 {
        self.stuck
    }

    /// The client is gone; the next one in its place starts afresh.
    pub(crate) fn client_gone(&mut self, client: ClientIndex) {
        self.forget(client);
        self.stuck &= !(1 << client.0);
    }

    fn forget(&mut self, client: ClientIndex) {
        self.backlogs[client.index()] = VecDeque::new();
        self.waiting &= !(1 << client.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::LegRef;
    use shm::{Host, RegionPlan, WorkerIndex};

    #[test]
    fn a_client_that_is_behind_loses_nothing_and_one_that_stays_behind_is_stuck() {
        let plan = RegionPlan { queue_slots: 4, rtp_ports: 10_000..=10_100, ..RegionPlan::default() };
        let host = Host::create(&plan).unwrap();
        let mut end = host.worker(WorkerIndex(0)).unwrap();
        let mut client = host.attach_local().unwrap();
        assert!(end.pop().is_none()); // takes the client's queues up
        let (mut event_backlog, leg) = (EventBacklog::new(), LegRef::new(10_000, 1));
        let event = |number| Event::Opened { leg, number };
        (0..100).for_each(|number| event_backlog.push(&mut end, client.index(), event(number)));
        assert!(event_backlog.is_waiting() && event_backlog.stuck() == 0);
        let mut heard = Vec::new();
        while heard.len() < 100 {
            while let Some((_, Ok(event))) = client.pop() {
                heard.extend(event.number());
            }
            event_backlog.flush(&mut end);
        }
        assert_eq!(heard, (0..100).collect::<Vec<_>>());
        assert!(!event_backlog.is_waiting());
        (0..BACKLOG_COUNT_MAX as u64 + 5)
            .for_each(|number| event_backlog.push(&mut end, client.index(), event(number)));
        assert_eq!(event_backlog.stuck(), 1);
        event_backlog.client_gone(client.index());
        assert!(event_backlog.stuck() == 0 && !event_backlog.is_waiting());
    }
}
