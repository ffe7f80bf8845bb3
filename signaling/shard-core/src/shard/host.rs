//! What a shard knows of its host: its own addresses, and the paths to names.

use crate::names::{PathFinder, Questions};
use session::Host;
use sip_core::Flow;
use std::net::{IpAddr, SocketAddr};

/// The host of one turn.
pub(super) struct ShardHost<'w> {
    /// The addresses of the switch; `None` in tests without sockets.
    pub paths: Option<&'w dyn PathFinder>,
    /// Look-ups of names; `None` in tests without sockets.
    pub questions: Option<&'w mut Questions>,
}

impl Host for ShardHost<'_> {
    fn home(&self, address: SocketAddr) -> Option<Flow> {
        self.paths?.home(address)
    }

    fn is_of_this_host(&self, ip: IpAddr) -> bool {
        self.paths.is_some_and(|paths| paths.is_of_this_host(ip))
    }

    fn paths_to(&mut self, uri: &str) -> Option<Vec<Flow>> {
        self.paths?.find_now(uri)
    }

    fn look_up(&mut self, uris: &[Box<str>]) -> Option<u64> {
        self.questions.as_mut()?.ask(uris.iter().map(|uri| uri.to_string()).collect())
    }
}
