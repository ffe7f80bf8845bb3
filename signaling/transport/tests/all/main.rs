//! The crate from outside, over real sockets on loopback.

mod certificates;
mod limits;
mod name_server;
mod resolve;
mod site;
mod start;
mod tcp;
mod tls;
mod ws;
