//! Connections that carry requests of ours. When one of them is gone, the requests on it have failed; the many that close and
//! have carried nothing but responses concern no transaction, so that none is searched for.

use sip_core::Flow;
use std::collections::HashMap;

/// Connections that are remembered.
const CONNECTION_COUNT_MAX: usize = 65_536;
/// Other paths than its own that one of them carries.
const PATHS_PER_CONNECTION_MAX: usize = 64;

/// The connections, as far as they are remembered.
#[derive(Default)]
pub(crate) struct Carriers {
    /// For each the other paths whose requests it carries: the connection of those was not open yet, or no longer.
    paths: HashMap<u64, Vec<Flow>>,
    /// Some connections are not remembered any more: one that is unknown may have carried requests.
    has_forgotten: bool,
}

impl Carriers {
    /// A request of ours for `path` goes over this connection, or could not go.
    pub(crate) fn note(&mut self, connection: u64, path: &Flow) {
        if self.paths.len() >= CONNECTION_COUNT_MAX && !self.paths.contains_key(&connection) {
            // The requests of other paths on those run out by themselves.
            self.paths.clear();
            self.has_forgotten = true;
        }
        let paths = self.paths.entry(connection).or_default();
        if connection != path.connection && paths.len() < PATHS_PER_CONNECTION_MAX && !paths.contains(path) {
            paths.push(*path);
        }
    }

    /// All paths with requests that may be broken because this one is. A path without a connection has no other.
    pub(crate) fn broken_with(&mut self, flow: &Flow) -> Vec<Flow> {
        match self.paths.remove(&flow.connection) {
            _ if flow.connection == 0 => vec![*flow],
            None if self.has_forgotten => vec![*flow],
            Some(mut paths) => {
                paths.push(*flow);
                paths
            }
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::Transport;

    fn path(connection: u64) -> Flow {
        let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5060".parse().unwrap());
        Flow { transport: Transport::Tcp, local, remote, connection }
    }

    #[test]
    fn connections_that_carried_no_request_break_nothing() {
        let mut carriers = Carriers::default();
        carriers.note(1, &path(1));
        carriers.note(2, &path(7));
        carriers.note(2, &path(7));
        assert!((3..1_000).all(|connection| carriers.broken_with(&path(connection)).is_empty()));
        assert_eq!(carriers.broken_with(&path(1)), [path(1)]);
        assert!(carriers.broken_with(&path(1)).is_empty(), "it is gone");
        assert_eq!(carriers.broken_with(&path(2)), [path(7), path(2)]);
        // What could not be sent at all has failed, whether it had a connection or not.
        for connection in [0, 9] {
            carriers.note(connection, &path(connection));
            assert_eq!(carriers.broken_with(&path(connection)), [path(connection)]);
        }
        assert_eq!(carriers.broken_with(&path(0)), [path(0)]);
        assert!(carriers.paths.is_empty());
    }

    #[test]
    fn they_are_bounded() {
        let mut carriers = Carriers::default();
        (1..200_000).for_each(|connection| carriers.note(connection, &path(connection)));
        (1..1_000).for_each(|connection| carriers.note(200_000, &path(connection)));
        assert!(carriers.paths.len() <= CONNECTION_COUNT_MAX);
        assert_eq!(carriers.broken_with(&path(200_000)).len(), PATHS_PER_CONNECTION_MAX + 1);
        assert_eq!(carriers.broken_with(&path(1)), [path(1)], "its requests have failed, although it is forgotten");
    }
}
