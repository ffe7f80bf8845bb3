//! One target of a request: its client transaction (RFC 3261 §16.6).

use crate::flow::Flow;
use crate::hash::Key;
use crate::slab::Handle;
use crate::timer::Alarm;
use crate::transactions::{Cancel, ClientMachine};
use clock::Instant;

pub(super) struct Branch {
    pub(super) machine: ClientMachine,
    pub(super) key: Key,
    pub(super) flow: Flow,
    pub(super) bytes: Box<[u8]>,
    pub(super) context: Handle,
    /// A CANCEL of ours: its responses concern nobody.
    pub(super) is_cancel: bool,
    /// Its final response, or the lack of one, was noted.
    pub(super) is_final: bool,
    pub(super) cancel: Cancel,
    /// Timer C.
    pub(super) ring_until: Instant,
    pub(super) alarm: Alarm,
}

impl Branch {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let rings = self.machine.is_waiting() && matches!(self.machine, ClientMachine::Invite(_));
        let limit = match self.cancel {
            Cancel::Sent(until) if rings => Some(until),
            Cancel::No if rings => Some(self.ring_until),
            _ => None,
        };
        [self.machine.deadline(), limit].into_iter().flatten().min()
    }
}

/// A target that was not tried yet.
pub(super) struct Waiting {
    pub(super) flow: Flow,
    pub(super) uri: Option<Box<str>>,
    pub(super) route: Option<Box<str>>,
    pub(super) group: u16,
}
