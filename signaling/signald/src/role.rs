//! What becomes of requests: whether they are calls of ours, or go on to others.

use crate::paths::Paths;
use crate::paths::lookups::Lookups;
use crate::route_secret;
use crate::{Error, Routes};
use config::Config;
use shard_core::intake::sharding::Tags;
use shard_core::proxy::RelayPlan;
use shard_core::shard::chooser::{Chooser, User};
use sip_core::auth::Place as Asker;
use std::sync::Arc;

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

    /// What tags and branches say about the shard of a message.
    pub(crate) fn tags(&self, config: &Config) -> Tags {
        match self {
            Self::Proxy(_) | Self::Redirect(_) => Tags::Foreign,
            Self::Calls(_) if config.sip.proxy.methods.is_empty() => Tags::Ours,
            Self::Calls(_) => Tags::Mixed,
        }
    }

    pub(crate) fn routes(&self) -> Option<Routes> {
        match self {
            Self::Calls(routes) => routes.clone(),
            Self::Proxy(routes) | Self::Redirect(routes) => Some(routes.clone()),
        }
    }

    /// Whether credentials are asked for as a user agent or as a proxy (RFC 3261 §22.2, §22.3).
    pub(crate) fn place(&self) -> Asker {
        if matches!(self, Self::Proxy(_)) { Asker::Proxy } else { Asker::UserAgent }
    }

    /// Which transaction user handles what.
    pub(crate) fn chooser(&self, config: &Config) -> Chooser {
        match self {
            Self::Calls(_) => Chooser::with_proxied(&config.sip.proxy.methods),
            Self::Proxy(_) | Self::Redirect(_) => Chooser::only(User::Proxy),
        }
    }

    /// The same for the proxy of a shard: a redirect server asks as a user agent.
    pub(crate) fn place_of_proxy(&self) -> Asker {
        if matches!(self, Self::Redirect(_)) { Asker::UserAgent } else { Asker::Proxy }
    }

    /// What the proxies of all shards have in common, where there are some.
    pub(crate) fn plan(
        &self,
        config: &Config,
        paths: &Paths,
        names: Vec<String>,
        lookups: &Arc<Lookups>,
    ) -> Result<Option<RelayPlan>, Error> {
        let routes = match self {
            Self::Proxy(routes) | Self::Redirect(routes) => routes,
            Self::Calls(Some(routes)) if !config.sip.proxy.methods.is_empty() => routes,
            Self::Calls(_) => return Ok(None),
        };
        Ok(Some(RelayPlan {
            routes: routes.clone(),
            is_redirecting: matches!(self, Self::Redirect(_)),
            paths: Arc::new(paths.clone()),
            lookups: lookups.clone(),
            names,
            trusted: config.headers.trusted.as_slice().into(),
            destinations: shard_core::shard::shard_config::destinations(config),
            route_secret: route_secret::load(&config.process.runtime_dir)?,
        }))
    }
}
