//! Which transaction user of a shard handles a message, decided for each once it is parsed.

use crate::proxy::Relay;
use sip_core::{Endpoint, Flow};
use sip_wire::Message;

/// A transaction user of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// The user agent: requests are answered, calls are the shard's own.
    Agent,
    /// The proxy or redirect server: requests are sent on, or elsewhere.
    Proxy,
}

/// Chooses by transaction, then by dialog, then by method.
#[derive(Clone, Debug)]
pub struct Chooser {
    /// What handles requests that belong to nothing that is known.
    usual: User,
    /// Methods whose requests outside dialogs the proxy handles where the usual user is the agent.
    proxied_methods: Vec<String>,
}

impl Chooser {
    /// One user for everything.
    pub fn only(user: User) -> Self {
        Self { usual: user, proxied_methods: Vec::new() }
    }

    /// The agent, but the proxy for requests of these methods outside dialogs.
    pub fn with_proxied(methods: &[String]) -> Self {
        Self { usual: User::Agent, proxied_methods: methods.to_vec() }
    }

    /// The user of what cannot be parsed.
    pub fn usual(&self) -> User {
        self.usual
    }

    /// The user that handles this message. A response, a copy and a CANCEL belong to the transaction that is there; a request
    /// in a dialog to the user that has the dialog, which for the proxy its own signed Route shows.
    pub fn choose(&self, flow: &Flow, message: &Message<'_>, endpoint: &Endpoint, relay: &Relay) -> User {
        if self.proxied_methods.is_empty() {
            return self.usual;
        }
        if endpoint.knows(message) {
            return User::Agent;
        }
        let is_new = message.is_request() && message.to_tag().is_none();
        let is_proxied = |method: &str| message.method_raw() == method.as_bytes();
        let is_for_proxy = is_new && self.proxied_methods.iter().any(|method| is_proxied(method));
        if is_for_proxy || relay.proxy.knows(flow, message) { User::Proxy } else { User::Agent }
    }
}
