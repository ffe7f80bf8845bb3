//! What a shard is told, and what it wants done.

use crate::log::Refusals;
use crate::names::Found;
use clock::Instant;
use contract::{Command, Event};
use session::SessionEvent;
use sip_core::proxy::ProxyOutput;
use sip_core::{Flow, Output};

/// What a shard is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'i> {
    /// A message came: a datagram, or what framing cut out of a stream.
    Message {
        /// The local and the remote address, and the transport.
        flow: Flow,
        /// The message, from its start line to the end of its body.
        bytes: &'i [u8],
    },
    /// A message of ours that is for us.
    Ours {
        /// From a local address of ours to the same one.
        flow: Flow,
        /// The message, from its start line to the end of its body.
        bytes: &'i [u8],
    },
    /// A path is broken: a connection is gone.
    Broken(Flow),
    /// The network says that nobody is at a peer's address (ICMP).
    Unreachable {
        /// To where.
        flow: Flow,
        /// The beginning of the datagram of ours that this is about, perhaps nothing.
        quoted: &'i [u8],
    },
    /// A media worker says something.
    Media(Event),
    /// The media plane is gone.
    MediaLost,
    /// Paths that were looked up.
    Found(&'i Found),
    /// [`crate::Shard::deadline`] has come.
    Deadline,
    /// No call is taken any more, and all calls end.
    Stop,
    /// The shard ends now: what its proxy has not answered is answered.
    End,
}

/// What a shard wants done. The thread around the shard carries it out and empties it.
#[derive(Default)]
pub struct ShardOutput {
    /// Messages to send.
    pub sip: Output,
    /// The same of the proxy.
    pub proxied: ProxyOutput,
    /// Commands for the media workers, by worker.
    pub commands: Vec<(u8, Command)>,
    /// What happened to sessions.
    pub events: Vec<SessionEvent>,
    /// INVITEs that were refused without one.
    pub refused: Refusals,
}

impl ShardOutput {
    /// Whether there is nothing to carry out or to tell.
    pub fn is_empty(&self) -> bool {
        self.sip.transmits.is_empty()
            && self.proxied.transmits.is_empty()
            && self.commands.is_empty()
            && self.events.is_empty()
            && self.refused.is_empty()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.sip.clear();
        self.proxied.clear();
        self.commands.clear();
        self.events.clear();
        self.refused.clear();
    }
}

/// When and how a message came.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: Instant,
    pub(super) flow: Flow,
    /// It never left the process.
    pub(super) is_ours: bool,
}
