//! What the source of a request has shown, before the user agent sees the request.

use crate::shard::Shard;
use crate::shard::io::Arrival;
use session::Standing;
use sip_core::NewCalls;
use sip_wire::{Message, Method};

impl Shard {
    /// What the source of a new call has shown; one that has enough of them waiting is refused without any state.
    pub(super) fn standing(&mut self, arrival: &Arrival, message: &Message<'_>) -> Standing {
        let (flow, source) = (&arrival.flow, arrival.flow.remote.ip());
        let is_trusted =
            || self.trusted.iter().any(|network| network.contains(source)) || self.user.trusts(flow.remote);
        if arrival.is_ours || message.method() != Some(Method::Invite) {
            // A source that the operator knows needs to show nothing, whatever it sends outside calls.
            let is_of_call = |method| matches!(method, Method::Ack | Method::Bye | Method::Cancel | Method::Prack);
            if message.method().is_some_and(|method| !is_of_call(method)) && is_trusted() {
                self.endpoint.prove(arrival.now, flow);
            }
            return Standing::Proven;
        }
        let mut is_proven = self.endpoint.is_proven(arrival.now, flow);
        if !is_proven && is_trusted() {
            self.endpoint.prove(arrival.now, flow);
            is_proven = self.endpoint.is_proven(arrival.now, flow);
        }
        let mut standing = if is_proven { Standing::Proven } else { Standing::Unproven };
        let mut has_room = self.sessions.has_room_for(source, standing);
        if !has_room && is_trusted() {
            (standing, has_room) = (Standing::Trusted, true);
        }
        self.endpoint.take_calls(if has_room { NewCalls::Taken } else { NewCalls::Refused });
        standing
    }
}
