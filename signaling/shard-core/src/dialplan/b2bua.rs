//! The back-to-back user agent of the configuration: calls go on by routes.

use crate::CallHandler;
use crate::dialplan::routes::{Called, Routes};
use crate::dialplan::transfers::Transfers;
use session::{Decide, Decision, Destination, Forward, IncomingCall, SessionId, TransferRequest};
use sip_wire::Message;
use std::net::SocketAddr;

/// Decides about calls by routes, and about transfers by policy.
#[derive(Clone)]
pub struct B2bua {
    routes: Routes,
    transfers: Transfers,
}

impl B2bua {
    pub fn new(routes: Routes, transfers: Transfers) -> Self {
        Self { routes, transfers }
    }
}

impl CallHandler for B2bua {}

impl Decide for B2bua {
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        match self.routes.targets(&called_by(call.message)) {
            None => Decision::Reject { status: 404, reason: "".into() },
            Some((_, targets)) if targets.is_empty() => Decision::Reject { status: 503, reason: "".into() },
            Some((route, targets)) => Decision::Forward(Forward { route: Some(route), ..Forward::to(targets) }),
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

fn called_by(message: &[u8]) -> Called {
    let message = Message::parse(message).ok();
    let uri = message.as_ref().and_then(|message| message.request_uri().ok());
    uri.map(|uri| Called::of(&uri)).unwrap_or_default()
}
