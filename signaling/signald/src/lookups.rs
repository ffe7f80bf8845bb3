//! Names that requests in progress have to become paths, off the shards' threads. Each question is answered, with nothing
//! when there is no path; the resolver bounds how long that takes.

use crate::inbox::Inbox;
use crate::paths::Paths;
use crate::{Error, run};
use sip_core::Flow;
use sip_wire::Uri;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Questions that may wait; with more of them the requests are refused.
pub(crate) const QUESTION_COUNT_MAX: usize = 1_024;

/// What a shard wants to know.
pub(crate) struct Lookup {
    pub(crate) shard: usize,
    /// Comes back with the answer.
    pub(crate) ticket: u64,
    pub(crate) uris: Vec<String>,
}

/// The paths to each URI that a shard asked for, in their order.
#[derive(Debug)]
pub struct Found {
    pub(crate) ticket: u64,
    pub(crate) paths: Vec<Vec<Flow>>,
}

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

    /// `false`: too many wait already.
    pub(crate) fn ask(&self, lookup: Lookup) -> bool {
        self.0.try_send(lookup).is_ok()
    }
}

async fn answer(paths: Paths, lookup: Lookup, inbox: Arc<Inbox>) {
    let mut found = Vec::with_capacity(lookup.uris.len());
    for uri in &lookup.uris {
        found.push(match Uri::parse(uri.as_bytes()) {
            Ok(uri) => paths.find(&uri).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        });
    }
    // There is room for every question that a shard may have open.
    let _ = inbox.found.push(Found { ticket: lookup.ticket, paths: found });
    inbox.wake();
}
