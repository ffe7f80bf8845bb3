//! One target of a request: its client transaction (RFC 3261 §16.6).

use super::Target;
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
    /// `Reason` lines for its CANCEL (RFC 3326).
    pub(super) cancel_lines: Box<[u8]>,
    /// Timer C.
    pub(super) ring_until: Instant,
    /// Further paths to its target, and the breadth that it was given.
    pub(super) again: Option<Box<(Waiting, u8)>>,
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
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) flow: Flow,
    pub(super) alternates: Box<[Flow]>,
    pub(super) uri: Option<Box<str>>,
    pub(super) route: Option<Box<str>>,
    pub(super) group: u32,
}

/// Targets of a redirection go before all that were named first.
const FIRST_NAMED_GROUP: u32 = 1 << 16;

impl Waiting {
    pub(super) fn new(target: &Target<'_>, is_redirection: bool) -> Self {
        Self {
            flow: target.flow,
            alternates: target.alternates.into(),
            uri: target.uri.map(Into::into),
            route: target.route.map(Into::into),
            group: u32::from(target.group) + if is_redirection { 0 } else { FIRST_NAMED_GROUP },
        }
    }

    /// The same target by its next path.
    pub(super) fn by_next_path(&self) -> Option<Self> {
        let (flow, rest) = self.alternates.split_first()?;
        Some(Self { flow: *flow, alternates: rest.into(), ..self.clone() })
    }
}
