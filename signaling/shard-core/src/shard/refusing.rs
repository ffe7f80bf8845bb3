//! Requests that a shard answers without a call: challenges, and refusals by the rules of the protocol.

use super::io::Arrival;
use crate::auth::Auth;
use crate::intake::stateless;
use crate::log::{Refusals, status_of};
use sip_core::auth::Scope;
use sip_core::{Flow, Output};
use sip_wire::{Message, Method};

/// Notes that an INVITE was refused by the rules of the protocol, if one of the messages from `mark` on says so. 491 is a
/// step of changes that cross, and no refusal.
pub(super) fn note_refusal<E: Copy>(
    refused: &mut Refusals,
    out: &Output<E>,
    mark: usize,
    flow: &Flow,
    request: &Message<'_>,
) {
    if request.method() != Some(Method::Invite) {
        return;
    }
    let new = out.transmits.get(mark..).unwrap_or_default();
    let answer = new.iter().map(|sent| out.bytes(sent.bytes)).find(|bytes| status_of(bytes) >= 300);
    if let Some(answer) = answer.filter(|answer| status_of(answer) != 491) {
        refused.note(flow, request, answer);
    }
}

/// Writes the challenge that a request gets which has no credentials and needs some.
pub(super) fn challenge<E: Copy>(
    auth: &Auth,
    arrival: &Arrival,
    message: &Message<'_>,
    scope: impl FnOnce() -> Option<Scope>,
    (out, refused): (&mut Output<E>, &mut Refusals),
) -> bool {
    let mut answer = Vec::new();
    let Some(way) = stateless::challenge(auth, arrival.now, &arrival.flow, message, scope, &mut answer) else {
        return false;
    };
    out.send_message(way, &answer);
    if message.method() == Some(Method::Invite) {
        refused.note(&arrival.flow, message, &answer);
    }
    true
}
