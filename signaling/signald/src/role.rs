//! What becomes of requests: whether they are calls of ours, or go on to others.

use crate::paths::Paths;
use crate::paths::lookups::Lookups;
use crate::proxy::RelayPlan;
use crate::proxy::route_secret;
use crate::{Error, Routes};
use config::Config;
use sip_core::auth::Place as Asker;

/// What becomes of requests.
pub(crate) enum Role {
    /// The user of the shard decides about calls, by these routes where it has some.
    Calls(Option<Routes>),
    /// They are sent on.
    Proxy(Routes),
    /// They are sent elsewhere.
    Redirect(Routes),
}

impl Role {
    /// Dialogs are ours, and so are their tags.
    pub(crate) fn has_calls(&self) -> bool {
        matches!(self, Self::Calls(_))
    }

    pub(crate) fn routes(&self) -> Option<Routes> {
        match self {
            Self::Calls(routes) => routes.clone(),
            Self::Proxy(routes) | Self::Redirect(routes) => Some(routes.clone()),
        }
    }

    /// As whom credentials are asked for (RFC 3261 §22.2, §22.3).
    pub(crate) fn place(&self) -> Asker {
        if matches!(self, Self::Proxy(_)) { Asker::Proxy } else { Asker::UserAgent }
    }

    pub(crate) fn plan(
        &self,
        config: &Config,
        paths: &Paths,
        names: Vec<String>,
        lookups: &Lookups,
    ) -> Result<Option<RelayPlan>, Error> {
        let (Self::Proxy(routes) | Self::Redirect(routes)) = self else { return Ok(None) };
        Ok(Some(RelayPlan {
            routes: routes.clone(),
            is_redirecting: matches!(self, Self::Redirect(_)),
            paths: paths.clone(),
            lookups: lookups.clone(),
            names,
            trusted: config.headers.trusted.as_slice().into(),
            destinations: crate::shard::shard_config::destinations(config),
            route_secret: route_secret::load(&config.process.runtime_dir)?,
        }))
    }
}
