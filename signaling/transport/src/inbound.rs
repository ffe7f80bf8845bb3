use crate::error::CloseReason;
use sip_core::Flow;
use sip_wire::ParseError;

/// Who takes what comes from connections. Any function that takes an [`Inbound`] is one that always has room.
pub trait Receiver: Send + Sync + 'static {
    /// Takes what has come; `false`: there was no room for the message. It is called on a thread of the runtime, in order
    /// for one connection, must not block, and copies what it keeps.
    fn take(&self, inbound: Inbound<'_>) -> bool;

    /// Whether there is room for the messages of one more read (64 KiB). While there is none no connection is read that
    /// brings many, so that its peer has to wait: a message that came over a stream is never sent again by its client (RFC 3261 §17.1.2.2).
    fn has_room(&self) -> bool {
        true
    }
}

impl<F: Fn(Inbound<'_>) -> bool + Send + Sync + 'static> Receiver for F {
    fn take(&self, inbound: Inbound<'_>) -> bool {
        self(inbound)
    }
}

/// What comes back from [`Streams`](crate::Streams): handed to the [`Receiver`] given to
/// [`Streams::start`](crate::Streams::start).
#[derive(Clone, Copy, Debug)]
pub enum Inbound<'a> {
    /// One whole message. `false` refuses it: it is counted and forgotten.
    Message {
        /// The connection that it came on.
        flow: Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// A message whose end cannot be found: no Content-Length on a stream (RFC 3261 §20.14), one that is no number, or
    /// one beyond the largest message. Nothing more is read from this connection. If `head` parses as a request, answer
    /// it on this flow now (400 or 513, `error` knows); the connection closes once the answer is written.
    Invalid {
        /// The connection that it came on.
        flow: Flow,
        /// What came, from the start line on.
        head: &'a [u8],
        /// What is wrong.
        error: ParseError,
    },
    /// A connection is ready for messages both ways.
    Opened {
        /// The connection.
        flow: Flow,
        /// Who opened it.
        side: Side,
        /// Whether the peer has proved who it is: by its certificate for the name that we asked for when we opened the
        /// connection, by a client certificate of an authority that we trust when the peer did.
        peer_is_verified: bool,
    },
    /// A connection is gone, or could not be opened. Comes exactly once for every connection number, after everything
    /// else about it.
    Closed {
        /// The connection.
        flow: Flow,
        /// Why.
        reason: &'a CloseReason,
    },
    /// A message that [`Streams::send`](crate::Streams::send) took was not written whole before the connection went.
    SendFailed {
        /// The connection that it was queued for.
        flow: Flow,
        /// The message, as given.
        bytes: &'a [u8],
        /// Why the connection went.
        reason: &'a CloseReason,
    },
}

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The peer.
    Accepted,
    /// We did.
    Connected,
}
