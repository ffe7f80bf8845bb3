//! Where calls go because a peer says so, by `[transfer]`: targets of REFER and Contacts of 3xx.

use crate::dialplan::routes::{Called, Routes};
use config::{Mode, TransferTargets};
use session::{Destination, TransferKind, TransferRequest};
use sip_wire::Uri;

/// The policy of a configuration.
#[derive(Clone)]
pub struct Transfers {
    policy: config::Transfer,
    routes: Routes,
    mode: Mode,
}

impl Transfers {
    /// By a configuration and its routes.
    pub fn new(config: &config::Config, routes: Routes) -> Self {
        Self { policy: config.transfer, routes, mode: config.sip.mode }
    }

    pub fn requested(&self, transfer: &TransferRequest<'_>) -> Destination {
        match (self.policy.targets, transfer.kind) {
            (TransferTargets::Nobody, _) => Destination::Refused(603),
            // Routes have nothing to say about a call that is up.
            (_, TransferKind::TakeOver) => Destination::Home,
            (_, TransferKind::Here) if self.mode == Mode::Numbers => Destination::Home,
            (TransferTargets::Anybody, _) => Destination::Named,
            (TransferTargets::Routes, _) => self.by_routes(transfer.target),
        }
    }

    pub fn redirected(&self, target: &str) -> Destination {
        match self.policy.redirects {
            TransferTargets::Nobody => Destination::Refused(403),
            TransferTargets::Anybody => Destination::Named,
            TransferTargets::Routes => self.by_routes(target),
        }
    }

    /// As a new call to it would go.
    fn by_routes(&self, target: &str) -> Destination {
        let Ok(uri) = Uri::parse(target.as_bytes()) else { return Destination::Refused(400) };
        match self.routes.targets(&Called::of(&uri)) {
            None => Destination::Refused(404),
            Some((_, targets)) => Destination::Targets(targets),
        }
    }
}
