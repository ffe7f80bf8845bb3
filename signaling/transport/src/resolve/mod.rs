//! From a URI to the addresses to try (RFC 3263): numeric hosts, NAPTR, SRV with priorities and weights, A and AAAA.
//!
//! [`Resolver::resolve`] asks name servers; [`Query`] says what for. What is decided without the network, above all the
//! order, is in functions of its own that take a random number as an argument.

mod dns;
mod error;
mod order;
mod query;
mod resolver;

pub use error::ResolveError;
pub use query::{Host, Query};
pub use resolver::{Families, NameServers, Resolver, ResolverConfig, TARGETS_MAX_COUNT};

use crate::Transport;
use std::net::SocketAddr;
use std::sync::Arc;

/// One way to reach a SIP peer: transport, address and port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// Transport.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// The domain that a TLS peer must have a certificate for: the one in the URI, whatever DNS made of it (RFC 5922
    /// §4). `None`: the certificate must be for the address.
    pub tls_name: Option<Arc<str>>,
}
