//! The names of the targets of routes, looked up again and again.

use crate::{Paths, Stop};
use shard_core::Routes;
use sip_wire::Uri;
use std::time::Duration;

/// How often names are looked up again. The resolver keeps answers as long as DNS says.
const REFRESH_PAUSE: Duration = Duration::from_secs(10);

/// Looks all targets up, again and again, until the end is asked for.
pub(crate) fn keep_fresh(routes: &Routes, paths: &Paths, stop: &Stop) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!("routes cannot be looked up: {error}"),
    };
    loop {
        runtime.block_on(refresh(routes, paths));
        if stop.wait(REFRESH_PAUSE) {
            return;
        }
    }
}

async fn refresh(routes: &Routes, paths: &Paths) {
    for target in routes.uris() {
        let Ok(uri) = Uri::parse(target.as_bytes()) else { continue };
        match paths.find(&uri).await {
            Ok(found) => routes.set_paths(&target, &found),
            // What was found before may still be right.
            Err(error) => tracing::warn!(target, "no path to the target of a route: {error}"),
        }
    }
}
