//! Names that requests and calls in progress have to become paths, off the shards' threads. Each question is answered,
//! with nothing when there is no path; the resolver bounds how long that takes.

use crate::paths::Paths;
use crate::shard::inbox::Inbox;
use crate::{Error, run};
use sip_core::Flow;
use sip_wire::Uri;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Questions that may wait, of each shard and in all; with more of them the requests are refused.
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

/// Numbers of questions from here on are the proxy's.
const FIRST_OF_PROXY: u64 = 1 << 63;

/// Whether the proxy asked the question with this number.
pub(crate) fn is_of_proxy(ticket: u64) -> bool {
    ticket >= FIRST_OF_PROXY
}

/// The questions of one transaction user of a shard.
pub(crate) struct Questions {
    shard: usize,
    lookups: Lookups,
    open_count: usize,
    last_ticket: u64,
}

impl Questions {
    /// Of the user agent.
    pub(crate) fn new(shard: usize, lookups: Lookups) -> Self {
        Self { shard, lookups, open_count: 0, last_ticket: 0 }
    }

    /// Of the proxy: their numbers are told from the user agent's.
    pub(crate) fn of_proxy(shard: usize, lookups: Lookups) -> Self {
        Self { last_ticket: FIRST_OF_PROXY, ..Self::new(shard, lookups) }
    }

    /// Asks for the paths to `uris`; gives the number that comes back with the answer. `None`: too much waits already.
    pub(crate) fn ask(&mut self, uris: Vec<String>) -> Option<u64> {
        if self.open_count >= QUESTION_COUNT_MAX {
            return None;
        }
        self.last_ticket += 1;
        let lookup = Lookup { shard: self.shard, ticket: self.last_ticket, uris };
        self.lookups.ask(lookup).then(|| self.open_count += 1)?;
        Some(self.last_ticket)
    }

    /// One has been answered.
    pub(crate) fn answered(&mut self) {
        self.open_count = self.open_count.saturating_sub(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_bounded_until_they_are_answered() {
        let (sender, mut asked) = mpsc::channel(QUESTION_COUNT_MAX);
        let mut questions = Questions::new(3, Lookups(sender.clone()));
        let uris = || vec!["sip:a@example.com".to_owned()];
        let tickets: Vec<u64> = (0..QUESTION_COUNT_MAX).filter_map(|_| questions.ask(uris())).collect();
        assert_eq!((tickets.len(), questions.ask(uris())), (QUESTION_COUNT_MAX, None));
        let first = asked.try_recv().unwrap();
        assert_eq!((first.shard, first.ticket, first.uris), (3, tickets[0], uris()));
        // There would be room on the way, but not for the answers.
        assert_eq!(questions.ask(uris()), None);
        questions.answered();
        assert!(questions.ask(uris()).is_some_and(|ticket| !tickets.contains(&ticket)));
        // Other shards ask as well.
        assert_eq!(Questions::new(4, Lookups(sender)).ask(uris()), None);
    }
}
