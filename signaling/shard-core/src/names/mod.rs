//! Names that requests and calls in progress have to become paths. A shard asks, the process around it looks them up, and
//! the answer comes back as an input. Each question is answered, with nothing when there is no path.

pub mod next_hops;

use sip_core::Flow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Questions that may wait, of each shard and in all; with more of them the requests are refused.
pub const QUESTION_COUNT_MAX: usize = 1_024;

/// What the host says at once: which addresses are its own, and the paths to other addresses.
pub trait PathFinder: Send + Sync {
    /// The way to ourselves, if this is an address that we listen on.
    fn home(&self, address: SocketAddr) -> Option<Flow>;
    /// Whether an address is one of this host, or the one that it is advertised by.
    fn is_of_this_host(&self, ip: IpAddr) -> bool;
    /// The paths to a URI with an address; `None`: it has a name. No path: it cannot be reached.
    fn find_now(&self, uri: &str) -> Option<Vec<Flow>>;
}

/// Takes questions about names.
pub trait Lookups: Send + Sync {
    /// `false`: too many wait already.
    fn ask(&self, lookup: Lookup) -> bool;
}

/// What a shard wants to know.
#[derive(Debug)]
pub struct Lookup {
    /// The shard that the answer is for.
    pub shard: usize,
    /// Comes back with the answer.
    pub ticket: u64,
    /// The URIs whose paths are wanted.
    pub uris: Vec<String>,
}

/// The paths to each URI that a shard asked for, in their order.
#[derive(Debug)]
pub struct Found {
    /// The number of the question.
    pub ticket: u64,
    /// For each URI its paths, best first.
    pub paths: Vec<Vec<Flow>>,
}

/// Numbers of questions from here on are the proxy's.
const FIRST_OF_PROXY: u64 = 1 << 63;

/// Whether the proxy asked the question with this number.
pub fn is_of_proxy(ticket: u64) -> bool {
    ticket >= FIRST_OF_PROXY
}

/// The questions of one transaction user of a shard.
pub struct Questions {
    shard: usize,
    lookups: Arc<dyn Lookups>,
    open_count: usize,
    last_ticket: u64,
}

impl Questions {
    /// Of the user agent.
    pub fn new(shard: usize, lookups: Arc<dyn Lookups>) -> Self {
        Self { shard, lookups, open_count: 0, last_ticket: 0 }
    }

    /// Of the proxy: their numbers are told from the user agent's.
    pub fn of_proxy(shard: usize, lookups: Arc<dyn Lookups>) -> Self {
        Self { last_ticket: FIRST_OF_PROXY, ..Self::new(shard, lookups) }
    }

    /// Asks for the paths to `uris`; gives the number that comes back with the answer. `None`: too much waits already.
    pub fn ask(&mut self, uris: Vec<String>) -> Option<u64> {
        if self.open_count >= QUESTION_COUNT_MAX {
            return None;
        }
        self.last_ticket += 1;
        let lookup = Lookup { shard: self.shard, ticket: self.last_ticket, uris };
        self.lookups.ask(lookup).then(|| self.open_count += 1)?;
        Some(self.last_ticket)
    }

    /// One has been answered.
    pub fn answered(&mut self) {
        self.open_count = self.open_count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A place for as many questions as one shard may have open.
    #[derive(Default)]
    struct Asked(Mutex<Vec<Lookup>>);

    impl Lookups for Asked {
        fn ask(&self, lookup: Lookup) -> bool {
            let mut asked = self.0.lock().unwrap();
            let has_room = asked.len() < QUESTION_COUNT_MAX;
            if has_room {
                asked.push(lookup);
            }
            has_room
        }
    }

    #[test]
    fn questions_are_bounded_until_they_are_answered() {
        let lookups = Arc::new(Asked::default());
        let mut questions = Questions::new(3, lookups.clone());
        let uris = || vec!["sip:a@example.com".to_owned()];
        let tickets: Vec<u64> = (0..QUESTION_COUNT_MAX).filter_map(|_| questions.ask(uris())).collect();
        assert_eq!((tickets.len(), questions.ask(uris())), (QUESTION_COUNT_MAX, None));
        let first = lookups.0.lock().unwrap().remove(0);
        assert_eq!((first.shard, first.ticket, first.uris), (3, tickets[0], uris()));
        // There would be room on the way, but not for the answers.
        assert_eq!(questions.ask(uris()), None);
        questions.answered();
        assert!(questions.ask(uris()).is_some_and(|ticket| !tickets.contains(&ticket)));
        // Other shards ask as well.
        assert_eq!(Questions::new(4, lookups).ask(uris()), None);
    }
}
