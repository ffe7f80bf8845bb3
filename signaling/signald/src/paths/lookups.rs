//! Names that requests and calls in progress have to become paths, off the shards' threads. Each question is answered,
//! with nothing when there is no path; the resolver bounds how long that takes.

use crate::paths::Paths;
use crate::shard::inbox::Inbox;
use crate::{Error, run};
use shard_core::names::{Found, Lookup, QUESTION_COUNT_MAX};
use sip_core::Flow;
use sip_wire::Uri;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The way to the thread that looks up. It ends with the last of these.
#[derive(Clone)]
pub(crate) struct Lookups(mpsc::Sender<Lookup>);

impl Lookups {
    /// Starts the thread.
    pub(crate) fn start(paths: Paths, inboxes: Vec<Arc<Inbox>>) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::System { what: "start looking up names", source })?;
        let (sender, mut questions) = mpsc::channel::<Lookup>(QUESTION_COUNT_MAX);
        run::spawn("lookups".into(), move || {
            runtime.block_on(async move {
                while let Some(lookup) = questions.recv().await {
                    let Some(inbox) = inboxes.get(lookup.shard).cloned() else { continue };
                    tokio::spawn(answer(paths.clone(), lookup, inbox));
                }
            });
        })?;
        Ok(Self(sender))
    }
}

impl shard_core::Lookups for Lookups {
    fn ask(&self, lookup: Lookup) -> bool {
        self.0.try_send(lookup).is_ok()
    }
}

async fn answer(paths: Paths, lookup: Lookup, inbox: Arc<Inbox>) {
    // All at once: the shard waits for the slowest alone.
    let searches: Vec<_> = lookup.uris.into_iter().map(|uri| tokio::spawn(find(paths.clone(), uri))).collect();
    let mut found = Vec::with_capacity(searches.len());
    for search in searches {
        found.push(search.await.unwrap_or_default());
    }
    // There is room for every question that a shard may have open.
    let _ = inbox.found.push(Found { ticket: lookup.ticket, paths: found });
    inbox.wake();
}

async fn find(paths: Paths, text: String) -> Vec<Flow> {
    let Ok(uri) = Uri::parse(text.as_bytes()) else { return Vec::new() };
    paths.find(&uri).await.unwrap_or_else(|error| {
        tracing::debug!(uri = text, "no path: {error}");
        Vec::new()
    })
}
