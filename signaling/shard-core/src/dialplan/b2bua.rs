//! The back-to-back user agent of the configuration: calls go on by routes.

use crate::CallHandler;
use crate::dialplan::loops::{LoopGuard, Seen};
use crate::dialplan::routes::{Called, Routes};
use crate::dialplan::transfers::Transfers;
use session::{
    Decide, Decision, Destination, Forward, IncomingCall, SessionEvent, SessionId, Sessions, TransferRequest,
};
use sip_wire::Message;
use std::net::SocketAddr;

/// Decides about calls by routes, and about transfers by policy.
///
/// Clones are for the shards of one switch.
#[derive(Clone)]
pub struct B2bua {
    routes: Routes,
    transfers: Transfers,
    loops: LoopGuard,
}

impl B2bua {
    pub fn new(routes: Routes, transfers: Transfers) -> Self {
        Self { routes, transfers, loops: LoopGuard::default() }
    }
}

impl CallHandler for B2bua {
    fn events(&mut self, _: &Sessions, events: &[SessionEvent]) {
        self.loops.handle(events);
    }
}

impl Decide for B2bua {
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        let reject = |status| Decision::Reject { status, reason: "".into() };
        let called = called_by(call.message);
        match self.routes.targets(&called) {
            None => reject(404),
            Some((_, targets)) if targets.is_empty() => reject(503),
            Some((route, targets)) => match self.loops.note(call.id, call.message, &called, &route) {
                Seen::Loop => reject(482),
                Seen::GoesOn(session_id) => {
                    let headers = session_id.into_iter().map(|id| ("Session-ID".into(), id.into())).collect();
                    Decision::Forward(Forward { route: Some(route), headers, ..Forward::to(targets) })
                }
            },
        }
    }

    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        self.transfers.requested(transfer)
    }

    fn redirected(&mut self, _: SessionId, target: &str) -> Destination {
        self.transfers.redirected(target)
    }

    fn trusts(&self, source: SocketAddr) -> bool {
        self.routes.lead_to(source.ip())
    }
}

fn called_by(message: &Message<'_>) -> Called {
    message.request_uri().map(|uri| Called::of(&uri)).unwrap_or_default()
}
