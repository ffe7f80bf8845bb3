//! The sockets of signaling: datagrams in and out, connections, and what a thread waits for.

mod carriers;
pub(crate) mod certificates;
mod datagrams;
pub(crate) mod listener;
pub(crate) mod poll;
pub(crate) mod reader;
pub(crate) mod sender;
pub(crate) mod source;
pub(crate) mod streams;
pub(crate) mod tcp_fallback;
pub(crate) mod waiter;
