//! Re-INVITEs of the switch to phones: while one has no final response, what the phone was told may not be all.

use clock::{Duration, Instant};
use sip_wire::{Message, Method};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Timer B, and what the network takes for the last response: the switch has given up a re-INVITE by then.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(40);

#[derive(Default)]
pub(super) struct OpenReinvites {
    /// By phone and branch: when it was sent first.
    open: BTreeMap<(SocketAddr, Vec<u8>), Instant>,
    /// By phone, when the last final response came to the switch.
    answered_at: BTreeMap<SocketAddr, Instant>,
}

impl OpenReinvites {
    /// The switch sends a message to a phone.
    pub(super) fn sends(&mut self, now: Instant, to: SocketAddr, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        if message.method() == Some(Method::Invite) && message.to_tag().is_some() {
            self.open.entry((to, branch(&message))).or_insert(now);
        }
    }

    /// A message of a phone comes to the switch.
    pub(super) fn arrives(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let is_final = message.status().is_some_and(|status| status.code() >= 200);
        if is_final && self.open.remove(&(from, branch(&message))).is_some() {
            self.answered_at.insert(from, now);
        }
    }

    /// Whether the phone has had no re-INVITE of the switch for so long.
    pub(super) fn is_quiet(&self, phone: SocketAddr, now: Instant, since: Duration) -> bool {
        let is_open =
            |((to, _), at): (&(SocketAddr, Vec<u8>), &Instant)| *to == phone && now.since(*at) < GIVEN_UP_AFTER;
        let answered_at = self.answered_at.get(&phone);
        !self.open.iter().any(is_open) && answered_at.is_none_or(|at| now.since(*at) >= since)
    }
}

fn branch(message: &Message<'_>) -> Vec<u8> {
    message.top_via().ok().and_then(|via| via.branch()).unwrap_or_default().to_vec()
}
